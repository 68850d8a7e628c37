"""`errclust ingest` and `errclust forget`: take submissions in, and take them out again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import (
    PARTITION_FAILED,
    AsJson,
    DataRoot,
    ModelOnBenchmark,
    battle_set_of,
    model_or_kind,
    parse_columns,
    stop,
)
from errclust_pipeline.cli.registry import Options, Section, command
from errclust_pipeline.sources.registry import entries, reader_help

if TYPE_CHECKING:
    from errclust_pipeline.hub.address import HubAddress
    from errclust_pipeline.ingestion.from_hub import FromHub
    from errclust_pipeline.ingestion.record import Ingested
    from errclust_pipeline.warehouse.keys import RecordedPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse


def _readers_with(option: str) -> str:
    """Return the formats whose reader takes an option, for its help."""
    return ", ".join(entry.name for entry in entries() if option in entry.options)


@dataclass(frozen=True)
class FilesOptions(Options):
    """Which files are recorded, and whether they are copied."""

    paths: Annotated[
        list[str],
        typer.Argument(
            help="Result files, folders of them, or datasets of the hub: hf:owner/dataset, "
            "hf:open-llm-leaderboard.",
            metavar="PATH...",
        ),
    ]
    copy: Annotated[
        bool, typer.Option("--copy", help="Keep a copy of the files under the data root.")
    ] = False

    def files(self) -> list[Path]:
        """Return the files and folders of this machine."""
        from errclust_pipeline.hub.address import is_hub_address

        return [Path(path) for path in self.paths if not is_hub_address(path)]

    def hub_addresses(self) -> list[HubAddress]:
        """Return the addresses of the hub."""
        from errclust_pipeline.hub.address import HubAddress, is_hub_address

        return [HubAddress.parse(path) for path in self.paths if is_hub_address(path)]


@dataclass(frozen=True)
class FormatOptions(Options):
    """Which format files have, and what they do not say themselves."""

    reader: Annotated[
        str | None,
        typer.Option(
            help="The format, one of those above.  [default: recognised from the files]",
            show_default=False,
        ),
    ] = None
    benchmark: Annotated[
        str | None,
        typer.Option(
            "--benchmark",
            "-b",
            help="The benchmark or battle set, where no file names it. Of a leaderboard: the one "
            "to fetch.",
        ),
    ] = None
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="The model, where no file names it. Of a leaderboard: the one to fetch.",
        ),
    ] = None
    metric: Annotated[
        str | None,
        typer.Option(help=f"The metric that decides what is correct ({_readers_with('metric')})."),
    ] = None
    answer_filter: Annotated[
        str | None,
        typer.Option("--filter", help=f"The answer filter to use ({_readers_with('filter')})."),
    ] = None
    scorer: Annotated[
        str | None,
        typer.Option(
            help="The scorer that decides what is correct, or SCORER/VALUE if it gives several "
            f"values ({_readers_with('scorer')}).  [default: the first]",
            show_default=False,
        ),
    ] = None

    def reader_options(self) -> dict[str, Any]:
        """Return what the reader is told, by the names of its options."""
        return {
            "benchmark": self.benchmark,
            "model": self.model,
            "metric": self.metric,
            "filter": self.answer_filter,
            "scorer": self.scorer,
        }


@dataclass(frozen=True)
class ScoreOptions(Options):
    """How scores are read: their scale, their direction and what counts as an error."""

    threshold: Annotated[
        float | None,
        typer.Option(help="A score below this, of 0 to 1, is an error.  [default: 0.5]"),
    ] = None
    scale: Annotated[
        str | None,
        typer.Option(
            help="The lowest and the highest score, e.g. 0:10.  [default: 0:1]",
            metavar="LOW:HIGH",
        ),
    ] = None
    higher_is_better: Annotated[
        bool | None,
        typer.Option(
            "--higher-is-better/--lower-is-better",
            help="Whether the highest score is the best one.  [default: as the files say, else "
            "higher]",
        ),
    ] = None
    null_scores: Annotated[
        str | None,
        typer.Option(
            help="What a response without a verdict counts as: wrong or leave_out.  "
            "[default: wrong]",
            metavar="VERDICT",
        ),
    ] = None

    def reader_options(self) -> dict[str, Any]:
        """Return what the reader is told, by the names of its options."""
        from errclust_pipeline.sources.scoring import parse_scale

        return {
            "threshold": self.threshold,
            "scale": None if self.scale is None else parse_scale(self.scale),
            "higher_is_better": self.higher_is_better,
            "null_scores": self.null_scores,
        }


@dataclass(frozen=True)
class TableOptions(Options):
    """Which column of a table holds what."""

    column: Annotated[
        list[str] | None,
        typer.Option(
            help="For tables: the column that holds something, e.g. --column input_text=prompt. "
            "Known: example_id, model, input_text, output_text, score, correct_answer, dataset, "
            "subject, prediction, choices, finish_reason.",
            metavar="WHAT=COLUMN",
        ),
    ] = None
    mapping: Annotated[
        Path | None,
        typer.Option(help="For tables: a YAML file that says which column holds what, and more."),
    ] = None
    split: Annotated[
        str | None, typer.Option(help="For tables: the split, of a dataset that has several.")
    ] = None

    def reader_options(self) -> dict[str, Any]:
        """Return what the reader is told: the mapping file's entries, then the options."""
        from errclust_pipeline.sources.formats.mapping import read_mapping

        mapping = {} if self.mapping is None else read_mapping(self.mapping)
        columns = parse_columns(self.column, "input_text=prompt")
        given = {
            "split": self.split,
            "columns": {**mapping.get("columns", {}), **columns} or None,
        }
        return mapping | {name: value for name, value in given.items() if value is not None}

    def reader(self, options: Mapping[str, Any]) -> str | None:
        """Return the reader that takes mapping files, if there is one; None otherwise."""
        if self.mapping is None:
            return None
        return "battle_table" if "battles" in options else "table"


