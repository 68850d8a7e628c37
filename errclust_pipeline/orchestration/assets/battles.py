"""Asset `battles`: a battle set's files, read into `battles` and `battle_rejects`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.hub.recorded import with_local_files
from errclust_pipeline.ingestion.record import check_unchanged
from errclust_pipeline.orchestration.batches import write_batches
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_battle_set
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.sources.base import renamed_sources
from errclust_pipeline.sources.battles import read_battles
from errclust_pipeline.stages.declarations import BATTLES_STAGE

_COUNTED = ("winner", "judge_kind", "model_a", "model_b", "question_id")


@dataclass
class _Tally:
    """What is counted of a battle set while its batches pass."""

    winners: Counter[str] = field(default_factory=Counter)
    judges: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    models: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    preview: pa.RecordBatch | None = None

    def count(
        self, batches: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]]
    ) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """Count batches of battles and rejects, and pass them on."""
        for battles, rejects in batches:
            columns = {name: battles[name].to_pylist() for name in _COUNTED}
            self.winners.update(columns["winner"])
            self.judges.update(columns["judge_kind"])
            self.models.update(columns["model_a"], columns["model_b"])
            self.prompts.update(columns["question_id"])
            self.reasons.update(rejects["reason"].to_pylist())
            self.preview = self.preview or battles
            yield battles, rejects


@stage_asset(BATTLES_STAGE)
def battles(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Verdicts on pairs of responses, one schema for all sources, and unusable rows."""
    target = open_battle_set(context, warehouse)
    recorded, fingerprint = target.warehouse.submission(target.partition)
    submission = with_local_files(recorded)
    check_unchanged(submission, fingerprint)

    tally = _Tally()
    batches = (
        (
            renamed_sources(batch.battles, submission.files, recorded.files),
            renamed_sources(batch.rejects, submission.files, recorded.files),
        )
        for batch in read_battles(submission)
    )
    counter = ProgressCounter("reading", None, "battles", context.log.info)
    rows, rejects = write_batches(target, tally.count(batches), counter)

    if rejects:
        context.log.warning(f"{rejects:,} verdicts could not be used: see table battle_rejects")
    return target.report(
        rows,
        tally.preview,
        {
            "battle_set": submission.benchmark,
            "models": len(tally.models),
            "prompts": len(tally.prompts),
            "winners": dict(tally.winners),
            "judges": dict(tally.judges),
            "rejects": rejects,
            "reasons": dict(tally.reasons),
            "reader": submission.reader,
        },
        lambda: asset_summaries.summarize_battles(tally.winners, tally.judges, rejects),
    )
