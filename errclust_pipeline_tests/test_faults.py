"""What goes wrong, and what becomes of it: nothing half-written, nothing lost, others unharmed."""

import errno
import json
import resource
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from errclust_pipeline.analysis import errors
from errclust_pipeline.ingestion import DropFolder
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.runs import select_partitions
from errclust_pipeline.orchestration.sensors import find_repairs
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import State, status
from errclust_pipeline.tables import (
    ERRORS,
    LEADERBOARD,
    QUESTION_MAP,
    QUESTIONS,
    REJECTS,
    RESPONSES,
)
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import run_phases

A, B = SubmissionPartition("trivia", "org__model-a"), SubmissionPartition("trivia", "org__model-b")


def run_all(warehouse):
    """Run; return failures by partition."""
    return {one.planned.partition: one.failure for one in run_phases(warehouse) if one.failure}


def is_fresh(warehouse, partition):
    found = status(warehouse, load_settings(warehouse.storage), partition)
    return all(how.state is State.FRESH for how in found.values())


def test_a_file_that_cannot_grow_any_more_leaves_nothing_and_the_next_run_goes_on(
    warehouse, root, tmp_path, monkeypatch
):
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a", "org/model-b"])])
    write, broken = Storage.write, []

    @contextmanager
    def until_the_limit(storage, path):
        with write(storage, path) as file:
            if "error_embeddings" not in path or "model-a" not in path:
                yield file
                return
            broken.append(path)
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            # The kernel refuses the rest, as it does on a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
            try:
                yield file
                file.flush()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)

    monkeypatch.setattr(Storage, "write", until_the_limit)
    failures = run_all(warehouse)
    assert failures.keys() == {A}
    assert "File too large" in failures[A]
    assert not Path(broken[0]).exists()
    assert not list((root / "lake").rglob(".*.tmp"))
    assert is_fresh(warehouse, B)
    monkeypatch.undo()
    assert run_all(warehouse) == {}
    assert is_fresh(warehouse, A)


def test_a_full_disk_is_not_waited_for(warehouse, tmp_path, monkeypatch):
    ingest(warehouse, [write_table(tmp_path / "a.csv")])
    write, tries = Storage.write, []

    def full(storage, path):
        if "/lake/" not in path:
            return write(storage, path)
        tries.append(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Storage, "write", full)
    failures = run_all(warehouse)
    assert "No space left on device" in failures[A]
    assert len([path for path in tries if "lake/responses" in path]) == 1


