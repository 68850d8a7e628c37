"""What starts runs by itself: new submissions, new content upstream, and the night.

- A sensor a folder looks for new and revised submissions and requests `raw_results` for them.
- Automation conditions carry the rest: a stage is computed anew where what it reads has changed.
- Another sensor looks at the tables themselves, for what no event tells: a table was lost, a run
  failed, a setting or the code changed.
- A schedule compares the models of a benchmark at night, for who prefers that.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

import dagster as dg

from errclust_pipeline.ingestion import Arrivals, DropFolder
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.jobs import bring_up_to_date_config
from errclust_pipeline.orchestration.partitions import (
    BENCHMARKS,
    MODELS,
    add_partitions,
    partition_key,
)
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.stages.declarations import RAW_RESULTS
from errclust_pipeline.warehouse.keys import SubmissionPartition, benchmarks_of
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.warehouse import Warehouse

MOST_PARTITIONS = 100_000
"""What Dagster is made for, by its documentation, for each asset."""
SECONDS_BETWEEN_REPAIRS = 600
SECONDS_A_REPAIR_LOOK = 8.0
_NIGHTLY = "0 3 * * *"

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
            freshness_policy=late if name == RAW_RESULTS.asset else None,
            owners=list(settings.owners),
        )

    return [asset.map_asset_specs(told) for asset in assets]


def content_sensor(settings: Settings) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the conditions."""
    return dg.AutomationConditionSensorDefinition(
        "new_content",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.submissions.seconds_between_looks,
        description="Requests whatever reads something that has changed.",
    )


def submission_sensors(storage: Storage, settings: Settings) -> list[dg.SensorDefinition]:
    """Return one sensor for each folder that submissions arrive in."""
    urls = [settings.submissions.url(folder, storage) for folder in settings.submissions.folders]
    seconds = settings.submissions.seconds_between_looks
    return [
        _submission_sensor(url, name, seconds) for url, name in zip(urls, _names(urls), strict=True)
    ]


def _names(urls: Sequence[str]) -> list[str]:
    names: list[str] = []
    for url in urls:
        word = re.sub(r"\W+", "_", PurePosixPath(url).name).strip("_") or "root"
        name = f"submissions_in_{word}"
        names.append(name if name not in names else f"{name}_{len(names) + 1}")
    return names


def _submission_sensor(url: str, name: str, seconds: int) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        target=[RAW_RESULTS.asset],
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"New and revised submissions in {url}.",
    )
    def look(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        folder = DropFolder(warehouse.open(), url)
        if not folder.listing.exists():
            return dg.SensorResult(
                skip_reason=f"{url} is not there: create it and put result files into it"
            )
        return _to_result(context, folder.scan(int(context.cursor or 0)), url)

    return look


def _to_result(
    context: dg.SensorEvaluationContext, arrivals: Arrivals, url: str
) -> dg.SensorResult:
    for path, reason in arrivals.problems.items():
        context.log.warning(f"{path} in {url} cannot be used: {reason}")
    partitions = [one.partition for one in arrivals.requests]
    known = len(context.instance.get_dynamic_partitions("benchmark")) * len(
        context.instance.get_dynamic_partitions("model")
    )
    if known > 0.8 * MOST_PARTITIONS:
        context.log.warning(
            f"{known:,} pairs of benchmark and model: above {MOST_PARTITIONS:,} Dagster gets slow; "
            "keep further benchmarks under a data root of their own"
        )
    requests = [
        dg.RunRequest(
            run_key=one.run_key,
            partition_key=partition_key(one.partition),
            tags={"errclust/submission": one.run_key[:63]},
        )
        for one in arrivals.requests
    ]
    events = [_observation(one, "withdrawn") for one in arrivals.withdrawn]
    events += [_observation(one, "returned") for one in arrivals.returned]
    waiting = f"{arrivals.settling} files to be seen once more, {arrivals.waiting} wait"
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else f"nothing new in {url}; {waiting}",
        cursor=str(arrivals.scan),
        dynamic_partitions_requests=[
            BENCHMARKS.build_add_request(list(dict.fromkeys(one.benchmark for one in partitions))),
            MODELS.build_add_request(list(dict.fromkeys(one.model for one in partitions))),
        ]
        if partitions
        else [],
        asset_events=events,
    )


