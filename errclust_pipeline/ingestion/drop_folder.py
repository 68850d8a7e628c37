"""A watched folder: which submissions are new, revised or withdrawn since the last scan.

A scan compares the listing of the folder with what is known of it (`folder_memory`), takes in at
most a page of files, and stores what it found. Its requests are stored too, under the number of the
scan, until the next scan is told that they were passed on. So a process that dies in between loses
nothing, and requests nothing twice that has a run under its key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from errclust_pipeline.ingestion.folder_listing import ListedFile, Listing, ListingError
from errclust_pipeline.ingestion.folder_memory import FileState, FolderMemory, KnownFile, Request
from errclust_pipeline.ingestion.hub_listing import listing_of
from errclust_pipeline.ingestion.record import named_beside_recorded, record
from errclust_pipeline.settings import load_settings
from errclust_pipeline.sources import (
    IncompleteSourceError,
    SourceError,
    UnknownFormatError,
    find_submissions,
)
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.battles import find_battle_sets
from errclust_pipeline.sources.formats.lm_eval_runs import run_time
from errclust_pipeline.stages import State, stage_status
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import KeyCodecError, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

MAX_FILES_PER_SCAN = 200
MAX_SECONDS_PER_SCAN = 8.0
_BATTLES = "it holds battles, which a folder does not take in: run `errclust ingest` on it"


@dataclass(frozen=True)
class Arrivals:
    """What a scan found.

    Attributes
    ----------
    scan : int
        The number of the scan; give it to the next one once the requests were passed on.
    requests : sequence of Request
    withdrawn : sequence of SubmissionPartition
        Submissions whose file is gone.
    returned : sequence of SubmissionPartition
        Submissions whose file is back with the same content.
    problems : mapping from path to reason
        Files that cannot be used and were not known as such before.
    settling : int
        Number of files that have to be seen once more.
    waiting : int
        Number of files that were more than this scan could take; the next one continues with them.
    """

    scan: int
    requests: Sequence[Request] = ()
    withdrawn: Sequence[SubmissionPartition] = ()
    returned: Sequence[SubmissionPartition] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    settling: int = 0
    waiting: int = 0


class DropFolder:
    """A folder that submissions arrive in.

    Parameters
    ----------
    warehouse : Warehouse
    url : str
        A local path, an fsspec URL, or a dataset of the hub (``hf:owner/name``).
    max_files : int
        Maximum number of files that one scan takes in.
    max_seconds : float
        Seconds after which a scan takes in no further file.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        url: str,
        max_files: int = MAX_FILES_PER_SCAN,
        max_seconds: float = MAX_SECONDS_PER_SCAN,
    ) -> None:
        self.listing = listing_of(url, warehouse.storage)
        self._warehouse = warehouse
        self._max_files = max_files
        self._max_seconds = max_seconds
        self._path = warehouse.storage.path("submissions", "folders", f"{self.listing.key}.json")

    def scan(self, passed_on: int = 0) -> Arrivals:
        """Find out what is new.

        Parameters
        ----------
        passed_on : int
            The number of the last scan whose requests were passed on; 0 if there was none.

        Raises
        ------
        ListingError
            If the folder is not there, cannot be listed, or is suddenly empty. What is known of it
            stays as it is.
        """
        with self._warehouse.storage.lock(f"{self._path}.lock"):
            memory = FolderMemory.read(self._warehouse, self._path)
            if passed_on < memory.scan:
                # The requests of the last scan reached nobody.
                return Arrivals(memory.scan, tuple(memory.requests))
            scan = _Scan(memory, self._warehouse, self.listing)
            arrivals = scan.run(self._max_files, self._max_seconds)
            memory.write(self._warehouse, self._path, self.listing.url)
            return arrivals

    def known(self) -> dict[str, KnownFile]:
        """Return what is known of every file, by its path."""
        return FolderMemory.read(self._warehouse, self._path).files


