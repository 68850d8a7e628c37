"""Files under one root, on a local disk or any fsspec URL, written whole or not at all."""

from __future__ import annotations

import glob
import os
import re
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

import fsspec
import psutil
import pyarrow as pa
from filelock import FileLock

_TEMPORARY_SUFFIX = ".tmp"


class Storage:
    """A root folder and the few operations the pipeline needs of it.

    A write goes to a temporary name beside its target, is flushed to the disk and renamed: a
    reader sees the old file or the new one, and a process killed half-way leaves at most a
    temporary file, which the next write into that folder removes. For an object store the file is
    first written to this machine: an upload becomes visible only when it is complete.

    Parameters
    ----------
    root : str
        A local path or any URL that fsspec can write to.
    """

    def __init__(self, root: str) -> None:
        self._filesystem: Any
        self._filesystem, path = fsspec.core.url_to_fs(str(root))
        self.is_local: bool = "file" in _protocols(self._filesystem)
        self.root: str = str(Path(path).resolve()) if self.is_local else path.rstrip("/")

    @property
    def filesystem(self) -> Any:
        """The fsspec file system, for libraries that take one."""
        return self._filesystem

    @property
    def url(self) -> str:
        """The root as libraries with their own notion of URLs want it."""
        return self.root if self.is_local else str(self._filesystem.unstrip_protocol(self.root))

    def path(self, *parts: str) -> str:
        """Join parts to a full path below the root."""
        return "/".join([self.root, *parts])

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        return bool(self._filesystem.exists(path))

    def glob(self, pattern: str) -> list[str]:
        """Full paths below the root that match a pattern, sorted."""
        if self.is_local:
            # Several times as fast as fsspec's.
            return sorted(map(str, Path(self.root).glob(pattern)))
        return sorted(self._filesystem.glob(f"{glob.escape(self.root)}/{pattern}"))

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        return self._filesystem.open(path, "rb")  # type: ignore[no-any-return]

    @contextmanager
    def open_for_arrow(self, path: str) -> Iterator[pa.NativeFile]:
        """Open a file for pyarrow to read, once and for all: it stays what it was at that moment.

        Never a Python file: pyarrow's threads may still hold one when the interpreter ends, which
        then aborts.
        """
        if self.is_local:
            with pa.OSFile(path) as file:
                yield file
        else:
            with self.open(path) as remote:
                content = remote.read()
            yield pa.BufferReader(content)

    def read_text(self, path: str) -> str:
        """Read a small UTF-8 file."""
        with self.open(path) as file:
            return file.read().decode()

    def write_text(self, path: str, text: str) -> None:
        """Write a small UTF-8 file, whole or not at all."""
        with self.write(path) as file:
            file.write(text.encode())

    @contextmanager
    def write(self, path: str) -> Iterator[IO[bytes]]:
        """Write a file that appears under its name only when the block ends without an error."""
        if not self.is_local:
            with tempfile.NamedTemporaryFile(prefix="errclust-") as spooled:
                yield spooled
                spooled.flush()
                self._filesystem.makedirs(path.rpartition("/")[0], exist_ok=True)
                self._filesystem.put_file(spooled.name, path)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target.parent)
        owner = f"{quote(socket.gethostname(), safe='')}-{os.getpid()}"
        temporary = target.with_name(
            f".{target.name}.{owner}-{uuid.uuid4().hex[:8]}{_TEMPORARY_SUFFIX}"
        )
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_folder(target.parent)

    def rename(self, path: str, new: str) -> None:
        """Give a file another name; what has it is replaced."""
        self._filesystem.mv(path, new)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._filesystem.rm_file(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it."""
        self._filesystem.rm(path, recursive=True)

    def lock(self, path: str, timeout: float = -1) -> AbstractContextManager[Any]:
        """Lock a name among the processes of this machine.

        Object stores have no locks: there this does nothing, and what it guards must stay correct
        without it.

        Raises
        ------
        filelock.Timeout
            If another process holds it longer than `timeout` seconds (-1 waits for ever).
        """
        if not self.is_local:
            return nullcontext()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path, timeout=timeout)


def hive_folder(**values: str) -> str:
    """Return a hive partition path, ``name=value/…``, with percent-encoded values."""
    return "/".join(f"{name}={quote(value, safe='')}" for name, value in values.items())


def hive_values(path: str) -> dict[str, str]:
    """Return the partition values that stand in a path."""
    parts = (part.partition("=") for part in path.split("/"))
    return {name: unquote(value) for name, equals, value in parts if equals}


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files in a folder whose process on this machine is gone."""
    host = re.escape(quote(socket.gethostname(), safe=""))
    name = re.compile(rf"\..*\.{host}-(\d+)-[0-9a-f]+{re.escape(_TEMPORARY_SUFFIX)}", re.DOTALL)
    for leftover in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        found = name.fullmatch(leftover.name)
        if found and not psutil.pid_exists(int(found[1])):
            leftover.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Make a rename durable, so that a power cut cannot undo it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
