"""Asset checks: what must hold of every partition before anything is made from it.

Every stage has a check of its tables, which follows from their columns (`tables.soundness`). What
must hold between the tables of two stages is listed here, by asset.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TypeAlias

import dagster as dg
import pyarrow as pa
from dagster_duckdb import DuckDBResource

from errclust_pipeline.orchestration.partitions import partition_of_stage, partitions_of_stage
from errclust_pipeline.orchestration.resources import WarehouseResource, open_views
from errclust_pipeline.stages import STAGES, Stage
from errclust_pipeline.stages.declarations import (
    BATTLES_STAGE,
    CLUSTER_LABELS_STAGE,
    ERROR_CLUSTERS_STAGE,
    ERROR_EMBEDDINGS_STAGE,
    ERROR_TABLE_STAGE,
    LEADERBOARD_STAGE,
    QUESTION_MAP_STAGE,
    RAW_RESULTS_STAGE,
)
from errclust_pipeline.tables import (
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERRORS,
    QUESTIONS,
    RESPONSES,
    Table,
)
from errclust_pipeline.tables.soundness import problems_of
from errclust_pipeline.warehouse.keys import Partition
from errclust_pipeline.warehouse.warehouse import Warehouse

_Rows: TypeAlias = Mapping[Table, pa.Table]
_CrossCheck: TypeAlias = Callable[[Stage, _Rows, Warehouse, Partition], list[str]]
"""Compares the rows of a stage with those of the stages it reads; returns the problems."""

_RETRY = dg.RetryPolicy(max_retries=3, delay=1)
"""A query fails if a partition is replaced while DuckDB reads it."""


def all_checks() -> list[dg.AssetChecksDefinition]:
    """Return the checks of all declared stages."""
    with warnings.catch_warnings():
        # Dagster warns with every definition that partitioned checks are new.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            *map(_soundness_check, STAGES.values()),
            *map(_reject_check, (RAW_RESULTS_STAGE, BATTLES_STAGE)),
            _accuracy_check(),
        ]


@cache
def _soundness_check(stage: Stage) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=stage.asset,
        name="tables_are_sound",
        description=(
            "Keys are unique, values are in their ranges, and the rows match those of the stages "
            "before. A table that is not sound is set aside, so that nothing is made from it."
        ),
        blocking=True,
        partitions_def=partitions_of_stage(stage),
    )
    def check(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        store, partition = warehouse.open(), partition_of_stage(stage, context.partition_key)
        rows = {table: store.read(table, partition) for table in stage.tables}
        problems = [
            f"{table.name}: {problem}"
            for table in stage.tables
            for problem in problems_of(table, rows[table])
        ]
        if stage.asset in _CROSS_CHECKS:
            problems += _CROSS_CHECKS[stage.asset](stage, rows, store, partition)
        if problems:
            # The table counts as missing from now on, in this run and in every other.
            store.set_aside(stage.table, partition)
        return dg.AssetCheckResult(
            passed=not problems,
            description="; ".join(problems) or None,
            metadata={
                "rows": {table.name: rows[table].num_rows for table in stage.tables},
                "problems": problems,
            },
        )

    return check


def _one_row_for_each_wrong_response(
    stage: Stage, rows: _Rows, store: Warehouse, partition: Partition
) -> list[str]:
    correct = store.read(RESPONSES, partition, columns=["correct"])["correct"]
    wrong = len(correct) - correct.combine_chunks().true_count
    errors = rows[stage.table].num_rows
    return [] if wrong == errors else [f"{errors} errors of {wrong} wrong responses"]


def _one_row_for_each_row_of(
    source: Table, name: str, stage: Stage, rows: _Rows, store: Warehouse, partition: Partition
) -> list[str]:
    number, expected = rows[stage.table].num_rows, store.count(source, partition)
    return [] if number == expected else [f"{number} rows of {expected} {name}"]


def _every_error_is_clustered(
    _stage: Stage, rows: _Rows, store: Warehouse, partition: Partition
) -> list[str]:
    errors = store.count(ERRORS, partition)
    clustered = len(rows[ERROR_CLUSTERS]["example_id"].unique())
    return [] if errors == clustered else [f"{clustered} of {errors} errors have a cluster row"]


def _every_cluster_is_labelled(
    _stage: Stage, rows: _Rows, store: Warehouse, partition: Partition
) -> list[str]:
    clusters = store.read(ERROR_CLUSTERS, partition, columns=["cluster_id"])["cluster_id"]
    labelled = rows[CLUSTER_LABELS]["cluster_id"]
    missing = set(clusters.unique().to_pylist()) - set(labelled.to_pylist()) - {None}
    return [f"{len(missing)} clusters have no label"] if missing else []


_CROSS_CHECKS: Mapping[str, _CrossCheck] = {
    ERROR_TABLE_STAGE.asset: _one_row_for_each_wrong_response,
    ERROR_EMBEDDINGS_STAGE.asset: partial(_one_row_for_each_row_of, ERRORS, "errors"),
    ERROR_CLUSTERS_STAGE.asset: _every_error_is_clustered,
    CLUSTER_LABELS_STAGE.asset: _every_cluster_is_labelled,
    QUESTION_MAP_STAGE.asset: partial(_one_row_for_each_row_of, QUESTIONS, "questions"),
}
"""Maps each asset to what must hold between its tables and those that it reads."""


@cache
def _reject_check(stage: Stage) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=stage.asset,
        description=(
            "The share of rows that could not be used: above one limit the check warns, above a "
            "higher one it stops what follows in the same run ([submissions] in the settings)."
        ),
        blocking=True,
        partitions_def=partitions_of_stage(stage),
    )
    def rejects_are_few(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        """Compare the share of rejects with the limits."""
        store, partition = warehouse.open(), partition_of_stage(stage, context.partition_key)
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


_DIFFERENT_ACCURACY = """
SELECT leaderboard.model, leaderboard.response_accuracy, avg(responses.correct::INTEGER) AS now
FROM leaderboard JOIN responses USING (benchmark, model)
WHERE benchmark = ?
GROUP BY ALL
HAVING abs(leaderboard.response_accuracy - now) > 1e-9
ORDER BY leaderboard.model
"""


@cache
def _accuracy_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=LEADERBOARD_STAGE.asset,
        description=(
            "The accuracies are those that SQL counts in the responses. The check only warns: a "
            "submission may have been revised since the leaderboard was computed."
        ),
        partitions_def=partitions_of_stage(LEADERBOARD_STAGE),
        retry_policy=_RETRY,
    )
    def accuracies_are_those_of_the_responses(
        context: dg.AssetCheckExecutionContext,
        warehouse: WarehouseResource,
        duckdb: DuckDBResource,
    ) -> dg.AssetCheckResult:
        """Compare the leaderboard with the responses, by SQL."""
        with open_views(duckdb, warehouse.open()) as connection:
            rows = connection.execute(_DIFFERENT_ACCURACY, [context.partition_key]).fetchall()
        different = [f"{model}: {stated:.4f}, now {now:.4f}" for model, stated, now in rows]
        return dg.AssetCheckResult(
            passed=not different,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(different) or None,
            metadata={"different": different},
        )

    return accuracies_are_those_of_the_responses
