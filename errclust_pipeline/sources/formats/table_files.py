"""The files of tables: CSV, TSV, JSON, Parquet and Arrow, alone or as a dataset's shards.

Every format gives rows as dictionaries, with their positions in the file; a row that cannot be read
comes as a `RowError`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError
from errclust_pipeline.sources.parsing.archive import open_result_file
from errclust_pipeline.sources.parsing.json_stream import (
    CHUNK_BYTES,
    MAX_ROW_BYTES,
    RowError,
    WrongEncodingError,
    one_by_one,
    read_json_object,
    row_blocks_of_json_file,
    rows_of_json_file,
    skip_byte_order_mark,
)
from errclust_pipeline.sources.parsing.row_blocks import ArrowRowBlock, ParsedRowBlock, RowBlock
from errclust_pipeline.sources.parsing.rows import files_below

if TYPE_CHECKING:
    from errclust_pipeline.sources.formats.table_join import Join

_CSV = (".csv", ".csv.gz", ".csv.zst")
_TSV = (".tsv", ".tsv.gz", ".tsv.zst")
_JSON = (".json", ".json.gz", ".json.zst")
_JSON_LINES = tuple(
    f".{kind}{packed}" for kind in ("jsonl", "ndjson") for packed in ("", ".gz", ".zst")
)
Wanted: TypeAlias = "Iterable[str] | Callable[[str], bool]"
"""The names of columns, or a function that says by a name whether the column is read."""

_PARQUET = (".parquet",)
_ARROW = (".arrow", ".feather")
TABLE_ENDINGS = (*_CSV, *_TSV, *_JSON, *_JSON_LINES, *_PARQUET, *_ARROW)
"""Endings of the files that are read as tables."""
_INVALID_BYTE = re.compile("[\udc80-\udcff]")
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_ROWS_THAT_NAME_COLUMNS = 2_000
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'
_MOST_COLUMNS = 10_000
_LARGEST_LOOKED_INTO = 64 << 20
_DEEPEST_COLUMN = 5

# As the hub names the shards of a split, and as `datasets` names those of a saved dataset.
_SHARD = re.compile(r"(.+?)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?\.\w+(?:\.gz|\.zst)?")
# As the hub names them after converting a dataset to Parquet: <configuration>/<split>/0000.parquet.
_EXPORTED_SHARD = re.compile(r"(\d{4})\.parquet")
_SAVED_DATASET = ("state.json", "dataset_info.json")

# The module's limit on a field is small (128 KiB) and holds for the whole process; responses are
# longer. The reader's own limit, on a row, is what bounds memory.
csv.field_size_limit(MAX_ROW_BYTES)


@dataclass(frozen=True)
class Table:
    """A table: one file, or the shards of one split of a dataset.

    Attributes
    ----------
    name : str
        What the file or dataset is called.
    files : tuple of Path
        In the order of the rows.
    split : str or None
        The split of a dataset; None of a file of its own.
    dataset : Path or None
        The folder that the splits of one dataset lie in.
    rows : str or None
        Where the records stand in a file that is one JSON object; see `row_blocks_of_table`.
    join : Join or None
        A second file that rows are joined with.
    """

    name: str
    files: tuple[Path, ...]
    split: str | None = None
    dataset: Path | None = None
    rows: str | None = None
    join: Join | None = None

    @property
    def all_files(self) -> tuple[Path, ...]:
        """The table's files, and last the one that is joined, if there is one."""
        return self.files if self.join is None else (*self.files, self.join.file)

    @property
    def path(self) -> Path:
        """What messages name: the file, or the folder of several."""
        return self.files[0] if len(self.files) == 1 else self.files[0].parent


def is_json(path: Path) -> bool:
    """Whether a file is JSON by its ending: few such files are tables."""
    return path.name.lower().endswith(_JSON)


def tables_at(path: Path) -> list[Table]:
    """List the tables in a file or folder, by the files' endings and names.

    Raises
    ------
    SourceError
        If shards of a dataset are missing.
    """
    found: dict[tuple[str, Path], list[tuple[int, int, Path]]] = {}
    tables: dict[tuple[str, Path], Table] = {}
    for file in files_below(path) if path.is_dir() else [path]:
        table, shard, shards = _place(file)
        if table is None:
            continue
        key = (table.split or "", table.dataset or file)
        tables[key] = table
        found.setdefault(key, []).append((shard, shards, file))
    return [_whole(path, tables[key], files) for key, files in found.items()]


