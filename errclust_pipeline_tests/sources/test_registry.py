"""The registry of readers: what it lists, and that a reader added to it is found everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from errclust_pipeline.ingestion.files import find_all
from errclust_pipeline.sources import READERS, SourceError, UnknownFormatError, registry
from errclust_pipeline.sources.battles import BATTLE_READERS
from errclust_pipeline_tests.sources.reading import Read

FORMATS_PAGE = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"

QUIZ_READER = '''
from pathlib import Path

from errclust_pipeline.sources.base import BATCH_ROWS, Submission, file_fingerprint
from errclust_pipeline.sources.parsing.json_stream import rows_of_json_file
from errclust_pipeline.sources.parsing.rows import batches, files_below
from errclust_pipeline.sources.registry import RegisteredReader


class QuizReader(RegisteredReader):
    """Files of a made-up quiz, `<model>.quiz`."""

    name = "quiz"

    def find(self, path, options):
        files = files_below(path) if path.is_dir() else [path]
        return [
            Submission("quiz", file.stem, self.name, (str(file),), file_fingerprint(file))
            for file in files
            if file.suffix == ".quiz"
        ]

    def read(self, submission, batch_rows=BATCH_ROWS):
        rows = rows_of_json_file(Path(submission.files[0]))
        return batches(submission, batch_rows, rows, to_row, self.expects)


def to_row(position, row):
    return {
        "example_id": str(position),
        "question": row["asked"],
        "score": float(row["right"]),
        "metric": "right",
        "extraction_recorded": False,
    }
'''


@pytest.fixture
def quiz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader in a package of its own, added by one entry in the registry."""
    package = tmp_path / "code" / "quiz_format"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "reader.py").write_text(QUIZ_READER)
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
    assert "| `quiz` | answers to a quiz: &lt;model>.quiz |" in registry.formats_page()
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
    (folder / "m1.quiz").write_text('{"asked": "1 + 1?", "right": true}\n')
    (folder / "notes.txt").write_text("not a quiz")
    [submission] = find_all(folder, None, {})
    assert (submission.reader, submission.model) == ("quiz", "m1")
    [row] = Read(submission).rows
    assert (row["question"], row["correct"]) == ("1 + 1?", True)
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
        "registry.reader_help(), registry.formats_page(), list(registry.Readers('results'))\n"
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


def test_the_page_of_formats_is_what_the_registry_says() -> None:
    assert FORMATS_PAGE.read_text() == registry.formats_page(), (
        "run: python -m errclust_pipeline.sources.registry > docs/reference/formats.md"
    )
