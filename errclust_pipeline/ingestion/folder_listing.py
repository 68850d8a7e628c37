"""The files of a watched folder and their versions: a local folder, or a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from errclust_pipeline.warehouse.storage import Storage

_UNFINISHED_ENDINGS = (
    ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".incomplete",
    ".swp", ".lock", "~",
)  # fmt: skip
_CONTENT_TAGS = ("ETag", "etag", "md5Hash", "md5", "checksum", "blob_id", "sha256")
"""The names that stores give to a tag of a file's content."""
_RESULTS = "results_"
"""How the names of files begin that say which model the samples beside them are of."""
_CHUNK_BYTES = 1 << 20


class ListingError(OSError):
    """A folder cannot be listed, which is not the same as an empty folder."""


@dataclass(frozen=True)
class ListedFile:
    """A file in a folder.

    Attributes
    ----------
    path : str
        Relative to the folder, with slashes.
    version : str
        Changes when the content does: the store's tag of the content (a hub's hash, a bucket's
        ETag), or else size and time.
    """

    path: str
    version: str


class Listing(Protocol):
    """A place that submissions arrive in: the files it holds, and their versions.

    Attributes
    ----------
    url : str
    key : str
        Names the place in the data root.
    """

    url: str
    key: str

    def exists(self) -> bool:
        """Return whether the place is there."""
        ...

    def gave(self, file: str) -> bool:
        """Return whether a file, as a submission's record names it, came from here."""
        ...

    def files(self) -> list[ListedFile]:
        """List all files, sorted; hidden and unfinished ones are left out.

        Raises
        ------
        ListingError
            If the place is not there, or does not answer.
        """
        ...

    def local(self, file: ListedFile) -> Path:
        """Return a path to read a file from; a remote file is fetched first.

        Raises
        ------
        OSError
            If the file cannot be fetched.
        """
        ...


class FolderListing:
    """The files below a folder, on a disk or in a bucket.

    Parameters
    ----------
    url : str
        A local path or any URL that fsspec can list, such as ``s3://bucket/results``.
    storage : Storage
        The data root, which stores the files of a remote folder once they are fetched.
    """

    def __init__(self, url: str, storage: Storage) -> None:
        self._source = Storage(url)
        self._storage = storage
        self.url = self._source.url
        self.key = hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()

    def exists(self) -> bool:
        """Return whether the folder is there."""
        return self._source.has_root()

    def gave(self, file: str) -> bool:
        """Return whether a recorded file came from this folder."""
        fetched = f"{self._storage.path('submissions', 'fetched', self.key)}/"
        is_local = self._source.is_local
        return file.startswith((f"{self._source.root}/", fetched) if is_local else fetched)

    def files(self) -> list[ListedFile]:
        """List all files below the folder, sorted; hidden and unfinished ones are left out.

        Raises
        ------
        ListingError
            If the folder is not there, or the store does not answer.
        """
        try:
            if not self.exists():
                raise ListingError(f"{self.url} is not there: create it, or correct the settings")
            facts_by_path = self._source.all_files()
        except ListingError:
            raise
        except Exception as error:
            # Each store has exceptions of its own.
            raise ListingError(f"{self.url} cannot be listed: {error}") from error
        return finished(ListedFile(path, _version(facts)) for path, facts in facts_by_path.items())

    def local(self, file: ListedFile) -> Path:
        """Return a path to read a file from; the file of a remote folder is fetched first.

        Raises
        ------
        OSError
            If the file cannot be fetched.
        """
        if self._source.is_local:
            return Path(self._source.root, file.path)
        if not self._storage.is_local:
            raise ListingError(
                f"{self.url} is remote and so is the data root: mount the folder, since result "
                "files are read from a disk"
            )
        version = hashlib.blake2b(file.version.encode(), digest_size=8).hexdigest()
        path = PurePosixPath(file.path)
        # The name of the file's folder is kept: it may be the model's.
        target = self._storage.path(
            "submissions", "fetched", self.key, version, *path.parts[:-1][-1:]
        )
        source = self._source.path(*path.parts[:-1])
        beside = [name for name in self._source.names_in(source) if name.startswith(_RESULTS)]
        for name in dict.fromkeys([path.name, *beside]):
            if not self._storage.exists(f"{target}/{name}"):
                with (
                    self._source.open(f"{source}/{name}") as remote,
                    self._storage.write(f"{target}/{name}") as copy,
                ):
                    while chunk := remote.read(_CHUNK_BYTES):
                        copy.write(chunk)
        return Path(target, path.name)


def finished(files: Iterable[ListedFile]) -> list[ListedFile]:
    """Return the files that are neither hidden nor unfinished, sorted.

    The version of samples also depends on the results files beside them, which say which model
    they are of.
    """
    listed = [file for file in files if _is_finished(file.path)]
    names: dict[str, list[str]] = {}
    for file in listed:
        if PurePosixPath(file.path).name.startswith(_RESULTS):
            names.setdefault(_folder(file.path), []).append(f"{file.path} {file.version}")
    return sorted(
        (
            ListedFile(file.path, _with_neighbours(file, names.get(_folder(file.path), [])))
            for file in listed
        ),
        key=lambda file: file.path,
    )


def _version(details: Mapping[str, Any]) -> str:
    for tag in _CONTENT_TAGS:
        if details.get(tag):
            return f"{tag} {details[tag]}"
    changed = next(
        (
            details[name]
            for name in ("mtime", "LastModified", "modified", "created")
            if details.get(name)
        ),
        "",
    )
    # A file that replaces another has another inode number, even at the same size and time.
    return f"{details.get('size')} {changed} {details.get('ino', '')}".rstrip()


def _is_finished(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return not any(part.startswith(".") for part in parts) and not path.lower().endswith(
        _UNFINISHED_ENDINGS
    )


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _with_neighbours(file: ListedFile, names: list[str]) -> str:
    if not names or not PurePosixPath(file.path).name.startswith("samples_"):
        return file.version
    digest = hashlib.blake2b("\n".join(sorted(names)).encode(), digest_size=8).hexdigest()
    return f"{file.version} results {digest}"
