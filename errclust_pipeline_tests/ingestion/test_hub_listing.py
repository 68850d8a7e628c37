import dagster as dg
import pytest

from errclust_pipeline.ingestion import DropFolder
from errclust_pipeline.ingestion.folder_listing import ListingError
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.sensors import submission_sensors
from errclust_pipeline.settings import load_settings
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.helpers.leaderboards import EARLY_TIME, details_v2, parquet
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.ingestion.test_drop_folder import Watcher, keys

SNARKS = "leaderboard_bbh_snarks"
A = SubmissionPartition("trivia", "org__model-a")


@pytest.fixture
def table(tmp_path):
    def made(**options):
        return write_table(tmp_path / "made.csv", **options).read_bytes()

    return made


@pytest.mark.parametrize("url", ["hf:me/evals", "hf://datasets/me/evals"])
def test_a_dataset_is_watched_like_a_folder(hub, warehouse, table, url):
    repository = hub.add("me/evals", {"org/a.csv": table(), "org/b.part": b"", ".hidden": b""})
    watcher = Watcher(DropFolder(warehouse, url))
    assert keys(watcher.settle()) == [A]
    submission, _ = warehouse.submission(A)
    assert submission.files == (f"hf://datasets/me/evals@{repository.head}/org/a.csv",)
    assert submission.revision == repository.head
    assert watcher.settle() == []
    second = repository.commit({"org/a.csv": table(right_every=4)})
    assert keys(watcher.settle()) == [A]
    assert warehouse.submission(A)[0].revision == second


def test_a_commit_that_leaves_a_file_alone_requests_nothing_of_it(hub, warehouse, table):
    repository = hub.add("me/evals", {"a.csv": table()})
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    watcher.settle()
    fetched = hub.count("/resolve/")
    repository.commit({"b.csv": table(models=["org/model-b"])})
    assert keys(watcher.settle()) == [SubmissionPartition("trivia", "org__model-b")]
    assert hub.count("/resolve/") == fetched + 2  # The new file: what it is, and it.


def test_a_file_that_changed_for_another_model_revises_only_that_one(hub, warehouse, table):
    both = ["org/model-a", "org/model-b"]
    repository = hub.add("me/evals", {"a.csv": table(models=both[:1])})
    first = repository.head
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    watcher.settle()
    second = repository.commit({"a.csv": table(models=both)})
    watcher.settle()
    b = SubmissionPartition("trivia", "org__model-b")
    recorded = {one: warehouse.submission(one)[0] for one in (A, b)}
    assert [recorded[one].revision for one in (A, b)] == [first, second]
    # Its file is the new one all the same: the old one is another's as well.
    assert {f"@{second}/" in one.files[0] for one in recorded.values()} == {True}


def test_a_datasets_split_is_called_by_the_repository_at_every_commit(hub, warehouse):
    rows = [{"input_text": f"question {n}", "score": n % 2, "model": "org/m"} for n in range(9)]
    path = "data/train-00000-of-00001.parquet"
    repository = hub.add("me/evals", {path: parquet(rows)})
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    m = SubmissionPartition("evals", "org__m")
    assert keys(watcher.settle()) == [m]
    repository.commit({path: parquet(rows[1:])})
    assert keys(watcher.settle()) == [m]


def test_a_look_without_a_new_commit_asks_one_question(hub, warehouse, table):
    hub.add("me/evals", {"a.csv": table()})
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    watcher.settle()
    before = len(hub.requests)
    watcher.scan()
    assert hub.requests[before:] == ["GET /api/datasets/me/evals"]


def test_a_folder_and_a_branch_of_a_dataset_can_be_watched(hub, warehouse, table):
    files = {"a/x.csv": table(), "b/y.csv": table(models=["org/model-b"])}
    repository = hub.add("me/evals", files)
    watcher = Watcher(DropFolder(warehouse, f"hf:me/evals@{repository.head}/b"))
    assert keys(watcher.settle()) == [SubmissionPartition("trivia", "org__model-b")]
    assert set(watcher.drop.known()) == {"y.csv"}