def _whole(path: Path, table: Table, shards: list[tuple[int, int, Path]]) -> Table:
    shards = sorted(shards)
    there = {number for number, _, _ in shards}
    counts = {count for _, count, _ in shards}
    if len(there) < len(shards) or len(counts) > 1:
        raise SourceError(f"{table.dataset} holds shards of several versions: keep one of them")
    expected = max(*counts, max(there) + 1)
    missing = next((number for number in range(expected) if number not in there), None)
    if missing is not None:
        remedy = "fetch it" if path.is_dir() else "give the folder they lie in"
        raise SourceError(
            f"{path} is not whole: shard {missing} of {expected} of {table.name} is not there "
            f"({remedy})"
        )
    return Table(table.name, tuple(file for _, _, file in shards), table.split, table.dataset)


def _place(file: Path) -> tuple[Table | None, int, int]:
    """Return the table that a file belongs to, which shard of it, and of how many; 0 if unsaid."""
    lower = file.name.lower()
    if not lower.endswith(_CSV + _TSV + _JSON + _JSON_LINES + _PARQUET + _ARROW):
        return None, 0, 0
    folder = file.parent
    match = _SHARD.fullmatch(file.name)
    if lower.endswith(_ARROW) and all((folder / name).is_file() for name in _SAVED_DATASET):
        if match is None:
            return None, 0, 0  # What `datasets` keeps beside a dataset, e.g. cache-….arrow.
        in_splits = (folder.parent / "dataset_dict.json").is_file()
        dataset = folder.parent if in_splits else folder
        table = Table(dataset.name, (), folder.name if in_splits else None, dataset)
    elif match is not None:
        name = folder.parent.name if folder.name == "data" else folder.name
        table = Table(name or match[1], (), match[1], folder)
    elif exported := _EXPORTED_SHARD.fullmatch(file.name):
        table = Table(folder.parent.name or folder.name, (), folder.name, folder.parent)
        return table, int(exported[1]), 0
    else:
        return Table(file.name.split(".")[0] or file.name, ()), 0, 1
    return table, int(match[2]), int(match[3])


