"""Partitions: benchmark x model, both dynamic. Keys come from `warehouse.keys` only."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from errclust_pipeline.warehouse.keys import BattleSet, Partition

BENCHMARKS = dg.DynamicPartitionsDefinition(name="benchmark")
MODELS = dg.DynamicPartitionsDefinition(name="model")
BENCHMARK_BY_MODEL = dg.MultiPartitionsDefinition({"benchmark": BENCHMARKS, "model": MODELS})
"""All pairs of a known benchmark and a known model; only those with a submission are computed."""
BATTLE_SETS = dg.DynamicPartitionsDefinition(name="battle_set")


def partition_key(partition: Partition) -> str:
    """Return the Dagster key of a partition."""
    if not partition.model:
        return partition.benchmark
    return dg.MultiPartitionKey({"benchmark": partition.benchmark, "model": partition.model})


def partition_of(context: dg.AssetExecutionContext) -> Partition:
    """Return the partition that an asset is asked for."""
    return partition_from_key(context.partition_key)


def partition_from_key(key: str) -> Partition:
    """Return the partition of a Dagster key."""
    if not isinstance(key, dg.MultiPartitionKey):
        return Partition(*key.split("|"))
    values = key.keys_by_dimension
    return Partition(values["benchmark"], values["model"])


def add_partitions(instance: dg.DagsterInstance, partitions: Iterable[Partition]) -> None:
    """Make partitions known to a Dagster instance; those it knows are left as they are."""
    everything = list(partitions)
    battle_sets = [one.benchmark for one in everything if isinstance(one, BattleSet)]
    instance.add_dynamic_partitions("battle_set", list(dict.fromkeys(battle_sets)))
    wanted = [one for one in everything if not isinstance(one, BattleSet)]
    instance.add_dynamic_partitions(
        "benchmark", list(dict.fromkeys(partition.benchmark for partition in wanted))
    )
    instance.add_dynamic_partitions(
        "model", list(dict.fromkeys(partition.model for partition in wanted if partition.model))
    )


def remove_partition(
    instance: dg.DagsterInstance, partition: Partition, left: Iterable[Partition]
) -> None:
    """Make an instance forget a partition's keys, unless one of those left has them too."""
    if isinstance(partition, BattleSet):
        instance.delete_dynamic_partition("battle_set", partition.benchmark)
        return
    others = list(left)
    for dimension in ("benchmark", "model"):
        key = getattr(partition, dimension)
        if all(getattr(one, dimension) != key for one in others):
            instance.delete_dynamic_partition(dimension, key)
