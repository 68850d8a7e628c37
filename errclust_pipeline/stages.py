"""The stages, what each is made from, and whether a partition of one is up to date.

A partition's data version is a hash of what determines its content: the stage's code version, its
settings and the data versions of what it reads. It is not a hash of the content, so a stage with
randomness or rounding in it does not make everything after it look new. A partition is fresh if
the data version in its file is the one that would be computed now.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from errclust_pipeline.keys import Partition
from errclust_pipeline.resources.warehouse import Provenance, Warehouse, WarehouseError
from errclust_pipeline.settings import Settings
from errclust_pipeline.tables import (
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERROR_EMBEDDINGS,
    ERRORS,
    REJECTS,
    RESPONSES,
    Table,
)


@dataclass(frozen=True)
class Stage:
    """One asset: the tables it writes and all that determines what stands in them.

    The first of `tables` is written last, so that where it exists the others do too.
    """

    asset: str
    tables: tuple[Table, ...]
    upstream: tuple[str, ...]
    code_version: str
    settings: Callable[[Settings, Partition], Mapping[str, Any]]

    @property
    def table(self) -> Table:
        """The table that the stage is about."""
        return self.tables[0]


RAW_RESULTS = Stage("raw_results", (RESPONSES, REJECTS), (), "1", lambda *_: {})
ERROR_TABLE = Stage(
    "error_table",
    (ERRORS,),
    ("raw_results",),
    "1",
    lambda settings, partition: settings.for_benchmark(partition.benchmark).errors.model_dump(),
)
ERROR_EMBEDDINGS_STAGE = Stage(
    "error_embeddings",
    (ERROR_EMBEDDINGS,),
    ("error_table",),
    "1",
    lambda settings, _: {"embedder": settings.embedding.identity},
)
ERROR_CLUSTERS_STAGE = Stage(
    "error_clusters",
    (ERROR_CLUSTERS,),
    ("error_embeddings",),
    "1",
    lambda settings, partition: dataclasses.asdict(
        settings.for_benchmark(partition.benchmark).clustering
    ),
)
CLUSTER_LABELS_STAGE = Stage(
    "cluster_labels",
    (CLUSTER_LABELS,),
    ("error_table", "error_embeddings", "error_clusters"),
    "1",
    lambda *_: {"written_by": "key_phrases"},
)

STAGES = (
    RAW_RESULTS,
    ERROR_TABLE,
    ERROR_EMBEDDINGS_STAGE,
    ERROR_CLUSTERS_STAGE,
    CLUSTER_LABELS_STAGE,
)
"""In flow order."""
_BY_ASSET = {stage.asset: stage for stage in STAGES}


class State(enum.StrEnum):
    """How a partition of a stage stands."""

    FRESH = "fresh"
    MISSING = "missing"
    STALE = "stale"


@dataclass(frozen=True)
class Status:
    """A partition of a stage: its state and, unless it is fresh, why."""

    state: State
    reason: str = ""


def provenance(
    stage: Stage, warehouse: Warehouse, settings: Settings, partition: Partition
) -> Provenance:
    """Return what a partition computed now would be made from.

    Raises
    ------
    WarehouseError
        If something it reads does not exist.
    """
    if stage is RAW_RESULTS:
        submission, _ = warehouse.submission(partition)
        inputs = {
            "submission": submission.revision,
            "reader": submission.reader,
            "options": json.dumps(dict(submission.options), sort_keys=True),
        }
    else:
        inputs = {}
        for asset in stage.upstream:
            found = warehouse.provenance(_BY_ASSET[asset].table, partition)
            if found is None:
                raise WarehouseError(
                    f"{stage.asset} needs {asset} of model {partition.model} on benchmark "
                    f"{partition.benchmark}, which does not exist: materialise it first, or run "
                    f"`errclust run --benchmark {partition.benchmark} --model {partition.model}`"
                )
            inputs[asset] = found.data_version
    chosen = dict(stage.settings(settings, partition))
    content = json.dumps(
        [stage.asset, stage.code_version, inputs, chosen], sort_keys=True, ensure_ascii=True
    )
    version = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return Provenance(stage.asset, stage.code_version, version, inputs, chosen)


def status(warehouse: Warehouse, settings: Settings, partition: Partition) -> dict[str, Status]:
    """Return how each stage of a partition stands, in flow order, by the asset's name."""
    found: dict[str, Status] = {}
    for stage in STAGES:
        found[stage.asset] = _status(stage, warehouse, settings, partition, found)
    return found


def _status(
    stage: Stage,
    warehouse: Warehouse,
    settings: Settings,
    partition: Partition,
    upstream: Mapping[str, Status],
) -> Status:
    stored = [warehouse.provenance(table, partition) for table in stage.tables]
    if any(one is None for one in stored):
        return Status(State.MISSING, "never computed, or lost")
    for asset in stage.upstream:
        if upstream[asset].state is not State.FRESH:
            return Status(State.STALE, f"{asset} is {upstream[asset].state}")
    try:
        wanted = provenance(stage, warehouse, settings, partition)
    except WarehouseError as error:
        return Status(State.STALE, str(error))
    for one in stored:
        if one is not None and one.data_version != wanted.data_version:
            return Status(State.STALE, _difference(one, wanted))
    return Status(State.FRESH)


def _difference(stored: Provenance, wanted: Provenance) -> str:
    if stored.code_version != wanted.code_version:
        return f"code version {stored.code_version} is now {wanted.code_version}"
    for what, before, now in (
        ("setting", stored.settings, wanted.settings),
        ("input", stored.inputs, wanted.inputs),
    ):
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if changed:
            return f"{what} {', '.join(changed)} changed"
    return "it was made from something else"
