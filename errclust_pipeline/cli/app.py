"""`errclust …`: the same pipeline without the UI."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec

import typer

from errclust_pipeline import __version__
from errclust_pipeline.cli import console as terminal
from errclust_pipeline.sources.registry import reader_help

if TYPE_CHECKING:
    from errclust_pipeline.orchestration.runs import FinishedRun
    from errclust_pipeline.settings import Settings
    from errclust_pipeline.warehouse.keys import (
        BattleSetPartition,
        Partition,
        RecordedPartition,
        SubmissionPartition,
    )
    from errclust_pipeline.warehouse.warehouse import Warehouse

PARTITION_FAILED = 1
INTERRUPTED = 130
"""As a shell reports a command that Ctrl-C ended."""
BAD_INPUT = 2

app = typer.Typer(
    name="errclust",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "Find the patterns in what language models get wrong.\n\n"
        "Start with [bold]errclust demo[/], or with your own results:\n\n"
        "[bold]errclust ingest results/ && errclust run && errclust status[/]\n\n"
        "Exit codes: 0 done, 1 a partition failed, 2 wrong usage or unusable input."
    ),
)
show = typer.Typer(no_args_is_help=True, help="Show what was found.")
app.add_typer(show, name="show")
plot = typer.Typer(no_args_is_help=True, help="Draw a picture for a paper (PNG, SVG or PDF).")
app.add_typer(plot, name="plot")

Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        help="The data root, a folder or fsspec URL.  [default: $ERRCLUST_ROOT, else data]",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
BenchmarkFilter = Annotated[
    str | None, typer.Option("--benchmark", "-b", help="Only this benchmark.")
]
ModelFilter = Annotated[str | None, typer.Option("--model", "-m", help="Only this model.")]

_Parameters = ParamSpec("_Parameters")


def _explain_errors(command: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Turn the errors that a user can do something about into a message and an exit code."""

    @wraps(command)
    def explained(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> None:
        from errclust_pipeline.embedding.names import EmbedderError
        from errclust_pipeline.language_model.client import LanguageModelError
        from errclust_pipeline.settings import SettingsError
        from errclust_pipeline.sources import SourceError
        from errclust_pipeline.warehouse.errors import WarehouseError
        from errclust_pipeline.warehouse.keys import KeyCodecError

        try:
            command(*arguments, **options)
        except (
            SourceError,
            WarehouseError,
            SettingsError,
            EmbedderError,
            LanguageModelError,
            KeyCodecError,
            OSError,
            # E.g. of the package for a kind of bucket.
            ImportError,
        ) as error:
            _stop(str(error))

    return explained


def _stop(message: str) -> NoReturn:
    terminal.print_error(f"error: {message}")
    raise typer.Exit(BAD_INPUT)


def _warehouse(root: str | None) -> Warehouse:
    from errclust_pipeline.warehouse.warehouse import Warehouse

    return Warehouse(_root(root))


def _root(root: str | None) -> str:
    return root or os.environ.get("ERRCLUST_ROOT") or "data"


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    root: Root = None,
) -> None:
    if root:
        # Every command has the option too; given here, it is their default.
        commands = (
            "ingest", "run", "backfill", "status", "map", "hotspots", "uncertainty", "compare",
            "select", "faults", "report", "explore", "battles", "sql", "forget", "demo", "dev",
        )  # fmt: skip
        context.default_map = {
            **{command: {"root": root} for command in commands},
            "show": {"clusters": {"root": root}},
            "plot": {name: {"root": root} for name in ("map", "signature", "compare", "ratings")},
        }
    if version:
        sys.stdout.write(f"errclust {__version__}\n")
        raise typer.Exit


