"""The stages of the pipeline, and whether their partitions are up to date; no Dagster in here.

`declarations` has one row for each stage: its tables, what it reads, when it is computed.
`freshness` says whether a partition of a stage is fresh, stale or missing, and why.
"""

from errclust_pipeline.stages.declarations import (
    PHASES,
    STAGES,
    Automation,
    Stage,
    StageError,
    WithRunOf,
    declare,
    forget,
    with_all_upstream,
)
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
    "Automation",
    "Stage",
    "StageError",
    "State",
    "Status",
    "WithRunOf",
    "declare",
    "forget",
    "provenance",
    "stage_status",
    "status",
    "with_all_upstream",
    "with_unanswered",
]