def _observation(partition: SubmissionPartition, what: str) -> dg.AssetObservation:
    return dg.AssetObservation(
        RAW_RESULTS.asset, partition=partition_key(partition), metadata={"submission": what}
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process was killed; Dagster then runs them again.",
)
def killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Find runs that only look as if they were in progress."""
    gone = runs.fail_abandoned_runs(context.instance)
    return dg.SkipReason(f"{len(gone)} runs were marked as failed: {', '.join(gone) or 'none'}")


def repair_sensor(jobs: Sequence[Any]) -> dg.SensorDefinition:
    """Return the sensor that has computed what is out of date though nobody requested it.

    Conditions see events, and an event may be lost: a run failed, a table was deleted, a setting or
    the code changed. This sensor looks at the tables themselves, a page of partitions a tick. What
    is out of date for the same reason in two rounds is requested, once a day at most.
    """

    @dg.sensor(
        name="repairs",
        jobs=jobs,
        minimum_interval_seconds=SECONDS_BETWEEN_REPAIRS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests what is out of date though no event tells: lost, failed, changed.",
    )
    def repairs(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        store = warehouse.open()
        memory = json.loads(context.cursor) if context.cursor else {"next": 0, "seen": {}}
        found, memory = find_repairs(store, memory, str(date.today()))
        busy = _busy_partitions(context.instance)
        requests = [
            dg.RunRequest(
                run_key=key,
                job_name=planned.job,
                partition_key=partition_key(planned.partition),
                asset_selection=[dg.AssetKey(asset) for asset in planned.assets],
            )
            for key, planned in found
            if str(planned.partition) not in busy
        ]
        add_partitions(context.instance, [planned.partition for _, planned in found])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "nothing to repair on this page",
            cursor=json.dumps(memory),
        )

    return repairs


def find_repairs(
    store: Warehouse, memory: dict[str, Any], today: str
) -> tuple[list[tuple[str, runs.PlannedRun]], dict[str, Any]]:
    """Look at a page of partitions; return the repairs with their run keys, and the new memory.

    Parameters
    ----------
    memory : dict
        ``next``, the number of the partition to go on with; ``seen``, by partition what it would
        be made from, of those that were out of date in the last round.
    """
    started = time.monotonic()
    settings = load_settings(store.storage)
    partitions = runs.select_partitions(store)
    everything = [*partitions, *benchmarks_of(partitions)]
    position = memory["next"] if memory["next"] < len(everything) else 0
    seen, found = dict(memory["seen"]), []
    with store.listing_once():
        for partition in everything[position:]:
            if time.monotonic() - started > SECONDS_A_REPAIR_LOOK:
                break
            position += 1
            needed = runs.next_run(store, settings, partition)
            before = seen.pop(str(partition), None)
            if needed is None:
                continue
            planned, wanted = needed
            seen[str(partition)] = wanted
            if wanted == before:
                found.append((f"repair|{partition}|{wanted}|{today}", planned))
    return found, {"next": position, "seen": seen}


def _busy_partitions(instance: dg.DagsterInstance) -> set[str]:
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
    )
    return {run.tags.get("dagster/partition", "") for run in instance.get_runs(unfinished)}


def comparison_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that brings comparisons up to date at night, and what they rest on.

    Parameters
    ----------
    job : JobDefinition
        `bring_up_to_date`.
    """

    @dg.schedule(
        name="comparisons_at_night",
        job=job,
        cron_schedule=_NIGHTLY,
        description=(
            "Brings benchmarks up to date whose leaderboard or comparison is not, for who prefers "
            "that to the sensor new_content, which does it whenever a submission was read."
        ),
    )
    def at_night(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        store = warehouse.open()
        night = context.scheduled_execution_time.date()
        planned = runs.plan(
            store, load_settings(store.storage), runs.select_partitions(store), ["compare_models"]
        )
        requests = [
            dg.RunRequest(
                run_key=f"{one.partition.collection}|{night}",
                run_config=bring_up_to_date_config(benchmark=one.partition.collection),
            )
            for one in planned
        ]
        return requests or dg.SkipReason("all comparisons are up to date")

    return at_night
