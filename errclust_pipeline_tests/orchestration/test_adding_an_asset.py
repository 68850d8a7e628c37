"""The page on adding an asset, done as it stands there: the new asset is wired everywhere."""

import re
import sys
from pathlib import Path
from unittest import mock

import dagster as dg
import numpy as np
import pytest

import errclust_pipeline.analysis
import errclust_pipeline.orchestration.assets
import errclust_pipeline.tables
from errclust_pipeline import stages
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import stage_asset
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import declarations
from errclust_pipeline.tables import TABLES, table
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.helpers.graph import asset_specs
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "add-an-asset.md"
A = SubmissionPartition("trivia", "org__model-a")
PACKAGES = (
    errclust_pipeline.tables,
    errclust_pipeline.analysis,
    errclust_pipeline.orchestration.assets,
)


def files_of_the_page() -> dict[str, str]:
    """Return the Python code of the page, by the file that it is to be put into."""
    blocks = re.findall(
        r"`errclust_pipeline/([\w/]+\.py)`:\n\n```python\n(.*?)^```", PAGE.read_text(), re.M | re.S
    )
    return dict(blocks)


@pytest.fixture
def added(tmp_path, monkeypatch):
    """Add the asset of the page, from files of its own; afterwards it was never there."""
    files = files_of_the_page()
    row = files.pop("stages/declarations.py")
    for name, code in files.items():
        path = tmp_path / "added" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    for package in PACKAGES:
        folder = package.__name__.removeprefix("errclust_pipeline.").replace(".", "/")
        paths = [*package.__path__, str(tmp_path / "added" / folder)]
        monkeypatch.setattr(package, "__path__", paths)
    with (
        mock.patch.dict(table._REGISTRY),
        mock.patch.dict(declarations._STAGES),
        mock.patch.dict(declarations._PHASES),
        mock.patch.dict(stage_asset._ASSETS),
        mock.patch.dict(vars(declarations)),
    ):
        exec(compile(row, "declarations.py", "exec"), vars(declarations))
        errclust_pipeline.orchestration.assets.import_assets()
        yield
    for package in PACKAGES:
        # Everything else that was imported in between stays.
        sys.modules.pop(f"{package.__name__}.question_lengths", None)
        vars(package).pop("question_lengths", None)


def test_the_page_has_a_file_of_each_kind():
    assert set(files_of_the_page()) == {
        "tables/question_lengths.py",
        "analysis/question_lengths.py",
        "stages/declarations.py",
        "orchestration/assets/question_lengths.py",
    }


@pytest.mark.usefixtures("added")
def test_the_added_asset_is_wired_everywhere(root):
    definitions = build_defs(str(root))
    spec = asset_specs(definitions)["question_lengths"]
    assert spec["parents"] == ["raw_results"]
    assert spec["description"].startswith("Error rates of a model, by the length")
    assert spec["automation"]["label"] == "on_new_content"
    assert spec["checks"] == ["tables_are_sound"]
    job = definitions.resolve_job_def("find_hot_spots")
    assert dg.AssetKey("question_lengths") in job.asset_layer.executable_asset_keys
    assert "question_lengths" in TABLES
    assert "question_lengths" in stages.STAGES


@pytest.mark.usefixtures("added")
def test_the_added_asset_is_computed_checked_queried_and_kept_fresh(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "results.csv", ["org/model-a"])])
    finished = run_phases(warehouse, "label_error_clusters", "map_questions", "find_hot_spots")
    assert failures_of(finished) == []
    status = stages.status(warehouse, load_settings(warehouse.storage), A)["question_lengths"]
    assert status.state is stages.State.FRESH
    _, [(questions, rate)] = warehouse.query(
        "SELECT sum(questions), sum(questions * error_rate) / sum(questions) FROM question_lengths"
    )
    assert questions == 60
    assert rate == pytest.approx(2 / 3)


def test_without_it_nothing_of_it_is_left(root):
    assert "question_lengths" not in stages.STAGES
    assert "question_lengths" not in TABLES
    assert "question_lengths" not in asset_specs(build_defs(str(root)))


@pytest.mark.usefixtures("added")
def test_the_analysis_of_the_page_splits_the_questions_into_quarters():
    from errclust_pipeline.analysis.question_lengths import error_rate_by_length

    lengths, errors = np.arange(8)[::-1], np.arange(8) < 4
    rows = error_rate_by_length(lengths, errors)
    assert [row["error_rate"] for row in rows] == [0.0, 0.0, 1.0, 1.0]
    assert [row["longest"] for row in rows] == [1, 3, 5, 7]
