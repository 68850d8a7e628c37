"""Streaming JSON: the rows of a JSON list or of JSON lines, one at a time, with their positions.

A row that cannot be read does not end the file: it comes as a `RowError`, and the rows after it
follow. Time is linear in the file's size and memory is bounded by one row, or by a chunk of small
ones, whatever the rows hold.
"""

from __future__ import annotations

import codecs
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, starmap
from json.scanner import make_scanner
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from errclust_pipeline.sources.base import EXCERPT_CHARACTERS, SourceError
from errclust_pipeline.sources.parsing.archive import open_result_file

MAX_ROW_BYTES = 64 << 20
"""A row longer than this (in a list: as many characters) is not read."""

CHUNK_BYTES = 4 << 20
_FIRST_BYTES = 1 << 18
"""Number of bytes of a file that are read first, row by row: its first rows need no more."""

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WHITE_SPACE = b" \t\r\n"
# Single character classes, each character looked at once: no pattern here can backtrack.
_SEPARATORS = re.compile(r"[ \t\r\n,]*")
_SEPARATOR_BYTES = re.compile(rb"[ \t\r\n,]*")
_STRUCTURE = re.compile(r'["\[\]{}]')
_STRING_END = re.compile(r'["\\]')
_NEWLINE, _OPENING, _CLOSING = b"\n{}"
_INVALID_BYTE = re.compile("[\udc80-\udcff]")

_scan = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]
# Twice as fast, and what it takes it reads as the standard decoder does (unlike others it keeps
# whole numbers of any size). It takes less: no NaN, no lone surrogates.
_decoder = msgspec.json.Decoder()
_decode_fast, _decode_lines = _decoder.decode, _decoder.decode_lines
KEY_COLUMN = "key"
"""Where a row of an object keyed by ids holds its key."""

_CUTS = 3
"""How often a place is looked for up to which a chunk holds whole elements of a list."""
_LONGEST_PAUSE = 31
"""Chunks after which that is tried again at the latest."""


class WrongEncodingError(ValueError):
    """A file that is not in UTF-8."""


def skip_byte_order_mark(stream: io.BufferedReader[Any]) -> None:
    """Skip the mark of UTF-8 at a stream's start, and refuse UTF-16."""
    head = stream.peek(4)[:4]
    if head.startswith(_UTF16):
        raise WrongEncodingError("is in UTF-16: convert it to UTF-8, e.g. with iconv")
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))


@dataclass(frozen=True)
class RowError:
    """What stands in place of a row that cannot be read."""

    reason: str
    detail: str
    excerpt: str | None = None


def rows_of_json_file(path: Path, member: str | None = None) -> Iterator[tuple[int, Any]]:
    """Yield the rows of a plain, gzip or zip file; see `read_json_rows`.

    Raises
    ------
    SourceError
        If the file is missing, damaged, in UTF-16, or decompresses to more than is believable.
    """
    yield from one_by_one(row_blocks_of_json_file(path, member, _FIRST_BYTES))


def row_blocks_of_json_file(
    path: Path, member: str | None = None, first_bytes: int = CHUNK_BYTES
) -> Iterator[tuple[Sequence[int], list[Any]]]:
    """Yield what `rows_of_json_file` yields, many rows at a time: their positions and values.

    Parameters
    ----------
    first_bytes : int
        How much of a file is read first.
    """
    with open_result_file(path, member) as stream:
        try:
            yield from _read_row_blocks(stream, first_bytes)
        except WrongEncodingError as error:
            raise SourceError(f"{path} {error}") from error


def read_json_rows(stream: io.BufferedReader[Any]) -> Iterator[tuple[int, Any]]:
    """Yield the position and value of each row of a JSON list, or of JSON lines.

    Which of the two it is, the first character says. An element of a list is numbered from 0; a
    line has its line number, from 0, and blank lines are no rows. `NaN` and `Infinity` are read.

    Yields
    ------
    tuple of int and any
        The value is a `RowError` where the row cannot be read: `invalid_json`, `invalid_utf8`,
        `nested_too_deeply`, `row_too_large`, and `truncated_file` where the file breaks off.

    Raises
    ------
    WrongEncodingError
        If the file is in UTF-16.
    """
    yield from one_by_one(_read_row_blocks(stream, CHUNK_BYTES))


