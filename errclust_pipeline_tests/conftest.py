"""What tests share: a data root with the embedder that loads nothing, and small result files."""

from __future__ import annotations

import os

# Before anything imports a hub client: no test reaches outside the machine.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("ERRCLUST_ROOT", None)
os.environ.pop("DAGSTER_HOME", None)

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage

from errclust_pipeline.resources.warehouse import Warehouse

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_instance_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("ERRCLUST_ROOT", raising=False)
    # An instance that is entered twice, as Dagster does, leaves its storage behind for whoever
    # loads definitions next.
    with set_defs_state_storage(None):
        yield
    os.environ.pop("DAGSTER_HOME", None)


def quick_root(folder: Path) -> Path:
    """Make a data root that embeds by hashing and lays out no map: quick, the same machinery."""
    folder.mkdir()
    (folder / "errclust.toml").write_text(
        '[embedding]\nmodel = "hashing"\n[clustering]\nlayout = false\n'
    )
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A quick data root of a test's own."""
    return quick_root(tmp_path / "root")


@pytest.fixture
def warehouse(root: Path) -> Warehouse:
    """The warehouse at the data root."""
    return Warehouse(str(root))


@pytest.fixture(scope="session")
def real_mmlu_pro() -> Path:
    """Real MMLU-Pro results; tests that need them skip where they are absent."""
    folder = REAL_DATA / "mmlu_pro"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder
