"""What starts runs by itself: new submissions, new content upstream, and the night.

- A sensor a folder looks for new and revised submissions and requests `raw_results` for them.
- Automation conditions carry the rest: a stage is computed anew where what it reads has changed.
- A schedule compares the models of a benchmark at night, for who prefers that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import dagster as dg

from errclust_pipeline import run as runs
from errclust_pipeline.arrivals import Arrivals, DropFolder
from errclust_pipeline.arrivals.listing import FolderListing
from errclust_pipeline.keys import Partition
from errclust_pipeline.partitions import BENCHMARKS, MODELS, partition_key
from errclust_pipeline.resources.storage import Storage
from errclust_pipeline.resources.warehouse_resource import WarehouseResource
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.stages import RAW_RESULTS

MOST_PARTITIONS = 100_000
"""What Dagster is made for, by its documentation, for each asset."""
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

WITH_THE_CHAIN = (
    _C.any_deps_match(_NEW_OR_TO_COME).since_last_handled()
    & ~_C.any_deps_missing()
    & ~_C.any_deps_in_progress()
    & ~_C.in_progress()
).with_label("with_the_chain")
"""Of a stage that reads one partition of each stage before it: it joins their run."""

ON_NEW_CONTENT = (
    _NEW_CONTENT.since_last_handled() & ~_C.any_deps_missing() & _SETTLED_ABOVE
).with_label("on_new_content")
"""Of a stage that is computed only if the content of what it reads has really changed."""

WITH_THE_MAP = (
    _C.any_deps_match(_NEW_OR_TO_COME)
    .allow(dg.AssetSelection.assets("question_map"))
    .since_last_handled()
    & ~_C.any_deps_missing()
    & ~_C.any_deps_in_progress()
    & ~_C.in_progress()
).with_label("with_the_map")
"""Of what is said about the map: in the map's run."""

ON_ANY_SUBMISSION = (
    _C.any_deps_match(_C.newly_updated()).since_last_handled() & _SETTLED_ABOVE
).with_label("on_any_submission")
"""Of a stage that gathers whatever models there are: most pairs of the grid have no results."""

ON_ANY_SUBMISSION_ON_THE_MAP = (
    _C.any_deps_match(_C.newly_updated()).since_last_handled()
    & ~_C.any_deps_match(_C.missing()).allow(dg.AssetSelection.assets("question_map"))
    & _SETTLED_ABOVE
).with_label("on_any_submission_on_the_map")
"""The same, but it needs the map."""

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
    "leaderboard": ON_ANY_SUBMISSION_ON_THE_MAP,
    "model_comparison": ON_ANY_SUBMISSION_ON_THE_MAP,
}
"""When each asset is computed; `raw_results` when a sensor asks for it."""


def with_conditions(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return assets that know when they are to be computed."""
    return [
        asset.map_asset_specs(
            lambda spec: spec.replace_attributes(
                automation_condition=CONDITIONS.get(spec.key.to_user_string())
            )
        )
        for asset in assets
    ]


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
        store = warehouse.open()
        if not FolderListing(url, store.storage).exists():
            return dg.SensorResult(
                skip_reason=f"{url} is not there: create it and put result files into it"
            )
        return _to_result(context, DropFolder(store, url).look(int(context.cursor or 0)), url)

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
        cursor=str(arrivals.look),
        dynamic_partitions_requests=[
            BENCHMARKS.build_add_request(list(dict.fromkeys(one.benchmark for one in partitions))),
            MODELS.build_add_request(list(dict.fromkeys(one.model for one in partitions))),
        ]
        if partitions
        else [],
        asset_events=events,
    )


def _observation(partition: Partition, what: str) -> dg.AssetObservation:
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


def comparison_schedule(job: Any) -> dg.ScheduleDefinition:
    """Return the schedule that brings comparisons up to date at night."""

    @dg.schedule(
        name="comparisons_at_night",
        job=job,
        cron_schedule=_NIGHTLY,
        description=(
            "Brings leaderboards and comparisons up to date, for who prefers that to the sensor "
            "new_content, which does it whenever a submission was read."
        ),
    )
    def at_night(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        store = warehouse.open()
        night = context.scheduled_execution_time.date()
        planned = runs.plan(
            store, load_settings(store.storage), store.submissions(), ["compare_models"]
        )
        requests = [
            dg.RunRequest(
                run_key=f"{one.partition.benchmark}|{night}",
                partition_key=partition_key(one.partition),
                asset_selection=[dg.AssetKey(asset) for asset in one.assets],
            )
            for one in planned
        ]
        return requests or dg.SkipReason("all comparisons are up to date")

    return at_night
