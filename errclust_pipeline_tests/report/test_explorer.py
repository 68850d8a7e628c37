"""The explorer's table, and the errors that say why the explorer cannot start."""

import importlib.util
import shutil
import socket
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline.report import ReportError, explorer
from errclust_pipeline.tables import HOT_SPOTS, LEADERBOARD, QUESTION_MAP, RESPONSES
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

TRIVIA = BenchmarkPartition("trivia")


@pytest.fixture(scope="module")
def placed(trivia, tmp_path_factory):
    """A copy of the benchmark whose map has a layout."""
    root = tmp_path_factory.mktemp("explorer") / "root"
    shutil.copytree(trivia.storage.root, root)
    warehouse = Warehouse(str(root))
    rows = warehouse.read(QUESTION_MAP, TRIVIA)
    places = np.random.default_rng(0).normal(size=(2, rows.num_rows)).astype(np.float32)
    for name, column in zip("xy", places, strict=True):
        at = rows.column_names.index(name)
        rows = rows.set_column(at, rows.schema.field(name), pa.array(column))
    warehouse.write(QUESTION_MAP, TRIVIA, rows, warehouse.provenance(QUESTION_MAP, TRIVIA))
    return warehouse


@pytest.fixture(scope="module")
def models(trivia):
    return trivia.read(LEADERBOARD, TRIVIA)["model"].to_pylist()


def test_a_row_is_a_question_with_each_models_result(placed, models):
    table = explorer.explorer_table(placed, "trivia").to_pandas()
    asked = placed.read(QUESTION_MAP, TRIVIA).to_pandas()
    own = asked[asked.stands_for_itself].sort_values("position").reset_index(drop=True)
    assert table[["x", "y"]].equals(own[["x", "y"]])
    wrong = np.zeros(len(own), dtype=int)
    for model in models:
        responses = placed.read(RESPONSES, SubmissionPartition("trivia", model)).to_pandas()
        right = responses.set_index("question_id").correct[own.question_id].to_numpy()
        assert ((table[f"result: {model}"] == "right") == right).all()
        wrong += ~right
        spots = placed.read(HOT_SPOTS, SubmissionPartition("trivia", model)).to_pandas()
        at_30 = spots[spots.k == 30].set_index("question_id").loc[own.question_id]
        hot = (table[f"hot or cold: {model}"] == "hot").to_numpy()
        assert (hot == (at_30.q_hot < 0.05).to_numpy()).all()
        assert table[f"error rate around: {model}"].to_numpy() == pytest.approx(at_30.smoothed_rate)
    assert (table.models_wrong == wrong).all()
    assert (table.models_asked == 3).all()
    near = table["__neighbours"][0]
    assert near["ids"].tolist() == own.neighbours[0][: explorer.NEIGHBOURS].tolist()
    assert near["distances"] == pytest.approx(1 - own.similarities[0][: explorer.NEIGHBOURS])
    assert table.region.dropna().str.match(r"\d+ \w").all()


def test_labels_are_in_the_middle_of_their_regions(placed):
    labels = explorer.region_labels_on_the_map(placed, "trivia").to_pandas()
    table = explorer.explorer_table(placed, "trivia").to_pandas()
    first = labels.iloc[0]
    inside = table[table.region.fillna("").str.endswith(first.text)]
    assert len(inside) == first.priority
    assert (first.x, first.y) == pytest.approx((inside.x.median(), inside.y.median()))


def test_the_command_writes_the_table_of_chosen_models(placed, models, tmp_path):
    file = tmp_path / "map.parquet"
    arguments = ["explore", "trivia", "--model", models[0], "--out", str(file)]
    done = CliRunner().invoke(app, [*arguments, "--root", placed.storage.root])
    assert done.exit_code == 0, done.output
    results = [name for name in pq.read_schema(file).names if name.startswith("result: ")]
    assert results == [f"result: {models[0]}"]


def test_what_is_missing_is_said_with_what_to_do(trivia, placed, monkeypatch, tmp_path):
    with pytest.raises(ReportError, match=r"clustering\.layout = true"):
        explorer.explorer_table(trivia, "trivia")
    with pytest.raises(ReportError, match="nobody has no results on trivia"):
        explorer.explorer_table(placed, "trivia", ["nobody"])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ReportError, match="is taken: choose another with --port"):
            explorer.free_port(taken.getsockname()[1])
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = CliRunner().invoke(app, ["explore", "trivia", "--root", placed.storage.root])
    assert refused.exit_code == 2
    assert "pip install 'errclust[explore]'" in " ".join(refused.output.split())


def test_an_explorer_that_does_not_start_is_reported_with_its_last_output(placed):
    table = explorer.explorer_table(placed, "trivia")
    labels = explorer.region_labels_on_the_map(placed, "trivia")
    command = [sys.executable, "-c", "raise SystemExit('its last words')"]
    with (
        pytest.raises(ReportError, match=r"(?s)ended\. Its last output was:.*its last words"),
        explorer.atlas(table, labels, explorer.free_port(None), command),
    ):
        pass
