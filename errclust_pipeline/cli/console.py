"""What all commands print with: consoles, text, tables, JSON and progress bars.

What one command alone prints stands with that command. Result files are hostile input: their texts
are shown as plain text, without control characters and without markup.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.progress import ProgressReport, listen

if TYPE_CHECKING:
    from rich.progress import Progress

Row = Mapping[Any, Any]
"""A row of a table, by column."""

_PIPE_WIDTH = 160
"""Width of a line where the stream is no terminal."""


# Streams -----------------------------------------------------------------------------------------


def console_for(stream: Any) -> Console:
    """Return a console; where the stream is no terminal, lines are wide and without colour."""
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def output() -> Console:
    """Return the console for results."""
    return console_for(sys.stdout)


def messages() -> Console:
    """Return the console for progress and messages, which a script may throw away."""
    return console_for(sys.stderr)


def print_message(text: str, style: str | None = None) -> None:
    """Print a message for the user, who may be a script that throws it away."""
    messages().print(plain(text), style=style, soft_wrap=True)


def print_error(text: str) -> None:
    """Print an error's message, with its lines and their indents as they are."""
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        messages().print(Text(indent) + plain(line), style="red", soft_wrap=True)


def print_line(text: str | Text, style: str | None = None) -> None:
    """Print a line of the result, however long it is."""
    line = text if isinstance(text, Text) else plain(text)
    output().print(line, style=style, soft_wrap=True)


def print_note(text: str) -> None:
    """Print a remark on the result: what its columns mean, or that there is none."""
    output().print(plain(text), style="dim")


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON cannot hold is printed as text."""
    text = json.dumps(_jsonable(value), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    sys.stdout.write(text + "\n")


def _jsonable(value: Any) -> Any:
    """Return a value with null for numbers that JSON does not have: NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value


# Text --------------------------------------------------------------------------------------------


def plain(value: Any, max_length: int | None = None) -> Text:
    """Return third-party text in a form that a terminal shows and never obeys.

    Parameters
    ----------
    value : object
        Text, whose control characters become spaces; a number, which is rounded; or None.
    max_length : int, optional
        Longer text is cut.
    """
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, float):
        # A p value of 1e-7 must not be shown as 0.
        return Text(f"{value:.1e}" if 0 < abs(value) < 0.001 else f"{value:,.3f}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(shortened_line(str(value), max_length))


def example_line(exemplar: Row) -> Text:
    """Return an exemplar on one line: the question, the right answer and the model's."""
    return Text.assemble(
        (str(plain(exemplar["question"], 160)), "dim"),
        ("  right: ", "green"),
        str(plain(exemplar["gold"], 40)),
        ("  said: ", "red"),
        str(plain(exemplar["prediction"], 40)),
    )


def heading(model: str, benchmark: str, rest: str = "") -> Text:
    """Return a heading about a model on a benchmark."""
    return Text.assemble((str(plain(model)), "bold"), " on ", (str(plain(benchmark)), "bold"), rest)


def labelled_region(row: Row) -> Text:
    """Return the id of a row's region and its label."""
    return plain(f"{row['region_id']} {row['label'] or ''}")


def artefact_note(left_out: bool) -> str:
    """Return the end of a sentence that says whether artefacts count as errors."""
    if left_out:
        return ", without the responses that have no readable answer (truncated, empty, …)"
    return ", where a response without a readable answer (truncated, empty, …) is an error"


# Numbers -----------------------------------------------------------------------------------------


def _is_missing(value: float | None) -> bool:
    return value is None or value != value


def percent(share: float | None, decimals: int = 0) -> str:
    """Return a share in per cent, or a dash."""
    return "-" if share is None or _is_missing(share) else f"{share:.{decimals}%}"


def points(share: float | None) -> str:
    """Return a difference of shares in percentage points with its sign, or a dash."""
    return "-" if share is None or _is_missing(share) else f"{100 * share:+.0f}"


def p_value(p: float | None) -> str:
    """Return a p or q value, or a dash."""
    if p is None or _is_missing(p):
        return "-"
    return f"{p:.0e}" if p < 0.001 else f"{p:.3f}"


def moran_with_z(moran: float | None, z: float | None) -> str:
    """Return Moran's I with its standard score, or a dash."""
    if moran is None or z is None or _is_missing(moran) or _is_missing(z):
        return "-"
    return f"{moran:.3f} (z {z:.0f})"


# Tables ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """One column of a printed table.

    Attributes
    ----------
    heading : str
    cell : callable
        Takes a row and returns what stands in the column.
    numeric : bool
        Numbers stand to the right and are not broken over lines.
    """

    heading: str
    cell: Callable[[Row], str | Text]
    numeric: bool = True


def table_of(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    """Return a table with one line a row."""
    table = empty_table(title, [(column.heading, column.numeric) for column in columns])
    for row in rows:
        table.add_row(*(column.cell(row) for column in columns))
    return table


def empty_table(title: str, columns: Sequence[tuple[str, bool]]) -> Table:
    """Return a table without rows, from each column's heading and whether it holds numbers."""
    table = Table(title=plain(title), title_justify="left", title_style="bold")
    for name, numeric in columns:
        table.add_column(
            name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric
        )
    return table


def print_rows(
    rows: Sequence[Row], title: str | None = None, max_length: int | None = None
) -> None:
    """Print rows as they are, a column for each key of the first."""
    if not rows:
        print_note("no rows")
        return
    table = Table(
        title=None if title is None else plain(title), title_justify="left", header_style="bold"
    )
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(plain(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(value, max_length) for value in row.values()))
    output().print(table)


def print_number_left_out(total: int, shown: int) -> None:
    """Say how many rows were not shown because of ``--limit``, if any."""
    if total > shown:
        print_note(f"{total - shown:,} more are not shown: --limit 0 shows all")


# Progress ----------------------------------------------------------------------------------------


class RunProgress:
    """Two progress bars: one for the partitions, one for long work on the current partition."""

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
    """Show progress on the terminal while the block runs.

    Parameters
    ----------
    total : int
        How many partitions there are.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

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
        bars = RunProgress(progress, total)
        with listen(bars.report):
            yield bars
