"""Readers of battles, one a format: each turns files of verdicts into the table `battles`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError, Submission
from errclust_pipeline.sources.battles.base import BattleBatch, BattleReader, field_names
from errclust_pipeline.sources.battles.battle_table import BATTLES, BattleTableReader
from errclust_pipeline.sources.parsing.rows import constant_option, files_below
from errclust_pipeline.sources.registry import Readers, expected_files

__all__ = [
    "BATTLE_READERS",
    "BattleBatch",
    "BattleReader",
    "expected_battles",
    "find_battle_sets",
    "read_battles",
]

BATTLE_READERS: Mapping[str, BattleReader] = Readers("battles")
"""The readers by name, in the order in which they are asked."""


def find_battle_sets(
    path: Path, *, reader: str | None = None, options: Mapping[str, Any] = MappingProxyType({})
) -> list[Submission]:
    """List the battle sets in a file or folder; empty if there are none.

    Parameters
    ----------
    reader : str, optional
        The format; else the one that the files are in.
    options : mapping
        ``benchmark`` names the battle set; ``battles`` describes a table, as a mapping has it.

    Raises
    ------
    SourceError
        If a file holds battles that cannot be used, or two sets have the same name.
    """
    asked = [BATTLE_READERS[reader]] if reader is not None else list(BATTLE_READERS.values())
    files = [(file, field_names(file)) for file in (files_below(path) if path.is_dir() else [path])]
    name = constant_option(options, "benchmark")
    battle_sets: list[Submission] = []
    if BATTLES in options:
        battle_sets = [
            BattleTableReader().mapped_battle_set(file, fields, name, options[BATTLES])
            for file, fields in files
            if fields
        ]
        asked = []
    for battle_reader in asked:
        taken = {file: fields for file, fields in files if battle_reader.takes(fields)}
        if taken:
            battle_sets += battle_reader.battle_sets(taken, name)
            files = [(file, fields) for file, fields in files if file not in taken]
    if not battle_sets:
        return []
    foreign = sorted(set(options) - {"benchmark", BATTLES})
    if foreign and not path.is_dir():
        raise SourceError(
            f"{path} holds battles, for which there is no option {foreign[0]}: leave it out"
        )
    first: dict[str, Submission] = {}
    for battle_set in battle_sets:
        other = first.setdefault(battle_set.benchmark, battle_set)
        if other is not battle_set:
            raise SourceError(
                f"{other.files[0]} and {battle_set.files[0]} would both be battle set "
                f"{battle_set.benchmark}: give them one at a time, and name one of them with "
                "--benchmark"
            )
    return battle_sets


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
    """List the formats of battles with the files that they take, a line each."""
    return expected_files(BATTLE_READERS)
