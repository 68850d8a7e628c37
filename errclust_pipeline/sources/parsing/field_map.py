"""Field maps: how the columns of `responses` follow from a row, declared once.

A reader lists a `Field` for each column. The same list converts one row (`FieldMap.to_row`) and a
block of rows at once (`FieldMap.to_columns`); both give the same values, which is what the tests of
this module check. A kind of field that is missing here belongs here, not into a reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    Column,
    NotAlikeError,
    RowBlock,
    cell,
    choice_lists,
    empty_as_null,
    is_blank,
    mapped,
    metadata_columns,
    positions_in,
    texts,
    values_of,
)
from errclust_pipeline.sources.parsing.rows import metadata_json, text_of

NUMBERS = (
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
)  # fmt: skip
"""Arrow's types whose values are scores as they are."""


class Field(Protocol):
    """One column of `responses`, or a check of the row if its name is empty.

    `made` holds the columns of the fields before it.
    """

    @property
    def name(self) -> str:
        """The column's name; empty for a check."""
        ...

    def of_row(self, row: Mapping[str, Any], made: Mapping[str, Any]) -> Any:
        """Return the value of one row, or a `RowError`."""
        ...

    def of_block(self, block: RowBlock, made: Mapping[str, Any]) -> Any:
        """Return the values of many rows: a column, or a value that all rows have.

        Raises
        ------
        NotAlikeError
            If `of_row` has to be asked for each row.
        """
        ...


