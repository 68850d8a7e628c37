"""Reader of tables: CSV, JSON lines and Parquet files with a column for each thing known."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.sources.archive import open_result_file
from errclust_pipeline.sources.base import BATCH_ROWS, Batch, SourceError, Submission
from errclust_pipeline.sources.json_stream import (
    CHUNK_BYTES,
    MAX_ROW_BYTES,
    Fault,
    WrongEncodingError,
    rows_of_json_file,
    skip_byte_order_mark,
)
from errclust_pipeline.sources.rows import (
    batches,
    constant_option,
    files_below,
    metadata_json,
    text_of,
    texts_of,
)

DEFAULT_COLUMNS = {
    "example_id": "example_id",
    "model": "model",
    "input_text": "input_text",
    "output_text": "output_text",
    "score": "score",
    "correct_answer": "correct_answer",
    "dataset": "dataset",
    "subject": "subject",
    "prediction": "prediction",
    "choices": "choices",
    "finish_reason": "finish_reason",
    "metadata": "metadata",
}
"""What a table can hold, and the column it stands in if option `columns` names no other.

The names are those of ErrorMap's input.
"""

OTHER_NAMES = {
    "question": "input_text",
    "response": "output_text",
    "gold": "correct_answer",
    "benchmark": "dataset",
}
"""Names of the `responses` table that option `columns` takes too."""

REQUIRED = ("input_text", "score")

_CSV = (".csv", ".csv.gz")
_JSON_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
_PARQUET = (".parquet",)
_INVALID_BYTE = re.compile("[\udc80-\udcff]")
_TRUE, _FALSE = ("true", "yes"), ("false", "no")

# The module's limit on a field is small (128 KiB) and holds for the whole process; responses are
# longer. The reader's own limit, on a row, is what bounds memory.
csv.field_size_limit(MAX_ROW_BYTES)


@dataclass(frozen=True)
class _Names:
    """Where a table's rows say what they are of, and what to take where they do not."""

    columns: Mapping[str, str]
    benchmark: str
    model: str | None

    def pair(self, row: Mapping[str, Any]) -> tuple[str, str] | Fault:
        """Return the benchmark and model of a row."""
        benchmark: str | None = self.benchmark
        if "dataset" in self.columns:
            benchmark = _name(row.get(self.columns["dataset"]))
        model = self.model if "model" not in self.columns else _name(row.get(self.columns["model"]))
        if not benchmark or not model:
            missing = "dataset" if not benchmark else "model"
            return Fault("missing_name", f"the row's {missing} is empty: no submission can own it")
        return benchmark, model


