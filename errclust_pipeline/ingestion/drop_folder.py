"""What arrived in a folder since the last look: new, revised and withdrawn submissions.

What is known of a folder is kept in ``<root>/submissions/folders/<key>.json``: every file with its
version, what became of it and which partitions it holds. A look compares the listing with that,
takes in at most a page of files, and writes it back. What a look requests is kept too, under the
look's number, until the next one is told that it was passed on: so a process that dies between
writing and passing on loses nothing, and asks for nothing twice that has a run under its key.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from errclust_pipeline.ingestion.files import named_beside_recorded, record
from errclust_pipeline.ingestion.folder_listing import ListedFile, Listing, ListingError
from errclust_pipeline.ingestion.hub_listing import listing_of
from errclust_pipeline.settings import load_settings
from errclust_pipeline.sources import (
    IncompleteSourceError,
    SourceError,
    UnknownFormatError,
    find_submissions,
)
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.sources.battles import find_battle_sets
from errclust_pipeline.sources.formats.lm_eval import run_time
from errclust_pipeline.stages.declarations import RAW_RESULTS, State, stage_status
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import KeyCodecError, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

FILES_A_LOOK = 200
SECONDS_A_LOOK = 8.0
_BATTLES = "it holds battles, which a folder does not take in: run `errclust ingest` on it"


class FileState(StrEnum):
    """What became of a file."""

    SETTLING = "settling"
    """Seen once in this version: it may still be being written."""
    TAKEN = "taken"
    """Its submissions are recorded."""
    PASSED_OVER = "passed_over"
    """It holds no submission, or others take precedence; `reason` says which."""
    UNUSABLE = "unusable"
    """It should hold submissions but cannot be used; `reason` says why."""
    UNREADABLE = "unreadable"
    """It could not be opened, or lacks what has to lie beside it: it is tried in every look."""
    GONE = "gone"
    """Missing in one look; in the next one its submissions are withdrawn."""


@dataclass
class KnownFile:
    """A file as it was in the last look.

    `partitions` are those whose submissions come from it; `refused` those that it holds too, but
    that another file has.
    """

    version: str
    state: FileState
    partitions: list[SubmissionPartition] = field(default_factory=list)
    refused: list[SubmissionPartition] = field(default_factory=list)
    reason: str = ""


@dataclass(frozen=True)
class Request:
    """Results to be read: a submission that is new or revised."""

    partition: SubmissionPartition
    run_key: str


@dataclass(frozen=True)
class Arrivals:
    """What a look found.

    Attributes
    ----------
    look : int
        Its number, to be given to the next look once this was passed on.
    requests : sequence of Request
    withdrawn, returned : sequence of SubmissionPartition
        Whose file is gone, or back with the same content.
    problems : mapping from path to reason
        Files that cannot be used, those first met in this look.
    settling : int
        Files that have to be seen once more.
    waiting : int
        Files that were more than this look could take; the next one goes on with them.
    """

    look: int
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
    files_a_look : int
        Files taken in at most by one look.
    seconds_a_look : float
        After which a look takes in no further file.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        url: str,
        files_a_look: int = FILES_A_LOOK,
        seconds_a_look: float = SECONDS_A_LOOK,
    ) -> None:
        self.listing = listing_of(url, warehouse.storage)
        self._warehouse = warehouse
        self._files_a_look = files_a_look
        self._seconds_a_look = seconds_a_look
        self._path = warehouse.storage.path("submissions", "folders", f"{self.listing.key}.json")

    def look(self, passed_on: int = 0) -> Arrivals:
        """Look what is new.

        Parameters
        ----------
        passed_on : int
            Number of the last look whose requests were passed on; 0 if there was none.

        Raises
        ------
        ListingError
            If the folder is not there, cannot be listed, or is empty all of a sudden. What is
            known of it stays as it is.
        """
        with self._warehouse.storage.lock(f"{self._path}.lock"):
            memory = _Memory.read(self._warehouse, self._path)
            if passed_on < memory.look:
                # Nobody heard of the last look.
                return Arrivals(memory.look, tuple(memory.requests))
            look = _Look(memory, self._warehouse, self.listing)
            arrivals = look.run(self._files_a_look, self._seconds_a_look)
            memory.write(self._warehouse, self._path, self.listing.url)
            return arrivals

    def known(self) -> dict[str, KnownFile]:
        """Return what is known of every file, by its path."""
        return _Memory.read(self._warehouse, self._path).files


@dataclass
class _Memory:
    """What is known of a folder between two looks."""

    look: int = 0
    files: dict[str, KnownFile] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    requested: dict[SubmissionPartition, list[str]] = field(default_factory=dict)
    """The revisions that were requested of each partition, the last one last."""

    @classmethod
    def read(cls, warehouse: Warehouse, path: str) -> _Memory:
        if not warehouse.storage.exists(path):
            return cls()
        stored = json.loads(warehouse.storage.read_text(path))
        return cls(
            stored["look"],
            {
                name: KnownFile(
                    version,
                    FileState(state),
                    [SubmissionPartition(*one) for one in partitions],
                    [SubmissionPartition(*one) for one in refused],
                    reason,
                )
                for name, (version, state, partitions, refused, reason) in stored["files"].items()
            },
            [Request(SubmissionPartition(*one[:2]), one[2]) for one in stored["requests"]],
            {SubmissionPartition(*one[:2]): one[2:] for one in stored["requested"]},
        )

    def write(self, warehouse: Warehouse, path: str, url: str) -> None:
        stored = {
            "url": url,
            "look": self.look,
            "files": {
                name: [
                    one.version,
                    one.state,
                    [_pair(partition) for partition in one.partitions],
                    [_pair(partition) for partition in one.refused],
                    one.reason,
                ]
                for name, one in self.files.items()
            },
            "requests": [[*_pair(one.partition), one.run_key] for one in self.requests],
            "requested": [[*_pair(one), *revisions] for one, revisions in self.requested.items()],
        }
        warehouse.storage.write_text(path, json.dumps(stored, separators=(",", ":")))


def _pair(partition: SubmissionPartition) -> tuple[str, str]:
    return partition.benchmark, partition.model


class _Look:
    """One look: takes in what is new and notes what it found."""

    def __init__(self, memory: _Memory, warehouse: Warehouse, listing: Listing) -> None:
        self._memory = memory
        self._files = memory.files
        self._warehouse = warehouse
        self._listing = listing
        self._settings = load_settings(warehouse.storage)
        self._owner = {
            partition: path for path, one in self._files.items() for partition in one.partitions
        }
        self._requests: dict[SubmissionPartition, Request] = {}
        self._withdrawn: list[SubmissionPartition] = []
        self._returned: list[SubmissionPartition] = []
        self._problems: dict[str, str] = {}

    def run(self, most_files: int, most_seconds: float) -> Arrivals:
        started = time.monotonic()
        listed = self._listing.files()
        settled = self._compare(listed)
        self._drop_missing({file.path for file in listed})
        taken = 0
        for file in settled[:most_files]:
            if taken and time.monotonic() - started > most_seconds:
                break
            self._take(file)
            taken += 1
        states = [self._files[file.path].state for file in settled[taken:]]
        waiting = sum(state is FileState.SETTLING for state in states)
        settling = sum(one.state is FileState.SETTLING for one in self._files.values())
        self._memory.look += 1
        self._memory.requests = list(self._requests.values())
        return Arrivals(
            self._memory.look,
            tuple(self._requests.values()),
            tuple(self._withdrawn),
            tuple(self._returned),
            self._problems,
            settling - waiting,
            waiting,
        )

    def _compare(self, listed: Sequence[ListedFile]) -> list[ListedFile]:
        """Note versions; return the files seen twice in the same one, and last those to try again.

        What cannot be read takes its turns: however much of it there is, it keeps nothing waiting.
        """
        held = sum(bool(one.partitions) for one in self._files.values())
        if not listed and held > 1:
            raise ListingError(
                f"{self._listing.url} is empty, though {held} files of it were taken in: is it "
                "mounted? Nothing was withdrawn. If it is meant to be empty, leave one file in it"
            )
        settled, again = [], []
        for file in listed:
            known = self._files.setdefault(file.path, KnownFile("", FileState.SETTLING))
            if known.version != file.version:
                known.version, known.state = file.version, FileState.SETTLING
            elif known.state is FileState.SETTLING:
                settled.append(file)
            elif known.state is FileState.UNREADABLE:
                again.append(file)
            elif known.state is FileState.GONE:
                known.state = FileState.SETTLING
        first = self._memory.look % max(len(again), 1)
        return [*settled, *again[first:], *again[:first]]

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
        """Withdraw a partition that no file holds any more, unless another one can step in."""
        # One without an owner waited for this file to step in.
        if self._owner.get(partition, path) != path:
            return
        self._owner.pop(partition, None)
        heirs = [other for other, one in self._files.items() if partition in one.refused]
        for other in heirs:
            self._files[other].state = FileState.SETTLING
        if heirs or not self._is_recorded_from_here(partition):
            return
        if self._warehouse.mark_withdrawn(partition):
            self._withdrawn.append(partition)

    def _is_recorded_from_here(self, partition: SubmissionPartition) -> bool:
        """Whether a submission's files came from this folder, and not from another one since."""
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
            known.state = FileState.TAKEN if known.partitions else FileState.PASSED_OVER
        except UnknownFormatError as error:
            known.state, reason = FileState.PASSED_OVER, str(error)
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
            # Whatever one file makes a reader stumble over must not stop the others.
            known.state = FileState.UNUSABLE
            reason = f"it could not be read: {type(error).__name__}: {error}"
        if known.state in (FileState.UNUSABLE, FileState.UNREADABLE):
            # What was read of it before still stands.
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
        """Whether a file is the one to read a partition from, and not another that has it too.

        The newer run has precedence, by the time in the names that lm-evaluation-harness gives
        its files; without a time, the file that came first.
        """
        owner = self._owner.get(partition)
        if owner is None or owner == path:
            return True
        own, other = run_time(path), run_time(owner)
        if own is None or other is None or own <= other:
            return False
        loser = self._files[owner]
        loser.partitions.remove(partition)
        loser.refused.append(partition)
        loser.reason = f"{path} has newer results of {partition}"
        if not loser.partitions:
            loser.state = FileState.PASSED_OVER
        return True

    def _record(self, partition: SubmissionPartition, submission: Submission) -> None:
        was_withdrawn = self._warehouse.is_withdrawn(partition)
        change = record(self._warehouse, partition, submission).change
        _, fingerprint = self._warehouse.submission(partition)
        done = stage_status(RAW_RESULTS, self._warehouse, self._settings, partition)
        requested = self._memory.requested.setdefault(partition, [])
        # What was recorded but not requested, since the process was killed in between, is too.
        is_news = change != "unchanged" or requested[-1:] != [fingerprint]
        if done.state is not State.FRESH and is_news:
            # A revision that comes back needs another key than it had: that one was used.
            again = f"~{len(requested)}" if fingerprint in requested else ""
            key = f"{partition.benchmark}|{partition.model}|{fingerprint}{again}"
            self._requests[partition] = Request(partition, key)
            requested.append(fingerprint)
        elif was_withdrawn:
            self._returned.append(partition)
