"""The stages of the pipeline and whether their partitions are up to date; no Dagster in here.

`declarations` has one row for each stage: its tables, what it reads, when it is computed.
`freshness` says of a partition whether it is fresh, stale or missing, and why.
"""

from errclust_pipeline.stages.declarations import PHASES, STAGES, Stage, rests_on
from errclust_pipeline.stages.freshness import (
    State,
    Status,
    provenance,
    stage_status,
    status,
    with_unanswered,
)

__all__ = [
    "PHASES",
    "STAGES",
    "Stage",
    "State",
    "Status",
    "provenance",
    "rests_on",
    "stage_status",
    "status",
    "with_unanswered",
]
