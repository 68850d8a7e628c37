"""Whether a partition of a stage is fresh, stale or missing, and why.

A partition's data version is a hash of what determines its content: the stage's code version, its
settings and the data versions of what it reads. It is not a hash of the content, so a stage with
randomness or rounding in it does not make everything after it look new. (That of `questions` is: a
submission without a new question leaves the map as it is.) A partition is fresh if what its file
says it was made from is what it would be made from now.
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
from errclust_pipeline.stages.declarations import BATTLE_STAGES, BY_ASSET, STAGES, Stage
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
"""Why a language model did not answer what it may answer the next time."""


class State(enum.StrEnum):
    """How a partition of a stage stands."""

    FRESH = "fresh"
    MISSING = "missing"
    STALE = "stale"
    OVER_BUDGET = "over budget"
    """A budget ended it: whoever runs it again goes on, but nothing does so by itself."""


@dataclass(frozen=True)
class Status:
    """A partition of a stage: its state and, unless it is fresh, why."""

    state: State
    reason: str = ""


def provenance(
    stage: Stage, warehouse: Warehouse, settings: Settings, partition: Partition
) -> Provenance:
    """Return what a partition computed now would be made from.

    Raises
    ------
    WarehouseError
        If something it reads does not exist.
    """
    if not stage.upstream:
        if isinstance(partition, BenchmarkPartition):
            raise TypeError(f"{stage.asset} reads a submission, and {partition} is a benchmark")
        submission, _ = warehouse.submission(partition)
        inputs = {
            "submission": submission.revision,
            "reader": submission.reader,
            "options": json.dumps(dict(submission.options), sort_keys=True),
        }
    else:
        inputs = {}
        sources = [BY_ASSET[asset] for asset in stage.upstream]
        gathered = [] if stage.by_model else [one for one in sources if one.by_model]
        needed = [one for one in gathered if one.asset not in stage.of_some]
        models = (
            models_of(warehouse, partition.collection, [source.table for source in needed])
            if needed
            else []
        )
        where: dict[str, Partition]
        for source in sources:
            if source in gathered:
                where = {
                    f"{source.asset}|{name}": SubmissionPartition(partition.collection, name)
                    for name in models
                }
            elif source.by_model:
                where = {source.asset: partition}
            else:
                where = {source.asset: BenchmarkPartition(partition.collection)}
            found = {name: warehouse.provenance(source.table, one) for name, one in where.items()}
            versions = {name: one.data_version for name, one in found.items() if one is not None}
            if not versions and source.asset not in stage.of_some:
                raise WarehouseError(
                    f"{stage.asset} of {partition} needs {source.asset}, which does not exist: "
                    "materialise it first, or run "
                    f"`errclust run --benchmark {partition.collection}`"
                )
            inputs |= versions
    if stage.uses_other_models:
        inputs["number_of_models"] = _doublings(len(models_of(warehouse, partition.collection)))
    # As it is read back from a file: lists, not tuples.
    chosen = json.loads(json.dumps(dict(stage.settings(settings, partition))))
    content = json.dumps(
        [stage.asset, stage.code_version, inputs, chosen], sort_keys=True, ensure_ascii=True
    )
    version = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return Provenance(stage.asset, stage.code_version, version, inputs, chosen)


def _doublings(models: int) -> str:
    """Return the class of a number of models: 1 to 2, 3 to 5, 6 to 11, 12 to 23, …"""
    if models < FEWEST_MODELS:
        return f"1 to {FEWEST_MODELS - 1}"
    least = FEWEST_MODELS * 2 ** math.floor(math.log2(models / FEWEST_MODELS))
    return f"{least} to {2 * least - 1}"


def status(warehouse: Warehouse, settings: Settings, partition: Partition) -> dict[str, Status]:
    """Return how each stage of a partition stands, in flow order, by the asset's name.

    A model's partition has a model's stages, a benchmark's a benchmark's, a battle set its own.
    """
    found: dict[str, Status] = {}
    for stage in STAGES:
        if stage.by_model != isinstance(partition, SubmissionPartition):
            continue
        if (stage in BATTLE_STAGES) != isinstance(partition, BattleSetPartition):
            continue
        found[stage.asset] = stage_status(stage, warehouse, settings, partition, found)
    return found


def stage_status(
    stage: Stage,
    warehouse: Warehouse,
    settings: Settings,
    partition: Partition,
    upstream: Mapping[str, Status] = MappingProxyType({}),
) -> Status:
    """Return how one stage of a partition stands.

    Parameters
    ----------
    upstream : mapping, optional
        How the assets that it reads stand, as far as that is to count.
    """
    stored = [warehouse.provenance(table, partition) for table in stage.tables]
    if any(one is None for one in stored):
        return Status(State.MISSING, "never computed, or lost")
    for asset in stage.upstream:
        if asset in upstream and upstream[asset].state is not State.FRESH:
            return Status(State.STALE, f"{asset} is {upstream[asset].state}")
    try:
        wanted = provenance(stage, warehouse, settings, partition)
    except WarehouseError as error:
        return Status(State.STALE, str(error))
    for one in stored:
        if one is not None and _made_from(one) != _made_from(wanted):
            return _difference(one, wanted)
    return Status(State.FRESH)


def _made_from(one: Provenance) -> tuple[Any, ...]:
    # Not the data version: that of `questions` is a hash of the content.
    return one.code_version, dict(one.inputs), dict(one.settings)


def with_unanswered(made_from: Provenance, failures: Mapping[str, int]) -> Provenance:
    """Return the provenance of what a language model has answered only a part of.

    It is no longer what a partition computed now would be made from, so the rest is asked in the
    next run, and what is made of it is computed anew when there are more answers.

    Parameters
    ----------
    failures : mapping
        From the kind of failure (`FailureKind`) to the number of prompts.
    """
    left = {name: str(failures[name]) for name in sorted(_UNANSWERED) if failures.get(name)}
    if not left:
        return made_from
    content = json.dumps([made_from.data_version, left])
    version = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return dataclasses.replace(made_from, data_version=version, inputs={**made_from.inputs, **left})


def _difference(stored: Provenance, wanted: Provenance) -> Status:
    if stored.code_version != wanted.code_version:
        return Status(
            State.STALE, f"code version {stored.code_version} is now {wanted.code_version}"
        )
    for what, before, now in (
        ("setting", stored.settings, wanted.settings),
        ("input", stored.inputs, wanted.inputs),
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