class TableReader:
    """Tables of results: one submission for each pair of dataset and model in the file.

    A row that belongs to nobody (not readable, or without a model's name) is rejected in every
    submission of the file. A table without ids is numbered by its rows.
    """

    name = "table"
    expects = (
        "a table (.csv, .jsonl, .parquet) with the columns input_text and score, and if there are: "
        "example_id, model, output_text, correct_answer, dataset (option columns maps other names)"
    )
    options = frozenset({"benchmark", "model", "columns", "threshold"})

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the pairs of dataset and model in a file, or in a folder's tables.

        In a folder, tables without the columns needed are left out; a single file without them is
        an error.
        """
        if not path.is_dir():
            return self._find_in_file(path, options) if _is_table(path) else []
        found = []
        for file in files_below(path):
            if _is_table(file) and _has_columns(file, options):
                found += self._find_in_file(file, options)
        return found

    def _find_in_file(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        if path.stat().st_size == 0:
            raise SourceError(f"{path} is empty. Expected {self.expects}")
        names = _names(path, options)
        digests: dict[tuple[str, str], Any] = {}
        first_fault: Fault | None = None
        for _, row in _rows(path, names.columns):
            pair = row if isinstance(row, Fault) else names.pair(row)
            if isinstance(pair, Fault):
                first_fault = first_fault or pair
                continue
            digest = digests.setdefault(pair, hashlib.blake2b(digest_size=16))
            digest.update(_canonical(row, names.columns))
        if not digests:
            why = first_fault.detail if first_fault else "it holds no rows"
            raise SourceError(f"{path} holds no results ({why}). Expected {self.expects}")
        renamed = [constant_option(options, name) for name in ("benchmark", "model")]
        for option, values, given in (
            ("benchmark", {pair[0] for pair in digests}, renamed[0]),
            ("model", {pair[1] for pair in digests}, renamed[1]),
        ):
            if given is not None and len(values) > 1:
                raise SourceError(
                    f"{path} holds results of {len(values)} {option}s, and option {option} names "
                    "only one: leave the option out"
                )
        return [
            Submission(
                benchmark=renamed[0] or benchmark,
                model=renamed[1] or model,
                reader=self.name,
                files=(str(path),),
                revision=digest.hexdigest(),
                # What the file calls them, and how it is read, whatever the file's name then.
                options={
                    **options,
                    "owner": [benchmark, model],
                    "columns": dict(names.columns),
                    "defaults": [names.benchmark, names.model],
                },
            )
            for (benchmark, model), digest in digests.items()
        ]

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the submission's rows; other models' and datasets' rows are passed over."""
        path = Path(submission.files[0])
        names = _Names(submission.options["columns"], *submission.options["defaults"])
        owner = tuple(submission.options["owner"])

        def convert(position: int, row: Any) -> dict[str, Any] | Fault | None:
            pair = names.pair(row)
            if isinstance(pair, Fault):
                return pair
            return _to_row(position, row, names.columns) if pair == owner else None

        return batches(submission, batch_rows, _rows(path, names.columns), convert, self.expects)


def _is_table(path: Path) -> bool:
    return path.name.lower().endswith(_CSV + _JSON_LINES + _PARQUET)


def _has_columns(path: Path, options: Mapping[str, Any]) -> bool:
    try:
        there = column_names(path)
    except SourceError:
        return False
    wanted = {**DEFAULT_COLUMNS, **_given_columns(options)}
    return all(wanted[name] in there for name in REQUIRED)


def _given_columns(options: Mapping[str, Any]) -> dict[str, Any]:
    given = options.get("columns") or {}
    if not isinstance(given, Mapping):
        raise SourceError(
            f"option columns is {given!r}: expected names of columns by what they hold"
        )
    columns = {OTHER_NAMES.get(str(name), str(name)): what for name, what in given.items()}
    for name, column in columns.items():
        if name not in DEFAULT_COLUMNS:
            raise SourceError(
                f"option columns: {name!r} is not known; known are {', '.join(DEFAULT_COLUMNS)}"
            )
        if not isinstance(column, str):
            raise SourceError(f"option columns: {name} is {column!r}, expected a column's name")
    return columns


