"""Stage 1: a submission's files, read into the canonical `responses` and `rejects`."""

from collections.abc import Mapping
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
    limit = warehouse.settings().submissions.block_above_rejects
    passed_over = correct = 0
    score = 0.0
    preview = unusable = None
    # Responses come last and only if they may be used; what was rejected is kept in any case.
    with store.writer(RESPONSES, partition, made_from) as responses:
        with store.writer(REJECTS, partition, made_from) as rejects:
            try:
                read = read_submission(submission)
                for batch in with_sources(read, submission.files, recorded.files):
                    responses.append(batch.responses)
                    rejects.append(batch.rejects)
                    passed_over += batch.passed_over
                    correct += batch.responses.column("correct").true_count
                    score += pc.sum(batch.responses.column("score")).as_py() or 0.0
                    preview = preview or batch.responses
                    counter.advance(batch.responses.num_rows + batch.rejects.num_rows)
            except SourceError as error:
                unusable = error
        if unusable is not None:
            raise unusable
        share = rejects.rows / max(rejects.rows + responses.rows, 1)
        if share > limit:
            raise SourceError(
                f"{share:.0%} of the rows of {partition} could not be used, more than {limit:.0%}: "
                "see table rejects for why; mend the file, or raise block_above_rejects in "
                "[submissions]. What was read of it before, if anything, stands"
            )
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
