"""Readers of battles, one a format: each turns files of verdicts into the table `battles`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError, Submission
from errclust_pipeline.sources.battles.base import BattleBatch, BattleReader, field_names
from errclust_pipeline.sources.battles.fastchat import FastChatReader
from errclust_pipeline.sources.battles.llmfao import LlmfaoReader
from errclust_pipeline.sources.battles.lmsys import LmsysReader
from errclust_pipeline.sources.battles.pandalm import PandalmReader
from errclust_pipeline.sources.parsing.rows import constant_option, files_below

__all__ = [
    "BATTLE_READERS",
    "BattleBatch",
    "BattleReader",
    "expected_battles",
    "find_battle_sets",
    "read_battles",
]

BATTLE_READERS: Mapping[str, BattleReader] = MappingProxyType(
    {
        reader.name: reader
        for reader in (LmsysReader(), FastChatReader(), LlmfaoReader(), PandalmReader())
    }
)
"""The readers by name."""


def find_battle_sets(
    path: Path, *, reader: str | None = None, options: Mapping[str, Any] = MappingProxyType({})
) -> list[Submission]:
    """List the battle sets in a file or folder; empty if there are none.

    Parameters
    ----------
    reader : str, optional
        The format; else the one that the files are in.
    options : mapping
        ``benchmark`` names the battle set; battles have no others.

    Raises
    ------
    SourceError
        If a file holds battles that cannot be used, or two sets have the same name.
    """
    asked = [BATTLE_READERS[reader]] if reader is not None else list(BATTLE_READERS.values())
    files = [(file, field_names(file)) for file in (files_below(path) if path.is_dir() else [path])]
    name = constant_option(options, "benchmark")
    found: list[Submission] = []
    for one in asked:
        own = {file: fields for file, fields in files if one.takes(fields)}
        if own:
            found += one.battle_sets(own, name)
    if not found:
        return []
    foreign = sorted(set(options) - {"benchmark"})
    if foreign and not path.is_dir():
        raise SourceError(
            f"{path} holds battles, for which there is no option {foreign[0]}: leave it out"
        )
    first: dict[str, Submission] = {}
    for item in found:
        other = first.setdefault(item.benchmark, item)
        if other is not item:
            raise SourceError(
                f"{other.files[0]} and {item.files[0]} would both be battle set {item.benchmark}: "
                "give them one at a time, and name one of them with --benchmark"
            )
    return found


def read_battles(submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
    """Stream a battle set with the reader that found it.

    Raises
    ------
    SourceError
        If that reader does not exist, a file is missing or damaged, or not one battle is usable.
    """
    if submission.reader not in BATTLE_READERS:
        raise SourceError(
            f"there is no reader {submission.reader!r}, with which {submission.files[0]} was "
            f"found; there are: {', '.join(BATTLE_READERS)}"
        )
    return BATTLE_READERS[submission.reader].read(submission, batch_rows)


def expected_battles() -> str:
    """Say what the readers take, a line each."""
    return "\n".join(f"  {one.name}: {one.expects}" for one in BATTLE_READERS.values())
