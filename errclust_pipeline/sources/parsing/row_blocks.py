"""Blocks of rows: many rows of a file at once, in columns where the rows are alike.

Readers convert the columns of a whole block. A block whose rows differ in kind raises
`NotAlikeError` and is converted row by row instead. Both ways give the same rows, because every
value that is not a plain text or number goes through the function that converts a single value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress, repeat
from operator import contains, itemgetter
from types import NoneType
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.base import Batch, Submission
from errclust_pipeline.sources.identity import text_bytes
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.rows import Collection, metadata_json, text_of

Column: TypeAlias = "pa.Array | list[Any] | None"
"""A block's values under one name: in Arrow, or mixed ones as they are; None if no row has any."""

_ARROW_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}
_OF_TEXT = (pa.string(), pa.large_string(), pa.string_view())
_TEXTS = pa.list_(pa.string())
_LAST_SPACE, _LAST_ASCII = 0x20, 0x7F


class NotAlikeError(Exception):
    """Rows that cannot be converted at once."""


NOT_AT_ONCE = (
    NotAlikeError, pa.ArrowException, RecursionError, ValueError, OverflowError, TypeError,
)  # fmt: skip
"""What is raised where a value cannot be converted, compared (then Arrow says TypeError) or stored:
whose it is, only its row tells."""


