import json
import os
import shutil
import zipfile

import fsspec
import pytest

from errclust_pipeline.ingestion import DropFolder
from errclust_pipeline.ingestion.folder_listing import ListingError
from errclust_pipeline.ingestion.folder_memory import FileState
from errclust_pipeline.orchestration import runs
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import State, stage_status
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.helpers.battle_files import pandalm_row, write_pandalm
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.sources.formats import test_llm_uncertainty

A, B = SubmissionPartition("trivia", "org__model-a"), SubmissionPartition("trivia", "org__model-b")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "drop"
    made.mkdir()
    return made


@pytest.fixture
def drop(warehouse, folder):
    return DropFolder(warehouse, str(folder))


class Watcher:
    """Looks again and again, as the sensor does, and collects what it is told."""

    def __init__(self, drop):
        self.drop, self.passed_on = drop, 0

    def scan(self):
        found = self.drop.scan(self.passed_on)
        self.passed_on = found.scan
        return found

    def settle(self):
        """Look until nothing moves; return what was requested, in order."""
        requests = []
        while True:
            found = self.scan()
            requests += found.requests
            if not found.settling and not found.waiting:
                return requests


@pytest.fixture
def watcher(drop):
    return Watcher(drop)


def keys(requests):
    return [one.partition for one in requests]


def test_a_file_is_taken_once_it_was_seen_twice_unchanged(watcher, folder, warehouse):
    write_table(folder / "a.csv")
    first = watcher.scan()
    assert (first.requests, first.settling) == ((), 1)
    second = watcher.scan()
    assert keys(second.requests) == [A]
    _, fingerprint = warehouse.submission(A)
    assert second.requests[0].run_key == f"trivia|org__model-a|{fingerprint}"
    assert watcher.scan().requests == ()


def test_a_file_that_grows_is_waited_for(watcher, folder):
    for per_topic in (2, 3, 4):
        write_table(folder / "a.csv", per_topic=per_topic)
        assert watcher.scan().requests == ()
    assert keys(watcher.scan().requests) == [A]


