"""The first stages on real results, against counts made here from the raw files."""

import json
import zipfile
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from errclust_pipeline.analysis.ratings import CENTRE, ELO, battles_of, fit_ratings, online_elo
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.tables import BATTLE_REJECTS, BATTLES, ERRORS, REJECTS, RESPONSES
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline_tests.conftest import REAL_DATA
from errclust_pipeline_tests.helpers.running import failures_of, run_phases


@pytest.mark.slow
def test_every_real_mmlu_pro_row_is_a_response_or_a_reject(warehouse, real_mmlu_pro):
    expected = {}
    for path in sorted(real_mmlu_pro.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            (name,) = archive.namelist()
            rows = json.loads(archive.read(name))
        model = path.name.removeprefix("model_outputs_").removesuffix("_5shots.zip")
        usable = [row for row in rows if isinstance(row, dict)]
        wrong = sum(row["pred"] != row["answer"] for row in usable)
        expected[model] = (len(usable), len(rows) - len(usable), wrong)
    assert sum(responses for responses, _, _ in expected.values()) == 94_563
    assert expected["DeepSeek-Coder-V2"][:2] == (10_351, 43)

    ingest(warehouse, [real_mmlu_pro])
    planned = [
        runs.PlannedRun(partition, ("raw_results", "error_table"))
        for partition in warehouse.submissions()
    ]
    with open_instance(warehouse.storage) as instance:
        finished = list(runs.execute(build_defs(warehouse.storage.url), instance, planned))
    assert [one.failure for one in finished] == [None] * 8
    found = {
        partition.model: tuple(
            warehouse.count(table, partition) for table in (RESPONSES, REJECTS, ERRORS)
        )
        for partition in warehouse.submissions()
    }
    assert found == expected


def test_a_real_harness_folder_is_read(warehouse):
    folder = REAL_DATA / "lm_eval"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    samples = [
        json.loads(line)
        for path in folder.rglob("samples_*")
        for line in path.open()
        if line.strip()
    ]
    (one,) = ingest(warehouse, [folder])
    planned = [runs.PlannedRun(one.partition, ("raw_results", "error_table"))]
    with open_instance(warehouse.storage) as instance:
        (finished,) = runs.execute(build_defs(warehouse.storage.url), instance, planned)
    assert finished.failure is None
    assert warehouse.count(RESPONSES, one.partition) == len(samples)
    assert warehouse.count(ERRORS, one.partition) == sum(
        row["exact_match"] < 0.5 for row in samples
    )


def real_battles(warehouse, name):
    """Read a folder's battles through the whole pipeline; return them and the rejects."""
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    ingest(warehouse, [folder])
    partition = BattleSetPartition(name)
    assert failures_of(run_phases(warehouse, partitions=[partition])) == []
    columns = ["model_a", "model_b", "winner", "judge", "judge_kind", "prompt", "response_b"]
    return (
        warehouse.read(BATTLES, partition, columns=columns).to_pandas(),
        warehouse.count(BATTLE_REJECTS, partition),
    )


def test_every_real_vote_of_llmfao_is_a_battle(warehouse):
    battles, rejects = real_battles(warehouse, "llmfao")
    folder = REAL_DATA / "llmfao"
    crowd = pd.read_csv(folder / "crowd-comparisons.csv")
    gpt4 = pd.read_csv(folder / "gpt4-crowd-comparisons.csv")
    assert (len(crowd), len(gpt4), rejects) == (8_931, 2_139, 0)
    for votes, kind, judges in ((crowd, "human", crowd.worker.nunique()), (gpt4, "model", 1)):
        own = battles[battles.judge_kind == kind]
        assert own.judge.nunique() == judges
        winners = votes.winner.map({"left": "model_a", "right": "model_b", "tie": "tie"})
        assert Counter(zip(votes.left, votes.right, winners, strict=True)) == Counter(
            zip(own.model_a, own.model_b, own.winner, strict=True)
        )
    outputs = pd.read_json(folder / "pairs-crowd.jsonl", lines=True).set_index("id")
    assert battles.prompt.nunique() == outputs.text.nunique() == 13
    expected = outputs.loc[crowd.id, "result_y"].tolist()
    assert battles[battles.judge_kind == "human"].response_b.tolist() == expected


def test_every_real_annotation_of_pandalm_is_a_battle(warehouse):
    battles, rejects = real_battles(warehouse, "pandalm")
    rows = json.loads((REAL_DATA / "pandalm" / "testset-v1.json").read_text())
    assert (len(rows), rejects) == (999, 0)
    winners = ("tie", "model_a", "model_b")
    assert Counter(zip(battles.judge, battles.winner, strict=True)) == Counter(
        (f"annotator{number}", winners[row[f"annotator{number}"]])
        for row in rows
        for number in (1, 2, 3)
    )
    wins = battles[battles.winner != "tie"]
    won = wins.model_a.where(wins.winner == "model_a", wins.model_b)
    expected = Counter(
        row["cmp_key"].split("_")[row[f"annotator{number}"] - 1]
        for row in rows
        for number in (1, 2, 3)
        if row[f"annotator{number}"]
    )
    assert Counter(won) == expected


def test_ratings_of_llmfaos_crowd_are_those_that_evalica_publishes():
    path = REAL_DATA / "llmfao" / "crowd-comparisons.csv"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    votes = pd.read_csv(path)
    winners = votes.winner.map({"left": "model_a", "right": "model_b", "tie": "tie"})
    battles = battles_of(votes.left.tolist(), votes.right.tolist(), winners.tolist())
    ratings = fit_ratings(battles)
    strength = np.exp((ratings.rating - CENTRE) / ELO)
    share = dict(zip(ratings.models, strength / strength.sum(), strict=True))
    online = dict(zip(battles.models, online_elo(battles), strict=True))
    # dustalov/evalica, llmfao-golden.csv: bradley_terry, of which the sum is 1, and elo.
    for model, of_sum, elo in (
        ("GPT 4", 0.04121787368330589, 1095.5935481722963),
        ("command", 0.028852056443071993, 1094.5450516632357),
        ("Dolly v2 (12B)", 0.009161321937967374, 848.231947030311),
    ):
        assert share[model] == pytest.approx(of_sum, rel=1e-9)
        assert online[model] == pytest.approx(elo, rel=1e-12)
