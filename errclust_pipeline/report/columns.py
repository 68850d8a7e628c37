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
"""Stands for an unknown value in columns of rates and excesses."""


def in_order(name: str) -> list[int]:
    """Return the numbers in the name of a region or cluster, which sort 2.10 after 2.9."""
    return [int(part) for part in name.split(".")]


def packed(values: npt.ArrayLike, dtype: Any) -> str:
    """Return an array's bytes, little-endian, in base64."""
    array = np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(array.tobytes()).decode("ascii")


def unpacked(text: str, dtype: str) -> npt.NDArray[Any]:
    """Return the array whose bytes `packed` has put into a text."""
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def without_nan(value: Any) -> Any:
    """Return a value in which None replaces NaN and infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def placed(
    values: npt.ArrayLike, positions: npt.ArrayLike, points: int, dtype: Any, missing: float
) -> str:
    """Return a packed column over the map's points, given values at some of their positions.

    Parameters
    ----------
    values : array, shape (n,)
        NaN counts as missing.
    positions : int array, shape (n,)
    points : int
        Number of points on the map, the length of the column.
    dtype : dtype
        Type of the packed column.
    missing : float
        Value of points without one.
    """
    known = np.asarray(values, dtype=np.float64)
    whole = np.full(points, float(missing))
    whole[np.asarray(positions, dtype=np.int64)] = np.where(np.isnan(known), missing, known)
    return packed(whole, dtype)


def packed_points(question_map: QuestionMap, question_ids: Iterable[str]) -> str:
    """Return the points of those questions that are on the map, ascending and packed."""
    position_of = question_map.position_of
    return packed(sorted(position_of[name] for name in question_ids if name in position_of), "i4")


def in_steps(shares: npt.ArrayLike, positions: npt.ArrayLike, points: int, low: float = 0.0) -> str:
    """Return a packed column of shares in steps of 1/250 above `low`; `NO_RATE` if unknown."""
    steps = np.round(np.clip(np.asarray(shares, dtype=np.float64) - low, 0, 1) * 250)
    return placed(steps, positions, points, np.uint8, NO_RATE)


def camel(row: Mapping[str, Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a row, or some of its columns, with names in the camel case of scripts."""
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
    """Read a partition, without rows if it was not computed, which the report's notes say."""
    if not warehouse.storage.exists(warehouse.path(table, partition)):
        names = table.schema.names if columns is None else columns
        return pa.schema([table.schema.field(name) for name in names]).empty_table()
    return warehouse.read(table, partition, columns)


def rounded(value: Any) -> Any:
    """Return a number with five significant digits, so that small q values keep their size."""
    return float(f"{value:.5g}") if isinstance(value, float) else value
