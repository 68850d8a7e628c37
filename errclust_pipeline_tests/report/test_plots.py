"""Plots as files: what they show, in the formats that journals take."""

import xml.etree.ElementTree as ElementTree

import pytest
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline.report import ReportError, read_contents
from errclust_pipeline.report.plots import (
    plot_comparison,
    plot_map,
    plot_signatures,
    write_plot,
)
from errclust_pipeline.tables import LEADERBOARD, MODEL_COMPARISON, MODEL_SIGNATURES
from errclust_pipeline.warehouse.keys import BenchmarkPartition

TRIVIA = BenchmarkPartition("trivia")


@pytest.fixture(scope="module")
def contents(trivia):
    return read_contents(trivia, "trivia")


@pytest.fixture(scope="module")
def models(trivia):
    return trivia.read(LEADERBOARD, TRIVIA)["model"].to_pylist()


def test_the_signatures_say_each_departure(trivia, contents):
    texts = [text.get_text() for text in plot_signatures(contents, 1).axes[0].texts]
    cells = trivia.read(MODEL_SIGNATURES, TRIVIA).to_pylist()
    wanted = [f"{100 * cell['excess']:+.0f}" for cell in cells if cell["level"] == 1]
    assert sorted(texts) == sorted(wanted)
    with pytest.raises(ReportError, match="no regions at level 9"):
        plot_signatures(contents, 9)


def test_a_comparison_turned_round_has_its_signs_turned(trivia, contents, models):
    def shown(first, second):
        lines = plot_comparison(contents, first, second).axes[0].lines
        return [line.get_xdata()[0] for line in lines if line.get_marker() in ("o", "D")]

    forward, backward = shown(models[0], models[2]), shown(models[2], models[0])
    rows = [
        100 * row["difference"]
        for row in trivia.read(MODEL_COMPARISON, TRIVIA).to_pylist()
        if (row["model_a"], row["model_b"]) == (models[0], models[2]) and row["level"] == 1
    ]
    assert forward == pytest.approx(sorted(rows), rel=1e-3)
    assert backward == pytest.approx(sorted(-difference for difference in rows), rel=1e-3)


def test_a_map_without_a_layout_is_refused_with_what_to_do(contents, models):
    with pytest.raises(ReportError, match=r"clustering\.layout = true"):
        plot_map(contents, models[0], None, beyond=False)


def test_the_format_is_the_ending_of_the_name(contents, tmp_path):
    figure = plot_signatures(contents, 1)
    write_plot(figure, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    write_plot(figure, tmp_path / "plot.svg")
    # Text stays text, and what is hostile in it is no element.
    tree = ElementTree.parse(tmp_path / "plot.svg")
    tags = {element.tag.rpartition("}")[2] for element in tree.iter()}
    assert "text" in tags
    assert not tags & {"script", "b", "img"}
    with pytest.raises(ReportError, match=r"must end in \."):
        write_plot(figure, tmp_path / "plot.docx")
    assert len(list(tmp_path.iterdir())) == 2


def test_the_command_draws_and_refuses_what_it_cannot(trivia, models, tmp_path):
    root = ["--root", trivia.storage.root]
    target = tmp_path / "compare.pdf"
    done = CliRunner().invoke(
        app, ["plot", "compare", "trivia", *models[:2], "--out", str(target), *root]
    )
    assert done.exit_code == 0, done.output
    assert target.read_bytes().startswith(b"%PDF")
    refused = CliRunner().invoke(
        app, ["plot", "map", "trivia", models[0], "--out", str(tmp_path / "map.png"), *root]
    )
    assert refused.exit_code == 2
    assert "layout" in refused.output
