"""Stage 2: the responses that are wrong, how each fails on its face, and the text to embed."""

from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis import errors
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import ERROR_TABLE_STAGE
from errclust_pipeline.tables import ERRORS, RESPONSES


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["raw_results"],
    group_name="errors",
    kinds={"pandas", "parquet"},
    code_version=ERROR_TABLE_STAGE.code_version,
)
@retry_what_is_transient
def error_table(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Errors: failure form, and the text that is embedded."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(ERROR_TABLE_STAGE, store, settings, partition)
    wrong = store.read(RESPONSES, partition, filters=~pc.field("correct"))
    table = errors.error_table(
        wrong.to_pandas(), settings.for_benchmark(partition.benchmark).errors.text
    )
    rows = pa.Table.from_pandas(table, schema=ERRORS.schema, preserve_index=False)
    store.write(ERRORS, partition, rows, made_from)
    forms = table["failure_form"].value_counts().to_dict()
    return materialized(
        store,
        ERRORS,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["example_id", "failure_form", "question", "gold", "prediction"]),
        {f"failure_form/{form}": int(count) for form, count in forms.items()},
        lambda: asset_summaries.summarize_errors(table),
    )
