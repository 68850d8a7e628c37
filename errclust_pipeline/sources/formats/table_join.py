"""Joining a table of results with a second file by a key: prompts, answers or categories by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.sources.formats.table_files import (
    column_names,
    row_blocks_of_table,
    rows_of_table,
)
from errclust_pipeline.sources.parsing.row_blocks import ParsedRowBlock, RowBlock, cell
from errclust_pipeline.sources.parsing.rows import text_of

JOINED = "joined"
"""Under this name a row holds the row of the second file with the same key."""

_MOST_ROWS = 1_000_000
"""Maximum number of rows of the second file, which is held in memory."""


@dataclass(frozen=True)
class Join:
    """A second file, and the columns that hold the key in both.

    Attributes
    ----------
    file : Path
        The second file, a table of any kind.
    left, right : str
        The key's column in the table of results, and in the second file.
    """

    file: Path
    left: str
    right: str

    @classmethod
    def of_options(cls, given: Any, folder: Path) -> Join | None:
        """Read option ``join``; a relative path is taken from the folder of the results.

        Raises
        ------
        SourceError
            If the option cannot be used, or the file is not there.
        """
        if given is None:
            return None
        if not isinstance(given, Mapping) or not isinstance(given.get("file"), str):
            raise SourceError(f"option join is {given!r}: expected file and on")
        left, right = (given.get(side) or given.get("on") for side in ("left", "right"))
        if not isinstance(left, str) or not isinstance(right, str):
            raise SourceError("option join names no key: say it with on, or with left and right")
        file = folder / given["file"]
        if not file.is_file():
            raise SourceError(f"{file}, which option join names, does not exist")
        return cls(file, left, right)

    @property
    def names(self) -> list[str]:
        """The columns that rows get by the join."""
        return [f"{JOINED}.{name}" for name in column_names(self.file)]

    @cached_property
    def rows(self) -> dict[str, Mapping[str, Any]]:
        """The rows of the second file by their key.

        Raises
        ------
        SourceError
            If a key stands there twice, or there are too many rows.
        """
        by_key: dict[str, Mapping[str, Any]] = {}
        for position, row in rows_of_table(self.file, self._columns):
            key = text_of(cell(row, self.right)) if isinstance(row, Mapping) else None
            if key is None:
                continue
            if key in by_key:
                raise SourceError(
                    f"{self.file}: {self.right} {key[:100]!r} stands in row {position} and in an "
                    "earlier one: a join needs one row for each key"
                )
            if len(by_key) >= _MOST_ROWS:
                raise SourceError(f"{self.file} has more than {_MOST_ROWS:,} rows: split it")
            by_key[key] = row
        if not by_key:
            raise SourceError(f"{self.file} has no row with a value in {self.right!r}")
        return by_key

    @cached_property
    def _columns(self) -> list[str]:
        return column_names(self.file)

    def joined(self, blocks: Iterable[RowBlock]) -> Iterator[RowBlock]:
        """Yield blocks whose rows hold the row of the second file too."""
        for block in blocks:
            rows = [
                {**row, JOINED: self.rows.get(text_of(cell(row, self.left)) or "")}
                if isinstance(row, Mapping)
                else row
                for row in block.rows()
            ]
            yield ParsedRowBlock(block.source, block.positions, rows)


def blocks_of(
    files: Iterable[Path], columns: list[str], rows: str | None, join: Join | None
) -> Iterator[RowBlock]:
    """Yield the rows of a table's files, joined if there is a second file."""
    for file in files:
        if join is None:
            yield from row_blocks_of_table(file, columns, rows)
        else:
            yield from join.joined(row_blocks_of_table(file, [*columns, join.left], rows))