@dataclass(frozen=True)
class HubOptions(Options):
    """What is fetched from the hub."""

    top: Annotated[
        int | None,
        typer.Option(help="Of a leaderboard: the number of models to fetch, best average first."),
    ] = None
    timestamp: Annotated[
        str | None,
        typer.Option(
            help="Of a leaderboard: the run of this time.  [default: each benchmark's latest]",
            show_default=False,
        ),
    ] = None
    revision: Annotated[
        str | None, typer.Option(help="Of a hub dataset: a branch, tag or commit.")
    ] = None

    def check_nothing_local(self, files: Sequence[Path]) -> None:
        """Stop if an option about the hub is given along with files of this machine."""
        options = {
            "--top": self.top,
            "--timestamp": self.timestamp,
            "--revision": self.revision,
        }
        for name, value in options.items():
            if value is not None and files:
                stop(
                    f"{name} is for what comes from the hub (hf:…), but {files[0]} is a file or "
                    f"folder: ingest it without {name}"
                )

    def fetch(
        self,
        warehouse: Warehouse,
        address: HubAddress,
        reader: str | None,
        options: Mapping[str, Any],
        copy: bool,
        progress: console.RunProgress,
    ) -> FromHub:
        """Fetch and record what lies at an address of the hub."""
        from errclust_pipeline.ingestion.from_hub import HubRequest, ingest_from_hub

        if self.revision is not None:
            address = dataclasses.replace(address, revision=self.revision)
        return ingest_from_hub(
            warehouse,
            HubRequest(address, reader, options, self.timestamp, self.top),
            copy,
            on_model=progress.start_partition,
            on_model_done=progress.finish_partition,
        )


@dataclass
class _Result:
    """What one call of `ingest` has recorded and fetched.

    Attributes
    ----------
    ingested : list of Ingested
    problems : dict from name to reason
        What was left out.
    fetched : list of str
        What was fetched from each address of the hub, in words.
    """

    ingested: list[Ingested] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def add(self, from_hub: FromHub) -> None:
        """Add what an address of the hub gave."""
        self.ingested += from_hub.ingested
        self.problems |= from_hub.problems
        megabytes = from_hub.fetched.size / 1e6
        self.fetched.append(f"{from_hub.fetched.files:,} files fetched ({megabytes:,.1f} MB)")


