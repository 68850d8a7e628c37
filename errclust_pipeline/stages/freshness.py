"""Whether a partition of a stage is fresh, stale or missing, and why.

The data version of a partition is a hash of what determines its content: the stage's code version,
its settings, and the data versions of what it reads. It is not a hash of the content, so that
rounding or randomness in one stage does not make every later stage stale. The exception is
`questions`, whose data version is a hash of the content: a submission without a new question leaves
the map as it is.

A partition is fresh if it would be made now from what its file says it was made from.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from errclust_pipeline.analysis.language import FailureKind
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.settings import Settings
from errclust_pipeline.stages.declarations import STAGES, Stage
from errclust_pipeline.tables import KeptBy
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    SubmissionPartition,
)
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.warehouse import Warehouse

_UNANSWERED = frozenset({FailureKind.UNREACHABLE.value, FailureKind.OVER_BUDGET.value})
"""Kinds of failure after which a language model may answer the same prompt next time."""


class State(enum.StrEnum):
    """The state of a partition of a stage."""

    FRESH = "fresh"
    MISSING = "missing"
    STALE = "stale"
    OVER_BUDGET = "over budget"
    """A budget was spent before it was complete. A run continues it, but no sensor requests one."""


@dataclass(frozen=True)
class Status:
    """The state of a partition of a stage and, unless it is fresh, the reason."""

    state: State
    reason: str = ""


def kind_of_partition(partition: Partition) -> KeptBy:
    """Return what a partition belongs to, as the tables and stages of that kind say it."""
    if isinstance(partition, SubmissionPartition):
        return KeptBy.MODEL
    return KeptBy.BATTLE_SET if isinstance(partition, BattleSetPartition) else KeptBy.BENCHMARK


def provenance(
    stage: Stage, warehouse: Warehouse, settings: Settings, partition: Partition
) -> Provenance:
    """Return what a partition would be made from if it were computed now.

    Raises
    ------
    WarehouseError
        If something that it reads does not exist.
    """
    inputs = (
        _inputs_from_stages(stage, warehouse, partition)
        if stage.upstream
        else _inputs_from_submission(stage, warehouse, partition)
    )
    if stage.uses_other_models:
        inputs["number_of_models"] = _doublings(len(models_of(warehouse, partition.collection)))
    # In the form in which a file gives them back: lists, not tuples.
    chosen = json.loads(json.dumps(dict(stage.settings(settings, partition))))
    content = json.dumps(
        [stage.asset, stage.code_version, inputs, chosen], sort_keys=True, ensure_ascii=True
    )
    return Provenance(stage.asset, stage.code_version, _hash(content), inputs, chosen)


def _inputs_from_submission(
    stage: Stage, warehouse: Warehouse, partition: Partition
) -> dict[str, str]:
    if isinstance(partition, BenchmarkPartition):
        raise TypeError(f"{stage.asset} reads a submission, and {partition} is a benchmark")
    submission, _ = warehouse.submission(partition)
    return {
        "submission": submission.revision,
        "reader": submission.reader,
        "options": json.dumps(dict(submission.options), sort_keys=True),
    }


def _inputs_from_stages(stage: Stage, warehouse: Warehouse, partition: Partition) -> dict[str, str]:
    """Return the data version of each partition that a stage reads, by the asset's name.

    If it gathers all models, the name is ``asset|model``.
    """
    inputs: dict[str, str] = {}
    models = _gathered_models(stage, warehouse, partition)
    for asset in stage.upstream:
        source = STAGES[asset]
        sources = _partitions_read(stage, source, partition, models)
        stored = {
            name: warehouse.provenance(source.table, where) for name, where in sources.items()
        }
        versions = {name: made.data_version for name, made in stored.items() if made is not None}
        if not versions and asset not in stage.optional_upstream:
            raise WarehouseError(
                f"{stage.asset} of {partition} needs {asset}, which does not exist: "
                f"materialise it first, or run `errclust run --benchmark {partition.collection}`"
            )
        inputs |= versions
    return inputs


def _gathered_models(stage: Stage, warehouse: Warehouse, partition: Partition) -> list[str]:
    """Return the models that a stage gathers: those that have all it needs of a model."""
    if stage.by_model:
        return []
    needed = [
        STAGES[asset].table
        for asset in stage.upstream
        if STAGES[asset].by_model and asset not in stage.optional_upstream
    ]
    return models_of(warehouse, partition.collection, needed) if needed else []


def _partitions_read(
    stage: Stage, source: Stage, partition: Partition, models: list[str]
) -> Mapping[str, Partition]:
    """Return the partitions of one upstream stage that a partition reads, by their names."""
    if source.kept_by is stage.kept_by:
        return {source.asset: partition}
    if source.by_model:
        return {
            f"{source.asset}|{model}": SubmissionPartition(partition.collection, model)
            for model in models
        }
    return {source.asset: BenchmarkPartition(partition.collection)}


def _doublings(models: int) -> str:
    """Return the class of a number of models: 1 to 2, 3 to 5, 6 to 11, 12 to 23, …"""
    if models < FEWEST_MODELS:
        return f"1 to {FEWEST_MODELS - 1}"
    lowest = FEWEST_MODELS * 2 ** math.floor(math.log2(models / FEWEST_MODELS))
    return f"{lowest} to {2 * lowest - 1}"


def _hash(content: str) -> str:
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def with_unanswered(complete: Provenance, failures: Mapping[str, int]) -> Provenance:
    """Return the provenance of a partition for which a language model answered only some prompts.

    It differs from what the partition would be made from now, so that the partition is not fresh:
    the next run asks the remaining prompts, and later stages are computed again when there are more
    answers.

    Parameters
    ----------
    complete : Provenance
        The provenance that the partition would have with all answers.
    failures : mapping from str to int
        The number of prompts by the kind of failure (`FailureKind`). Kinds that another run would
        not answer either are ignored.
    """
    left = {kind: str(failures[kind]) for kind in sorted(_UNANSWERED) if failures.get(kind)}
    if not left:
        return complete
    version = _hash(json.dumps([complete.data_version, left]))
    return dataclasses.replace(complete, data_version=version, inputs={**complete.inputs, **left})


def status(warehouse: Warehouse, settings: Settings, partition: Partition) -> dict[str, Status]:
    """Return the status of each stage of a partition, by the asset's name, in flow order.

    A model's partition has the stages of models, a benchmark's those of benchmarks, and a battle
    set's those of battle sets.
    """
    statuses: dict[str, Status] = {}
    kind = kind_of_partition(partition)
    for stage in STAGES.values():
        if stage.kept_by is kind:
            statuses[stage.asset] = stage_status(stage, warehouse, settings, partition, statuses)
    return statuses


def stage_status(
    stage: Stage,
    warehouse: Warehouse,
    settings: Settings,
    partition: Partition,
    upstream: Mapping[str, Status] = MappingProxyType({}),
) -> Status:
    """Return the status of one stage of a partition.

    Parameters
    ----------
    upstream : mapping from str to Status, optional
        The status of stages that it reads, by asset. It is stale if one of them is not fresh;
        stages that are not in here are taken as they are stored.
    """
    stored = [warehouse.provenance(table, partition) for table in stage.tables]
    if any(made is None for made in stored):
        return Status(State.MISSING, "never computed, or lost")
    for asset in stage.upstream:
        if asset in upstream and upstream[asset].state is not State.FRESH:
            return Status(State.STALE, f"{asset} is {upstream[asset].state}")
    try:
        current = provenance(stage, warehouse, settings, partition)
    except WarehouseError as error:
        return Status(State.STALE, str(error))
    for made in stored:
        if made is not None and _compared(made) != _compared(current):
            return _difference(made, current)
    return Status(State.FRESH)


def _compared(made: Provenance) -> tuple[Any, ...]:
    """Return what decides whether two provenances are the same."""
    # Not the data version: that of `questions` is a hash of the content.
    return made.code_version, dict(made.inputs), dict(made.settings)


def _difference(stored: Provenance, current: Provenance) -> Status:
    """Return the status of a partition whose stored provenance is not the current one."""
    if stored.code_version != current.code_version:
        return Status(
            State.STALE, f"code version {stored.code_version} is now {current.code_version}"
        )
    for what, before, now in (
        ("setting", stored.settings, current.settings),
        ("input", stored.inputs, current.inputs),
    ):
        changed = sorted(
            name for name in {*before, *now} - _UNANSWERED if before.get(name) != now.get(name)
        )
        if changed:
            return Status(State.STALE, f"{what} {', '.join(changed)} changed")
    if prompts := stored.inputs.get(FailureKind.UNREACHABLE.value):
        return Status(State.STALE, f"prompts that the language model did not answer: {prompts}")
    prompts = stored.inputs.get(FailureKind.OVER_BUDGET.value)
    return Status(State.OVER_BUDGET, f"prompts left: {prompts}; run it again, or raise the budget")
