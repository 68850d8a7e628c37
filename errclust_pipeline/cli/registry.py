"""The registry of commands: what marks a function as a command, and how commands are found.

A command is a function in a module of this package, marked by `@command`. Nothing else has to be
told about it: `app.py` walks the package and registers what it finds. Commands print through
`console.py` and take shared options from `common.py`; this module knows neither.
"""

from __future__ import annotations

import copy
import dataclasses
import enum
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from rich.markup import escape


class Section(enum.StrEnum):
    """The headings under which `errclust --help` lists commands, in this order."""

    COMPUTE = "Take in results and compute"
    LOOK = "See where models fail"
    SHARE = "Share and query"
    ACT = "Act on it"
    OPERATE = "Try and operate"


@dataclass(frozen=True)
class Group:
    """A command that only holds others, such as `errclust plot`.

    Parameters
    ----------
    name : str
        The word before the names of its commands.
    help : str
        What its commands do, in a sentence.
    section : Section
        Where `errclust --help` lists it.
    """

    name: str
    help: str
    section: Section


class Options:
    """Base class of dataclasses whose fields are options or arguments of a command.

    A command that takes a parameter of such a class has all its fields on the command line, where
    the parameter stands. Fields are declared as Typer has them, with a default if they are
    optional::

        @dataclass(frozen=True)
        class PoolOptions(Options):
            pool: Annotated[str | None, typer.Option(help="A table of examples.")] = None
            split: Annotated[str | None, typer.Option(help="Its split.")] = None

    `__post_init__` may check fields against each other.
    """


@dataclass(frozen=True)
class Command:
    """One command of the command line; made by `command`.

    Attributes
    ----------
    name : str
        As it is typed, e.g. ``label-errors``.
    function : callable
        Does the work; its docstring is the command's help.
    section : Section
        Where `errclust --help` lists it.
    examples : tuple of str
        Command lines shown at the end of its help.
    group : Group or None
        The command that it is part of.
    deprecated_names : tuple of str
        Former names, which still work but print a warning.
    notes : tuple of str
        Paragraphs of its help after the docstring, e.g. a list that another registry holds.
    """

    name: str
    function: Callable[..., None]
    section: Section
    examples: tuple[str, ...]
    group: Group | None = None
    deprecated_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """The name with that of its group, e.g. ``plot map``."""
        return self.name_in_group(self.name)

    def name_in_group(self, name: str) -> str:
        """Return a name with that of the command's group before it, if it has one."""
        return name if self.group is None else f"{self.group.name} {name}"

    @property
    def help(self) -> str:
        """The docstring and the notes as Typer shows them: one line a paragraph, no markup."""
        paragraphs = inspect.cleandoc(self.function.__doc__ or "").split("\n\n")
        paragraphs += self.notes
        return escape("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs))

    @property
    def epilog(self) -> str:
        """The examples, as the last lines of the help."""
        heading = "Example:" if len(self.examples) == 1 else "Examples:"
        return escape("\n".join([heading, *(f"  {example}" for example in self.examples)]))


def command(
    name: str,
    section: Section,
    *examples: str,
    group: Group | None = None,
    deprecated_names: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Command]:
    """Mark a function as a command.

    Parameters
    ----------
    name : str
        As it is typed.
    section : Section
        Where `errclust --help` lists it.
    *examples : str
        Command lines for the end of its help; one at least.
    group : Group, optional
        The command that it is part of.
    deprecated_names : tuple of str
        Former names, which still work but print a warning.
    notes : tuple of str
        Paragraphs of its help after the docstring, e.g. a list that another registry holds.

    Raises
    ------
    TypeError
        If the function has no docstring or there is no example.
    """

    def register(function: Callable[..., None]) -> Command:
        if not function.__doc__:
            raise TypeError(f"command {name!r} needs a docstring: it is the command's help")
        if not examples:
            raise TypeError(f"command {name!r} needs an example for its help")
        return Command(name, function, section, examples, group, deprecated_names, notes)

    return register


def commands_in(*packages: ModuleType) -> list[Command]:
    """Return the commands that the modules of some packages define, by section and name.

    Raises
    ------
    TypeError
        If two commands have the same name.
    """
    commands: dict[str, Command] = {}
    for command in _defined_in(packages):
        for name in (command.full_name, *map(command.name_in_group, command.deprecated_names)):
            other = commands.setdefault(name, command)
            if other is not command:
                raise TypeError(
                    f"two commands are named {name!r}: one in {other.function.__module__}, one in "
                    f"{command.function.__module__}"
                )
    order = list(Section)
    return sorted(
        dict.fromkeys(commands.values()),
        key=lambda command: (order.index(command.section), command.full_name),
    )


def _defined_in(packages: Iterable[ModuleType]) -> Iterator[Command]:
    """Import the modules of packages and yield the commands that they define."""
    for package in packages:
        for module_info in pkgutil.iter_modules(package.__path__):
            if module_info.name.startswith("_"):
                continue
            module = importlib.import_module(f"{package.__name__}.{module_info.name}")
            for value in vars(module).values():
                # A command that a module only imports belongs to the module that defines it.
                if isinstance(value, Command) and value.function.__module__ == module.__name__:
                    yield value


def expand_options(function: Callable[..., None]) -> Callable[..., None]:
    """Replace a function's parameters that are `Options` by their fields.

    Parameters
    ----------
    function : callable
        Some of its parameters may be annotated with a subclass of `Options`.

    Returns
    -------
    callable
        Takes keywords only. Its signature has a parameter for each field, in the field's place,
        with its type, default and help; Typer builds the command line from that.

    Raises
    ------
    TypeError
        If two fields, or a field and a parameter, have the same name.
    """
    parameters: dict[str, inspect.Parameter] = {}
    classes: dict[str, type[Options]] = {}
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        options = hints.get(name)
        if isinstance(options, type) and issubclass(options, Options):
            classes[name] = options
            expanded = list(_fields(options))
        else:
            expanded = [parameter.replace(annotation=hints.get(name, parameter.annotation))]
        for field in expanded:
            if field.name in parameters:
                raise TypeError(
                    f"{function.__qualname__} has two options named {field.name!r}: rename one"
                )
            parameters[field.name] = field.replace(
                kind=inspect.Parameter.KEYWORD_ONLY,
                annotation=_with_plain_help(field.annotation),
            )

    @functools.wraps(function)
    def expanded_function(**values: Any) -> None:
        for name, options in classes.items():
            fields = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
            values[name] = options(**{field: values.pop(field) for field in fields})
        function(**values)

    expanded_function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        list(parameters.values())
    )
    expanded_function.__annotations__ = {
        name: parameter.annotation for name, parameter in parameters.items()
    }
    return expanded_function


def _fields(options: type[Options]) -> Iterator[inspect.Parameter]:
    """Yield the fields of a dataclass of options as parameters."""
    hints = get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        missing = field.default is dataclasses.MISSING
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if missing else field.default,
            annotation=hints[field.name],
        )


def _with_plain_help(annotation: Any) -> Any:
    """Escape the help of an option, so that text in brackets is shown and not read as markup."""
    if get_origin(annotation) is not Annotated:
        return annotation
    base, *extras = get_args(annotation)
    plain = []
    for extra in extras:
        if isinstance(extra, typer.models.ParameterInfo):
            extra = copy.copy(extra)
            extra.help = None if extra.help is None else escape(extra.help)
        plain.append(extra)
    return Annotated[base, *plain]