@command(
    "ingest",
    Section.COMPUTE,
    "errclust ingest path/to/lm-eval-output",
    "errclust ingest predictions.csv --model my-org/my-model --column input_text=prompt",
    "errclust ingest hf:open-llm-leaderboard --model org/name",
    notes=(reader_help(),),
)
def ingest(
    given: FilesOptions,
    file_format: FormatOptions,
    scores: ScoreOptions,
    table: TableOptions,
    hub: HubOptions,
    data_root: DataRoot,
    as_json: AsJson = False,
) -> None:
    """Record result files, so that `errclust run` reads them.

    A result file holds a model's responses to a benchmark with their scores, or battles: verdicts
    on pairs of responses. Its format is recognised. Files are recorded where they lie,
    so ingest them again after they change.

    From the hub they are fetched first: hf:open-llm-leaderboard with --model or --top,
    hf:open-llm-leaderboard-old likewise, or any hf:owner/dataset.
    """
    from errclust_pipeline.ingestion.files import ingest as ingest_files
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.partitions import add_partitions

    options = {**file_format.reader_options(), **scores.reader_options()}
    options = table.reader_options() | {
        name: value for name, value in options.items() if value is not None
    }
    reader = file_format.reader or table.reader(options)
    addresses, files = given.hub_addresses(), given.files()
    hub.check_nothing_local(files)
    warehouse = data_root.warehouse()
    result = _Result()
    # Each model of a leaderboard is one step of the progress.
    expected = len(files) + len(addresses) * max(hub.top or 1, 1)
    with console.run_progress(expected) as progress:
        if files:
            result.ingested += ingest_files(warehouse, files, reader, options, given.copy)
        for address in addresses:
            from_hub = hub.fetch(warehouse, address, reader, options, given.copy, progress)
            result.add(from_hub)
            _print_ranking(from_hub)
        with open_instance(warehouse.storage) as instance:
            add_partitions(instance, [recorded.partition for recorded in result.ingested])
        warehouse.publish_catalog()
    _print_result(result, as_json)
    if result.problems:
        raise typer.Exit(PARTITION_FAILED)


def _print_ranking(from_hub: FromHub) -> None:
    """Print the best models of a leaderboard, where they were asked for."""
    for place, ranked in enumerate(from_hub.best, 1):
        when = f", submitted {ranked.submitted}" if ranked.submitted else ""
        console.print_message(f"{place}. {ranked.name}: average {ranked.average:.2f}{when}")


def _print_result(result: _Result, as_json: bool) -> None:
    """Print what was recorded, what was left out and why, and what to do next."""
    rows = [
        {
            "benchmark": recorded.partition.collection,
            "model": model_or_kind(recorded.partition),
            "reader": recorded.submission.reader,
            "change": recorded.change,
            "file": recorded.submission.files[0],
        }
        for recorded in result.ingested
    ]
    for name, reason in result.problems.items():
        console.print_error(f"{name} is left out: {reason}")
    notes = (note for recorded in result.ingested for note in recorded.submission.notes)
    for note in dict.fromkeys(notes):
        console.print_message(f"Note: {note}")
    if as_json:
        console.print_json(rows)
        return
    console.print_rows(rows)
    done = ", ".join([*result.fetched, f"{len(rows):,} submissions recorded"])
    console.print_message(f"{done}. Next: errclust run")


@command(
    "forget",
    Section.COMPUTE,
    "errclust forget my-benchmark my-org/my-model",
    "errclust forget my-battle-set --yes",
)
def forget(
    collection: Annotated[
        str, typer.Argument(help="The benchmark, or the battle set.", metavar="BENCHMARK")
    ],
    data_root: DataRoot,
    model: Annotated[
        str | None, typer.Argument(help="The model. A battle set has none.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a submission and all tables computed from it, e.g. one ingested by mistake.

    The result files themselves stay where they are. What the models of the benchmark share is out
    of date afterwards: `errclust run` computes it again.
    """
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.partitions import remove_partition

    warehouse = data_root.warehouse()
    partition: RecordedPartition = (
        battle_set_of(warehouse, collection)
        if model is None
        else ModelOnBenchmark(collection, model).partition(warehouse)
    )
    if not warehouse.has_submission(partition):
        if model is None:
            stop(
                f"{collection} is no battle set: name the model as well, as in `errclust forget "
                f"{collection} MODEL`"
            )
        stop(f"there is no submission {partition}: `errclust status` lists them")
    if not yes:
        typer.confirm(f"Remove {partition} and its tables?", abort=True)
    removed = warehouse.forget(partition)
    with open_instance(warehouse.storage) as instance:
        remove_partition(instance, partition, warehouse.submissions())
    console.print_message(
        f"{partition} is removed, with {removed:,} tables. Next: errclust run, for what its "
        "benchmark shares"
    )
