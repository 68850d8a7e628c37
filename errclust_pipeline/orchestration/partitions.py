"""Dagster's partitions: benchmarks, models, their pairs, and battle sets; all are dynamic.

Keys are made by `warehouse.keys` and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import dagster as dg

from errclust_pipeline.stages import Stage
from errclust_pipeline.tables import KeptBy
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    RecordedPartition,
    SubmissionPartition,
)

BENCHMARKS = dg.DynamicPartitionsDefinition(name="benchmark")
MODELS = dg.DynamicPartitionsDefinition(name="model")
BENCHMARK_BY_MODEL = dg.MultiPartitionsDefinition({"benchmark": BENCHMARKS, "model": MODELS})
"""All pairs of a known benchmark and a known model. Only those with a submission are computed."""
BATTLE_SETS = dg.DynamicPartitionsDefinition(name="battle_set")


_OF_KIND: Mapping[KeptBy, dg.PartitionsDefinition[str]] = {
    KeptBy.MODEL: BENCHMARK_BY_MODEL,
    KeptBy.BENCHMARK: BENCHMARKS,
    KeptBy.BATTLE_SET: BATTLE_SETS,
}


def partitions_of_stage(stage: Stage) -> dg.PartitionsDefinition[str]:
    """Return Dagster's definition of a stage's partitions."""
    return _OF_KIND[stage.kept_by]


def partition_of_stage(stage: Stage, key: str) -> Partition:
    """Return the partition of a stage that Dagster calls by a key."""
    if stage.kept_by is KeptBy.MODEL:
        return submission_from_key(key)
    return BenchmarkPartition(key) if stage.kept_by is KeptBy.BENCHMARK else BattleSetPartition(key)


def partition_key(partition: Partition) -> str:
    """Return the Dagster key of a partition."""
    if not isinstance(partition, SubmissionPartition):
        return partition.collection
    return dg.MultiPartitionKey({"benchmark": partition.benchmark, "model": partition.model})


def submission_of(context: dg.AssetExecutionContext) -> SubmissionPartition:
    """Return the benchmark and model that an asset is to compute."""
    return submission_from_key(context.partition_key)


def benchmark_of(context: dg.AssetExecutionContext) -> BenchmarkPartition:
    """Return the benchmark that an asset is to compute."""
    return BenchmarkPartition(context.partition_key)


def battle_set_of(context: dg.AssetExecutionContext) -> BattleSetPartition:
    """Return the battle set that an asset is to compute."""
    return BattleSetPartition(context.partition_key)


def submission_from_key(key: str) -> SubmissionPartition:
    """Return the benchmark and model of a Dagster key."""
    if not isinstance(key, dg.MultiPartitionKey):
        return SubmissionPartition(*key.split("|"))
    values = key.keys_by_dimension
    return SubmissionPartition(values["benchmark"], values["model"])


def add_partitions(instance: dg.DagsterInstance, partitions: Iterable[Partition]) -> None:
    """Add partitions to a Dagster instance; those that it has already stay as they are."""
    keys: dict[str, list[str]] = {"battle_set": [], "benchmark": [], "model": []}
    for partition in partitions:
        if isinstance(partition, BattleSetPartition):
            keys["battle_set"].append(partition.name)
        else:
            keys["benchmark"].append(partition.benchmark)
        if isinstance(partition, SubmissionPartition):
            keys["model"].append(partition.model)
    for dimension, names in keys.items():
        instance.add_dynamic_partitions(dimension, list(dict.fromkeys(names)))


def remove_partition(
    instance: dg.DagsterInstance,
    partition: RecordedPartition,
    remaining: Iterable[RecordedPartition],
) -> None:
    """Delete a partition's keys from a Dagster instance, unless a remaining partition has them."""
    if isinstance(partition, BattleSetPartition):
        instance.delete_dynamic_partition("battle_set", partition.name)
        return
    others = [other for other in remaining if isinstance(other, SubmissionPartition)]
    for dimension in ("benchmark", "model"):
        key = getattr(partition, dimension)
        if all(getattr(other, dimension) != key for other in others):
            instance.delete_dynamic_partition(dimension, key)
