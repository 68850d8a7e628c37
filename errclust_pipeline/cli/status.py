"""`errclust status`: what is up to date, and why the rest is not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import PARTITION_FAILED, AsJson, DataRoot, PartitionFilter
from errclust_pipeline.cli.console import Row
from errclust_pipeline.cli.registry import Section, command

if TYPE_CHECKING:
    from errclust_pipeline.settings import Settings
    from errclust_pipeline.warehouse.keys import Partition, RecordedPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse


@dataclass
class _Overview:
    """How everything at a data root stands.

    Attributes
    ----------
    submissions, benchmarks, battle_sets : list of dict
        One row a partition: the state of each asset, and how many rows it has.
    reasons : list of str
        Why a partition is not fresh.
    not_fresh : list of Partition
    notes : list of str
        What was withdrawn, and which files cannot be used.
    """

    submissions: list[dict[str, Any]] = field(default_factory=list)
    benchmarks: list[dict[str, Any]] = field(default_factory=list)
    battle_sets: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    not_fresh: list[Partition] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@command("status", Section.COMPUTE, "errclust status", "errclust status --check --json")
def status(
    data_root: DataRoot,
    only: PartitionFilter,
    check: Annotated[
        bool, typer.Option("--check", help="Leave with exit code 1 unless everything is fresh.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is fresh, stale, missing, failed or withdrawn, and why.

    Fresh is what would come out the same if it was computed now; `errclust run` computes the rest.
    Files in watched folders that cannot be used are listed with the reason.
    """
    from errclust_pipeline.settings import load_settings

    warehouse = data_root.warehouse()
    settings = load_settings(warehouse.storage)
    partitions = only.partitions(warehouse)
    overview = _overview(warehouse, settings, partitions)
    overview.notes[:0] = _withdrawn_unread(warehouse, only, partitions)
    failures = _failures(warehouse, overview.not_fresh)
    overview.notes += _unusable_files(warehouse, settings)
    if as_json:
        console.print_json(
            {
                "root": warehouse.storage.url,
                "partitions": overview.submissions,
                "benchmarks": overview.benchmarks,
                "battle_sets": overview.battle_sets,
                "reasons": overview.reasons,
                "failures": failures,
                "notes": overview.notes,
            }
        )
    else:
        _print_overview(overview, failures, warehouse.storage.url)
    if check and overview.reasons:
        raise typer.Exit(PARTITION_FAILED)


def _overview(
    warehouse: Warehouse, settings: Settings, partitions: Sequence[RecordedPartition]
) -> _Overview:
    from errclust_pipeline import stages
    from errclust_pipeline.warehouse.keys import benchmarks_of

    overview = _Overview()
    everything: list[Partition] = [*partitions, *benchmarks_of(partitions)]
    with warehouse.listing_once():
        statuses = [stages.status(warehouse, settings, partition) for partition in everything]
    for partition, by_asset in zip(everything, statuses, strict=True):
        states = {asset: str(status.state) for asset, status in by_asset.items()}
        _add_row(overview, warehouse, partition, states)
        for asset, status in by_asset.items():
            if status.state is not stages.State.FRESH:
                # Assets downstream of the first one are not fresh because of it.
                overview.reasons.append(f"{partition}: {asset} is {status.state} ({status.reason})")
                overview.not_fresh.append(partition)
                break
    return overview


