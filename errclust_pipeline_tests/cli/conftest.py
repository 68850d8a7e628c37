"""What the tests of commands share: a data root, and one that was run once for all of them."""

import pytest
from filelock import FileLock

from errclust_pipeline_tests.conftest import quick_root
from errclust_pipeline_tests.helpers.command_line import errclust_at
from errclust_pipeline_tests.helpers.result_files import write_table


@pytest.fixture
def errclust(root):
    return errclust_at(root)


@pytest.fixture(scope="session")
def finished_root(tmp_path_factory, worker_id):
    """A data root that was run once, by whichever test process comes first; look, do not touch."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    root, results = folder / "finished_root", folder / "finished_results.csv"
    with FileLock(folder / "finished_root.lock"):
        if not root.exists():
            draft = quick_root(folder / "finished_draft")
            write_table(
                results,
                ["org/model-a", "org/model-b", "org/model-c"],
                per_topic=40,
                weak_in={"org/model-c": "chess"},
            )
            call = errclust_at(draft)
            assert call("ingest", str(results)).exit_code == 0
            done = call("run")
            assert done.exit_code == 0, done.output
            draft.rename(root)
    return root


@pytest.fixture
def after_run(finished_root):
    return errclust_at(finished_root)
