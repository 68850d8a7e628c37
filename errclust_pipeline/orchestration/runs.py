"""Running the pipeline without the UI: what is not up to date, one partition after another."""

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
from errclust_pipeline.stages.declarations import BATTLE_STAGES
from errclust_pipeline.tables import RESPONSES
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    RecordedPartition,
    SubmissionPartition,
    benchmarks_of,
)
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.warehouse import Warehouse

PROCESS_TAG = "errclust/process"
_RUNS_LOOKED_AT = 20


@dataclass(frozen=True)
class PlannedRun:
    """A partition and the assets of it that are not up to date, in flow order."""

    partition: Partition
    assets: tuple[str, ...]
    job: str = next(iter(PHASES))


@dataclass(frozen=True)
class FinishedRun:
    """What became of a planned run. `failure` is None if all went well."""

    planned: PlannedRun
    run_id: str
    seconds: dict[str, float] = field(default_factory=dict)
    failed_asset: str | None = None
    failure: str | None = None


def select_partitions(
    warehouse: Warehouse, benchmark: str | None = None, model: str | None = None
) -> list[RecordedPartition]:
    """Return the partitions with a submission, of one benchmark or model if given (by key).

    Battle sets are among them; one stands where a benchmark does, and is of no one model. A
    submission that was withdrawn before it was ever read is left out: there is nothing to compute.
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
    """Return what has to be computed so that all these partitions are up to date.

    Parameters
    ----------
    partitions : sequence of Partition
        Of models and battle sets; what all models of a benchmark share is planned too.
    phases : sequence of str
        Jobs to plan. What a later phase has to do may change by what an earlier one does: to run
        several, plan and execute one after another.
    """
    planned = []
    for phase in phases:
        names = [stage.asset for stage in PHASES[phase]]
        with warehouse.listing_once():
            for partition in _partitions_of(phase, partitions):
                found = stages.status(warehouse, settings, partition)
                assets = tuple(name for name in names if found[name].state is not State.FRESH)
                if assets:
                    planned.append(PlannedRun(partition, assets, phase))
    return planned


def _partitions_of(phase: str, partitions: Sequence[Partition]) -> Sequence[Partition]:
    """Return the partitions that a phase is computed for."""
    first = PHASES[phase][0]
    if first in BATTLE_STAGES:
        return [one for one in partitions if isinstance(one, BattleSetPartition)]
    if first.by_model:
        return [one for one in partitions if isinstance(one, SubmissionPartition)]
    return benchmarks_of(partitions)


def out_of_date(
    warehouse: Warehouse, settings: Settings, partitions: Sequence[Partition]
) -> tuple[Counter[tuple[str, str]], list[Partition]]:
    """Return what is not up to date of some partitions and of what their benchmarks share.

    Returns
    -------
    tuple of Counter and list of Partition
        The number of partitions by asset and reason; and those of the given partitions that are
        out of date themselves, or whose benchmark is.
    """
    reasons: Counter[tuple[str, str]] = Counter()
    stale: set[Partition] = set()
    with warehouse.listing_once():
        for partition in [*partitions, *benchmarks_of(partitions)]:
            for asset, how in stages.status(warehouse, settings, partition).items():
                if how.state is not State.FRESH:
                    reasons[asset, how.reason] += 1
                    stale.add(partition)
    # What a benchmark shares comes along with any of its models.
    return reasons, [one for one in partitions if {one, *benchmarks_of([one])} & stale]


def failed_last(instance: dg.DagsterInstance, partitions: Sequence[Partition]) -> list[Partition]:
    """Order partitions so that those whose last run failed come last, the latest failure last.

    So whoever takes a part at a time gets past what cannot be computed.
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
    """Return the first run that a partition of a model or a benchmark needs; None if it is fresh.

    With it comes the data version that its first asset would have. What cannot be computed yet,
    because something it reads does not exist, is left for later.
    """
    found = stages.status(warehouse, settings, partition)
    for phase, of_phase in PHASES.items():
        names = [stage.asset for stage in of_phase]
        if not all(name in found for name in names):
            continue
        assets = tuple(name for name in names if found[name].state is not State.FRESH)
        # What a budget has ended is for a person to go on with.
        if not assets or found[assets[0]].state is State.OVER_BUDGET:
            continue
        first = next(stage for stage in of_phase if stage.asset == assets[0])
        try:
            made_from = stages.provenance(first, warehouse, settings, partition)
        except WarehouseError:
            continue
        return PlannedRun(partition, assets, phase), made_from.data_version
    return None


def last_failure(instance: dg.DagsterInstance, partition: Partition) -> str | None:
    """Return in which asset and why a partition's last run of a job failed; None if none did."""
    for record in _failed_last_time(instance, partition):
        run_id = record.dagster_run.run_id
        entries = instance.all_logs(run_id, of_type=_TELLING)
        events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
        asset, why = _first_failure(events)
        if why is not None:
            return f"the last run failed in {asset}: {why}"
        return "the last run failed before any stage started: see it in the Dagster UI"
    return None


