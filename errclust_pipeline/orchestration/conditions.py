"""When each asset is computed: the automation conditions, and what else settings say of assets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import dagster as dg

from errclust_pipeline.settings import Settings
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE

_C = dg.AutomationCondition

_MOVING = _C.in_progress() | _C.will_be_requested()
_JUST_CHANGED = _C.any_deps_match(_C.newly_updated())
_SETTLED_ABOVE = (
    ~_C.any_deps_match(_MOVING | _C.any_deps_match(_MOVING))
    # `will_be_requested` holds only of what would join the same run. What has just changed further
    # up requests the rest; region_labels are always in the run of what they are made from.
    & ~_C.any_deps_match(_JUST_CHANGED | _C.any_deps_match(_JUST_CHANGED)).ignore(
        dg.AssetSelection.assets("region_labels")
    )
    & ~_C.in_progress()
)
"""Nothing that is read, nor what that is made from, is about to change."""
_NEW_CONTENT = _C.any_deps_match(_C.data_version_changed())
_NEW_OR_TO_COME = (
    # What was computed in one run with its dependent is no news to it.
    _C.data_version_changed() & ~_C.executed_with_root_target()
) | _C.will_be_requested()

_NO_CHECK_AGAINST_IT = ~_C.any_checks_match(
    _C.check_failed() | _C.in_progress(), blocking_only=True
)
_ALL_SOUND = _C.all_deps_match(_NO_CHECK_AGAINST_IT)
"""No check of what is read failed; one that runs has not said yet.

Not asked of what gathers all models: one unsound submission would stop the whole benchmark. It
takes a check that passed for granted nowhere, since a table may be older than its checks.
"""
_SOUND_MAP = _C.all_deps_match(_NO_CHECK_AGAINST_IT).allow(dg.AssetSelection.assets("question_map"))
_ALL_THERE = ~_C.any_deps_missing() & ~_C.any_deps_in_progress() & ~_C.in_progress() & _ALL_SOUND

WITH_THE_CHAIN = (_C.any_deps_match(_NEW_OR_TO_COME).since_last_handled() & _ALL_THERE).with_label(
    "with_the_chain"
)
"""Of a stage that reads one partition of each stage before it: it joins their run."""

_CONTENT_IS_USABLE = ~_C.any_deps_missing() & _ALL_SOUND & _SETTLED_ABOVE

ON_NEW_CONTENT = (_NEW_CONTENT.since_last_handled() & _CONTENT_IS_USABLE).with_label(
    "on_new_content"
)
"""Of a stage that is computed only if the content of what it reads has really changed."""


def _in_the_run_of(asset: str, label: str) -> dg.AutomationCondition[Any]:
    changed = _C.any_deps_match(_NEW_OR_TO_COME).allow(dg.AssetSelection.assets(asset))
    return (changed.since_last_handled() & _ALL_THERE).with_label(label)


WITH_THE_MAP = _in_the_run_of("question_map", "with_the_map")
"""Of what is said about the map: in the map's run."""

WITH_THE_DIAGNOSES = _in_the_run_of("error_diagnoses", "with_the_diagnoses")
"""Likewise of what is made of the diagnoses."""

WITH_THE_HOT_SPOTS = _in_the_run_of("hot_spots", "with_the_hot_spots")
"""Of what rests on them: they are made anew whenever anything else that it reads is."""

ON_ANY_SUBMISSION = (_JUST_CHANGED.since_last_handled() & _SETTLED_ABOVE).with_label(
    "on_any_submission"
)
"""Of a stage that gathers whatever models there are: most pairs of the grid have no results."""

_ON_A_SOUND_MAP = (
    ~_C.any_deps_match(_C.missing()).allow(dg.AssetSelection.assets("question_map"))
    & _SOUND_MAP
    & _SETTLED_ABOVE
)

ON_ANY_SUBMISSION_ON_THE_MAP = (_JUST_CHANGED.since_last_handled() & _ON_A_SOUND_MAP).with_label(
    "on_any_submission_on_the_map"
)
"""The same, but it needs the map."""

# As `ON_NEW_CONTENT`, but seen from what reads it. There `since_last_handled` would forget what
# changed when it is looked at for the first time.
_DUE_NOW = _NEW_CONTENT.since(_C.newly_requested() | _C.newly_updated()) & _CONTENT_IS_USABLE
AFTER_THE_UNCERTAINTY = (
    _JUST_CHANGED.since_last_handled()
    # What another run is asked for at this very tick is not `will_be_requested`. It comes second
    # because it remembers, and what stands behind something false is not looked at.
    & ~_C.any_deps_match(_DUE_NOW).allow(dg.AssetSelection.assets("uncertainty"))
    & _ON_A_SOUND_MAP
).with_label("after_the_uncertainty")
"""The same, of what gathers the models' uncertainty too."""

CONDITIONS: dict[str, dg.AutomationCondition[Any]] = {
    "error_table": WITH_THE_CHAIN,
    "error_embeddings": WITH_THE_CHAIN,
    "error_clusters": WITH_THE_CHAIN,
    "cluster_labels": WITH_THE_CHAIN,
    "questions": ON_ANY_SUBMISSION,
    "question_map": ON_NEW_CONTENT,
    "region_labels": WITH_THE_MAP,
    "hot_spots": ON_NEW_CONTENT,
    "autocorrelation": ON_NEW_CONTENT,
    "uncertainty": ON_NEW_CONTENT,
    "training_candidates": WITH_THE_HOT_SPOTS,
    "error_diagnoses": ON_NEW_CONTENT,
    "diagnosis_clusters": WITH_THE_DIAGNOSES,
    "leaderboard": AFTER_THE_UNCERTAINTY,
    "model_comparison": ON_ANY_SUBMISSION_ON_THE_MAP,
    "prompt_map": WITH_THE_CHAIN,
    "ratings": WITH_THE_CHAIN,
}
"""When each asset is computed; `raw_results` when a sensor asks for it, `battles` by command."""


def with_automation(
    assets: Iterable[dg.AssetsDefinition], settings: Settings
) -> list[dg.AssetsDefinition]:
    """Return assets that know when they are to be computed, when they are late, and whose they are.

    Of freshness Dagster knows one state an asset: that of `raw_results` says when a submission was
    last read.
    """
    late = dg.FreshnessPolicy.time_window(
        warn_window=timedelta(days=settings.submissions.warn_after_days),
        fail_window=timedelta(days=settings.submissions.fail_after_days),
    )

    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        name = spec.key.to_user_string()
        return spec.replace_attributes(
            automation_condition=CONDITIONS.get(name),
            freshness_policy=late if name == RAW_RESULTS_STAGE.asset else None,
            owners=list(settings.owners),
        )

    return [asset.map_asset_specs(told) for asset in assets]
