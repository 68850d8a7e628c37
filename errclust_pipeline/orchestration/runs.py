"""Running the pipeline in this process: planning what is out of date, and materializing it.

Planning compares the stored provenance with the current one (`stages.freshness`). A planned run is
one Dagster run of one job on one partition. This module also cleans up after runs whose process was
killed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import dagster as dg
import psutil
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.utils import make_new_run_id

from errclust_pipeline import stages
from errclust_pipeline.orchestration.partitions import add_partitions, partition_key
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.stages import PHASES, State
from errclust_pipeline.stages.freshness import kind_of_partition
from errclust_pipeline.tables import RESPONSES, KeptBy
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import (
    BenchmarkPartition,
    Partition,
    RecordedPartition,
    SubmissionPartition,
    benchmarks_of,
)
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.warehouse import Warehouse

PROCESS_TAG = "errclust/process"
"""The tag of a run with the process that executes it: host, number and start time."""
_MAX_RUNS_READ = 20
"""Maximum number of runs of a partition that are read to find its newest run of each job."""


@dataclass(frozen=True)
class PlannedRun:
    """A partition, and those of its assets that are out of date, in flow order."""

    partition: Partition
    assets: tuple[str, ...]
    job: str = next(iter(PHASES))


@dataclass(frozen=True)
class FinishedRun:
    """The outcome of a planned run; `failure` is None if it succeeded."""

    planned: PlannedRun
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    failed_asset: str | None = None
    failure: str | None = None


def select_partitions(
    warehouse: Warehouse, benchmark: str | None = None, model: str | None = None
) -> list[RecordedPartition]:
    """Return the submissions and battle sets that were ingested.

    A submission that was withdrawn before it was ever read is left out, since nothing can be
    computed for it.

    Parameters
    ----------
    benchmark : str, optional
        Only those of this benchmark, or this battle set, by its key.
    model : str, optional
        Only those of this model, by its key. A battle set belongs to no model.
    """
    read = set(warehouse.submissions_in(RESPONSES, benchmark))
    known: list[RecordedPartition] = [*warehouse.submissions(), *warehouse.battle_sets()]
    return [
        partition
        for partition in known
        if benchmark in (None, partition.collection)
        and (
            model is None
            or (isinstance(partition, SubmissionPartition) and partition.model == model)
        )
        and (partition in read or not warehouse.is_withdrawn(partition))
    ]


def plan(
    warehouse: Warehouse,
    settings: Settings,
    partitions: Sequence[Partition],
    phases: Sequence[str] = tuple(PHASES),
) -> list[PlannedRun]:
    """Return the runs that bring partitions up to date.

    Parameters
    ----------
    partitions : sequence of Partition
        Submissions and battle sets. The partitions of their benchmarks are planned too.
    phases : sequence of str
        The jobs to plan. An earlier phase may change what a later phase has to do, so plan and
        execute one phase after another.
    """
    planned = []
    for phase in phases:
        names = [stage.asset for stage in PHASES[phase]]
        with warehouse.listing_once():
            for partition in _partitions_of(phase, partitions):
                statuses = stages.status(warehouse, settings, partition)
                assets = tuple(name for name in names if statuses[name].state is not State.FRESH)
                if assets:
                    planned.append(PlannedRun(partition, assets, phase))
    return planned


def _partitions_of(phase: str, partitions: Sequence[Partition]) -> Sequence[Partition]:
    """Return the partitions that a phase is computed for."""
    kind = PHASES[phase][0].kept_by
    if kind is KeptBy.BENCHMARK:
        return benchmarks_of(partitions)
    return [partition for partition in partitions if kind_of_partition(partition) is kind]


def out_of_date(
    warehouse: Warehouse, settings: Settings, partitions: Sequence[Partition]
) -> tuple[Counter[tuple[str, str]], list[Partition]]:
    """Return what is out of date among some partitions and their benchmarks, and why.

    Returns
    -------
    Counter
        The number of partitions by asset and reason.
    list of Partition
        Those of the given partitions that are out of date, or whose benchmark is.
    """
    reasons: Counter[tuple[str, str]] = Counter()
    stale: set[Partition] = set()
    with warehouse.listing_once():
        for partition in [*partitions, *benchmarks_of(partitions)]:
            for asset, status in stages.status(warehouse, settings, partition).items():
                if status.state is not State.FRESH:
                    reasons[asset, status.reason] += 1
                    stale.add(partition)
    # A benchmark is brought up to date together with any of its models.
    return reasons, [
        partition for partition in partitions if {partition, *benchmarks_of([partition])} & stale
    ]


def failed_last(instance: dg.DagsterInstance, partitions: Sequence[Partition]) -> list[Partition]:
    """Sort partitions so that those whose last run failed come last, the latest failure last.

    When only some partitions are computed at a time, those that fail do not hold up the others.
    """
    failures = {partition: _failed_last_time(instance, partition) for partition in partitions}
    return sorted(
        partitions,
        key=lambda partition: max(
            (record.create_timestamp.timestamp() for record in failures[partition]), default=0.0
        ),
    )


def next_run(
    warehouse: Warehouse, settings: Settings, partition: Partition
) -> tuple[PlannedRun, str] | None:
    """Return the first run that a partition needs, and the data version of the run's first asset.

    Return None if the partition is fresh, or if nothing can be computed yet because something that
    it reads does not exist.
    """
    statuses = stages.status(warehouse, settings, partition)
    for phase, of_phase in PHASES.items():
        names = [stage.asset for stage in of_phase]
        if not all(name in statuses for name in names):
            continue
        assets = tuple(name for name in names if statuses[name].state is not State.FRESH)
        # A person decides whether a spent budget is followed by another one.
        if not assets or statuses[assets[0]].state is State.OVER_BUDGET:
            continue
        first = next(stage for stage in of_phase if stage.asset == assets[0])
        try:
            provenance = stages.provenance(first, warehouse, settings, partition)
        except WarehouseError:
            continue
        return PlannedRun(partition, assets, phase), provenance.data_version
    return None


def last_failure(instance: dg.DagsterInstance, partition: Partition) -> str | None:
    """Return in which asset and why the last run on a partition failed; None if it did not."""
    for record in _failed_last_time(instance, partition):
        run_id = record.dagster_run.run_id
        entries = instance.all_logs(run_id, of_type=_EVENTS_WITH_REASON)
        events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
        asset, reason = _first_failure(events)
        if reason is not None:
            return f"the last run failed in {asset}: {reason}"
        return "the last run failed before any stage started: see it in the Dagster UI"
    return None


_EVENTS_WITH_REASON = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}


def _failed_last_time(instance: dg.DagsterInstance, partition: Partition) -> list[dg.RunRecord]:
    """Return the newest run of each job on a partition, if it failed; newest first."""
    newest: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(_runs_of(partition), limit=_MAX_RUNS_READ):
        newest.setdefault(record.dagster_run.job_name, record)
    failed = dg.DagsterRunStatus.FAILURE
    return [record for record in newest.values() if record.dagster_run.status is failed]


def _runs_of(partition: Partition) -> dg.RunsFilter:
    return dg.RunsFilter(tags={"dagster/partition": str(partition)})


def execute(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    planned: Sequence[PlannedRun],
    tags: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[FinishedRun]:
    """Materialize planned runs in this process, one after another.

    A run that fails does not stop the others. The instance records every run with its tags, so the
    Dagster UI shows them.

    Raises
    ------
    dagster.DagsterExecutionInterruptedError
        If the process receives an interrupt (Ctrl-C, or Terminate in the UI).
    """
    fail_abandoned_runs(instance)
    add_partitions(instance, [run.partition for run in planned])
    for run in planned:
        run_id = make_new_run_id()
        with _signals() as received:
            try:
                result = definitions.resolve_job_def(run.job).execute_in_process(
                    instance=instance,
                    partition_key=partition_key(run.partition),
                    asset_selection=[dg.AssetKey(asset) for asset in run.assets],
                    raise_on_error=False,
                    run_id=run_id,
                    tags={**tags, PROCESS_TAG: _this_process()},
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
            finally:
                _fail_unless_finished(instance, run_id, "it was interrupted")
            if received() & {signal.SIGINT, signal.SIGTERM}:
                raise dg.DagsterExecutionInterruptedError
        yield _finished(run, result)


def execute_all(
    warehouse: Warehouse,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    partitions: Sequence[Partition],
    started: Callable[[PlannedRun], None] = lambda _: None,
    phases: Sequence[str] = tuple(PHASES),
    tags: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[FinishedRun]:
    """Bring partitions up to date, one phase after another, each planned when its turn comes.

    After a failure, the later phases that depend on the failed asset are skipped for that
    partition, and so is a benchmark if no model of it can be used.

    Parameters
    ----------
    partitions : sequence of Partition
        Submissions and battle sets.
    started : callable
        Called with each run before it starts.
    phases : sequence of str
        Names of phases in the order of `stages.PHASES`.
    tags : mapping, optional
        Tags of the runs.
    """
    settings = load_settings(warehouse.storage)
    failed: dict[Partition, str | None] = {}
    for phase in phases:
        needed = {*stages.with_all_upstream(PHASES[phase]), None}
        blocked = {partition for partition, asset in failed.items() if asset in needed}
        remaining = [
            partition
            for partition in partitions
            if not {partition, *benchmarks_of([partition])} & blocked
        ]
        if not PHASES[phase][0].by_model:
            # A benchmark is computed from the models that are there, whichever failed just now.
            remaining = [
                partition
                for partition in partitions
                if partition in remaining
                or (
                    isinstance(partition, SubmissionPartition)
                    and BenchmarkPartition(partition.benchmark) not in blocked
                    and models_of(warehouse, partition.benchmark)
                )
            ]
        for planned in plan(warehouse, settings, remaining, [phase]):
            started(planned)
            for finished in execute(definitions, instance, [planned], tags):
                if finished.failure is not None:
                    failed[planned.partition] = finished.failed_asset
                yield finished


@contextmanager
def _signals() -> Iterator[Callable[[], set[int]]]:
    """Provide a function that returns the signals that this process received in the block.

    The exceptions that Python raises for signals are not enough: Dagster turns one into a failed
    run, DuckDB into another error, and in a destructor it is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread receives signals.
        yield set
        return
    reader, writer = socket.socketpair()
    with reader, writer:
        for end in (reader, writer):
            end.setblocking(False)

        def received() -> set[int]:
            try:
                return set(reader.recv(4096))
            except BlockingIOError:
                return set()

        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield received
        finally:
            signal.set_wakeup_fd(before)


