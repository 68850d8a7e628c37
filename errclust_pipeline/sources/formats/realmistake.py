"""Reader of ReaLMistake: responses of two models, with people's verdict, categories and reasons.

Its authors ask that no example be published in plain text, to keep it out of training data. So the
encrypted zip is decrypted in memory only, and no reject or message of this reader holds any of a
row's text.
"""

from __future__ import annotations

import dataclasses
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    IncompleteSourceError,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.formats.table_files import column_names, parquet_rows
from errclust_pipeline.sources.parsing.archive import MAX_ZIP_MEMBERS
from errclust_pipeline.sources.parsing.json_stream import (
    RowError,
    WrongEncodingError,
    read_json_rows,
    rows_of_json_file,
)
from errclust_pipeline.sources.parsing.rows import (
    batches,
    constant_option,
    files_below,
    metadata_json,
    text_of,
)
from errclust_pipeline.sources.registry import RegisteredReader, entry

PASSWORD_VARIABLE = "ERRCLUST_REALMISTAKE_PASSWORD"  # noqa: S105
"""The environment variable that holds the zip's password; the data's own README tells it."""

TASKS = (
    "math_word_problem_generation",
    "finegrained_fact_verification",
    "answerability_classification",
)
"""The tasks, by their names on the hub and in the zip."""

_OTHER_NAMES = {"math_problem_generation": "math_word_problem_generation"}
"""What the rows themselves call a task."""

VERDICTS = {"no_error": 1.0, "error": 0.0}
_VERDICT_FIELDS = ("error_label", "label")
_KEYS = frozenset({"input", "llm_response", "human_explanation", "error_categories", "metadata"})
_JSON_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_MEMBER = re.compile(rf"(?:.*/)?({'|'.join(TASKS)})/[^/]+\.jsonl")
_LONGEST_NAME = 200
_ENCRYPTED = 0x1
# A password may be wrong, and a size that the archive states: what zipfile raises then is its own.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    IndexError,
    ValueError,
    RuntimeError,
)
_MAX_MEMBER_BYTES = 256 << 20
"""A member of the zip that decompresses to more than this is refused; the real ones have 1 MB."""


