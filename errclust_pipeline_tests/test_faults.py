"""What goes wrong, and what becomes of it: nothing half-written, nothing lost, others unharmed."""

import errno
import json
import resource
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from errclust_pipeline.arrivals import DropFolder
from errclust_pipeline.automation import find_repairs
from errclust_pipeline.ingest import ingest
from errclust_pipeline.keys import Partition
from errclust_pipeline.resources.storage import Storage
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import State, status
from errclust_pipeline.tables import RESPONSES
from errclust_pipeline_tests.result_files import write_table
from errclust_pipeline_tests.running import run_phases

A, B = Partition("trivia", "org__model-a"), Partition("trivia", "org__model-b")


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
        found = folder.look(look)
        look = found.look
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


def test_two_daemons_by_mistake_request_the_same_and_nothing_twice(warehouse, root):
    (root / "drop").mkdir()
    for number in range(12):
        write_table(root / "drop" / f"{number}.csv", [f"org/model-{number}"], per_topic=1)
    told: list[tuple[str, str]] = []
    # Both know of the other only what the folder's memory says; each passes on what it is told.
    passed_on, lock = [0], threading.Lock()

    def daemon():
        folder = DropFolder(warehouse, str(root / "drop"), files_a_look=5)
        for _ in range(8):
            found = folder.look(passed_on[0])
            with lock:
                passed_on[0] = max(passed_on[0], found.look)
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
    folder, look, pages = DropFolder(warehouse, str(root / "drop"), seconds_a_look=60), 0, []
    for _ in range(5):
        found = folder.look(look)
        look = found.look
        pages.append([one.partition for one in found.requests])
    assert [len(page) for page in pages] == [0, 200, 200, 100, 0]
    assert len({partition for page in pages for partition in page}) == 500
    assert len(warehouse.submissions()) == 500


def test_a_file_that_changes_while_it_is_read_is_taken_in_its_last_state(warehouse, root):
    (root / "drop").mkdir()
    path = write_table(root / "drop" / "a.csv")
    folder, look = DropFolder(warehouse, str(root / "drop")), 0
    for _ in range(2):
        look = folder.look(look).look
    # It was recorded, and changes before it is read.
    write_table(path, per_topic=20)
    failures = run_all(warehouse)
    assert "changed since it was ingested" in failures[A]
    requested = []
    for _ in range(3):
        found = folder.look(look)
        look = found.look
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
        look = folder.look(look).look
    assert run_all(warehouse) == {}
    pattern = "folders/*.json" if lost == "state" else "benchmark=*/model=*/submission.json"
    for path in (root / "submissions").glob(pattern):
        path.unlink()
    (root / "drop" / "a.csv").touch()
    requested = []
    for _ in range(3):
        found = folder.look(look)
        look = found.look
        requested += found.requests
    # It was read already; its record is there again.
    assert requested == []
    assert warehouse.submissions() == [A]
