import gzip
import struct
import zipfile
from pathlib import Path

import pytest

from errclust_pipeline.sources import SourceError, archive
from errclust_pipeline.sources.archive import open_result_file
from errclust_pipeline_tests.sources.reading import write_zip


def read(path: Path) -> bytes:
    with open_result_file(path) as stream:
        return stream.read()


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.zip"])
def test_plain_and_compressed_files_read_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith(".zip"):
        write_zip(path, {"a.json": b"[1]", "__MACOSX/._a.json": b"x", "readme.txt": b"x"})
    else:
        path.write_bytes(gzip.compress(b"[1]") if name.endswith(".gz") else b"[1]")
    assert read(path) == b"[1]"


@pytest.mark.parametrize(
    "name", ["../a.json", "/etc/a.json", "..\\a.json", "C:\\a.json", "x/../../a.json"]
)
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / "a.zip", {"good.json": b"[]", name: b"[]"})
    with pytest.raises(SourceError, match="do not trust"):
        read(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.zip"]


def test_a_bomb_is_refused_by_its_declared_size(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.json": b"[" + b" " * (64 << 20) + b"]"})
    with pytest.raises(SourceError, match="more than is believable"):
        read(path)


@pytest.mark.parametrize("name", ["a.zip", "a.json.gz"])
def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_unpacks(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "RATIO_MATTERS_FROM_BYTES", 1 << 20)
    path = tmp_path / name
    content = b"[" + b" " * (4 << 20) + b"]"
    if name == "a.json.gz":
        path.write_bytes(gzip.compress(content))
    else:
        write_zip(path, {"a.json": content})
        _declare(path, 1_000)
    with pytest.raises(SourceError, match=r"believable|damaged"):
        read(path)


def _declare(path: Path, size: int) -> None:
    """Change the uncompressed size that a zip's headers declare."""
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = raw.index(signature) + offset
        raw[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(bytes(raw))


def test_an_encrypted_zip_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.json": b"[]"})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        raw[raw.index(signature) + offset] |= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(SourceError, match="encrypted: unpack it with its password"):
        read(path)


def test_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.json": b"[]"})
    raw = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        raw[raw.index(signature) + offset] = 97
    path.write_bytes(bytes(raw))
    with pytest.raises(SourceError, match="cannot be unpacked"):
        read(path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no zip", "gzip cut"])
def test_damaged_archives_are_named(tmp_path: Path, damage: str) -> None:
    content = bytes(range(256)) * 400
    path = tmp_path / "a.zip"
    if damage == "no zip":
        path.write_bytes(b"not a zip")
    elif damage == "gzip cut":
        path = tmp_path / "a.json.gz"
        path.write_bytes(gzip.compress(content)[:-20])
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a.json", content)
        raw = bytearray(path.read_bytes())
        raw[5_000] ^= 255
        path.write_bytes(bytes(raw[:-30] if damage == "cut" else raw))
    with pytest.raises(SourceError, match="damaged"):
        read(path)


def test_several_json_members_or_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="2 JSON files"):
        read(write_zip(tmp_path / "a.zip", {"a.json": b"[]", "b.json": b"[]"}))
    with pytest.raises(SourceError, match="no JSON file"):
        read(write_zip(tmp_path / "b.zip", {"a.txt": b"[]"}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("a.json", "a.zip", "a.json.gz"):
        with pytest.raises(SourceError, match="cannot be read: No such file"):
            read(tmp_path / name)