def test_a_model_whose_every_row_is_unusable_fails_alone_and_is_not_tried_for_ever(warehouse, root):
    (root / "drop").mkdir()
    write_table(root / "drop" / "a.csv")
    rows = [{"input_text": "", "score": 1, "model": "org/model-b", "dataset": "trivia"}] * 30
    (root / "drop" / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder, look, requested = DropFolder(warehouse, str(root / "drop")), 0, []
    for _ in range(6):
        found = folder.scan(look)
        look = found.scan
        requested += [one.partition for one in found.requests]
    assert sorted(requested) == [A, B]
    failures = run_all(warehouse)
    assert failures.keys() == {B}
    assert "none of its 30 rows can be used" in failures[B]
    assert is_fresh(warehouse, A)
    # Repairs ask for it under one key, which runs once.
    memory, keys = {"next": 0, "seen": {}}, []
    for _ in range(5):
        repairs, memory = find_repairs(warehouse, memory, "2026-11-25")
        keys += [key for key, planned in repairs if planned.partition == B]
    assert len(keys) == 4
    assert len(set(keys)) == 1


@pytest.mark.parametrize("one_instance", [True, False])
def test_two_daemons_by_mistake_request_the_same_and_nothing_twice(warehouse, root, one_instance):
    (root / "drop").mkdir()
    for number in range(12):
        write_table(root / "drop" / f"{number}.csv", [f"org/model-{number}"], per_topic=1)
    told: list[tuple[str, str]] = []
    # On one instance they share the cursor, on two they know of each other what the folder's
    # memory says; each passes on what it is told.
    shared, lock = [0], threading.Lock()

    def daemon():
        passed_on = shared if one_instance else [0]
        folder = DropFolder(warehouse, str(root / "drop"), max_files=5)
        for _ in range(12):
            found = folder.scan(passed_on[0])
            with lock:
                passed_on[0] = max(passed_on[0], found.scan)
                told.extend((str(one.partition), one.run_key) for one in found.requests)

    daemons = [threading.Thread(target=daemon) for _ in range(2)]
    for one in daemons:
        one.start()
    for one in daemons:
        one.join()
    # A request may be told twice, but under one key: Dagster runs it once.
    assert len(set(told)) == len({partition for partition, _ in told}) == 12


def test_500_submissions_at_once_are_all_requested_once(warehouse, root):
    (root / "drop").mkdir()
    for number in range(500):
        row = {"input_text": f"what is {number}?", "score": number % 2, "dataset": "quiz"}
        (root / "drop" / f"{number}.jsonl").write_text(json.dumps(row | {"model": f"org/{number}"}))
    folder, look, pages = DropFolder(warehouse, str(root / "drop"), max_seconds=60), 0, []
    for _ in range(5):
        found = folder.scan(look)
        look = found.scan
        pages.append([one.partition for one in found.requests])
    assert [len(page) for page in pages] == [0, 200, 200, 100, 0]
    assert len({partition for page in pages for partition in page}) == 500
    assert len(warehouse.submissions()) == 500


def test_a_file_that_changes_while_it_is_read_is_taken_in_its_last_state(warehouse, root):
    (root / "drop").mkdir()
    path = write_table(root / "drop" / "a.csv")
    folder, look = DropFolder(warehouse, str(root / "drop")), 0
    for _ in range(2):
        look = folder.scan(look).scan
    # It was recorded, and changes before it is read.
    write_table(path, per_topic=20)
    failures = run_all(warehouse)
    assert "changed since it was ingested" in failures[A]
    requested = []
    for _ in range(3):
        found = folder.scan(look)
        look = found.scan
        requested += found.requests
    assert [one.partition for one in requested] == [A]
    assert run_all(warehouse) == {}
    assert warehouse.count(RESPONSES, A) == 80


@pytest.mark.parametrize("lost", ["state", "record"])
def test_what_is_known_of_a_folder_can_be_lost(warehouse, root, lost):
    (root / "drop").mkdir()
    write_table(root / "drop" / "a.csv")
    folder, look = DropFolder(warehouse, str(root / "drop")), 0
    for _ in range(2):
        look = folder.scan(look).scan
    assert run_all(warehouse) == {}
    pattern = "folders/*.json" if lost == "state" else "benchmark=*/model=*/submission.json"
    for path in (root / "submissions").glob(pattern):
        path.unlink()
    (root / "drop" / "a.csv").touch()
    requested = []
    for _ in range(3):
        found = folder.scan(look)
        look = found.scan
        requested += found.requests
    # It was read already; its record is there again.
    assert requested == []
    assert warehouse.submissions() == [A]


def write_rows(path, model, good, bad, words="what is"):
    """Write rows of which some have no question."""
    rows = [
        {"input_text": f"{words} {number}?" if number < good else "", "score": number % 2}
        for number in range(good + bad)
    ]
    lines = (json.dumps(row | {"model": model, "dataset": "trivia"}) + "\n" for row in rows)
    path.write_text("".join(lines))
    return path


def test_a_submission_with_too_many_rejects_fails_alone_and_leaves_the_benchmark_as_it_is(
    warehouse, tmp_path
):
    ingest(warehouse, [write_table(tmp_path / "ab.csv", ["org/model-a", "org/model-b"])])
    assert run_all(warehouse) == {}
    before = read_shared(warehouse)
    ingest(warehouse, [write_rows(tmp_path / "c.jsonl", "org/model-c", 30, 70)])
    failures = run_all(warehouse)
    c = SubmissionPartition("trivia", "org__model-c")
    assert failures.keys() == {c}
    assert "70% of the rows" in failures[c]
    assert warehouse.count(REJECTS, c) == 70
    assert read_shared(warehouse) == before
    assert all(is_fresh(warehouse, one) for one in (A, B, BenchmarkPartition("trivia")))


def test_a_revision_with_too_many_rejects_leaves_the_results_before_it(warehouse, tmp_path):
    path = tmp_path / "c.jsonl"
    options = {"threshold": 0.5}
    ingest(warehouse, [write_rows(path, "org/model-a", 100, 0)], options=options)
    ingest(warehouse, [write_table(tmp_path / "b.csv", ["org/model-b"])])
    assert run_all(warehouse) == {}
    ingest(warehouse, [write_rows(path, "org/model-a", 30, 70)], options=options)
    assert run_all(warehouse).keys() == {A}
    assert warehouse.count(RESPONSES, A) == 100
    # It goes on being compared, by what is known of it.
    ingest(warehouse, [write_table(tmp_path / "c.csv", ["org/model-c"])])
    assert run_all(warehouse).keys() == {A}
    assert warehouse.read(LEADERBOARD, BenchmarkPartition("trivia")).num_rows == 3


def test_a_model_whose_errors_are_not_known_is_left_out_of_what_the_others_share(
    warehouse, tmp_path, monkeypatch
):
    models = [f"org/model-{letter}" for letter in "abc"]
    ingest(warehouse, [write_table(tmp_path / "abc.csv", models)])
    make = errors.error_table

    def fails_for_b(responses, what):
        if "org/model-b" in set(responses["model_name"]):
            raise ValueError("a fault in one model's errors")
        return make(responses, what)

    monkeypatch.setattr(errors, "error_table", fails_for_b)
    assert run_all(warehouse).keys() == {B}
    assert warehouse.read(LEADERBOARD, BenchmarkPartition("trivia")).num_rows == 2
    assert is_fresh(warehouse, A)
    monkeypatch.undo()
    assert run_all(warehouse) == {}
    assert warehouse.read(LEADERBOARD, BenchmarkPartition("trivia")).num_rows == 3


def read_shared(warehouse):
    """Return the files of what the models of the benchmark share."""
    where = BenchmarkPartition("trivia")
    return {
        table: Path(warehouse.path(table, where)).read_bytes()
        for table in (QUESTIONS, QUESTION_MAP, LEADERBOARD)
    }


def test_damaged_tables_count_as_lost_and_come_back_as_they_were(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "ab.csv", ["org/model-a", "org/model-b"])])
    assert run_all(warehouse) == {}
    tables = {
        table: Path(warehouse.path(table, of(table)))
        for table in (RESPONSES, ERRORS, LEADERBOARD, QUESTION_MAP)
    }
    whole = {path: path.read_bytes() for path in tables.values()}
    # One cut in the middle, as by a full disk under another program.
    for path, damage in zip(whole, (b"", b"PAR1 garbage PAR1", None, b"PAR1"), strict=True):
        path.write_bytes(whole[path][: len(whole[path]) // 2] if damage is None else damage)
    assert all(warehouse.provenance(table, of(table)) is None for table in tables)
    assert find_repairs(warehouse, {"next": 0, "seen": {}}, "today")[1]["seen"]
    assert run_all(warehouse) == {}
    assert {path: path.read_bytes() for path in whole} == whole


def of(table):
    return A if table.by_model else BenchmarkPartition("trivia")


def test_a_table_damaged_inside_is_named_with_the_remedy(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "a.csv")])
    assert run_all(warehouse) == {}
    path = Path(warehouse.path(RESPONSES, A))
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    path.write_bytes(content)
    with pytest.raises(WarehouseError, match=r"(?s)part-0.parquet is damaged .* delete it and run"):
        warehouse.read(RESPONSES, A)


