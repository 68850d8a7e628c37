"""Tables as values that JSON can hold: rows with a script's names, columns packed as bytes."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.tables import Table
from errclust_pipeline.warehouse.keys import Partition
from errclust_pipeline.warehouse.warehouse import Warehouse

NO_RATE = 255
"""In columns of rates and excesses: not known."""


def in_order(name: str) -> list[int]:
    """Return the numbers in a region's or cluster's name, by which 2.10 comes after 2.9."""
    return [int(part) for part in name.split(".")]


def packed(values: npt.ArrayLike, dtype: Any) -> str:
    """Return an array's bytes, little-endian, in base64."""
    array = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")


def without_nan(value: Any) -> Any:
    """Return a value with None for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return value


def placed(
    values: npt.ArrayLike, positions: npt.ArrayLike, points: int, dtype: Any, missing: float
) -> str:
    """Return a column over the map's points, packed, of values at some positions."""
    own = np.asarray(values, dtype=np.float64)
    whole = np.full(points, float(missing))
    whole[np.asarray(positions, dtype=np.int64)] = np.where(np.isnan(own), missing, own)
    return packed(whole, dtype)


def packed_points(question_map: QuestionMap, question_ids: Iterable[str]) -> str:
    """Return the points of some questions, ascending, packed; what is not on the map has none."""
    known = question_map.position_of
    return packed(sorted(known[one] for one in question_ids if one in known), np.int32)


def in_steps(shares: npt.ArrayLike, positions: npt.ArrayLike, points: int, low: float = 0.0) -> str:
    """Return shares at some positions in steps of 1/250 from `low` on; `NO_RATE` where none is."""
    steps = np.round(np.clip(np.asarray(shares, dtype=np.float64) - low, 0, 1) * 250)
    return placed(steps, positions, points, np.uint8, NO_RATE)


def camel(row: Mapping[str, Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a row with its columns named as a script's properties are."""
    chosen = row if names is None else {name: row[name] for name in names}
    return {
        "".join(
            part.title() if number else part for number, part in enumerate(name.split("_"))
        ): value
        for name, value in chosen.items()
    }


def read_if_there(
    warehouse: Warehouse, table: Table, partition: Partition, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a partition; one that was not computed has no rows, and the report's notes say so."""
    if not warehouse.storage.exists(warehouse.path(table, partition)):
        names = table.schema.names if columns is None else columns
        return pa.schema([table.schema.field(name) for name in names]).empty_table()
    return warehouse.read(table, partition, columns)


def rounded(value: Any) -> Any:
    """Return a number with five digits: of a q value that is small, its size still counts."""
    return float(f"{value:.5g}") if isinstance(value, float) else value