def _finished(run: PlannedRun, result: dg.ExecuteInProcessResult) -> FinishedRun:
    seconds = {
        event.step_key: event.step_success_data.duration_ms / 1000
        for event in result.all_events
        if event.is_step_success and event.step_key in run.assets
    }
    failed_asset, failure = _first_failure(result.all_events)
    if failure is None and not result.success:
        failure = "the run failed before any stage started: see it in the Dagster UI"
    return FinishedRun(run, result.run_id, seconds, failed_asset, failure)


def _first_failure(events: Iterable[dg.DagsterEvent]) -> tuple[str | None, str | None]:
    """Return the first asset that failed, or whose check failed, and why; None if none did."""
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR:
                asset = check.asset_key.to_user_string()
                return asset, f"check {check.check_name}: {check.description}"
        elif event.is_step_failure:
            error = event.step_failure_data.error
            # Dagster wraps the error that an asset raised; the user can act on that one.
            if error is not None and error.cause is not None:
                error = error.cause
            reason = "unknown failure" if error is None else _plain_message(error.message)
            return event.step_key, reason
    return None, None


def _plain_message(message: str) -> str:
    """Return an error's message, without the class if it is one of this project's errors."""
    return re.sub(r"^errclust_pipeline\.[\w.]+: ", "", message.strip())


