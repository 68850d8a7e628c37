"""Schedules: they request runs at a time of the day."""

from __future__ import annotations

import dagster as dg

from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.jobs import bring_up_to_date_config
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.settings import load_settings

_NIGHTLY = "0 3 * * *"
"""At three in the morning, as a cron expression."""


def comparison_schedule(job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Return the schedule that brings comparisons up to date at night, with all that they read.

    Parameters
    ----------
    job : JobDefinition
        The job `bring_up_to_date`.
    """

    @dg.schedule(
        name="comparisons_at_night",
        job=job,
        cron_schedule=_NIGHTLY,
        description=(
            "Brings benchmarks up to date whose leaderboard or comparison is not. It is an "
            "alternative to the sensor new_content, which does so after every submission."
        ),
    )
    def at_night(
        context: dg.ScheduleEvaluationContext, warehouse: WarehouseResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        store = warehouse.open()
        night = context.scheduled_execution_time.date()
        planned = runs.plan(
            store, load_settings(store.storage), runs.select_partitions(store), ["compare_models"]
        )
        requests = [
            dg.RunRequest(
                run_key=f"{run.partition.collection}|{night}",
                run_config=bring_up_to_date_config(benchmark=run.partition.collection),
            )
            for run in planned
        ]
        return requests or dg.SkipReason("all comparisons are up to date")

    return at_night
