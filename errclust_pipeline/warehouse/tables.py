"""The tables' data: one Parquet file a partition, written whole or not at all.

::

    <root>/lake/<table>/benchmark=<b>/model=<m>/part-0.parquet   tables kept by model
    <root>/lake/<table>/benchmark=<b>/part-0.parquet             tables that all models share

A battle set's tables lie where a benchmark's would. The columns of each table are declared in
`errclust_pipeline.tables`.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.tables import BATTLE_TABLES, Table
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    SubmissionPartition,
)
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.storage import Storage, hive_folder, hive_values
from errclust_pipeline.warehouse.submissions import submission_partitions

_ROW_GROUP_ROWS = 50_000
_DATA = "part-0.parquet"
_UNSOUND = "unsound.parquet"
_DAMAGE = (pa.ArrowException, OSError)
"""What pyarrow raises when the bytes of a file make no sense."""


class TableWriter:
    """Appends rows to a partition's file that is being written; see `TableStore.writer`.

    Attributes
    ----------
    rows : int
        Number of rows appended so far.
    """

    def __init__(self, table: Table, parquet: pq.ParquetWriter) -> None:
        self._schema = table.schema
        self._parquet = parquet
        self.rows = 0

    def append(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows.

        Raises
        ------
        pyarrow.ArrowInvalid
            If the rows do not fit the table's schema or a required column holds a null.
        """
        if not rows.num_rows:
            return
        data = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        data = data.select(self._schema.names).cast(self._schema)
        data.validate()
        self._parquet.write_table(data, row_group_size=_ROW_GROUP_ROWS)
        self.rows += data.num_rows


class TableStore:
    """The partitions of all tables under one root."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._listings: dict[str, list[SubmissionPartition]] | None = None

    def path(self, table: Table, partition: Partition) -> str:
        """Return the full path of a partition's file."""
        return self.storage.path("lake", table.name, _folder(table, partition), _DATA)

    def partitions(self, table: Table) -> list[Partition]:
        """List all partitions of a table, sorted."""
        if table.by_model:
            return [*self.submissions_in(table)]
        pattern = f"lake/{table.name}/benchmark=*/{_DATA}"
        folders = (path.split("/")[-2] for path in self.storage.glob(pattern))
        kind = BattleSetPartition if table in BATTLE_TABLES else BenchmarkPartition
        return [kind(key) for key in sorted(hive_values(folder)["benchmark"] for folder in folders)]

    def submissions_in(
        self, table: Table, benchmark: str | None = None
    ) -> list[SubmissionPartition]:
        """List the partitions of a table that is kept by model, sorted.

        Parameters
        ----------
        table : Table
        benchmark : str, optional
            Key of the only benchmark to list.

        Raises
        ------
        ValueError
            If the table is shared by all models of a benchmark.
        """
        if not table.by_model:
            raise ValueError(f"table {table.name} is not kept by model")
        folder = (
            "benchmark=*" if benchmark is None else glob.escape(hive_folder(benchmark=benchmark))
        )
        pattern = f"lake/{table.name}/{folder}/model=*/{_DATA}"
        if self._listings is None:
            return submission_partitions(self.storage.glob(pattern))
        if pattern not in self._listings:
            self._listings[pattern] = submission_partitions(self.storage.glob(pattern))
        return list(self._listings[pattern])

    @contextmanager
    def listing_once(self) -> Iterator[None]:
        """List the partitions of each table at most once within this block.

        For code that looks at many partitions and writes none: it would list all the others again
        for each of them.
        """
        self._listings = {}
        try:
            yield
        finally:
            self._listings = None

    @contextmanager
    def writer(
        self, table: Table, partition: Partition, provenance: Provenance
    ) -> Iterator[TableWriter]:
        """Write a partition piece by piece; it replaces the old one when the block ends well.

        A block that appends nothing writes a file with no row: "computed, and there is nothing" is
        not the same as "not computed".
        """
        schema = table.schema.with_metadata(provenance.to_metadata())
        with (
            self.storage.write(self.path(table, partition)) as file,
            pq.ParquetWriter(file, schema, compression="zstd") as parquet,
        ):
            yield TableWriter(table, parquet)

    def write(
        self, table: Table, partition: Partition, rows: pa.Table, provenance: Provenance
    ) -> int:
        """Write a whole partition and return its number of rows."""
        with self.writer(table, partition, provenance) as writer:
            writer.append(rows)
        return writer.rows

    def read(
        self,
        table: Table,
        partition: Partition,
        columns: Sequence[str] | None = None,
        filters: Any = None,
    ) -> pa.Table:
        """Read a partition.

        Parameters
        ----------
        table : Table
        partition : Partition
        columns : sequence of str, optional
            The only columns to read.
        filters : pyarrow.compute.Expression, optional
            Only rows for which it is true are read.

        Raises
        ------
        WarehouseError
            If the partition does not exist, is damaged, or was written without a column by an
            earlier version.
        """
        path = self.path(table, partition)
        wanted = list(columns) if columns is not None else table.schema.names
        if not self.storage.exists(path):
            raise WarehouseError(
                f"table {table.name} has nothing for {partition} yet: "
                f"run `errclust run --benchmark {partition.collection}`"
            )
        # pyarrow gets an open file, not a name: it would open a name twice, for the footer and for
        # the rows, and read garbage from a file that is replaced in between.
        with self.storage.open_for_arrow(path) as file:
            try:
                return pq.read_table(file, columns=wanted, filters=filters)
            except _DAMAGE as error:
                file.seek(0)
                footer = _footer(file)
                written = wanted if footer is None else footer.schema.to_arrow_schema().names
                lacking = [name for name in wanted if name not in written]
                if lacking:
                    raise WarehouseError(
                        f"table {table.name} of {partition} has no column {', '.join(lacking)}: it "
                        "was written by an earlier version of errclust; bring it up to date with "
                        f"`errclust run --benchmark {partition.collection}`"
                    ) from None
                raise WarehouseError(
                    f"{path} is damaged ({error}): delete it and run `errclust run --benchmark "
                    f"{partition.collection}`, which computes it again"
                ) from error

    def provenance(self, table: Table, partition: Partition) -> Provenance | None:
        """Return what a partition was computed from; None if it does not exist or is damaged."""
        footer = self._footer_of(table, partition)
        return None if footer is None else Provenance.from_metadata(footer.metadata)

    def count(self, table: Table, partition: Partition) -> int | None:
        """Return a partition's number of rows; None if it does not exist or is damaged."""
        footer = self._footer_of(table, partition)
        return None if footer is None else int(footer.num_rows)

    def _footer_of(self, table: Table, partition: Partition) -> pq.FileMetaData | None:
        path = self.path(table, partition)
        if not self.storage.exists(path):
            return None
        with self.storage.open_for_arrow(path) as file:
            return _footer(file)

    def set_aside(self, table: Table, partition: Partition) -> str:
        """Take an unsound partition out of use; its file stays in the folder, to be looked into.

        Returns
        -------
        str
            The file's new path.
        """
        path = self.path(table, partition)
        aside = _aside(path)
        self.storage.rename(path, aside)
        return aside

    def remove(self, table: Table, partition: Partition) -> int:
        """Remove a partition's file, and the one that was set aside; return how many there were."""
        path = self.path(table, partition)
        paths = [existing for existing in (path, _aside(path)) if self.storage.exists(existing)]
        for existing in paths:
            self.storage.remove(existing)
        return len(paths)


def _footer(file: pa.NativeFile) -> pq.FileMetaData | None:
    """Return a Parquet file's metadata; None if it is damaged, which counts as lost."""
    try:
        return pq.ParquetFile(file).metadata
    except _DAMAGE:
        return None


def _aside(path: str) -> str:
    return f"{path.rpartition('/')[0]}/{_UNSOUND}"


def _folder(table: Table, partition: Partition) -> str:
    if not table.by_model:
        return hive_folder(benchmark=partition.collection)
    if not isinstance(partition, SubmissionPartition):
        raise ValueError(f"{partition}: a partition of table {table.name} needs a model as well")
    return hive_folder(benchmark=partition.benchmark, model=partition.model)
