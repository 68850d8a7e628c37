"""Two models compared on the command line."""

import dataclasses
import json
import shutil

import pytest

from errclust_pipeline.analysis import comparison as analysis
from errclust_pipeline.cli import compare
from errclust_pipeline.cli.common import BAD_INPUT
from errclust_pipeline.settings import load_settings
from errclust_pipeline.views.comparison import read_comparison
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.command_line import errclust_at


def test_compare_says_who_is_worse_where(after_run):
    done = after_run("compare", "trivia", "org/model-c", "org/model-a")
    assert "the gap varies by topic" in done.stdout
    found = json.loads(
        after_run("compare", "trivia", "org/model-c", "org/model-a", "--json").stdout
    )
    first = found["regions"][0]
    assert "chess" in first["label"]
    assert first["difference"] > 0.25 > first["overall_difference"]
    assert first["q_gap"] < 0.05
    assert "A worse, gap above overall" in done.stdout
    same = after_run("compare", "trivia", "org/model-a", "org/model-b").stdout
    assert "no evidence that the gap varies" in same
    assert after_run("compare", "trivia", "org/model-a", "org__model-a").exit_code == BAD_INPUT


A, B, C = "org__model-a", "org__model-b", "org__model-c"


def compared(errclust, *words):
    done = errclust("compare", "trivia", *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout), done.stderr


def test_what_the_tables_hold_is_not_computed_again(after_run, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the pair was compared again")

    monkeypatch.setattr(analysis, "compare_pair", refuse)
    for words in ((A, C), (C, A)):
        found, messages = compared(after_run, *words)
        assert found["regions"]
        assert "computed" not in messages


@pytest.mark.parametrize(("first", "second"), [(A, C), (C, A), (A, B), (B, A)])
def test_what_is_read_is_what_would_be_computed(finished_root, first, second):
    warehouse = Warehouse(str(finished_root))
    statistics = load_settings(warehouse.storage).for_benchmark("trivia").statistics
    computed = compare._compute(warehouse, compare.Pair("trivia", first, second), statistics)
    stored = read_comparison(warehouse, "trivia", first, second)
    for name in ("difference", "low", "high"):
        assert getattr(stored, name) == pytest.approx(getattr(computed, name), nan_ok=True)
    assert dataclasses.asdict(stored.agreement) == pytest.approx(
        dataclasses.asdict(computed.agreement), nan_ok=True
    )
    assert dataclasses.asdict(stored.gate) == pytest.approx(dataclasses.asdict(computed.gate))
    assert len(stored.regions) == len(computed.regions)
    for row, expected in zip(stored.regions, computed.regions, strict=True):
        assert row.keys() == expected.keys()
        for name, value in expected.items():
            if value != value:
                assert row[name] is None
            elif isinstance(value, str):
                assert row[name] == value
            else:
                assert row[name] == pytest.approx(value)
    for row, expected in zip(stored.autocorrelation, computed.autocorrelation, strict=True):
        assert row == pytest.approx(expected, nan_ok=True)


def test_what_json_says_of_the_whole_benchmark_fits_the_regions(after_run):
    found, _ = compared(after_run, C, A)
    assert set(found) == {
        "difference", "agreement", "gate", "autocorrelation", "artefacts_left_out", "regions",
    }  # fmt: skip
    difference = found["difference"]
    assert set(difference) == {
        "n", "mean", "standard_error", "design_effect", "quantile", "low", "high",
    }  # fmt: skip
    assert difference["mean"] == pytest.approx(found["regions"][0]["overall_difference"])
    assert difference["low"] < difference["mean"] < difference["high"]
    assert difference["n"] == found["agreement"]["questions"]


def test_another_view_of_artefacts_is_computed_and_said_so(after_run):
    found, messages = compared(after_run, C, A, "--without-artefacts")
    assert found["artefacts_left_out"]
    assert "computed for this output only" in messages
    assert "without a readable answer" in messages


def test_what_is_out_of_date_is_computed_and_said_so(finished_root, tmp_path):
    root = shutil.copytree(finished_root, tmp_path / "copy")
    settings = root / "errclust.toml"
    errclust = errclust_at(root)
    before, _ = compared(errclust, C, A)
    settings.write_text(settings.read_text() + "[statistics]\nfdr = 0.2\n")
    after, messages = compared(errclust, C, A)
    assert "table model_comparison is stale (setting fdr changed" in messages.replace(
        "alpha", "fdr"
    )
    assert "computed for this output only" in messages
    assert after["difference"] == pytest.approx(before["difference"])


def test_a_pair_that_the_tables_leave_out_is_computed_and_said_so(finished_root, tmp_path):
    root = shutil.copytree(finished_root, tmp_path / "copy")
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text() + "[statistics]\nmost_pairs = 1\n")
    errclust = errclust_at(root)
    assert errclust("run").exit_code == 0
    found, messages = compared(errclust, C, A)
    assert "it has only the pairs closest in accuracy" in messages
    assert found["regions"][0]["q_gap"] < 0.05
    assert "computed" not in compared(errclust, A, B)[1]
