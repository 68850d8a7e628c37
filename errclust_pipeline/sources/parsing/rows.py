"""Helpers of the readers: rows into batches, values into text, and the files of a folder.

What only one format needs belongs into its reader.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

import pyarrow as pa

from errclust_pipeline.sources.base import Batch, BatchBuilder, SourceError, Submission
from errclust_pipeline.sources.parsing.json_stream import RowError

METADATA_CHARACTERS = 2_000
_MOST_OUTSIDE = 0.2
"""Minimum share of scores outside the scale at which the scale itself is in doubt."""
_FEWEST_OUTSIDE = 10
_encode = json.JSONEncoder(default=str, allow_nan=False).encode
UNSCORED = "unscored"
"""Name of a submission's option which says that none of its rows is expected to have a score."""
_SUBJECT_KEYS = ("subject", "category", "topic")
_LARGEST_CHOICE = 1_000
"""Maximum number of options of a question; a larger number is not a choice."""


def batches(
    submission: Submission,
    batch_rows: int,
    rows: Iterable[tuple[int, Any]],
    to_row: Callable[[int, Any], dict[str, Any] | RowError | None],
    expects: str,
) -> Iterator[Batch]:
    """Turn a submission's rows into batches.

    Parameters
    ----------
    rows : iterable of (position, value)
        The file's rows; a `RowError` is rejected as it stands.
    to_row : callable
        Maps a position and a value to columns of `responses`; to a `RowError` if the row is
        unusable; to None if it is fine but not this submission's.
    expects : str
        What the reader takes, for the message if no row is usable.

    Raises
    ------
    SourceError
        If no row is usable.
    """
    source = submission.files[0]
    collection = Collection(
        submission, batch_rows, lambda _, position, value: to_row(position, value), expects
    )
    for position, value in rows:
        yield from collection.add(source, position, value)
    yield from collection.end()


def batches_of_files(
    submission: Submission,
    batch_rows: int,
    rows: Iterable[tuple[str, int, Any]],
    to_row: Callable[[str, int, Any], dict[str, Any] | RowError | None],
    expects: str,
) -> Iterator[Batch]:
    """Turn the rows of a submission of several files into batches; see `batches`.

    A row's first item is the file that it stands in, and `to_row` is told it.
    """
    collection = Collection(submission, batch_rows, to_row, expects)
    for source, position, value in rows:
        yield from collection.add(source, position, value)
    yield from collection.end()


class Collection:
    """The rows of a submission on their way into batches; see `batches_of_files`."""

    def __init__(
        self,
        submission: Submission,
        batch_rows: int,
        to_row: Callable[[str, int, Any], dict[str, Any] | RowError | None],
        expects: str,
    ) -> None:
        self._submission = submission
        self._builder = BatchBuilder(submission, batch_rows)
        self._to_row = to_row
        self._expects = expects
        self._count = 0

    def add(self, source: str, position: int, value: Any) -> Sequence[Batch]:
        """Convert and add a row; return the batch that it fills, if it does."""
        self._count += 1
        try:
            row = value if isinstance(value, RowError) else self._to_row(source, position, value)
        except RecursionError:
            row = RowError(
                "nested_too_deeply", "lists or objects stand inside each other too deeply"
            )
        except (ValueError, OverflowError) as error:
            # E.g. a whole number too large to be converted.
            row = RowError("unreadable_value", f"a value of the row cannot be used: {error}")
        if row is None:
            self._builder.skip()
        elif isinstance(row, RowError):
            shown = value if row.excerpt is None and row is not value else row.excerpt
            self._builder.reject(
                row.reason, row.detail, source=source, position=position, row=shown
            )
        else:
            self._builder.add(row, source=source, position=position)
        return self.full_batches()

    def add_columns(
        self, source: str, positions: pa.Array, columns: Mapping[str, Any], skipped: int
    ) -> bool:
        """Add rows converted already, unless one of them has to be rejected: then False."""
        if not self._builder.add_columns(columns, source=source, positions=positions):
            return False
        self._builder.skip(skipped)
        self._count += len(positions) + skipped
        return True

    def full_batches(self) -> Sequence[Batch]:
        """Return a batch if one is full."""
        return (self._builder.take(),) if self._builder.full() else ()

    def end(self) -> Iterator[Batch]:
        """Yield the last batch.

        Raises
        ------
        SourceError
            If no row was usable, or the scores are of another scale.
        """
        # Taking may reject rows that Arrow cannot hold: the count is final only after it.
        builder = self._builder
        last = builder.take()
        if last.responses.num_rows or last.rejects.num_rows or last.skipped:
            yield last
        submission = self._submission
        source = submission.files[0]
        outside = builder.reasons["score_out_of_range"]
        if outside >= _FEWEST_OUTSIDE and outside > _MOST_OUTSIDE * self._count and builder.usable:
            raise SourceError(
                f"{source}: {outside:,} of {self._count:,} scores of {submission.model} on "
                f"{submission.benchmark} are not on the scale, so those that are may mean "
                f"something else too ({builder.first_reject}). State the scale (--scale LOW:HIGH)"
            )
        is_scored = not submission.options.get(UNSCORED)
        if is_scored and builder.usable and builder.without_verdict == builder.usable:
            raise SourceError(
                f"{source}: none of its {builder.usable:,} usable rows has a score of "
                f"{submission.model} on {submission.benchmark}. Expected {self._expects}"
            )
        if not builder.usable:
            raise SourceError(
                f"{source}: none of its {self._count:,} rows can be used as results of "
                f"{submission.model} on {submission.benchmark} ({builder.what_was_wrong()}). "
                f"Expected {self._expects}"
            )


