"""Sensors: what starts runs by itself.

- A sensor a folder looks for new and revised submissions and requests `raw_results` for them.
- Another evaluates the automation conditions (`conditions`), which carry the rest.
- Another looks at the tables themselves, for what no event tells: a table was lost, a run failed, a
  setting or the code changed.
- Another marks runs whose process was killed as failed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
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

MOST_PARTITIONS = 100_000
"""What Dagster is made for, by its documentation, for each asset."""
SECONDS_BETWEEN_REPAIRS = 600
SECONDS_A_REPAIR_LOOK = 8.0


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
        target=[RAW_RESULTS_STAGE.asset],
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
        RAW_RESULTS_STAGE.asset, partition=partition_key(partition), metadata={"submission": what}
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
