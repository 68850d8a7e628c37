"""What the report of a battle set shows: ratings, who wins where, and each battle.

As in the report of a benchmark, what there is of every battle is packed in columns, and texts are
kept apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.comparison import seriated
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import (
    ELO,
    JudgedBattles,
    Ratings,
    compare_by_battles,
    residual_by_prompt,
)
from errclust_pipeline.analysis.spatial import local_averages, neighbourhood_size
from errclust_pipeline.report.columns import (
    camel,
    in_order,
    in_steps,
    packed,
    placed,
    rounded,
    without_nan,
)
from errclust_pipeline.report.contents import (
    ReportContents,
    TextLengths,
    cut,
    described_regions,
    map_places,
    stale_notes,
)
from errclust_pipeline.settings import load_settings
from errclust_pipeline.tables import (
    BATTLE_REGIONS,
    BATTLES,
    PROMPT_MAP,
    PROMPT_REGIONS,
    RATINGS,
    REGIONAL_RATINGS,
)
from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map
from errclust_pipeline.vocabulary import JUDGE_KINDS
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRS = 60
"""Of models compared by their own battles, those that met on the most prompts first."""
FEWEST_PROMPTS = 10
"""On which two models must have met for that."""

_TOPIC_COLUMNS = (
    "region_id", "battles", "prompts", "models", "likelihood_ratio", "degrees_of_freedom",
    "p_independent", "p", "q",
)  # fmt: skip
_CELL_COLUMNS = (
    "battles", "prompts", "win_rate", "low", "high", "expected", "shift", "p", "q",
)  # fmt: skip
_PAIR_COLUMNS = ("level", "region_id", "battles", "win_rate", "low", "high", "expected", "q")


class BattleContents(ReportContents):
    """All that the report of a battle set shows."""

    def texts_cut(self, lengths: TextLengths) -> dict[str, Any]:
        """Return the texts, each cut to a length; what was cut says how long it was."""
        return {
            "questions": [cut(text, lengths.question) for text in self.texts["questions"]],
            "responses": [cut(text, lengths.response) for text in self.texts["responses"]],
            "judges": [cut(text, lengths.answer) for text in self.texts["judges"]],
        }


def read_battle_contents(warehouse: Warehouse, battle_set: BattleSetPartition) -> BattleContents:
    """Read what a report of a battle set shows.

    Raises
    ------
    WarehouseError
        If its map or its ratings were not made yet.
    """
    settings = load_settings(warehouse.storage)
    alpha = settings.for_benchmark(battle_set.name).statistics.fdr
    prompts = read_prompt_map(warehouse, battle_set)
    ratings = warehouse.read(RATINGS, battle_set).to_pandas()
    regions = warehouse.read(PROMPT_REGIONS, battle_set).to_pylist()
    regions.sort(key=lambda row: in_order(row["region_id"]))
    verdicts = read_judged_battles(warehouse, battle_set, prompts)
    rows = warehouse.read(BATTLES, battle_set).to_pandas()
    rows = rows[rows["question_id"].isin(list(prompts.position_of))].reset_index(drop=True)
    kinds = [kind for kind in JUDGE_KINDS if kind in verdicts]
    # Best first, by the kind of judges that comes first; who met only the others' last.
    ranked = ratings.assign(kind=ratings["judge_kind"].map(kinds.index))
    ranked = ranked.sort_values(["kind", "rating"], ascending=[True, False], kind="stable")
    models = list(dict.fromkeys(ranked["model"]))
    questions, texts = _prompts(rows, prompts)
    fought, said = _battles(rows, models, kinds, questions["row_of"])
    of_kind = {kind: one.rate() for kind, one in verdicts.items()}
    subjects = _subjects(verdicts, len(prompts))
    numbers = {
        "kind": "battles",
        "benchmark": battle_set.name,
        "fdr": alpha,
        "scales": [],
        "points": len(prompts),
        "elo": round(ELO * float(np.log(10))),
        "notes": stale_notes(
            warehouse, settings, [battle_set], {"battles", "prompt_map", "ratings"}
        ),
        "map": map_places(
            warehouse, PROMPT_MAP, battle_set, prompts, [row["region_id"] for row in regions]
        ),
        "questions": questions["numbers"]
        | {
            "subjects": subjects["names"],
            "subjectOfPoint": packed(subjects["of_point"], np.int16),
        },
        "regions": described_regions(regions),
        "judgeKinds": kinds,
        "battles": fought,
        "models": [
            {
                "model": name,
                "ratings": {
                    row["judge_kind"]: camel(row)
                    for row in ratings[ratings["model"] == name].to_dict("records")
                },
                "maps": {
                    kind: _on_map(one, of_kind[kind], prompts, name, alpha)
                    for kind, one in verdicts.items()
                    if name in one.battles.models
                },
            }
            for name in models
        ],
        "differenceErrors": {
            kind: _difference_errors(one, models) for kind, one in of_kind.items()
        },
        "topicColumns": _TOPIC_COLUMNS,
        "cellColumns": _CELL_COLUMNS,
        "topics": _topics(warehouse, battle_set, kinds, models),
        "pairColumns": _PAIR_COLUMNS,
        "fewestPrompts": FEWEST_PROMPTS,
        "pairs": {kind: _pairs(one, prompts, models) for kind, one in verdicts.items()},
    }
    return BattleContents(without_nan(numbers), {**texts, **said})


def _prompts(
    rows: pd.DataFrame, prompts: QuestionMap
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    distinct = rows.drop_duplicates("question_id")
    ids = distinct["question_id"].tolist()
    row_of = {name: number for number, name in enumerate(ids)}
    numbers = {
        "point": packed([prompts.position_of[name] for name in ids], np.int32),
        "ofPoint": packed([row_of.get(name, -1) for name in prompts.question_ids], np.int32),
    }
    return {"row_of": row_of, "numbers": numbers}, {"questions": distinct["prompt"].tolist()}


def _subjects(verdicts: Mapping[str, JudgedBattles], points: int) -> dict[str, Any]:
    """Return the subject of each point as the tests by subject have it."""
    found: list[str | None] = [None] * points
    for own in verdicts.values():
        for point, subject in enumerate(own.subjects()):
            found[point] = found[point] or subject
    names = sorted({subject for subject in found if subject})
    number_of = {subject: number for number, subject in enumerate(names)}
    return {"names": names, "of_point": [number_of.get(one or "", -1) for one in found]}


def _battles(
    rows: pd.DataFrame, models: Sequence[str], kinds: Sequence[str], row_of: Mapping[str, int]
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the battles as columns, and the distinct texts that they point to."""
    import pandas as pd

    number_of = {name: number for number, name in enumerate(models)}
    both = pd.concat([rows["response_a"], rows["response_b"]], ignore_index=True)
    codes, responses = pd.factorize(both)
    judges, names = pd.factorize(rows["judge"])
    score = {"model_a": 2, "model_b": 0}
    columns: dict[str, Any] = {
        "question": packed([row_of[one] for one in rows["question_id"]], np.int32),
        "first": packed([number_of[one] for one in rows["model_a"]], np.uint16),
        "second": packed([number_of[one] for one in rows["model_b"]], np.uint16),
        # Of model A: 2 won, 1 a tie, 0 lost.
        "score": packed([score.get(one, 1) for one in rows["winner"]], np.uint8),
        "kind": packed([kinds.index(one) for one in rows["judge_kind"]], np.uint8),
        "judge": packed(judges, np.int32),
        "responseOfFirst": packed(codes[: len(rows)], np.int32),
        "responseOfSecond": packed(codes[len(rows) :], np.int32),
    }
    return columns, {
        "responses": [str(text) for text in responses],
        "judges": [str(name) for name in names],
    }


