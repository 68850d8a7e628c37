"""Opening files that may be compressed, guarded against what hostile or damaged ones do.

Nothing is ever extracted to disk: a member of a zip is read as a stream. Every stream counts the
bytes that really come out of it, since the sizes an archive declares may be lies.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from errclust_pipeline.sources.base import SourceError

MAX_DECOMPRESSED_BYTES = 8 << 30
"""More than this out of one compressed file is refused."""

MAX_RATIO = 200
"""More decompressed bytes than this for each compressed byte are refused. Real result files,
loops of a base model included, stay below 50; deflate's own limit is about 1,030."""

RATIO_MATTERS_FROM_BYTES = 32 << 20
"""A file that decompresses to no more than this is harmless, whatever its ratio."""

MAX_ZIP_MEMBERS = 10_000

_DAMAGE = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError)


class _GuardedStream(io.RawIOBase):
    """A stream that fails with a `SourceError` if it is damaged or larger than is believable."""

    def __init__(self, stream: IO[bytes], path: Path, compressed_bytes: int) -> None:
        self._stream = stream
        self._path = path
        self._left = min(
            MAX_DECOMPRESSED_BYTES, max(RATIO_MATTERS_FROM_BYTES, MAX_RATIO * compressed_bytes)
        )

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            data = self._stream.read(len(target))
        except _DAMAGE as error:
            raise SourceError(
                f"{self._path} is damaged ({error or 'it ends too early'}): fetch it again"
            ) from error
        self._left -= len(data)
        if self._left < 0:
            raise SourceError(_too_large(self._path))
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


@contextmanager
def open_result_file(path: Path, member: str | None = None) -> Iterator[io.BufferedReader[Any]]:
    """Open a plain, gzip or zip file for reading bytes; a zip's one JSON member.

    Parameters
    ----------
    member : str, optional
        Which member of a zip, if it holds several JSON files.

    Raises
    ------
    SourceError
        If the file is missing, damaged, encrypted, or decompresses to more than is believable;
        also from a read in the middle of the file.
    """
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                info = _json_member(archive, path, member)
                stream = _GuardedStream(archive.open(info), path, info.compress_size)
                with io.BufferedReader(stream, 1 << 20) as buffered:
                    yield buffered
        elif path.suffix.lower() == ".gz":
            with gzip.open(path) as file:
                stream = _GuardedStream(file, path, path.stat().st_size)  # type: ignore[arg-type]
                with io.BufferedReader(stream, 1 << 20) as buffered:
                    yield buffered
        else:
            with path.open("rb") as plain:
                yield plain
    except _DAMAGE as error:
        raise SourceError(f"{path} is damaged ({error}): fetch it again") from error
    except (NotImplementedError, RuntimeError) as error:
        # What zipfile raises for an unknown compression, or a password it learns of too late.
        if isinstance(error, RecursionError):
            raise
        raise SourceError(f"{path} cannot be unpacked ({error}): unpack it yourself") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _json_member(archive: zipfile.ZipFile, path: Path, member: str | None) -> zipfile.ZipInfo:
    """Choose the member to read, having looked at all of them."""
    members = archive.infolist()
    if len(members) > MAX_ZIP_MEMBERS:
        raise SourceError(
            f"{path} holds {len(members):,} files, more than {MAX_ZIP_MEMBERS:,}: "
            "unpack it yourself and give the result file"
        )
    for info in members:
        if _is_suspicious(info.filename):
            raise SourceError(
                f"{path} holds a member named {info.filename[:200]!r}, which would be written "
                "outside the folder it is unpacked in: do not trust this file"
            )
    found = [info for info in members if _is_json(info)]
    if member is not None:
        found = [info for info in found if info.filename == member]
    if not found:
        raise SourceError(f"{path} holds no JSON file{f' named {member}' if member else ''}")
    if len(found) > 1:
        names = ", ".join(info.filename[:80] for info in found[:5])
        raise SourceError(
            f"{path} holds {len(found)} JSON files ({names}), expected one: unpack it and give "
            "the one meant"
        )
    [info] = found
    if info.flag_bits & 0x1:
        raise SourceError(
            f"{path} is encrypted: unpack it with its password and give the JSON file"
        )
    believable = max(RATIO_MATTERS_FROM_BYTES, MAX_RATIO * info.compress_size)
    if info.file_size > min(MAX_DECOMPRESSED_BYTES, believable):
        raise SourceError(_too_large(path))
    return info


def _is_json(info: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(info.filename)
    # Archives made on a Mac carry a shadow of every file.
    hidden = any(part == "__MACOSX" or part.startswith(".") for part in name.parts)
    return not info.is_dir() and not hidden and name.suffix.lower() in (".json", ".jsonl")


def _is_suspicious(name: str) -> bool:
    plain = name.replace("\\", "/")
    return plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/") or "\0" in plain


def _too_large(path: Path) -> str:
    return (
        f"{path} decompresses to more than is believable (limits: "
        f"{MAX_DECOMPRESSED_BYTES >> 30} GiB, and {MAX_RATIO} bytes for each compressed byte): "
        "if you trust it, unpack it yourself and give the result file"
    )
