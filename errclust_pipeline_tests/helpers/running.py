"""Running the pipeline on a warehouse, as the command line does."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from errclust_pipeline.definitions import build_defs
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.stages import PHASES, STAGES
from errclust_pipeline.warehouse.keys import Partition
from errclust_pipeline.warehouse.warehouse import Warehouse


def run_phases(
    warehouse: Warehouse, *phases: str, partitions: Sequence[Partition] | None = None
) -> list[runs.FinishedRun]:
    """Bring partitions up to date; all of them and in all phases if none are named."""
    with open_instance(warehouse.storage) as instance:
        return list(
            runs.execute_all(
                warehouse,
                build_defs(warehouse.storage.url),
                instance,
                warehouse.submissions() if partitions is None else partitions,
                phases=phases or tuple(PHASES),
            )
        )


def failures_of(finished: Sequence[runs.FinishedRun]) -> list[str]:
    """Return why runs failed."""
    return [one.failure for one in finished if one.failure is not None]


def markdown_by_asset(warehouse: Warehouse) -> dict[str, dict[str, str]]:
    """Return the Markdown, by name, of the newest materialisation of each asset that has one."""
    found = {}
    with open_instance(warehouse.storage) as instance:
        for name in STAGES:
            event = instance.get_latest_materialization_event(dg.AssetKey(name))
            if event is not None and event.asset_materialization is not None:
                found[name] = {
                    label: value.value
                    for label, value in event.asset_materialization.metadata.items()
                    if isinstance(value, dg.MarkdownMetadataValue)
                }
    return found
