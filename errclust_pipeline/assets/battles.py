"""A battle set's files, read into the canonical `battles` and `battle_rejects`."""

from collections import Counter
from contextlib import ExitStack
from typing import Any

import dagster as dg

from errclust_pipeline.assets.materialization import materialized, retry_what_is_transient
from errclust_pipeline.ingest import check_unchanged
from errclust_pipeline.keys import BattleSet
from errclust_pipeline.partitions import BATTLE_SETS
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.resources.warehouse_resource import WarehouseResource
from errclust_pipeline.sources.battles import read_battles
from errclust_pipeline.stages import BATTLES_STAGE, provenance
from errclust_pipeline.tables import BATTLE_REJECTS, BATTLES


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
    store, partition = warehouse.open(), BattleSet(context.partition_key)
    submission, fingerprint = store.submission(partition)
    made_from = provenance(BATTLES_STAGE, store, warehouse.settings(), partition)
    check_unchanged(submission, fingerprint)

    counter = ProgressCounter("reading", None, "battles", context.log.info)
    winners: Counter[str] = Counter()
    judges: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    models: set[str] = set()
    prompts: set[str] = set()
    preview = None
    with ExitStack() as stack:
        # The block ends in reverse order: rejects get their name before battles do.
        rows = stack.enter_context(store.writer(BATTLES, partition, made_from))
        rejects = stack.enter_context(store.writer(BATTLE_REJECTS, partition, made_from))
        for batch in read_battles(submission):
            rows.append(batch.battles)
            rejects.append(batch.rejects)
            columns = {name: batch.battles[name].to_pylist() for name in _COUNTED}
            winners.update(columns["winner"])
            judges.update(columns["judge_kind"])
            models.update(columns["model_a"], columns["model_b"])
            prompts.update(columns["question_id"])
            reasons.update(batch.rejects["reason"].to_pylist())
            preview = preview or batch.battles
            counter.advance(batch.battles.num_rows + batch.rejects.num_rows)
    if rejects.rows:
        context.log.warning(f"{rejects.rows:,} verdicts could not be used: see battle_rejects")
    return materialized(
        store,
        BATTLES,
        partition,
        made_from,
        rows.rows,
        preview,
        {
            "battle_set": submission.benchmark,
            "models": len(models),
            "prompts": len(prompts),
            "winners": dict(winners),
            "judges": dict(judges),
            "rejects": rejects.rows,
            "reasons": dict(reasons),
            "reader": submission.reader,
        },
    )


_COUNTED = ("winner", "judge_kind", "model_a", "model_b", "question_id")
