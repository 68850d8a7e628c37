"""Reads what the report of a battle set shows: ratings, where each model wins, and each battle.

As in the report of a benchmark, numbers are in packed columns and texts are kept apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import ELO, JudgedBattles
from errclust_pipeline.report.battle_models import half_intervals, model_contents
from errclust_pipeline.report.battle_topics import (
    CELL_COLUMNS,
    FEWEST_PROMPTS,
    PAIR_COLUMNS,
    TOPIC_COLUMNS,
    compare_pairs,
    read_topics,
)
from errclust_pipeline.report.columns import in_order, packed, without_nan
from errclust_pipeline.report.contents import ReportContents, TextLengths, cut
from errclust_pipeline.report.map_contents import described_regions, map_places, stale_notes
from errclust_pipeline.settings import load_settings
from errclust_pipeline.tables import BATTLES, PROMPT_MAP, PROMPT_REGIONS, RATINGS
from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map
from errclust_pipeline.vocabulary import JUDGE_KINDS
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = {"battles", "prompt_map", "ratings"}
"""Assets that the report shows, and whose state its notes therefore tell."""


class BattleContents(ReportContents):
    """All that the report of a battle set shows."""

    def texts_cut(self, lengths: TextLengths) -> dict[str, Any]:
        """Return the texts, each cut to its length; a text that is cut says how long it was."""
        return {
            "questions": [cut(text, lengths.question) for text in self.texts["questions"]],
            "responses": [cut(text, lengths.response) for text in self.texts["responses"]],
            "judges": [cut(text, lengths.answer) for text in self.texts["judges"]],
        }


def read_battle_contents(warehouse: Warehouse, battle_set: BattleSetPartition) -> BattleContents:
    """Read what the report of a battle set shows.

    Raises
    ------
    WarehouseError
        If the battle set's map or ratings have not been computed.
    """
    settings = load_settings(warehouse.storage)
    fdr = settings.for_benchmark(battle_set.name).statistics.fdr
    prompts = read_prompt_map(warehouse, battle_set)
    ratings = warehouse.read(RATINGS, battle_set).to_pandas()
    regions = warehouse.read(PROMPT_REGIONS, battle_set).to_pylist()
    regions.sort(key=lambda row: in_order(row["region_id"]))
    judged = read_judged_battles(warehouse, battle_set, prompts)
    kinds = [kind for kind in JUDGE_KINDS if kind in judged]
    fitted = {kind: of_kind.rate() for kind, of_kind in judged.items()}
    models = _ranked_models(ratings, kinds)
    rows = warehouse.read(BATTLES, battle_set).to_pandas()
    rows = rows[rows["question_id"].isin(list(prompts.position_of))].reset_index(drop=True)
    questions = _prompt_columns(rows, prompts) | _subject_columns(judged, len(prompts))
    battles, texts = _battle_columns(rows, models, kinds)
    numbers = {
        "kind": "battles",
        "benchmark": battle_set.name,
        "fdr": fdr,
        "scales": [],
        "points": len(prompts),
        "elo": round(ELO * float(np.log(10))),
        "notes": stale_notes(warehouse, settings, [battle_set], _SHOWN),
        "map": map_places(
            warehouse, PROMPT_MAP, battle_set, prompts, [row["region_id"] for row in regions]
        ),
        "questions": questions,
        "regions": described_regions(regions),
        "judgeKinds": kinds,
        "battles": battles,
        "models": [
            model_contents(model, ratings, judged, fitted, prompts, fdr) for model in models
        ],
        "differenceErrors": {
            kind: half_intervals(kind_ratings, models) for kind, kind_ratings in fitted.items()
        },
        "topicColumns": TOPIC_COLUMNS,
        "cellColumns": CELL_COLUMNS,
        "topics": read_topics(warehouse, battle_set, kinds, models),
        "pairColumns": PAIR_COLUMNS,
        "fewestPrompts": FEWEST_PROMPTS,
        "pairs": {
            kind: compare_pairs(of_kind, prompts, models) for kind, of_kind in judged.items()
        },
    }
    return BattleContents(without_nan(numbers), texts)


def _ranked_models(ratings: pd.DataFrame, kinds: Sequence[str]) -> list[str]:
    """Return the models, best first, by the first kind of judges that has rated them."""
    ranked = ratings.assign(kind=ratings["judge_kind"].map(kinds.index))
    ranked = ranked.sort_values(["kind", "rating"], ascending=[True, False], kind="stable")
    return list(dict.fromkeys(ranked["model"]))


def _prompt_rows(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.drop_duplicates("question_id")


def _prompt_columns(rows: pd.DataFrame, prompts: QuestionMap) -> dict[str, Any]:
    """Return of each distinct prompt its point, and of each point its prompt."""
    ids = _prompt_rows(rows)["question_id"].tolist()
    row_of = {name: number for number, name in enumerate(ids)}
    return {
        "point": packed([prompts.position_of[name] for name in ids], np.int32),
        "ofPoint": packed([row_of.get(name, -1) for name in prompts.question_ids], np.int32),
    }


def _subject_columns(judged: Mapping[str, JudgedBattles], points: int) -> dict[str, Any]:
    """Return the subject of each point, as the tests by subject take it."""
    subject_of: list[str | None] = [None] * points
    for battles in judged.values():
        for point, subject in enumerate(battles.subjects()):
            subject_of[point] = subject_of[point] or subject
    names = sorted({subject for subject in subject_of if subject})
    number_of = {subject: number for number, subject in enumerate(names)}
    numbers = [number_of.get(subject or "", -1) for subject in subject_of]
    return {"subjects": names, "subjectOfPoint": packed(numbers, np.int16)}


def _battle_columns(
    rows: pd.DataFrame, models: Sequence[str], kinds: Sequence[str]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the battles as packed columns, and the distinct texts that they point to."""
    import pandas as pd

    prompts = _prompt_rows(rows)
    prompt_number = {name: number for number, name in enumerate(prompts["question_id"])}
    model_number = {name: number for number, name in enumerate(models)}
    both = pd.concat([rows["response_a"], rows["response_b"]], ignore_index=True)
    response_numbers, responses = pd.factorize(both)
    judge_numbers, judges = pd.factorize(rows["judge"])
    # Score of model A: 2 if it won, 1 for a tie, 0 if it lost.
    score = {"model_a": 2, "model_b": 0}
    columns = {
        "question": packed([prompt_number[name] for name in rows["question_id"]], np.int32),
        "first": packed([model_number[name] for name in rows["model_a"]], np.uint16),
        "second": packed([model_number[name] for name in rows["model_b"]], np.uint16),
        "score": packed([score.get(winner, 1) for winner in rows["winner"]], np.uint8),
        "kind": packed([kinds.index(kind) for kind in rows["judge_kind"]], np.uint8),
        "judge": packed(judge_numbers, np.int32),
        "responseOfFirst": packed(response_numbers[: len(rows)], np.int32),
        "responseOfSecond": packed(response_numbers[len(rows) :], np.int32),
    }
    return columns, {
        "questions": prompts["prompt"].tolist(),
        "responses": [str(text) for text in responses],
        "judges": [str(name) for name in judges],
    }
