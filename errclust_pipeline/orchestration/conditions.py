"""Automation conditions: when a stage is computed without anyone requesting it.

`condition_of` turns what a stage's row says (`stages.Automation`) into Dagster's condition, which a
sensor evaluates (`sensors`). What is true of one asset only belongs in its row.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from errclust_pipeline.stages import STAGES, Automation, Stage, WithRunOf

_C = dg.AutomationCondition

_MOVING = _C.in_progress() | _C.will_be_requested()
_JUST_CHANGED = _C.any_deps_match(_C.newly_updated())
_SETTLED_UPSTREAM = (
    ~_C.any_deps_match(_MOVING | _C.any_deps_match(_MOVING))
    # `will_be_requested` is true only of assets that would join the same run. For the others: an
    # asset that has just changed requests those that read it. `region_labels` is excepted because
    # it is always computed in the run of what it reads.
    & ~_C.any_deps_match(_JUST_CHANGED | _C.any_deps_match(_JUST_CHANGED)).ignore(
        dg.AssetSelection.assets("region_labels")
    )
    & ~_C.in_progress()
)
"""Nothing that the asset reads, and nothing that this is made from, is about to change."""

_NEW_CONTENT = _C.any_deps_match(_C.data_version_changed())
_NEW_OR_TO_COME = (
    # An upstream asset that was computed in the same run as this one brings nothing new.
    _C.data_version_changed() & ~_C.executed_with_root_target()
) | _C.will_be_requested()

_NO_FAILED_CHECK = ~_C.any_checks_match(_C.check_failed() | _C.in_progress(), blocking_only=True)
_ALL_SOUND = _C.all_deps_match(_NO_FAILED_CHECK)
"""No check of an upstream asset failed, and none is running.

A check that never ran counts as no failure, since a table may be older than its checks. Stages that
gather all models do not ask this: one unsound submission would stop the whole benchmark.
"""

_ALL_THERE = ~_C.any_deps_missing() & ~_C.any_deps_in_progress() & ~_C.in_progress() & _ALL_SOUND
_CONTENT_IS_USABLE = ~_C.any_deps_missing() & _ALL_SOUND & _SETTLED_UPSTREAM

WITH_UPSTREAM = (_C.any_deps_match(_NEW_OR_TO_COME).since_last_handled() & _ALL_THERE).with_label(
    "with_upstream"
)
"""Stages that read one partition of each upstream stage run in the same Dagster run."""

ON_NEW_CONTENT = (_NEW_CONTENT.since_last_handled() & _CONTENT_IS_USABLE).with_label(
    "on_new_content"
)
"""Stages that are computed only if the data version of something they read has changed."""

# `ON_NEW_CONTENT` as seen from an asset that reads the stage. There, `since_last_handled` would
# forget what changed when the condition is evaluated for the first time.
_DUE_NOW = _NEW_CONTENT.since(_C.newly_requested() | _C.newly_updated()) & _CONTENT_IS_USABLE


def condition_of(stage: Stage) -> dg.AutomationCondition[Any] | None:
    """Return when a stage is computed by itself; None if it is computed only on request."""
    automation = stage.automation
    if isinstance(automation, WithRunOf):
        return _with_run_of(automation.asset)
    if automation is Automation.WITH_UPSTREAM:
        return WITH_UPSTREAM
    if automation is Automation.ON_NEW_CONTENT:
        return ON_NEW_CONTENT
    if automation is Automation.ON_ANY_SUBMISSION:
        return _on_any_submission(stage)
    return None


def _with_run_of(asset: str) -> dg.AutomationCondition[Any]:
    """Return the condition of a stage that is computed in the run of one of the assets it reads."""
    changed = _C.any_deps_match(_NEW_OR_TO_COME).allow(dg.AssetSelection.assets(asset))
    return (changed.since_last_handled() & _ALL_THERE).with_label(f"with_run_of_{asset}")


def _on_any_submission(stage: Stage) -> dg.AutomationCondition[Any]:
    """Return the condition of a stage that gathers all models of a benchmark.

    Most pairs of a benchmark and a model have no results, so it cannot wait until all of them are
    there. It waits for the partitions that the benchmark's models share, such as the map, which
    must exist and be sound, and until upstream stages that only some models have are not due.
    """
    shared = [asset for asset in stage.upstream if STAGES[asset].kept_by is stage.kept_by]
    usable = _SETTLED_UPSTREAM
    if shared:
        selection = dg.AssetSelection.assets(*shared)
        usable = (
            ~_C.any_deps_match(_C.missing()).allow(selection)
            & _C.all_deps_match(_NO_FAILED_CHECK).allow(selection)
            & _SETTLED_UPSTREAM
        )
    changed = _JUST_CHANGED.since_last_handled()
    if not stage.optional_upstream:
        return (changed & usable).with_label("on_any_submission")
    # `will_be_requested` does not see what another run is requested for at the same tick. This
    # condition keeps a memory, so it must come second: what follows a false condition is not
    # evaluated.
    optional = dg.AssetSelection.assets(*stage.optional_upstream)
    none_due = ~_C.any_deps_match(_DUE_NOW).allow(optional)
    return (changed & none_due & usable).with_label("on_any_submission")