@pytest.mark.parametrize("name", [".a.csv", "a.csv.part", "a.csv.tmp", ".hidden/a.csv", "a.csv~"])
def test_hidden_and_unfinished_files_are_not_looked_at(watcher, folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    write_table(folder / name)
    found = watcher.scan()
    assert (found.settling, watcher.scan().requests) == (0, ())


def test_a_revised_file_is_requested_again_and_only_it(watcher, folder):
    write_table(folder / "a.csv")
    write_table(folder / "b.csv", ["org/model-b"])
    first = watcher.settle()
    assert sorted(keys(first)) == [A, B]
    write_table(folder / "b.csv", ["org/model-b"], right_every=4)
    second = watcher.settle()
    assert keys(second) == [B]
    assert second[0].run_key not in {one.run_key for one in first}


def test_a_revision_that_comes_back_has_a_key_of_its_own(watcher, folder):
    run_keys = []
    for right_every in (3, 4, 3):
        write_table(folder / "a.csv", right_every=right_every)
        run_keys += [one.run_key for one in watcher.settle()]
    assert len(set(run_keys)) == 3


def test_a_file_that_is_only_touched_is_not_requested_again(watcher, folder):
    path = write_table(folder / "a.csv")
    watcher.settle()
    os.utime(path, (1, 1))
    assert watcher.settle() == []


def test_a_clock_set_back_does_not_hide_a_revision(watcher, folder):
    path = write_table(folder / "a.csv")
    watcher.settle()
    write_table(path, right_every=4)
    os.utime(path, (1_000_000, 1_000_000))
    assert keys(watcher.settle()) == [A]


def test_results_read_already_are_not_requested(watcher, folder, warehouse):
    from errclust_pipeline.ingestion.files import ingest

    ingest(warehouse, [write_table(folder / "a.csv")])
    run(warehouse)
    assert watcher.settle() == []


def test_a_look_nobody_heard_of_is_repeated(drop, folder):
    write_table(folder / "a.csv")
    first = drop.scan(0)
    lost = drop.scan(first.scan)
    again = drop.scan(first.scan)
    assert again.requests == lost.requests != ()
    assert drop.scan(again.scan).requests == ()


def test_a_look_that_died_before_it_could_note_anything_is_made_up_for(
    drop, folder, warehouse, monkeypatch
):
    write_table(folder / "a.csv")
    first = drop.scan(0)
    write = type(warehouse.storage).write_text

    def dies(storage, path, text):
        if "/folders/" in path:
            raise OSError("No space left on device")
        write(storage, path, text)

    monkeypatch.setattr(type(warehouse.storage), "write_text", dies)
    with pytest.raises(OSError, match="No space"):
        drop.scan(first.scan)
    monkeypatch.undo()
    # The submission's record is there already; it was not requested.
    assert warehouse.has_submission(A)
    assert keys(drop.scan(first.scan).requests) == [A]


def test_more_than_a_page_is_left_for_the_next_look(warehouse, folder):
    for number in range(7):
        write_table(folder / f"{number}.csv", [f"org/model-{number}"], per_topic=1)
    watcher = Watcher(DropFolder(warehouse, str(folder), max_files=3))
    watcher.scan()
    pages = [watcher.scan() for _ in range(4)]
    assert [len(page.requests) for page in pages] == [3, 3, 1, 0]
    assert [page.waiting for page in pages] == [4, 1, 0, 0]
    assert len({one.partition for page in pages for one in page.requests}) == 7


def test_a_page_ends_when_its_time_is_up(warehouse, folder):
    for number in range(3):
        write_table(folder / f"{number}.csv", [f"org/model-{number}"], per_topic=1)
    watcher = Watcher(DropFolder(warehouse, str(folder), max_seconds=0))
    watcher.scan()
    assert [len(watcher.scan().requests) for _ in range(3)] == [1, 1, 1]


def test_what_is_taken_away_is_withdrawn_and_welcome_back(watcher, folder, warehouse):
    path = write_table(folder / "a.csv")
    write_table(folder / "b.csv", ["org/model-b"])
    watcher.settle()
    run(warehouse)
    shutil.move(path, folder.parent / "aside.csv")
    assert watcher.scan().withdrawn == ()
    assert watcher.scan().withdrawn == (A,)
    assert warehouse.is_withdrawn(A)
    assert not warehouse.is_withdrawn(B)
    shutil.move(folder.parent / "aside.csv", path)
    watcher.scan()
    back = watcher.scan()
    assert (back.returned, back.requests) == ((A,), ())
    assert not warehouse.is_withdrawn(A)


def test_a_file_gone_for_one_look_only_changes_nothing(watcher, folder, warehouse):
    path = write_table(folder / "a.csv")
    watcher.settle()
    path.rename(folder.parent / "aside.csv")
    watcher.scan()
    (folder.parent / "aside.csv").rename(path)
    assert watcher.settle() == []
    assert not warehouse.is_withdrawn(A)


def test_a_folder_that_is_not_there_withdraws_nothing(watcher, folder, warehouse):
    write_table(folder / "a.csv")
    write_table(folder / "b.csv", ["org/model-b"])
    watcher.settle()
    folder.rename(folder.parent / "unmounted")
    with pytest.raises(ListingError, match="is not there"):
        watcher.scan()
    folder.mkdir()
    for _ in range(3):
        with pytest.raises(ListingError, match="is it mounted"):
            watcher.scan()
    assert not warehouse.is_withdrawn(A)


def test_unusable_files_are_told_once_with_a_reason_and_do_not_stop_others(watcher, folder):
    write_table(folder / "a.csv")
    (folder / "README.md").write_text("about these results")
    (folder / "no_columns.csv").write_text("one,two\n1,2\n")
    good = folder / "model_outputs_X_5shots.zip"
    with zipfile.ZipFile(good, "w") as archive:
        archive.writestr("model_outputs_X_5shots.json", json.dumps([{"question_id": 1}] * 500))
    good.write_bytes(good.read_bytes()[:-40])
    (folder / "nowhere.csv").symlink_to(folder / "missing-target.csv")
    watcher.scan()
    found = watcher.scan()
    assert keys(found.requests) == [A]
    assert "no_columns.csv" in found.problems
    known = watcher.drop.known()
    assert known["README.md"].state is FileState.SKIPPED
    assert known["no_columns.csv"].state is FileState.UNUSABLE
    assert watcher.scan().problems == {}


def test_a_damaged_zip_is_named_where_it_is_met(watcher, folder, warehouse):
    good = folder / "model_outputs_X_5shots.zip"
    rows = [{"question_id": number, "question": f"q {number}?"} for number in range(2000)]
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model_outputs_X_5shots.json", json.dumps(rows))
    good.write_bytes(good.read_bytes()[:2000])
    watcher.scan()
    found = watcher.scan()
    told = [*found.problems.values()]
    if not told:
        finished = run(warehouse, [one.partition for one in found.requests])
        told = [one.failure for one in finished if one.failure]
    assert any(good.name in text for text in told)


def test_a_file_is_tried_again_until_what_it_needs_has_arrived(watcher, folder):
    logits = [test_llm_uncertainty.logits(number) for number in range(12)]
    questions = [test_llm_uncertainty.question(number) for number in range(12)]
    path = test_llm_uncertainty.write(folder, logits, questions)
    [data] = (folder / "data").iterdir()
    content = data.read_bytes()
    data.unlink()
    found = [watcher.scan() for _ in range(4)]
    assert [list(one.problems) for one in found] == [[], [str(path.relative_to(folder))], [], []]
    data.write_bytes(content)
    requests = [request for _ in range(4) for request in watcher.scan().requests]
    assert [one.partition.model for one in requests] == ["Org-7b-hf"]


def test_an_unreadable_file_is_tried_again_until_it_can_be_read(watcher, folder, monkeypatch):
    write_table(folder / "a.csv")
    from errclust_pipeline.ingestion import drop_folder

    def fails(*_, **__):
        raise PermissionError("Permission denied: a.csv")

    monkeypatch.setattr(drop_folder, "find_submissions", fails)
    looks = [watcher.scan() for _ in range(4)]
    assert [bool(look.problems) for look in looks] == [False, True, False, False]
    monkeypatch.undo()
    assert keys(watcher.settle()) == [A]


def test_of_two_files_of_one_model_the_first_stays_and_the_other_steps_in(
    watcher, folder, warehouse
):
    write_table(folder / "first.csv")
    watcher.settle()
    write_table(folder / "second.csv", right_every=4)
    assert watcher.settle() == []
    refused = watcher.drop.known()["second.csv"]
    assert refused.state is FileState.SKIPPED
    assert "first.csv has the results" in refused.reason
    (folder / "first.csv").unlink()
    watcher.scan()
    assert keys(watcher.settle()) == [A]
    assert not warehouse.is_withdrawn(A)


def samples(folder, time, correct):
    folder.mkdir(exist_ok=True)
    path = folder / f"samples_task_{time}.jsonl"
    path.write_text(
        "\n".join(
            json.dumps(
                {
                    "doc_id": number,
                    "doc": {"question": f"what is {number}?"},
                    "target": "x",
                    "arguments": [[f"what is {number}?", {}]],
                    "resps": [["x"]],
                    "filtered_resps": ["x"],
                    "acc": correct,
                }
            )
            for number in range(5)
        )
    )
    return path


def test_of_two_runs_of_the_harness_the_newer_is_the_submission(watcher, folder, warehouse):
    model = folder / "org__model"
    samples(model, "2024-07-16T21-55-33.630391", 1.0)
    where = SubmissionPartition("task", "org__model")
    assert keys(watcher.settle()) == [where]
    newer = samples(model, "2024-07-17T21-55-33.5", 0.0)
    assert keys(watcher.settle()) == [where]
    assert warehouse.submission(where)[0].files == (str(newer),)
    samples(model, "2024-07-15T21-55-33", 0.0)
    assert watcher.settle() == []


def test_a_results_file_that_comes_late_names_the_model(watcher, folder):
    model = folder / "org__mod"
    samples(model, "2024-07-16T21-55-33.630391", 1.0)
    assert keys(watcher.settle()) == [SubmissionPartition("task", "org__mod")]
    results = {"model_name": "org/model-long"}
    (model / "results_2024-07-16T21-55-33.630391.json").write_text(json.dumps(results))
    assert keys(watcher.settle()) == [SubmissionPartition("task", "org__model-long")]


def test_files_of_a_remote_folder_are_fetched(warehouse, tmp_path):
    memory = fsspec.filesystem("memory")
    local = write_table(tmp_path / "a.csv")
    memory.pipe_file("/bucket/org/a.csv", local.read_bytes())
    watcher = Watcher(DropFolder(warehouse, "memory://bucket"))
    try:
        assert keys(watcher.settle()) == [A]
        (file,) = warehouse.submission(A)[0].files
        assert file.startswith(warehouse.storage.root)
        write_table(local, right_every=4)
        memory.pipe_file("/bucket/org/a.csv", local.read_bytes())
        assert keys(watcher.settle()) == [A]
    finally:
        memory.rm("/bucket", recursive=True)


def run(warehouse, partitions=(A,)):
    """Materialise what was requested."""
    from errclust_pipeline.definitions import build_defs
    from errclust_pipeline.orchestration.instance import open_instance

    os.environ.pop("DAGSTER_HOME", None)
    with open_instance(warehouse.storage) as instance:
        planned = [
            runs.PlannedRun(partition, (RAW_RESULTS_STAGE.asset,)) for partition in partitions
        ]
        finished = list(runs.execute(build_defs(warehouse.storage.url), instance, planned))
    if partitions == (A,):
        settings = load_settings(warehouse.storage)
        assert stage_status(RAW_RESULTS_STAGE, warehouse, settings, A).state is State.FRESH
    return finished


def requests_of_revisions(watcher, folder, *right_every):
    """Drop revisions of one file one after another; return the run keys of what is requested."""
    found = []
    for one in right_every:
        write_table(folder / "a.csv", right_every=one)
        found.append([request.run_key for request in watcher.settle()])
    return found


def test_a_revision_that_was_recorded_but_not_needed_is_requested_when_it_returns(
    watcher, folder, warehouse
):
    (first,) = requests_of_revisions(watcher, folder, 3)
    run(warehouse)
    # The second is requested but was not read when the first, which stands, is back.
    second, none, again = requests_of_revisions(watcher, folder, 4, 3, 4)
    assert (len(second), none, len(again)) == (1, [], 1)
    assert len({*first, *second, *again}) == 3


def test_the_same_file_is_requested_again_after_its_submission_was_forgotten(
    watcher, folder, warehouse
):
    (first,) = requests_of_revisions(watcher, folder, 3)
    run(warehouse)
    warehouse.forget(A)
    (folder / "a.csv").touch()
    (again,) = watcher.settle()
    assert again.partition == A
    assert again.run_key not in first


@pytest.mark.parametrize("together", [True, False])
def test_a_submission_is_withdrawn_if_the_file_that_would_step_in_goes_too(
    watcher, folder, warehouse, together
):
    first, second = folder / "first.csv", folder / "second.csv"
    write_table(first)
    watcher.settle()
    write_table(second, right_every=4)
    write_table(folder / "b.csv", ["org/model-b"])
    watcher.settle()
    first.unlink()
    if together:
        second.unlink()
    withdrawn = [*watcher.scan().withdrawn, *watcher.scan().withdrawn]
    if not together:
        # It was to be read anew.
        assert withdrawn == []
        second.unlink()
    withdrawn += [one for _ in range(3) for one in watcher.scan().withdrawn]
    assert withdrawn == [A]
    assert warehouse.is_withdrawn(A)


def test_a_submission_is_withdrawn_if_the_file_that_would_step_in_has_it_no_more(watcher, folder):
    write_table(folder / "first.csv")
    watcher.settle()
    write_table(folder / "second.csv", right_every=4)
    watcher.settle()
    (folder / "first.csv").unlink()
    write_table(folder / "second.csv", ["org/model-b"])
    withdrawn = [one for _ in range(4) for one in watcher.scan().withdrawn]
    assert withdrawn == [A]


def test_whatever_one_file_makes_a_reader_stumble_over_does_not_stop_the_others(
    watcher, folder, monkeypatch
):
    from errclust_pipeline.ingestion import drop_folder

    find = drop_folder.find_submissions

    def stumbles(path):
        if path.name == "odd.csv":
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return find(path)

    monkeypatch.setattr(drop_folder, "find_submissions", stumbles)
    write_table(folder / "a.csv")
    write_table(folder / "odd.csv", ["org/model-b"])
    watcher.scan()
    found = watcher.scan()
    assert keys(found.requests) == [A]
    assert "UnicodeDecodeError: 'utf-8'" in found.problems["odd.csv"]


def test_files_that_cannot_be_read_keep_nothing_waiting(warehouse, folder, monkeypatch):
    from errclust_pipeline.ingestion import drop_folder

    find, tried = drop_folder.find_submissions, set()

    def refuses(path):
        if path.name.startswith("locked"):
            tried.add(path.name)
            raise PermissionError(f"Permission denied: {path.name}")
        return find(path)

    monkeypatch.setattr(drop_folder, "find_submissions", refuses)
    for number in range(10):
        (folder / f"locked{number}.csv").write_text("no matter")
    watcher = Watcher(DropFolder(warehouse, str(folder), max_files=3))
    for _ in range(6):
        watcher.scan()
    assert len(tried) == 10
    write_table(folder / "z.csv")
    watcher.scan()
    assert keys(watcher.scan().requests) == [A]
    # And each gets its turn again.
    tried.clear()
    for _ in range(10):
        watcher.scan()
    assert len(tried) == 10


def test_what_another_folder_has_brought_since_is_not_withdrawn(warehouse, folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_table(folder / "a.csv")
    first, second = (Watcher(DropFolder(warehouse, str(one))) for one in (folder, other))
    first.settle()
    write_table(other / "a.csv", right_every=4)
    second.settle()
    (folder / "a.csv").unlink()
    assert [one for _ in range(3) for one in first.scan().withdrawn] == []
    assert not warehouse.is_withdrawn(A)
    (other / "a.csv").unlink()
    assert [one for _ in range(3) for one in second.scan().withdrawn] == [A]


def test_battles_in_a_folder_are_told_with_what_to_do(watcher, folder):
    write_pandalm(folder / "testset-v1.json", [pandalm_row(number) for number in range(3)])
    watcher.scan()
    assert "errclust ingest" in watcher.scan().problems["testset-v1.json"]
