"""The stages of the pipeline: one row for each, and the registry of them all.

A row says everything about a stage that is not its computation: the tables it writes, the stages it
reads, the settings and the code version that its data versions depend on, the job it belongs to,
when it is computed, and how Dagster shows it. `orchestration.stage_asset` builds the asset from the
row; the jobs, the checks and `errclust status` read the same rows. There is no Dagster in here, and
nothing is read or computed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

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
    KeptBy,
    Table,
)
from errclust_pipeline.warehouse.keys import Partition

SettingsOfStage: TypeAlias = Callable[[Settings, Partition], Mapping[str, Any]]
"""Returns the settings that a partition of a stage depends on, as JSON values by name."""


class Automation(enum.Enum):
    """When a stage is computed by itself; `orchestration.conditions` has the conditions."""

    ON_REQUEST = "on request"
    """Never by itself: a sensor or a command requests it."""
    WITH_UPSTREAM = "with upstream"
    """In the same run as the stages it reads, whenever one of them is computed.

    For a stage that reads one partition of each upstream stage.
    """
    ON_NEW_CONTENT = "on new content"
    """In a run of its own, when the data version of a partition it reads has changed."""
    ON_ANY_SUBMISSION = "on any submission"
    """When a submission of its benchmark was computed, whichever models are there.

    For a stage that reads the partitions of all models.
    """


@dataclass(frozen=True)
class WithRunOf:
    """An automation: computed in the same run as one of the stages it reads, and only then."""

    asset: str


class StageError(ValueError):
    """A row that contradicts itself or another one."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One asset: the tables it writes, what determines their content, and when it is computed.

    Attributes
    ----------
    asset : str
        The asset's name.
    tables : tuple of Table
        The tables it writes. The first one is the table that the stage is about; it is written
        last, so that where it exists the others exist too.
    upstream : tuple of str
        The assets it reads. A stage of a benchmark reads an upstream stage of models for all
        models; every other stage reads one partition of each.
    code_version : str
        The version of its code. Raising it makes all its partitions stale.
    settings : callable
        Returns the settings that its content depends on; see `SettingsOfStage`.
    phase : str
        The job it belongs to, one of `PHASE_DESCRIPTIONS`. All stages of a phase have the same kind
        of partitions.
    automation : Automation or WithRunOf
        When it is computed by itself.
    group : str
        The group of assets in Dagster's UI that it is shown in.
    kinds : tuple of str
        The technologies that Dagster's UI shows with it.
    pool : str or None
        The Dagster pool that limits how many partitions are computed at once: ``embedding`` or
        ``language_model``.
    optional_upstream : tuple of str
        Those of `upstream` that not every model has. They are read where they exist.
    uses_other_models : bool
        Whether a model's result depends on how the other models of the benchmark perform. Such a
        partition is not stale after every new model, but each time the number of models has
        doubled.
    """

    asset: str
    tables: tuple[Table, ...]
    upstream: tuple[str, ...] = ()
    code_version: str
    settings: SettingsOfStage = lambda *_: {}
    phase: str
    automation: Automation | WithRunOf
    group: str
    kinds: tuple[str, ...]
    pool: str | None = None
    optional_upstream: tuple[str, ...] = ()
    uses_other_models: bool = False

    @property
    def table(self) -> Table:
        """The table that the stage is about."""
        return self.tables[0]

    @property
    def kept_by(self) -> KeptBy:
        """What one of its partitions belongs to: a model, a benchmark or a battle set."""
        return self.table.kept_by

    @property
    def by_model(self) -> bool:
        """Whether each model has a partition of its own."""
        return self.kept_by is KeptBy.MODEL


PHASE_DESCRIPTIONS: Mapping[str, str] = {
    "label_error_clusters": "From a submission's result files to labelled clusters of its errors.",
    # Battle sets have no part in the other phases.
    "rate_battles": "From files of verdicts to ratings of the models, overall and by topic.",
    "map_questions": "The map of a benchmark's questions, shared by its models.",
    "find_hot_spots": "Where a model's errors concentrate on the map, and how sure it is.",
    "select_candidates": "Which training examples a model's errors ask for.",
    "diagnose_errors": "Why a sample of a model's errors went wrong, by a language model.",
    "compare_models": "The models of a benchmark side by side.",
}
"""Each job and what it is for, in flow order: a phase reads only phases before it and itself."""

_PHASES: dict[str, tuple[Stage, ...]] = dict.fromkeys(PHASE_DESCRIPTIONS, ())
_STAGES: dict[str, Stage] = {}

PHASES: Mapping[str, tuple[Stage, ...]] = MappingProxyType(_PHASES)
"""The stages of each phase, both in flow order."""

STAGES: Mapping[str, Stage] = MappingProxyType(_STAGES)
"""Every stage by the name of its asset, in flow order."""


def declare(stage: Stage) -> Stage:
    """Add a stage to the registry, after the other stages of its phase.

    Returns
    -------
    Stage
        The same stage.

    Raises
    ------
    StageError
        If the row is not possible: its asset or a table of it is already declared, it reads a stage
        that is not declared before it, or the partitions of its phase are of another kind.
    """
    problem = _problem_of(stage)
    if problem is not None:
        raise StageError(f"stage {stage.asset}: {problem}")
    _PHASES[stage.phase] += (stage,)
    _list_stages()
    return stage


def forget(stage: Stage) -> None:
    """Take a stage out of the registry again, e.g. at the end of a test that declared it."""
    _PHASES[stage.phase] = tuple(other for other in _PHASES[stage.phase] if other != stage)
    _list_stages()


def _list_stages() -> None:
    stages = {stage.asset: stage for phase in _PHASES.values() for stage in phase}
    _STAGES.clear()
    _STAGES.update(stages)


def _problem_of(stage: Stage) -> str | None:
    """Return what is wrong with a row that is to be declared; None if nothing is."""
    if stage.asset in STAGES:
        return "it is declared already: choose another name for the asset"
    if stage.phase not in PHASES:
        return f"there is no phase {stage.phase!r}: known are {', '.join(PHASES)}"
    written = {table: other.asset for other in STAGES.values() for table in other.tables}
    for table in stage.tables:
        if table in written:
            return f"table {table.name} is written by {written[table]}: a table has one writer"
        if table.kept_by is not stage.kept_by:
            return f"table {table.name} is not kept by {stage.kept_by}, as {stage.table.name} is"
    phases = list(PHASES)
    for asset in stage.upstream:
        if asset not in STAGES:
            return f"it reads {asset}, which is not declared before it"
        if phases.index(STAGES[asset].phase) > phases.index(stage.phase):
            return f"it reads {asset} of the later phase {STAGES[asset].phase}"
    for other in PHASES[stage.phase]:
        if other.kept_by is not stage.kept_by:
            return (
                f"its partitions are kept by {stage.kept_by}, and those of {other.asset} in the "
                f"same phase by {other.kept_by}: a phase is one Dagster job over one kind"
            )
    if not set(stage.optional_upstream) <= set(stage.upstream):
        return "optional_upstream names an asset that is not in upstream"
    if isinstance(stage.automation, WithRunOf) and stage.automation.asset not in stage.upstream:
        return f"it joins the run of {stage.automation.asset}, which it does not read"
    return None


def with_all_upstream(stages: Iterable[Stage]) -> set[str]:
    """Return the assets of some stages, and all assets that they are made from, however far up."""
    assets: set[str] = set()
    to_visit = [stage.asset for stage in stages]
    while to_visit:
        asset = to_visit.pop()
        if asset not in assets:
            assets.add(asset)
            to_visit += STAGES[asset].upstream
    return assets


# The settings that stages depend on --------------------------------------------------------------


def _label_settings(settings: Settings, _: Partition) -> Mapping[str, Any]:
    model = settings.language_model
    if model.model is None:
        return {"written_by": "key_phrases"}
    # A larger budget lets the model write more of the labels.
    limits = model.model_dump(include={"prompt_tokens", "most_calls", "most_tokens", "most_cost"})
    return {"written_by": model.model, **limits}


def _diagnosis_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    diagnosis = settings.for_benchmark(partition.collection).diagnosis
    if settings.language_model.model is None or not diagnosis.share:
        return {"written_by": None}
    return {**_label_settings(settings, partition), **diagnosis.model_dump()}


def _diagnosis_cluster_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    if _diagnosis_settings(settings, partition)["written_by"] is None:
        return {"written_by": None}
    return {
        **_label_settings(settings, partition),
        "embedder": settings.embedding.identity,
        **settings.for_benchmark(partition.collection).clustering.recorded(),
    }


def _map_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    of_benchmark = settings.for_benchmark(partition.collection)
    return {
        "embedder": settings.embedding.identity,
        **of_benchmark.map.recorded(),
        "regions": of_benchmark.clustering.recorded(),
    }


def _selection_settings(settings: Settings, partition: Partition) -> Mapping[str, Any]:
    of_benchmark = settings.for_benchmark(partition.collection)
    return {
        "embedder": settings.embedding.identity,
        "leave_out_artefacts": of_benchmark.statistics.leave_out_artefacts,
        **of_benchmark.selection.model_dump(),
    }


def _statistics_settings(*names: str) -> SettingsOfStage:
    """Return a function that picks settings of ``[statistics]`` by name."""
    return lambda settings, partition: settings.for_benchmark(
        partition.collection
    ).statistics.recorded(*names)


# The stages, in flow order -----------------------------------------------------------------------

RAW_RESULTS_STAGE = declare(
    Stage(
        asset="raw_results",
        tables=(RESPONSES, REJECTS),
        code_version="4",
        phase="label_error_clusters",
        automation=Automation.ON_REQUEST,
        group="submissions",
        kinds=("python", "parquet"),
    )
)
ERROR_TABLE_STAGE = declare(
    Stage(
        asset="error_table",
        tables=(ERRORS,),
        upstream=("raw_results",),
        code_version="2",
        settings=lambda settings, partition: settings.for_benchmark(
            partition.collection
        ).errors.model_dump(),
        phase="label_error_clusters",
        automation=Automation.WITH_UPSTREAM,
        group="errors",
        kinds=("pandas", "parquet"),
    )
)
ERROR_EMBEDDINGS_STAGE = declare(
    Stage(
        asset="error_embeddings",
        tables=(ERROR_EMBEDDINGS,),
        upstream=("error_table",),
        code_version="1",
        settings=lambda settings, _: {"embedder": settings.embedding.identity},
        phase="label_error_clusters",
        automation=Automation.WITH_UPSTREAM,
        group="errors",
        kinds=("sentence-transformers", "parquet"),
        pool="embedding",
    )
)
ERROR_CLUSTERS_STAGE = declare(
    Stage(
        asset="error_clusters",
        tables=(ERROR_CLUSTERS,),
        upstream=("error_embeddings",),
        code_version="2",
        settings=lambda settings, partition: settings.for_benchmark(
            partition.collection
        ).clustering.recorded(),
        phase="label_error_clusters",
        automation=Automation.WITH_UPSTREAM,
        group="errors",
        kinds=("scikitlearn", "parquet"),
    )
)
CLUSTER_LABELS_STAGE = declare(
    Stage(
        asset="cluster_labels",
        tables=(CLUSTER_LABELS,),
        upstream=("error_table", "error_embeddings", "error_clusters"),
        code_version="3",
        settings=_label_settings,
        phase="label_error_clusters",
        automation=Automation.WITH_UPSTREAM,
        group="errors",
        kinds=("scikitlearn", "openai", "parquet"),
        pool="language_model",
    )
)
BATTLES_STAGE = declare(
    Stage(
        asset="battles",
        tables=(BATTLES, BATTLE_REJECTS),
        code_version="1",
        phase="rate_battles",
        automation=Automation.ON_REQUEST,
        group="submissions",
        kinds=("python", "parquet"),
    )
)
PROMPT_MAP_STAGE = declare(
    Stage(
        asset="prompt_map",
        tables=(PROMPT_MAP, PROMPT_REGIONS),
        upstream=("battles",),
        code_version="2",
        settings=_map_settings,
        phase="rate_battles",
        automation=Automation.WITH_UPSTREAM,
        group="battles",
        kinds=("sentence-transformers", "parquet"),
        pool="embedding",
    )
)
RATINGS_STAGE = declare(
    Stage(
        asset="ratings",
        tables=(RATINGS, BATTLE_REGIONS, REGIONAL_RATINGS),
        upstream=("battles", "prompt_map"),
        code_version="1",
        phase="rate_battles",
        automation=Automation.WITH_UPSTREAM,
        group="battles",
        kinds=("scipy", "parquet"),
    )
)
QUESTIONS_STAGE = declare(
    Stage(
        asset="questions",
        tables=(QUESTIONS,),
        upstream=("raw_results",),
        code_version="1",
        phase="map_questions",
        automation=Automation.ON_ANY_SUBMISSION,
        group="map",
        kinds=("pandas", "parquet"),
    )
)
QUESTION_MAP_STAGE = declare(
    Stage(
        asset="question_map",
        tables=(QUESTION_MAP,),
        upstream=("questions",),
        code_version="3",
        settings=_map_settings,
        phase="map_questions",
        automation=Automation.ON_NEW_CONTENT,
        group="map",
        kinds=("sentence-transformers", "parquet"),
        pool="embedding",
    )
)
REGION_LABELS_STAGE = declare(
    Stage(
        asset="region_labels",
        tables=(REGION_LABELS,),
        upstream=("questions", "question_map"),
        code_version="1",
        settings=lambda *_: {"written_by": "key_phrases"},
        phase="map_questions",
        automation=WithRunOf("question_map"),
        group="map",
        kinds=("scikitlearn", "parquet"),
    )
)
HOT_SPOTS_STAGE = declare(
    Stage(
        asset="hot_spots",
        tables=(HOT_SPOTS, HOT_REGIONS),
        upstream=("question_map", "region_labels", "raw_results", "error_table"),
        code_version="4",
        settings=_statistics_settings("scales", "fdr", "leave_out_artefacts"),
        phase="find_hot_spots",
        automation=Automation.ON_NEW_CONTENT,
        group="statistics",
        kinds=("scipy", "parquet"),
        uses_other_models=True,
    )
)
AUTOCORRELATION_STAGE = declare(
    Stage(
        asset="autocorrelation",
        tables=(AUTOCORRELATION,),
        upstream=("question_map", "raw_results", "error_table"),
        code_version="3",
        settings=_statistics_settings("scales", "permutations", "leave_out_artefacts"),
        phase="find_hot_spots",
        automation=Automation.ON_NEW_CONTENT,
        group="statistics",
        kinds=("scipy", "parquet"),
        uses_other_models=True,
    )
)
UNCERTAINTY_STAGE = declare(
    Stage(
        asset="uncertainty",
        tables=(UNCERTAINTY, UNCERTAINTY_SUMMARY, UNCERTAINTY_BY_REGION, UNCERTAINTY_HOT_REGIONS),
        upstream=("question_map", "region_labels", "raw_results"),
        code_version="2",
        settings=_statistics_settings("fdr", "permutations", "miscoverage"),
        phase="find_hot_spots",
        automation=Automation.ON_NEW_CONTENT,
        group="statistics",
        kinds=("scipy", "parquet"),
    )
)
TRAINING_CANDIDATES_STAGE = declare(
    Stage(
        asset="training_candidates",
        tables=(TRAINING_CANDIDATES, SUSPECTED_FAULTS),
        upstream=(
            "questions",
            "question_map",
            "region_labels",
            "raw_results",
            "error_table",
            "hot_spots",
        ),
        code_version="2",
        settings=_selection_settings,
        phase="select_candidates",
        # The hot spots are computed anew whenever anything else that it reads is.
        automation=WithRunOf("hot_spots"),
        group="selection",
        kinds=("scipy", "parquet"),
        pool="embedding",
        uses_other_models=True,
    )
)
ERROR_DIAGNOSES_STAGE = declare(
    Stage(
        asset="error_diagnoses",
        tables=(ERROR_DIAGNOSES,),
        upstream=("question_map", "raw_results", "error_table"),
        code_version="1",
        settings=_diagnosis_settings,
        phase="diagnose_errors",
        automation=Automation.ON_NEW_CONTENT,
        group="diagnosis",
        kinds=("openai", "parquet"),
        pool="language_model",
    )
)
DIAGNOSIS_CLUSTERS_STAGE = declare(
    Stage(
        asset="diagnosis_clusters",
        tables=(DIAGNOSIS_CLUSTERS, DIAGNOSIS_LABELS),
        upstream=("error_diagnoses", "error_table"),
        code_version="3",
        settings=_diagnosis_cluster_settings,
        phase="diagnose_errors",
        automation=WithRunOf("error_diagnoses"),
        group="diagnosis",
        kinds=("scikitlearn", "openai", "parquet"),
        pool="language_model",
    )
)
LEADERBOARD_STAGE = declare(
    Stage(
        asset="leaderboard",
        tables=(LEADERBOARD, MODEL_SIGNATURES),
        upstream=("question_map", "raw_results", "error_table", "uncertainty"),
        optional_upstream=("uncertainty",),
        code_version="4",
        settings=_statistics_settings("leave_out_artefacts"),
        phase="compare_models",
        automation=Automation.ON_ANY_SUBMISSION,
        group="comparison",
        kinds=("scipy", "parquet"),
    )
)
MODEL_COMPARISON_STAGE = declare(
    Stage(
        asset="model_comparison",
        tables=(MODEL_COMPARISON, MODEL_PAIRS, PAIR_AUTOCORRELATION),
        upstream=("question_map", "raw_results", "error_table"),
        code_version="2",
        settings=_statistics_settings("scales", "fdr", "leave_out_artefacts", "most_pairs"),
        phase="compare_models",
        automation=Automation.ON_ANY_SUBMISSION,
        group="comparison",
        kinds=("scipy", "parquet"),
    )
)