def _add_row(
    overview: _Overview, warehouse: Warehouse, partition: Partition, states: dict[str, str]
) -> None:
    """Add a partition's row: the states of its assets, and how many rows its tables have."""
    from errclust_pipeline.tables import (
        BATTLE_REJECTS,
        BATTLES,
        ERRORS,
        QUESTIONS,
        REJECTS,
        RESPONSES,
    )
    from errclust_pipeline.warehouse.keys import BattleSetPartition, SubmissionPartition

    if isinstance(partition, SubmissionPartition):
        overview.submissions.append(
            {
                "benchmark": partition.benchmark,
                "model": partition.model,
                **states,
                "responses": warehouse.count(RESPONSES, partition),
                "rejects": warehouse.count(REJECTS, partition),
                "errors": warehouse.count(ERRORS, partition),
            }
        )
        if warehouse.is_withdrawn(partition):
            overview.notes.append(
                f"{partition}: withdrawn, its file is gone; its tables stay until you run "
                f"errclust forget {partition.benchmark} {partition.model}"
            )
    elif isinstance(partition, BattleSetPartition):
        overview.battle_sets.append(
            {
                "battle_set": partition.name,
                **states,
                "rows": warehouse.count(BATTLES, partition),
                "rejects": warehouse.count(BATTLE_REJECTS, partition),
            }
        )
    else:
        questions = warehouse.count(QUESTIONS, partition)
        overview.benchmarks.append(
            {"benchmark": partition.benchmark, **states, "questions": questions}
        )


def _withdrawn_unread(
    warehouse: Warehouse, only: PartitionFilter, partitions: Sequence[RecordedPartition]
) -> Iterator[str]:
    """Yield a note on each submission that was withdrawn before it was read."""
    benchmark, model = only.keys(warehouse)
    for submission in warehouse.submissions():
        wanted = benchmark in (None, submission.benchmark) and model in (None, submission.model)
        if wanted and submission not in partitions:
            yield (
                f"{submission}: withdrawn before it was read; errclust forget "
                f"{submission.benchmark} {submission.model} removes its record"
            )


def _failures(warehouse: Warehouse, partitions: Sequence[Partition]) -> dict[str, str]:
    """Return why the last run of each of these partitions failed, where it did."""
    from errclust_pipeline.orchestration.instance import dagster_home, open_instance
    from errclust_pipeline.orchestration.runs import last_failure

    if not partitions or not (dagster_home(warehouse.storage) / "history").exists():
        return {}
    with open_instance(warehouse.storage) as instance:
        failures = {str(partition): last_failure(instance, partition) for partition in partitions}
    return {partition: failure for partition, failure in failures.items() if failure is not None}


def _unusable_files(warehouse: Warehouse, settings: Settings) -> list[str]:
    """Return which files in the watched folders are not used, and why."""
    from errclust_pipeline.ingestion import DropFolder
    from errclust_pipeline.ingestion.folder_memory import FileState

    lines = []
    for folder in settings.submissions.folders:
        url = settings.submissions.url(folder, warehouse.storage)
        for path, known in sorted(DropFolder(warehouse, url).known().items()):
            if known.state in (FileState.UNUSABLE, FileState.UNREADABLE) or known.refused:
                reason = known.reason.partition("\n")[0]
                lines.append(f"{path} in {folder} is not used: {reason}")
    return lines


def _print_overview(overview: _Overview, failures: dict[str, str], root: str) -> None:
    if overview.submissions or not overview.battle_sets:
        _print_states(overview.submissions, f"data root {root}")
        _print_states(overview.benchmarks, "what the models of a benchmark share")
    if overview.battle_sets:
        _print_states(overview.battle_sets, f"battles in {root}")
    failed = [f"{partition}: {failure}" for partition, failure in failures.items()]
    for line in [*overview.reasons, *failed, *overview.notes]:
        console.print_line(line)
    if not overview.submissions and not overview.battle_sets:
        console.print_message(
            f"nothing was ingested into {root} yet. Next: errclust ingest PATH, or errclust demo"
        )


def _print_states(rows: Sequence[Row], title: str) -> None:
    """Print how partitions stand, with the states of all assets in one column."""
    from errclust_pipeline.stages import State

    states = {str(state) for state in State}
    short = []
    for row in rows:
        assets = {name: value for name, value in row.items() if value in states}
        not_fresh = [f"{name} {value}" for name, value in assets.items() if value != State.FRESH]
        rest = {name: value for name, value in row.items() if name not in assets}
        more = ", …" * (len(not_fresh) > 2)
        short.append(rest | {"state": ", ".join(not_fresh[:2]) + more if not_fresh else "fresh"})
    console.print_rows(short, title=title)
