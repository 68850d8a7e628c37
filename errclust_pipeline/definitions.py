"""The one Definitions object: wiring, nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from errclust_pipeline.orchestration.assets import ASSETS
from errclust_pipeline.orchestration.checks import CHECKS
from errclust_pipeline.orchestration.conditions import with_automation
from errclust_pipeline.orchestration.jobs import JOBS, bring_up_to_date_job
from errclust_pipeline.orchestration.resources import (
    EmbedderResource,
    LanguageModelResource,
    WarehouseResource,
)
from errclust_pipeline.orchestration.schedules import comparison_schedule
from errclust_pipeline.orchestration.sensors import (
    content_sensor,
    killed_runs,
    repair_sensor,
    submission_sensors,
)
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
        The data root, a path or fsspec URL; else ``$ERRCLUST_ROOT``, else ``data``.
    resource_overrides : mapping, optional
        Resources by name, in place of the usual ones.

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
        "language_model": LanguageModelResource(root=storage.url),
        "embedder": EmbedderResource(**embedding.model_dump()),
    }
    bring_up_to_date = bring_up_to_date_job(lambda: build_defs(root, resource_overrides))
    return dg.Definitions(
        assets=with_automation(ASSETS, settings),
        asset_checks=CHECKS,
        jobs=[*JOBS, bring_up_to_date],
        sensors=[
            *submission_sensors(storage, settings),
            content_sensor(settings),
            repair_sensor(JOBS),
            killed_runs,
        ],
        schedules=[comparison_schedule(bring_up_to_date)],
        resources={**resources, **(resource_overrides or {})},
        # In one process: the stages of a partition are short, and a process for each would load
        # its libraries, and the embedding model, every time.
        executor=dg.in_process_executor,
    )


defs = build_defs()
