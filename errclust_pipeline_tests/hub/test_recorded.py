from pathlib import Path

from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.recorded import with_addresses, with_local_files
from errclust_pipeline.sources.base import Submission
from errclust_pipeline_tests.helpers.hub_server import HubServer

FILES = {
    "README.md": b"# evals",
    "runs/a b.json": b"[1, 2]" * 20_000,
    "runs/details|x:y|5 [1].parquet": b"PAR1" * 20_000,
}


def fetch_all(name: str) -> list[Path]:
    hub = Hub()
    commit = hub.commit(name)
    return hub.fetch(name, commit, hub.files(name, commit))


def test_a_submission_is_recorded_by_addresses_and_read_from_them(hub: HubServer) -> None:
    repository = hub.add("org/evals", FILES)
    paths = fetch_all("org/evals")[1:]
    read = Submission("b", "m", "r", tuple(map(str, paths)), "content", {"option": 1})
    recorded = with_addresses(read)
    assert (recorded.revision, recorded.options) == (
        repository.head,
        {"option": 1, "content": "content"},
    )
    assert recorded.files == tuple(
        f"hf://datasets/org/evals@{repository.head}/{path}" for path in sorted(FILES)[1:]
    )
    for path in paths:
        path.unlink()
    assert with_local_files(recorded).files == read.files
    assert [path.read_bytes() for path in paths] == list(FILES.values())[1:]


def test_a_submission_of_local_files_stays_as_it_is(hub: HubServer, tmp_path: Path) -> None:
    submission = Submission("b", "m", "r", (str(tmp_path / "x.csv"),), "content")
    assert with_addresses(submission) is submission
    assert with_local_files(submission) is submission
    assert hub.requests == []