@app.command()
@_explain_errors
def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Result files, folders of them, or datasets of the hub: hf:owner/dataset, "
            "hf:open-llm-leaderboard.",
            metavar="PATH...",
        ),
    ],
    reader: Annotated[
        str | None,
        typer.Option(
            help=f"{reader_help()}  [default: found out from the files]",
            show_default=False,
        ),
    ] = None,
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            "-b",
            help="The benchmark, where no file says it; of a leaderboard, which one is wanted.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The model, where no file says it; of a leaderboard, which one is wanted.",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(help="Of a leaderboard: so many models, the best by average.")
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            help="Of a leaderboard: the run of this time.  [default: latest, of each benchmark]",
            show_default=False,
        ),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Of a hub dataset: a branch, tag or commit.")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="The metric that decides what is correct (lm_eval)."),
    ] = None,
    answer_filter: Annotated[
        str | None, typer.Option("--filter", help="The answer filter to use (lm_eval).")
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            help="The scorer that decides what is correct (inspect), or SCORER/VALUE if it gives "
            "several values.  [default: the first]",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="A score below this, of 0 to 1, is an error.  [default: 0.5]"),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="The lowest and the highest score, e.g. 0:10.  [default: 0:1]",
            metavar="LOW:HIGH",
        ),
    ] = None,
    higher_is_better: Annotated[
        bool | None,
        typer.Option(
            "--higher-is-better/--lower-is-better",
            help="Whether the highest score is the best one.  [default: as the files say, else "
            "higher]",
        ),
    ] = None,
    null_scores: Annotated[
        str | None,
        typer.Option(
            help="What a response without a verdict counts as: wrong or leave_out.  "
            "[default: wrong]",
            metavar="WRONG|LEAVE_OUT",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="For tables: the column that holds something, e.g. --column input_text=prompt. "
            "Known: example_id, model, input_text, output_text, score, correct_answer, dataset, "
            "subject, prediction, choices, finish_reason.",
            metavar="WHAT=COLUMN",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="For tables: a YAML file that says which column holds what, and more."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="For tables: the split, of a dataset that has several.")
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Keep a copy of the files under the data root.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Record result files, so that `errclust run` reads them.

    Takes lm-evaluation-harness output folders, Inspect AI logs, MMLU-Pro result zips, and tables
    (CSV, JSON, Parquet, Arrow, datasets' folders), among others; and battles: MT-bench human
    judgments, Chatbot Arena conversations, FastChat's pairwise judgments, llmfao, PandaLM
    (--benchmark then names the battle set). Files are recorded where they lie; ingest them again
    after they change. From the hub they are fetched first: hf:open-llm-leaderboard with --model or
    --top, hf:open-llm-leaderboard-old likewise, or any hf:owner/dataset.
    """
    from errclust_pipeline.hub.address import HubAddress, is_hub_address
    from errclust_pipeline.ingestion.files import ingest as ingest_paths
    from errclust_pipeline.ingestion.from_hub import HubRequest, ingest_from_hub
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.partitions import add_partitions
    from errclust_pipeline.sources.formats.mapping import read_mapping
    from errclust_pipeline.sources.scoring import parse_scale

    mapped = read_mapping(mapping) if mapping is not None else {}
    columns = _columns(column, "input_text=prompt")
    given = {
        "benchmark": benchmark,
        "model": model,
        "metric": metric,
        "filter": answer_filter,
        "scorer": scorer,
        "threshold": threshold,
        "scale": None if scale is None else parse_scale(scale),
        "higher_is_better": higher_is_better,
        "null_scores": null_scores,
        "split": split,
        "columns": {**mapped.get("columns", {}), **columns} or None,
    }
    options = mapped | {name: value for name, value in given.items() if value is not None}
    if mapping is not None and reader is None:
        reader = "battle_table" if "battles" in mapped else "table"
    addresses = [HubAddress.parse(path) for path in paths if is_hub_address(path)]
    local = [Path(path) for path in paths if not is_hub_address(path)]
    of_the_hub = {"--top": top, "--timestamp": timestamp, "--revision": revision}
    misplaced = [name for name, value in of_the_hub.items() if value is not None and local]
    if misplaced:
        _stop(f"{misplaced[0]} is for what comes from the hub (hf:…), and {local[0]} does not")
    warehouse = _warehouse(root)
    problems: dict[str, str] = {}
    fetched: list[str] = []
    # A leaderboard's models are counted one by one.
    expected = len(local) + len(addresses) * max(top or 1, 1)
    with terminal.run_progress(expected) as progress:
        ingested = ingest_paths(warehouse, local, reader, options, copy) if local else []
        for address in addresses:
            if revision is not None:
                address = dataclasses.replace(address, revision=revision)
            found = ingest_from_hub(
                warehouse,
                HubRequest(address, reader, options, timestamp, top),
                copy,
                on_model=progress.start_partition,
                on_model_done=progress.finish_partition,
            )
            ingested += found.ingested
            problems |= found.problems
            for number, one in enumerate(found.best, 1):
                when = f", submitted {one.submitted}" if one.submitted else ""
                line = f"{number}. {one.name}: average {one.average:.2f}{when}"
                terminal.messages().print(terminal.plain(line))
            megabytes = found.fetched.size / 1e6
            fetched.append(f"{found.fetched.files:,} files fetched ({megabytes:,.1f} MB)")
        with open_instance(warehouse.storage) as instance:
            add_partitions(instance, [one.partition for one in ingested])
        warehouse.publish_catalog()
    rows = [
        {
            "benchmark": one.partition.collection,
            "model": _model_or_kind(one.partition),
            "reader": one.submission.reader,
            "change": one.change,
            "file": one.submission.files[0],
        }
        for one in ingested
    ]
    for name, reason in problems.items():
        terminal.print_error(f"{name} is left out: {reason}")
    for note in dict.fromkeys(note for one in ingested for note in one.submission.notes):
        terminal.messages().print(terminal.plain(f"Note: {note}"))
    if as_json:
        terminal.print_json(rows)
    else:
        terminal.print_rows(rows)
        done = [*fetched, f"{len(rows)} submissions recorded"]
        terminal.messages().print(f"{', '.join(done)}. Next: errclust run")
    if problems:
        raise typer.Exit(PARTITION_FAILED)


@app.command()
@_explain_errors
def run(
    benchmark: BenchmarkFilter = None,
    model: ModelFilter = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Compute what is new or out of date: errors, clusters, labels, the map, its statistics.

    What is up to date is left alone. If it is stopped, run it again: it goes on where it was.
    """
    from errclust_pipeline.orchestration.runs import select_partitions

    warehouse = _warehouse(root)
    partitions = select_partitions(
        warehouse, _key(warehouse, "benchmark", benchmark), _key(warehouse, "model", model)
    )
    if not partitions:
        _stop("there is nothing to run: ingest some results first, with `errclust ingest PATH`")
    _run(warehouse, partitions, as_json)


def _run(warehouse: Warehouse, partitions: Sequence[Partition], as_json: bool = False) -> None:
    """Run, print what was done, and leave with `PARTITION_FAILED` if something failed."""
    from dagster import DagsterExecutionInterruptedError

    from errclust_pipeline.definitions import build_defs
    from errclust_pipeline.orchestration import runs
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.settings import load_settings

    settings = load_settings(warehouse.storage)
    known: list[Partition] = [*warehouse.submissions(), *warehouse.battle_sets()]
    unknown = sorted(set(settings.benchmarks) - {recorded.collection for recorded in known})
    if unknown:
        terminal.messages().print(
            terminal.plain(
                f"the settings have a section for benchmark {unknown[0]}, of which there are no "
                "results: is it spelled like the key that `errclust status` shows?"
            ),
            style="yellow",
            soft_wrap=True,
        )
    expected = len(runs.plan(warehouse, settings, partitions))
    started = time.monotonic()
    finished: list[runs.FinishedRun] = []
    interrupted = False
    if expected:
        definitions = build_defs(warehouse.storage.url)
        with (
            open_instance(warehouse.storage) as instance,
            terminal.run_progress(expected) as progress,
        ):
            try:
                for one in runs.execute_all(
                    warehouse,
                    definitions,
                    instance,
                    partitions,
                    lambda planned: progress.start_partition(f"{planned.job} {planned.partition}"),
                ):
                    finished.append(one)
                    progress.finish_partition()
            except (KeyboardInterrupt, DagsterExecutionInterruptedError):
                interrupted = True
    warehouse.publish_catalog()
    fresh = len(set(partitions) - {one.planned.partition for one in finished})

    failed = [one for one in finished if one.failure is not None]
    rows = [
        {
            "benchmark": one.planned.partition.collection,
            "model": _model_or_kind(one.planned.partition),
            "seconds": sum(one.seconds.values()),
            "longest": _longest(one.seconds),
            "outcome": "done" if one.failure is None else f"failed in {one.failed_asset}",
        }
        for one in finished
    ]
    if as_json:
        terminal.print_json(
            {
                "fresh": fresh,
                "seconds": time.monotonic() - started,
                "runs": [
                    {
                        "benchmark": one.planned.partition.collection,
                        "model": getattr(one.planned.partition, "model", None),
                        "job": one.planned.job,
                        "run_id": one.run_id,
                        "seconds": one.seconds,
                        "failed_asset": one.failed_asset,
                        "failure": one.failure,
                    }
                    for one in finished
                ],
            }
        )
    elif rows:
        terminal.print_rows(rows)
    for line in _reject_lines(warehouse, finished):
        terminal.messages().print(terminal.plain(line), style="yellow", soft_wrap=True)
    message = f"{len(finished) - len(failed)} runs done"
    if not interrupted:
        message += f", {fresh} submissions were up to date"
    terminal.messages().print(f"{message}; {time.monotonic() - started:,.1f} s")
    for one in failed:
        terminal.messages().print(
            terminal.plain(f"failed: {one.planned.partition} in {one.failed_asset}: {one.failure}"),
            style="red",
            soft_wrap=True,
        )
    if interrupted:
        terminal.messages().print(
            "stopped; what is done stays done: run the same command again to go on", style="yellow"
        )
        raise typer.Exit(INTERRUPTED)
    if failed:
        raise typer.Exit(PARTITION_FAILED)


def _model_or_kind(partition: Partition) -> str:
    """Return a partition's model, or what stands in its place where a partition has none."""
    from errclust_pipeline.warehouse.keys import BattleSetPartition, SubmissionPartition

    if isinstance(partition, SubmissionPartition):
        return partition.model
    return "(battles)" if isinstance(partition, BattleSetPartition) else "(all)"


def _reject_lines(warehouse: Warehouse, finished: Sequence[FinishedRun]) -> list[str]:
    """Say of what was read how many rows could not be used."""
    from errclust_pipeline.stages.declarations import BATTLES_STAGE, RAW_RESULTS_STAGE

    lines = []
    for one in finished:
        read = [stage for stage in (RAW_RESULTS_STAGE, BATTLES_STAGE) if stage.asset in one.seconds]
        if not read:
            continue
        where = one.planned.partition
        rejects, rows = warehouse.reject_counts(where)
        if rejects:
            lines.append(
                f"{where}: {rejects:,} of {rows:,} rows could not be used: table "
                f"{read[0].tables[1].name} says which and why"
            )
    return lines


def _longest(seconds: Mapping[str, float]) -> str:
    """Return the stage that took longest, with its time."""
    stage = max(seconds, key=lambda name: seconds[name], default=None)
    return "" if stage is None else f"{stage} {seconds[stage]:.1f} s"


@app.command()
@_explain_errors
def status(
    benchmark: BenchmarkFilter = None,
    model: ModelFilter = None,
    check: Annotated[
        bool, typer.Option("--check", help="Leave with 1 unless everything is fresh.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Tell what is fresh, stale, missing, failed or withdrawn, and why."""
    from errclust_pipeline import stages
    from errclust_pipeline.orchestration import runs
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.tables import (
        BATTLE_REJECTS,
        BATTLES,
        ERRORS,
        QUESTIONS,
        REJECTS,
        RESPONSES,
    )
    from errclust_pipeline.warehouse import keys

    warehouse = _warehouse(root)
    settings = load_settings(warehouse.storage)
    keys_given = _key(warehouse, "benchmark", benchmark), _key(warehouse, "model", model)
    partitions = runs.select_partitions(warehouse, *keys_given)
    rows, shared, battle_sets, reasons = [], [], [], []
    notes = [
        f"{one}: withdrawn before it was read; errclust forget {one.benchmark} {one.model} "
        "removes its record"
        for one in warehouse.submissions()
        if one not in partitions
        and keys_given[0] in (None, one.benchmark)
        and keys_given[1] in (None, one.model)
    ]
    troubled: list[Partition] = []
    everything: list[Partition] = [*partitions, *keys.benchmarks_of(partitions)]
    with warehouse.listing_once():
        statuses = [stages.status(warehouse, settings, partition) for partition in everything]
    for partition, found in zip(everything, statuses, strict=True):
        states = {asset: str(how.state) for asset, how in found.items()}
        if isinstance(partition, keys.SubmissionPartition):
            rows.append(
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
                notes.append(
                    f"{partition}: withdrawn, its file is gone; its tables stay until you run "
                    f"errclust forget {partition.benchmark} {partition.model}"
                )
        elif isinstance(partition, keys.BattleSetPartition):
            battle_sets.append(
                {
                    "battle_set": partition.name,
                    **states,
                    "rows": warehouse.count(BATTLES, partition),
                    "rejects": warehouse.count(BATTLE_REJECTS, partition),
                }
            )
        else:
            questions = warehouse.count(QUESTIONS, partition)
            shared.append({"benchmark": partition.benchmark, **states, "questions": questions})
        first = next(
            ((asset, how) for asset, how in found.items() if how.state is not stages.State.FRESH),
            None,
        )
        if first is not None:
            reasons.append(f"{partition}: {first[0]} is {first[1].state} ({first[1].reason})")
            troubled.append(partition)
    failures = _failures(warehouse, troubled)
    notes += _unusable_files(warehouse, settings)
    if as_json:
        terminal.print_json(
            {
                "root": warehouse.storage.url,
                "partitions": rows,
                "benchmarks": shared,
                "battle_sets": battle_sets,
                "reasons": reasons,
                "failures": failures,
                "notes": notes,
            }
        )
    else:
        if rows or not battle_sets:
            terminal.print_status(rows, title=f"data root {warehouse.storage.url}")
            terminal.print_status(shared, title="what the models of a benchmark share")
        if battle_sets:
            terminal.print_status(battle_sets, title=f"battles in {warehouse.storage.url}")
        told = [f"{partition}: {failure}" for partition, failure in failures.items()]
        for line in [*reasons, *told, *notes]:
            terminal.output().print(terminal.plain(line), soft_wrap=True)
        if not rows and not battle_sets:
            terminal.messages().print("nothing was ingested yet: errclust ingest PATH")
    if check and reasons:
        raise typer.Exit(PARTITION_FAILED)


def _failures(warehouse: Warehouse, partitions: Sequence[Partition]) -> dict[str, str]:
    """Return why the last runs of partitions failed, of those that did."""
    from errclust_pipeline.orchestration.instance import dagster_home, open_instance
    from errclust_pipeline.orchestration.runs import last_failure

    if not partitions or not (dagster_home(warehouse.storage) / "history").exists():
        return {}
    with open_instance(warehouse.storage) as instance:
        found = {str(partition): last_failure(instance, partition) for partition in partitions}
    return {partition: failure for partition, failure in found.items() if failure is not None}


def _unusable_files(warehouse: Warehouse, settings: Settings) -> list[str]:
    """Say which files in the watched folders cannot be used, and which have no say."""
    from errclust_pipeline.ingestion import DropFolder
    from errclust_pipeline.ingestion.folder_memory import FileState

    lines = []
    for folder in settings.submissions.folders:
        url = settings.submissions.url(folder, warehouse.storage)
        for path, known in sorted(DropFolder(warehouse, url).known().items()):
            if known.state in (FileState.UNUSABLE, FileState.UNREADABLE) or known.refused:
                why = known.reason.partition("\n")[0]
                lines.append(f"{path} in {folder} is not used: {why}")
    return lines


@app.command()
@_explain_errors
def backfill(
    benchmark: BenchmarkFilter = None,
    model: ModelFilter = None,
    most: Annotated[
        int | None,
        typer.Option(help="Submissions brought up to date this time; run it again for the rest."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be computed.")] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Recompute what a change of code or settings has put out of date.

    Says first what that is and why. The embedding model is loaded once for all. What is done stays
    done: stop it when you like and run it again, or take a part at a time with --most.
    """
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.runs import failed_last, out_of_date, select_partitions
    from errclust_pipeline.settings import load_settings

    warehouse = _warehouse(root)
    settings = load_settings(warehouse.storage)
    partitions = select_partitions(
        warehouse, _key(warehouse, "benchmark", benchmark), _key(warehouse, "model", model)
    )
    reasons, stale = out_of_date(warehouse, settings, partitions)
    if plan and as_json:
        terminal.print_json(
            [
                {"asset": asset, "reason": reason, "partitions": number}
                for (asset, reason), number in reasons.items()
            ]
        )
    elif not as_json:
        terminal.print_rows(
            [
                {"asset": asset, "partitions": number, "why": reason}
                for (asset, reason), number in reasons.items()
            ],
            title=f"out of date, of {len(partitions):,} submissions",
        )
    if plan:
        return
    if most is not None:
        with open_instance(warehouse.storage) as instance:
            stale = failed_last(instance, stale)[:most]
    _run(warehouse, stale, as_json)


@show.command("clusters")
@_explain_errors
def show_clusters(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    level: Annotated[
        int | None, typer.Option(help="Only clusters down to this level; 1 is the coarsest.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only so many clusters of level 1.")] = None,
    examples: Annotated[int, typer.Option(help="Examples shown of each cluster.")] = 1,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show the clusters of a model's errors: where it fails, largest first."""
    import pyarrow.compute as pc

    from errclust_pipeline.tables import CLUSTER_LABELS, ERROR_CLUSTERS

    warehouse = _warehouse(root)
    partition = _partition(warehouse, benchmark, model)
    clusters = warehouse.read(
        ERROR_CLUSTERS, partition, columns=["cluster_id"], filters=pc.field("level") == 1
    )
    labels = warehouse.read(CLUSTER_LABELS, partition).to_pylist()
    labels.sort(key=lambda row: (row["level"], -row["size"], row["cluster_id"]))
    kept = {row["cluster_id"] for row in [row for row in labels if row["level"] == 1][:limit]}
    labels = [
        row
        for row in labels
        if row["cluster_id"].split(".")[0] in kept and (level is None or row["level"] <= level)
    ]
    if as_json:
        terminal.print_json(labels)
        return
    terminal.print_clusters(
        partition.benchmark,
        partition.model,
        labels,
        errors=clusters.num_rows,
        noise=clusters["cluster_id"].null_count,
        examples=examples,
    )


@app.command("labels")
@_explain_errors
def show_labels(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    level: Annotated[
        int, typer.Option(help="Only clusters down to this level; 1 is the coarsest.")
    ] = 1,
    limit: Annotated[int, typer.Option(help="The largest clusters; 0 shows all.")] = 20,
    examples: Annotated[int, typer.Option(help="Examples shown of each cluster.")] = 2,
    unfaithful: Annotated[
        bool, typer.Option("--unfaithful", help="Only labels that failed their test.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show the names of a model's clusters, how well each was found to fit, and why it errs.

    A language model writes them if one is configured ([language_model] in the settings); else they
    are key phrases.
    """
    from errclust_pipeline.tables import CLUSTER_LABELS

    warehouse = _warehouse(root)
    partition = _partition(warehouse, benchmark, model)
    rows = [
        row
        for row in warehouse.read(CLUSTER_LABELS, partition).to_pylist()
        if row["level"] <= level and (not unfaithful or row["is_faithful"] is False)
    ]
    rows = sorted(rows, key=lambda row: -row["size"])[: limit or None]
    if as_json:
        terminal.print_json(rows)
    else:
        terminal.print_labels(partition.benchmark, partition.model, rows, examples)


@app.command()
@_explain_errors
def diagnoses(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    quote: Annotated[
        bool, typer.Option("--quote", help="Only say what diagnosing would cost; asks nothing.")
    ] = False,
    share: Annotated[
        float | None, typer.Option(help="For a quote: the share of errors, as in the settings.")
    ] = None,
    examples: Annotated[int, typer.Option(help="Diagnoses shown of each cluster.")] = 2,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show why a model's responses are wrong, as a language model diagnoses a sample of them.

    It runs where a language model is configured and [diagnosis] has a share. Numbers of errors are
    estimates for all of them, as far as the sample goes: it is drawn evenly over the map.
    """
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.tables import DIAGNOSIS_CLUSTERS, DIAGNOSIS_LABELS, ERROR_DIAGNOSES

    warehouse = _warehouse(root)
    partition = _partition(warehouse, benchmark, model)
    settings = load_settings(warehouse.storage)
    wanted = settings.for_benchmark(partition.benchmark).diagnosis
    if share is not None:
        wanted = type(wanted)(share=share, most=wanted.most)
    options = settings.language_model.options()
    if options is None or not wanted.share:
        _stop(
            "errors are not diagnosed: set model in [language_model], and share in [diagnosis] "
            "(0.1 is a tenth of the errors), then `errclust diagnoses … --quote`"
        )
    if quote:
        import dataclasses

        from errclust_pipeline.language_model.client import LanguageModel
        from errclust_pipeline.views.diagnoses import errors_to_diagnose

        asked = LanguageModel(options, warehouse.storage)
        found = asked.quote(
            errors_to_diagnose(warehouse, partition, wanted, options.prompt_tokens).prompts
        )
        if as_json:
            terminal.print_json(dataclasses.asdict(found))
        else:
            terminal.messages().print(f"{asked.name}: {found}", soft_wrap=True)
        return
    rows = warehouse.read(ERROR_DIAGNOSES, partition).to_pylist()
    labels = warehouse.read(DIAGNOSIS_LABELS, partition).to_pylist()
    clusters = warehouse.read(DIAGNOSIS_CLUSTERS, partition).to_pylist()
    if as_json:
        terminal.print_json({"diagnoses": rows, "clusters": labels})
    else:
        from errclust_pipeline.views.marks import read_region_names

        terminal.print_diagnoses(
            partition.benchmark,
            partition.model,
            rows,
            labels,
            clusters,
            read_region_names(warehouse, partition.benchmark),
            examples,
        )


@app.command("language-model")
@_explain_errors
def language_model(
    try_it: Annotated[
        bool, typer.Option("--try", help="Ask it something small, to see whether it answers.")
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show which language model is configured and what it has taken so far, over all runs."""
    import tempfile

    from errclust_pipeline.language_model.client import LanguageModel, try_out
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.warehouse.storage import Storage

    warehouse = _warehouse(root)
    options = load_settings(warehouse.storage).language_model.options()
    if options is None:
        _stop("there is no language model: set model in [language_model] of errclust.toml")
    told = {
        "model": options.model,
        "endpoint": options.address,
        "key": f"{options.key_variable} is {'set' if options.key() else 'not set'}",
        **LanguageModel(options, warehouse.storage).totals(),
    }
    if as_json:
        terminal.print_json(told)
    else:
        terminal.print_rows([told])
    if try_it:
        # Not from the store: what counts is whether it answers now.
        with tempfile.TemporaryDirectory() as folder:
            failure = try_out(LanguageModel(options, Storage(folder)))
        if failure is not None:
            _stop(f"{options.model} gives no usable answer: {failure.reason}")
        terminal.messages().print(f"{options.model} answers")


@app.command("map")
@_explain_errors
def show_map(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    level: Annotated[int, typer.Option(help="Regions down to this level; 1 is the coarsest.")] = 2,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show the map of a benchmark: its regions, and every model's error rate there.

    A rate is marked + (or -) where the model is worse (better) there than its ability and the
    region's difficulty explain, by two standard deviations.
    """
    from errclust_pipeline.tables import LEADERBOARD, MODEL_SIGNATURES, REGION_LABELS
    from errclust_pipeline.warehouse.keys import BenchmarkPartition

    warehouse = _warehouse(root)
    partition = BenchmarkPartition(warehouse.known_key("benchmark", benchmark))
    labels = warehouse.read(REGION_LABELS, partition).to_pylist()
    labels = [row for row in labels if row["level"] <= level]
    models = warehouse.read(LEADERBOARD, partition).to_pylist()
    signatures = warehouse.read(MODEL_SIGNATURES, partition).to_pylist()
    if as_json:
        terminal.print_json({"regions": labels, "models": models, "signatures": signatures})
        return
    terminal.print_leaderboard(models)
    terminal.print_map(labels, [row["model"] for row in models], signatures)


@app.command()
@_explain_errors
def hotspots(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    examples: Annotated[int, typer.Option(help="Wrong answers shown of each region.")] = 1,
    limit: Annotated[
        int, typer.Option(help="Regions shown of each of the two kinds; 0 shows all.")
    ] = 10,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show where a model's errors concentrate, strongest evidence first.

    First the regions where it errs more than elsewhere; many of them are hard for every model.
    Then those where it errs more than difficulty explains: its own weaknesses (three models on the
    benchmark are needed to tell).
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from errclust_pipeline.tables import AUTOCORRELATION, RESPONSES
    from errclust_pipeline.views.marks import read_hot_regions

    warehouse = _warehouse(root)
    partition = _partition(warehouse, benchmark, model)
    regions = read_hot_regions(warehouse, partition)
    statistics = warehouse.read(AUTOCORRELATION, partition).to_pylist()
    if as_json:
        terminal.print_json({"autocorrelation": statistics, "regions": regions})
        return
    shown = {name for row in regions for name in row["exemplars"][:examples]}
    columns = ["question_id", "question", "gold", "prediction"]
    responses = warehouse.read(
        RESPONSES,
        partition,
        columns,
        pc.field("question_id").isin(pa.array(sorted(shown), pa.string())),
    )
    questions = {row["question_id"]: row for row in responses.to_pylist()}
    terminal.print_autocorrelation(partition.benchmark, partition.model, statistics)
    models = statistics[0]["models_for_difficulty"] if statistics else 0
    terminal.print_hot_regions(regions, questions, examples, limit, models)


@app.command()
@_explain_errors
def uncertainty(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    alpha: Annotated[
        float | None,
        typer.Option(
            help="Share of conformal sets that may miss the right option; computed anew.  "
            "[default: miscoverage in the settings]",
            show_default=False,
        ),
    ] = None,
    examples: Annotated[int, typer.Option(help="Questions shown of each place.")] = 1,
    limit: Annotated[int, typer.Option(help="Rows shown of each table; 0 shows all.")] = 10,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show how sure a model is of its answers, and where it is wrong without knowing.

    For models that were scored by log-likelihoods of the options. First whether it may be as sure
    as it says, then where it is confidently wrong, where it is unsure, and where conformal sets
    do not keep their promise.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from errclust_pipeline import tables
    from errclust_pipeline.analysis.uncertainty import (
        NoOptionProbabilitiesError,
        Uncertainty,
        calibration_curve,
        measure_uncertainty,
    )
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.views import likelihoods
    from errclust_pipeline.views.marks import read_map, read_region_names

    if alpha is not None and not 0 < alpha < 1:
        _stop(f"--alpha must be between 0 and 1, got {alpha}")
    warehouse = _warehouse(root)
    partition = _partition(warehouse, benchmark, model)
    settings = load_settings(warehouse.storage)
    try:
        if alpha is None:
            # Read first, so that what is not computed yet is said to be so.
            stored = [
                warehouse.read(table, partition).to_pandas()
                for table in (
                    tables.UNCERTAINTY, tables.UNCERTAINTY_SUMMARY, tables.UNCERTAINTY_BY_REGION,
                    tables.UNCERTAINTY_HOT_REGIONS,
                )
            ]  # fmt: skip
            questions = read_map(warehouse, partition.benchmark)
            options, _ = likelihoods.read_option_probabilities(warehouse, partition, questions)
            found = Uncertainty(*stored)
        else:
            chosen = settings.for_benchmark(partition.benchmark).statistics
            on_map = likelihoods.read_options_on_map(warehouse, partition)
            found = measure_uncertainty(on_map, alpha, chosen.fdr, chosen.permutations)
            options = on_map.options
    except NoOptionProbabilitiesError as error:
        if as_json:
            terminal.print_json({"left_out": error.left_out, "summary": []})
            return
        _stop(f"{partition}: {error}")
    curve = calibration_curve(found.questions["confidence"], found.questions["right"])
    summary, regions, places, bins = (
        [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        for frame in (found.summary, found.regions, found.hot_regions, curve)
    )
    if not summary:
        _stop(f"uncertainty of {partition} is out of date: run `errclust run`")
    names = read_region_names(warehouse, partition.benchmark)
    for row in regions:
        row["label"] = names.get(row["region_id"])
    corners = dict(Counter(found.questions["corner"]))
    if as_json:
        terminal.print_json(
            {
                "left_out": dict(options.left_out),
                "summary": summary,
                "corners": corners,
                "calibration": bins,
                "hot_regions": places,
                "regions": regions,
            }
        )
        return
    shown = {name for row in places for name in row["exemplars"][:examples]}
    responses = warehouse.read(
        tables.RESPONSES,
        partition,
        ["question_id", "question", "gold", "prediction"],
        pc.field("question_id").isin(pa.array(sorted(shown), pa.string())),
    )
    terminal.print_certainty(partition.benchmark, partition.model, summary, corners, options)
    terminal.print_calibration(bins)
    terminal.print_uncertain_places(
        places,
        {row["question_id"]: row for row in responses.to_pylist()},
        dict(zip(found.questions["question_id"], found.questions["confidence"], strict=True)),
        examples,
        limit,
        summary[0]["fewest_options"] != summary[0]["most_options"],
    )
    chosen = settings.for_benchmark(partition.benchmark).statistics
    terminal.print_coverage(regions, summary[0]["alpha"], chosen.fdr, limit)


@app.command()
@_explain_errors
def compare(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model_a: Annotated[str, typer.Argument(help="One model.", metavar="A")],
    model_b: Annotated[str, typer.Argument(help="The other.", metavar="B")],
    limit: Annotated[int, typer.Option(help="Regions shown; 0 shows all.")] = 15,
    without_artefacts: Annotated[
        bool,
        typer.Option(
            "--without-artefacts",
            help="Leave out responses that nothing could be read off (truncated, empty, …).",
        ),
    ] = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models region by region: is A worse here, and is the gap unlike the overall gap?

    Worst first: the regions whose gap departs most surely from the overall one. Computed anew each
    time, from the same tables as `model_comparison`.
    """
    import dataclasses

    import numpy as np

    from errclust_pipeline.analysis.comparison import compare_pair
    from errclust_pipeline.analysis.spatial import global_statistics, usable_scales
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.views import marks
    from errclust_pipeline.warehouse.keys import SubmissionPartition

    warehouse = _warehouse(root)
    key = warehouse.known_key("benchmark", benchmark)
    chosen = load_settings(warehouse.storage).for_benchmark(key).statistics
    left_out = chosen.leave_out_artefacts or without_artefacts
    questions = marks.read_map(warehouse, key)
    names = [warehouse.known_key("model", name) for name in (model_a, model_b)]
    if names[0] == names[1]:
        _stop("name two different models")
    first, second = (
        marks.read_answers(warehouse, SubmissionPartition(key, name), questions, left_out)
        for name in names
    )
    labels, regions = questions.region_labels()
    options = marks.read_option_counts(warehouse, key, questions)
    found = compare_pair(first, second, labels, regions, questions.region_ids, options, chosen.fdr)
    gap = np.asarray(first.errors - second.errors)
    scales = usable_scales(len(questions), questions.neighbours.shape[1], chosen.scales)
    statistics = [
        {"k": one.k, "moran": one.moran, "z": one.z}
        for one in global_statistics(gap, questions.neighbours, scales, permutations=0)
    ]
    region_names = marks.read_region_names(warehouse, key)
    rows = [
        {str(name): value for name, value in row.items()}
        | {"label": region_names.get(row["region_id"])}
        for row in found.regions.to_dict("records")
    ]
    if as_json:
        terminal.print_json(
            {
                "difference": {
                    **dataclasses.asdict(found.difference),
                    "low": found.low,
                    "high": found.high,
                },
                "agreement": dataclasses.asdict(found.agreement),
                "gate": dataclasses.asdict(found.gate),
                "autocorrelation": statistics,
                "artefacts_left_out": left_out,
                "regions": rows,
            }
        )
        return
    terminal.print_comparison(
        names[0], names[1], rows[: limit or None], found, statistics, left_out, chosen.fdr
    )


@app.command()
@_explain_errors
def report(
    benchmark: Annotated[str, typer.Argument(help="The benchmark, or the battle set.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file to write.  [default: BENCHMARK.html]", show_default=False
        ),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only this model; may be repeated.")
    ] = None,
    root: Root = None,
) -> None:
    """Write what was found as one HTML file: leaderboard, map, comparisons, confidence, clusters.

    Of a battle set: ratings, where each model wins, and two models against each other. It opens in
    a browser from where it lies and loads nothing from anywhere. Questions and responses stand in
    it: it is as public as you make it.
    """
    from errclust_pipeline.report import (
        ReportError,
        read_battle_contents,
        read_contents,
        write_report,
    )
    from errclust_pipeline.warehouse.keys import BattleSetPartition

    warehouse = _warehouse(root)
    key = warehouse.known_key("benchmark", benchmark)
    battle_set = BattleSetPartition(key)
    is_of_battles = warehouse.has_submission(battle_set)
    if is_of_battles and model:
        _stop(f"{key} is a battle set, whose report is about all models: leave out --model")
    models = [warehouse.known_key("model", name) for name in model] if model else None
    target = out or Path(f"{key}.html")
    try:
        contents = (
            read_battle_contents(warehouse, battle_set)
            if is_of_battles
            else read_contents(warehouse, key, models)
        )
        size = write_report(contents, target.absolute())
    except ReportError as error:
        _stop(str(error))
    for note in contents.numbers["notes"]:
        terminal.messages().print(terminal.plain(note), style="yellow", soft_wrap=True)
    terminal.messages().print(
        terminal.plain(f"{target} is written ({size / 1e6:.1f} MB): open it in a browser"),
        soft_wrap=True,
    )


@app.command()
@_explain_errors
def explore(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Only this model; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Only write the table, as Parquet.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="The explorer's port.  [default: 5055, or any that is free]"
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser on it.")] = True,
    root: Root = None,
) -> None:
    """Explore the map in a browser: search, filter, colour it by any column, look at neighbours.

    The explorer is Apple's embedding-atlas, an extra: pip install "errclust[explore]". It serves
    the questions to this machine only, and fetches nothing from elsewhere. Stop it with Ctrl-C.
    Its map needs a browser with WebGPU; its tables and charts do not.
    """
    import signal
    import webbrowser

    from errclust_pipeline.report import ReportError, explorer

    warehouse = _warehouse(root)
    key = warehouse.known_key("benchmark", benchmark)
    models = [warehouse.known_key("model", name) for name in model] if model else None
    try:
        command = explorer.atlas_command() if out is None else []
        table = explorer.explorer_table(warehouse, key, models)
        said = f"{table.num_rows:,} questions, {table.num_columns} columns"
        if out is not None:
            explorer.write_explorer_table(table, out.absolute())
            terminal.messages().print(terminal.plain(f"{out} is written: {said}"), soft_wrap=True)
            return
        chosen = explorer.free_port(port)
        labels = explorer.region_labels_on_the_map(warehouse, key)
        # What is started here ends with this command, whoever ends it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        with explorer.atlas(table, labels, chosen, command) as process:
            address = f"http://127.0.0.1:{chosen}"
            terminal.messages().print(
                terminal.plain(f"{key} at {address} ({said}); Ctrl-C stops it"), soft_wrap=True
            )
            if browser:
                webbrowser.open(address)
            if process.wait():
                _stop(f"embedding-atlas ended with code {process.returncode}")
    except ReportError as error:
        _stop(str(error))
    except KeyboardInterrupt:
        terminal.messages().print("stopped")


Out = Annotated[
    Path, typer.Option("--out", "-o", help="The file to write; its ending is its format.")
]


def _plot(root: str | None, benchmark: str, models: Sequence[str], out: Path, draw: Any) -> None:
    """Write what `draw` makes of the contents of a report of some models, or of all."""
    from errclust_pipeline.report import read_contents

    def drawn(warehouse: Warehouse, key: str) -> Any:
        names = [warehouse.known_key("model", name) for name in models]
        return draw(read_contents(warehouse, key, names or None), *names)

    _write_plot(root, benchmark, out, drawn)


def _write_plot(root: str | None, benchmark: str, out: Path, draw: Any) -> None:
    """Write the figure that `draw` makes of a warehouse and the key of a benchmark there."""
    from errclust_pipeline.report import ReportError
    from errclust_pipeline.report.plots import write_plot

    warehouse = _warehouse(root)
    try:
        write_plot(draw(warehouse, warehouse.known_key("benchmark", benchmark)), out.absolute())
    except ReportError as error:
        _stop(str(error))
    terminal.messages().print(terminal.plain(f"{out} is written"), soft_wrap=True)


@plot.command("map")
@_explain_errors
def plot_map(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    out: Out,
    k: Annotated[
        int | None, typer.Option("--neighbours", help="Looked at.  [default: 100, or the nearest]")
    ] = None,
    beyond: Annotated[
        bool, typer.Option("--beyond-difficulty", help="Errors beyond what difficulty explains.")
    ] = False,
    root: Root = None,
) -> None:
    """Draw the map with a model's error rate, hot and cold places, and names of regions."""
    from errclust_pipeline.report import plots

    _plot(
        root,
        benchmark,
        [model],
        out,
        lambda contents, name: plots.plot_map(contents, name, k, beyond),
    )


@plot.command("signature")
@_explain_errors
def plot_signature(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    out: Out,
    level: Annotated[int, typer.Option(help="Of the regions; 1 is the coarsest.")] = 1,
    root: Root = None,
) -> None:
    """Draw the heat map of where each model departs from its ability and the difficulty."""
    from errclust_pipeline.report import plots

    _plot(root, benchmark, [], out, lambda contents: plots.plot_signatures(contents, level))


@plot.command("compare")
@_explain_errors
def plot_compare(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model_a: Annotated[str, typer.Argument(help="One model.", metavar="A")],
    model_b: Annotated[str, typer.Argument(help="The other.", metavar="B")],
    out: Out,
    root: Root = None,
) -> None:
    """Draw the difference of two models' error rates in each region, with its interval."""
    from errclust_pipeline.report import plots

    _plot(root, benchmark, [model_a, model_b], out, plots.plot_comparison)


@plot.command("ratings")
@_explain_errors
def plot_ratings(
    battle_set: Annotated[str, typer.Argument(help="The battle set.", metavar="SET")],
    out: Out,
    judges: Annotated[
        str | None,
        typer.Option(help="human or model.  [default: both, side by side]", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="Models shown, the best.")] = 60,
    root: Root = None,
) -> None:
    """Draw the ratings of a battle set's models with their intervals, best first."""
    from errclust_pipeline.report import plots, read_battle_contents
    from errclust_pipeline.warehouse.keys import BattleSetPartition

    def draw(warehouse: Warehouse, key: str) -> Any:
        contents = read_battle_contents(warehouse, BattleSetPartition(key))
        return plots.plot_ratings(contents, judges, max(limit, 1))

    _write_plot(root, battle_set, out, draw)


@app.command()
@_explain_errors
def select(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    model: Annotated[str, typer.Argument(help="The model.")],
    pool: Annotated[
        str | None,
        typer.Option(
            help="Examples to choose from: a table (CSV, JSON, Parquet, Arrow), a folder of them, "
            "or hf:owner/dataset.  [default: none; what to write is specified instead]",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="The pool's column that holds something, e.g. --column instruction=problem. "
            "Known: instruction, answer.",
            metavar="WHAT=COLUMN",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="The pool's split, of a dataset that has several.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="The pool's configuration, of a dataset on the hub that has several."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            help="Examples wanted.  [default: the setting selection.budget, 500]",
            min=1,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder to write them to, with a dataset card.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Picks shown; 0 shows all.")] = 10,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Choose the training examples that a model's errors ask for, each with its reason.

    Errors weigh by how often the model errs around them, whether other models can do better, and
    how much lies near; the picks cover as much of that as they can. Only half of the benchmark's
    questions guide the choice, the others are held out to measure what it brings; and examples that
    are questions of the benchmark, or nearly, are refused.
    """
    import shlex

    from errclust_pipeline.embedding.embedder import EmbeddingModel
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.training.pool import read_pool
    from errclust_pipeline.training.select import select_examples

    columns = _columns(column, "instruction=problem")
    if pool is None and (columns or split or config):
        _stop("--column, --split and --config are of a pool: name it with --pool")
    warehouse = _warehouse(root)
    partition = _partition(warehouse, benchmark, model)
    settings = load_settings(warehouse.storage)
    examples = None if pool is None else read_pool(pool, columns, split, config)
    found = select_examples(
        warehouse,
        partition,
        settings,
        EmbeddingModel(**settings.embedding.model_dump()),
        budget or settings.for_benchmark(partition.benchmark).selection.budget,
        examples,
        lambda line: terminal.messages().print(terminal.plain(line)),
    )
    if out is not None:
        found.export(out, shlex.join(["errclust", *sys.argv[1:]]))
    if as_json:
        terminal.print_json(found.to_json())
    else:
        terminal.print_selection(found, limit)
    if out is not None:
        terminal.messages().print(terminal.plain(f"written to {out}"), soft_wrap=True)


@app.command()
@_explain_errors
def faults(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    limit: Annotated[int, typer.Option(help="Questions shown; 0 shows all.")] = 10,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """List the questions whose right answer is likely wrong in the benchmark, for review.

    Models agree on another answer there, as they would if the key was wrong. It is a list to look
    through, the most suspect first, and no verdict: the probability shown is the most that it can
    be. Four models on the benchmark are needed.
    """
    from errclust_pipeline.views.demand import read_label_errors

    warehouse = _warehouse(root)
    key = warehouse.known_key("benchmark", benchmark)
    found = read_label_errors(warehouse, key)
    if as_json:
        terminal.print_json(found)
    else:
        terminal.print_faults(key, found, limit)


@app.command()
@_explain_errors
def battles(
    battle_set: Annotated[str, typer.Argument(help="The battle set.", metavar="SET")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Where this model wins and loses.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Only its battles with this one.", metavar="MODEL")
    ] = None,
    limit: Annotated[int, typer.Option(help="Rows shown of each table; 0 shows all.")] = 15,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Show who wins a battle set's battles, and where.

    Ratings of all models, by human judges and by models side by side, and whether they depend on
    the topic. With --model, the topics where it does better or worse than its rating explains.
    """
    from errclust_pipeline.tables import BATTLE_REGIONS, PROMPT_REGIONS, RATINGS, REGIONAL_RATINGS
    from errclust_pipeline.warehouse.keys import BattleSetPartition

    warehouse = _warehouse(root)
    partition = BattleSetPartition(warehouse.known_key("benchmark", battle_set))
    if against is not None and model is None:
        _stop("--against needs --model: whose battles with it?")
    labels = {
        row["region_id"]: row["label"]
        for row in warehouse.read(PROMPT_REGIONS, partition, ["region_id", "label"]).to_pylist()
    }
    if model is None:
        ratings = warehouse.read(RATINGS, partition).to_pylist()
        regions = warehouse.read(BATTLE_REGIONS, partition).to_pylist()
    elif against is None:
        ratings, regions = (
            [row for row in warehouse.read(table, partition).to_pylist() if row["model"] == model]
            for table in (RATINGS, REGIONAL_RATINGS)
        )
    else:
        ratings, regions = _battles_between(warehouse, partition, model, against)
    if model is not None and not ratings:
        known = warehouse.read(RATINGS, partition, ["model"])["model"].unique().to_pylist()
        what = model if against is None else f"{model} against {against}"
        _stop(f"there is no battle of {what}. Known models: {', '.join(sorted(known)[:20])}")
    for row in regions:
        row["label"] = labels.get(row["region_id"]) if row["level"] else row["region_id"]
    if as_json:
        terminal.print_json({"ratings": ratings, "regions": regions})
        return
    terminal.print_battles(ratings, regions, model, against, limit or None)


def _battles_between(
    warehouse: Warehouse, partition: BattleSetPartition, model: str, against: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rate two models by their battles with each other alone, overall and by region."""
    from errclust_pipeline.analysis.ratings import compare_by_battles
    from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map

    prompts = read_prompt_map(warehouse, partition)
    ratings: list[dict[str, Any]] = []
    regions: list[dict[str, Any]] = []
    for kind, everyone in read_judged_battles(warehouse, partition, prompts).items():
        own = everyone.between(model, against)
        if own is not None:
            overall, found = compare_by_battles(own, prompts, model, against)
            ratings.append({"judge_kind": kind} | overall)
            regions += [{"judge_kind": kind} | row for row in found]
    return ratings, regions


class SqlFormat(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@app.command()
@_explain_errors
def sql(
    query: Annotated[
        str, typer.Argument(help="A query; tables are listed by: errclust sql 'SHOW TABLES'")
    ],
    limit: Annotated[int, typer.Option(help="Rows shown as a table; 0 shows all.")] = 100,
    output_format: Annotated[
        SqlFormat, typer.Option("--format", help="How to print the rows.")
    ] = SqlFormat.TABLE,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Query all tables with SQL (DuckDB).

    Tables of a model's results have the columns benchmark and model, those that the models of a
    benchmark share have benchmark. For example, the five largest clusters of a model's errors:

    errclust sql "select cluster_id, label, size from cluster_labels where model = 'Qwen1.5-110B'
    and level = 1 order by size desc limit 5"
    """
    if not query.strip():
        _stop("the query is empty: try errclust sql 'SHOW TABLES'")
    as_table = output_format is SqlFormat.TABLE and not as_json
    names, rows = _warehouse(root).query(query, limit + 1 if as_table and limit else None)
    names = _told_apart(names)
    if output_format is SqlFormat.CSV and not as_json:
        import csv

        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(rows)
        return
    shown = [dict(zip(names, row, strict=True)) for row in rows]
    if as_table:
        terminal.print_rows(shown[: limit or None], longest=200)
        if limit and len(shown) > limit:
            terminal.messages().print(f"only the first {limit} rows are shown: see --limit")
    else:
        terminal.print_json(shown)


def _told_apart(names: Sequence[str]) -> list[str]:
    """Number the second and later columns of the same name, as DuckDB's own shell does."""
    told: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in told:
            candidate, number = f"{name}_{number}", number + 1
        told.append(candidate)
    return told


@app.command()
@_explain_errors
def forget(
    benchmark: Annotated[str, typer.Argument(help="The benchmark, or the battle set.")],
    model: Annotated[
        str | None, typer.Argument(help="The model; a battle set has none.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    root: Root = None,
) -> None:
    """Remove a submission and all that was computed of it, e.g. one ingested by mistake.

    The result files themselves stay where they are. What the benchmark's models share is out of
    date then: `errclust run` computes it anew.
    """
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.partitions import remove_partition
    from errclust_pipeline.warehouse.keys import BattleSetPartition

    warehouse = _warehouse(root)
    if model is None:
        partition: RecordedPartition = BattleSetPartition(
            warehouse.known_key("benchmark", benchmark)
        )
    else:
        partition = _partition(warehouse, benchmark, model)
    if not warehouse.has_submission(partition):
        what = "submission" if model else "battle set"
        _stop(f"there is no {what} {partition}" + ("" if model else ": name a model as well"))
    if not yes:
        typer.confirm(f"Remove {partition} and its tables?", abort=True)
    removed = warehouse.forget(partition)
    with open_instance(warehouse.storage) as instance:
        remove_partition(instance, partition, warehouse.submissions())
    terminal.messages().print(f"{partition} is forgotten: {removed} tables removed")


@app.command()
@_explain_errors
def demo(
    root: Root = None, seed: Annotated[int, typer.Option(help="Another leaderboard.")] = 0
) -> None:
    """Generate the demo leaderboard, run everything on it and show what is found.

    Four simulated models with known bugs answer two benchmarks. No key, no network.
    """
    from errclust_pipeline.demo import write_demo_leaderboard
    from errclust_pipeline.ingestion.files import ingest as ingest_paths
    from errclust_pipeline.warehouse.keys import SubmissionPartition

    warehouse = _warehouse(root)
    if not warehouse.storage.is_local:
        _stop("the demo writes files: give it a local folder as --root")
    folder = Path(warehouse.storage.path("demo", f"seed-{seed}"))
    if not (folder / "ground_truth.parquet").exists():
        terminal.messages().print(f"writing the demo leaderboard to {folder}")
        write_demo_leaderboard(folder, seed)
    ingested = ingest_paths(warehouse, [folder / "submissions"])
    partitions = [
        one.partition for one in ingested if isinstance(one.partition, SubmissionPartition)
    ]
    _run(warehouse, partitions)
    _print_telling_clusters(warehouse, partitions)
    first = partitions[0]
    option = "" if root is None else f" --root {root}"
    count_forms = "select model, failure_form, count(*) from errors group by all order by all"
    terminal.output().print(
        "\nWhere to look next:\n"
        f"  errclust show clusters {first.benchmark} {first.model}{option}\n"
        f"  errclust map {first.benchmark}{option}\n"
        f"  errclust hotspots {first.benchmark} {first.model}{option}\n"
        f"  errclust compare {first.benchmark} {first.model} {partitions[1].model}{option}\n"
        f'  errclust sql{option} "{count_forms}"\n'
        f"  errclust dev{option}   (the Dagster UI, on the same data)\n"
        f"  {warehouse.catalog_path}   (the tables, for DuckDB)\n"
        f"  {folder / 'ground_truth.parquet'}   (the planted bugs; for your eyes only)",
        soft_wrap=True,
    )


def _print_telling_clusters(
    warehouse: Warehouse, partitions: Sequence[SubmissionPartition]
) -> None:
    """Print three clusters that are large and tight, each of another model."""
    from errclust_pipeline.tables import CLUSTER_LABELS

    telling = []
    for partition in partitions:
        labels = warehouse.read(CLUSTER_LABELS, partition).to_pylist()
        if labels:
            best = max(labels, key=lambda row: row["size"] * row["mean_similarity"])
            telling.append((best["share_of_errors"] * best["mean_similarity"], partition, best))
    telling.sort(key=lambda one: (-one[0], one[1]))
    chosen = {partition.model: (partition, row) for _, partition, row in reversed(telling)}
    console = terminal.output()
    console.print(
        "\nThe most telling clusters (large and tight), each of another model:", style="bold"
    )
    ranked = sorted(chosen.values(), key=lambda one: -one[1]["share_of_errors"])
    for partition, row in ranked[:3]:
        console.print(
            terminal.plain(
                f"{partition.model} on {partition.benchmark}: {row['label']} "
                f"({row['size']} errors, {row['share_of_errors']:.0%} of all)"
            ),
            style="cyan",
        )
        for exemplar in row["exemplars"][:2]:
            console.print("   ", terminal.example_line(exemplar), soft_wrap=True)


@app.command()
@_explain_errors
def dev(
    root: Root = None,
    port: Annotated[int, typer.Option(help="The UI's port.")] = 3000,
) -> None:
    """Open the Dagster UI on the data root (needs no other set-up; stop it with Ctrl-C)."""
    from errclust_pipeline.orchestration.instance import dagster_home, open_instance
    from errclust_pipeline.orchestration.partitions import add_partitions
    from errclust_pipeline.orchestration.runs import fail_abandoned_runs
    from errclust_pipeline.settings import load_settings

    warehouse = _warehouse(root)
    home = dagster_home(warehouse.storage)
    with open_instance(warehouse.storage) as instance:
        add_partitions(instance, [*warehouse.submissions(), *warehouse.battle_sets()])
        fail_abandoned_runs(instance)
    settings = load_settings(warehouse.storage)
    folders = [
        settings.submissions.url(one, warehouse.storage) for one in settings.submissions.folders
    ]
    for folder in folders:
        if folder.startswith(f"{warehouse.storage.root}/"):
            Path(folder).mkdir(parents=True, exist_ok=True)
        terminal.messages().print(
            terminal.plain(f"watching {folder}: results put there are computed by themselves"),
            soft_wrap=True,
        )
    environment = {
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "300",
        **os.environ,
        "DAGSTER_HOME": str(home),
        "ERRCLUST_ROOT": warehouse.storage.url,
    }
    command = [
        sys.executable, "-m", "dagster", "dev",
        "--module-name", "errclust_pipeline.definitions", "--port", str(port),
    ]  # fmt: skip
    os.execve(sys.executable, command, environment)  # noqa: S606


def _columns(given: Sequence[str] | None, example: str) -> dict[str, str]:
    """Return which column holds what, from options of the form WHAT=COLUMN."""
    columns: dict[str, str] = {}
    for pair in given or []:
        what, equals, name = pair.partition("=")
        if not equals or not what or not name:
            _stop(f"--column {pair!r}: expected WHAT=COLUMN, e.g. {example}")
        columns[what] = name
    return columns


def _key(warehouse: Warehouse, dimension: str, name: str | None) -> str | None:
    return None if name is None else warehouse.known_key(dimension, name)


def _partition(warehouse: Warehouse, benchmark: str, model: str) -> SubmissionPartition:
    """Return the partition of a model that was ingested, by keys or true names."""
    from errclust_pipeline.warehouse.keys import SubmissionPartition

    return SubmissionPartition(
        warehouse.known_key("benchmark", benchmark), warehouse.known_key("model", model)
    )


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