def column_names(path: Path, rows: str | None = None) -> list[str]:
    """Return the names of a file's columns; of what is in a column of objects, as ``column.key``.

    Parameters
    ----------
    rows : str, optional
        Where the records stand in a file that is one JSON object.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    lower = path.name.lower()
    if lower.endswith(_PARQUET + _ARROW):
        return list(_names_in_schema(arrow_schema(path)))
    if lower.endswith(_CSV + _TSV):
        with open_result_file(path) as stream:
            return _header(path, _csv_lines(path, stream), _delimiter(path))
    # Rows may leave out what they do not have; a few thousand show all the columns there are.
    names: dict[str, None] = {}
    records = rows_of_json_file(path) if rows is None else _rows_inside(path, rows)
    for _, (_, row) in zip(range(_ROWS_THAT_NAME_COLUMNS), records, strict=False):
        if isinstance(row, dict):
            _add_names(names, row, "", 1)
    return list(names)


def _add_names(names: dict[str, None], row: Mapping[str, Any], prefix: str, depth: int) -> None:
    for name, value in row.items():
        if len(names) >= _MOST_COLUMNS:
            return
        names[prefix + name] = None
        if isinstance(value, dict) and depth < _DEEPEST_COLUMN:
            _add_names(names, value, f"{prefix}{name}.", depth + 1)


def _names_in_schema(fields: Iterable[pa.Field], prefix: str = "", depth: int = 1) -> Iterator[str]:
    for field in fields:
        yield prefix + field.name
        if pa.types.is_struct(field.type) and depth < _DEEPEST_COLUMN:
            inner = [field.type.field(number) for number in range(field.type.num_fields)]
            yield from _names_in_schema(inner, f"{prefix}{field.name}.", depth + 1)


def label_names(path: Path, column: str) -> list[str] | None:
    """Return the names of a column's class labels, in their order, if the file states them.

    Parquet and Arrow files that `datasets` wrote do; no other format can.
    """
    if not path.name.lower().endswith(_PARQUET + _ARROW):
        return None
    metadata = arrow_schema(path).metadata or {}
    try:
        feature = json.loads(metadata.get(b"huggingface", b""))["info"]["features"]
        for name in column.split(".") if column not in feature else [column]:
            feature = feature[name]
        names = feature["names"] if feature["_type"] == "ClassLabel" else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_list_of_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_list_of_names and names else None


def rows_of_table(path: Path, columns: Iterable[str]) -> Iterator[tuple[int, Any]]:
    """Yield the position and value of each row of a file: a dictionary, or a `RowError`.

    Parameters
    ----------
    columns : iterable of str
        The columns that are needed; rows may have more.

    Raises
    ------
    SourceError
        If the file is missing or damaged.
    """
    return _one_by_one(row_blocks_of_table(path, columns))


def row_blocks_of_table(path: Path, columns: Wanted, rows: str | None = None) -> Iterator[RowBlock]:
    """Yield what `rows_of_table` yields, many rows at a time.

    Parameters
    ----------
    rows : str, optional
        Where the records stand in a file that is one JSON object: the path of a list, or of an
        object with a record under each key; ``.`` if the file is that object. A record then has its
        key in the column ``key``.

    Raises
    ------
    SourceError
        If the file is missing or damaged, or holds no records there.
    """
    lower = path.name.lower()
    if rows is not None:
        yield from _row_blocks_inside(path, rows)
    elif lower.endswith(_PARQUET):
        yield from _parquet_row_blocks(path, _outermost(path, columns))
    elif lower.endswith(_ARROW):
        yield from _arrow_row_blocks(path, _outermost(path, columns))
    elif lower.endswith(_CSV + _TSV):
        yield from _csv_row_blocks(path, _delimiter(path))
    else:
        for positions, values in row_blocks_of_json_file(path):
            is_plain = set(map(type, values)) == {dict}
            objects = values if is_plain else list(map(_object, values))
            yield ParsedRowBlock(str(path), positions, objects)


def _row_blocks_inside(path: Path, rows: str) -> Iterator[RowBlock]:
    records = _rows_inside(path, rows)
    while part := list(islice(records, BATCH_ROWS)):
        positions = [position for position, _ in part]
        yield ParsedRowBlock(str(path), positions, [_object(value) for _, value in part])


def _rows_inside(path: Path, rows: str) -> Iterator[tuple[int, Any]]:
    """Yield the records that stand under a path inside a file that is one JSON object."""
    if not path.name.lower().endswith(_JSON):
        raise SourceError(f"{path}: rows is for a file that is one JSON object (.json)")
    wanted = "" if rows == "." else rows
    number = 0
    with open_result_file(path) as stream:
        try:
            for name, position, value in read_json_object(stream, wanted):
                if isinstance(value, RowError) and name != wanted:
                    yield number, value
                elif name == wanted:
                    number = position + 1
                    yield position, value
        except WrongEncodingError as error:
            raise SourceError(f"{path} {error}") from error
    if not number:
        places = ", ".join(places_of_records(path)) or "none"
        raise SourceError(
            f"{path} holds no records at rows: {rows}. Lists of objects in it: {places}"
        )


def places_of_records(path: Path) -> list[str]:
    """List where a file that is one JSON object holds lists of objects."""
    try:
        with open_result_file(path) as stream:
            content = stream.read(_LARGEST_LOOKED_INTO + 1)
        whole = json.loads(content) if len(content) <= _LARGEST_LOOKED_INTO else None
    except (SourceError, ValueError, RecursionError):
        return []
    return list(_places_of_records(whole, "", 1)) if isinstance(whole, dict) else []


def _places_of_records(value: Mapping[str, Any], prefix: str, depth: int) -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            yield f"{prefix}{name}"
        elif isinstance(inner, dict) and depth < _DEEPEST_COLUMN:
            yield from _places_of_records(inner, f"{prefix}{name}.", depth + 1)


def _one_by_one(row_blocks: Iterable[RowBlock]) -> Iterator[tuple[int, Any]]:
    yield from one_by_one((row_block.positions, row_block.rows()) for row_block in row_blocks)


def _object(row: Any) -> dict[str, Any] | RowError:
    if isinstance(row, dict | RowError):
        return row
    return RowError("not_an_object", f"the row is a {type(row).__name__}")


def _delimiter(path: Path) -> str:
    return "\t" if path.name.lower().endswith(_TSV) else ","


def _outermost(path: Path, columns: Wanted) -> list[str]:
    there = dict.fromkeys(arrow_schema(path).names)
    if callable(columns):
        return list(filter(columns, there))
    needed = {name if name in there else name.partition(".")[0] for name in columns}
    return sorted(needed & there.keys())


class _CsvLines:
    """The lines of a CSV file for the csv module, in bounded memory, and what was wrong in them.

    Also the file in blocks, which may be put back in whole or in part: lines are then taken from
    there.
    """

    def __init__(self, stream: io.BufferedReader[Any]) -> None:
        skip_byte_order_mark(stream)
        self._stream = stream
        self._ahead = io.BytesIO()
        self.lines = 0
        self.start_row()

    def start_row(self) -> None:
        """Forget what was noted of the row before."""
        self.too_large = False
        self.invalid = False
        self._size = 0
        self._quotes = 0

    def block(self) -> bytes:
        """Return what was put back, and a chunk of the file after it."""
        return self._ahead.read() + self._stream.read(CHUNK_BYTES)

    def put_back(self, block: bytes) -> None:
        """Put back what was not used of a block, or all of it."""
        self._ahead = io.BytesIO(block)

    def any_ahead(self) -> bool:
        """Whether lines are left of what was put back."""
        return self._ahead.tell() < len(self._ahead.getbuffer())

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        raw = self._readline(MAX_ROW_BYTES + 1)
        if not raw:
            raise StopIteration
        # A row may go on over many lines inside quotes.
        self._size += len(raw)
        self._quotes += raw.count(b'"')
        if self._size > MAX_ROW_BYTES:
            self.too_large = True
            # Its end is the end of a line by which every quote is closed.
            while raw and not (raw.endswith(b"\n") and self._quotes % 2 == 0):
                raw = self._readline(CHUNK_BYTES)
                self._quotes += raw.count(b'"')
            raise csv.Error(f"the row is longer than {MAX_ROW_BYTES >> 20} MiB: shorten its texts")
        self.lines += 1
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.invalid = True
            return raw.decode("utf-8", "surrogateescape")

    def _readline(self, most_bytes: int) -> bytes:
        line = self._ahead.readline(most_bytes)
        if line.endswith(b"\n") or len(line) == most_bytes:
            return line
        return line + self._stream.readline(most_bytes - len(line))


def _csv_lines(path: Path, stream: io.BufferedReader[Any]) -> _CsvLines:
    try:
        return _CsvLines(stream)
    except WrongEncodingError as error:
        raise SourceError(f"{path} {error}") from error


def _header(path: Path, lines: _CsvLines, delimiter: str) -> list[str]:
    try:
        header = next(csv.reader(lines, delimiter=delimiter), None)
    except csv.Error as error:
        raise SourceError(
            f"{path}: its first line is not the names of columns ({error})"
        ) from error
    if not header:
        raise SourceError(f"{path} is empty, or its first line: expected the names of columns")
    if lines.invalid:
        raise SourceError(f"{path}: its first line is not valid UTF-8: convert it to UTF-8")
    return header


def _csv_row_blocks(path: Path, delimiter: str) -> Iterator[RowBlock]:
    """Yield the rows of a CSV file: a block of it by Arrow, where that reads it as `csv` does."""
    with open_result_file(path) as stream:
        lines = _csv_lines(path, stream)
        header = _header(path, lines, delimiter)
        lines.lines = 0
        position = 0
        while block := lines.block():
            size = regular_bytes(block, delimiter)
            batch = _parsed_block(memoryview(block)[:size], header, delimiter) if size else None
            if batch is None:
                lines.put_back(block)
                values = list(_csv_block(lines, header, delimiter))
                row_block: RowBlock = ParsedRowBlock(
                    str(path), range(position, position + len(values)), values
                )
            else:
                lines.put_back(block[size:])
                newlines = np.frombuffer(block, np.uint8, size) == _NEWLINE
                lines.lines += int(np.count_nonzero(newlines))
                row_block = ArrowRowBlock(
                    str(path), range(position, position + batch.num_rows), batch, True
                )
            position += len(row_block)
            yield row_block


def regular_bytes(block: bytes, delimiter: str) -> int:
    """Return how many bytes of a block are whole rows that any reader of CSV reads alike.

    In them every quote opens or closes a field, or is one of two that stand for one inside a
    quoted field; a line ends with a newline, or a carriage return and one. 0 if there are others,
    or if not one row ends in the block.
    """
    content = np.frombuffer(block, np.uint8)
    quotes = np.flatnonzero(content == _QUOTE)
    size = _whole_rows(block, quotes)
    if not size:
        return 0
    quotes = quotes[quotes < size]
    opening, closing = quotes[0::2], quotes[1::2]
    before = content[opening - 1]
    after = content[closing + 1]
    separator = ord(delimiter)
    opens = (before == separator) | (before == _NEWLINE) | (before == _QUOTE) | (opening == 0)
    closes = (after == separator) | (after == _NEWLINE) | (after == _RETURN) | (after == _QUOTE)
    returns = np.flatnonzero(content[:size] == _RETURN) if b"\r" in block else quotes[:0]
    is_regular = (
        opens.all()
        and closes.all()
        and (content[returns + 1] == _NEWLINE).all()
        and block.find(b"\0", 0, size) < 0
    )
    return size if is_regular else 0


def _whole_rows(block: bytes, quotes: npt.NDArray[np.integer]) -> int:
    """Return where the last newline outside quotes ends; 0 if there is none."""
    pairs = len(quotes) // 2
    end = len(block) if len(quotes) == 2 * pairs else quotes[-1]
    for pair in reversed(range(pairs)):
        newline = block.rfind(b"\n", quotes[2 * pair + 1], end)
        if newline >= 0:
            return newline + 1
        end = quotes[2 * pair]
    return block.rfind(b"\n", 0, end) + 1


def _parsed_block(block: memoryview, header: list[str], delimiter: str) -> pa.RecordBatch | None:
    """Return the columns of rows that are regular, as text; None if one is not as it should be."""
    if len(header) == 1 or len(set(header)) < len(header):
        return None
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(block),
            pa_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=header),
            pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowException:
        return None
    [batch] = table.combine_chunks().to_batches() or [None]
    return batch


def _csv_block(
    lines: _CsvLines, header: list[str], delimiter: str
) -> Iterator[dict[str, str] | RowError]:
    """Yield the rows that begin in what was put back; a `RowError` where one is unreadable."""
    reader = csv.reader(lines, delimiter=delimiter)
    while lines.any_ahead():
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = "row_too_large" if lines.too_large else "invalid_csv"
            yield RowError(reason, f"near line {lines.lines + 1}: {error}")
        else:
            if row:
                yield _csv_row(row, header, lines)
        lines.start_row()


def _csv_row(row: list[str], header: list[str], lines: _CsvLines) -> dict[str, str] | RowError:
    shown = ",".join(row)
    if lines.invalid and _INVALID_BYTE.search(shown):
        return RowError("invalid_utf8", "the row is not valid UTF-8: convert the file", shown)
    if len(row) != len(header):
        detail = f"the row has {len(row)} fields, expected {len(header)}: quote texts with commas"
        return RowError("wrong_field_count", detail, shown)
    return dict(zip(header, row, strict=True))


def arrow_schema(path: Path) -> pa.Schema:
    """Return the schema of a Parquet or Arrow file.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    if path.name.lower().endswith(_PARQUET):
        with _parquet(path) as file:
            schema = file.schema_arrow
    else:
        with _arrow(path) as file:
            schema = file.schema
    with _told(path):
        list(_names_in_schema(schema))  # Names that are no UTF-8 fail when they are asked for.
    return schema


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is not a Parquet file that can be read: {error}") from error


