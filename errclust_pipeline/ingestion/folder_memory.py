"""What is known of a watched folder between two scans, and the file it is stored in.

``<root>/submissions/folders/<key>.json`` holds every file with its version, what became of it and
which partitions it holds, and the requests of the last scan.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse


class FileState(StrEnum):
    """What became of a file."""

    SETTLING = "settling"
    """Seen once in this version: it may still be being written."""
    TAKEN = "taken"
    """Its submissions are recorded."""
    SKIPPED = "passed_over"
    """It holds no submission, or other files take precedence; `reason` says which."""
    UNUSABLE = "unusable"
    """It should hold submissions but cannot be used; `reason` says why."""
    UNREADABLE = "unreadable"
    """It cannot be opened, or a file that belongs to it is missing: every scan tries it again."""
    GONE = "gone"
    """Missing in one scan; the next scan withdraws its submissions."""


@dataclass
class KnownFile:
    """A file as it was in the last scan.

    Attributes
    ----------
    version : str
        As in `ListedFile`.
    state : FileState
    partitions : list of SubmissionPartition
        The submissions that are recorded from this file.
    refused : list of SubmissionPartition
        The submissions that it holds too, but that are recorded from another file.
    reason : str
        Why it is not used, in part or at all.
    """

    version: str
    state: FileState
    partitions: list[SubmissionPartition] = field(default_factory=list)
    refused: list[SubmissionPartition] = field(default_factory=list)
    reason: str = ""


@dataclass(frozen=True)
class Request:
    """A submission that is new or revised, so that its results have to be read."""

    partition: SubmissionPartition
    run_key: str


@dataclass
class FolderMemory:
    """What is known of a folder.

    Attributes
    ----------
    scan : int
        The number of the last scan.
    files : dict from path to KnownFile
    requests : list of Request
        The requests of the last scan.
    requested : dict from SubmissionPartition to list of str
        The fingerprints that were requested of each submission, the last one last.
    """

    scan: int = 0
    files: dict[str, KnownFile] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    requested: dict[SubmissionPartition, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, warehouse: Warehouse, path: str) -> FolderMemory:
        """Read what `write` stored; an empty memory if there is none."""
        if not warehouse.storage.exists(path):
            return cls()
        stored = json.loads(warehouse.storage.read_text(path))
        return cls(
            stored["look"],
            {
                name: KnownFile(
                    version,
                    FileState(state),
                    [SubmissionPartition(*pair) for pair in partitions],
                    [SubmissionPartition(*pair) for pair in refused],
                    reason,
                )
                for name, (version, state, partitions, refused, reason) in stored["files"].items()
            },
            [
                Request(SubmissionPartition(benchmark, model), run_key)
                for benchmark, model, run_key in stored["requests"]
            ],
            {
                SubmissionPartition(benchmark, model): fingerprints
                for benchmark, model, *fingerprints in stored["requested"]
            },
        )

    def write(self, warehouse: Warehouse, path: str, url: str) -> None:
        """Store the memory; `url` says to people which folder it is of."""
        stored = {
            "url": url,
            "look": self.scan,
            "files": {
                name: [
                    file.version,
                    file.state,
                    [_pair(partition) for partition in file.partitions],
                    [_pair(partition) for partition in file.refused],
                    file.reason,
                ]
                for name, file in self.files.items()
            },
            "requests": [[*_pair(request.partition), request.run_key] for request in self.requests],
            "requested": [
                [*_pair(partition), *fingerprints]
                for partition, fingerprints in self.requested.items()
            ],
        }
        warehouse.storage.write_text(path, json.dumps(stored, separators=(",", ":")))


def _pair(partition: SubmissionPartition) -> tuple[str, str]:
    return partition.benchmark, partition.model
