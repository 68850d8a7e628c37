"""What the tests of readers share: reading a submission to the end, and writing small files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from errclust_pipeline.sources import SourceError, Submission, read_submission

_Result = TypeVar("_Result")


class Read:
    """All that reading a submission gave."""

    def __init__(self, submission: Submission, batch_rows: int = 1_000) -> None:
        self.rows: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        self.skipped = 0
        for batch in read_submission(submission, batch_rows):
            self.rows += batch.responses.to_pylist()
            self.rejects += batch.rejects.to_pylist()
            self.skipped += batch.skipped

    @property
    def total(self) -> int:
        """All rows accounted for."""
        return len(self.rows) + len(self.rejects) + self.skipped

    @property
    def reasons(self) -> list[str]:
        """Why rows were rejected, in order."""
        return [reject["reason"] for reject in self.rejects]


def read_or_error(submission: Submission) -> tuple[Read | None, str]:
    """What a submission holds, or the one error that reading it ends in; no other may come."""
    try:
        return Read(submission), ""
    except SourceError as error:
        return None, str(error)


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def result_or_refusal(action: Callable[[], _Result]) -> _Result | SourceError:
    """What an action gives, or the clear error that it may end in; any other error is let out."""
    try:
        return action()
    except SourceError as error:
        return error