def parquet_rows(path: Path, columns: list[str]) -> Iterator[tuple[int, Any]]:
    """Yield the position and some columns of each row of a Parquet file."""
    return _one_by_one(_parquet_row_blocks(path, columns))


def _parquet_row_blocks(path: Path, columns: list[str]) -> Iterator[RowBlock]:
    with _parquet(path) as file, _told(path):
        yield from _numbered(path, file.iter_batches(batch_size=BATCH_ROWS, columns=columns))


def _numbered(path: Path, batches: Iterable[pa.RecordBatch]) -> Iterator[RowBlock]:
    position = 0
    for batch in batches:
        following = position + batch.num_rows
        yield ArrowRowBlock(str(path), range(position, following), batch)
        position = following


@contextmanager
def _arrow(path: Path) -> Iterator[Any]:
    """Open an Arrow file of either form: with a footer (Feather), or a stream (`datasets`)."""
    try:
        with pa.memory_map(str(path)) as source:
            try:
                file = pa.ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                file = pa.ipc.open_stream(source)
            yield file
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not an Arrow file that can be read: {error}") from error


def _arrow_row_blocks(path: Path, columns: list[str]) -> Iterator[RowBlock]:
    rows = 0
    with _arrow(path) as file, _told(path):
        is_stream = isinstance(file, pa.RecordBatchStreamReader)
        batches = file if is_stream else (file.get_batch(n) for n in range(file.num_record_batches))
        pieces = (piece for batch in batches for piece in _pieces(_selected(batch, columns)))
        for row_block in _numbered(path, pieces):
            rows += len(row_block)
            yield row_block
    with path.open("rb") as ending:
        ending.seek(max(path.stat().st_size - len(_END_OF_STREAM), 0))
        if is_stream and ending.read() != _END_OF_STREAM:
            detail = "the file breaks off after this row: fetch it again"
            yield ParsedRowBlock(str(path), [rows], [RowError("truncated_file", detail)])


def _selected(batch: pa.RecordBatch, columns: list[str]) -> pa.RecordBatch:
    # Columns are selected by place: several may have one name, which makes their rows unreadable.
    places = [place for place, name in enumerate(batch.schema.names) if name in columns]
    return batch.select(places)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    # What is damaged here would be read from outside the file.
    batch.validate(full=True)
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is damaged ({error}): fetch it again") from error
