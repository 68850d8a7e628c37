"""Partitions: benchmark x model, both dynamic. Keys come from `warehouse.keys` only."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

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
"""All pairs of a known benchmark and a known model; only those with a submission are computed."""
BATTLE_SETS = dg.DynamicPartitionsDefinition(name="battle_set")


def partition_key(partition: Partition) -> str:
    """Return the Dagster key of a partition."""
    if not isinstance(partition, SubmissionPartition):
        return partition.collection
    return dg.MultiPartitionKey({"benchmark": partition.benchmark, "model": partition.model})


def submission_of(context: dg.AssetExecutionContext) -> SubmissionPartition:
    """Return the benchmark and model that an asset is asked for."""
    return submission_from_key(context.partition_key)


def benchmark_of(context: dg.AssetExecutionContext) -> BenchmarkPartition:
    """Return the benchmark that an asset is asked for."""
    return BenchmarkPartition(context.partition_key)


def battle_set_of(context: dg.AssetExecutionContext) -> BattleSetPartition:
    """Return the battle set that an asset is asked for."""
    return BattleSetPartition(context.partition_key)


def submission_from_key(key: str) -> SubmissionPartition:
    """Return the benchmark and model of a Dagster key."""
    if not isinstance(key, dg.MultiPartitionKey):
        return SubmissionPartition(*key.split("|"))
    values = key.keys_by_dimension
    return SubmissionPartition(values["benchmark"], values["model"])


def add_partitions(instance: dg.DagsterInstance, partitions: Iterable[Partition]) -> None:
    """Make partitions known to a Dagster instance; those it knows are left as they are."""
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
    instance: dg.DagsterInstance, partition: RecordedPartition, left: Iterable[RecordedPartition]
) -> None:
    """Make an instance forget a partition's keys, unless one of those left has them too."""
    if isinstance(partition, BattleSetPartition):
        instance.delete_dynamic_partition("battle_set", partition.name)
        return
    others = [other for other in left if isinstance(other, SubmissionPartition)]
    for dimension in ("benchmark", "model"):
        key = getattr(partition, dimension)
        if all(getattr(other, dimension) != key for other in others):
            instance.delete_dynamic_partition(dimension, key)
