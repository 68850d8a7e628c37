"""What a table is, and the registry of all tables.

A table registers itself when it is created. The modules of the families create them; importing
`errclust_pipeline.tables` imports them all.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from errclust_pipeline.tables.column import Column

if TYPE_CHECKING:
    import pandas as pd

Rule = Callable[[pa.Table], list[str]]
"""Takes all rows of a partition and says what is wrong with them, one sentence a problem."""

_REGISTRY: dict[str, Table] = {}
TABLES: Mapping[str, Table] = MappingProxyType(_REGISTRY)
"""Every table, by its name."""


class KeptBy(enum.StrEnum):
    """What one partition, a file of its own, belongs to.

    Partition columns are not among a table's columns: ``benchmark`` and ``model`` stand in the hive
    path (``benchmark=…/model=…``), and every view shows them as text columns. A battle set takes
    the place of a benchmark.
    """

    MODEL = "model"
    """One model on one benchmark."""
    BENCHMARK = "benchmark"
    BATTLE_SET = "battle set"


@dataclass(frozen=True)
class Table:
    """One table. Its name is unique, and two tables are equal if their names are.

    Attributes
    ----------
    name : str
    grain : str
        What one row is.
    key : tuple of str
        The columns that identify a row within a partition.
    columns : tuple of Column
    kept_by : KeptBy
    made_from : tuple of str
        What columns without an origin of their own are made from; see `Column.made_from`.
    rules : tuple of Rule
        What must hold of its rows beyond the columns' ranges and words.

    Raises
    ------
    ValueError
        If another table has the name, a column's name occurs twice or the key names none of the
        columns.
    """

    name: str
    grain: str = field(compare=False)
    key: tuple[str, ...] = field(compare=False)
    columns: tuple[Column, ...] = field(compare=False, repr=False)
    kept_by: KeptBy = field(default=KeptBy.MODEL, compare=False)
    made_from: tuple[str, ...] = field(default=(), compare=False, repr=False)
    rules: tuple[Rule, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"table {self.name} names a column twice: {', '.join(names)}")
        if not set(self.key) <= set(names):
            raise ValueError(f"the key of table {self.name} is not among its columns: {self.key}")
        if self.name in _REGISTRY:
            raise ValueError(f"there are two tables named {self.name}: rename one of them")
        _REGISTRY[self.name] = self

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, each column's description in its metadata."""
        return pa.schema([column.field for column in self.columns])

    @property
    def by_model(self) -> bool:
        """Whether each model has a partition of its own."""
        return self.kept_by is KeptBy.MODEL

    def from_records(self, records: Iterable[Mapping[str, Any]]) -> pa.Table:
        """Return records as rows. NaN becomes null where the column allows nulls, else it stays."""
        optional = {column.name for column in self.columns if column.nullable}
        return pa.Table.from_pylist(
            [
                {
                    name: None if name in optional and value != value else value
                    for name, value in record.items()
                }
                for record in records
            ],
            schema=self.schema,
        )

    def from_frame(self, frame: pd.DataFrame) -> pa.Table:
        """Return a data frame as rows; of its columns those of this table.

        A frame without rows may lack columns.

        Raises
        ------
        KeyError
            If a column is missing.
        pyarrow.ArrowInvalid
            If a value does not fit its column's type.
        """
        if frame.empty:
            return self.schema.empty_table()
        columns = frame[self.schema.names]
        return pa.Table.from_pandas(columns, schema=self.schema, preserve_index=False)

    def column(self, name: str) -> Column:
        """Return the column of a name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name}")

    def paths(self, *names: str) -> tuple[str, ...]:
        """Return columns as ``table.column``, for the `made_from` of other columns.

        Raises
        ------
        KeyError
            If there is no such column.
        """
        return tuple(f"{self.name}.{self.column(name).name}" for name in names)

    def copies(self, *names: str) -> tuple[Column, ...]:
        """Return columns of another table that hold the same values as these."""
        return tuple(replace(self.column(name), made_from=self.paths(name)) for name in names)

    def columns_made_from(
        self, made_from: tuple[str, ...], **of_column: tuple[str, ...]
    ) -> tuple[Column, ...]:
        """Return the columns for another table that holds the same kind of rows.

        Parameters
        ----------
        made_from : tuple of str
            What they are made from there.
        **of_column : tuple of str
            What single columns are made from instead, by name.

        Raises
        ------
        KeyError
            If there is no column of a name.
        """
        for name in of_column:
            self.column(name)
        return tuple(
            replace(column, made_from=of_column.get(column.name, made_from))
            for column in self.columns
        )

    def lineage(self, column: Column) -> tuple[str, ...]:
        """Return what one of the columns is made from: its own origin, or else the table's."""
        return column.made_from or self.made_from