class RowBlock(Protocol):
    """Some rows of one file, in its order."""

    source: str
    positions: Sequence[int]

    def __len__(self) -> int:
        """How many rows there are."""
        ...

    def rows(self) -> Sequence[Any]:
        """Return each row's value: a dictionary, or a `RowError`."""
        ...

    def column(self, name: str) -> Column:
        """Return the values under a name, of ``a.b``, if it is no name, those of b inside a.

        Raises
        ------
        NotAlikeError
            If a row is not a dictionary, or the values cannot be told in columns.
        """
        ...

    def where(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Return the rows that were chosen."""
        ...

    def part(self, start: int, stop: int) -> Self:
        """Return the rows from one number to before another."""
        ...


AnyRowBlock = TypeVar("AnyRowBlock", bound=RowBlock)


@dataclass
class ParsedRowBlock:
    """Rows that were parsed to Python's values."""

    source: str
    positions: Sequence[int]
    values: list[Any]
    _is_checked: bool = False
    _objects: dict[str, list[Any] | None] = field(default_factory=dict)
    """The objects of all rows by the name that they stand under; None if one is no object."""

    def __len__(self) -> int:
        return len(self.values)

    def rows(self) -> Sequence[Any]:
        """Return the values as they are."""
        return self.values

    def column(self, name: str) -> Column:
        """Return the values under a name; None where a row has none."""
        if not self._is_checked and set(map(type, self.values)) != {dict}:
            raise NotAlikeError
        self._is_checked = True
        try:
            values = list(map(itemgetter(name), self.values))
        except KeyError:
            values = self._inner_values(name)
        types = set(map(type, values)) - {NoneType}
        if not types:
            return None
        type_ = _ARROW_TYPES.get(types.pop()) if len(types) == 1 else None
        if type_ is None:
            return values
        try:
            return pa.array(values, type_)
        except (OverflowError, pa.ArrowInvalid):
            return values  # A whole number of more than 64 bits.

    def _inner_values(self, name: str) -> list[Any]:
        """Return the values of ``a.b``; None where a row has none."""
        outer, _, inner = name.partition(".")
        if not inner:
            return [row.get(name) for row in self.values]
        # Most files hold objects with the same keys in all rows.
        if not any(map(contains, self.values, repeat(name))):
            if outer not in self._objects:
                objects = [row.get(outer) for row in self.values]
                self._objects[outer] = objects if set(map(type, objects)) == {dict} else None
            if (objects_there := self._objects[outer]) is not None:
                with suppress(KeyError):
                    return list(map(itemgetter(inner), objects_there))
                if "." not in inner:
                    return [values.get(inner) for values in objects_there]
        return [cell(row, name) for row in self.values]

    def where(self, chosen: npt.NDArray[np.bool_]) -> ParsedRowBlock:
        """Return the rows that were chosen."""
        picked = chosen.tolist()
        positions = list(compress(self.positions, picked))
        return ParsedRowBlock(self.source, positions, list(compress(self.values, picked)))

    def part(self, start: int, stop: int) -> ParsedRowBlock:
        """Return the rows from one number to before another."""
        return ParsedRowBlock(self.source, self.positions[start:stop], self.values[start:stop])


@dataclass
class ArrowRowBlock:
    """Rows that a file holds in columns."""

    source: str
    positions: Sequence[int]
    batch: pa.RecordBatch
    _is_checked: bool = False

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def rows(self) -> Sequence[Any]:
        """Return each row as a dictionary, or a `RowError` if a value cannot be read."""
        try:
            return list(self.batch.to_pylist())
        except (UnicodeDecodeError, ValueError, OverflowError):
            return [_one_row(self.batch.slice(number, 1)) for number in range(len(self))]

    def column(self, name: str) -> Column:
        """Return the values under a name, texts as plain ones, having checked them."""
        names = self.batch.schema.names
        if len(set(names)) < len(names):
            raise NotAlikeError
        if name not in names and name.partition(".")[0] not in names:
            return None
        if not self._is_checked:
            self.batch.validate(full=True)
            self._is_checked = True
        values = self.batch.column(name if name in names else name.partition(".")[0])
        return _plain(values if name in names else _inside(values, name.partition(".")[2]))

    def where(self, chosen: npt.NDArray[np.bool_]) -> ArrowRowBlock:
        """Return the rows that were chosen."""
        positions = list(compress(self.positions, chosen.tolist()))
        return ArrowRowBlock(self.source, positions, self.batch.filter(pa.array(chosen)), True)

    def part(self, start: int, stop: int) -> ArrowRowBlock:
        """Return the rows from one number to before another."""
        rows = self.batch.slice(start, stop - start)
        return ArrowRowBlock(self.source, self.positions[start:stop], rows, self._is_checked)


def batches_of_row_blocks(
    submission: Submission,
    batch_rows: int,
    blocks: Iterable[AnyRowBlock],
    to_columns: Callable[[AnyRowBlock], tuple[RowBlock, Mapping[str, Any]]],
    to_row: Callable[[str, int, Any], dict[str, Any] | RowError | None],
    expects: str,
) -> Iterator[Batch]:
    """Turn the rows of a submission's files into batches, as `rows.batches_of_files` does.

    Parameters
    ----------
    to_columns : callable
        Maps a block to those of its rows that are the submission's, and to their columns of
        `responses`; raises `NotAlikeError` where `to_row` has to be asked for each.

    Raises
    ------
    SourceError
        If no row is usable.
    """
    collection = Collection(submission, batch_rows, to_row, expects)
    for block in blocks:
        if not _add_at_once(collection, block, to_columns):
            for position, value in zip(block.positions, block.rows(), strict=True):
                yield from collection.add(block.source, position, value)
        yield from collection.full_batches()
    yield from collection.end()


def _add_at_once(
    collection: Collection,
    block: AnyRowBlock,
    to_columns: Callable[[AnyRowBlock], tuple[RowBlock, Mapping[str, Any]]],
) -> bool:
    try:
        own, columns = to_columns(block)
        return collection.add_columns(own.source, positions(own), columns, len(block) - len(own))
    except NOT_AT_ONCE:
        return False


def cell(row: Mapping[str, Any], column: str) -> Any:
    """Return a column's value.

    Parameters
    ----------
    column : str
        A name; or ``a.b``, what ``a`` holds under ``b``. In a list ``0`` is the first item and
        ``-1`` the last one.
    """
    if column in row:
        return row[column]
    outer, dot, inner = column.partition(".")
    return _below(row.get(outer), inner) if dot else None


def _below(value: Any, path: str) -> Any:
    """Return what a value holds under a path."""
    while isinstance(value, list):
        place, _, path = path.partition(".")
        if not is_list_index(place) or not -len(value) <= int(place) < len(value):
            return None
        value = value[int(place)]
        if not path:
            return value
    return cell(value, path) if isinstance(value, dict) else None


def is_list_index(name: str) -> bool:
    """Whether a part of a path is the number of an item in a list."""
    digits = name.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 7


def plain_texts(block: RowBlock, name: str) -> pa.Array:
    """Return the values under a name, which are texts.

    Raises
    ------
    NotAlikeError
        If they are not, or all missing.
    """
    column = block.column(name)
    if not isinstance(column, pa.Array) or column.type != pa.string():
        raise NotAlikeError
    return column


def texts(column: Column) -> pa.Array | None:
    """Return what `text_of` makes of each value; None if there are none."""
    if column is None or (isinstance(column, pa.Array) and column.type == pa.string()):
        return column
    if isinstance(column, pa.Array) and pa.types.is_integer(column.type):
        return column.cast(pa.string())
    if isinstance(column, list):
        as_texts = [value if type(value) is str else text_of(value) for value in column]
        return pa.array(as_texts, pa.string())
    return mapped(column, text_of, pa.string())


def mapped(column: Column, convert: Callable[[Any], Any], type_: pa.DataType) -> pa.Array | None:
    """Return what a function makes of each value, texts and whole numbers only once each.

    Raises
    ------
    NotAlikeError
        If it makes a `RowError` of one.
    """
    if column is None:
        return _converted([None], convert)[0]
    if isinstance(column, list):
        return pa.array(_converted(column, convert), type_)
    if not pa.types.is_string(column.type) and not pa.types.is_integer(column.type):
        return pa.array(_converted(column.to_pylist(), convert), type_)
    by_value = column.dictionary_encode(null_encoding="encode")
    made = pa.array(_converted(by_value.dictionary.to_pylist(), convert), type_)
    return pc.take(made, by_value.indices)


def values_of(block: RowBlock, name: str) -> list[Any]:
    """Return the values under a name as Python's; None where a row has none."""
    column = block.column(name)
    if column is None:
        return [None] * len(block)
    return column if isinstance(column, list) else column.to_pylist()


def choice_lists(column: Column, convert: Callable[[Any], Any]) -> pa.Array | None:
    """Return the choices of each row, as a function makes them of what are not lists of texts."""
    lists = column
    if isinstance(lists, list):
        # Arrow would take a text for a list of its characters.
        if not set(map(type, lists)) <= {list, NoneType}:
            return mapped(column, convert, _TEXTS)
        try:
            lists = pa.array(lists, _TEXTS)
        except (pa.ArrowException, TypeError, ValueError):
            return mapped(column, convert, _TEXTS)
    if lists is None or not pa.types.is_list(lists.type):
        return mapped(column, convert, _TEXTS)
    lists = lists.cast(_TEXTS)
    if pc.list_flatten(lists).null_count:
        return mapped(column, convert, _TEXTS)
    return pc.if_else(pc.equal(pc.list_value_length(lists), 0), None, lists)


def rows_named(column: Column, name: str, name_of: Callable[[Any], str | None]) -> Any:
    """Return which values are a name, as an array of truth values.

    Raises
    ------
    NotAlikeError
        If `name_of` finds no name in one.
    """
    if isinstance(column, pa.Array) and column.type == pa.string():
        same = pc.equal(column, name)
        if pc.all(same, skip_nulls=False).as_py():
            return np.ones(len(column), np.bool_)
    names = mapped(column, name_of, pa.string())
    if names is None or names.null_count:
        raise NotAlikeError
    return pc.equal(names, name).to_numpy(zero_copy_only=False)


def metadata_columns(block: RowBlock, names: Sequence[str]) -> pa.Array:
    """Return what `metadata_json` makes of some of each row's values, once for equal ones."""
    columns: list[Any] = [block.column(name) for name in names]
    codes = np.zeros(len(block), np.int64)
    for column in columns:
        if isinstance(column, list):
            raise NotAlikeError
        if column is not None:
            by_value = column.dictionary_encode(null_encoding="encode")
            codes = codes * len(by_value.dictionary) + by_value.indices.to_numpy()
            # Small again, so that the next product does not overflow.
            codes = np.unique(codes, return_inverse=True)[1]
    _, first, kinds = np.unique(codes, return_index=True, return_inverse=True)
    values = [
        [None] * len(first) if column is None else column.take(pa.array(first)).to_pylist()
        for column in columns
    ]
    made = [metadata_json(dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]
    return pa.array(made, pa.string()).take(pa.array(kinds))


def empty_as_null(column: Column) -> Column:
    """Return a column with null in place of each empty text."""
    if isinstance(column, list):
        return [None if value == "" else value for value in column]
    if column is None or not pa.types.is_string(column.type):
        return column
    _, places = text_bytes(column)
    is_empty = places[1:] == places[:-1]
    return pc.if_else(pa.array(is_empty), None, column) if is_empty.any() else column


def positions(block: RowBlock) -> pa.Array:
    """Return the rows' positions in their file."""
    there = block.positions
    # Arrow takes a range one by one.
    numbers = np.arange(there.start, there.stop) if isinstance(there, range) else there
    return pa.array(numbers, pa.int64())


def is_blank(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Return which texts are null, empty or nothing but white space."""
    content, places = text_bytes(column.fill_null("") if column.null_count else column)
    blank: npt.NDArray[np.bool_] = places[1:] == places[:-1]
    filled = np.flatnonzero(~blank)
    first = content[places[filled]]
    # Few texts begin with white space, in ASCII or beyond.
    for row in filled[(first <= _LAST_SPACE) | (first > _LAST_ASCII)].tolist():
        blank[row] = not column[row].as_py().strip()
    return blank


def positions_in(choices: pa.Array | None, answers: pa.Array | None) -> pa.Array | None:
    """Return each answer's first position in its list of choices, from 0; null if it is in none."""
    if choices is None or answers is None:
        return None
    rows = pc.list_parent_indices(choices)
    equal = pc.equal(pc.list_flatten(choices), pc.take(answers, rows)).fill_null(False)
    hits = np.flatnonzero(equal.to_numpy(zero_copy_only=False))
    owners = rows.to_numpy()
    found = np.full(len(choices), -1, np.int32)
    starts = np.searchsorted(owners, np.arange(len(choices)))
    # The first one last, so that it stays.
    found[owners[hits][::-1]] = (hits - starts[owners[hits]])[::-1]
    return pa.array(found, pa.int32(), mask=found < 0)


def _converted(values: list[Any], convert: Callable[[Any], Any]) -> list[Any]:
    made = list(map(convert, values))
    if RowError in set(map(type, made)):
        raise NotAlikeError
    return made


def _plain(values: pa.Array) -> pa.Array | None:
    if pa.types.is_null(values.type):
        return None
    encoded = pa.types.is_dictionary(values.type) and values.type.value_type in _OF_TEXT
    return values.cast(pa.string()) if encoded or values.type in _OF_TEXT else values


def _inside(values: pa.Array, name: str) -> pa.Array:
    """Return the values under a name inside a column of objects; see `cell`."""
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        raise NotAlikeError
    if not pa.types.is_struct(values.type):
        return pa.nulls(len(values))
    if len({field.name for field in values.type}) < values.type.num_fields:
        raise NotAlikeError
    outer, dot, inner = name.partition(".")
    if values.type.get_field_index(name) >= 0:
        return pc.struct_field(values, name)
    if dot and values.type.get_field_index(outer) >= 0:
        return _inside(pc.struct_field(values, outer), inner)
    return pa.nulls(len(values))


def _one_row(batch: pa.RecordBatch) -> Any:
    try:
        return batch.to_pylist()[0]
    except UnicodeDecodeError as error:
        return RowError("invalid_utf8", f"the row is not valid UTF-8 ({error})")
    except (ValueError, OverflowError) as error:
        return RowError("unreadable_row", f"a value of the row cannot be read ({error})")
