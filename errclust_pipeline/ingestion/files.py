"""Ingestion of files and folders that are given by their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from errclust_pipeline.ingestion.record import Ingested, record_all
from errclust_pipeline.sources import READERS, SourceError, UnknownFormatError, find_submissions
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.battles import BATTLE_READERS, expected_battles, find_battle_sets
from errclust_pipeline.warehouse.warehouse import Warehouse


def ingest(
    warehouse: Warehouse,
    paths: Iterable[Path],
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    copy: bool = False,
) -> list[Ingested]:
    """Find the submissions and the battle sets in files or folders, and record them.

    Nothing is recorded unless all paths can be used.

    Parameters
    ----------
    warehouse : Warehouse
    paths : iterable of Path
    reader : str, optional
        The name of the format's reader; found out from the files if not given.
    options : mapping, optional
        The reader's settings.
    copy : bool
        Keep a copy of the files under the data root.

    Raises
    ------
    SourceError
        If a path does not exist or no reader can use it, or if two submissions are of the same
        model and benchmark.
    """
    submissions: list[Submission] = []
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        submissions += find_all(path.resolve(), reader, options or {})
    return record_all(warehouse, submissions, copy)


def find_all(path: Path, reader: str | None, options: Mapping[str, Any]) -> list[Submission]:
    """List the submissions in a file or folder: results, battles or, in a folder, both.

    Raises
    ------
    SourceError
        If nothing there can be used.
    """
    if reader is not None and reader not in {**READERS, **BATTLE_READERS}:
        known = ", ".join([*READERS, *BATTLE_READERS])
        raise SourceError(f"there is no reader {reader!r}; there are: {known}")
    battles = (
        find_battle_sets(path, reader=reader, options=options) if reader not in READERS else []
    )
    if reader is not None and reader in BATTLE_READERS and not battles:
        expected = BATTLE_READERS[reader].expects
        raise UnknownFormatError(f"{path} holds no battles of that format. Expected {expected}")
    if reader in BATTLE_READERS or (battles and not path.is_dir()):
        return battles
    try:
        return battles + find_submissions(path, reader=reader, options=options)
    except UnknownFormatError as error:
        if battles:
            return battles
        if reader is not None:
            raise
        raise UnknownFormatError(f"{error}\nor, of battles:\n{expected_battles()}") from error
