"""`errclust run` and `errclust backfill`: compute what is not up to date."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import (
    INTERRUPTED,
    PARTITION_FAILED,
    AsJson,
    DataRoot,
    PartitionFilter,
    model_or_kind,
    stop,
)
from errclust_pipeline.cli.registry import Section, command

if TYPE_CHECKING:
    from errclust_pipeline.orchestration.runs import FinishedRun
    from errclust_pipeline.settings import Settings
    from errclust_pipeline.warehouse.keys import Partition, RecordedPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse


@command("run", Section.COMPUTE, "errclust run", "errclust run --benchmark my-benchmark")
def run(data_root: DataRoot, only: PartitionFilter, as_json: AsJson = False) -> None:
    """Compute what is new or out of date: errors, clusters, labels, the map, its statistics.

    What is up to date is left alone. A run that was stopped continues where it was when you run the
    same command again.
    """
    warehouse = data_root.warehouse()
    partitions = only.partitions(warehouse)
    if not partitions:
        stop("there is nothing to run: ingest some results first, with `errclust ingest PATH`")
    run_partitions(warehouse, partitions, as_json)


@command(
    "backfill",
    Section.COMPUTE,
    "errclust backfill --plan",
    "errclust backfill --most 50",
)
def backfill(
    data_root: DataRoot,
    only: PartitionFilter,
    most: Annotated[
        int | None,
        typer.Option(help="Number of submissions to bring up to date; run it again for the rest."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be computed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute what a change of code or settings has put out of date.

    It first says what that is and why. The embedding model is loaded once for all submissions. What
    is done stays done: stop it when you like and run it again, or do a part at a time with --most.
    """
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.runs import failed_last, out_of_date
    from errclust_pipeline.settings import load_settings

    warehouse = data_root.warehouse()
    settings = load_settings(warehouse.storage)
    partitions = only.partitions(warehouse)
    reasons, stale = out_of_date(warehouse, settings, partitions)
    if plan and as_json:
        console.print_json(
            [
                {"asset": asset, "reason": reason, "partitions": count}
                for (asset, reason), count in reasons.items()
            ]
        )
    elif not as_json:
        console.print_rows(
            [
                {"asset": asset, "partitions": count, "why": reason}
                for (asset, reason), count in reasons.items()
            ],
            title=f"out of date, of {len(partitions):,} submissions",
        )
    if plan:
        return
    if most is not None:
        with open_instance(warehouse.storage) as instance:
            stale = failed_last(instance, stale)[:most]
    run_partitions(warehouse, stale, as_json)


