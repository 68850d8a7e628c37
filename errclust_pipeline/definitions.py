"""The Definitions object that Dagster loads; it puts everything together, and computes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

import errclust_pipeline.orchestration.assets  # noqa: F401 - it registers the assets.
from errclust_pipeline.orchestration.checks import all_checks
from errclust_pipeline.orchestration.jobs import bring_up_to_date_job, phase_jobs
from errclust_pipeline.orchestration.resources import (
    EmbedderResource,
    LanguageModelResource,
    WarehouseResource,
    duckdb_resource,
)
from errclust_pipeline.orchestration.schedules import comparison_schedule
from errclust_pipeline.orchestration.sensors import (
    content_sensor,
    killed_runs,
    repair_sensor,
    submission_sensors,
)
from errclust_pipeline.orchestration.stage_asset import assets_in_flow_order, with_settings
from errclust_pipeline.settings import load_settings
from errclust_pipeline.warehouse.storage import Storage

ROOT_VARIABLE = "ERRCLUST_ROOT"
DEFAULT_ROOT = "data"


def build_defs(
    root: str | None = None, resource_overrides: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """Build a fresh Definitions object.

    Parameters
    ----------
    root : str, optional
        The data root, a path or fsspec URL. The default is ``$ERRCLUST_ROOT``, or ``data`` if that
        is not set.
    resource_overrides : mapping, optional
        Resources by name that replace the usual ones.

    Raises
    ------
    SettingsError
        If the root has a settings file that cannot be used.
    """
    storage = Storage(root or os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
    settings = load_settings(storage)
    embedding = settings.embedding
    resources = {
        "warehouse": WarehouseResource(root=storage.url),
        "duckdb": duckdb_resource(storage),
        "language_model": LanguageModelResource(root=storage.url),
        "embedder": EmbedderResource(**embedding.model_dump()),
    }
    bring_up_to_date = bring_up_to_date_job(lambda: build_defs(root, resource_overrides))
    jobs = phase_jobs()
    return dg.Definitions(
        assets=with_settings(assets_in_flow_order(), settings),
        asset_checks=all_checks(),
        jobs=[*jobs, bring_up_to_date],
        sensors=[
            *submission_sensors(storage, settings),
            content_sensor(settings),
            repair_sensor(jobs),
            killed_runs,
        ],
        schedules=[comparison_schedule(bring_up_to_date)],
        resources={**resources, **(resource_overrides or {})},
        # Runs are executed in one process: the stages of a partition are short, and a process for
        # each of them would load the libraries and the embedding model again.
        executor=dg.in_process_executor,
    )


defs = build_defs()
