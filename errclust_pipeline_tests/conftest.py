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

from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.hub_server import HubServer, hub_server

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _no_instance_left_behind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    # For good: the home of a fixture's instance, restored after a test, would be the next one's.
    os.environ.pop("DAGSTER_HOME", None)
    monkeypatch.delenv("ERRCLUST_ROOT", raising=False)
    for name in [name for name in os.environ if name.startswith("ERRCLUST_") and "__" in name]:
        # Settings of the person who runs the tests.
        monkeypatch.delenv(name)
    # An instance that is entered twice, as Dagster does, leaves its storage behind for whoever
    # loads definitions next.
    with set_defs_state_storage(None):
        yield
    os.environ.pop("DAGSTER_HOME", None)


def quick_root(folder: Path) -> Path:
    """Make a data root that embeds by hashing and draws nothing: quick, the same machinery."""
    folder.mkdir()
    (folder / "errclust.toml").write_text(
        'pictures = false\n[embedding]\nmodel = "hashing"\n[clustering]\nlayout = false\n'
    )
    return folder


def with_pictures(root: Path) -> Path:
    """Let what is materialised at a quick data root carry its pictures."""
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text().replace("pictures = false", "pictures = true"))
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A quick data root of a test's own."""
    return quick_root(tmp_path / "root")


@pytest.fixture
def warehouse(root: Path) -> Warehouse:
    """The warehouse at the data root."""
    return Warehouse(str(root))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A hub on loopback, which the hub's clients in this process ask, with no token."""
    import datasets
    from huggingface_hub import close_session, constants

    with hub_server() as server:
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_URL_HOSTS": frozenset({"127.0.0.1"}),
            "HF_HUB_OFFLINE": False,
            "HF_ASSETS_CACHE": str(tmp_path / "hub" / "assets"),
            "HF_HUB_CACHE": str(tmp_path / "hub" / "hub"),
            "HF_TOKEN_PATH": str(tmp_path / "hub" / "token"),
        }.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", server.url)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(
            datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "hub" / "datasets")
        )
        monkeypatch.delenv("HF_TOKEN", raising=False)
        close_session()
        yield server
        close_session()


@pytest.fixture(scope="session")
def real_mmlu_pro() -> Path:
    """Real MMLU-Pro results; tests that need them skip where they are absent."""
    folder = REAL_DATA / "mmlu_pro"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder
