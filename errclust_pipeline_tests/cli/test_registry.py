"""Commands and their options: how functions become a command line."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from errclust_pipeline.cli.registry import Options, Section, command, expand_options


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Paint(Options):
    colour: Annotated[Colour, typer.Option(help="Which [one].")]
    layers: Annotated[int, typer.Option("--layers", "-l", help="How many.", min=1)] = 2

    def __post_init__(self):
        if self.colour is Colour.RED and self.layers > 3:
            raise typer.BadParameter("red needs at most 3 layers")


@dataclass(frozen=True)
class Wall(Options):
    names: Annotated[list[str], typer.Argument(help="The walls.")]
    height: float = 2.5


def call(function, *words):
    application = typer.Typer(rich_markup_mode="rich")
    application.command()(expand_options(function))
    return CliRunner().invoke(application, list(words), env={"COLUMNS": "200"})


def painter(results):
    def paint(
        wall: Wall,
        paint: Paint,
        log: Annotated[Path | None, typer.Option(help="Where to.")] = None,
        dry: Annotated[bool, typer.Option("--dry", help="Only say so.")] = False,
    ) -> None:
        """Paint walls."""
        results.append((wall, paint, log, dry))

    return paint


def test_options_of_a_class_have_their_names_types_and_defaults():
    results = []
    done = call(painter(results), "north", "south", "--colour", "blue", "-l", "3", "--log", "x.txt")
    assert done.exit_code == 0, done.output
    assert results == [(Wall(["north", "south"], 2.5), Paint(Colour.BLUE, 3), Path("x.txt"), False)]
    call(painter(results), "east", "--colour", "red", "--height", "3", "--dry")
    assert results[1] == (Wall(["east"], 3.0), Paint(Colour.RED, 2), None, True)


def test_options_of_a_class_have_their_help_with_brackets_as_they_are():
    shown = call(painter([]), "--help").stdout
    assert "Which [one]." in shown
    assert "The walls." in shown
    assert "default: 2" in shown
    assert "-l" in shown
    assert Paint.__annotations__["colour"].__metadata__[0].help == "Which [one]."


@pytest.mark.parametrize(
    "words",
    [
        ["north"],
        ["--colour", "blue"],
        ["north", "--colour", "green"],
        ["north", "--colour", "blue", "--layers", "0"],
        ["north", "--colour", "red", "--layers", "4"],
    ],
    ids=["option missing", "argument missing", "not a choice", "out of range", "fields disagree"],
)
def test_what_does_not_fit_is_refused(words):
    results = []
    assert call(painter(results), *words).exit_code == 2
    assert results == []


def test_two_options_of_one_name_are_refused():
    def paint(wall: Wall, height: int = 1) -> None:
        """Paint."""

    with pytest.raises(TypeError, match="two options named 'height'"):
        expand_options(paint)


def test_a_command_needs_a_docstring_and_an_example():
    def undocumented() -> None: ...

    def documented() -> None:
        """Do something."""

    with pytest.raises(TypeError, match="'x' needs a docstring"):
        command("x", Section.LOOK, "errclust x")(undocumented)
    with pytest.raises(TypeError, match="'x' needs an example"):
        command("x", Section.LOOK)(documented)
