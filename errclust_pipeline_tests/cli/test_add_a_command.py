"""The worked example of docs/contributing/add-a-command.md, added in a temporary package."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from errclust_pipeline import cli
from errclust_pipeline.cli.app import build_app
from errclust_pipeline.cli.common import BAD_INPUT
from errclust_pipeline.cli.reference import commands_as_markdown

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "add-a-command.md"


def code_of_the_page(name):
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if f"cli/{name}" in block.splitlines()[0]]
    return block


@pytest.fixture
def make_package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    made = []

    def make(**modules):
        name = f"extra_commands_{len(made)}"
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text)
        importlib.invalidate_caches()
        made.append(name)
        return importlib.import_module(name)

    yield make
    for name in list(sys.modules):
        if name.split(".")[0] in made:
            del sys.modules[name]


def test_a_command_of_one_file_is_wired_everywhere(make_package, warehouse, root, tmp_path):
    from errclust_pipeline.ingestion.files import ingest
    from errclust_pipeline_tests.helpers.result_files import write_table

    package = make_package(subjects=code_of_the_page("subjects.py"))
    application = build_app([cli, package])
    ingest(warehouse, [write_table(tmp_path / "results.csv")])

    def errclust(*words, **environment):
        return CliRunner().invoke(application, list(words), env={"COLUMNS": "200", **environment})

    # Listed, with help and an example, and in the reference.
    assert re.search(r"subjects +Count", errclust("--help").stdout)
    shown = errclust("subjects", "--help").stdout
    assert "Example:" in shown
    assert "errclust subjects my-benchmark" in shown
    assert "### `errclust subjects`" in commands_as_markdown(application)
    # The data root reaches it from either side, errors are explained and have their exit code.
    for words in (["--root", str(root), "subjects"], ["subjects", "--root", str(root)]):
        done = errclust(*words, "trivai", "org/model-a")
        assert done.exit_code == BAD_INPUT
        assert done.stderr.startswith("error: there is no benchmark 'trivai'")
        assert "trivia" in done.stderr
        done = errclust(*words, "trivia", "org/model-a")
        assert done.exit_code == BAD_INPUT
        assert "errclust run" in done.stderr
    assert errclust("subjects", "--root", str(root)).exit_code == BAD_INPUT
    # Commands that were there before are there still.
    assert errclust("status", "--root", str(root)).exit_code == 0


def test_the_command_of_the_page_does_what_the_page_says(make_package, warehouse, root, tmp_path):
    from errclust_pipeline.ingestion.files import ingest
    from errclust_pipeline_tests.helpers.result_files import write_table
    from errclust_pipeline_tests.helpers.running import run_phases

    application = build_app([cli, make_package(subjects=code_of_the_page("subjects.py"))])
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    run_phases(warehouse, "label_error_clusters")
    words = ["--root", str(root), "subjects", "trivia", "org/model-a"]
    rows = json.loads(CliRunner().invoke(application, [*words, "--json"]).stdout)
    assert {"subject", "errors"} == set(rows[0])
    [top] = json.loads(CliRunner().invoke(application, [*words, "--limit", "1", "--json"]).stdout)
    assert top == rows[0]
    assert str(top["subject"]) in CliRunner().invoke(application, words).stdout


def test_two_commands_of_one_name_are_refused(make_package):
    text = (
        "from errclust_pipeline.cli.common import DataRoot\n"
        "from errclust_pipeline.cli.registry import Section, command\n"
        "@command('status', Section.LOOK, 'errclust status')\n"
        "def status(data_root: DataRoot) -> None:\n"
        "    'Show something else.'\n"
    )
    with pytest.raises(TypeError, match="two commands are named 'status': one in errclust_pip"):
        build_app([cli, make_package(status=text)])


def test_a_command_without_the_data_root_is_refused(make_package):
    text = (
        "from errclust_pipeline.cli.registry import Section, command\n"
        "@command('rootless', Section.LOOK, 'errclust rootless')\n"
        "def rootless() -> None:\n"
        "    'Read nothing.'\n"
    )
    with pytest.raises(TypeError, match="command 'rootless' takes no DataRoot"):
        build_app([cli, make_package(rootless=text)])
