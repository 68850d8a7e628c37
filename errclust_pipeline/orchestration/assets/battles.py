"""A battle set's files, read into the canonical `battles` and `battle_rejects`."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.hub.recorded import with_local_files
from errclust_pipeline.ingestion.record import check_unchanged
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.assets.reading import write_read
from errclust_pipeline.orchestration.partitions import BATTLE_SETS, battle_set_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.sources.base import renamed_sources
from errclust_pipeline.sources.battles import read_battles
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import BATTLES_STAGE
from errclust_pipeline.tables import BATTLES

_COUNTED = ("winner", "judge_kind", "model_a", "model_b", "question_id")


@dg.asset(
    name="battles",
    partitions_def=BATTLE_SETS,
    group_name="submissions",
    kinds={"python", "parquet"},
    code_version=BATTLES_STAGE.code_version,
)
@retry_what_is_transient
def battles(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Verdicts on pairs of responses, one schema for all sources, and unusable rows."""
    store, partition = warehouse.open(), battle_set_of(context)
    recorded, fingerprint = store.submission(partition)
    submission = with_local_files(recorded)
    made_from = provenance(BATTLES_STAGE, store, warehouse.settings(), partition)
    check_unchanged(submission, fingerprint)

    counter = ProgressCounter("reading", None, "battles", context.log.info)
    winners: Counter[str] = Counter()
    judges: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    models: set[str] = set()
    prompts: set[str] = set()
    preview = None

    def tallied() -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        nonlocal preview
        for batch in read_battles(submission):
            columns = {name: batch.battles[name].to_pylist() for name in _COUNTED}
            winners.update(columns["winner"])
            judges.update(columns["judge_kind"])
            models.update(columns["model_a"], columns["model_b"])
            prompts.update(columns["question_id"])
            reasons.update(batch.rejects["reason"].to_pylist())
            preview = preview or batch.battles
            files, names = submission.files, recorded.files
            yield (
                renamed_sources(batch.battles, files, names),
                renamed_sources(batch.rejects, files, names),
            )

    limit = warehouse.settings().submissions.block_above_rejects
    rows, rejects = write_read(
        store, BATTLES_STAGE, partition, made_from, tallied(), limit, counter
    )
    if rejects:
        context.log.warning(f"{rejects:,} verdicts could not be used: see battle_rejects")
    return materialized(
        store,
        BATTLES,
        partition,
        made_from,
        rows,
        preview,
        {
            "battle_set": submission.benchmark,
            "models": len(models),
            "prompts": len(prompts),
            "winners": dict(winners),
            "judges": dict(judges),
            "rejects": rejects,
            "reasons": dict(reasons),
            "reader": submission.reader,
        },
        lambda: asset_summaries.summarize_battles(winners, judges, rejects),
    )
