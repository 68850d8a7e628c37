"""Ratings of a battle set through the whole pipeline, and what the command line says of them."""

from __future__ import annotations

import base64
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from errclust_pipeline.analysis.ratings import compare_by_battles
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import runs
from errclust_pipeline.report import ReportError, read_battle_contents
from errclust_pipeline.report.plots import plot_ratings
from errclust_pipeline.tables import (
    BATTLE_REGIONS,
    BATTLES,
    PROMPT_MAP,
    PROMPT_REGIONS,
    RATINGS,
    REGIONAL_RATINGS,
)
from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import quick_root, with_pictures
from errclust_pipeline_tests.helpers.battle_files import topic_battles, write_lmsys
from errclust_pipeline_tests.helpers.command_line import errclust_at
from errclust_pipeline_tests.helpers.running import failures_of, markdown_by_asset, run_phases

SET = BattleSetPartition("topics")


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """A data root with one battle set, run once; look, do not touch."""
    folder = tmp_path_factory.mktemp("rated")
    warehouse = Warehouse(str(with_pictures(quick_root(folder / "root"))))
    file = write_lmsys(folder / "topics.jsonl", topic_battles())
    ingest(warehouse, [file], options={"benchmark": SET.name})
    assert failures_of(run_phases(warehouse, partitions=runs.select_partitions(warehouse))) == []
    return warehouse


def test_prompts_are_mapped_and_their_regions_named(rated):
    prompts = rated.read(BATTLES, SET, columns=["question_id"])["question_id"].unique()
    assert rated.count(PROMPT_MAP, SET) == len(prompts) == 240
    labels = rated.read(PROMPT_REGIONS, SET).to_pandas()
    of_level = labels[labels.level == 1]
    assert len(of_level) == 4
    assert any("chess" in label for label in of_level.label)


def test_ratings_are_those_of_the_analysis_for_each_kind_of_judge(rated):
    table = rated.read(RATINGS, SET).to_pandas()
    assert set(table.judge_kind) == {"human", "model"}
    prompts = read_prompt_map(rated, SET)
    for kind, own in read_judged_battles(rated, SET, prompts).items():
        assert len(own.battles) == 480
        expected = own.rate()
        rows = table[table.judge_kind == kind].set_index("model")
        assert rows.rating[list(expected.models)].tolist() == pytest.approx(expected.rating)
        assert rows.low[list(expected.models)].tolist() == pytest.approx(expected.low)
        assert (rows.clusters == 240).all()
        # Best first.
        assert rows.rating.is_monotonic_decreasing
        assert rows.index[-1] == "weak"
        assert rows.style_rating.notna().all()
        assert rows.battles.sum() == 2 * 480


def test_their_pages_in_the_ui_tell_verdicts_regions_and_ratings(rated):
    pages = markdown_by_asset(rated)
    assert set(pages) == {"battles", "prompt_map", "ratings"}
    assert "| judge | human | 480 |" in pages["battles"]["at_a_glance"]
    assert "chess" in pages["prompt_map"]["at_a_glance"]
    assert pages["ratings"]["at_a_glance"].splitlines()[2].startswith("| human | strong |")
    assert "(data:image/png;base64," in pages["ratings"]["picture"]


def test_wins_that_depend_on_the_topic_are_seen_there_and_on_the_map(rated):
    labels = dict(
        rated.read(PROMPT_REGIONS, SET, columns=["region_id", "label"]).to_pandas().to_numpy()
    )
    regions = rated.read(BATTLE_REGIONS, SET).to_pandas()
    models = rated.read(REGIONAL_RATINGS, SET).to_pandas()
    for kind in ("human", "model"):
        own = regions[(regions.judge_kind == kind) & (regions.level == 1)]
        assert "chess" in labels[own.loc[own.p.idxmin(), "region_id"]]
        assert own.p.min() == pytest.approx(0.001)
        of_kind = models[(models.judge_kind == kind) & (models.level == 1)]
        best = of_kind.loc[of_kind.z.idxmax()]
        assert (best.model, "chess" in labels[best.region_id]) == ("chess-player", True)
        assert best.q < 0.001
        assert best["shift"] > 100
        assert best.low > best.expected
    table = rated.read(RATINGS, SET).to_pandas()
    assert (table[table.model == "chess-player"].moran_z > 5).all()
    assert table.k.eq(30).all()


def test_the_command_line_says_who_wins_and_where(rated):
    errclust = errclust_at(rated.storage.root)
    shown = errclust("battles", "topics")
    assert shown.exit_code == 0, shown.output
    assert "by humans" in shown.output
    assert "chess" in shown.output
    one = errclust("battles", "topics", "--model", "chess-player", "--limit", "1")
    assert "chess-player by human judges" in one.output
    assert "chess" in one.output.split("Where it does better or worse")[1]
    (human, model) = json.loads(errclust("battles", "topics", "-m", "weak", "--json").stdout)[
        "ratings"
    ]
    assert (human["judge_kind"], model["judge_kind"]) == ("human", "model")


def test_two_models_are_compared_by_their_own_battles(rated):
    errclust = errclust_at(rated.storage.root)
    arguments = ("battles", "topics", "--model", "chess-player", "--against", "strong")
    found = json.loads(errclust(*arguments, "--json").stdout)
    human = found["ratings"][0]
    expected = [
        row
        for row in rated.read(BATTLES, SET).to_pylist()
        if {row["model_a"], row["model_b"]} == {"chess-player", "strong"}
        and row["judge_kind"] == "human"
    ]
    won = sum(
        row["winner"] in ("model_a", "model_b") and row[row["winner"]] == "chess-player"
        for row in expected
    )
    assert (human["battles"], human["wins"]) == (len(expected), won)
    assert human["low"] < human["difference"] < human["high"]
    assert "points" in errclust(*arguments).output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no benchmark 'nowhere'"),
        (("topics", "--against", "weak"), "--against needs --model"),
        (("topics", "--model", "nobody"), "no battle of nobody. Known models: chess-player"),
        (("topics", "--model", "weak", "--against", "nobody"), "no battle of weak against nobody"),
        (("topics", "--model", "weak", "--against", "weak"), "no battle of weak against weak"),
    ],
)
def test_what_cannot_be_shown_is_said(rated, arguments, message):
    done = errclust_at(rated.storage.root)("battles", *arguments)
    assert done.exit_code == 2
    assert message in done.output