@dataclass
class _Outcome:
    """What running has done.

    Attributes
    ----------
    finished : list of FinishedRun
    fresh : int
        Submissions that were up to date.
    seconds : float
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    finished: list[FinishedRun] = field(default_factory=list)
    fresh: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def failed(self) -> list[FinishedRun]:
        """The runs that failed."""
        return [finished for finished in self.finished if finished.failure is not None]


def run_partitions(
    warehouse: Warehouse, partitions: Sequence[Partition], as_json: bool = False
) -> None:
    """Compute what is not up to date, and print what was done.

    Raises
    ------
    typer.Exit
        With `PARTITION_FAILED` if a run failed, with `INTERRUPTED` after Ctrl-C.
    """
    from errclust_pipeline.settings import load_settings

    settings = load_settings(warehouse.storage)
    _warn_of_unknown_benchmarks(warehouse, settings)
    started = time.monotonic()
    outcome = _execute(warehouse, settings, partitions)
    warehouse.publish_catalog()
    computed = {finished.planned.partition for finished in outcome.finished}
    outcome.fresh = len(set(partitions) - computed)
    outcome.seconds = time.monotonic() - started
    if as_json:
        _print_json(outcome)
    elif outcome.finished:
        _print_runs(outcome)
    _print_summary(warehouse, outcome)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    if outcome.failed:
        raise typer.Exit(PARTITION_FAILED)


def _execute(warehouse: Warehouse, settings: Settings, partitions: Sequence[Partition]) -> _Outcome:
    """Run what is not up to date, with progress bars, until it is done or Ctrl-C is pressed."""
    from dagster import DagsterExecutionInterruptedError

    from errclust_pipeline.definitions import build_defs
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.runs import execute_all, plan

    outcome = _Outcome()
    expected = len(plan(warehouse, settings, partitions))
    if not expected:
        return outcome
    definitions = build_defs(warehouse.storage.url)
    with open_instance(warehouse.storage) as instance, console.run_progress(expected) as progress:
        try:
            for finished in execute_all(
                warehouse,
                definitions,
                instance,
                partitions,
                lambda planned: progress.start_partition(f"{planned.job} {planned.partition}"),
            ):
                outcome.finished.append(finished)
                progress.finish_partition()
        except (KeyboardInterrupt, DagsterExecutionInterruptedError):
            outcome.interrupted = True
    return outcome


def _warn_of_unknown_benchmarks(warehouse: Warehouse, settings: Settings) -> None:
    recorded: list[RecordedPartition] = [*warehouse.submissions(), *warehouse.battle_sets()]
    known = {partition.collection for partition in recorded}
    for name in sorted(set(settings.benchmarks) - known):
        console.print_message(
            f"the settings have a section for benchmark {name}, of which there are no results: is "
            "it spelled like the key that `errclust status` shows?",
            style="yellow",
        )


def _print_json(outcome: _Outcome) -> None:
    console.print_json(
        {
            "fresh": outcome.fresh,
            "seconds": outcome.seconds,
            "runs": [
                {
                    "benchmark": finished.planned.partition.collection,
                    "model": getattr(finished.planned.partition, "model", None),
                    "job": finished.planned.job,
                    "run_id": finished.run_id,
                    "seconds": finished.seconds,
                    "failed_asset": finished.failed_asset,
                    "failure": finished.failure,
                }
                for finished in outcome.finished
            ],
        }
    )


def _print_runs(outcome: _Outcome) -> None:
    console.print_rows(
        [
            {
                "benchmark": finished.planned.partition.collection,
                "model": model_or_kind(finished.planned.partition),
                "seconds": sum(finished.seconds.values()),
                "longest": _longest(finished.seconds),
                "outcome": "done"
                if finished.failure is None
                else f"failed in {finished.failed_asset}",
            }
            for finished in outcome.finished
        ]
    )


def _longest(seconds: Mapping[str, float]) -> str:
    """Return the asset that took longest, with its time."""
    asset = max(seconds, key=lambda name: seconds[name], default=None)
    return "" if asset is None else f"{asset} {seconds[asset]:.1f} s"


def _print_summary(warehouse: Warehouse, outcome: _Outcome) -> None:
    """Print which rows could not be used, how many runs are done, and which failed and why."""
    for line in _reject_lines(warehouse, outcome.finished):
        console.print_message(line, style="yellow")
    failed = outcome.failed
    message = f"{len(outcome.finished) - len(failed)} runs done"
    if not outcome.interrupted:
        message += f", {outcome.fresh} submissions were up to date"
    console.print_message(f"{message}; {outcome.seconds:,.1f} s")
    for finished in failed:
        console.print_message(
            f"failed: {finished.planned.partition} in {finished.failed_asset}: {finished.failure}",
            style="red",
        )
    if outcome.interrupted:
        console.print_message(
            "stopped; what is done stays done: run the same command again to continue",
            style="yellow",
        )


def _reject_lines(warehouse: Warehouse, finished_runs: Sequence[FinishedRun]) -> list[str]:
    """Return, for each submission that was read, how many of its rows could not be used."""
    from errclust_pipeline.stages.declarations import BATTLES_STAGE, RAW_RESULTS_STAGE

    lines = []
    for finished in finished_runs:
        reading = [
            stage for stage in (RAW_RESULTS_STAGE, BATTLES_STAGE) if stage.asset in finished.seconds
        ]
        if not reading:
            continue
        partition = finished.planned.partition
        rejects, rows = warehouse.reject_counts(partition)
        if rejects:
            lines.append(
                f"{partition}: {rejects:,} of {rows:,} rows could not be used: table "
                f"{reading[0].tables[1].name} says which and why"
            )
    return lines