def test_a_damaged_record_of_a_submission_is_named_and_does_not_stop_the_others(
    warehouse, root, tmp_path
):
    ingest(warehouse, [write_table(tmp_path / "ab.csv", ["org/model-a", "org/model-b"])])
    (record,) = (root / "submissions").glob("benchmark=*/model=org__model-a/submission.json")
    record.write_text('{"benchmark": "triv')
    failures = run_all(warehouse)
    assert failures.keys() == {A}
    assert "submission.json is damaged" in failures[A]
    assert is_fresh(warehouse, B)
    found = status(warehouse, load_settings(warehouse.storage), A)["raw_results"]
    assert found.state is State.MISSING
    find_repairs(warehouse, {"next": 0, "seen": {}}, "today")
    (again, _) = ingest(warehouse, [tmp_path / "ab.csv"])
    assert again.change == "revised"
    assert run_all(warehouse) == {}


def test_a_submission_that_was_withdrawn_before_it_was_read_is_left_alone(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "ab.csv", ["org/model-a", "org/model-b"])])
    warehouse.mark_withdrawn(A)
    assert select_partitions(warehouse) == [B]
    run_phases(warehouse, partitions=[B])
    warehouse.mark_withdrawn(B)
    # What was read of it stands until it is forgotten.
    assert select_partitions(warehouse) == [B]
    memory = {"next": 0, "seen": {}}
    for _ in range(2):
        found, memory = find_repairs(warehouse, memory, "today")
        assert found == []