def _on_map(
    own: JudgedBattles, ratings: Ratings, prompts: QuestionMap, model: str, alpha: float
) -> dict[str, Any]:
    """Return a model's wins as columns over the map: own, around, and beyond its rating.

    `won` is the share of its battles on the prompt in steps of 1/250, `around` its mean over the
    neighbours, `beyond` that of the share less what ratings expect, from -0.5 to 0.5, and `hot` 1,
    -1 or 0 where the latter is high, low or neither.
    """
    points = len(prompts)
    at = np.arange(points)
    battles = own.battles
    number = battles.number(model)
    mine = (battles.first == number) | (battles.second == number)
    score = np.where(battles.first == number, battles.score, 1 - battles.score)
    fought = np.bincount(battles.prompts[mine], minlength=points)
    won = np.full(points, np.nan)
    np.divide(
        np.bincount(battles.prompts[mine], score[mine], points), fought, out=won, where=fought > 0
    )
    surprise = np.full(points, np.nan)
    found = residual_by_prompt(battles, ratings, model)
    surprise[: len(found)] = found
    columns = {"won": in_steps(won, at, points), "k": 0}
    k = neighbourhood_size(points, prompts.neighbours.shape[1])
    if not k:
        return columns
    local = local_averages(surprise, prompts.neighbours, k)
    hot = (local.q_high < alpha).astype(int) - (local.q_low < alpha)
    return columns | {
        "k": k,
        "around": in_steps(local_averages(won, prompts.neighbours, k).average, at, points),
        "beyond": in_steps(local.average, at, points, -0.5),
        "hot": placed(hot, at, points, np.int8, 0),
    }


