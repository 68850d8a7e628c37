"""The stages, what each is made from, and whether a partition of one is up to date.

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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from errclust_pipeline.analysis.language import FailureKind
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.settings import Settings
from errclust_pipeline.tables import (
    AUTOCORRELATION,
    BATTLE_REGIONS,
    BATTLE_REJECTS,
    BATTLES,
    CLUSTER_LABELS,
    DIAGNOSIS_CLUSTERS,
    DIAGNOSIS_LABELS,
    ERROR_CLUSTERS,
    ERROR_DIAGNOSES,
    ERROR_EMBEDDINGS,
    ERRORS,
    HOT_REGIONS,
    HOT_SPOTS,
    LEADERBOARD,
    MODEL_COMPARISON,
    MODEL_PAIRS,
    MODEL_SIGNATURES,
    PAIR_AUTOCORRELATION,
    PROMPT_MAP,
    PROMPT_REGIONS,
    QUESTION_MAP,
    QUESTIONS,
    RATINGS,
    REGION_LABELS,
    REGIONAL_RATINGS,
    REJECTS,
    RESPONSES,
    SUSPECTED_FAULTS,
    TRAINING_CANDIDATES,
    UNCERTAINTY,
    UNCERTAINTY_BY_REGION,
    UNCERTAINTY_HOT_REGIONS,
    UNCERTAINTY_SUMMARY,
    Table,
)
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


@dataclass(frozen=True)
class Stage:
    """One asset: the tables it writes and all that determines what stands in them.

    The first of `tables` is written last, so that where it exists the others do too. What a
    benchmark's stage reads of a model's stage, it reads of all models.

    `uses_other_models` is for a model's stage whose result rests on how the *other* models fare. It
    is not made anew for each model that comes, only when their number has doubled.

    Of the assets in `upstream`, those `of_some` models only are read where they exist.
    """

    asset: str
    tables: tuple[Table, ...]
    upstream: tuple[str, ...]
    code_version: str
    settings: Callable[[Settings, Partition], Mapping[str, Any]]
    uses_other_models: bool = False
    of_some: tuple[str, ...] = ()

    @property
    def by_model(self) -> bool:
        """Whether it is computed for a benchmark and a model, or for a benchmark."""
        return self.table.by_model

    @property
    def table(self) -> Table:
        """The table that the stage is about."""
        return self.tables[0]


RAW_RESULTS = Stage("raw_results", (RESPONSES, REJECTS), (), "3", lambda *_: {})
ERROR_TABLE = Stage(
    "error_table",
    (ERRORS,),
    ("raw_results",),
    "2",
    lambda settings, partition: settings.for_benchmark(partition.collection).errors.model_dump(),
)
ERROR_EMBEDDINGS_STAGE = Stage(
    "error_embeddings",
    (ERROR_EMBEDDINGS,),
    ("error_table",),
    "1",
    lambda settings, _: {"embedder": settings.embedding.identity},
)
ERROR_CLUSTERS_STAGE = Stage(
    "error_clusters",
    (ERROR_CLUSTERS,),
    ("error_embeddings",),
    "2",
    lambda settings, partition: settings.for_benchmark(partition.collection).clustering.recorded(),
)


def _label_settings(settings: Settings, _: Partition) -> Mapping[str, Any]:
    model = settings.language_model
    if model.model is None:
        return {"written_by": "key_phrases"}
    # With a larger budget, more of them are written by the model.
    limits = model.model_dump(include={"prompt_tokens", "most_calls", "most_tokens", "most_cost"})
    return {"written_by": model.model, **limits}


def _diagnosis_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    wanted = settings.for_benchmark(partition.collection).diagnosis
    if settings.language_model.model is None or not wanted.share:
        return {"written_by": None}
    return {**_label_settings(settings, partition), **wanted.model_dump()}


def _diagnosis_cluster_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    if _diagnosis_settings(settings, partition)["written_by"] is None:
        return {"written_by": None}
    return {
        **_label_settings(settings, partition),
        "embedder": settings.embedding.identity,
        **settings.for_benchmark(partition.collection).clustering.recorded(),
    }


CLUSTER_LABELS_STAGE = Stage(
    "cluster_labels",
    (CLUSTER_LABELS,),
    ("error_table", "error_embeddings", "error_clusters"),
    "3",
    _label_settings,
)


def _map_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    own = settings.for_benchmark(partition.collection)
    return {
        "embedder": settings.embedding.identity,
        **own.map.recorded(),
        "regions": own.clustering.recorded(),
    }


def _statistics_settings(*names: str) -> Callable[[Settings, Partition], Mapping[str, Any]]:
    return lambda settings, partition: settings.for_benchmark(
        partition.collection
    ).statistics.recorded(*names)


QUESTIONS_STAGE = Stage("questions", (QUESTIONS,), ("raw_results",), "1", lambda *_: {})
QUESTION_MAP_STAGE = Stage("question_map", (QUESTION_MAP,), ("questions",), "3", _map_settings)
REGION_LABELS_STAGE = Stage(
    "region_labels",
    (REGION_LABELS,),
    ("questions", "question_map"),
    "1",
    lambda *_: {"written_by": "key_phrases"},
)
HOT_SPOTS_STAGE = Stage(
    "hot_spots",
    (HOT_SPOTS, HOT_REGIONS),
    ("question_map", "region_labels", "raw_results", "error_table"),
    "4",
    _statistics_settings("scales", "fdr", "leave_out_artefacts"),
    uses_other_models=True,
)
AUTOCORRELATION_STAGE = Stage(
    "autocorrelation",
    (AUTOCORRELATION,),
    ("question_map", "raw_results", "error_table"),
    "3",
    _statistics_settings("scales", "permutations", "leave_out_artefacts"),
    uses_other_models=True,
)
UNCERTAINTY_STAGE = Stage(
    "uncertainty",
    (UNCERTAINTY, UNCERTAINTY_SUMMARY, UNCERTAINTY_BY_REGION, UNCERTAINTY_HOT_REGIONS),
    ("question_map", "region_labels", "raw_results"),
    "2",
    _statistics_settings("fdr", "permutations", "miscoverage"),
)
ERROR_DIAGNOSES_STAGE = Stage(
    "error_diagnoses",
    (ERROR_DIAGNOSES,),
    ("question_map", "raw_results", "error_table"),
    "1",
    _diagnosis_settings,
)
DIAGNOSIS_CLUSTERS_STAGE = Stage(
    "diagnosis_clusters",
    (DIAGNOSIS_CLUSTERS, DIAGNOSIS_LABELS),
    ("error_diagnoses", "error_table"),
    "3",
    _diagnosis_cluster_settings,
)
LEADERBOARD_STAGE = Stage(
    "leaderboard",
    (LEADERBOARD, MODEL_SIGNATURES),
    ("question_map", "raw_results", "error_table", "uncertainty"),
    "4",
    _statistics_settings("leave_out_artefacts"),
    of_some=("uncertainty",),
)
MODEL_COMPARISON_STAGE = Stage(
    "model_comparison",
    (MODEL_COMPARISON, MODEL_PAIRS, PAIR_AUTOCORRELATION),
    ("question_map", "raw_results", "error_table"),
    "2",
    _statistics_settings("scales", "fdr", "leave_out_artefacts", "most_pairs"),
)


def _selection_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    own = settings.for_benchmark(partition.collection)
    return {
        "embedder": settings.embedding.identity,
        "leave_out_artefacts": own.statistics.leave_out_artefacts,
        **own.selection.model_dump(),
    }


TRAINING_CANDIDATES_STAGE = Stage(
    "training_candidates",
    (TRAINING_CANDIDATES, SUSPECTED_FAULTS),
    ("questions", "question_map", "region_labels", "raw_results", "error_table", "hot_spots"),
    "2",
    _selection_settings,
    uses_other_models=True,
)

BATTLES_STAGE = Stage("battles", (BATTLES, BATTLE_REJECTS), (), "1", lambda *_: {})
PROMPT_MAP_STAGE = Stage(
    "prompt_map", (PROMPT_MAP, PROMPT_REGIONS), ("battles",), "2", _map_settings
)
RATINGS_STAGE = Stage(
    "ratings",
    (RATINGS, BATTLE_REGIONS, REGIONAL_RATINGS),
    ("battles", "prompt_map"),
    "1",
    lambda *_: {},
)
BATTLE_STAGES = (BATTLES_STAGE, PROMPT_MAP_STAGE, RATINGS_STAGE)
"""Of a battle set."""

PHASES: Mapping[str, tuple[Stage, ...]] = {
    "label_error_clusters": (
        RAW_RESULTS,
        ERROR_TABLE,
        ERROR_EMBEDDINGS_STAGE,
        ERROR_CLUSTERS_STAGE,
        CLUSTER_LABELS_STAGE,
    ),
    # Of battle sets, which have no part in the others.
    "rate_battles": BATTLE_STAGES,
    "map_questions": (QUESTIONS_STAGE, QUESTION_MAP_STAGE, REGION_LABELS_STAGE),
    "find_hot_spots": (HOT_SPOTS_STAGE, AUTOCORRELATION_STAGE, UNCERTAINTY_STAGE),
    "select_candidates": (TRAINING_CANDIDATES_STAGE,),
    "diagnose_errors": (ERROR_DIAGNOSES_STAGE, DIAGNOSIS_CLUSTERS_STAGE),
    "compare_models": (LEADERBOARD_STAGE, MODEL_COMPARISON_STAGE),
}
"""The stages of each job, in flow order; a phase needs all of the phases before it."""
STAGES = tuple(stage for stages in PHASES.values() for stage in stages)
"""In flow order."""
_BY_ASSET = {stage.asset: stage for stage in STAGES}
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
        sources = [_BY_ASSET[asset] for asset in stage.upstream]
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


def rests_on(those: Iterable[Stage]) -> set[str]:
    """Return the assets that stages are made from, directly or not, and their own."""
    found: set[str] = set()
    to_do = [stage.asset for stage in those]
    while to_do:
        asset = to_do.pop()
        if asset not in found:
            found.add(asset)
            to_do += _BY_ASSET[asset].upstream
    return found


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
