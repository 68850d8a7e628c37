"""`stage_asset`: the decorator that makes a stage's Dagster asset from its row.

The row (`stages.declarations`) says everything about the asset but its computation: partitions,
upstream assets, group, kinds, code version, pool and automation. The decorated function adds the
computation, and its docstring the description. Nothing of it is written a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from types import MappingProxyType
from typing import Any, ParamSpec

import dagster as dg

from errclust_pipeline.orchestration.conditions import condition_of
from errclust_pipeline.orchestration.partitions import partitions_of_stage
from errclust_pipeline.settings import Settings
from errclust_pipeline.stages import STAGES, Stage, StageError
from errclust_pipeline.stages.declarations import RAW_RESULTS_STAGE

_Parameters = ParamSpec("_Parameters")

TRANSIENT_ERRORS = (ConnectionError, TimeoutError, BlockingIOError, InterruptedError)
"""Errors that may not occur at the next attempt; a full disk or a missing file is none of them."""
MAX_RETRIES = 3
_FIRST_WAIT_SECONDS = 5

_ASSETS: dict[str, dg.AssetsDefinition] = {}


def stage_asset(
    stage: Stage,
) -> Callable[[Callable[_Parameters, dg.MaterializeResult[Any]]], dg.AssetsDefinition]:
    """Make the asset of a stage from a function that computes one partition.

    Parameters
    ----------
    stage : Stage
        The stage's row, declared in `stages.declarations`.

    Raises
    ------
    StageError
        If the stage is not declared or has an asset already.
    """

    def decorate(
        compute: Callable[_Parameters, dg.MaterializeResult[Any]],
    ) -> dg.AssetsDefinition:
        if STAGES.get(stage.asset) is not stage:
            raise StageError(
                f"stage {stage.asset} is not declared: wrap its row in `declare` in "
                "stages/declarations.py"
            )
        if stage.asset in _ASSETS:
            raise StageError(f"stage {stage.asset} has two assets: delete one of them")
        asset = dg.asset(
            name=stage.asset,
            partitions_def=partitions_of_stage(stage),
            deps=list(stage.upstream),
            group_name=stage.group,
            kinds=set(stage.kinds),
            code_version=stage.code_version,
            pool=stage.pool,
            automation_condition=condition_of(stage),
        )(retry_transient_errors(compute))
        _ASSETS[stage.asset] = asset
        return asset

    return decorate


def assets_in_flow_order() -> list[dg.AssetsDefinition]:
    """Return the asset of every declared stage.

    Raises
    ------
    StageError
        If a stage has none.
    """
    missing = [name for name in STAGES if name not in _ASSETS]
    if missing:
        raise StageError(
            f"stage {missing[0]} has no asset: add orchestration/assets/{missing[0]}.py with a "
            "function decorated by `stage_asset`"
        )
    return [_ASSETS[name] for name in STAGES]


def with_settings(
    assets: list[dg.AssetsDefinition], settings: Settings
) -> list[dg.AssetsDefinition]:
    """Return assets with the owners that the settings name, and with the freshness policy.

    Dagster keeps one freshness for an asset, whatever its partitions. That of `raw_results` says
    when a submission was last read.
    """
    late = dg.FreshnessPolicy.time_window(
        warn_window=timedelta(days=settings.submissions.warn_after_days),
        fail_window=timedelta(days=settings.submissions.fail_after_days),
    )

    def completed(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_first = spec.key.to_user_string() == RAW_RESULTS_STAGE.asset
        return spec.replace_attributes(
            freshness_policy=late if is_first else None, owners=list(settings.owners)
        )

    return [asset.map_asset_specs(completed) for asset in assets]


def retry_transient_errors(
    compute: Callable[_Parameters, dg.MaterializeResult[Any]],
) -> Callable[_Parameters, dg.MaterializeResult[Any]]:
    """Retry an asset after a transient error, with growing waits.

    Any other error fails the asset at once: a damaged file is still damaged at the next attempt.
    """

    @wraps(compute)
    def attempt(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> dg.MaterializeResult[Any]:
        try:
            return compute(*args, **kwargs)
        except TRANSIENT_ERRORS as error:
            context = dg.AssetExecutionContext.get()
            wait = _FIRST_WAIT_SECONDS * 2**context.op_execution_context.retry_number
            raise dg.RetryRequested(MAX_RETRIES, seconds_to_wait=wait) from error

    return attempt


ASSETS: Mapping[str, dg.AssetsDefinition] = MappingProxyType(_ASSETS)
"""The assets by name, as `stage_asset` made them."""
