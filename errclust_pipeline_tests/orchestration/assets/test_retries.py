from typing import Any

import dagster as dg
import pytest

from errclust_pipeline.orchestration import stage_asset
from errclust_pipeline.orchestration.stage_asset import MAX_RETRIES, retry_transient_errors


def tries_until(error: Exception | None, monkeypatch: pytest.MonkeyPatch, fails: int) -> int:
    """Return how often an asset was tried that fails so many times."""
    monkeypatch.setattr(stage_asset, "_FIRST_WAIT_SECONDS", 0)
    tries = []

    @dg.asset
    @retry_transient_errors
    def one(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        tries.append(context.asset_key)
        if len(tries) <= fails:
            raise error
        return dg.MaterializeResult()

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([one], raise_on_error=False, instance=instance)
    assert done.success is (len(tries) > fails)
    return len(tries)


def test_what_may_pass_is_tried_again(monkeypatch):
    assert tries_until(ConnectionResetError("reset"), monkeypatch, fails=2) == 3


def test_but_not_for_ever(monkeypatch):
    assert tries_until(TimeoutError("late"), monkeypatch, fails=99) == 1 + MAX_RETRIES


@pytest.mark.parametrize(
    "error", [ValueError("bad"), OSError(28, "No space left on device"), FileNotFoundError("gone")]
)
def test_what_stays_as_it_is_fails_at_once(monkeypatch, error):
    assert tries_until(error, monkeypatch, fails=99) == 1
