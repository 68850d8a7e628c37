"""Recording submissions that were found, wherever they came from.

Files are recorded where they lie, not copied, unless a copy is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from errclust_pipeline.hub.address import is_hub_address
from errclust_pipeline.hub.recorded import with_addresses
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.base import Submission, file_fingerprint
from errclust_pipeline.sources.run_conditions import name_beside_recorded
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import RecordedPartition, SubmissionPartition
from errclust_pipeline.warehouse.submissions import partition_of_submission, submission_folder
from errclust_pipeline.warehouse.warehouse import Warehouse

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Ingested:
    """A submission that was recorded.

    Attributes
    ----------
    submission : Submission
        As it is recorded.
    partition : SubmissionPartition or BattleSetPartition
    change : str
        ``new``, ``revised`` or ``unchanged``.
    """

    submission: Submission
    partition: RecordedPartition
    change: str


def record_all(
    warehouse: Warehouse, submissions: Iterable[Submission], copy: bool = False
) -> list[Ingested]:
    """Record submissions, all of them or, if two are of the same model and benchmark, none.

    Parameters
    ----------
    warehouse : Warehouse
    submissions : iterable of Submission
        As readers found them. A run under other conditions than the recorded run of its model gets
        a name of its own (`named_beside_recorded`).
    copy : bool
        Keep a copy of the files under the data root.

    Raises
    ------
    SourceError
        If two submissions are of the same model and benchmark, or of the same battle set.
    OSError
        If a file cannot be read.
    """
    by_partition: dict[RecordedPartition, Submission] = {}
    for submission in named_beside_recorded(warehouse, list(submissions)):
        partition = partition_of_submission(submission)
        if partition in by_partition:
            raise SourceError(_say_both(by_partition[partition], submission))
        by_partition[partition] = submission
    counter = ProgressCounter("recording", len(by_partition), "submissions")
    ingested = []
    for partition, submission in by_partition.items():
        ingested.append(record(warehouse, partition, submission, copy))
        counter.advance(1)
    return ingested


def _say_both(first: Submission, second: Submission) -> str:
    files = f"{second.files[0]} and {first.files[0]} are both"
    if second.model:
        return (
            f"{files} results of model {second.model} on benchmark {second.benchmark}: ingest only "
            "one of them, or name one otherwise with --model"
        )
    return (
        f"{files} battles of battle set {second.benchmark}: ingest only one of them, a folder that "
        "holds both, or name one with --benchmark"
    )


def named_beside_recorded(
    warehouse: Warehouse, submissions: Sequence[Submission]
) -> list[Submission]:
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

    results = [submission for submission in submissions if submission.model]
    battles = [submission for submission in submissions if not submission.model]
    return [*name_beside_recorded(results, recorded), *battles]


def record(
    warehouse: Warehouse, partition: RecordedPartition, submission: Submission, copy: bool = False
) -> Ingested:
    """Record one submission.

    A submission whose files were fetched from the hub is recorded by their addresses there.

    Parameters
    ----------
    warehouse : Warehouse
    partition : SubmissionPartition or BattleSetPartition
    submission : Submission
        As a reader found it.
    copy : bool
        Keep a copy of the files under the data root.

    Raises
    ------
    OSError
        If a file cannot be read.
    SourceError
        If a copy is asked for and the data root is remote.
    """
    if any(map(is_hub_address, submission.files)):
        # This is the recorded run, which `named_beside_recorded` puts in place of a smaller one.
        return Ingested(submission, partition, "unchanged")
    fingerprint = file_fingerprint(*(Path(file) for file in submission.files))
    was_recorded = warehouse.has_submission(partition)
    before, fingerprint_before = None, ""
    # A damaged record is written anew.
    with suppress(WarehouseError):
        before, fingerprint_before = warehouse.submission(partition)
    addressed = with_addresses(submission, before, fingerprint == fingerprint_before)
    if copy:
        copies = _copies(warehouse, partition, submission, fingerprint)
        addressed = dataclasses.replace(addressed, files=copies)
    is_revised = warehouse.register(addressed, fingerprint)
    change = "unchanged" if not is_revised else "revised" if was_recorded else "new"
    return Ingested(addressed, partition, change)


def _copies(
    warehouse: Warehouse, partition: RecordedPartition, submission: Submission, fingerprint: str
) -> tuple[str, ...]:
    """Copy a submission's files to the data root, unless they are there; return their paths."""
    storage = warehouse.storage
    if not storage.is_local:
        raise SourceError(
            "--copy needs a local data root: put the files where all workers see them"
        )
    folder = submission_folder(partition)
    copies = []
    for number, file in enumerate(submission.files):
        # Numbered folders keep files of one name apart; readers go by the name, so it stays.
        copy = storage.path(
            "submissions", folder, "files", fingerprint, str(number), Path(file).name
        )
        if not storage.exists(copy):
            with storage.write(copy) as target, Path(file).open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
        copies.append(copy)
    return tuple(copies)


def check_unchanged(submission: Submission, fingerprint: str) -> None:
    """Make sure that a submission's files are those that were ingested.

    Raises
    ------
    SourceError
        If a file is gone, or the content of one differs.
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
