"""The warehouse: all that is kept under one data root.

::

    <root>/submissions/…        what was ingested, and from where      (`warehouse.submissions`)
    <root>/lake/…               the tables, as Parquet                 (`warehouse.tables`)
    <root>/catalog.duckdb       one SQL view a table, no data          (`warehouse.catalog`)
    <root>/embedding_store/…    every text's embedding, once           (`embedding.store`)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from errclust_pipeline.tables import (
    BATTLE_REJECTS,
    BATTLE_TABLES,
    BATTLES,
    REJECTS,
    RESPONSES,
    TABLES,
    Table,
)
from errclust_pipeline.warehouse.catalog import Catalog
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    RecordedPartition,
    benchmarks_of,
)
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.submissions import SubmissionRecords
from errclust_pipeline.warehouse.tables import TableStore, TableWriter


class Warehouse(SubmissionRecords, TableStore, Catalog):
    """Submissions, tables and their catalog under one root.

    Parameters
    ----------
    root : str
        A local path or an fsspec URL (``s3://…``).
    """

    def __init__(self, root: str) -> None:
        storage = Storage(root)
        SubmissionRecords.__init__(self, storage)
        TableStore.__init__(self, storage)
        Catalog.__init__(self, storage)

    @contextmanager
    def writer(
        self, table: Table, partition: Partition, provenance: Provenance
    ) -> Iterator[TableWriter]:
        """Write a partition as `TableStore.writer` does; publish the view of a new table."""
        is_first = not self.storage.exists(self.storage.path("lake", table.name))
        with super().writer(table, partition, provenance) as writer:
            yield writer
        if is_first:
            self.publish_catalog(table)

    def forget(self, partition: RecordedPartition) -> int:
        """Remove a submission or battle set: its record, the copies of its files, its tables.

        The tables that the models of a benchmark share are removed with its last submission.

        Returns
        -------
        int
            Number of files of tables that were removed.
        """
        where: dict[str, Partition]
        if isinstance(partition, BattleSetPartition):
            where = {table.name: partition for table in BATTLE_TABLES}
        else:
            benchmark = BenchmarkPartition(partition.benchmark)
            is_last = benchmark not in benchmarks_of({*self.submissions()} - {partition})
            where = {
                table.name: partition if table.by_model else benchmark
                for table in TABLES.values()
                if table not in BATTLE_TABLES and (table.by_model or is_last)
            }
        removed = sum(self.remove(TABLES[name], place) for name, place in where.items())
        # The record goes last, so that this can be done again if it is interrupted.
        self.remove_record(partition)
        return removed

    def reject_counts(self, partition: Partition) -> tuple[int, int]:
        """Return how many of a submission's rows could not be used, and how many it has."""
        of_battles = isinstance(partition, BattleSetPartition)
        tables = (BATTLE_REJECTS, BATTLES) if of_battles else (REJECTS, RESPONSES)
        rejects, usable = (self.count(table, partition) or 0 for table in tables)
        return rejects, rejects + usable