class FieldMap:
    """The columns that a reader makes of a row.

    Parameters
    ----------
    fields : iterable of Field
        In the order in which they are made; the first one that cannot be made rejects the row.
    """

    def __init__(self, fields: Iterable[Field]) -> None:
        self._fields = tuple(fields)

    def to_row(self, row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any] | RowError:
        """Return one row's values, or what is wrong with it.

        Parameters
        ----------
        given : mapping
            Columns that the reader makes itself, such as an id by position.
        """
        made = dict(given)
        for field in self._fields:
            value = field.of_row(row, made)
            if isinstance(value, RowError):
                return value
            if field.name:
                made[field.name] = value
        return made

    def to_columns(self, block: RowBlock, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `to_row` returns, of many rows at once.

        Raises
        ------
        NotAlikeError
            If `to_row` has to be asked for each row.
        """
        made = dict(given)
        for field in self._fields:
            column = field.of_block(block, made)
            if field.name:
                made[field.name] = column
        return made


@dataclass(frozen=True)
class Constant:
    """The same value in every row."""

    name: str
    value: Any

    def of_row(self, _row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the value."""
        return self.value

    def of_block(self, _block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the value, which all rows have."""
        return self.value


@dataclass(frozen=True)
class Text:
    """A value as text: a text as it is, anything else as JSON.

    Attributes
    ----------
    path : str
        Where the value stands; ``a.b`` is what ``a`` holds under ``b``.
    missing : RowError, optional
        Rejects a row that has no value there.
    not_blank : bool
        Whether a text of white space counts as none.
    only_text : bool
        Whether a value that is no text counts as none.
    empty_is_null : bool
        Whether an empty text counts as none.
    default : str, optional
        Stands in place of none.
    convert : callable
        Makes a text of a value that is none.
    """

    name: str
    path: str
    missing: RowError | None = None
    not_blank: bool = False
    only_text: bool = False
    empty_is_null: bool = False
    default: str | None = None
    convert: Callable[[Any], str | None] = text_of

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the text."""
        value = cell(row, self.path)
        if self.only_text and not isinstance(value, str):
            value = None
        text = value if isinstance(value, str) else self.convert(value)
        if (self.empty_is_null and text == "") or (self.not_blank and text and text.isspace()):
            text = None
        if self.not_blank and text == "":
            text = None
        if text is None:
            return self.missing or self.default
        return text

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the texts."""
        column = block.column(self.path)
        if self.only_text and not (isinstance(column, pa.Array) and column.type == pa.string()):
            raise NotAlikeError
        column = empty_as_null(column) if self.empty_is_null else column
        is_plain = isinstance(column, pa.Array) and not pa.types.is_nested(column.type)
        if self.convert is text_of or column is None or is_plain:
            column = texts(column)
        else:
            column = mapped(column, self.convert, pa.string())
        if self.not_blank and column is not None and is_blank(column.fill_null("-")).any():
            raise NotAlikeError
        if self.missing is not None and (column is None or column.null_count):
            raise NotAlikeError
        if self.default is not None:
            return self.default if column is None else column.fill_null(self.default)
        return column


@dataclass(frozen=True)
class JoinedText:
    """The texts of several values, with a line break between those that are not blank."""

    name: str
    paths: Sequence[str]
    missing: RowError

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the joined text."""
        parts = [text_of(cell(row, path)) or "" for path in self.paths]
        return "\n".join(part for part in parts if part.strip()) or self.missing

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the joined texts."""
        parts = [part for path in self.paths if (part := texts(block.column(path))) is not None]
        if not parts:
            raise NotAlikeError
        filled = [pc.if_else(pa.array(is_blank(part)), None, part) for part in parts]
        joined = pc.binary_join_element_wise(*filled, "\n", null_handling="skip")
        # Arrow returns too few values where all of them are null.
        if len(joined) < len(block) or is_blank(joined).any():
            raise NotAlikeError
        return joined


@dataclass(frozen=True)
class Converted:
    """What a function makes of one value; a `RowError` rejects the row.

    Attributes
    ----------
    convert : callable
        Takes the value, or None if there is none.
    numbers_as_they_are : bool
        Whether numbers and truth values need no conversion but to a float.
    """

    name: str
    path: str
    convert: Callable[[Any], Any]
    type_: pa.DataType
    empty_is_null: bool = False
    numbers_as_they_are: bool = False

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the converted value."""
        value = cell(row, self.path)
        return self.convert(None if self.empty_is_null and value == "" else value)

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the converted values."""
        column: Column = block.column(self.path)
        if self.empty_is_null:
            column = empty_as_null(column)
        is_plain = isinstance(column, pa.Array) and column.type in NUMBERS
        if self.numbers_as_they_are and is_plain:
            if column.null_count:  # type: ignore[union-attr]
                raise NotAlikeError
            return column.cast(pa.float64())  # type: ignore[union-attr]
        return mapped(column, self.convert, self.type_)


@dataclass(frozen=True)
class Combined:
    """What a function makes of several values; a `RowError` rejects the row."""

    name: str
    paths: Sequence[str]
    convert: Callable[..., Any]

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the combined value."""
        return self.convert(*(cell(row, path) for path in self.paths))

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the combined values."""
        columns = [values_of(block, path) for path in self.paths]
        combined = list(map(self.convert, *columns))
        if RowError in set(map(type, combined)):
            raise NotAlikeError
        return combined


@dataclass(frozen=True)
class Objects:
    """Checks that values are objects; rejects the row otherwise."""

    paths: Sequence[str]
    missing: RowError
    name: str = ""

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the error, or None."""
        are_objects = all(isinstance(cell(row, path), dict) for path in self.paths)
        return None if are_objects else self.missing

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Check all rows."""
        for path in self.paths:
            column = block.column(path)
            if isinstance(column, pa.Array):
                if not pa.types.is_struct(column.type) or column.null_count:
                    raise NotAlikeError
            elif column is None or set(map(type, column)) != {dict}:
                raise NotAlikeError


@dataclass(frozen=True)
class Choices:
    """The options of a question, in a list."""

    name: str
    path: str
    convert: Callable[[Any], Any]
    empty_is_null: bool = False

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the options."""
        value = cell(row, self.path)
        return self.convert(None if self.empty_is_null and value == "" else value)

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the options of all rows."""
        column = block.column(self.path)
        return choice_lists(empty_as_null(column) if self.empty_is_null else column, self.convert)


@dataclass(frozen=True)
class PlaceAmongChoices:
    """The position of an answer among the options made before, from 0; null if it is none."""

    name: str
    answer: str
    choices: str = "choices"

    def of_row(self, _row: Mapping[str, Any], made: Mapping[str, Any]) -> Any:
        """Return the position."""
        choices, answer = made.get(self.choices), made.get(self.answer)
        return choices.index(answer) if choices and answer in choices else None

    def of_block(self, _block: RowBlock, made: Mapping[str, Any]) -> Any:
        """Return the positions."""
        return positions_in(made.get(self.choices), made.get(self.answer))


@dataclass(frozen=True)
class IsRight:
    """A score of 1 where a prediction is the right answer, else 0; without one the row is rejected.

    Both are columns made before.
    """

    name: str
    missing: RowError
    gold: str = "gold"
    prediction: str = "prediction"

    def of_row(self, _row: Mapping[str, Any], made: Mapping[str, Any]) -> Any:
        """Return the score."""
        gold = made.get(self.gold)
        if gold is None:
            return self.missing
        return 1.0 if gold == made.get(self.prediction) else 0.0

    def of_block(self, block: RowBlock, made: Mapping[str, Any]) -> Any:
        """Return the scores."""
        gold, prediction = made.get(self.gold), made.get(self.prediction)
        if gold is None or gold.null_count:
            raise NotAlikeError
        if prediction is None:
            prediction = pa.nulls(len(block), pa.string())
        return pc.equal(gold, prediction).fill_null(False).cast(pa.float64())


@dataclass(frozen=True)
class Metadata:
    """Values kept as they are, as JSON in one text."""

    name: str
    paths: Sequence[str]

    def of_row(self, row: Mapping[str, Any], _made: Mapping[str, Any]) -> Any:
        """Return the JSON text."""
        return metadata_json({path: cell(row, path) for path in self.paths})

    def of_block(self, block: RowBlock, _made: Mapping[str, Any]) -> Any:
        """Return the JSON texts, made once for rows with equal values."""
        return metadata_columns(block, self.paths)
