"""Stage 1: a submission's files, read into the canonical `responses` and `rejects`."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.assets.materialization import materialized, retry_what_is_transient
from errclust_pipeline.assets.reading import write_read
from errclust_pipeline.ingest import check_unchanged
from errclust_pipeline.partitions import BENCHMARK_BY_MODEL, partition_of
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.resources.warehouse_resource import WarehouseResource
from errclust_pipeline.sources import read_submission
from errclust_pipeline.stages import RAW_RESULTS, provenance
from errclust_pipeline.tables import RESPONSES


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    group_name="submissions",
    kinds={"python", "parquet"},
    code_version=RAW_RESULTS.code_version,
)
@retry_what_is_transient
def raw_results(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Responses of a model to a benchmark, one schema for all sources, and unusable rows."""
    store, partition = warehouse.open(), partition_of(context)
    submission, fingerprint = store.submission(partition)
    made_from = provenance(RAW_RESULTS, store, warehouse.settings(), partition)
    check_unchanged(submission, fingerprint)

    counter = ProgressCounter("reading", None, "rows", context.log.info)
    limit = warehouse.settings().submissions.block_above_rejects
    passed_over = correct = 0
    preview = None

    def tallied() -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        nonlocal passed_over, correct, preview
        for batch in read_submission(submission):
            passed_over += batch.passed_over
            correct += batch.responses.column("correct").true_count
            preview = preview or batch.responses
            yield batch.responses, batch.rejects

    responses, rejects = write_read(
        store, RAW_RESULTS, partition, made_from, tallied(), limit, counter
    )
    if rejects:
        context.log.warning(f"{rejects:,} rows could not be used: see table rejects")
    return materialized(
        store,
        RESPONSES,
        partition,
        made_from,
        responses,
        preview,
        {
            "model": submission.model,
            "benchmark": submission.benchmark,
            "accuracy": correct / responses if responses else None,
            "errors": responses - correct,
            "rejects": rejects,
            "passed_over": passed_over,
            "reader": submission.reader,
        },
    )