def _names(path: Path, options: Mapping[str, Any]) -> _Names:
    """Settle which columns of the file are used, and what stands in for missing names."""
    given = _given_columns(options)
    there = column_names(path)
    listing = ", ".join(there[:40]) or "none"
    for name, column in given.items():
        if column not in there:
            raise SourceError(
                f"{path} has no column {column!r}, which option columns names for {name}; its "
                f"columns: {listing}"
            )
    wanted = {**DEFAULT_COLUMNS, **given}
    columns = {name: column for name, column in wanted.items() if column in there}
    for name in REQUIRED:
        if name not in columns:
            raise SourceError(
                f"{path} has no column {wanted[name]!r}; its columns: {listing}. Say with option "
                f"columns which of them holds {name} (on the command line: --column {name}=...)"
            )
    twice = [column for column in columns.values() if there.count(column) > 1]
    if twice:
        raise SourceError(f"{path} has two columns named {twice[0]!r}: rename one of them")
    model = constant_option(options, "model")
    if "model" not in columns and model is None:
        raise SourceError(
            f"{path} has no column 'model'; its columns: {listing}. Set option model to the "
            "model's name (--model), or say with option columns which column holds it"
        )
    benchmark = constant_option(options, "benchmark") or path.name.split(".")[0] or path.name
    return _Names(columns, benchmark, model)


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a table, or of what its first rows hold."""
    lower = path.name.lower()
    if lower.endswith(_PARQUET):
        with _parquet(path) as file:
            return [str(name) for name in file.schema_arrow.names]
    if lower.endswith(_CSV):
        with open_result_file(path) as stream:
            return _header(path, _csv_lines(path, stream))
    # Rows may leave out what they do not have; a few thousand show all the columns there are.
    names: dict[str, None] = {}
    for _, (_, row) in zip(range(2_000), rows_of_json_file(path), strict=False):
        if isinstance(row, dict):
            names.update(dict.fromkeys(map(str, row)))
    return list(names)


def _rows(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, Any]]:
    lower = path.name.lower()
    if lower.endswith(_PARQUET):
        yield from parquet_rows(path, sorted(set(columns.values())))
    elif lower.endswith(_CSV):
        yield from csv_rows(path)
    else:
        for position, row in rows_of_json_file(path):
            if not isinstance(row, dict | Fault):
                row = Fault("not_an_object", f"the row is a {type(row).__name__}")
            yield position, row


class _CsvLines:
    """The lines of a CSV file for the csv module, in bounded memory, and what was wrong in them."""

    def __init__(self, stream: io.BufferedReader[Any]) -> None:
        skip_byte_order_mark(stream)
        self._stream = stream
        self.start_row()

    def start_row(self) -> None:
        """Forget what was noted of the row before."""
        self.too_large = False
        self.invalid = False
        self._size = 0
        self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._stream.readline(MAX_ROW_BYTES + 1)
        if not raw:
            raise StopIteration
        # A row may go on over many lines inside quotes.
        self._size += len(raw)
        self._quotes += raw.count(b'"')
        if self._size > MAX_ROW_BYTES:
            self.too_large = True
            # Its end is the end of a line by which every quote is closed.
            while raw and not (raw.endswith(b"\n") and self._quotes % 2 == 0):
                raw = self._stream.readline(CHUNK_BYTES)
                self._quotes += raw.count(b'"')
            raise csv.Error(f"the row is longer than {MAX_ROW_BYTES >> 20} MiB: shorten its texts")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.invalid = True
            return raw.decode("utf-8", "surrogateescape")


def _csv_lines(path: Path, stream: io.BufferedReader[Any]) -> _CsvLines:
    try:
        return _CsvLines(stream)
    except WrongEncodingError as error:
        raise SourceError(f"{path} {error}") from error


def _header(path: Path, lines: _CsvLines) -> list[str]:
    try:
        header = next(csv.reader(lines), None)
    except csv.Error as error:
        raise SourceError(
            f"{path}: its first line is not the names of columns ({error})"
        ) from error
    if not header:
        raise SourceError(f"{path} is empty, or its first line: expected the names of columns")
    if lines.invalid:
        raise SourceError(f"{path}: its first line is not valid UTF-8: convert it to UTF-8")
    return header


def csv_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the position and fields of each row of a CSV file; a `Fault` where it is unreadable."""
    with open_result_file(path) as stream:
        lines = _csv_lines(path, stream)
        header = _header(path, lines)
        reader = csv.reader(lines)
        position = 0
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = "row_too_large" if lines.too_large else "invalid_csv"
                value: Any = Fault(reason, f"near line {reader.line_num + 1}: {error}")
            else:
                if not row:
                    lines.start_row()
                    continue
                value = _csv_row(row, header, lines)
            lines.start_row()
            yield position, value
            position += 1


def _csv_row(row: list[str], header: list[str], lines: _CsvLines) -> dict[str, str] | Fault:
    shown = ",".join(row)
    if lines.invalid and _INVALID_BYTE.search(shown):
        return Fault("invalid_utf8", "the row is not valid UTF-8: convert the file", shown)
    if len(row) != len(header):
        detail = f"the row has {len(row)} fields, expected {len(header)}: quote texts with commas"
        return Fault("wrong_field_count", detail, shown)
    return dict(zip(header, row, strict=True))


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a Parquet file that can be read: {error}") from error


