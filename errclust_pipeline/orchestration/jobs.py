"""Jobs: one a phase for a single partition, and one that brings many partitions up to date.

A run of Dagster's own over a range of partitions would not do for the latter: of it, all partitions
get one data version, so that whatever reads them looks new, a check has no partition, and one
partition that fails fails all.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.stages import PHASES

_BRING_UP_TO_DATE = "bring_partitions_up_to_date"
PART_OF_TAG = "errclust/part_of"
"""Of a run that another run started: that one's id."""

_DESCRIPTIONS = {
    "label_error_clusters": "From a submission's result files to labelled clusters of its errors.",
    "rate_battles": "From files of verdicts to ratings of the models, overall and by topic.",
    "map_questions": "The map of a benchmark's questions, shared by its models.",
    "find_hot_spots": "Where a model's errors concentrate on the map, and how sure it is.",
    "select_candidates": "Which training examples a model's errors ask for.",
    "diagnose_errors": "Why a sample of a model's errors went wrong, by a language model.",
    "compare_models": "The models of a benchmark side by side.",
}
JOBS = [
    dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*(stage.asset for stage in stages)),
        description=_DESCRIPTIONS[name],
    )
    for name, stages in PHASES.items()
]
"""One job a phase: assets of one job share their partitions."""


class WhatToBringUpToDate(dg.Config):
    """Which partitions a run of `bring_up_to_date` is for."""

    benchmark: str | None = Field(default=None, description="Only this benchmark.")
    model: str | None = Field(default=None, description="Only this model.")
    most: int | None = Field(
        default=None, ge=1, description="So many submissions at most; run it again for the rest."
    )


def bring_up_to_date_config(**what: Any) -> dict[str, Any]:
    """Return the run configuration of `bring_up_to_date`; see `WhatToBringUpToDate`."""
    config = WhatToBringUpToDate(**what).model_dump()
    return {"ops": {_BRING_UP_TO_DATE: {"config": config}}}


def bring_up_to_date_job(definitions: Callable[[], dg.Definitions]) -> dg.JobDefinition:
    """Return the job that computes whatever is not up to date, of many partitions in one process.

    The embedding model is loaded once for all of them. Each partition has a run of its own in the
    UI, tagged with `PART_OF_TAG`; one that fails does not stop the others, and the job says at its
    end which failed, in which asset and why.

    Parameters
    ----------
    definitions : callable
        Returns the definitions that the partitions' runs are made from.
    """

    @dg.op(
        name=_BRING_UP_TO_DATE,
        description="Bring partitions up to date, one after another.",
        out=dg.Out(dg.Nothing),
    )
    def bring_partitions_up_to_date(
        context: dg.OpExecutionContext, config: WhatToBringUpToDate, warehouse: WarehouseResource
    ) -> None:
        store = warehouse.open()
        selected = runs.select_partitions(
            store,
            store.known_key("benchmark", config.benchmark) if config.benchmark else None,
            store.known_key("model", config.model) if config.model else None,
        )
        if not selected:
            raise dg.Failure(
                "no such submission was ingested: put result files into the drop folder, or run "
                "`errclust ingest PATH`"
            )
        _, stale = runs.out_of_date(store, warehouse.settings(), selected)
        chosen = stale
        if config.most is not None:
            chosen = runs.failed_last(context.instance, stale)[: config.most]
        context.log.info(f"{len(stale):,} submissions are out of date, {len(chosen):,} to do now")
        outcomes: Counter[bool] = Counter()
        failures = []
        for one in runs.execute_all(
            store,
            definitions(),
            context.instance,
            chosen,
            tags={PART_OF_TAG: context.run_id},
        ):
            outcomes[one.failure is None] += 1
            what = f"{one.planned.job} of {one.planned.partition}"
            if one.failure is None:
                context.log.info(f"{what}: done in {sum(one.seconds.values()):.1f} s")
            else:
                context.log.error(f"{what} failed in {one.failed_asset}: {one.failure}")
                failures.append(one)
        context.add_output_metadata({"runs": outcomes.total()})
        if failures:
            raise dg.Failure(
                description=f"{len(failures)} of {outcomes.total()} runs failed: "
                + ", ".join(str(one.planned.partition) for one in failures),
                metadata={"failures": _failure_table(failures)},
                allow_retries=False,
            )

    @dg.job(
        name="bring_up_to_date",
        description=(
            "Computes whatever is not up to date, of all partitions or of one benchmark or model, "
            "in one process that loads the embedding model once."
        ),
    )
    def bring_up_to_date() -> None:
        bring_partitions_up_to_date()

    return bring_up_to_date


def _failure_table(failures: list[runs.FinishedRun]) -> Any:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "partition": str(one.planned.partition),
                    "asset": one.failed_asset,
                    "why": one.failure,
                    "run": one.run_id,
                }
            )
            for one in failures
        ]
    )