def _difference_errors(ratings: Ratings, models: Sequence[str]) -> str:
    """Return half of the 95 % interval of each two models' difference; NaN if not comparable."""
    whole = np.full((len(models), len(models)), np.nan)
    at = np.array([models.index(name) for name in ratings.models])
    variance = np.diag(ratings.covariance)
    spread = variance[:, None] + variance[None, :] - 2 * ratings.covariance
    half = ratings.quantile * np.sqrt(np.clip(spread, 0, None))
    half[ratings.component[:, None] != ratings.component[None, :]] = np.nan
    whole[np.ix_(at, at)] = half
    return packed(whole, np.float32)


def _topics(
    warehouse: Warehouse,
    battle_set: BattleSetPartition,
    kinds: Sequence[str],
    models: Sequence[str],
) -> dict[str, list[dict[str, Any]]]:
    """Return, by kind of judges, each level's regions with their test, and the models' cells.

    Regions and models stand in an order that shows blocks.
    """
    regions = warehouse.read(BATTLE_REGIONS, battle_set).to_pandas()
    rows = warehouse.read(REGIONAL_RATINGS, battle_set).to_pandas()
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for (kind, level), tested in regions.groupby(["judge_kind", "level"], sort=True):
        own = rows[(rows["judge_kind"] == kind) & (rows["level"] == level)]
        names = tested["region_id"].tolist()
        matrix = np.zeros((len(names), len(models)))
        cells: dict[tuple[int, int], list[Any]] = {}
        where = {name: at for at, name in enumerate(names)}
        number = {name: at for at, name in enumerate(models)}
        for row in own.to_dict("records"):
            cell = where[row["region_id"]], number[row["model"]]
            matrix[cell] = row["win_rate"] - row["expected"]
            cells[cell] = [rounded(row[name]) for name in _CELL_COLUMNS]
        row_order, column_order = seriated(matrix), seriated(matrix.T)
        found[kind].append(
            {
                "level": int(level),
                "spread": float(tested["spread"].iloc[0]),
                "models": [int(at) for at in column_order],
                "regions": [names[at] for at in row_order],
                "tests": [
                    [rounded(tested.iloc[at].to_dict()[name]) for name in _TOPIC_COLUMNS]
                    for at in row_order
                ],
                "cells": [
                    [cells.get((int(row), int(column))) for column in column_order]
                    for row in row_order
                ],
            }
        )
    return found


def _pairs(own: JudgedBattles, prompts: QuestionMap, models: Sequence[str]) -> list[dict[str, Any]]:
    """Compare the models that met on the most prompts by their battles with each other."""
    battles = own.battles
    low, high = (pick(battles.first, battles.second) for pick in (np.minimum, np.maximum))
    met = np.unique(np.column_stack([low, high, battles.prompts]), axis=0)
    counts = Counter(map(tuple, met[:, :2].tolist()))
    found = []
    for (first, second), shared in counts.most_common(MOST_PAIRS):
        if shared < FEWEST_PROMPTS:
            break
        names = [battles.models[one] for one in (first, second)]
        names.sort(key=models.index)
        between = own.between(*names)
        if between is None:
            continue
        # Of the regions only win rates are shown, for which no spread has to be chosen.
        overall, regions = compare_by_battles(between, prompts, names[0], names[1], spread=0.0)
        found.append(
            {
                "modelA": models.index(names[0]),
                "modelB": models.index(names[1]),
                **camel(overall),
                "regions": [[rounded(row[name]) for name in _PAIR_COLUMNS] for row in regions],
            }
        )
    return found
