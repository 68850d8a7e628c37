"""Ratings of a battle set through the whole pipeline, and what the command line says of them."""

from __future__ import annotations

import json
import random
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from errclust_pipeline import run as runs
from errclust_pipeline import verdicts
from errclust_pipeline.ingest import ingest
from errclust_pipeline.keys import BattleSet
from errclust_pipeline.resources.warehouse import Warehouse
from errclust_pipeline.tables import (
    BATTLE_REGIONS,
    BATTLES,
    PROMPT_MAP,
    PROMPT_REGIONS,
    RATINGS,
    REGIONAL_RATINGS,
)
from errclust_pipeline_tests.battle_files import conversation, mt_bench_row, write_lmsys
from errclust_pipeline_tests.conftest import quick_root, with_pictures
from errclust_pipeline_tests.result_files import questions
from errclust_pipeline_tests.running import failures_of, markdown_by_asset, run_phases
from errclust_pipeline_tests.test_cli import errclust_at

STRENGTH = {"weak": 0.0, "middle": 0.8, "strong": 1.6, "chess-player": 0.8}
SET = BattleSet("topics")


def rows(per_topic=60):
    """Battles on four topics; one model wins whenever it is about chess. Two judges a prompt."""
    draw = random.Random(0)
    found = []
    for number, (topic, prompt) in enumerate(questions(per_topic)):
        models = draw.sample(list(STRENGTH), 4)
        for first, second in (models[:2], models[2:]):
            odds = STRENGTH[first] - STRENGTH[second]
            if topic == "chess" and "chess-player" in (first, second):
                odds += 4 if first == "chess-player" else -4
            won = draw.random() < 1 / (1 + np.exp(-odds))
            answers = {
                model: f"**{model}** says\n- one thing{' again' * draw.randrange(20)} {number}"
                for model in (first, second)
            }
            found += [
                mt_bench_row(
                    number,
                    model_a=first,
                    model_b=second,
                    winner=("model_a" if won else "model_b") if draw.random() < 0.9 else "tie",
                    judge=judge,
                    conversation_a=conversation(prompt, answers[first]),
                    conversation_b=conversation(prompt, answers[second]),
                )
                for judge in ("expert_1", "gpt4_pair")
            ]
    return found


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """A data root with one battle set, run once; look, do not touch."""
    folder = tmp_path_factory.mktemp("rated")
    warehouse = Warehouse(str(with_pictures(quick_root(folder / "root"))))
    file = write_lmsys(folder / "topics.jsonl", rows())
    ingest(warehouse, [file], options={"benchmark": SET.benchmark})
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
    prompts = verdicts.read_prompt_map(rated, SET)
    for kind, own in verdicts.read_verdicts(rated, SET, prompts).items():
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
    prompts = verdicts.read_prompt_map(rated, SET)
    table = rated.read(BATTLES, SET)

    def own(judges):
        column = table.schema.get_field_index("judge")
        changed = table.set_column(column, "judge", pa.array(judges, pa.string()))
        store = SimpleNamespace(read=lambda *_, columns: changed.select(columns))
        return verdicts.read_verdicts(store, SET, prompts)["human"]

    unknown = own([None] * len(table))
    assert len(set(unknown.judges.tolist())) == len(unknown.battles) == 480
    assert own([f"judge {number % 9}" for number in range(len(table))]).rate().clusters == 240
    assert own([f"judge {number % 62}" for number in range(len(table))]).rate().clusters == 31
