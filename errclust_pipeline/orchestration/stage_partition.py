"""One partition of a stage while its asset computes it: what it reads, writes and shows.

An asset opens its partition, reads tables, calls the analysis, and hands the rows to
`StagePartition.materialize`, which writes them and tells Dagster what to show of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import dagster as dg
import pyarrow as pa

from errclust_pipeline.orchestration.partitions import battle_set_of, benchmark_of, submission_of
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.report.asset_summaries import AssetSummary
from errclust_pipeline.settings import BenchmarkSettings, Settings
from errclust_pipeline.stages import STAGES, Stage, StageError, provenance
from errclust_pipeline.tables import Table
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    SubmissionPartition,
)
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.warehouse import Warehouse

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 120

_Kind = TypeVar("_Kind", bound=Partition)


@dataclass
class StagePartition(Generic[_Kind]):
    """One partition of a stage that is being computed.

    Attributes
    ----------
    stage : Stage
    warehouse : Warehouse
    partition : SubmissionPartition, BenchmarkPartition or BattleSetPartition
    settings : Settings
        The project's settings when the computation began.
    provenance : Provenance
        What the partition is made from, as of the same moment. An asset may replace it, for example
        if a language model did not answer everything.
    """

    stage: Stage
    warehouse: Warehouse
    partition: _Kind
    settings: Settings
    provenance: Provenance

    @property
    def chosen(self) -> BenchmarkSettings:
        """The settings of the partition's benchmark or battle set."""
        return self.settings.for_benchmark(self.partition.collection)

    @property
    def title(self) -> str:
        """The partition in words, for the title of a picture."""
        return title_of(self.partition)

    def read(
        self, table: Table, columns: Sequence[str] | None = None, filters: Any = None
    ) -> pa.Table:
        """Read this partition's rows of another stage's table; see `Warehouse.read`."""
        return self.warehouse.read(table, self.partition, columns, filters)

    def materialize(
        self,
        rows: Mapping[Table, pa.Table],
        preview: pa.Table | None,
        metadata: Mapping[str, Any] | None = None,
        summary: Callable[[], AssetSummary] | None = None,
    ) -> dg.MaterializeResult[Any]:
        """Write all tables of the stage, and return the asset's result.

        Parameters
        ----------
        rows : mapping from Table to pyarrow.Table
            The rows of each table of the stage. The stage's own table is written last, so that
            where it exists the others exist too.
        preview, metadata, summary
            See `report`.

        Raises
        ------
        StageError
            If these are not exactly the tables of the stage's row.
        """
        if set(rows) != set(self.stage.tables):
            given, declared = (
                ", ".join(sorted(table.name for table in tables))
                for tables in (rows, self.stage.tables)
            )
            raise StageError(f"{self.stage.asset} writes {given}, but its row declares {declared}")
        for table in reversed(self.stage.tables):
            self.warehouse.write(table, self.partition, rows[table], self.provenance)
        return self.report(rows[self.stage.table].num_rows, preview, metadata, summary)

    def report(
        self,
        number_of_rows: int,
        preview: pa.Table | None,
        metadata: Mapping[str, Any] | None = None,
        summary: Callable[[], AssetSummary] | None = None,
    ) -> dg.MaterializeResult[Any]:
        """Return the asset's result, with what its page in Dagster's UI shows.

        Parameters
        ----------
        number_of_rows : int
            The number of rows in the stage's own table.
        preview : pyarrow.Table, optional
            Rows of which the first `PREVIEW_ROWS` are shown.
        metadata : mapping, optional
            Further values to show, by name.
        summary : callable, optional
            Makes the Markdown that summarizes the partition (`report.asset_summaries`). It is
            called after the tables were written, and may fail without consequence for them.
        """
        made = self.provenance
        shown: dict[str, Any] = {
            # The page shows them in this order.
            **_markdown(summary, self.settings.pictures),
            "dagster/row_count": number_of_rows,
            "dagster/column_schema": column_schema(self.stage.table),
            **column_lineage(self.stage.table),
            "dagster/uri": self.warehouse.path(self.stage.table, self.partition),
            "made_from": dict(made.inputs) | {"settings": dict(made.settings)},
            **(metadata or {}),
        }
        if preview is not None and preview.num_rows:
            shown["preview"] = preview_table(preview)
        return dg.MaterializeResult(metadata=shown, data_version=dg.DataVersion(made.data_version))


