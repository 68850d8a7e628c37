import os
import socket
import subprocess
import sys
from urllib.parse import quote

import filelock
import pytest

from errclust_pipeline.warehouse.storage import (
    Storage,
    hive_folder,
    hive_values,
    replace_folder,
)


@pytest.fixture(params=["local", "memory"])
def storage(request, tmp_path):
    if request.param == "local":
        return Storage(str(tmp_path / "a root [with] brackets"))
    return Storage(f"memory://{tmp_path.name}")


def test_what_was_written_is_read_and_found(storage):
    path = storage.path("lake", "b=1", "file.txt")
    storage.write_text(path, "één")
    assert storage.read_text(path) == "één"
    assert storage.exists(path)
    assert storage.glob("lake/*/file.txt") == [path]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(storage):
    path = storage.path("file.txt")
    storage.write_text(path, "old")

    def write_half():
        with storage.write(path) as file:
            file.write(b"new")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_half()
    assert storage.read_text(path) == "old"
    assert storage.glob("*") == [path]


def test_a_write_is_not_visible_before_its_end(tmp_path):
    storage = Storage(str(tmp_path))
    path = storage.path("file.txt")
    with storage.write(path) as file:
        file.write(b"new")
        assert not storage.exists(path)
    assert storage.read_text(path) == "new"


def test_temporary_files_of_dead_processes_are_removed_and_those_of_others_kept(tmp_path):
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, text=True, check=True).stdout.strip()  # fmt: skip
    host = quote(socket.gethostname(), safe="")
    abandoned = tmp_path / f".file.txt.{host}-{dead}-abc.tmp"
    alive = tmp_path / f".file.txt.{host}-{os.getpid()}-abc.tmp"
    elsewhere = tmp_path / f".file.txt.another%20host-{dead}-abc.tmp"
    for file in (abandoned, alive, elsewhere):
        file.touch()
    folder = tmp_path / f".folder.{host}-{dead}-abc.tmp"
    (folder / "inside").mkdir(parents=True)
    storage = Storage(str(tmp_path))
    storage.write_text(storage.path("file.txt"), "text")
    assert not abandoned.exists()
    assert not folder.exists()
    assert alive.exists()
    assert elsewhere.exists()


def test_a_lock_excludes_another_holder(tmp_path):
    storage = Storage(str(tmp_path))
    path = storage.path("deep", ".lock")
    with storage.lock(path), pytest.raises(filelock.Timeout), storage.lock(path, timeout=0):
        pass


@pytest.mark.parametrize("value", ["plain", "a/b", "we|ird=x%", "Qwen+x@1", "~7C"])
def test_hive_values_survive_the_path(value):
    folder = hive_folder(benchmark=value, model="m")
    assert folder.count("/") == 1
    assert hive_values(f"/root/{folder}/part-0.parquet") == {"benchmark": value, "model": "m"}


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    folder = tmp_path / "deep" / "export"
    with replace_folder(folder) as partial:
        (partial / "first").touch()
        assert not folder.exists()
    with replace_folder(folder) as partial:
        (partial / "second").touch()
        assert [path.name for path in folder.iterdir()] == ["first"]
    assert [path.name for path in folder.iterdir()] == ["second"]
    assert [path.name for path in folder.parent.iterdir()] == ["export"]


def test_a_folder_that_could_not_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path, monkeypatch
):
    folder = tmp_path / "export"
    with replace_folder(folder) as partial:
        (partial / "old").touch()

    def write_half():
        with replace_folder(folder) as partial:
            (partial / "new").touch()
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_half()
    assert [path.name for path in tmp_path.rglob("*")] == ["export", "old"]

    rename = type(folder).rename

    def refuse(path, target):
        if path.suffix == ".tmp":
            raise OSError("no space")
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", refuse)
    with pytest.raises(OSError, match="no space"), replace_folder(folder) as partial:
        (partial / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["export", "old"]
