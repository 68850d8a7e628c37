"""Ingestion: find submissions in files and record them, so that the pipeline can read them.

Files are recorded where they lie, not copied, unless a copy is asked for. Recording is cheap: the
rows are read by the asset `raw_results`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errclust_pipeline.keys import Partition
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.resources.hub import as_recorded
from errclust_pipeline.resources.storage import hive_folder
from errclust_pipeline.resources.warehouse import Warehouse
from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.base import Submission, file_fingerprint


@dataclass(frozen=True)
class Ingested:
    """A submission that was found, and whether it is new, revised or known already."""

    submission: Submission
    partition: Partition
    change: str


def ingest(
    warehouse: Warehouse,
    paths: Iterable[Path],
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    copy: bool = False,
) -> list[Ingested]:
    """Find the submissions in files or folders and record them.

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
    found: dict[Partition, Submission] = {}
    for path in paths:
        if not path.exists():
            raise SourceError(f"{path} does not exist")
        for submission in find_submissions(path.resolve(), reader=reader, options=options or {}):
            partition = Partition.of_names(submission.benchmark, submission.model)
            if partition in found:
                raise SourceError(
                    f"{submission.files[0]} and {found[partition].files[0]} are both results of "
                    f"model {submission.model} on benchmark {submission.benchmark}: ingest only one"
                    " of them, or name one otherwise with --model"
                )
            found[partition] = submission
    counter = ProgressCounter("recording", len(found), "submissions")
    ingested = []
    for partition, submission in found.items():
        ingested.append(record(warehouse, partition, submission, copy))
        counter.advance(1)
    return ingested


def record(
    warehouse: Warehouse, partition: Partition, submission: Submission, copy: bool = False
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
    before, fingerprint_before = warehouse.submission(partition) if known else (None, "")
    recorded = as_recorded(submission, before, fingerprint == fingerprint_before)
    if copy:
        copies = _copied(warehouse, partition, submission, fingerprint).files
        recorded = dataclasses.replace(recorded, files=copies)
    revised = warehouse.register(recorded, fingerprint)
    change = "unchanged" if not revised else "revised" if known else "new"
    return Ingested(recorded, partition, change)


def _copied(
    warehouse: Warehouse, partition: Partition, submission: Submission, fingerprint: str
) -> Submission:
    storage = warehouse.storage
    if not storage.is_local:
        raise SourceError(
            "--copy needs a local data root: put the files where all workers see them"
        )
    folder = hive_folder(benchmark=partition.benchmark, model=partition.model)
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