def open_submission(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource | None = None,
) -> StagePartition[SubmissionPartition]:
    """Open the partition of a benchmark and a model that an asset is to compute.

    Parameters
    ----------
    embedder : EmbedderResource, optional
        The embedding model that the asset uses, whatever the settings say. It is part of the data
        version.

    Raises
    ------
    WarehouseError
        If something that the stage reads does not exist.
    """
    return _open(context, warehouse, submission_of(context), embedder)


def open_benchmark(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource | None = None,
) -> StagePartition[BenchmarkPartition]:
    """Open the partition of a benchmark that an asset is to compute; see `open_submission`."""
    return _open(context, warehouse, benchmark_of(context), embedder)


def open_battle_set(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource | None = None,
) -> StagePartition[BattleSetPartition]:
    """Open the partition of a battle set that an asset is to compute; see `open_submission`."""
    return _open(context, warehouse, battle_set_of(context), embedder)


def _open(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    partition: _Kind,
    embedder: EmbedderResource | None,
) -> StagePartition[_Kind]:
    stage = STAGES[context.asset_key.to_user_string()]
    store, settings = warehouse.open(), warehouse.settings()
    if embedder is not None:
        settings = settings.with_embedder(embedder.model, embedder.revision)
    made = provenance(stage, store, settings, partition)
    return StagePartition(stage, store, partition, settings, made)


def title_of(partition: Partition) -> str:
    """Return a partition in words, for the title of a picture."""
    if isinstance(partition, SubmissionPartition):
        return f"{partition.model} on {partition.benchmark}"
    return partition.collection


def column_schema(table: Table) -> dg.TableSchema:
    """Return a table's columns, as the Dagster UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def column_lineage(table: Table) -> dict[str, dg.TableColumnLineage]:
    """Return, as metadata, which columns of other assets a table's columns are made from."""
    asset_of = {written.name: stage.asset for stage in STAGES.values() for written in stage.tables}
    sources = {
        column.name: [
            dg.TableColumnDep(dg.AssetKey(asset_of[source]), source_column)
            for source, _, source_column in (path.partition(".") for path in table.lineage(column))
            if source_column
        ]
        for column in table.columns
    }
    known = {name: columns for name, columns in sources.items() if columns}
    return {"dagster/column_lineage": dg.TableColumnLineage(known)} if known else {}


def _markdown(
    summary: Callable[[], AssetSummary] | None, with_pictures: bool
) -> dict[str, dg.MarkdownMetadataValue]:
    if summary is None:
        return {}
    try:
        return {
            name: dg.MetadataValue.md(text if isinstance(text, str) else text())
            for name, text in summary().items()
            if with_pictures or isinstance(text, str)
        }
    except Exception:
        # The tables are written: a picture that cannot be drawn must not fail the asset.
        dg.get_dagster_logger().warning("the summary could not be drawn", exc_info=True)
        return {}


def preview_table(rows: pa.Table) -> dg.TableMetadataValue:
    """Return the first rows as a table of plain text, with long texts cut."""
    records = [
        dg.TableRecord({name: _cell(value) for name, value in row.items()})
        for row in rows.slice(0, PREVIEW_ROWS).to_pylist()
    ]
    return dg.MetadataValue.table(
        records=records,
        schema=dg.TableSchema(columns=[dg.TableColumn(name) for name in rows.column_names]),
    )


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= PREVIEW_CHARACTERS else text[: PREVIEW_CHARACTERS - 1] + "…"