def one_by_one(blocks: Iterable[tuple[Sequence[int], Sequence[Any]]]) -> Iterator[tuple[int, Any]]:
    """Return an iterator over the positions and values of blocks of rows."""
    # No variable of a loop, which would hold a run until the next one has been read.
    return chain.from_iterable(starmap(zip, blocks))


def _read_row_blocks(
    stream: io.BufferedReader[Any], first_bytes: int
) -> Iterator[tuple[Sequence[int], list[Any]]]:
    skip_byte_order_mark(stream)
    line = 0
    first = b""
    while not first:
        # In pieces: the white space before the first row may be larger than memory.
        ahead = stream.peek(1)
        if not ahead:
            return
        blank = len(ahead) - len(ahead.lstrip(_WHITE_SPACE))
        line += stream.read(blank).count(b"\n")
        first = ahead[blank : blank + 1]
    if first == b"[":
        stream.read(1)
        yield from _ListRows(stream, first_bytes)
    else:
        yield from _read_lines(stream, line, first_bytes)


def read_json_object(
    stream: io.BufferedReader[Any], rows_of: str
) -> Iterator[tuple[str, int, Any]]:
    """Yield the entries of a JSON object, one of them, a list, row by row.

    Parameters
    ----------
    rows_of : str
        The entry that holds the rows, of ``a.b`` the one under b in the object a: a list, or an
        object with a row under each key, which becomes the row's value `KEY_COLUMN`. Empty if the
        file itself is such an object.

    Yields
    ------
    tuple of str, int and any
        An entry's name (its path, in an object that leads to the rows), 0 and its value; of the
        rows, their entry's name and the position and value of each. A value is a `RowError` where
        it cannot be read, as in `read_json_rows`; after a `truncated_file` nothing follows.

    Raises
    ------
    WrongEncodingError
        If the file is in UTF-16.
    """
    skip_byte_order_mark(stream)
    yield from _ObjectEntries(stream, rows_of)


def _read_lines(
    stream: io.BufferedReader[Any], number: int, size: int
) -> Iterator[tuple[Sequence[int], list[Any]]]:
    # In a block no larger than this only the last line can be too long.
    while block := stream.read(min(size, MAX_ROW_BYTES)):
        size = CHUNK_BYTES
        is_too_long = False
        if not block.endswith(b"\n"):
            begun = len(block) - block.rfind(b"\n") - 1
            # One byte more than a row may have, or its end.
            end = stream.readline(MAX_ROW_BYTES + 1 - begun)
            is_too_long = begun + len(end) > MAX_ROW_BYTES and not end.endswith(b"\n")
            block += end
        values = None if is_too_long else _one_a_line(block)
        positions: Sequence[int]
        if values is not None:
            positions = range(number, number + len(values))
            number += len(values)
        else:
            lines = io.BytesIO(block).readlines()
            rows = [
                (number + place, _line(raw))
                for place, raw in enumerate(lines)
                if raw.strip(_WHITE_SPACE)
            ]
            positions, values = [place for place, _ in rows], [value for _, value in rows]
            number += len(lines)
        while is_too_long and (rest := stream.readline(CHUNK_BYTES)):
            is_too_long = not rest.endswith(b"\n")
        yield positions, values


def _one_a_line(block: bytes) -> list[Any] | None:
    """Return the values of lines, all decoded at once; None if not each is one whole object."""
    try:
        values = _decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # The decoder goes by values, not lines. Inside a value no brace is opened right after one that
    # closes, so these ends of lines stand between two.
    content = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(content[:-1] == _NEWLINE)
    is_one_a_line = (
        len(ends) == len(values) - 1
        and (content[ends - 1] == _CLOSING).all()
        and (content[ends + 1] == _OPENING).all()
        and block.startswith(b"{")
        and block.endswith((b"}\n", b"}"))
    )
    return list(values) if is_one_a_line else None


