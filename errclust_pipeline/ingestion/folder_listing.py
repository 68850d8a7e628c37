"""What files a folder holds, and in which version: a local folder, or a bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import fsspec

from errclust_pipeline.warehouse.storage import Storage

_UNFINISHED_ENDINGS = (
    ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".incomplete",
    ".swp", ".lock", "~",
)  # fmt: skip
_CONTENT_TAGS = ("ETag", "etag", "md5Hash", "md5", "checksum", "blob_id", "sha256")
"""Under what name file systems tell a file's content apart, where they do."""


class ListingError(OSError):
    """A folder that cannot be listed: not the same as an empty one."""


@dataclass(frozen=True)
class ListedFile:
    """A file in a folder.

    `path` is relative to the folder, with slashes; `version` changes when the content does: it is
    the store's own tag of the content (a hub's hash, a bucket's ETag) or else size and time.
    """

    path: str
    version: str


class Listing(Protocol):
    """A place that submissions arrive in: what files it holds, and in which version."""

    url: str
    key: str
    """Names the place in the data root."""

    def exists(self) -> bool:
        """Whether the place is there."""
        ...

    def gave(self, file: str) -> bool:
        """Whether a file, as a submission's record names it, came from here."""
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
        """Return a path to read a file from, fetched if it has to be.

        Raises
        ------
        OSError
            If it cannot be fetched.
        """
        ...


class FolderListing:
    """A folder, below which submissions arrive.

    Parameters
    ----------
    url : str
        A local path or any URL that fsspec can list, such as ``s3://bucket/results``.
    storage : Storage
        The data root, under which files of a remote folder are kept once they are fetched.
    """

    def __init__(self, url: str, storage: Storage) -> None:
        self._filesystem: Any
        self._filesystem, path = fsspec.core.url_to_fs(url)
        protocol = self._filesystem.protocol
        self.is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
        self._root = str(Path(path).resolve()) if self.is_local else path.rstrip("/")
        self._storage = storage
        self.url: str = (
            self._root if self.is_local else str(self._filesystem.unstrip_protocol(self._root))
        )
        self.key = hashlib.blake2b(self.url.encode(), digest_size=8).hexdigest()
        """Names the folder in the data root."""

    def exists(self) -> bool:
        """Whether the folder is there."""
        self._filesystem.invalidate_cache()
        return bool(self._filesystem.isdir(self._root))

    def gave(self, file: str) -> bool:
        """Whether a recorded file came from this folder."""
        kept = f"{self._storage.path('submissions', 'fetched', self.key)}/"
        return file.startswith((f"{self._root}/", kept) if self.is_local else kept)

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
            found = self._filesystem.find(self._root, detail=True)
        except ListingError:
            raise
        except Exception as error:
            # Each store has exceptions of its own.
            raise ListingError(f"{self.url} cannot be listed: {error}") from error
        return finished(
            ListedFile(name[len(self._root) :].lstrip("/"), _version(details))
            for name, details in found.items()
        )

    def local(self, file: ListedFile) -> Path:
        """Return a path to read a file from; that of a remote folder is fetched first.

        Raises
        ------
        OSError
            If it cannot be fetched.
        """
        if self.is_local:
            return Path(self._root, file.path)
        if not self._storage.is_local:
            raise ListingError(
                f"{self.url} is remote and so is the data root: mount the folder, since result "
                "files are read from a disk"
            )
        version = hashlib.blake2b(file.version.encode(), digest_size=8).hexdigest()
        own = PurePosixPath(file.path)
        # The folder's name is kept: it may be the model's.
        folder = self._storage.path(
            "submissions", "fetched", self.key, version, *own.parts[:-1][-1:]
        )
        wanted = [own.name]
        wanted += [
            name
            for name in (PurePosixPath(path).name for path in self._siblings(file.path))
            if name.startswith("results_") and name != own.name
        ]
        for name in wanted:
            target = f"{folder}/{name}"
            if not self._storage.exists(target):
                source = "/".join([self._root, *own.parts[:-1], name])
                with (
                    self._filesystem.open(source, "rb") as remote,
                    self._storage.write(target) as copy,
                ):
                    while chunk := remote.read(1 << 20):
                        copy.write(chunk)
        return Path(folder, own.name)

    def _siblings(self, path: str) -> list[str]:
        folder = "/".join([self._root, *PurePosixPath(path).parts[:-1]])
        return list(self._filesystem.ls(folder, detail=False))


def finished(files: Iterable[ListedFile]) -> list[ListedFile]:
    """Return the files that are neither hidden nor unfinished, sorted.

    The version of samples depends on the results files beside them, which say of which model they
    are.
    """
    listed = [file for file in files if _is_finished(file.path)]
    names: dict[str, list[str]] = {}
    for file in listed:
        if PurePosixPath(file.path).name.startswith("results_"):
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
    # A file put in another's place has another number, even at the same size and time.
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
