"""What holds for every command: the tests walk over all that are registered."""

import importlib
import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline.cli.common import BAD_INPUT, EXPLAINED_ERRORS
from errclust_pipeline.cli.registry import Section
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.warehouse import Warehouse

runner = CliRunner()


def leaves(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(leaves(typer.main.get_command(app)))
SHOWN = {path: command for path, command in COMMANDS.items() if not command.hidden}
FORMER_NAMES = {("faults",): ("label-errors",)}


def arguments_of(command, folder):
    """Something for each required argument and option."""
    words = []
    for parameter in command.params:
        if parameter.required and parameter.param_type_name == "argument":
            words.append(str(folder) if parameter.name == "paths" else parameter.name)
        elif parameter.required:
            words += [parameter.opts[0], str(folder / "out.png")]
    return words


@pytest.fixture
def opened(monkeypatch):
    """The roots at which a warehouse is opened; nothing is read or written there."""
    roots = []

    def refuse(_, root):
        roots.append(root)
        raise WarehouseError(f"nothing is opened in this test, not even {root}")

    monkeypatch.setattr(Warehouse, "__init__", refuse)
    return roots


def test_all_commands_are_known_and_former_names_are_hidden():
    names = {" ".join(path) for path in SHOWN}
    assert names >= {
        "ingest", "run", "status", "backfill", "forget", "show clusters", "labels", "diagnoses",
        "map", "hotspots", "compare", "uncertainty", "battles", "select", "label-errors",
        "report", "explore", "sql", "plot map", "plot signature", "plot compare", "plot ratings",
        "demo", "dev", "language-model",
    }  # fmt: skip
    assert set(COMMANDS) - set(SHOWN) == set(FORMER_NAMES)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("where", ["in front", "after", "both", "environment", "nowhere"])
def test_the_data_root_reaches_the_command(path, where, opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given, other = str(tmp_path / "given"), str(tmp_path / "other")
    words = [*path, *arguments_of(COMMANDS[path], tmp_path)]
    environment = {}
    if where == "in front":
        words, environment = ["--root", given, *words], {"ERRCLUST_ROOT": other}
    elif where == "after":
        words, environment = [*words, "--root", given], {"ERRCLUST_ROOT": other}
    elif where == "both":
        words = ["--root", other, *words, "--root", given]
    elif where == "environment":
        environment = {"ERRCLUST_ROOT": given}
    else:
        given = "data"
    done = runner.invoke(app, words, env=environment)
    assert opened == [given], done.output
    # Every command also explains the error instead of showing a traceback.
    assert done.exit_code == BAD_INPUT
    assert f"error: nothing is opened in this test, not even {given}" in done.stderr


@pytest.mark.parametrize("path", SHOWN, ids=" ".join)
def test_help_teaches_what_the_command_is_for_with_an_example(path):
    command = SHOWN[path]
    first, *rest = command.help.split("\n\n")
    assert len(first) <= 100
    assert first[0].isupper()
    assert first[-1] in ".?"
    assert rest, "a second paragraph says more than the line in the list of commands"
    heading, *examples = command.epilog.splitlines()
    assert heading in ("Example:", "Examples:")
    assert all(example.startswith(f"  errclust {' '.join(path)}") for example in examples)
    assert command.rich_help_panel in list(Section)
    for parameter in command.params:
        assert parameter.hidden or parameter.help, parameter.name
    shown = runner.invoke(app, [*path, "--help"], env={"COLUMNS": "300"}).stdout
    assert examples[0].strip() in shown


@pytest.mark.parametrize("path", SHOWN, ids=" ".join)
def test_text_in_brackets_is_shown_in_help(path):
    shown = runner.invoke(app, [*path, "--help"], env={"COLUMNS": "300"}).stdout
    assert "[default: $ERRCLUST_ROOT, else data]" in shown


@pytest.mark.parametrize(("former", "name"), FORMER_NAMES.items())
def test_a_former_name_works_and_says_that_it_will_go(former, name, opened, tmp_path):
    done = runner.invoke(app, [*former, *arguments_of(COMMANDS[former], tmp_path)])
    assert opened
    assert f"`errclust {' '.join(former)}` is now called `errclust {' '.join(name)}`" in done.stderr
    assert done.stdout == ""
    assert " ".join(former) not in runner.invoke(app, ["--help"]).stdout.split()


# Any command's help imports the modules of all of them.
@pytest.mark.parametrize("words", [[], ["ingest"]], ids=["all", "one"])
def test_help_loads_no_library_of_data_or_models(words):
    program = (
        "import sys, json\n"
        "from errclust_pipeline.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {
        "pandas", "numpy", "pyarrow", "dagster", "torch", "duckdb", "sklearn", "scipy", "umap",
        "matplotlib", "openai", "fsspec", "huggingface_hub", "datasets", "sentence_transformers",
    }  # fmt: skip
    assert not heavy & set(json.loads(done.stderr))
    assert "Usage" in done.stdout


def test_each_error_that_is_explained_exists():
    for module, name in EXPLAINED_ERRORS:
        assert issubclass(getattr(importlib.import_module(module), name), Exception)


def test_version_is_printed():
    done = runner.invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.startswith("errclust ")


def test_without_arguments_help_is_shown_and_names_every_command(errclust):
    shown = errclust().output
    for command in ("ingest", "run", "show", "sql", "status", "demo", "dev"):
        assert command in shown


def test_every_command_has_help(errclust):
    commands = ["ingest", "run", "show clusters", "map", "hotspots", "compare", "sql", "status"]
    commands += ["uncertainty", "backfill", "forget", "demo", "dev", "select", "faults"]
    for command in commands:
        done = errclust(*command.split(), "--help")
        assert done.exit_code == 0
        assert len(done.output.splitlines()) > 5
