"""Opening files that may be compressed, guarded against what hostile or damaged ones do.

Nothing is ever extracted to disk: a member of a zip is read as a stream. Every stream counts the
bytes that really come out of it, since the sizes an archive declares may be lies.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from errclust_pipeline.sources.base import SourceError

# Members compressed by Zstandard, as Inspect AI writes its logs today, are read by Python from
# 3.14 on; before, by the same code made available for older versions.
if sys.version_info >= (3, 14):
    import zipfile

    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile, zipfile

MAX_DECOMPRESSED_BYTES = 8 << 30
"""More than this out of one compressed file is refused."""

MAX_RATIO = 200
"""More decompressed bytes than this for each compressed byte are refused. Real result files,
loops of a base model included, stay below 50; deflate's own limit is about 1,030."""

RATIO_MATTERS_FROM_BYTES = 32 << 20
"""A file that decompresses to no more than this is harmless, whatever its ratio."""

MAX_ZIP_MEMBERS = 10_000
MAX_LOG_MEMBERS = 500_000
"""A log holds a file for each sample, and some a few more."""

_DAMAGE = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    ZstdError,
    struct.error,
    EOFError,
)


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
        except (*_DAMAGE, ValueError) as error:
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


class OpenZip:
    """An open zip file of many members, guarded as `open_result_file` guards one.

    If several members have one name, the last counts, as it does for tools that append to archives.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        _look_at_members(archive, path, MAX_LOG_MEMBERS)
        self._archive, self._path = archive, path
        self._members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        self._left = MAX_DECOMPRESSED_BYTES

    @property
    def names(self) -> list[str]:
        """The members' names, in the archive's order."""
        return list(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return a member's content.

        Raises
        ------
        SourceError
            If it is damaged, encrypted, larger than `most_bytes`, or decompresses to more than is
            believable.
        """
        info = self._members[name]
        with _told(self._path), _open_member(self._archive, info, self._path) as stream:
            content = stream.read(most_bytes + 1)
        self._left -= len(content)
        if self._left < 0:
            raise SourceError(_too_large(self._path))
        if len(content) > most_bytes:
            raise SourceError(
                f"{self._path}: {name[:200]!r} in it holds more than {most_bytes >> 20} MiB"
            )
        return content


@contextmanager
def open_zip(path: Path) -> Iterator[OpenZip]:
    """Open a zip file of many members.

    Raises
    ------
    SourceError
        If the file is missing or damaged, or holds too many members or one of an unsafe name.
    """
    with _told(path), _zip_file(path) as archive:
        yield OpenZip(archive, path)


@contextmanager
def open_result_file(path: Path, member: str | None = None) -> Iterator[io.BufferedReader[Any]]:
    """Open a plain, gzip, Zstandard or zip file for reading bytes; a zip's one JSON member.

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
    with _told(path):
        if path.suffix.lower() == ".zip":
            with _zip_file(path) as archive:
                info = _json_member(archive, path, member)
                with _open_member(archive, info, path) as buffered:
                    yield buffered
        elif path.suffix.lower() in (".gz", ".zst"):
            is_zstandard = path.suffix.lower() == ".zst"
            with ZstdFile(path) if is_zstandard else gzip.open(path) as file:
                stream = _GuardedStream(file, path, path.stat().st_size)  # type: ignore[arg-type]
                with io.BufferedReader(stream, 1 << 20) as buffered:
                    yield buffered
        else:
            with path.open("rb") as plain:
                yield plain


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file in the block into a message that names it."""
    try:
        yield
    except _DAMAGE as error:
        raise SourceError(f"{path} is damaged ({error}): fetch it again") from error
    except (NotImplementedError, RuntimeError) as error:
        # What zipfile raises for an unknown compression, or a password it learns of too late.
        if isinstance(error, RecursionError):
            raise
        raise SourceError(f"{path} cannot be unpacked ({error}): unpack it yourself") from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def _zip_file(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} holds a member whose name is not valid UTF-8: pack it again"
        ) from error
    except ValueError as error:
        raise SourceError(f"{path} is damaged ({error}): fetch it again") from error


@contextmanager
def _open_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path
) -> Iterator[io.BufferedReader[Any]]:
    if info.flag_bits & 0x1:
        raise SourceError(
            f"{path} is encrypted: unpack it with its password and give the result file"
        )
    believable = max(RATIO_MATTERS_FROM_BYTES, MAX_RATIO * info.compress_size)
    if info.file_size > min(MAX_DECOMPRESSED_BYTES, believable):
        raise SourceError(_too_large(path))
    try:
        member = archive.open(info)
    except ValueError as error:
        # Its name as the member itself has it is not that of the archive's list, or no text.
        raise SourceError(f"{path} is damaged ({error}): fetch it again") from error
    with io.BufferedReader(_GuardedStream(member, path, info.compress_size), 1 << 20) as stream:
        yield stream


def _look_at_members(
    archive: zipfile.ZipFile, path: Path, most_members: int
) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > most_members:
        raise SourceError(
            f"{path} holds {len(members):,} files, more than {most_members:,}: "
            "unpack it yourself and give the result file"
        )
    for info in members:
        if _is_suspicious(info.filename):
            raise SourceError(
                f"{path} holds a member named {info.filename[:200]!r}, which would be written "
                "outside the folder it is unpacked in: do not trust this file"
            )
    return members


def _json_member(archive: zipfile.ZipFile, path: Path, member: str | None) -> zipfile.ZipInfo:
    """Choose the member to read, having looked at all of them."""
    members = _look_at_members(archive, path, MAX_ZIP_MEMBERS)
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
    return found[0]


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
