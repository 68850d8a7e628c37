"""Two models side by side, as `errclust run` has compared them: read from the tables of pairs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from errclust_pipeline.analysis.comparison import Agreement, Gate
from errclust_pipeline.tables import MODEL_COMPARISON, MODEL_PAIRS, PAIR_AUTOCORRELATION, Table
from errclust_pipeline.warehouse.keys import BenchmarkPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_OF_A_AND_B = (
    ("errors_a", "errors_b"),
    ("only_a_wrong", "only_b_wrong"),
    ("p_a_worse", "p_b_worse"),
)
"""Columns of `model_comparison` that are about A and about B."""


@dataclass(frozen=True)
class Comparison:
    """Two models, A and B, as the tables hold them.

    Attributes
    ----------
    agreement : Agreement
    difference, low, high : float
        A's error rate less B's, over all questions that both answered, with its 95 % interval.
    gate : Gate
        Whether the difference varies over the regions of the first level.
    regions : list of dict
        Rows of `model_comparison`, most surely different first.
    autocorrelation : list of dict
        ``k``, ``moran`` and ``z`` of the difference, one a scale.
    """

    agreement: Agreement
    difference: float
    low: float
    high: float
    gate: Gate
    regions: list[dict[str, Any]]
    autocorrelation: list[dict[str, Any]]


def read_comparison(
    store: Warehouse, benchmark: str, model_a: str, model_b: str
) -> Comparison | None:
    """Read how two models compare; None if the pair is not in the tables.

    Parameters
    ----------
    benchmark, model_a, model_b : str
        Keys. The tables hold each pair once, with the more accurate model as A; what they say is
        turned round if the models are given in the other order.

    Raises
    ------
    WarehouseError
        If the tables do not exist.
    """
    names = (model_a, model_b)
    pairs = _read(store, MODEL_PAIRS, benchmark, names)
    is_swapped = not pairs
    if is_swapped:
        names = (model_b, model_a)
        pairs = _read(store, MODEL_PAIRS, benchmark, names)
    if not pairs:
        return None
    [pair] = pairs
    regions = _read(store, MODEL_COMPARISON, benchmark, names)
    difference, low, high = (
        _number(pair[name]) for name in ("difference", "difference_low", "difference_high")
    )
    if is_swapped:
        difference, low, high = _negated(difference), _negated(high), _negated(low)
        regions = [_swap(row) for row in regions]
    fields = [field.name for field in dataclasses.fields(Agreement)]
    return Comparison(
        Agreement(**{name: _number(pair[name]) for name in fields}),
        difference,
        low,
        high,
        _gate(regions, pair["gate_p"]),
        regions,
        [
            {name: _number(value) for name, value in row.items()}
            for row in _read(store, PAIR_AUTOCORRELATION, benchmark, names)
        ],
    )


def _number(value: float | None) -> Any:
    """Return a number of a table; NaN, as it was computed, where the table has null."""
    return math.nan if value is None else value


def _read(
    store: Warehouse, table: Table, benchmark: str, models: tuple[str, str]
) -> list[dict[str, Any]]:
    """Return a pair's rows of a table, without the columns that say which pair it is."""
    is_pair = (pc.field("model_a") == models[0]) & (pc.field("model_b") == models[1])
    columns = [name for name in table.schema.names if name not in ("model_a", "model_b")]
    rows: list[dict[str, Any]] = store.read(
        table, BenchmarkPartition(benchmark), columns, is_pair
    ).to_pylist()
    return rows


def _swap(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of `model_comparison` with A and B exchanged; q values are the same."""
    swapped = dict(row)
    for of_a, of_b in _OF_A_AND_B:
        swapped[of_a], swapped[of_b] = row[of_b], row[of_a]
    for name in ("difference", "overall_difference"):
        swapped[name] = _negated(row[name])
    swapped["low"], swapped["high"] = _negated(row["high"]), _negated(row["low"])
    return swapped


def _negated(number: float) -> float:
    """Return minus a number; 0 stays 0, which is printed without a minus."""
    return 0.0 - number


def _gate(regions: list[dict[str, Any]], p: float) -> Gate:
    """Return the test of the gap's variation; its statistic follows from the regions' counts."""
    counts = [
        (row["only_a_wrong"], row["only_a_wrong"] + row["only_b_wrong"])
        for row in regions
        if row["level"] == 1 and row["only_a_wrong"] + row["only_b_wrong"]
    ]
    alone_a, alone = (sum(numbers) for numbers in zip(*counts, strict=True)) if counts else (0, 0)
    share = alone_a / alone if alone else 0.0
    if share in (0.0, 1.0):
        return Gate(0.0, len(counts), p)
    statistic = sum(
        (of_a - size * share) ** 2 / (size * share * (1 - share)) for of_a, size in counts
    )
    return Gate(statistic, len(counts), p)
