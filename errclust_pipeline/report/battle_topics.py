"""What the report of a battle set shows by topic: tests, models' win rates, and pairs of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.comparison import seriated
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import JudgedBattles, compare_by_battles
from errclust_pipeline.report.columns import camel, rounded
from errclust_pipeline.tables import BATTLE_REGIONS, REGIONAL_RATINGS
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRS = 60
"""Maximum number of pairs of models that are compared by their own battles."""
FEWEST_PROMPTS = 10
"""Minimum number of prompts on which the two models of a pair must have met."""
TOPIC_COLUMNS = (
    "region_id", "battles", "prompts", "models", "likelihood_ratio", "degrees_of_freedom",
    "p_independent", "p", "q",
)  # fmt: skip
CELL_COLUMNS = (
    "battles", "prompts", "win_rate", "low", "high", "expected", "shift", "p", "q",
)  # fmt: skip
PAIR_COLUMNS = ("level", "region_id", "battles", "win_rate", "low", "high", "expected", "q")


def read_topics(
    warehouse: Warehouse,
    battle_set: BattleSetPartition,
    kinds: Sequence[str],
    models: Sequence[str],
) -> dict[str, list[dict[str, Any]]]:
    """Return the topics of each level with their tests and the models' cells, by kind of judges.

    Topics and models are ordered so that blocks show.
    """
    tests = warehouse.read(BATTLE_REGIONS, battle_set).to_pandas()
    ratings = warehouse.read(REGIONAL_RATINGS, battle_set).to_pandas()
    topics: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for (kind, level), level_tests in tests.groupby(["judge_kind", "level"], sort=True):
        of_level = (ratings["judge_kind"] == kind) & (ratings["level"] == level)
        topics[kind].append(_topics_of_level(int(level), level_tests, ratings[of_level], models))
    return topics


def _topics_of_level(
    level: int, tests: pd.DataFrame, ratings: pd.DataFrame, models: Sequence[str]
) -> dict[str, Any]:
    names = tests["region_id"].tolist()
    row_of = {name: row for row, name in enumerate(names)}
    column_of = {name: column for column, name in enumerate(models)}
    excess = np.zeros((len(names), len(models)))
    cells: dict[tuple[int, int], list[Any]] = {}
    for rating in ratings.to_dict("records"):
        place = row_of[rating["region_id"]], column_of[rating["model"]]
        excess[place] = rating["win_rate"] - rating["expected"]
        cells[place] = [rounded(rating[name]) for name in CELL_COLUMNS]
    rows = [int(row) for row in seriated(excess)]
    columns = [int(column) for column in seriated(excess.T)]
    test_rows = tests.to_dict("records")
    return {
        "level": level,
        "spread": float(tests["spread"].iloc[0]),
        "models": columns,
        "regions": [names[row] for row in rows],
        "tests": [[rounded(test_rows[row][name]) for name in TOPIC_COLUMNS] for row in rows],
        "cells": [[cells.get((row, column)) for column in columns] for row in rows],
    }


def compare_pairs(
    judged: JudgedBattles, prompts: QuestionMap, models: Sequence[str]
) -> list[dict[str, Any]]:
    """Compare pairs of models by their battles with each other, most shared prompts first."""
    battles = judged.battles
    low, high = (pick(battles.first, battles.second) for pick in (np.minimum, np.maximum))
    met = np.unique(np.column_stack([low, high, battles.prompts]), axis=0)
    shared_prompts = Counter(map(tuple, met[:, :2].tolist()))
    pairs = []
    for numbers, shared in shared_prompts.most_common(MOST_PAIRS):
        if shared < FEWEST_PROMPTS:
            break
        first, second = sorted((battles.models[number] for number in numbers), key=models.index)
        between = judged.between(first, second)
        if between is None:
            continue
        # Only win rates of topics are shown, which do not depend on the spread.
        overall, regions = compare_by_battles(between, prompts, first, second, spread=0.0)
        pairs.append(
            {
                "modelA": models.index(first),
                "modelB": models.index(second),
                **camel(overall),
                "regions": [[rounded(row[name]) for name in PAIR_COLUMNS] for row in regions],
            }
        )
    return pairs
