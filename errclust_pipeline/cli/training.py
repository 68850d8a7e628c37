"""`errclust select` and `errclust label-errors`: what to train on, and which keys to check."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, ModelOnBenchmark, parse_columns, stop
from errclust_pipeline.cli.console import Column, Row, percent, plain
from errclust_pipeline.cli.registry import Options, Section, command

if TYPE_CHECKING:
    from errclust_pipeline.training.pool import TrainingPool
    from errclust_pipeline.training.select import SelectedExamples

_UNLIKE = 0.4
"""Mean cosine similarity of errors to their nearest example below which a pool is about other
things."""


@dataclass(frozen=True)
class PoolOptions(Options):
    """The examples to choose from."""

    pool: Annotated[
        str | None,
        typer.Option(
            help="Examples to choose from: a table (CSV, JSON, Parquet, Arrow), a folder of them, "
            "or hf:owner/dataset.  [default: none; what to write is specified instead]",
            show_default=False,
        ),
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="The pool's column that holds something, e.g. --column instruction=problem. "
            "Known: instruction, answer.",
            metavar="WHAT=COLUMN",
        ),
    ] = None
    split: Annotated[
        str | None, typer.Option(help="The pool's split, of a dataset that has several.")
    ] = None

    config: Annotated[
        str | None,
        typer.Option(help="The pool's configuration, of a dataset on the hub that has several."),
    ] = None

    def read(self) -> TrainingPool | None:
        """Read the examples; None if no pool is given."""
        from errclust_pipeline.training.pool import read_pool

        columns = parse_columns(self.column, "instruction=problem")
        if self.pool is not None:
            return read_pool(self.pool, columns, self.split, self.config)
        if columns or self.split or self.config:
            stop("--column, --split and --config describe a pool: name it with --pool")
        return None


@command(
    "select",
    Section.ACT,
    "errclust select my-benchmark my-org/my-model --pool train.jsonl --out selected/",
    "errclust select my-benchmark my-org/my-model",
)
def select(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    source: PoolOptions,
    budget: Annotated[
        int | None,
        typer.Option(
            help="Number of examples wanted.  [default: the setting selection.budget, 500]",
            min=1,
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="A folder to write them to, with a dataset card.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Number of picks shown; 0 shows all.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Choose the training examples that a model's errors ask for, each with its reason.

    An error counts more where the model errs often, where other models do better and where much
    lies near; the picks cover as much of that as they can. Half of the benchmark's questions guide
    the choice, the others are held out to measure what it brings. Examples that are questions of
    the benchmark, or nearly, are refused. Without --pool, it says what to write.
    """
    from errclust_pipeline.embedding.embedder import EmbeddingModel
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.training.select import select_examples

    pool = source.read()
    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    settings = load_settings(warehouse.storage)
    selected = select_examples(
        warehouse,
        partition,
        settings,
        EmbeddingModel(**settings.embedding.model_dump()),
        budget or settings.for_benchmark(partition.benchmark).selection.budget,
        pool,
        console.print_message,
    )
    if out is not None:
        selected.export(out, shlex.join(["errclust", *sys.argv[1:]]))
    if as_json:
        console.print_json(selected.to_json())
    else:
        _print_selection(selected, limit)
    if out is not None:
        console.print_message(f"{out} is written: the examples, and a dataset card about them")


def _print_selection(selected: SelectedExamples, limit: int) -> None:
    """Print what a selection covers, beside baselines; what to write; and the first picks."""
    title = console.heading(selected.partition.model, selected.partition.benchmark)
    console.print_line(title.append(f": {selected.summary()}"))
    console.print_line(selected.about_pool())
    _print_coverage(selected)
    if selected.specifications is not None:
        columns = [
            Column("", lambda row: str(row["examples"])),
            Column("of the demand", lambda row: percent(row["demand_share"], 1)),
            Column("instruction", lambda row: plain(row["instruction"]), numeric=False),
        ]
        rows = selected.specifications.to_dict("records")[: limit or None]
        console.output().print(console.table_of("what to write", columns, rows))
    text_of = selected.text_of
    columns = [
        Column("", lambda row: str(row["rank"])),
        Column(
            "like" if selected.pool is None else "example",
            lambda row: plain(text_of[row["candidate_id"]], 120),
            numeric=False,
        ),
        Column("reason", lambda row: plain(row["reason"]), numeric=False),
    ]
    picks = selected.picks.head(limit or len(selected.picks)).to_dict("records")
    console.output().print(console.table_of("picks", columns, picks))
    console.print_number_left_out(len(selected.picks), len(picks))
    if selected.suspects:
        console.print_line(
            f"{len(selected.suspects):,} of its errors are on questions whose right answer is "
            "suspected to be wrong; they count a tenth. To review them: errclust label-errors "
            f"{selected.partition.benchmark}"
        )


def _print_coverage(selected: SelectedExamples) -> None:
    """Print the share of the demand that the picks cover, beside baselines, and a budget."""
    table = console.empty_table(
        f"demand covered by {len(selected.picks):,} picks", [("chosen", False), ("covered", True)]
    )
    for name, share in selected.coverages():
        table.add_row(plain(name), percent(share, 1))
    console.output().print(table)
    chosen = selected.chosen
    if selected.pool is not None and chosen.nearness is not None:
        text = (
            "100 % is what the whole pool covers: the example nearest to an error has a cosine "
            f"similarity of {chosen.nearness:.2f} on average"
        )
        if chosen.nearness < _UNLIKE:
            text += ", so the pool holds little that is like these errors"
        console.print_line(f"{text}.")
    if chosen.suggested:
        curve = ", ".join(f"{count:,}: {share:.0%}" for count, share in chosen.curve)
        picks = "1 pick covers" if chosen.suggested == 1 else f"{chosen.suggested:,} picks cover"
        console.print_line(
            f"Suggested budget: {picks} 90 % of what all can. Picks and coverage: {curve}."
        )


@command(
    "label-errors",
    Section.ACT,
    "errclust label-errors my-benchmark --limit 0",
    deprecated_names=("faults",),
)
def label_errors(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    data_root: DataRoot,
    limit: Annotated[int, typer.Option(help="Number of questions shown; 0 shows all.")] = 10,
    as_json: AsJson = False,
) -> None:
    """List the questions whose right answer is probably wrong in the benchmark, for review.

    Models agree on another answer there, as they would if the key was wrong. It is a list to look
    through, most suspect first, and no verdict: the probability shown is an upper bound. Four
    models on the benchmark are needed.
    """
    from errclust_pipeline.views.demand import read_label_errors

    warehouse = data_root.warehouse()
    key = warehouse.known_key("benchmark", benchmark)
    rows = read_label_errors(warehouse, key)
    if as_json:
        console.print_json(rows)
    else:
        _print_label_errors(key, rows, limit)


def _print_label_errors(benchmark: str, rows: Sequence[Row], limit: int) -> None:
    """Print the questions whose key is suspected, each with its reason."""
    if not rows:
        console.print_line(f"{benchmark}: no key is suspected")
        return
    columns = [
        Column("wrong, at most", lambda row: percent(row["probability"])),
        Column("question", lambda row: plain(row["question"], 160), numeric=False),
        Column("key", lambda row: plain(row["gold"], 60), numeric=False),
        Column("models say", lambda row: plain(row["other_answer"], 60), numeric=False),
        Column("reason", lambda row: plain(row["reason"]), numeric=False),
    ]
    title = f"{benchmark}: {len(rows):,} questions whose key is suspected, most suspect first"
    shown = rows[: limit or None]
    console.output().print(console.table_of(title, columns, shown))
    console.print_number_left_out(len(rows), len(shown))