def _line(raw: bytes) -> Any:
    if len(raw) > MAX_ROW_BYTES and not raw.endswith(b"\n"):
        return _too_large(raw[:EXCERPT_CHARACTERS].decode("utf-8", "replace"))
    row = parse_json_row(raw)
    if isinstance(row, RowError) and row.reason == "invalid_json" and not raw.endswith(b"\n"):
        detail = f"the file breaks off in this line ({row.detail}): fetch it again"
        return RowError("truncated_file", detail, row.excerpt)
    return row


def parse_json_row(raw: bytes) -> Any:
    """Return the value of a JSON text, or a `RowError` as `read_json_rows` gives it."""
    try:
        return _decode_fast(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # What it refuses, the standard decoder may take, or tells what is wrong with.
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return _invalid_utf8(raw[:EXCERPT_CHARACTERS].decode("utf-8", "replace"), str(error))
    return _parse(text)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        detail = "lists or objects stand inside each other more deeply than can be read"
        return RowError("nested_too_deeply", detail, text[:EXCERPT_CHARACTERS])
    except ValueError as error:  # JSONDecodeError, or a whole number of thousands of digits
        return RowError("invalid_json", f"not valid JSON: {error}", text[:EXCERPT_CHARACTERS])


class _Elements:
    """The elements of a JSON list or object, decoded one by one from a stream.

    Most elements are decoded straight from the buffer by the standard decoder. An element that
    it fails on is incomplete or faulty, and only looking for its end tells which; that search
    never goes back, so no character is looked at more than a few times.
    """

    def __init__(self, stream: io.BufferedReader[Any], ends: str, first_bytes: int) -> None:
        self._stream = stream
        self._next_bytes = first_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._buffer = ""
        self._start = 0
        self._ended = False
        self._any_invalid = False
        # Whether a chunk has just been added: of the next one, many may be decoded at once.
        self._many = False
        # So many chunks are passed over before that is tried again, and are left to be.
        self._pause = self._waits = 0
        # What may stand after an element; anything else is glued to it, e.g. 12abc or {}{}.
        self._ends = " \t\r\n" + ends
        self._broken_off = False

    def _next_character(self) -> str:
        """Skip to the next element and return its first character; empty at the file's end."""
        while True:
            self._start = _SEPARATORS.match(self._buffer, self._start).end()  # type: ignore[union-attr]
            if self._start < len(self._buffer):
                return self._buffer[self._start]
            if not self._more():
                return ""

    def _element(self) -> Any:
        """Return the element at the start, or a `RowError`; set `_broken_off` if it has no end."""
        value, end = self._decode()
        if end < 0:
            return self._decode_slowly()
        self._start = end
        return value

    def _rows(self) -> Iterator[tuple[range, list[Any]]]:
        """Yield the elements of a list, from after its opening to after its closing bracket.

        Those that stand in a chunk of the file come at once, with their numbers.
        """
        number = 0
        values: list[Any] = []
        self._many = True
        while not self._broken_off:
            if self._many:
                following = number + len(values)
                if values:
                    yield range(number, following), values
                # Nothing is held of it while the next chunk is decoded.
                number, values = following, []
                values = self._read_many()
                continue
            first = self._next_character()
            if first == "]":
                self._start += 1
                break
            if first:
                values.append(self._element())
            elif not self._many:
                self._broken_off = True
                values.append(_truncated("after this row the closing bracket is missing"))
        if values:
            yield range(number, number + len(values)), values

    def _read_many(self) -> list[Any]:
        """Add a chunk and decode the elements that are whole then, all at once; none if that fails.

        They end at a brace before a comma. If that stands inside a text or another element, what
        is cut off there is no list, and the decoder says so. The bytes are decoded as they are:
        only the rest of the chunk becomes text. Where it failed, it is tried less and less often,
        as rows may always hold others' ends.
        """
        if self._waits:
            self._waits -= 1
            self._many = False
            return []
        raw = self._read()
        begun, _ = self._decoder.getstate()
        self._decoder.reset()
        kept = self._buffer[self._start :].encode("utf-8", "surrogateescape")
        chunk = b"".join((kept, begun, raw))
        start = _SEPARATOR_BYTES.match(chunk).end()  # type: ignore[union-attr]
        found, cut = _whole_elements(chunk, start)
        self._buffer = self._decoder.decode(chunk[cut:], final=self._ended)
        self._start = 0
        self._any_invalid = _has_invalid_byte(self._buffer)
        self._many = bool(found)
        self._pause = 0 if found else min(2 * self._pause + 1, _LONGEST_PAUSE)
        self._waits = self._pause
        return found

    def _decode(self) -> tuple[Any, int]:
        """Decode the element at the start; end -1 if it is faulty or not all there."""
        try:
            value, end = _scan(self._buffer, self._start)
        except (StopIteration, ValueError, RecursionError):
            return None, -1
        # At the buffer's end a number may go on in the next chunk.
        if end == len(self._buffer) and not isinstance(value, dict | list | str):
            return None, -1
        if end < len(self._buffer) and self._buffer[end] not in self._ends:
            return None, -1
        if self._any_invalid and (bad := _INVALID_BYTE.search(self._buffer, self._start, end)):
            excerpt = self._buffer[self._start : self._start + EXCERPT_CHARACTERS]
            return _invalid_utf8(excerpt, f"byte 0x{ord(bad[0]) - 0xDC00:02x}"), end
        return value, end

    def _decode_slowly(self) -> Any:
        """Find the element's end first, reading on as needed."""
        pieces = _ElementEnd(self._ends)
        kept: list[str] = []
        size = 0
        while True:
            end = pieces.search(self._buffer, self._start)
            piece = self._buffer[self._start : end]
            size += len(piece)
            # An element too large is followed to its end but not kept.
            if size <= MAX_ROW_BYTES or not kept:
                kept.append(piece)
            elif len(kept) > 1:
                kept = [kept[0][:EXCERPT_CHARACTERS]]
            self._start = end
            if pieces.complete:
                break
            if not self._more():
                self._broken_off = True
                return _truncated("it ends inside this row", "".join(kept)[:EXCERPT_CHARACTERS])
        if size > MAX_ROW_BYTES:
            return _too_large(kept[0][:EXCERPT_CHARACTERS])
        text = "".join(kept)
        # Not by `_any_invalid`, which tells of the last chunk only.
        if _has_invalid_byte(text) and (bad := _INVALID_BYTE.search(text)):
            return _invalid_utf8(text[:EXCERPT_CHARACTERS], f"byte 0x{ord(bad[0]) - 0xDC00:02x}")
        return _parse(text)

    def _more(self) -> bool:
        """Drop what has been used and add a chunk; False at the end of the file."""
        if self._ended:
            return False
        raw = self._read()
        text = self._decoder.decode(raw, final=self._ended)
        kept = self._buffer[self._start :]
        # Looked for once a chunk, so that clean files pay nothing for it in each row.
        self._any_invalid = _has_invalid_byte(text) or (self._any_invalid and bool(kept))
        self._buffer = kept + text
        self._start = 0
        self._many = True
        return bool(text) or not self._ended

    def _read(self) -> bytes:
        """Return the file's next part, empty at its end."""
        raw = b"" if self._ended else self._stream.read(self._next_bytes)
        self._next_bytes = CHUNK_BYTES
        self._ended = not raw
        return raw


def _whole_elements(chunk: bytes, start: int) -> tuple[list[Any], int]:
    """Decode the elements of a list that a chunk holds whole; return them and where they end."""
    cut = len(chunk)
    for _ in range(_CUTS):
        cut = chunk.rfind(b"},", start, cut) + 1
        if not cut:
            break
        with suppress(msgspec.DecodeError, UnicodeError, RecursionError):
            return list(_decode_fast(b"".join((b"[", memoryview(chunk)[start:cut], b"]")))), cut
    return [], 0


def _has_invalid_byte(text: str) -> bool:
    return not text.isascii() and _INVALID_BYTE.search(text) is not None


class _ListRows(_Elements):
    """The rows of a JSON list, from the character after its opening bracket."""

    def __init__(self, stream: io.BufferedReader[Any], first_bytes: int) -> None:
        super().__init__(stream, ",]", first_bytes)

    def __iter__(self) -> Iterator[tuple[Sequence[int], list[Any]]]:
        following = 0
        for block in self._rows():
            following = block[0].stop
            yield block
            del block
        if self._broken_off:
            return
        while True:
            rest = self._buffer[self._start :].strip(" \t\r\n")
            if rest:
                detail = "more follows after the list's closing bracket, and was not read"
                yield [following], [RowError("trailing_data", detail, rest[:EXCERPT_CHARACTERS])]
                return
            self._start = len(self._buffer)
            if not self._more():
                return


class _ObjectEntries(_Elements):
    """The entries of a JSON object, from its opening brace; see `read_json_object`."""

    def __init__(self, stream: io.BufferedReader[Any], rows_of: str) -> None:
        super().__init__(stream, ",]}:", _FIRST_BYTES)
        self._rows_of = rows_of

    def __iter__(self) -> Iterator[tuple[str, int, Any]]:
        if self._next_character() != "{":
            yield "", 0, RowError("not_an_object", "the file does not begin with an object")
            return
        yield from self._entries("")

    def _entries(self, prefix: str) -> Iterator[tuple[str, int, Any]]:
        """Yield the entries of the object that begins at the start."""
        self._start += 1
        number = 0
        while (first := self._next_character()) != "}":
            name = self._element() if first == '"' else None
            between = self._next_character()
            if not between:
                self._broken_off = True
                yield "", 0, _truncated("an entry has no value")
                return
            if not isinstance(name, str) or between != ":":
                self._broken_off = True
                detail = "not valid JSON: an entry of the object has no name"
                yield "", 0, RowError("invalid_json", detail)
                return
            self._start += 1
            first = self._next_character()
            path = f"{prefix}{name}"
            if prefix == (f"{self._rows_of}." if self._rows_of else ""):
                # The rows are the entries of an object, each under its key.
                yield self._rows_of, number, _keyed(name, self._element())
                number += 1
            elif path == self._rows_of and first == "[":
                self._start += 1
                for position, value in one_by_one(self._rows()):
                    yield path, position, value
            elif first == "{" and f"{self._rows_of}.".startswith(f"{path}."):
                yield from self._entries(f"{path}.")
            else:
                yield path, 0, self._element()
            if self._broken_off:
                return
        self._start += 1


def _keyed(key: str, value: Any) -> Any:
    """Return an entry of an object as a row that holds its key too."""
    if isinstance(value, RowError):
        return value
    return {KEY_COLUMN: key, **(value if isinstance(value, dict) else {"value": value})}


class _ElementEnd:
    """Finds where an element of a list ends, over any number of pieces of text."""

    def __init__(self, ends: str) -> None:
        self.complete = False
        self._scalar_end = re.compile(f"[{re.escape(ends)}]")
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self._started = False
        self._scalar = False

    def search(self, text: str, at: int) -> int:
        """Return the end of the element in this piece, or the piece's end, and set `complete`."""
        if not self._started and at < len(text):
            self._started = True
            self._scalar = text[at] not in '"[{'
            if self._scalar:
                at += 1  # Even if it is a stray brace or colon: nothing is stepped on twice.
        if self._scalar:
            match = self._scalar_end.search(text, at)
            self.complete = match is not None
            return match.start() if match else len(text)
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            match = (_STRING_END if self._in_string else _STRUCTURE).search(text, at)
            if match is None:
                return len(text)
            at = match.end()
            mark = match[0]
            if mark == "\\":
                self._escaped = True
            elif mark == '"':
                self._in_string = not self._in_string
            else:
                self._depth += 1 if mark in "[{" else -1
            if self._depth <= 0 and not self._in_string and not self._escaped:
                self.complete = True
                return at
        return at


def _too_large(excerpt: str) -> RowError:
    detail = f"the row is longer than {MAX_ROW_BYTES >> 20} MiB: shorten the texts in it"
    return RowError("row_too_large", detail, excerpt)


def _truncated(where: str, excerpt: str | None = None) -> RowError:
    detail = f"the file breaks off ({where}): the rows before were read; fetch the file again"
    return RowError("truncated_file", detail, excerpt)


def _invalid_utf8(excerpt: str, detail: str) -> RowError:
    detail = f"the row is not valid UTF-8 ({detail}): convert the file to UTF-8"
    return RowError("invalid_utf8", detail, excerpt)