_TELLING = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}


def _failed_last_time(instance: dg.DagsterInstance, partition: Partition) -> list[dg.RunRecord]:
    """Return the newest run of each job on a partition, of those that failed, newest first."""
    newest: dict[str, dg.RunRecord] = {}
    for record in instance.get_run_records(_runs_of(partition), limit=_RUNS_LOOKED_AT):
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
    """Materialise planned runs one after another, in this process.

    A partition that fails does not stop the others. Every run is recorded in the instance, with
    these tags, so the Dagster UI shows it.

    Raises
    ------
    dagster.DagsterExecutionInterruptedError
        If the process is told to stop (Ctrl-C, or Terminate in the UI).
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

    What rests on an asset that failed is left out, as is what the models of a benchmark share if
    none of them can be used: it was said why.

    Parameters
    ----------
    partitions : sequence of Partition
        Of models and battle sets.
    started : callable
        Called with each run before it starts.
    phases : sequence of str
        Of `stages.PHASES`, in their order.
    tags : mapping, optional
        Of the runs.
    """
    settings = load_settings(warehouse.storage)
    failed: dict[Partition, str | None] = {}
    for phase in phases:
        needed = {*stages.rests_on(PHASES[phase]), None}
        lost = {partition for partition, asset in failed.items() if asset in needed}
        left = [one for one in partitions if not {one, *benchmarks_of([one])} & lost]
        if not PHASES[phase][0].by_model:
            # What a benchmark shares is made of the models that are there, whichever failed now.
            left = [
                one
                for one in partitions
                if one in left
                or (
                    isinstance(one, SubmissionPartition)
                    and BenchmarkPartition(one.benchmark) not in lost
                    and models_of(warehouse, one.benchmark)
                )
            ]
        for planned in plan(warehouse, settings, left, [phase]):
            started(planned)
            for finished in execute(definitions, instance, [planned], tags):
                if finished.failure is not None:
                    failed[planned.partition] = finished.failed_asset
                yield finished


@contextmanager
def _signals() -> Iterator[Callable[[], set[int]]]:
    """Give a function that returns the signals that this process received since.

    The exceptions that Python raises for them do not suffice: Dagster makes a failed run of one,
    DuckDB another error, and in a destructor it is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals come to the main thread.
        yield set
        return
    ours, pythons = socket.socketpair()
    with ours, pythons:
        for end in (ours, pythons):
            end.setblocking(False)

        def received() -> set[int]:
            try:
                return set(ours.recv(4096))
            except BlockingIOError:
                return set()

        before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
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
    """Return the first asset that failed, or whose check did, and why; None if none did."""
    for event in events:
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed and found.severity is dg.AssetCheckSeverity.ERROR:
                asset = found.asset_key.to_user_string()
                return asset, f"check {found.check_name}: {found.description}"
        elif event.is_step_failure:
            error = event.step_failure_data.error
            # Dagster wraps what an asset raised, once; that is what its reader can act on.
            if error is not None and error.cause is not None:
                error = error.cause
            why = "unknown failure" if error is None else _plain_message(error.message)
            return event.step_key, why
    return None, None


def _plain_message(message: str) -> str:
    """Return an error's message; of this project's errors without the class, which says no more."""
    return re.sub(r"^errclust_pipeline\.[\w.]+: ", "", message.strip())


def fail_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine is gone, e.g. because it was killed.

    Dagster notices that only of some run launchers; a run of the others would be in progress for
    ever and keep its partition from being computed.

    Returns
    -------
    list of str
        Their ids.
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
        # Now that the process is gone, it can have ended well only if it has said so by now.
        if _fail_unless_finished(instance, run.run_id, "its process was killed before its end"):
            gone.append(run.run_id)
    return gone


def _fail_unless_finished(instance: dg.DagsterInstance, run_id: str, why: str) -> bool:
    """Mark a run as failed that has not ended; return whether that was needed."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return False
    instance.report_run_failed(run, why)
    return True


def _this_process() -> str:
    """Return the machine, the number of this process on it, and when it began."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def _is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run's process was on this machine and is no more."""
    tag = run.tags.get(PROCESS_TAG)
    if tag is None:
        launched = _launched_process_of(instance, run)
        return launched is not None and not psutil.pid_exists(launched)
    host, number, began = tag.split(":")
    if host != socket.gethostname():
        return False
    try:
        # Numbers are given again: after a restart of the machine another process may have it.
        return f"{psutil.Process(int(number)).create_time():.2f}" != began
    except psutil.NoSuchProcess:
        return True


def _launched_process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    """Return the number of the process that the launcher started for a run, if it is known."""
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return None
    # The launcher starts processes on this machine; each notes its number when it starts.
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        if entry.dagster_event is None:
            continue
        number = entry.dagster_event.engine_event_data.metadata.get("pid")
        if number is not None:
            return int(str(number.value))
    return None
