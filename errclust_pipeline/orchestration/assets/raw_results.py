"""Stage 1: a submission's files, read into the canonical `responses` and `rejects`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.hub.recorded import with_local_files
from errclust_pipeline.ingestion.record import check_unchanged
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.assets.reading import write_read
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.sources import read_submission
from errclust_pipeline.sources.base import with_sources
from errclust_pipeline.sources.scoring import Scoring
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE
from errclust_pipeline.tables import RESPONSES

_SCORE_TOLERANCE = 1e-6
_COUNTED = ("subject", "correct")


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    group_name="submissions",
    kinds={"python", "parquet"},
    code_version=RAW_RESULTS_STAGE.code_version,
)
@retry_what_is_transient
def raw_results(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Responses of a model to a benchmark, one schema for all sources, and unusable rows."""
    store, partition = warehouse.open(), submission_of(context)
    recorded, fingerprint = store.submission(partition)
    submission = with_local_files(recorded)
    made_from = provenance(RAW_RESULTS_STAGE, store, warehouse.settings(), partition)
    check_unchanged(submission, fingerprint)

    counter = ProgressCounter("reading", None, "rows", context.log.info)
    limit = warehouse.settings().submissions.block_above_rejects
    passed_over = correct = 0
    score = 0.0
    outcomes: Counter[tuple[str | None, bool]] = Counter()
    preview = None

    def tallied() -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        nonlocal passed_over, correct, score, preview
        read = read_submission(submission)
        for batch in with_sources(read, submission.files, recorded.files):
            passed_over += batch.skipped
            correct += batch.responses.column("correct").true_count
            score += pc.sum(batch.responses.column("score")).as_py() or 0.0
            outcomes.update(
                zip(*(batch.responses[name].to_pylist() for name in _COUNTED), strict=True)
            )
            preview = preview or batch.responses
            yield batch.responses, batch.rejects

    responses, rejects = write_read(
        store, RAW_RESULTS_STAGE, partition, made_from, tallied(), limit, counter
    )
    if rejects:
        context.log.warning(f"{rejects:,} rows could not be used: see table rejects")
    published = submission.options.get("published")
    if published is not None:
        differs = _differs_from_published(published, responses, score)
        if differs:
            context.log.warning(differs)
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
            "mean_score": score / responses if responses else None,
            "right_at_threshold": correct / responses if responses else None,
            "threshold": Scoring.of_options(submission.options).threshold,
            "accuracy": correct / responses if responses else None,
            "published_score": None if published is None else published["score"],
            "errors": responses - correct,
            "rejects": rejects,
            "passed_over": passed_over,
            "reader": submission.reader,
        },
        lambda: asset_summaries.summarize_responses(outcomes, rejects),
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
