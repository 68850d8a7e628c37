import gzip
import struct
import tempfile
import zipfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.parsing import archive
from errclust_pipeline.sources.parsing.archive import open_result_file, open_zip
from errclust_pipeline_tests.sources.reading import result_or_refusal, write_zip


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


CONTENT = b'[{"question_id": 1, "question": "which?"}]' * 3
METHODS = {"stored": 0, "deflate": 8, "bzip2": 12, "lzma": 14, "zstandard": 93}


def write_with(path: Path, method: str, members: dict[str, bytes]) -> Path:
    with archive.zipfile.ZipFile(path, "w", METHODS[method]) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_every_compression_that_tools_write_is_read(tmp_path: Path, method: str) -> None:
    path = write_with(tmp_path / "a.zip", method, {"a.json": CONTENT})
    assert read(path) == CONTENT


@pytest.mark.parametrize("method", METHODS)
def test_no_damage_to_an_archive_ends_in_a_traceback(tmp_path: Path, method: str) -> None:
    good = write_with(tmp_path / "a.zip", method, {"a.json": CONTENT, "é.txt": b"x"}).read_bytes()

    @settings(max_examples=120, deadline=None)
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=4
        ),
        cut=st.integers(0, len(good)) | st.none(),
    )
    def is_read_or_refused(changes: list[tuple[int, int]], cut: int | None) -> None:
        raw = bytearray(good)
        for at, byte in changes:
            raw[at] = byte
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "a.zip")
            path.write_bytes(raw[:cut])
            for reading in (read, read_all):
                found = result_or_refusal(partial(reading, path))
                assert not isinstance(found, SourceError) or str(path) in str(found)

    is_read_or_refused()


def read_all(path: Path) -> dict[str, bytes]:
    with open_zip(path) as opened:
        return {name: opened.read(name, 1 << 20) for name in opened.names}


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"é.json": b"[]"})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    for reading in (read, read_all):
        with pytest.raises(SourceError, match="not valid UTF-8"):
            reading(path)


def test_the_members_of_an_archive_together_are_no_larger_than_believable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_DECOMPRESSED_BYTES", 3_000)
    path = write_zip(tmp_path / "a.zip", {f"{n}.json": b" " * 1_000 for n in range(4)})
    with pytest.raises(SourceError, match="more than is believable"):
        read_all(path)
    with open_zip(path) as opened, pytest.raises(SourceError, match="holds more than"):
        opened.read("0.json", 999)


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.json": b"1"})
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a.json", b"2")
    assert read_all(path) == {"a.json": b"2"}


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_LOG_MEMBERS", 2)
    with pytest.raises(SourceError, match="3 files, more than 2"):
        read_all(write_zip(tmp_path / "a.zip", {f"{n}.json": b"" for n in range(3)}))