def test_samples_are_read_with_the_results_beside_them(hub, warehouse):
    files = details_v2("org/model", [SNARKS], rows=3)
    renamed = {path.replace("org__model", "run-7"): data for path, data in files.items()}
    repository = hub.add("me/evals", renamed)
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    assert keys(watcher.settle()) == [SubmissionPartition(SNARKS, "org__model")]
    # An older run that is put there later has no precedence.
    repository.commit(details_v2("org/model", [SNARKS], rows=3, time=EARLY_TIME))
    assert watcher.settle() == []


def test_what_the_hub_refuses_leaves_what_is_known_as_it_is(hub, warehouse, table, monkeypatch):
    monkeypatch.setattr("errclust_pipeline.hub.client._WAITS_SECONDS", ())
    hub.add("me/evals", {"a.csv": table()})
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    watcher.settle()
    hub.fail("/api/datasets/me/evals", 429, Retry_After="600")
    with pytest.raises(ListingError, match="too many requests from here: try again in 600"):
        watcher.scan()
    assert not warehouse.is_withdrawn(A)
    assert watcher.settle() == []


def test_a_gated_dataset_says_so_until_its_terms_are_accepted(hub, warehouse, table, monkeypatch):
    repository = hub.add("me/evals", {"a.csv": table()}, gated=True)
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    watcher.scan()
    [reason] = watcher.scan().problems.values()
    assert f"accept its terms on {hub.url}/datasets/me/evals" in reason
    hub.tokens = repository.members = {"hf_member"}
    monkeypatch.setenv("HF_TOKEN", "hf_member")
    assert keys([*watcher.scan().requests, *watcher.scan().requests]) == [A]


def test_a_file_taken_out_of_the_dataset_is_withdrawn(hub, warehouse, table):
    repository = hub.add("me/evals", {"a.csv": table(), "README.md": b"#"})
    watcher = Watcher(DropFolder(warehouse, "hf:me/evals"))
    watcher.settle()
    repository.commit({"a.csv": None})
    watcher.scan()
    assert list(watcher.scan().withdrawn) == [A]


@pytest.mark.parametrize(
    ("url", "expected"),
    [("hf:me/nothing", "there is no dataset"), ("hf:me/evals@dev", "no revision 'dev'")],
)
def test_a_dataset_that_is_not_there_is_named(hub, warehouse, table, url, expected):
    hub.add("me/evals", {"a.csv": table()})
    with pytest.raises(ListingError, match=expected):
        DropFolder(warehouse, url).scan()


def test_the_sensor_requests_what_a_commit_brought(hub, warehouse, root, table):
    with (root / "errclust.toml").open("a") as file:
        file.write('[submissions]\nfolders = ["hf:me/evals"]\n')
    repository = hub.add("me/evals", {"a.csv": table()})
    settings = load_settings(warehouse.storage)
    [sensor] = submission_sensors(warehouse.storage, settings)
    assert sensor.name == "submissions_in_evals"
    cursor, requested = None, []
    with dg.DagsterInstance.ephemeral() as instance:

        def tick():
            nonlocal cursor
            context = dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                resources={"warehouse": WarehouseResource(root=str(root))},
            )
            result = sensor(context)
            cursor = result.cursor
            return [one.partition_key for one in result.run_requests or ()]

        for _ in range(3):
            requested += tick()
        repository.commit({"b.csv": table(models=["org/model-b"])})
        for _ in range(3):
            requested += tick()
    assert [str(key) for key in requested] == ["trivia|org__model-a", "trivia|org__model-b"]


@pytest.mark.usefixtures("hub")
def test_what_is_no_dataset_is_left_to_other_file_systems(warehouse):
    with pytest.raises(ListingError):
        DropFolder(warehouse, "hf://buckets/me/evals").scan()
    with pytest.raises(ListingError, match="name a dataset"):
        DropFolder(warehouse, "hf:me").scan()
