"""Reads how a benchmark's models compare: signatures by region, and pairs of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from errclust_pipeline.analysis.comparison import seriated
from errclust_pipeline.report.columns import camel, read_if_there, rounded
from errclust_pipeline.tables import MODEL_COMPARISON, MODEL_PAIRS, MODEL_SIGNATURES
from errclust_pipeline.warehouse.keys import BenchmarkPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_PAIR_COLUMNS = (
    "region_id", "questions", "errors_a", "errors_b", "only_a_wrong", "only_b_wrong",
    "difference", "low", "high", "q_worse", "q_gap",
)  # fmt: skip


def read_signatures(
    warehouse: Warehouse, partition: BenchmarkPartition, models: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the models, regions and cells of each level, ordered so that blocks show.

    A cell is the numbers of questions and errors, the excess in points of error rate, and how many
    standard deviations the model's deviation is from zero.
    """
    rows = [
        row
        for row in warehouse.read(MODEL_SIGNATURES, partition).to_pylist()
        if row["model"] in models
    ]
    return [
        _signatures_of_level(level, [row for row in rows if row["level"] == level], models)
        for level in sorted({row["level"] for row in rows})
    ]


def _signatures_of_level(
    level: int, rows: Sequence[Mapping[str, Any]], models: Sequence[str]
) -> dict[str, Any]:
    cells = {(row["region_id"], row["model"]): row for row in rows}
    regions = sorted({region for region, _ in cells})
    deviations = np.array(
        [
            [
                float(cells[region, model]["deviation"]) if (region, model) in cells else 0.0
                for model in models
            ]
            for region in regions
        ]
    )
    ordered_regions = [regions[at] for at in seriated(deviations)]
    ordered_models = [int(at) for at in seriated(deviations.T)]
    return {
        "level": level,
        "models": ordered_models,
        "regions": ordered_regions,
        "cells": [
            [_cell(cells.get((region, models[at]))) for at in ordered_models]
            for region in ordered_regions
        ],
    }


def _cell(row: Mapping[str, Any] | None) -> list[float] | None:
    if row is None or not row["questions"]:
        return None
    return [
        row["questions"],
        row["errors"],
        round(row["excess"], 4),
        round(row["deviation"] / row["standard_deviation"], 2),
    ]


def read_pairs(
    warehouse: Warehouse, partition: BenchmarkPartition, models: Sequence[str]
) -> dict[str, Any]:
    """Return the pairs of models that were compared, each with its regions."""
    regions: dict[tuple[str, str], list[list[Any]]] = {}
    for row in read_if_there(warehouse, MODEL_COMPARISON, partition).to_pylist():
        values = [rounded(row[name]) for name in _PAIR_COLUMNS]
        regions.setdefault((row["model_a"], row["model_b"]), []).append(values)
    return {
        "comparisonColumns": list(_PAIR_COLUMNS),
        "pairs": [
            camel(pair)
            | {
                "modelA": models.index(pair["model_a"]),
                "modelB": models.index(pair["model_b"]),
                "regions": regions.get((pair["model_a"], pair["model_b"]), []),
            }
            for pair in read_if_there(warehouse, MODEL_PAIRS, partition).to_pylist()
            if pair["model_a"] in models and pair["model_b"] in models
        ],
    }
