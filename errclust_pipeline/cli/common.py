"""What commands share: the data root, options that several have, exit codes and error messages.

An option that one command alone has stays with that command.
"""

from __future__ import annotations

import functools
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.registry import Options

if TYPE_CHECKING:
    from errclust_pipeline.warehouse.keys import (
        BattleSetPartition,
        Partition,
        RecordedPartition,
        SubmissionPartition,
    )
    from errclust_pipeline.warehouse.warehouse import Warehouse

PARTITION_FAILED = 1
"""Exit code if a partition failed, or `status --check` found one that is not fresh."""
BAD_INPUT = 2
"""Exit code of wrong usage and of input that cannot be used."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells report it."""

EXPLAINED_ERRORS = (
    ("errclust_pipeline.embedding.names", "EmbedderError"),
    ("errclust_pipeline.language_model.client", "LanguageModelError"),
    ("errclust_pipeline.report.contents", "ReportError"),
    ("errclust_pipeline.settings", "SettingsError"),
    ("errclust_pipeline.sources.errors", "SourceError"),
    ("errclust_pipeline.warehouse.errors", "WarehouseError"),
    ("errclust_pipeline.warehouse.keys", "KeyCodecError"),
)
"""Errors, by module and name, whose message says what to do: they are shown without a traceback."""

DEFAULT_ROOT = "data"


def default_root() -> str:
    """Return the data root that is used if no `--root` is given."""
    return os.environ.get("ERRCLUST_ROOT") or DEFAULT_ROOT


def _resolve_root(context: typer.Context, value: str) -> str:
    """Return the root given after the command, else the one in front of it, else the default."""
    in_front: str | None = context.find_root().params.get("url")
    return value or in_front or default_root()


RootOption = Annotated[
    str,
    typer.Option(
        "--root",
        help="The data root: a folder or an fsspec URL.  [default: $ERRCLUST_ROOT, else data]",
        show_default=False,
        callback=_resolve_root,
    ),
]


@dataclass(frozen=True)
class DataRoot(Options):
    """Where a command reads and writes. Every command takes it.

    It is given in front of a command or after it: ``errclust --root R status`` and ``errclust
    status --root R`` are the same.

    Attributes
    ----------
    url : str
        A folder or an fsspec URL.
    """

    url: RootOption = ""

    def warehouse(self) -> Warehouse:
        """Open the warehouse there."""
        from errclust_pipeline.warehouse.warehouse import Warehouse

        return Warehouse(self.url)

    @property
    def as_option(self) -> str:
        """What to add to a command line that is to read the same root, with a space before it."""
        return "" if self.url == default_root() else f" --root {shlex.quote(self.url)}"


@dataclass(frozen=True)
class ModelOnBenchmark(Options):
    """A model's results on a benchmark, as two arguments: keys or true names.

    Attributes
    ----------
    benchmark, model : str
    """

    benchmark: Annotated[str, typer.Argument(help="The benchmark.")]
    model: Annotated[str, typer.Argument(help="The model.")]

    def partition(self, warehouse: Warehouse) -> SubmissionPartition:
        """Return the partition of the results.

        Raises
        ------
        WarehouseError
            If no such benchmark or model was ingested.
        """
        from errclust_pipeline.warehouse.keys import SubmissionPartition

        return SubmissionPartition(
            warehouse.known_key("benchmark", self.benchmark),
            warehouse.known_key("model", self.model),
        )


@dataclass(frozen=True)
class PartitionFilter(Options):
    """Which submissions a command is held to: all, one benchmark's, one model's.

    Attributes
    ----------
    benchmark, model : str or None
        Keys or true names.
    """

    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help="Only this benchmark.")
    ] = None
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only this model.")] = None

    def keys(self, warehouse: Warehouse) -> tuple[str | None, str | None]:
        """Return the keys of the benchmark and the model; None where there is no filter.

        Raises
        ------
        WarehouseError
            If no such benchmark or model was ingested.
        """
        given = (("benchmark", self.benchmark), ("model", self.model))
        benchmark, model = (
            None if name is None else warehouse.known_key(dimension, name)
            for dimension, name in given
        )
        return benchmark, model

    def partitions(self, warehouse: Warehouse) -> list[RecordedPartition]:
        """Return the submissions that are meant, without those that were withdrawn."""
        from errclust_pipeline.orchestration.runs import select_partitions

        return select_partitions(warehouse, *self.keys(warehouse))


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def battle_set_of(warehouse: Warehouse, name: str) -> BattleSetPartition:
    """Return the battle set of a key or true name.

    Raises
    ------
    WarehouseError
        If it was not ingested.
    """
    from errclust_pipeline.warehouse.keys import BattleSetPartition

    return BattleSetPartition(warehouse.known_key("benchmark", name))


def model_or_kind(partition: Partition) -> str:
    """Return a partition's model, or what stands in its place where a partition has none."""
    from errclust_pipeline.warehouse.keys import BattleSetPartition, SubmissionPartition

    if isinstance(partition, SubmissionPartition):
        return partition.model
    return "(battles)" if isinstance(partition, BattleSetPartition) else "(all)"


def parse_columns(pairs: Sequence[str] | None, example: str) -> dict[str, str]:
    """Return which column holds what, from options of the form WHAT=COLUMN.

    Parameters
    ----------
    pairs : sequence of str or None
    example : str
        A pair that is right, for the message about one that is not.
    """
    columns: dict[str, str] = {}
    for pair in pairs or []:
        what, equals, name = pair.partition("=")
        if not equals or not what or not name:
            stop(f"--column {pair!r}: expected WHAT=COLUMN, e.g. {example}")
        columns[what] = name
    return columns


def deprecated_option(old: str, new: str) -> Callable[[typer.Context, Any], Any]:
    """Return a callback for a hidden option: it warns that the option has a new name."""

    def warn(context: typer.Context, value: Any) -> Any:  # noqa: ARG001  (Typer passes it)
        if value is not None:
            console.print_message(
                f"option {old} is now called {new}: use the new name, because the old one will be "
                "removed in a later version",
                style="yellow",
            )
        return value

    return warn


def stop(message: str) -> NoReturn:
    """Print an error's message and leave with `BAD_INPUT`."""
    console.print_error(f"error: {message}")
    raise typer.Exit(BAD_INPUT)


def show_warnings_as_messages() -> None:
    """Print warnings that are meant for users without the place in the code that gave them.

    Those are warnings of names that will be removed (`FutureWarning`); all others are for
    developers and are shown as Python does.
    """
    as_python_does = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if issubclass(category, FutureWarning):
            console.print_message(f"warning: {message}", style="yellow")
        else:
            as_python_does(message, category, *place, **more)

    warnings.showwarning = show


def explain_errors(function: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors that a user can do something about into a message and an exit code.

    Any other error is a fault of errclust and keeps its traceback.
    """

    @functools.wraps(function)
    def explained(**values: object) -> None:
        try:
            function(**values)
        except (OSError, ImportError) as error:
            # E.g. the package that reads a kind of bucket is not installed.
            stop(str(error))
        except Exception as error:
            if isinstance(error, _explained_errors()):
                stop(str(error))
            raise

    return explained


def _explained_errors() -> tuple[type[Exception], ...]:
    """Return the errors of `EXPLAINED_ERRORS` that can have been raised in this process.

    An error whose module was never imported cannot be the one that was raised, so nothing is
    imported to look at it.
    """
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in EXPLAINED_ERRORS
        if module in sys.modules
    )
