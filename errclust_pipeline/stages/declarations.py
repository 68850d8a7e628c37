"""The stages: one row for each asset, with all that determines what its tables hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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
from errclust_pipeline.warehouse.keys import (
    Partition,
)


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


RAW_RESULTS_STAGE = Stage("raw_results", (RESPONSES, REJECTS), (), "3", lambda *_: {})
ERROR_TABLE_STAGE = Stage(
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
        RAW_RESULTS_STAGE,
        ERROR_TABLE_STAGE,
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
BY_ASSET = {stage.asset: stage for stage in STAGES}
"""By the asset's name."""


def rests_on(those: Iterable[Stage]) -> set[str]:
    """Return the assets that stages are made from, directly or not, and their own."""
    found: set[str] = set()
    to_do = [stage.asset for stage in those]
    while to_do:
        asset = to_do.pop()
        if asset not in found:
            found.add(asset)
            to_do += BY_ASSET[asset].upstream
    return found
