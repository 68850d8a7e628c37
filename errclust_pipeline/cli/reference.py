"""The command reference as Markdown, written from the commands themselves."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

import typer


def commands_as_markdown(application: typer.Typer | None = None) -> str:
    """Return the page that documents every command: what it is for, arguments, options, examples.

    Parameters
    ----------
    application : Typer, optional
        `errclust` itself if not given.

    Returns
    -------
    str
        Markdown, with a heading for each command. Hidden commands and options are left out.
    """
    root: Any = typer.main.get_command(application or _errclust())
    name = root.name or "errclust"
    parts = [
        "# Commands",
        f"This page is written from the help of `{name}`; `{name} COMMAND --help` shows the same "
        "in a terminal. `--root` may stand in front of a command or after it.",
        *_options_of(root),
    ]
    section = None
    for path, command in _walk(root, name):
        if command.rich_help_panel != section:
            section = command.rich_help_panel
            parts.append(f"## {section}")
        parts += [f"### `{path}`", *_command_parts(path, command)]
    return "\n\n".join(parts) + "\n"


def _errclust() -> typer.Typer:
    # Imported here: the module that builds the application imports all others of this package.
    from errclust_pipeline.cli.app import app

    return app


def _walk(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the commands that are not hidden, with how they are called; groups are entered."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _walk(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command_parts(path: str, command: Any) -> list[str]:
    """Return a command's paragraphs: its help, how it is called, its options and examples."""
    arguments = [
        parameter for parameter in command.params if parameter.param_type_name == "argument"
    ]
    usage = " ".join([path, *map(_usage, arguments), "[OPTIONS]"])
    parts = [_escaped(_unmarked(command.help)), f"```text\n{usage}\n```"]
    if arguments:
        rows = [f"| `{_argument_name(argument)}` | {_help(argument)} |" for argument in arguments]
        parts.append("\n".join(["| argument | |", "|---|---|", *rows]))
    parts += _options_of(command)
    heading, *examples = _unmarked(command.epilog or "").splitlines()
    if examples:
        lines = "\n".join(example.strip() for example in examples)
        parts.append(f"{heading}\n\n```sh\n{lines}\n```")
    return parts


def _options_of(command: Any) -> list[str]:
    """Return the table of a command's options, if it has any."""
    rows = [
        f"| {_option_names(option)} | {_help(option)} |"
        for option in command.params
        if option.param_type_name == "option" and not option.hidden
    ]
    return ["\n".join(["| option | |", "|---|---|", *rows])] if rows else []


def _argument_name(argument: Any) -> str:
    return str(argument.metavar or argument.name).upper().removesuffix("...")


def _usage(argument: Any) -> str:
    name = _argument_name(argument) + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _option_names(option: Any) -> str:
    """Return the names of an option with what it takes, e.g. ``--limit INTEGER``."""
    names = ", ".join(
        f"`{name}`" for name in sorted(option.opts, key=lambda name: name.startswith("--"))
    )
    if option.is_flag:
        return names + "".join(f" / `{name}`" for name in option.secondary_opts)
    value = option.metavar or _type_name(option)
    return f"{names} `{value}`"


def _type_name(option: Any) -> str:
    """Return the name of what an option takes, in capitals."""
    kind = option.type_descriptor.annotation
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(str(member.value) for member in kind)
    return str(getattr(kind, "__name__", "value")).upper()


def _help(parameter: Any) -> str:
    """Return a parameter's help with its default, fit for a cell of a table."""
    text = _unmarked(parameter.help or "")
    default = parameter.default
    if (
        parameter.param_type_name == "option"
        and parameter.show_default is not False
        and default not in (None, False, "")
        and not callable(default)
    ):
        text += f"  [default: {getattr(default, 'value', default)}]"
    return _escaped(text).replace("|", "\\|")


def _unmarked(text: str) -> str:
    """Return help without what keeps Rich from reading text in brackets as markup."""
    return text.replace("\\[", "[")


def _escaped(text: str) -> str:
    """Escape what Markdown would read as markup; code between backticks stays as it is."""
    pieces = text.split("`")
    for position in range(0, len(pieces), 2):
        for character in "\\*_[]<>":
            pieces[position] = pieces[position].replace(character, f"\\{character}")
    return "`".join(pieces)
