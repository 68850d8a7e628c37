"""The registry of readers: what it lists, and that a reader added to it is found everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from errclust_pipeline.ingestion.files import find_all
from errclust_pipeline.sources import READERS, SourceError, UnknownFormatError, registry
from errclust_pipeline.sources.battles import BATTLE_READERS
from errclust_pipeline_tests.sources.reading import Read

PAGE = Path(__file__).parents[2] / "docs" / "contributing" / "add-a-source.md"
LINE = '{"id": 7, "asked": "1 + 1?", "options": ["2", "3"], "key": "2", "said": "3", "points": 0}\n'


@pytest.fixture
def quiz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader that the documentation shows, in a package of its own and with one entry."""
    package = tmp_path / "code" / "quiz_format"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    [reader, *_] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (package / "reader.py").write_text(reader)
    monkeypatch.syspath_prepend(str(package.parent))
    entry = registry.ReaderEntry(
        "quiz",
        "results",
        "a quiz",
        "answers to a quiz: <model>.quiz",
        "quiz_format.reader:QuizReader",
    )
    monkeypatch.setattr(registry, "REGISTRY", (entry, *registry.REGISTRY))


@pytest.mark.usefixtures("quiz")
def test_a_reader_added_to_the_registry_is_listed_everywhere(tmp_path: Path) -> None:
    assert "quiz (a quiz), lm_eval" in registry.reader_help()
    assert "| `quiz` | answers to a quiz: &lt;model>.quiz |" in registry.formats_as_markdown()
    assert "quiz" in READERS
    unknown = tmp_path / "unknown.bin"
    unknown.write_bytes(b"?")
    with pytest.raises(UnknownFormatError, match=r"quiz: answers to a quiz: <model>\.quiz"):
        find_all(unknown, None, {})
    with pytest.raises(SourceError, match="there are: quiz, lm_eval"):
        find_all(unknown, "nonsense", {})


@pytest.mark.usefixtures("quiz")
def test_a_reader_added_to_the_registry_reads_its_files_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "m1.quiz").write_text(LINE * 2)
    (folder / "notes.txt").write_text("not a quiz")
    [submission] = find_all(folder, None, {})
    assert (submission.reader, submission.model) == ("quiz", "m1")
    read = Read(submission)
    [row] = read.rows
    assert (row["question"], row["correct"]) == ("1 + 1?", False)
    assert (row["gold_choice"], row["predicted_choice"]) == (0, 1)
    assert read.reasons == ["duplicate_id"]
    with pytest.raises(SourceError, match="read as quiz, which has no option metric"):
        find_all(folder, None, {"metric": "acc"})


@pytest.mark.parametrize("entry", registry.REGISTRY, ids=lambda entry: entry.name)
def test_each_entry_names_a_reader_of_that_name(entry: registry.ReaderEntry) -> None:
    assert entry.instance.name == entry.name
    assert entry.instance.expects == entry.expects
    assert entry.options <= registry.OPTIONS.keys()
    assert entry.name in (READERS if entry.kind == "results" else BATTLE_READERS)


def test_names_of_readers_are_unique() -> None:
    names = [entry.name for entry in registry.REGISTRY]
    assert len(set(names)) == len(names)


def test_listing_the_formats_imports_no_reader_and_no_library() -> None:
    code = (
        "import sys\n"
        "from errclust_pipeline.sources import registry\n"
        "registry.reader_help(), registry.formats_as_markdown(), registry.entries()\n"
        "heavy = {'pyarrow', 'numpy', 'msgspec', 're2', 'yaml'}\n"
        "readers = [name for name in sys.modules if '.formats' in name or '.battles' in name]\n"
        "print(sorted(heavy & set(sys.modules)), readers)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_the_help_of_ingest_names_every_format() -> None:
    from errclust_pipeline.cli.app import app

    shown = CliRunner().invoke(app, ["ingest", "--help"], env={"COLUMNS": "400"}).stdout
    assert all(entry.name in shown for entry in registry.REGISTRY)
