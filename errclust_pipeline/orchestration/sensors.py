"""Sensors: they request runs without anyone asking for them.

- One sensor for each folder looks for new and revised submissions, and requests `raw_results`.
- ``new_content`` evaluates the automation conditions (`conditions`), which request everything that
  follows from `raw_results`.
- ``repairs`` looks at the tables themselves, and requests what no event tells: a table was lost, a
  run failed, a setting or the code changed.
- ``killed_runs`` marks runs as failed whose process was killed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import dagster as dg

from errclust_pipeline.ingestion import Arrivals, DropFolder
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.partitions import (
    BENCHMARKS,
    MODELS,
    add_partitions,
    partition_key,
)
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE
from errclust_pipeline.warehouse.keys import SubmissionPartition, benchmarks_of
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.warehouse import Warehouse

MAX_PARTITIONS = 100_000
"""Maximum number of partitions of an asset that Dagster's documentation recommends."""
SECONDS_BETWEEN_REPAIRS = 600
MAX_SECONDS_OF_A_REPAIR_TICK = 8.0
"""Maximum time that one tick looks at partitions; the next tick continues."""
_WARN_ABOVE_SHARE = 0.8
"""Share of `MAX_PARTITIONS` above which the sensors warn."""


def content_sensor(settings: Settings) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates the automation conditions of all assets."""
    return dg.AutomationConditionSensorDefinition(
        "new_content",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=settings.submissions.seconds_between_looks,
        description="Requests the assets that read something that has changed.",
    )


def submission_sensors(storage: Storage, settings: Settings) -> list[dg.SensorDefinition]:
    """Return one sensor for each folder in which submissions arrive."""
    urls = [settings.submissions.url(folder, storage) for folder in settings.submissions.folders]
    seconds = settings.submissions.seconds_between_looks
    return [
        _submission_sensor(url, name, seconds) for url, name in zip(urls, _names(urls), strict=True)
    ]


def _names(urls: Sequence[str]) -> list[str]:
    """Return a name for the sensor of each folder, made from the folder's own name."""
    names: list[str] = []
    for url in urls:
        word = re.sub(r"\W+", "_", PurePosixPath(url).name).strip("_") or "root"
        name = f"submissions_in_{word}"
        names.append(name if name not in names else f"{name}_{len(names) + 1}")
    return names


