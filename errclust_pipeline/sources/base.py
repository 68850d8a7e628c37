"""What a reader is: from files to batches of the canonical `responses` schema, plus rejects.

A reader does two things and nothing else. `find` looks at a file or folder and says which
submissions (one model on one benchmark) it holds; `read` streams one submission as batches. It
writes nothing, knows no warehouse and holds one batch in memory, whatever the file's size.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from errclust_pipeline.sources.errors import (
    IncompleteSourceError,
    SourceError,
    UnknownFormatError,
)
from errclust_pipeline.sources.identity import question_id, question_ids
from errclust_pipeline.sources.scoring import LEAVE_OUT, Scoring
from errclust_pipeline.tables import REJECTS, RESPONSES, Table

__all__ = [
    "BATCH_ROWS",
    "Batch",
    "BatchBuilder",
    "IncompleteSourceError",
    "Reader",
    "RowCollector",
    "SourceError",
    "Submission",
    "UnknownFormatError",
    "file_fingerprint",
    "renamed_sources",
    "with_sources",
]

BATCH_ROWS = 1_000
EXCERPT_CHARACTERS = 500
DETAIL_CHARACTERS = 1_000


@dataclass(frozen=True)
class Submission:
    """One model's results on one benchmark at one revision; or a battle set, with no model.

    Attributes
    ----------
    benchmark, model : str
        Names; of a battle set the model's is empty.
    reader : str
        The format's name in the registry.
    files : tuple of str
        The files that are read, in their order.
    revision : str
        A hash of what is read, so that a change is noticed.
    options : mapping
        The reader's settings (a metric, a filter, a column mapping, a threshold): plain JSON
        values, kept with the submission so that reading it again gives the same rows.
    conditions : mapping from str to str
        How the model was run: shots, chat template, reasoning effort, task arguments. See
        `sources.run_conditions`.
    notes : tuple of str
        What the reader decided while it looked for submissions, as sentences for the user. They
        are not kept in the submission's record.
    """

    benchmark: str
    model: str
    reader: str
    files: tuple[str, ...]
    revision: str
    options: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def to_json(self) -> str:
        """Serialise for the submission's record in the warehouse."""
        record: dict[str, Any] = {
            "benchmark": self.benchmark,
            "model": self.model,
            "reader": self.reader,
            "files": list(self.files),
            "revision": self.revision,
            "options": dict(self.options),
        }
        # Left out where there are none, so that the records of older versions stay as they are.
        if self.conditions:
            record["conditions"] = dict(self.conditions)
        return json.dumps(record, sort_keys=True, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Submission:
        """Restore what `to_json` wrote."""
        record = json.loads(text)
        return cls(**{**record, "files": tuple(record["files"])})


@dataclass(frozen=True)
class Batch:
    """Some rows of a submission: usable ones, unusable ones, and how many were skipped.

    `skipped` counts rows that are usable but belong to another submission: a row of another answer
    filter, or another model's row in a shared file.
    """

    responses: pa.RecordBatch
    rejects: pa.RecordBatch
    skipped: int = 0


def with_sources(
    batches: Iterable[Batch], files: Sequence[str], names: Sequence[str]
) -> Iterator[Batch]:
    """Yield batches whose rows name their files by other names, e.g. by addresses on the hub."""
    for batch in batches:
        yield Batch(
            renamed_sources(batch.responses, files, names),
            renamed_sources(batch.rejects, files, names),
            batch.skipped,
        )


def renamed_sources(
    rows: pa.RecordBatch, files: Sequence[str], names: Sequence[str]
) -> pa.RecordBatch:
    """Return rows with other names of files in their column `source`."""
    if tuple(files) == tuple(names):
        return rows
    named = dict(zip(files, names, strict=True))
    sources = [named.get(source, source) for source in rows.column("source").to_pylist()]
    number = rows.schema.get_field_index("source")
    return rows.set_column(number, rows.schema.field(number), pa.array(sources, pa.string()))


class Reader(Protocol):
    """A format this project can read."""

    name: str

    @property
    def expects(self) -> str:
        """One line on the files that the reader takes."""
        ...

    @property
    def options(self) -> frozenset[str]:
        """The options that the reader takes."""
        ...

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the submissions at a path; empty if the path is not in this format.

        Raises
        ------
        SourceError
            If the path is in this format but cannot be used.
        """
        ...

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream a submission. Rows come in file order.

        Raises
        ------
        SourceError
            If a file is missing or damaged, or if no row at all is usable.
        """
        ...


def file_fingerprint(*paths: Path) -> str:
    """Hash the content of files, 32 hexadecimal digits; the revision of a submission."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


class RowCollector:
    """Collects the rows of a table and their rejects, and hands them out a batch at a time.

    Unusable text (lone surrogates) is replaced before it reaches Arrow, and a row that Arrow cannot
    hold at all (a choice number beyond 32 bits) becomes a reject.

    Parameters
    ----------
    table, rejects : Table
        Their schemas.
    same : mapping
        Columns that are the same in every row of the table.
    """

    def __init__(
        self,
        table: Table,
        rejects: Table,
        revision: str,
        same: Mapping[str, str],
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._table = table
        self._reject_schema = rejects.schema
        self._revision = revision
        self._same = {name: _storable(text) for name, text in same.items()} | {"revision": revision}
        self._batch_rows = batch_rows
        self._rows: list[dict[str, Any]] = []
        self._stored: list[pa.RecordBatch] = []
        """What came before `_rows`."""
        self._stored_rows = 0
        self._rejects: list[dict[str, Any]] = []
        self.usable = 0
        self.rejected = 0
        self.reasons: Counter[str] = Counter()
        """How often each reason for rejecting a row came up."""
        self.first_reject = ""
        """What was wrong with the first row rejected."""

    def reject(
        self,
        reason: str,
        detail: str,
        *,
        source: str,
        position: int,
        row: object = None,
        judge: str | None = None,
    ) -> None:
        """Keep a row that cannot be used, with the reason.

        Parameters
        ----------
        judge : str, optional
            Whose verdict it is, in a row of battles.
        """
        if not self.rejected:
            self.first_reject = f"row {position}: {detail[:DETAIL_CHARACTERS]}"
        self.rejected += 1
        self.reasons[reason] += 1
        self._rejects.append(
            {
                "source": source,
                "position": position,
                "reason": reason,
                "detail": _storable(detail[:DETAIL_CHARACTERS]),
                "excerpt": None if row is None else _storable(_excerpt(row)),
                "judge": _storable(judge),
                "revision": self._revision,
            }
        )

    def what_was_wrong(self) -> str:
        """Tell, for an error's message, why rows were rejected."""
        if not self.rejected:
            return "nothing in it"
        reasons = ", ".join(f"{reason} {times}x" for reason, times in self.reasons.items())
        return f"{reasons}; first, {self.first_reject}"

    def full(self) -> bool:
        """Whether a batch's worth has been collected."""
        return self._stored_rows + len(self._rows) + len(self._rejects) >= self._batch_rows

    def take_rows(self) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """Hand out the rows and the rejects collected since the last call, possibly none."""
        self._store_rows()
        if len(self._stored) == 1:
            [rows] = self._stored
        else:
            rows = pa.concat_batches([_no_rows(self._table.schema), *self._stored])
        rejects = _no_rows(self._reject_schema)
        if self._rejects:
            rejects = pa.RecordBatch.from_pylist(self._rejects, schema=self._reject_schema)
        self._stored, self._stored_rows, self._rejects = [], 0, []
        return rows, rejects

    def _store_rows(self) -> None:
        """Move the rows collected one by one to those stored in columns."""
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        try:
            stored = self._of_rows(rows)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            stored = self._of_rows(self._storable_rows(rows))
        self._store(stored)

    def _store(self, rows: pa.RecordBatch) -> None:
        self._stored.append(rows)
        self._stored_rows += rows.num_rows

    def _of_rows(self, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        # Column by column: several times as fast as handing Arrow whole rows.
        return self._record_batch(_columns(rows), len(rows))

    def _record_batch(self, values: Mapping[str, Any], length: int) -> pa.RecordBatch:
        """Put columns together: arrays, sequences of values, or a value that all rows have."""
        columns = {
            column.name: _array(values.get(column.name, self._same.get(column.name)), column.type)
            for column in self._table.schema
        }
        self._derive(columns)
        whole = [
            pa.repeat(column, length) if isinstance(column, pa.Scalar) else column
            for column in columns.values()
        ]
        return pa.RecordBatch.from_arrays(whole, schema=self._table.schema)

    def _derive(self, columns: dict[str, Any]) -> None:
        """Fill in columns that follow from others."""

    def _storable_rows(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Repair the rows one by one, and reject those that cannot be repaired."""
        kept = []
        for row in rows:
            repaired = {name: _storable(value) for name, value in self._complete(row).items()}
            try:
                self._of_rows([repaired])
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                self.usable -= 1
                place = {"source": row["source"], "position": row["position"]}
                judge = repaired.get("judge")
                self.reject("unstorable_value", str(error), **place, row=row, judge=judge)
            else:
                kept.append(repaired)
        return kept

    def _complete(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with what has to be derived from it before it is repaired."""
        return row


class BatchBuilder(RowCollector):
    """Collects rows and rejects of one submission and hands them out as `Batch` objects.

    It fills in what is the same for every row (names, revision) and what follows from others (the
    question's id, whether the response is right), refuses a second row with the same `example_id`,
    and counts, so that a reader only has to map fields.
    """

    def __init__(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> None:
        same = {"model_name": submission.model, "benchmark_name": submission.benchmark}
        super().__init__(RESPONSES, REJECTS, submission.revision, same, batch_rows)
        self._scoring = Scoring.of_options(submission.options)
        self._skipped = 0
        self.without_verdict = 0
        """How many of the usable rows have no verdict, and so are wrong."""
        self._seen: set[str] = set()

    def add(self, row: dict[str, Any], *, source: str, position: int) -> None:
        """Add a usable row: columns of `responses`, less those that the builder fills in.

        A row whose `example_id` came before, or whose score is not a number on the scale, is
        rejected instead. One whose score is None has no verdict: the response is wrong, or left
        out if option ``null_scores`` says so.
        """
        example_id = str(row["example_id"])
        score = row["score"]
        if example_id in self._seen:
            detail = f"example_id {example_id!r} stands in an earlier row, which was kept"
            self.reject("duplicate_id", detail, source=source, position=position, row=row)
            return
        if score is None and self._scoring.null_scores == LEAVE_OUT:
            self.skip()
            return
        self.without_verdict += score is None
        share = 0.0 if score is None else self._scoring.share(score)
        if share is None:
            detail = (
                f"score {score!r} is not {self._scoring.what_is_expected()}: state the scale "
                "(--scale LOW:HIGH), or take another metric (--metric), scorer (--scorer) or "
                "column (--column score=...)"
            )
            self.reject("score_out_of_range", detail, source=source, position=position, row=row)
            return
        self._seen.add(example_id)
        self.usable += 1
        row["example_id"] = example_id
        row["score"] = share
        row["source"] = source
        row["position"] = position
        self._rows.append(row)

    def add_columns(self, columns: Mapping[str, Any], *, source: str, positions: pa.Array) -> bool:
        """Add usable rows all at once: columns as of `add`; a plain value is that of all rows.

        Returns
        -------
        bool
            False if one of them would be rejected: then none is added.
        """
        ids = columns["example_id"].to_pylist()
        shares = self._scoring.shares(columns["score"])
        distinct = set(ids)
        if len(distinct) < len(ids) or not self._seen.isdisjoint(distinct):
            return False
        if shares is None:
            return False
        self._store_rows()
        values = {**columns, "score": shares, "source": source, "position": positions}
        self._store(self._record_batch(values, len(ids)))
        self._seen |= distinct
        self.usable += len(ids)
        return True

    def skip(self, rows: int = 1) -> None:
        """Count rows that are fine but not this submission's to use."""
        self._skipped += rows

    def take(self) -> Batch:
        """Hand out what was collected since the last call, possibly nothing."""
        responses, rejects = self.take_rows()
        batch = Batch(responses, rejects, self._skipped)
        self._skipped = 0
        return batch

    def _derive(self, columns: dict[str, Any]) -> None:
        columns["correct"] = self._scoring.are_right(columns["score"])
        if not isinstance(columns["question_id"], pa.Array):
            choices = columns["choices"] if isinstance(columns["choices"], pa.Array) else None
            columns["question_id"] = question_ids(columns["question"], choices)

    def _complete(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "question_id": question_id(row["question"], row.get("choices"))}


@cache
def _no_rows(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _array(values: Any, type_: pa.DataType) -> pa.Array | pa.Scalar:
    """Return a column as Arrow holds it; a value that all rows have stays one."""
    if isinstance(values, pa.DictionaryArray):
        return values.dictionary_decode()
    if isinstance(values, pa.Array):
        return values
    return pa.array(values, type_) if isinstance(values, list | tuple) else pa.scalar(values, type_)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Sequence[Any]]:
    """Return the values of each name that a row has; of one that lacks it, None."""
    names = list(rows[0])
    if len(names) > 1 and set(map(len, rows)) == {len(names)}:
        # Nearly always all rows have the same names, and then they are taken out at once.
        with suppress(KeyError):
            values = zip(*map(itemgetter(*names), rows), strict=True)
            return dict(zip(names, values, strict=True))
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _excerpt(row: object) -> str:
    try:
        text = row if isinstance(row, str) else repr(row)
    except (RecursionError, ValueError):
        # Nested too deeply, or a whole number with too many digits, to be shown.
        text = f"a {type(row).__name__} that cannot be shown"
    return text[:EXCERPT_CHARACTERS]


def _storable(value: Any) -> Any:
    """Replace lone surrogates, which Arrow and UTF-8 cannot hold, by the replacement character."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return value
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
