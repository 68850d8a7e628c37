"""`errclust …`: the command line. This module registers the commands and does nothing else."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Annotated, get_type_hints

import typer

from errclust_pipeline import __version__, cli
from errclust_pipeline.cli.common import DataRoot, explain_errors, show_warnings_as_messages
from errclust_pipeline.cli.console import print_message
from errclust_pipeline.cli.registry import Command, Group, commands_in, expand_options

_HELP = """\
Find the patterns in what language models get wrong.

Start with [bold]errclust demo[/], or with your own results:

[bold]errclust ingest results/ && errclust run && errclust status[/]

Every command has its own help, with an example: [bold]errclust ingest --help[/].

Exit codes: 0 done, 1 a partition failed, 2 wrong usage or unusable input, 130 stopped by Ctrl-C.
"""


def build_app(packages: Sequence[ModuleType] = (cli,)) -> typer.Typer:
    """Return the application with every command that the modules of some packages define.

    Parameters
    ----------
    packages : sequence of module
        Packages whose modules are imported and searched for commands.

    Raises
    ------
    TypeError
        If a command lacks a part that every command has, or two have the same name.
    """
    application = typer.Typer(
        name="errclust",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        help=_HELP,
    )
    application.callback(invoke_without_command=True)(expand_options(_errclust))
    groups: dict[Group, typer.Typer] = {}
    for command in commands_in(*packages):
        parent = application
        if command.group is not None:
            if command.group not in groups:
                groups[command.group] = _add_group(application, command.group)
            parent = groups[command.group]
        _add_command(parent, command)
    return application


def _errclust(
    data_root: DataRoot,  # noqa: ARG001  (commands take it from the context)
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"errclust {__version__}\n")
        raise typer.Exit


def _add_group(application: typer.Typer, group: Group) -> typer.Typer:
    added = typer.Typer(no_args_is_help=True, help=group.help)
    application.add_typer(added, name=group.name, rich_help_panel=group.section.value)
    return added


def _add_command(parent: typer.Typer, command: Command) -> None:
    """Register a command, and once more, hidden, under each of its former names."""
    if DataRoot not in get_type_hints(command.function).values():
        raise TypeError(
            f"command {command.full_name!r} takes no DataRoot: every command has --root"
        )
    function = explain_errors(expand_options(command.function))
    names = {command.name: function}
    for name in command.deprecated_names:
        names[name] = _with_deprecation_warning(function, name, command)
    for name, callback in names.items():
        parent.command(
            name,
            help=command.help,
            epilog=command.epilog,
            rich_help_panel=command.section.value,
            hidden=name != command.name,
        )(callback)


def _with_deprecation_warning(
    function: Callable[..., None], name: str, command: Command
) -> Callable[..., None]:
    @functools.wraps(function)
    def deprecated(**values: object) -> None:
        print_message(
            f"`errclust {name}` is now called `errclust {command.full_name}`: use the new name, "
            "because the old one will be removed in a later version",
            style="yellow",
        )
        function(**values)

    return deprecated


app = build_app()


def main() -> None:
    """Run the command line."""
    show_warnings_as_messages()
    app()


if __name__ == "__main__":
    main()