def parquet_rows(path: Path, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Yield the position and some columns of each row of a Parquet file."""
    position = 0
    with _parquet(path) as file:
        try:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
                for row in _batch_rows(batch):
                    yield position, row
                    position += 1
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path} is damaged ({error}): fetch it again") from error


def _batch_rows(batch: pa.RecordBatch) -> Iterable[Any]:
    try:
        return list(batch.to_pylist())
    except (UnicodeDecodeError, ValueError, OverflowError):
        return [_one_row(batch.slice(number, 1)) for number in range(batch.num_rows)]


def _one_row(batch: pa.RecordBatch) -> Any:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return Fault("invalid_utf8", f"the row is not valid UTF-8 ({error})")
    except (ValueError, OverflowError) as error:
        return Fault("unreadable_row", f"a value of the row cannot be read ({error})")


def _canonical(row: Mapping[str, Any], columns: Mapping[str, str]) -> bytes:
    """Write what is used of a row in one way only, for the revision."""
    values = [[name, row.get(columns[name])] for name in sorted(columns)]
    try:
        return json.dumps(values, default=str).encode()
    except (RecursionError, ValueError, TypeError):
        return b"a row nested too deeply"


def _name(value: Any) -> str | None:
    try:
        text = text_of(value)
    except RecursionError:
        return None
    return text if text and text.strip() else None


def _to_row(position: int, row: Mapping[str, Any], columns: Mapping[str, str]) -> Any:
    def cell(name: str) -> Any:
        value = row.get(columns[name]) if name in columns else None
        return None if value == "" else value

    score = _score(cell("score"))
    if isinstance(score, Fault):
        return score
    question = text_of(cell("input_text"))
    if question is None or not question.strip():
        return Fault("missing_question", "the row's question is empty")
    identity = cell("example_id")
    if identity is None and "example_id" in columns:
        return Fault("missing_id", "the row's example_id is empty")
    choices = _choices(cell("choices"))
    if isinstance(choices, Fault):
        return choices
    gold, prediction = text_of(cell("correct_answer")), text_of(cell("prediction"))
    metadata = cell("metadata")
    return {
        "example_id": str(position) if identity is None else text_of(identity),
        "subject": text_of(cell("subject")),
        "question": question,
        "choices": choices,
        "gold": gold,
        "gold_choice": choices.index(gold) if choices and gold in choices else None,
        # What is null in a column that is there was empty; of a missing column nothing is known.
        "response": text_of(row.get(columns["output_text"])) or ""
        if "output_text" in columns
        else None,
        "prediction": prediction,
        "extraction_recorded": "prediction" in columns,
        "predicted_choice": choices.index(prediction)
        if choices and prediction in choices
        else None,
        "score": score,
        "metric": columns["score"],
        "finish_reason": text_of(cell("finish_reason")),
        "metadata": _metadata(metadata),
    }


def _score(value: Any) -> float | int | Fault:
    if value is None:
        return Fault("missing_score", "the row's score is empty")
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE or text in _FALSE:
            return 1.0 if text in _TRUE else 0.0
        try:
            value = float(text)
        except ValueError:
            return Fault(
                "unreadable_score", f"score {value[:100]!r} is neither a number nor true or false"
            )
    elif isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, bool | int | float):
        return Fault("unreadable_score", f"score is a {type(value).__name__}, expected a number")
    if isinstance(value, float) and math.isnan(value):
        return Fault("missing_score", "the row's score is not a number (NaN)")
    return value


def _choices(value: Any) -> list[str] | Fault | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list):
        return Fault(
            "unreadable_choices",
            'choices are not a list: write them as a JSON list, e.g. ["yes", "no"]',
        )
    return texts_of(value)


def _metadata(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return metadata_json({"metadata": value})
    return metadata_json(value if isinstance(value, dict) else {"metadata": value})
