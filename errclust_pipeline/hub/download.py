"""What happens to a file's bytes: where they lie, whether they are intact, how many came."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errclust_pipeline.progress import ProgressCounter

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class HubFile:
    """A file of a repository.

    Attributes
    ----------
    path : str
        Its path in the repository.
    size : int
        In bytes.
    blob : str
        Git's hash of its content, or of the pointer to a large file; empty where the hub was not
        asked.
    sha256 : str
        The hash of a large file's content; empty for others.
    """

    path: str
    size: int = 0
    blob: str = ""
    sha256: str = ""


@dataclass
class Fetched:
    """How many files came over the network, and how many bytes."""

    files: int = 0
    size: int = 0


def download_folder() -> Path:
    """Return the folder that fetched files are stored in.

    ::

        <HF_HOME>/assets/errclust/datasets/<owner>/<commit>/<name>/<path>

    A file's path says where it came from, and readers that go by folders' names meet those of the
    repository. The folder is the hub client's to clear.
    """
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE, "errclust", "datasets").resolve()


def is_intact(path: Path, file: HubFile) -> bool:
    """Return whether a file's content is what the hub lists; true where it lists no hash."""
    if not file.blob and not file.sha256:
        return True
    size = path.stat().st_size
    if size != file.size:
        return False
    if file.sha256:
        digest, expected = hashlib.sha256(), file.sha256
    else:
        digest, expected = hashlib.sha1(usedforsecurity=False), file.blob
        digest.update(b"blob %d\0" % size)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest() == expected


class DownloadCounter:
    """Counts what is fetched, in any number of threads, and reports the progress.

    Attributes
    ----------
    bar : type
        A progress bar for the hub's client: it counts here and shows nothing.
    stopped : bool
        Set to True to end the downloads that are under way.
    """

    def __init__(self, total: int, fetched: Fetched) -> None:
        from huggingface_hub.utils.tqdm import tqdm

        self.stopped = False
        self._counter = ProgressCounter("fetching", total // 1000 or None, "kB")
        self._fetched = fetched
        self._done = 0
        self._lock = threading.Lock()
        count = self.count_bytes

        class Bar(tqdm):
            """Passes on what the client reports, and shows nothing."""

            def __init__(self, *_: Any, **options: Any) -> None:
                super().__init__(**{**options, "disable": True})  # type: ignore[no-untyped-call]

            def update(self, n: float | None = 1) -> None:
                count(int(n or 0))

        self.bar = Bar

    def count_stored(self, size: int) -> None:
        """Count a file that was fetched before."""
        with self._lock:
            self._advance(size)

    def count_bytes(self, size: int) -> None:
        """Count bytes that came; a client that starts a file again takes some back."""
        if self.stopped:
            raise _StoppedError
        with self._lock:
            self._fetched.size += size
            self._advance(size)

    def count_file(self) -> None:
        """Count a file that came whole."""
        with self._lock:
            self._fetched.files += 1

    def _advance(self, size: int) -> None:
        self._done += size
        self._counter.advance(self._done // 1000 - self._counter.done)


class _StoppedError(Exception):
    """Ends a download that nobody waits for any more."""
