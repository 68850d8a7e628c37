"""Stage 1: a submission's files, read into the canonical `responses` and `rejects`."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.compute as pc

from errclust_pipeline.assets.materialization import materialized, retry_what_is_transient
from errclust_pipeline.partitions import BENCHMARK_BY_MODEL, partition_of
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.resources.hub import on_this_machine
from errclust_pipeline.resources.warehouse_resource import WarehouseResource
from errclust_pipeline.sources import SourceError, read_submission
from errclust_pipeline.sources.base import file_fingerprint, with_sources
from errclust_pipeline.stages import RAW_RESULTS, provenance
from errclust_pipeline.tables import REJECTS, RESPONSES

_SCORE_TOLERANCE = 1e-6


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
    recorded, fingerprint = store.submission(partition)
    submission = on_this_machine(recorded)
    made_from = provenance(RAW_RESULTS, store, warehouse.settings(), partition)
    files = [Path(file) for file in submission.files]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SourceError(
            f"{missing[0]} is gone since it was ingested: put it back, or ingest the submission "
            "from where it is now (`errclust ingest PATH`; --copy keeps a copy)"
        )
    if file_fingerprint(*files) != fingerprint:
        raise SourceError(
            f"{files[0]} changed since it was ingested: run `errclust ingest` on it again"
        )

    counter = ProgressCounter("reading", None, "rows", context.log.info)
    passed_over = correct = 0
    score = 0.0
    preview = None
    with ExitStack() as stack:
        # The block ends in reverse order: rejects get their name before responses do.
        responses = stack.enter_context(store.writer(RESPONSES, partition, made_from))
        rejects = stack.enter_context(store.writer(REJECTS, partition, made_from))
        for batch in with_sources(read_submission(submission), submission.files, recorded.files):
            responses.append(batch.responses)
            rejects.append(batch.rejects)
            passed_over += batch.passed_over
            correct += batch.responses.column("correct").true_count
            score += pc.sum(batch.responses.column("score")).as_py() or 0.0
            preview = preview or batch.responses
            counter.advance(batch.responses.num_rows + batch.rejects.num_rows)
    if rejects.rows:
        context.log.warning(f"{rejects.rows:,} rows could not be used: see table rejects")
    published = submission.options.get("published")
    if published is not None:
        differs = _differs_from_published(published, responses.rows, score)
        if differs:
            context.log.warning(differs)
    return materialized(
        store,
        RESPONSES,
        partition,
        made_from,
        responses.rows,
        preview,
        {
            "model": submission.model,
            "benchmark": submission.benchmark,
            "accuracy": correct / responses.rows if responses.rows else None,
            "published_score": None if published is None else published["score"],
            "errors": responses.rows - correct,
            "rejects": rejects.rows,
            "passed_over": passed_over,
            "reader": submission.reader,
        },
    )


def _differs_from_published(published: Mapping[str, float], rows: int, score: float) -> str | None:
    """Say if rows and their mean score are not those that the leaderboard published."""
    mean = score / max(rows, 1)
    if rows == published["rows"] and abs(mean - published["score"]) < _SCORE_TOLERANCE:
        return None
    return (
        f"{rows:,} rows score {mean:.4f} on average, but the leaderboard published "
        f"{published['score']:.4f} of {published['rows']:,.0f} rows: some are missing here, or "
        "were scored anew there"
    )
