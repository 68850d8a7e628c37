"""What the command line prints: tables, clusters and progress.

Result files are hostile input: their texts are shown as plain text, without control characters
and without markup.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from errclust_pipeline.progress import ProgressReport, listen

_PIPE_WIDTH = 160


def console_for(stream: Any) -> Console:
    """Return a console; where the stream is no terminal, lines are wide and without colour."""
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def output() -> Console:
    """The console for results."""
    return console_for(sys.stdout)


def messages() -> Console:
    """The console for progress and messages, which a script may throw away."""
    return console_for(sys.stderr)


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON cannot hold is printed as text."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def plain(value: Any, longest: int | None = None) -> Text:
    """Return third-party text that a terminal shows as it is and obeys in nothing."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, float):
        return Text(f"{value:,.3f}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    text = " ".join(
        "".join(
            letter if unicodedata.category(letter)[0] != "C" else " " for letter in str(value)
        ).split()
    )
    if longest is not None and len(text) > longest:
        text = text[: longest - 1] + "…"
    return Text(text)


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    title: str | None = None,
    longest: int | None = None,
) -> None:
    """Print rows as a table; numbers stand to the right."""
    if not rows:
        output().print(Text("no rows", style="dim"))
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(plain(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(value, longest) for value in row.values()))
    output().print(table)


def print_clusters(
    benchmark: str,
    model: str,
    labels: Sequence[Mapping[str, Any]],
    errors: int,
    noise: int,
    examples: int,
) -> None:
    """Print a model's clusters as a tree, largest first, with examples of each.

    Parameters
    ----------
    labels : sequence of mapping
        Rows of `cluster_labels` of one model on one benchmark.
    errors, noise : int
        How many errors there are, and how many of them belong to no cluster.
    examples : int
        How many exemplars of a cluster to show.
    """
    heading = Text.assemble(
        (str(plain(model)), "bold"), " on ", (str(plain(benchmark)), "bold"), f": {errors:,} errors"
    )
    if noise:
        heading.append(f", {noise:,} of them in no cluster ({noise / errors:.0%})")
    root = Tree(heading)
    nodes: dict[str | None, Tree] = {None: root}
    for row in sorted(labels, key=lambda row: (row["level"], -row["size"], row["cluster_id"])):
        line = Text.assemble(
            (f"{row['cluster_id']:<6}", "cyan"),
            (str(plain(row["label"])), "bold"),
            f"  {row['size']:,} errors, {row['share_of_errors']:.1%} of all; "
            f"{row['main_failure_form_share']:.0%} {row['main_failure_form']}",
        )
        if row["main_subject"]:
            line.append(f"; mostly {plain(row['main_subject'])}")
        node = nodes.get(row["parent_id"], root).add(line)
        nodes[row["cluster_id"]] = node
        for exemplar in (row["exemplars"] or [])[:examples]:
            node.add(example_line(exemplar))
    output().print(root)
    if not labels:
        output().print(Text("no clusters: too few errors, or none alike", style="dim"))


def example_line(exemplar: Mapping[str, Any]) -> Text:
    """Return one exemplar on a line: the question, the right answer and the model's."""
    return Text.assemble(
        (str(plain(exemplar["question"], 160)), "dim"),
        ("  right: ", "green"),
        str(plain(exemplar["gold"], 40)),
        ("  said: ", "red"),
        str(plain(exemplar["prediction"], 40)),
    )


class RunProgress:
    """Two bars: the partitions, and whatever long work the current one is doing."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._partitions = progress.add_task("partitions", total=total)
        self._work = progress.add_task("", total=None, visible=False)

    def start_partition(self, name: str) -> None:
        """Show which partition is being worked on."""
        self._progress.update(self._partitions, description=str(plain(name, 50)))

    def finish_partition(self) -> None:
        """Count a partition as done."""
        self._progress.update(self._work, visible=False)
        self._progress.advance(self._partitions)

    def report(self, report: ProgressReport) -> None:
        """Show how far the current work is."""
        self._progress.update(
            self._work,
            description=f"{report.work} ({report.rate:,.0f} {report.unit}/s)",
            completed=report.done,
            total=report.total,
            visible=True,
        )


@contextmanager
def run_progress(total: int) -> Iterator[RunProgress]:
    """Show progress on the terminal while the block runs."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=messages(),
        transient=True,
    )
    with progress:
        shown = RunProgress(progress, total)
        with listen(shown.report):
            yield shown