def _submission_sensor(url: str, name: str, seconds: int) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        target=[RAW_RESULTS_STAGE.asset],
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"New and revised submissions in {url}.",
    )
    def scan(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        folder = DropFolder(warehouse.open(), url)
        if not folder.listing.exists():
            return dg.SensorResult(
                skip_reason=f"{url} does not exist: create it and put result files into it"
            )
        return _to_result(context, folder.scan(int(context.cursor or 0)), url)

    return scan


def _to_result(
    context: dg.SensorEvaluationContext, arrivals: Arrivals, url: str
) -> dg.SensorResult:
    for path, reason in arrivals.problems.items():
        context.log.warning(f"{path} in {url} cannot be used: {reason}")
    partitions = [request.partition for request in arrivals.requests]
    pairs = len(context.instance.get_dynamic_partitions("benchmark")) * len(
        context.instance.get_dynamic_partitions("model")
    )
    if pairs > _WARN_ABOVE_SHARE * MAX_PARTITIONS:
        context.log.warning(
            f"{pairs:,} pairs of benchmark and model: above {MAX_PARTITIONS:,} Dagster gets slow; "
            "ingest further benchmarks into another data root"
        )
    requests = [
        dg.RunRequest(
            run_key=request.run_key,
            partition_key=partition_key(request.partition),
            tags={"errclust/submission": request.run_key[:63]},
        )
        for request in arrivals.requests
    ]
    events = [_observation(partition, "withdrawn") for partition in arrivals.withdrawn]
    events += [_observation(partition, "returned") for partition in arrivals.returned]
    waiting = f"{arrivals.settling} files are watched until they stop changing, "
    waiting += f"{arrivals.waiting} wait for a later tick"
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else f"nothing new in {url}; {waiting}",
        cursor=str(arrivals.scan),
        dynamic_partitions_requests=[
            BENCHMARKS.build_add_request(
                _distinct(partition.benchmark for partition in partitions)
            ),
            MODELS.build_add_request(_distinct(partition.model for partition in partitions)),
        ]
        if partitions
        else [],
        asset_events=events,
    )


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _observation(partition: SubmissionPartition, what: str) -> dg.AssetObservation:
    return dg.AssetObservation(
        RAW_RESULTS_STAGE.asset, partition=partition_key(partition), metadata={"submission": what}
    )


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Marks runs as failed whose process was killed; Dagster then runs them again.",
)
def killed_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Fail the runs that seem to be in progress but have no process any more."""
    gone = runs.fail_abandoned_runs(context.instance)
    return dg.SkipReason(f"{len(gone)} runs were marked as failed: {', '.join(gone) or 'none'}")


def repair_sensor(jobs: Sequence[Any]) -> dg.SensorDefinition:
    """Return the sensor that requests partitions that are out of date without an event.

    The automation conditions see events, but there is none when a run failed, a table was deleted,
    or a setting or the code changed. This sensor looks at the tables themselves, at some of the
    partitions in each tick. A partition is requested if it needs the same run in two rounds, and at
    most once a day.
    """

    @dg.sensor(
        name="repairs",
        jobs=jobs,
        minimum_interval_seconds=SECONDS_BETWEEN_REPAIRS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests what is out of date without an event: lost, failed, changed.",
    )
    def repairs(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource
    ) -> dg.SensorResult:
        store = warehouse.open()
        memory = json.loads(context.cursor) if context.cursor else {"next": 0, "seen": {}}
        repairs_due, memory = find_repairs(store, memory, str(date.today()))
        busy = _busy_partitions(context.instance)
        requests = [
            dg.RunRequest(
                run_key=key,
                job_name=planned.job,
                partition_key=partition_key(planned.partition),
                asset_selection=[dg.AssetKey(asset) for asset in planned.assets],
            )
            for key, planned in repairs_due
            if str(planned.partition) not in busy
        ]
        add_partitions(context.instance, [planned.partition for _, planned in repairs_due])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "nothing to repair among these partitions",
            cursor=json.dumps(memory),
        )

    return repairs


def find_repairs(
    store: Warehouse, memory: dict[str, Any], today: str
) -> tuple[list[tuple[str, runs.PlannedRun]], dict[str, Any]]:
    """Look at partitions until the time of a tick is over.

    Parameters
    ----------
    memory : dict
        What the last tick returned: ``next``, the position of the partition to continue with, and
        ``seen``, which holds the current data version of each partition that was out of date in the
        last round.
    today : str
        Becomes part of the run keys, so that Dagster runs each repair at most once a day.

    Returns
    -------
    list of pairs of str and PlannedRun
        The repairs with their run keys.
    dict
        The memory for the next tick.
    """
    started = time.monotonic()
    settings = load_settings(store.storage)
    partitions = runs.select_partitions(store)
    everything = [*partitions, *benchmarks_of(partitions)]
    position = memory["next"] if memory["next"] < len(everything) else 0
    seen, repairs = dict(memory["seen"]), []
    with store.listing_once():
        for partition in everything[position:]:
            if time.monotonic() - started > MAX_SECONDS_OF_A_REPAIR_TICK:
                break
            position += 1
            needed = runs.next_run(store, settings, partition)
            before = seen.pop(str(partition), None)
            if needed is None:
                continue
            planned, version = needed
            seen[str(partition)] = version
            if version == before:
                repairs.append((f"repair|{partition}|{version}|{today}", planned))
    return repairs, {"next": position, "seen": seen}


def _busy_partitions(instance: dg.DagsterInstance) -> set[str]:
    """Return the Dagster keys of the partitions with a run that is queued or in progress."""
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
    )
    return {run.tags.get("dagster/partition", "") for run in instance.get_runs(unfinished)}