def test_what_is_rated_is_left_alone_until_battles_change(rated):
    assert run_phases(rated, partitions=[SET]) == []


def test_judges_are_clusters_if_there_are_many_and_unknown_ones_are_their_own(rated):
    prompts = read_prompt_map(rated, SET)
    table = rated.read(BATTLES, SET)

    def own(judges):
        column = table.schema.get_field_index("judge")
        changed = table.set_column(column, "judge", pa.array(judges, pa.string()))
        store = SimpleNamespace(read=lambda *_, columns: changed.select(columns))
        return read_judged_battles(store, SET, prompts)["human"]

    unknown = own([None] * len(table))
    assert len(set(unknown.judges.tolist())) == len(unknown.battles) == 480
    assert own([f"judge {number % 9}" for number in range(len(table))]).rate().clusters == 240
    assert own([f"judge {number % 62}" for number in range(len(table))]).rate().clusters == 31


def unpacked(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


@pytest.fixture(scope="module")
def report(rated):
    return read_battle_contents(rated, SET)


def test_behind_each_number_of_the_report_are_the_battles_that_it_counts(rated, report):
    numbers = report.numbers
    fought = {
        name: unpacked(numbers["battles"][name], dtype)
        for name, dtype in (
            ("question", "<i4"), ("first", "<u2"), ("second", "<u2"), ("score", "u1"),
            ("kind", "u1"), ("responseOfFirst", "<i4"),
        )
    }  # fmt: skip
    points = unpacked(numbers["questions"]["point"], "<i4")[fought["question"]]
    region = unpacked(numbers["map"]["region"], "<i2")[points]
    paths = [one["id"] for one in numbers["regions"]]
    models = [one["model"] for one in numbers["models"]]
    checked = 0
    for row in rated.read(REGIONAL_RATINGS, SET).to_pylist():
        inside = [f"{path}.".startswith(f"{row['region_id']}.") for path in paths]
        here = (region >= 0) & np.array(inside)[region]
        here &= fought["kind"] == numbers["judgeKinds"].index(row["judge_kind"])
        number = models.index(row["model"])
        won = fought["score"][here & (fought["first"] == number)].tolist()
        won += (2 - fought["score"][here & (fought["second"] == number)].astype(int)).tolist()
        assert (len(won), sum(won) / 2 / len(won)) == (
            row["battles"],
            pytest.approx(row["win_rate"]),
        )
        checked += 1
    assert checked > 30
    said = [report.texts["responses"][at] for at in fought["responseOfFirst"][:50]]
    assert [text.split("**")[1] for text in said] == [models[at] for at in fought["first"][:50]]


def test_the_report_compares_models_as_the_analysis_does(rated, report):
    numbers = report.numbers
    models = [one["model"] for one in numbers["models"]]
    assert models[-1] == "weak"
    prompts = read_prompt_map(rated, SET)
    own = read_judged_battles(rated, SET, prompts)["human"]
    gap = own.rate().difference("strong", "weak")
    halves = unpacked(numbers["differenceErrors"]["human"], "<f4").reshape(4, 4)
    half = halves[models.index("strong"), models.index("weak")]
    assert half == pytest.approx(gap.high - gap.estimate, rel=1e-5)
    assert len(numbers["pairs"]["human"]) == 6
    first, second = models.index("chess-player"), models.index("weak")
    pairs = numbers["pairs"]["human"]
    (pair,) = [one for one in pairs if {one["modelA"], one["modelB"]} == {first, second}]
    assert pair["modelA"] == first
    overall, _ = compare_by_battles(
        own.between("chess-player", "weak"), prompts, "chess-player", "weak"
    )
    assert (pair["wins"], pair["difference"]) == (overall["wins"], overall["difference"])
    hot = unpacked(numbers["models"][first]["maps"]["human"]["hot"], "i1")
    of_point = unpacked(numbers["questions"]["ofPoint"], "<i4")
    better = [report.texts["questions"][at] for at in of_point[hot == 1]]
    assert len(better) > 30
    assert np.mean(["chess" in prompt for prompt in better]) > 0.9


def test_the_command_writes_the_report_of_all_its_models(rated, tmp_path):
    errclust = errclust_at(rated.storage.root)
    target = tmp_path / "topics.html"
    done = errclust("report", "topics", "--out", str(target))
    assert done.exit_code == 0, done.output
    assert target.read_text().startswith("<!doctype html>")
    done = errclust("report", "topics", "--model", "weak", "--out", str(target))
    assert done.exit_code == 2
    assert "leave out --model" in done.output


def test_ratings_are_drawn_best_first_with_both_kinds_of_judges(report):
    axes = plot_ratings(report).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [one["model"] for one in report.numbers["models"]]
    shown = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() in ("o", "s")]
    wanted = [
        [one["ratings"][kind]["rating"] for one in report.numbers["models"]]
        for kind in ("human", "model")
    ]
    assert shown == wanted
    with pytest.raises(ReportError, match="no verdicts of expert judges"):
        plot_ratings(report, "expert")
