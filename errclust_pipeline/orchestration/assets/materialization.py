"""What every asset reports of a partition: version, rows, columns, a preview and a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec

import dagster as dg
import pyarrow as pa

from errclust_pipeline.report.asset_summaries import AssetSummary
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import STAGES
from errclust_pipeline.tables import Table
from errclust_pipeline.warehouse.keys import Partition, SubmissionPartition
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.warehouse import Warehouse

_Parameters = ParamSpec("_Parameters")

TRANSIENT = (ConnectionError, TimeoutError, BlockingIOError, InterruptedError)
"""Errors that another try may do without; a full disk or a missing file is not among them."""
MOST_TRIES_AGAIN = 3
_FIRST_WAIT_SECONDS = 5
PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 120


def retry_what_is_transient(
    compute: Callable[_Parameters, dg.MaterializeResult[Any]],
) -> Callable[_Parameters, dg.MaterializeResult[Any]]:
    """Let an asset be tried again, with growing waits, after an error that may pass by itself.

    All else fails at once: a damaged file is damaged the next time too.
    """

    @wraps(compute)
    def tried(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> dg.MaterializeResult[Any]:
        try:
            return compute(*args, **kwargs)
        except TRANSIENT as error:
            context = dg.AssetExecutionContext.get()
            wait = _FIRST_WAIT_SECONDS * 2**context.op_execution_context.retry_number
            raise dg.RetryRequested(MOST_TRIES_AGAIN, seconds_to_wait=wait) from error

    return tried


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
    asset_of = {written.name: stage.asset for stage in STAGES for written in stage.tables}
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


def told(partition: SubmissionPartition) -> str:
    """Return what a partition is of, for the title of a picture."""
    return f"{partition.model} on {partition.benchmark}"


def materialized(
    warehouse: Warehouse,
    table: Table,
    partition: Partition,
    provenance: Provenance,
    rows: int,
    preview: pa.Table | None,
    metadata: Mapping[str, Any] | None = None,
    summary: Callable[[], AssetSummary] | None = None,
) -> dg.MaterializeResult[Any]:
    """Return an asset's result, with what a reader of its page in the UI wants to see.

    Parameters
    ----------
    preview : pyarrow.Table, optional
        Rows of which the first are shown; None if there are none.
    metadata : mapping, optional
        What else to show.
    summary : callable, optional
        Makes the Markdown that tells the partition's story, by name (`report.asset_summaries`).
    """
    shown: dict[str, Any] = {
        # The page shows them in this order.
        **_markdown(summary, load_settings(warehouse.storage).pictures),
        "dagster/row_count": rows,
        "dagster/column_schema": column_schema(table),
        **column_lineage(table),
        "dagster/uri": warehouse.path(table, partition),
        "made_from": dict(provenance.inputs) | {"settings": dict(provenance.settings)},
        **(metadata or {}),
    }
    if preview is not None and preview.num_rows:
        shown["preview"] = preview_table(preview)
    return dg.MaterializeResult(
        metadata=shown, data_version=dg.DataVersion(provenance.data_version)
    )


def _markdown(
    summary: Callable[[], AssetSummary] | None, with_pictures: bool
) -> dict[str, dg.MarkdownMetadataValue]:
    if summary is None:
        return {}
    try:
        return {
            name: dg.MetadataValue.md(made if isinstance(made, str) else made())
            for name, made in summary().items()
            if with_pictures or isinstance(made, str)
        }
    except Exception:
        # The tables are written: a picture that cannot be drawn must not take them back.
        dg.get_dagster_logger().warning("what to show could not be drawn", exc_info=True)
        return {}


def preview_table(rows: pa.Table) -> dg.TableMetadataValue:
    """Return the first rows as a table of plain text, long texts cut."""
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
