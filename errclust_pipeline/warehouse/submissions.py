"""The records of submissions: what was ingested, and from which files.

::

    <root>/submissions/benchmark=<b>/model=<m>/submission.json   one model's results on a benchmark
    <root>/submissions/battle_set=<b>/submission.json            one battle set

A record names the result files; their rows are read by the assets `raw_results` and `battles`.
Finding submissions in files is the business of `ingestion`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from errclust_pipeline.sources.base import Submission
from errclust_pipeline.warehouse.errors import DamagedRecordError, WarehouseError
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    RecordedPartition,
    SubmissionPartition,
    encode_key,
)
from errclust_pipeline.warehouse.storage import Storage, hive_folder, hive_values

_RECORD = "submission.json"


class SubmissionRecords:
    """The records of all submissions and battle sets under one root."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def register(self, submission: Submission, files_fingerprint: str) -> bool:
        """Record a submission, so that its rows can be read.

        Recording a submission that was marked as withdrawn removes the mark.

        Returns
        -------
        bool
            Whether the record is new or differs from the one before.
        """
        path = self._record_path(partition_of_submission(submission))
        record = {**json.loads(submission.to_json()), "files_fingerprint": files_fingerprint}
        before = self._read_record_if_sound(path)
        if before == record:
            return False
        self._write_record(path, record)
        before.pop("withdrawn", None)
        return before != record

    def mark_withdrawn(self, partition: RecordedPartition) -> bool:
        """Mark a submission whose files were taken away; its tables stay until it is forgotten.

        Returns
        -------
        bool
            Whether there is such a submission and it was not marked before.
        """
        path = self._record_path(partition)
        record = self._read_record_if_sound(path)
        if not record or record.get("withdrawn"):
            return False
        self._write_record(path, record | {"withdrawn": True})
        return True

    def is_withdrawn(self, partition: RecordedPartition) -> bool:
        """Return whether a submission is marked as withdrawn."""
        record = self._read_record_if_sound(self._record_path(partition))
        return bool(record.get("withdrawn", False))

    def submission(self, partition: RecordedPartition) -> tuple[Submission, str]:
        """Return the submission recorded for a partition, and the fingerprint of its files.

        Raises
        ------
        WarehouseError
            If nothing was ingested for the partition, or its record is damaged.
        """
        record = self._read_record(self._record_path(partition))
        if not record:
            what = (
                f"battle set {partition.name}"
                if isinstance(partition, BattleSetPartition)
                else f"model {partition.model} on benchmark {partition.benchmark}"
            )
            raise WarehouseError(
                f"nothing was ingested for {what}: run `errclust ingest` on its files first"
            )
        fingerprint = record.pop("files_fingerprint")
        record.pop("withdrawn", None)
        return Submission.from_json(json.dumps(record)), fingerprint

    def has_submission(self, partition: RecordedPartition) -> bool:
        """Return whether something was ingested for a partition."""
        return self.storage.exists(self._record_path(partition))

    def submissions(self) -> list[SubmissionPartition]:
        """List the submissions that were ingested, sorted."""
        return submission_partitions(
            self.storage.glob(f"submissions/benchmark=*/model=*/{_RECORD}")
        )

    def battle_sets(self) -> list[BattleSetPartition]:
        """List the battle sets that were ingested, sorted."""
        paths = self.storage.glob(f"submissions/battle_set=*/{_RECORD}")
        folders = (path.split("/")[-2] for path in paths)
        return sorted(BattleSetPartition(hive_values(folder)["battle_set"]) for folder in folders)

    def known_key(self, dimension: str, name: str) -> str:
        """Return the key of a benchmark or model that was ingested, from its key or true name.

        Parameters
        ----------
        dimension : str
            ``benchmark``, which also finds battle sets, or ``model``.
        name : str
            A key or a name.

        Raises
        ------
        WarehouseError
            If nothing of that name was ingested; the message lists similar names.
        """
        if dimension == "model":
            keys = {submission.model for submission in self.submissions()}
        else:
            keys = {submission.benchmark for submission in self.submissions()}
            keys |= {battle_set.name for battle_set in self.battle_sets()}
        known = sorted(keys)
        for candidate in (name, encode_key(name)):
            if candidate in known:
                return candidate
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
        listed = ", ".join(close) if close else "none: nothing was ingested yet"
        raise WarehouseError(f"there is no {dimension} {name!r}. Known here: {listed}")

    def remove_record(self, partition: RecordedPartition) -> None:
        """Remove a submission's record and the copies of its files."""
        self.storage.remove_folder(self._record_path(partition).rpartition("/")[0])

    def _record_path(self, partition: RecordedPartition) -> str:
        return self.storage.path("submissions", submission_folder(partition), _RECORD)

    def _read_record(self, path: str) -> dict[str, Any]:
        """Return a record; an empty one if there is none."""
        if not self.storage.exists(path):
            return {}
        try:
            return dict(json.loads(self.storage.read_text(path)))
        except ValueError as error:
            raise DamagedRecordError(
                f"{path} is damaged ({error}): ingest the submission again, or delete the file"
            ) from error

    def _read_record_if_sound(self, path: str) -> dict[str, Any]:
        """Return a record; an empty one if there is none or it is damaged."""
        try:
            return self._read_record(path)
        except DamagedRecordError:
            return {}

    def _write_record(self, path: str, record: Mapping[str, Any]) -> None:
        self.storage.write_text(path, json.dumps(record, sort_keys=True, indent=2) + "\n")


def partition_of_submission(submission: Submission) -> RecordedPartition:
    """Return the partition that a submission is recorded as: a battle set if it has no model."""
    if submission.model:
        return SubmissionPartition.of_names(submission.benchmark, submission.model)
    return BattleSetPartition.of_name(submission.benchmark)


def submission_folder(partition: RecordedPartition) -> str:
    """Return the folder of a submission's record, relative to ``submissions``."""
    if isinstance(partition, BattleSetPartition):
        return hive_folder(battle_set=partition.name)
    return hive_folder(benchmark=partition.benchmark, model=partition.model)


def submission_partitions(paths: list[str]) -> list[SubmissionPartition]:
    """Return the partitions of files in folders ``…/benchmark=<b>/model=<m>/``, sorted."""
    # The root's own path may hold a "benchmark=…" too: only the last two folders count.
    values = (hive_values("/".join(path.split("/")[-3:])) for path in paths)
    return sorted(SubmissionPartition(value["benchmark"], value["model"]) for value in values)