class _Scan:
    """One scan: takes in what is new and notes what it found."""

    def __init__(self, memory: FolderMemory, warehouse: Warehouse, listing: Listing) -> None:
        self._memory = memory
        self._files = memory.files
        self._warehouse = warehouse
        self._listing = listing
        self._settings = load_settings(warehouse.storage)
        self._owner = {
            partition: path for path, known in self._files.items() for partition in known.partitions
        }
        self._requests: dict[SubmissionPartition, Request] = {}
        self._withdrawn: list[SubmissionPartition] = []
        self._returned: list[SubmissionPartition] = []
        self._problems: dict[str, str] = {}

    def run(self, max_files: int, max_seconds: float) -> Arrivals:
        started = time.monotonic()
        listed = self._listing.files()
        settled = self._compare(listed)
        self._drop_missing({file.path for file in listed})
        taken = 0
        for file in settled[:max_files]:
            if taken and time.monotonic() - started > max_seconds:
                break
            self._take(file)
            taken += 1
        states = [self._files[file.path].state for file in settled[taken:]]
        waiting = sum(state is FileState.SETTLING for state in states)
        settling = sum(known.state is FileState.SETTLING for known in self._files.values())
        self._memory.scan += 1
        self._memory.requests = list(self._requests.values())
        return Arrivals(
            self._memory.scan,
            tuple(self._requests.values()),
            tuple(self._withdrawn),
            tuple(self._returned),
            self._problems,
            settling - waiting,
            waiting,
        )

    def _compare(self, listed: Sequence[ListedFile]) -> list[ListedFile]:
        """Note the versions; return the files seen twice in the same version, then those to retry.

        Files that cannot be read are retried in turn: however many there are, no other file waits
        for them.
        """
        held = sum(bool(known.partitions) for known in self._files.values())
        if not listed and held > 1:
            raise ListingError(
                f"{self._listing.url} is empty, though {held} files of it were taken in: is it "
                "mounted? Nothing was withdrawn. If it is meant to be empty, leave one file in it"
            )
        settled, retried = [], []
        for file in listed:
            known = self._files.setdefault(file.path, KnownFile("", FileState.SETTLING))
            if known.version != file.version:
                known.version, known.state = file.version, FileState.SETTLING
            elif known.state is FileState.SETTLING:
                settled.append(file)
            elif known.state is FileState.UNREADABLE:
                retried.append(file)
            elif known.state is FileState.GONE:
                known.state = FileState.SETTLING
        first = self._memory.scan % max(len(retried), 1)
        return [*settled, *retried[first:], *retried[:first]]

    def _drop_missing(self, present: set[str]) -> None:
        for path in [path for path in self._files if path not in present]:
            known = self._files[path]
            if known.partitions and known.state is not FileState.GONE:
                known.state = FileState.GONE
                continue
            del self._files[path]
            for partition in [*known.partitions, *known.refused]:
                self._free(partition, path)

    def _free(self, partition: SubmissionPartition, path: str) -> None:
        """Withdraw a submission that this file no longer holds, unless another one holds it."""
        # A partition without an owner waited for this file to replace the one that is gone.
        if self._owner.get(partition, path) != path:
            return
        self._owner.pop(partition, None)
        heirs = [other for other, known in self._files.items() if partition in known.refused]
        for other in heirs:
            self._files[other].state = FileState.SETTLING
        if heirs or not self._is_recorded_from_here(partition):
            return
        if self._warehouse.mark_withdrawn(partition):
            self._withdrawn.append(partition)

    def _is_recorded_from_here(self, partition: SubmissionPartition) -> bool:
        """Return whether the recorded files of a submission came from this folder."""
        try:
            submission, _ = self._warehouse.submission(partition)
        except WarehouseError:
            return False
        return any(map(self._listing.gave, submission.files))

    def _take(self, file: ListedFile) -> None:
        known = self._files[file.path]
        before, waiting = known.partitions, known.refused
        known.partitions, known.refused = [], []
        reason = ""
        try:
            submissions = find_submissions(self._listing.local(file))
            for submission in named_beside_recorded(self._warehouse, submissions):
                partition = SubmissionPartition.of_names(submission.benchmark, submission.model)
                if self._takes_precedence(file.path, partition):
                    self._record(partition, submission)
                    known.partitions.append(partition)
                    self._owner[partition] = file.path
                else:
                    known.refused.append(partition)
                    reason = f"{self._owner[partition]} has the results of {partition} already"
            known.state = FileState.TAKEN if known.partitions else FileState.SKIPPED
        except UnknownFormatError as error:
            known.state, reason = FileState.SKIPPED, str(error)
            if self._are_battles(file):
                known.state, reason = FileState.UNUSABLE, _BATTLES
        except IncompleteSourceError as error:
            known.state, reason = FileState.UNREADABLE, str(error)
        except (SourceError, KeyCodecError) as error:
            known.state = FileState.UNUSABLE
            reason = _BATTLES if self._are_battles(file) else str(error)
        except OSError as error:
            known.state, reason = FileState.UNREADABLE, f"unreadable: {error}"
        except Exception as error:
            # An error of a reader that nobody foresaw must not stop the other files.
            known.state = FileState.UNUSABLE
            reason = f"it could not be read: {type(error).__name__}: {error}"
        if known.state in (FileState.UNUSABLE, FileState.UNREADABLE):
            # What was recorded from it before stays.
            known.partitions = before
            if reason != known.reason:
                self._problems[file.path] = reason
        known.reason = reason
        for partition in [*before, *waiting]:
            if partition not in [*known.partitions, *known.refused]:
                self._free(partition, file.path)

    def _are_battles(self, file: ListedFile) -> bool:
        try:
            return bool(find_battle_sets(self._listing.local(file)))
        except (SourceError, OSError):
            return False

    def _takes_precedence(self, path: str, partition: SubmissionPartition) -> bool:
        """Return whether a submission is to be read from this file, of several that hold it.

        The newer run takes precedence, by the time in the file names of lm-evaluation-harness;
        without a time, the file that came first.
        """
        owner = self._owner.get(partition)
        if owner is None or owner == path:
            return True
        time_here, time_there = run_time(path), run_time(owner)
        if time_here is None or time_there is None or time_here <= time_there:
            return False
        loser = self._files[owner]
        loser.partitions.remove(partition)
        loser.refused.append(partition)
        loser.reason = f"{path} has newer results of {partition}"
        if not loser.partitions:
            loser.state = FileState.SKIPPED
        return True

    def _record(self, partition: SubmissionPartition, submission: Submission) -> None:
        was_withdrawn = self._warehouse.is_withdrawn(partition)
        change = record(self._warehouse, partition, submission).change
        _, fingerprint = self._warehouse.submission(partition)
        status = stage_status(RAW_RESULTS_STAGE, self._warehouse, self._settings, partition)
        requested = self._memory.requested.setdefault(partition, [])
        # A submission is also news if the process was killed before it was requested.
        is_news = change != "unchanged" or requested[-1:] != [fingerprint]
        if status.state is not State.FRESH and is_news:
            # A revision that comes back needs a new key: the key it had was used.
            again = f"~{len(requested)}" if fingerprint in requested else ""
            key = f"{partition.benchmark}|{partition.model}|{fingerprint}{again}"
            self._requests[partition] = Request(partition, key)
            requested.append(fingerprint)
        elif was_withdrawn:
            self._returned.append(partition)
