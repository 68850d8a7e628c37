"""Asset checks: what must hold of every partition before anything is made from it."""

import warnings
from collections.abc import Mapping

import dagster as dg

from errclust_pipeline.keys import Partition
from errclust_pipeline.partitions import BENCHMARK_BY_MODEL, BENCHMARKS, partition_from_key
from errclust_pipeline.resources.warehouse import Warehouse
from errclust_pipeline.resources.warehouse_resource import WarehouseResource
from errclust_pipeline.stages import RAW_RESULTS, STAGES, Stage
from errclust_pipeline.tables import (
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERROR_EMBEDDINGS,
    ERRORS,
    QUESTION_MAP,
    QUESTIONS,
    REJECTS,
    RESPONSES,
    Table,
)
from errclust_pipeline.tables.soundness import problems_of

_SAME_NUMBER: Mapping[str, tuple[Table, Table, str]] = {
    "error_embeddings": (ERROR_EMBEDDINGS, ERRORS, "errors"),
    "question_map": (QUESTION_MAP, QUESTIONS, "questions"),
}
"""By asset, the table that must have as many rows as another."""


def _soundness_check(stage: Stage) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=stage.asset,
        name="tables_are_sound",
        description=(
            "Unique keys, values in their ranges, and as many rows as the stage before has. Stops "
            "what follows in the same run."
        ),
        blocking=True,
        partitions_def=BENCHMARK_BY_MODEL if stage.by_model else BENCHMARKS,
    )
    def check(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        store, partition = warehouse.open(), partition_from_key(context.partition_key)
        counts: dict[str, int] = {}
        problems = []
        for table in stage.tables:
            rows = store.read(table, partition)
            counts[table.name] = rows.num_rows
            problems += [f"{table.name}: {one}" for one in problems_of(table, rows)]
        problems += _between_stages(stage, store, partition)
        return dg.AssetCheckResult(
            passed=not problems,
            description="; ".join(problems) or None,
            metadata={"rows": counts, "problems": problems},
        )

    return check


def _between_stages(stage: Stage, store: Warehouse, partition: Partition) -> list[str]:
    """Compare row counts with those of the stages that a stage reads."""
    if stage.asset == "error_table":
        wrong = store.read(RESPONSES, partition, columns=["correct"])["correct"]
        expected, found = (
            len(wrong) - (wrong.combine_chunks().true_count),
            store.count(ERRORS, partition),
        )
        return [] if expected == found else [f"{found} errors of {expected} wrong responses"]
    if stage.asset in _SAME_NUMBER:
        table, source, what = _SAME_NUMBER[stage.asset]
        found, expected = store.count(table, partition), store.count(source, partition)
        return [] if expected == found else [f"{found} rows of {expected} {what}"]
    if stage.asset == "error_clusters":
        clustered = store.read(ERROR_CLUSTERS, partition, columns=["example_id"])["example_id"]
        errors = store.count(ERRORS, partition)
        found = len(clustered.unique())
        return [] if errors == found else [f"{found} of {errors} errors have a cluster row"]
    if stage.asset == "cluster_labels":
        clusters = store.read(ERROR_CLUSTERS, partition, columns=["cluster_id"])["cluster_id"]
        named = store.read(CLUSTER_LABELS, partition, columns=["cluster_id"])["cluster_id"]
        missing = set(clusters.unique().to_pylist()) - set(named.to_pylist()) - {None}
        return [f"{len(missing)} clusters have no label"] if missing else []
    return []


def _reject_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=RAW_RESULTS.asset,
        description=(
            "Share of rows that could not be used: above one limit it warns, above a higher one it "
            "stops what follows in the same run ([submissions] in the settings)."
        ),
        blocking=True,
        partitions_def=BENCHMARK_BY_MODEL,
    )
    def rejects_are_few(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        """Compare the share of rejects with the limits."""
        store, partition = warehouse.open(), partition_from_key(context.partition_key)
        limits = warehouse.settings().submissions
        rejects, rows = store.count(REJECTS, partition) or 0, store.count(RESPONSES, partition) or 0
        share = store.reject_share(partition)
        return dg.AssetCheckResult(
            passed=share <= limits.warn_above_rejects,
            severity=dg.AssetCheckSeverity.ERROR
            if share > limits.block_above_rejects
            else dg.AssetCheckSeverity.WARN,
            description=f"{rejects:,} of {rejects + rows:,} rows could not be used ({share:.1%})",
            metadata={"rejects": rejects, "share": share},
        )

    return rejects_are_few


with warnings.catch_warnings():
    # That checks have partitions is new in Dagster, and it says so each time.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    CHECKS = [*map(_soundness_check, STAGES), _reject_check()]
