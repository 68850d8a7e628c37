"""The command reference as Markdown."""

import re

import typer

from errclust_pipeline.cli.app import app
from errclust_pipeline.cli.reference import commands_as_markdown

PAGE = commands_as_markdown()


def test_every_command_and_option_is_documented_and_hidden_ones_are_not():
    def walk(group, path):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, f"{path} {name}")
                continue
            assert (f"### `{path} {name}`\n" in PAGE) is not command.hidden
            for parameter in command.params:
                if parameter.param_type_name == "option" and not command.hidden:
                    assert (f"`{parameter.opts[0]}`" in PAGE) is not parameter.hidden

    walk(typer.main.get_command(app), "errclust")


def test_a_command_stands_there_with_usage_help_defaults_and_examples():
    text = PAGE.split("### `errclust plot ratings`\n")[1].split("\n### ")[0]
    assert "errclust plot ratings SET [OPTIONS]" in text
    assert "| `SET` | The battle set. |" in text
    assert "| `--limit` `INT` | Number of models shown, best first.  \\[default: 60\\] |" in text
    assert (
        "```sh\nerrclust plot ratings my-battle-set --judges human --out ratings.pdf\n```" in text
    )
    assert "| `-o`, `--out` `PATH` |" in text
    assert "| `--format` `table or json or csv` |" in PAGE


def test_headings_are_sections_and_tables_have_two_columns():
    levels = [len(mark) for mark in re.findall(r"^(#+) ", PAGE, re.MULTILINE)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2, 3}
    for line in PAGE.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 3, line
