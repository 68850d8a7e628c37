"""Asset checks: what must hold of every partition before anything is made from it."""

import warnings
from collections.abc import Mapping

import dagster as dg
import pyarrow as pa

from errclust_pipeline.orchestration.partitions import (
    BATTLE_SETS,
    BENCHMARK_BY_MODEL,
    BENCHMARKS,
    submission_from_key,
)
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.stages import STAGES, Stage
from errclust_pipeline.stages.declarations import BATTLE_STAGES, BATTLES_STAGE, RAW_RESULTS_STAGE
from errclust_pipeline.tables import (
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERRORS,
    QUESTIONS,
    RESPONSES,
    Table,
)
from errclust_pipeline.tables.soundness import problems_of
from errclust_pipeline.warehouse.keys import BattleSetPartition, BenchmarkPartition, Partition
from errclust_pipeline.warehouse.warehouse import Warehouse

_SAME_NUMBER: Mapping[str, tuple[Table, str]] = {
    "error_embeddings": (ERRORS, "errors"),
    "question_map": (QUESTIONS, "questions"),
}
"""By asset, the table that its own must have as many rows as."""


def _partitions(stage: Stage) -> dg.PartitionsDefinition[str]:
    if stage in BATTLE_STAGES:
        return BATTLE_SETS
    return BENCHMARK_BY_MODEL if stage.by_model else BENCHMARKS


def _partition(stage: Stage, key: str) -> Partition:
    if stage in BATTLE_STAGES:
        return BattleSetPartition(key)
    return submission_from_key(key) if stage.by_model else BenchmarkPartition(key)


def _soundness_check(stage: Stage) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=stage.asset,
        name="tables_are_sound",
        description=(
            "Unique keys, values in their ranges, and as many rows as the stage before has. A "
            "table that is not sound is set aside, so that nothing is made from it."
        ),
        blocking=True,
        partitions_def=_partitions(stage),
    )
    def check(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        store, partition = warehouse.open(), _partition(stage, context.partition_key)
        own = {table.name: store.read(table, partition) for table in stage.tables}
        problems = [
            f"{table.name}: {one}"
            for table in stage.tables
            for one in problems_of(table, own[table.name])
        ]
        problems += _between_stages(stage, own, store, partition)
        if problems:
            # Nobody may go on with it, in this run or another: it counts as missing now.
            store.set_aside(stage.table, partition)
        return dg.AssetCheckResult(
            passed=not problems,
            description="; ".join(problems) or None,
            metadata={
                "rows": {name: rows.num_rows for name, rows in own.items()},
                "problems": problems,
            },
        )

    return check


def _between_stages(
    stage: Stage, own: Mapping[str, pa.Table], store: Warehouse, partition: Partition
) -> list[str]:
    """Compare a stage's own rows with those of the stages that it reads."""
    if stage.asset == "error_table":
        correct = store.read(RESPONSES, partition, columns=["correct"])["correct"]
        expected = len(correct) - correct.combine_chunks().true_count
        found = own[ERRORS.name].num_rows
        return [] if expected == found else [f"{found} errors of {expected} wrong responses"]
    if stage.asset in _SAME_NUMBER:
        source, what = _SAME_NUMBER[stage.asset]
        found, expected = own[stage.table.name].num_rows, store.count(source, partition)
        return [] if expected == found else [f"{found} rows of {expected} {what}"]
    if stage.asset == "error_clusters":
        errors = store.count(ERRORS, partition)
        found = len(own[ERROR_CLUSTERS.name]["example_id"].unique())
        return [] if errors == found else [f"{found} of {errors} errors have a cluster row"]
    if stage.asset == "cluster_labels":
        clusters = store.read(ERROR_CLUSTERS, partition, columns=["cluster_id"])["cluster_id"]
        named = own[CLUSTER_LABELS.name]["cluster_id"]
        missing = set(clusters.unique().to_pylist()) - set(named.to_pylist()) - {None}
        return [f"{len(missing)} clusters have no label"] if missing else []
    return []


def _reject_check(stage: Stage) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=stage.asset,
        description=(
            "Share of rows that could not be used: above one limit it warns, above a higher one it "
            "stops what follows in the same run ([submissions] in the settings)."
        ),
        blocking=True,
        partitions_def=_partitions(stage),
    )
    def rejects_are_few(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        """Compare the share of rejects with the limits."""
        store, partition = warehouse.open(), _partition(stage, context.partition_key)
        limits = warehouse.settings().submissions
        rejects, rows = store.reject_counts(partition)
        share = rejects / max(rows, 1)
        return dg.AssetCheckResult(
            passed=share <= limits.warn_above_rejects,
            severity=dg.AssetCheckSeverity.ERROR
            if share > limits.block_above_rejects
            else dg.AssetCheckSeverity.WARN,
            description=f"{rejects:,} of {rows:,} rows could not be used ({share:.1%})",
            metadata={"rejects": rejects, "share": share},
        )

    return rejects_are_few


with warnings.catch_warnings():
    # That checks have partitions is new in Dagster, and it says so each time.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [
        *map(_soundness_check, STAGES),
        *map(_reject_check, (RAW_RESULTS_STAGE, BATTLES_STAGE)),
    ]
