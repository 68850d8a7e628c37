"""What a table's column holds: its type, role, range, unit, allowed words, origin and meaning.

The facts about a column stand here and nowhere else. The Arrow schema, the check of a written table
(`soundness`), the column lineage in Dagster and the table reference (`reference`) are made from
them. Which columns a table has is said in the module of its family.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SOURCE = "source"
"""Origin of a column that is read from the submitted files, or says where they were read."""

SETTINGS = "settings"
"""Origin of a column that repeats a setting, or follows from settings alone."""

_UNIT_LENGTH_TOLERANCE = 1e-3
_ROUNDING = 1e-9
"""Distance from a range's end that rounding explains, in 64 bits."""
_ROUNDING_IN_32_BITS = 1e-6


class Role(enum.StrEnum):
    """What kind of value a column holds."""

    IDENTIFIER = "identifier"
    """Names a row, a question, a model or a region: a key, a path or a hash."""
    TEXT = "text"
    """Text for people, or for an embedding model."""
    CATEGORY = "category"
    """One of few words; of `Column.words` where the list is closed."""
    FLAG = "flag"
    COUNT = "count"
    """A number of things, or a place in an order."""
    SHARE = "share"
    PROBABILITY = "probability"
    P_VALUE = "p value"
    Q_VALUE = "q value"
    MEASURE = "measure"
    """Any other number: a statistic, an estimate, the end of an interval."""
    VECTOR = "vector"
    TIME = "time"
    RECORDS = "records"
    """Small tables inside the row; `Column.fields` are their columns."""


@dataclass(frozen=True)
class Range:
    """Numbers that a column may hold, both ends included. NaN is in no range."""

    low: float = -np.inf
    high: float = np.inf

    def __str__(self) -> str:
        """Describe the range, e.g. ``0 to 1``."""
        if np.isinf(self.high):
            return f"{self.low:g} or more"
        return f"{self.low:g} to {self.high:g}"


class UnitLength:
    """Range of vectors whose Euclidean norm is 1."""

    def __str__(self) -> str:
        """Describe the range."""
        return "unit length"


FROM_0_TO_1 = Range(0, 1)
FROM_MINUS_1_TO_1 = Range(-1, 1)
NON_NEGATIVE = Range(0)
FROM_1 = Range(1)
UNIT_LENGTH = UnitLength()


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
    description : str
        One or two sentences for a reader of the data who does not know the code.
    type : pyarrow.DataType
    role : Role
    nullable : bool
        Whether a row may have no value. The description says what a null means.
    range : Range or UnitLength or None
        Which numbers it may hold; of a list, its elements.
    unit : str or None
        What the numbers count or measure, e.g. ``questions``.
    words : tuple of str
        The only words it may hold; empty if any text is allowed.
    fields : tuple of Column
        The columns of a nested table.
    made_from : tuple of str
        The columns it is computed from, as ``table.column``, or `SOURCE` or `SETTINGS`. If empty,
        it is made from what its table is made from (`Table.made_from`).
    """

    name: str
    description: str
    type: pa.DataType
    role: Role
    nullable: bool = False
    range: Range | UnitLength | None = None
    unit: str | None = None
    words: tuple[str, ...] = ()
    fields: tuple[Column, ...] = ()
    made_from: tuple[str, ...] = ()

    @property
    def field(self) -> pa.Field:
        """The column in an Arrow schema, with the description as metadata."""
        metadata = {"description": self.description}
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=metadata)

    def problems(self, values: pa.Array | pa.ChunkedArray) -> list[str]:
        """Say which values are outside the range or not among the words; nulls are passed over."""
        return _problems(self, values, self.name)


def _problems(column: Column, values: pa.Array | pa.ChunkedArray, name: str) -> list[str]:
    if isinstance(column.range, UnitLength):
        return _vector_problems(values, name)
    while pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    if column.fields:
        return [
            problem
            for field in column.fields
            for problem in _problems(
                field, pc.struct_field(values, field.name), f"{name}.{field.name}"
            )
        ]
    values = values.drop_null()
    if isinstance(column.range, Range):
        rounding = _ROUNDING_IN_32_BITS if pa.types.is_float32(values.type) else _ROUNDING
        numbers = values.to_numpy()
        inside = (numbers >= column.range.low - rounding) & (
            numbers <= column.range.high + rounding
        )
        outside = int(np.sum(~inside))
        return [f"{outside:,} values of {name} are outside {column.range}"] if outside else []
    if column.words:
        unknown = sorted(set(values.unique().to_pylist()) - set(column.words))
        return [f"unknown {name}: {', '.join(unknown)}"] if unknown else []
    return []


def _vector_problems(vectors: pa.Array | pa.ChunkedArray, name: str) -> list[str]:
    if not len(vectors):
        return []
    lengths = pc.list_value_length(vectors)
    if len(lengths.unique()) > 1:
        return [f"vectors of {name} are of different lengths"]
    numbers = pc.list_flatten(vectors).to_numpy().reshape(len(vectors), -1)
    if not np.isfinite(numbers).all():
        return [f"a vector of {name} is not finite"]
    off = np.abs(np.linalg.norm(numbers, axis=1) - 1) > _UNIT_LENGTH_TOLERANCE
    return [f"{int(off.sum()):,} vectors of {name} are not of unit length"] if off.any() else []


INT64, FLOAT32 = pa.int64(), pa.float32()
_FLOAT64 = pa.float64()

identifier = partial(Column, type=pa.string(), role=Role.IDENTIFIER)
identifiers = partial(Column, type=pa.list_(pa.string()), role=Role.IDENTIFIER)
text = partial(Column, type=pa.string(), role=Role.TEXT)
texts = partial(Column, type=pa.list_(pa.string()), role=Role.TEXT)
category = partial(Column, type=pa.string(), role=Role.CATEGORY)
flag = partial(Column, type=pa.bool_(), role=Role.FLAG)
count = partial(Column, type=pa.int32(), role=Role.COUNT, range=NON_NEGATIVE)
share = partial(Column, type=_FLOAT64, role=Role.SHARE, range=FROM_0_TO_1)
probability = partial(Column, type=_FLOAT64, role=Role.PROBABILITY, range=FROM_0_TO_1)
p_value = partial(Column, type=_FLOAT64, role=Role.P_VALUE, range=FROM_0_TO_1)
q_value = partial(Column, type=_FLOAT64, role=Role.Q_VALUE, range=FROM_0_TO_1)
measure = partial(Column, type=_FLOAT64, role=Role.MEASURE)


def records(name: str, description: str, *fields: Column, made_from: tuple[str, ...]) -> Column:
    """Return a column that holds a list of records with these fields, in every row."""
    type_ = pa.list_(pa.struct([pa.field(field.name, field.type) for field in fields]))
    return Column(name, description, type_, Role.RECORDS, fields=fields, made_from=made_from)
