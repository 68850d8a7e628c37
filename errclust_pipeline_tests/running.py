"""Running the pipeline on a warehouse, as the command line does."""

from __future__ import annotations

from collections.abc import Sequence

from errclust_pipeline import run as runs
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.instance import open_instance
from errclust_pipeline.keys import Partition
from errclust_pipeline.resources.warehouse import Warehouse
from errclust_pipeline.stages import PHASES


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
