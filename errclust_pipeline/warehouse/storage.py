"""Files and folders, on a local disk or any fsspec URL, written whole or not at all.

What the files mean does not belong here.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
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
    """A root folder, and the operations on it that the pipeline needs.

    A file is written to a temporary name beside its target, flushed to the disk and renamed: a
    reader sees the old file or the new one. A process killed half-way leaves at most a temporary
    file, which the next write into that folder removes. A file for an object store is first
    written to this machine, since an upload becomes visible only when it is complete.

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
        """The root as a path, or as a URL with its protocol if it is remote."""
        return self.root if self.is_local else str(self._filesystem.unstrip_protocol(self.root))

    def path(self, *parts: str) -> str:
        """Join parts to a full path below the root."""
        return "/".join([self.root, *parts])

    def exists(self, path: str) -> bool:
        """Return whether a file exists."""
        return bool(self._filesystem.exists(path))

    def glob(self, pattern: str) -> list[str]:
        """Return the full paths below the root that match a pattern, sorted."""
        if self.is_local:
            # Several times as fast as fsspec's glob.
            return sorted(map(str, Path(self.root).glob(pattern)))
        return sorted(self._filesystem.glob(f"{glob.escape(self.root)}/{pattern}"))

    def has_root(self) -> bool:
        """Return whether the root is a folder now, whatever was seen of it before."""
        self._filesystem.invalidate_cache()
        return bool(self._filesystem.isdir(self.root))

    def all_files(self) -> dict[str, dict[str, Any]]:
        """Return what the store knows of each file below the root, by its path relative to it.

        Raises
        ------
        Exception
            Any error that the store raises; each kind of store has its own.
        """
        files = self._filesystem.find(self.root, detail=True)
        return {path[len(self.root) :].lstrip("/"): dict(facts) for path, facts in files.items()}

    def names_in(self, folder: str) -> list[str]:
        """List the names of what is in a folder, sorted."""
        paths = self._filesystem.ls(folder, detail=False)
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        return self._filesystem.open(path, "rb")  # type: ignore[no-any-return]

    @contextmanager
    def open_for_arrow(self, path: str) -> Iterator[pa.NativeFile]:
        """Open a file for pyarrow; its content stays what it was at that moment.

        pyarrow never gets a Python file: its threads may still hold one when the interpreter ends,
        which then aborts.
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
        temporary = _temporary_name(target)
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
        """Rename a file; a file that has the new name is replaced."""
        self._filesystem.mv(path, new)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._filesystem.rm_file(path)

    def remove_folder(self, path: str) -> None:
        """Remove a folder with all that is in it."""
        self._filesystem.rm(path, recursive=True)

    def lock(self, path: str, timeout: float = -1) -> AbstractContextManager[Any]:
        """Lock a name among the processes of this machine.

        Object stores have no locks: for them this does nothing, and what it guards must stay
        correct without it.

        Raises
        ------
        filelock.Timeout
            If another process holds the lock longer than `timeout` seconds; -1 waits for ever.
        """
        if not self.is_local:
            return nullcontext()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path, timeout=timeout)


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Write a local folder that appears under its name only when the block ends without an error.

    A folder of that name is replaced; it stays as it is if the block raises or the process is
    killed. (In the moment between two renames it has a hidden name that ends in ``.old``.) What a
    killed process wrote is removed by the next write beside it.

    Yields
    ------
    Path
        An empty folder beside the target, to be filled.

    Raises
    ------
    OSError
        If the folder cannot be written; the old one is put back.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder.parent)
    partial = _temporary_name(folder)
    try:
        partial.mkdir()
        yield partial
        if not folder.exists():
            partial.rename(folder)
        else:
            # Not a temporary name: if the process is killed now, this is the only copy.
            old = partial.with_suffix(".old")
            folder.rename(old)
            try:
                partial.rename(folder)
            except OSError:
                old.rename(folder)
                raise
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _flush_folder(folder.parent)


def hive_folder(**values: str) -> str:
    """Return a hive partition path, ``name=value/…``, with percent-encoded values."""
    return "/".join(f"{name}={quote(value, safe='')}" for name, value in values.items())


def hive_values(path: str) -> dict[str, str]:
    """Return the partition values in a hive path."""
    parts = (part.partition("=") for part in path.split("/"))
    return {name: unquote(value) for name, equals, value in parts if equals}


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _temporary_name(target: Path) -> Path:
    """Return a hidden name beside a target that says which process writes it."""
    owner = f"{quote(socket.gethostname(), safe='')}-{os.getpid()}"
    return target.with_name(f".{target.name}.{owner}-{uuid.uuid4().hex[:8]}{_TEMPORARY_SUFFIX}")


def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders whose process on this machine is gone."""
    host = re.escape(quote(socket.gethostname(), safe=""))
    name = re.compile(rf"\..*\.{host}-(\d+)-[0-9a-f]+{re.escape(_TEMPORARY_SUFFIX)}", re.DOTALL)
    for leftover in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        match = name.fullmatch(leftover.name)
        if match is None or psutil.pid_exists(int(match[1])):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, so that a power cut cannot undo a rename."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