@dataclass(frozen=True)
class _Source:
    """One model's rows on one task: a file, or a member of the zip."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        return f"{self.path}, {self.member}" if self.member else str(self.path)

    def rows(self) -> Iterator[tuple[int, Any]]:
        if self.member is not None:
            return _member_rows(self.path, self.member)
        if self.path.suffix.lower() != ".parquet":
            return rows_of_json_file(self.path)
        there = set(column_names(self.path))
        return parquet_rows(self.path, sorted(there & {*_KEYS, *_VERDICT_FIELDS}))


class RealMistakeReader(RegisteredReader):
    """ReaLMistake: the authors' `data.zip`, its files, or those of the data set on the hub.

    A benchmark for each task, `realmistake_<task>`; the model's name is what the rows say. A
    response is correct if people found no error in it. The categories of its errors, people's
    explanation, and the task's source and difficulty are kept in `metadata`.
    """

    name = "realmistake"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the tasks and models in a file, or in a folder's files."""
        if path.is_dir():
            # A file is opened only if its path speaks of a task.
            files = [
                file
                for file in files_below(path)
                if file.suffix.lower() == ".zip" or any(task in str(file) for task in TASKS)
            ]
        else:
            files = [path]
        sources = [source for file in files for source in _sources(file)]
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        submissions = [self._submission(source, benchmark, model, options) for source in sources]
        for option, given in (("benchmark", benchmark), ("model", model)):
            if given and len(submissions) > 1:
                raise SourceError(
                    f"{path} holds {len(submissions)} sets of results, and option {option} names "
                    "only one: give one file, or leave the option out"
                )
        return submissions

    def _submission(
        self,
        source: _Source,
        benchmark: str | None,
        model: str | None,
        options: Mapping[str, Any],
    ) -> Submission:
        task, of = _owner(source)
        return Submission(
            benchmark=benchmark or f"realmistake_{task}",
            model=model or of,
            reader=self.name,
            files=(str(source.path),),
            revision=file_fingerprint(source.path),
            options={**options, "member": source.member, "owner": [task, of]},
        )

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the rows; rejects say what was wrong, and quote nothing."""
        source = _Source(Path(submission.files[0]), submission.options.get("member"))
        task, model = submission.options["owner"]

        def convert(_position: int, value: Any) -> dict[str, Any] | RowError:
            return _to_row(value, task, model)

        for batch in batches(submission, batch_rows, source.rows(), convert, self.expects):
            yield dataclasses.replace(batch, rejects=_without_excerpts(batch.rejects))


def _sources(path: Path) -> list[_Source]:
    """List what a file holds; nothing if it is of another format."""
    name = path.name.lower()
    if name.endswith(".zip"):
        return _members(path)
    if name.endswith(".parquet"):
        return [_Source(path)] if _columns(path) >= _KEYS else []
    if not name.endswith(_JSON_LINES):
        return []
    source = _Source(path)
    try:
        row = _first_row(source)
    except SourceError:
        return []  # A file of another reader's may be damaged too.
    return [source] if row is not None and row.keys() >= _KEYS else []


def _columns(path: Path) -> set[str]:
    try:
        return set(column_names(path))
    except SourceError:
        return set()


def _members(path: Path) -> list[_Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []  # Whatever is wrong with it, a reader of other archives says so.
    if len(members) > MAX_ZIP_MEMBERS:
        return []
    files = [info for info in members if _MEMBER.fullmatch(info.filename)]
    return [_Source(path, info.filename) for info in files]


def _member_rows(path: Path, member: str) -> Iterator[tuple[int, Any]]:
    try:
        yield from read_json_rows(io.BufferedReader(io.BytesIO(_decrypted(path, member))))
    except WrongEncodingError as error:
        raise SourceError(f"{path}, {member} {error}") from error


def _decrypted(path: Path, member: str) -> bytes:
    """Return the content of a member of the zip, encrypted or not."""
    password = os.environ.get(PASSWORD_VARIABLE)
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(member)
            encrypted = bool(info.flag_bits & _ENCRYPTED)
            if encrypted and not password:
                raise IncompleteSourceError(
                    f"{path} is encrypted: set the environment variable {PASSWORD_VARIABLE} to "
                    "its password, which the README of ReaLMistake tells. It is decrypted in "
                    "memory only"
                )
            secret = password.encode() if password and encrypted else None
            with archive.open(info, pwd=secret) as file:
                content = file.read(_MAX_MEMBER_BYTES + 1)
    except SourceError:
        raise
    except KeyError as error:
        raise SourceError(f"{path} holds no {member} any more: ingest it again") from error
    except _DAMAGE as error:
        # A wrong password shows as a check byte that does not fit or, by chance, as damage.
        raise SourceError(
            f"{path} cannot be unpacked: it is damaged, or the password in {PASSWORD_VARIABLE} "
            "is not the one that the README of ReaLMistake tells"
        ) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(content) > _MAX_MEMBER_BYTES:
        raise SourceError(
            f"{path}: {member} holds more than {_MAX_MEMBER_BYTES >> 20} MiB: it is not "
            "ReaLMistake's"
        )
    return content


def _without_excerpts(rejects: pa.RecordBatch) -> pa.RecordBatch:
    place = rejects.schema.get_field_index("excerpt")
    field = rejects.schema.field(place)
    return rejects.set_column(place, field, pa.nulls(rejects.num_rows, field.type))


def _owner(source: _Source) -> tuple[str, str]:
    """Return the task and the model that a file is of."""
    row = _first_row(source)
    metadata = row.get("metadata") if row else None
    metadata = metadata if isinstance(metadata, Mapping) else {}
    task, model = _task_of(metadata), _model_of(metadata)
    if task is None or model is None:
        missing = "task_name" if task is None else "llm_response_model"
        raise SourceError(
            f"{source}: the metadata of its first rows has no {missing} that is known. Expected "
            f"{entry(RealMistakeReader.name).expects}"
        )
    return task, model


def _first_row(source: _Source) -> Mapping[str, Any] | None:
    rows = source.rows()
    try:
        usable = (value for _, value in islice(rows, 50) if isinstance(value, Mapping))
        return next((row for row in usable if isinstance(row.get("metadata"), Mapping)), None)
    finally:
        rows.close()  # type: ignore[attr-defined]


def _task_of(metadata: Mapping[str, Any]) -> str | None:
    name = metadata.get("task_name")
    name = _OTHER_NAMES.get(name, name) if isinstance(name, str) else None
    return name if name in TASKS else None


def _model_of(metadata: Mapping[str, Any]) -> str | None:
    name = metadata.get("llm_response_model")
    return name if isinstance(name, str) and name.strip() and len(name) <= _LONGEST_NAME else None


def _to_row(value: Any, task: str, model: str) -> dict[str, Any] | RowError:
    if not isinstance(value, Mapping):
        return RowError("not_an_object", f"the row is a {type(value).__name__}, expected an object")
    metadata = value.get("metadata")
    if not isinstance(metadata, Mapping):
        return RowError("missing_field", "the row has no metadata, in which its id and model stand")
    identity = metadata.get("id")
    if not isinstance(identity, str | int) or not 0 < len(str(identity)) <= _LONGEST_NAME:
        return RowError("missing_field", "metadata has no usable id")
    if (_task_of(metadata), _model_of(metadata)) != (task, model):
        return RowError(
            "other_owner", "the row is of another task or model than the file's first: split it"
        )
    question, response = value.get("input"), value.get("llm_response")
    if not isinstance(question, str) or not question.strip():
        return RowError("missing_question", "the row has no input")
    verdict = next((value[name] for name in _VERDICT_FIELDS if value.get(name) is not None), None)
    if not isinstance(verdict, str) or verdict not in VERDICTS:
        return RowError("unreadable_verdict", "error_label is neither 'error' nor 'no_error'")
    categories = value.get("error_categories")
    if categories is not None and (
        not isinstance(categories, list) or not all(isinstance(one, str) for one in categories)
    ):
        return RowError("unreadable_categories", "error_categories is not a list of texts")
    return {
        "example_id": identity,
        "question": question,
        "response": response if isinstance(response, str) else text_of(response) or "",
        # People judged the response as a whole: nobody extracted an answer from it.
        "extraction_recorded": False,
        "score": VERDICTS[verdict],
        "metric": "error_label",
        "metadata": metadata_json(
            {
                "error_categories": categories or [],
                "human_explanation": value.get("human_explanation") or None,
                "task_source": metadata.get("task_source"),
                "difficulty": metadata.get("difficulty"),
            }
        ),
    }