def fail_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine is gone, for example because it was killed.

    With some run launchers Dagster does not notice: the run would stay in progress for ever, and
    its partition could not be computed again.

    Returns
    -------
    list of str
        The ids of these runs.
    """
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
    )
    gone = []
    for run in instance.get_runs(filters=unfinished):
        if not _is_gone(instance, run):
            continue
        # The run is read again: its process may have ended well just before it was looked for.
        if _fail_unless_finished(instance, run.run_id, "its process was killed before its end"):
            gone.append(run.run_id)
    return gone


def _fail_unless_finished(instance: dg.DagsterInstance, run_id: str, reason: str) -> bool:
    """Mark a run as failed unless it has ended; return whether it was marked."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    instance.report_run_failed(run, reason)
    return True


def _this_process() -> str:
    """Return this machine's name, this process's number, and the time at which it started."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def _is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether a run was executed by a process on this machine that no longer exists."""
    tag = run.tags.get(PROCESS_TAG)
    if tag is None:
        process = _launched_process_of(instance, run)
        return process is not None and not psutil.pid_exists(process)
    host, number, start = tag.split(":")
    if host != socket.gethostname():
        return False
    try:
        # Numbers are reused: after a restart of the machine, another process may have this one.
        return f"{psutil.Process(int(number)).create_time():.2f}" != start
    except psutil.NoSuchProcess:
        return True


def _launched_process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """Return the number of the process that the run launcher started for a run, if it is known."""
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return None
    # This launcher starts processes on this machine, and each logs its number when it starts.
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        if entry.dagster_event is None:
            continue
        number = entry.dagster_event.engine_event_data.metadata.get("pid")
        if number is not None:
            return int(str(number.value))
    return None