def text_of(value: Any) -> str | None:
    """Return text as it is, anything else as JSON; None stays None."""
    if value is None or isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def texts_of(values: Any) -> list[str] | None:
    """Return the options of a question as texts; None if the value is not a non-empty list."""
    if not isinstance(values, list | tuple) or not values:
        return None
    if set(map(type, values)) == {str}:
        return list(values)
    return [text_of(value) or "" for value in values]


def choice_number(value: Any, choices: int | None = None) -> int | None:
    """Return a choice's position if the value is one, given how many choices there are."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < (_LARGEST_CHOICE if choices is None else choices) else None


def metadata_json(values: Mapping[str, Any]) -> str | None:
    """Write what else a source says of a row as JSON, leaving out what would make it large."""
    # Each value is encoded once: this runs for every row of every file.
    kept: list[str] = []
    size = 2
    for name, value in values.items():
        if value is None:
            continue
        key = encode_basestring_ascii(str(name))
        try:
            entry = f"{key}: {_encoded(value)}"
        except ValueError:  # NaN and Infinity are no JSON, and others would stumble over them.
            entry = f"{key}: {_encoded(str(value))}"
        if size + len(entry) + 2 <= METADATA_CHARACTERS:
            kept.append(entry)
            size += len(entry) + 2
    return f"{{{', '.join(kept)}}}" if kept else None


def _encoded(value: Any) -> str:
    # An encoder is set up for each call, which costs more than to write one plain value.
    kind = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float and math.isfinite(value):
        return float.__repr__(value)
    return _encode(value)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and its folders, sorted; hidden ones are left out.

    Links to folders, and links to files outside `folder`, are not followed: a shared tree of
    results must not expose what its links lead to.
    """
    root = folder.resolve()
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or leaves(path, root):
                continue
            if path.is_file():
                yield path


def leaves(path: Path, folder: Path) -> bool:
    """Whether a path is a link that leads out of the folder."""
    return path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())


def first_row(rows: Iterator[tuple[int, Any]]) -> dict[str, Any] | None:
    """Return the first row that is an object, among the first few; None if there is none."""
    for _, (_, value) in zip(range(50), rows, strict=False):
        if isinstance(value, dict):
            return value
    return None


def subject_in(details: Any) -> str | None:
    """Return the subject that a row's metadata name, or None if they name none.

    Parameters
    ----------
    details : any
        The metadata; anything but an object names no subject.
    """
    if not isinstance(details, dict):
        return None
    for key in _SUBJECT_KEYS:
        if details.get(key) is not None:
            return text_of(details[key])
    return None


def constant_option(options: Mapping[str, Any], name: str) -> str | None:
    """Return an option that names the model or benchmark, or None if it is not given."""
    value = options.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise SourceError(f"option {name} is {value!r}: give a name")
    return value
