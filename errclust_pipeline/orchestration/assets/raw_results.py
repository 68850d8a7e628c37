"""Asset `raw_results`: a submission's files, read into the canonical `responses` and `rejects`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.hub.recorded import with_local_files
from errclust_pipeline.ingestion.record import check_unchanged
from errclust_pipeline.orchestration.batches import write_batches
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.sources import read_submission
from errclust_pipeline.sources.base import Batch, with_sources
from errclust_pipeline.sources.scoring import Scoring
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE

_SCORE_TOLERANCE = 1e-6
"""Maximum difference of two mean scores that counts as rounding."""
_OUTCOME = ("subject", "correct")


@dataclass
class _Tally:
    """What is counted of a submission while its batches pass."""

    skipped: int = 0
    correct: int = 0
    score: float = 0.0
    outcomes: Counter[tuple[str | None, bool]] = field(default_factory=Counter)
    preview: pa.RecordBatch | None = None

    def count(self, batches: Iterable[Batch]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """Count batches, and pass on the rows and the rejects of each."""
        for batch in batches:
            self.skipped += batch.skipped
            self.correct += batch.responses.column("correct").true_count
            self.score += pc.sum(batch.responses.column("score")).as_py() or 0.0
            self.outcomes.update(
                zip(*(batch.responses[name].to_pylist() for name in _OUTCOME), strict=True)
            )
            self.preview = self.preview or batch.responses
            yield batch.responses, batch.rejects


@stage_asset(RAW_RESULTS_STAGE)
def raw_results(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Responses of a model to a benchmark, one schema for all sources, and unusable rows."""
    target = open_submission(context, warehouse)
    recorded, fingerprint = target.warehouse.submission(target.partition)
    submission = with_local_files(recorded)
    check_unchanged(submission, fingerprint)

    tally = _Tally()
    batches = with_sources(read_submission(submission), submission.files, recorded.files)
    counter = ProgressCounter("reading", None, "rows", context.log.info)
    responses, rejects = write_batches(target, tally.count(batches), counter)

    if rejects:
        context.log.warning(f"{rejects:,} rows could not be used: see table rejects")
    published = submission.options.get("published")
    if published is not None:
        difference = _difference_from_published(published, responses, tally.score)
        if difference:
            context.log.warning(difference)
    share_right = tally.correct / responses if responses else None
    return target.report(
        responses,
        tally.preview,
        {
            "model": submission.model,
            "benchmark": submission.benchmark,
            "mean_score": tally.score / responses if responses else None,
            "right_at_threshold": share_right,
            "threshold": Scoring.of_options(submission.options).threshold,
            "accuracy": share_right,
            "published_score": None if published is None else published["score"],
            "errors": responses - tally.correct,
            "rejects": rejects,
            "passed_over": tally.skipped,
            "reader": submission.reader,
        },
        lambda: asset_summaries.summarize_responses(tally.outcomes, rejects),
    )


def _difference_from_published(
    published: Mapping[str, float], rows: int, score: float
) -> str | None:
    """Return how rows and their mean score differ from what the leaderboard published, if so."""
    mean = score / max(rows, 1)
    if rows == published["rows"] and abs(mean - published["score"]) < _SCORE_TOLERANCE:
        return None
    return (
        f"{rows:,} rows score {mean:.4f} on average, but the leaderboard published "
        f"{published['score']:.4f} of {published['rows']:,.0f} rows: some are missing here, or the "
        "leaderboard scored them again"
    )
