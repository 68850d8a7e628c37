"""Ingestion: find submissions in files and record them, so that the pipeline can read them.

Files are recorded where they lie, not copied, unless a copy is asked for. Recording is cheap: the
rows are read by the asset `raw_results`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errclust_pipeline.hub.recorded import with_addresses
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.sources import READERS, SourceError, UnknownFormatError, find_submissions
from errclust_pipeline.sources.base import Submission, file_fingerprint
from errclust_pipeline.sources.battles import BATTLE_READERS, expected_battles, find_battle_sets
from errclust_pipeline.sources.run_conditions import name_beside_recorded
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import RecordedPartition, SubmissionPartition
from errclust_pipeline.warehouse.submissions import partition_of_submission, submission_folder
from errclust_pipeline.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class Ingested:
    """A submission that was found, and whether it is new, revised or known already."""

    submission: Submission
    partition: RecordedPartition
    change: str


def ingest(
    warehouse: Warehouse,
    paths: Iterable[Path],
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    copy: bool = False,
) -> list[Ingested]:
    """Find the submissions and the battle sets in files or folders and record them.

    Nothing is recorded unless all paths can be used.

    Parameters
    ----------
    reader : str, optional
        The format's reader by name; found out from the files if not given.
    options : mapping, optional
        The reader's settings.
    copy : bool
        Keep a copy of the files under the data root.

    Raises
    ------
    SourceError
        If a path does not exist or no reader knows what to do with it, or if two submissions are
        of the same model and benchmark.
    """
    found: dict[RecordedPartition, Submission] = {}
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        for submission in named_beside_recorded(
            warehouse, find_all(path.resolve(), reader, options or {})
        ):
            partition = partition_of_submission(submission)
            if partition in found:
                both = (
                    f"{submission.files[0]} and {found[partition].files[0]} are both "
                    f"{_what(submission)}: ingest only one of them, "
                )
                raise SourceError(
                    f"{both}or name one otherwise with --model"
                    if submission.model
                    else f"{both}a folder that holds both, or name one with --benchmark"
                )
            found[partition] = submission
    counter = ProgressCounter("recording", len(found), "submissions")
    ingested = []
    for partition, submission in found.items():
        ingested.append(record(warehouse, partition, submission, copy))
        counter.advance(1)
    return ingested


def find_all(path: Path, reader: str | None, options: Mapping[str, Any]) -> list[Submission]:
    """List what is in a file or folder: results, battles or, in a folder, both.

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


def named_beside_recorded(warehouse: Warehouse, found: list[Submission]) -> list[Submission]:
    """Name submissions so that a run of a model does not replace one of other conditions.

    See `run_conditions.name_beside_recorded`.
    """

    def recorded(benchmark: str, model: str) -> Submission | None:
        partition = SubmissionPartition.of_names(benchmark, model)
        # A damaged record is written anew; a withdrawn submission makes room for another.
        with suppress(WarehouseError):
            if warehouse.has_submission(partition) and not warehouse.is_withdrawn(partition):
                return warehouse.submission(partition)[0]
        return None

    results = name_beside_recorded([one for one in found if one.model], recorded)
    return [*results, *(one for one in found if not one.model)]


def _what(submission: Submission) -> str:
    """Say whose results a submission holds."""
    if not submission.model:
        return f"battles of battle set {submission.benchmark}"
    return f"results of model {submission.model} on benchmark {submission.benchmark}"


def check_unchanged(submission: Submission, fingerprint: str) -> None:
    """Make sure that a submission's files are those that were ingested.

    Raises
    ------
    SourceError
        If one is gone, or their content is another.
    """
    files = [Path(file) for file in submission.files]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SourceError(
            f"{missing[0]} is gone since it was ingested: put it back, or ingest the submission "
            "from where it is now (`errclust ingest PATH`; --copy keeps a copy)"
        )
    if file_fingerprint(*files) != fingerprint:
        raise SourceError(
            f"{files[0]} changed since it was ingested: run `errclust ingest` on it again"
        )


def record(
    warehouse: Warehouse, partition: RecordedPartition, submission: Submission, copy: bool = False
) -> Ingested:
    """Record a submission that was found, so that `raw_results` can read it.

    One whose files were fetched from the hub is recorded by their addresses there.

    Parameters
    ----------
    copy : bool
        Keep a copy of the files under the data root.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    fingerprint = file_fingerprint(*(Path(file) for file in submission.files))
    known = warehouse.has_submission(partition)
    before, fingerprint_before = None, ""
    # One that is damaged is written anew.
    with suppress(WarehouseError):
        before, fingerprint_before = warehouse.submission(partition)
    recorded = with_addresses(submission, before, fingerprint == fingerprint_before)
    if copy:
        copies = _copied(warehouse, partition, submission, fingerprint).files
        recorded = dataclasses.replace(recorded, files=copies)
    revised = warehouse.register(recorded, fingerprint)
    change = "unchanged" if not revised else "revised" if known else "new"
    return Ingested(recorded, partition, change)


def _copied(
    warehouse: Warehouse, partition: RecordedPartition, submission: Submission, fingerprint: str
) -> Submission:
    storage = warehouse.storage
    if not storage.is_local:
        raise SourceError(
            "--copy needs a local data root: put the files where all workers see them"
        )
    folder = submission_folder(partition)
    copies = []
    for number, file in enumerate(submission.files):
        # Numbered folders keep equal names apart, and the names as they are: readers go by them.
        copy = storage.path(
            "submissions", folder, "files", fingerprint, str(number), Path(file).name
        )
        if not storage.exists(copy):
            with storage.write(copy) as target, Path(file).open("rb") as source:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
        copies.append(copy)
    return dataclasses.replace(submission, files=tuple(copies))
