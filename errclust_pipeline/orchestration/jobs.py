"""Jobs: one for each phase, and one that brings many partitions up to date.

The latter is not a single Dagster run over a range of partitions, because such a run gives all of
them one data version, so that everything that reads them looks new; its checks belong to no
partition; and one partition that fails would fail them all.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.stages.declarations import PHASE_DESCRIPTIONS, PHASES

_BRING_UP_TO_DATE = "bring_partitions_up_to_date"
PART_OF_TAG = "errclust/part_of"
"""The tag of a run that another run started, with the id of that run."""


def phase_jobs() -> list[Any]:
    """Return one job for each phase; the assets of a job have the same partitions."""
    return [
        dg.define_asset_job(
            phase,
            selection=dg.AssetSelection.assets(*(stage.asset for stage in stages)),
            description=PHASE_DESCRIPTIONS[phase],
        )
        for phase, stages in PHASES.items()
    ]


class WhatToBringUpToDate(dg.Config):
    """The partitions that a run of `bring_up_to_date` is for."""

    benchmark: str | None = Field(default=None, description="Only this benchmark.")
    model: str | None = Field(default=None, description="Only this model.")
    most: int | None = Field(
        default=None, ge=1, description="At most this many submissions; run it again for the rest."
    )


def bring_up_to_date_config(**what: Any) -> dict[str, Any]:
    """Return the run configuration of `bring_up_to_date`; see `WhatToBringUpToDate`."""
    config = WhatToBringUpToDate(**what).model_dump()
    return {"ops": {_BRING_UP_TO_DATE: {"config": config}}}


def bring_up_to_date_job(definitions: Callable[[], dg.Definitions]) -> dg.JobDefinition:
    """Return the job that brings many partitions up to date in one process.

    The embedding model is loaded once for all of them. Each partition has its own run in the UI,
    tagged with `PART_OF_TAG`. A run that fails does not stop the others; at its end the job reports
    which runs failed, in which asset and why.

    Parameters
    ----------
    definitions : callable
        Returns the definitions that contain the assets.
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
        for finished in runs.execute_all(
            store,
            definitions(),
            context.instance,
            chosen,
            tags={PART_OF_TAG: context.run_id},
        ):
            outcomes[finished.failure is None] += 1
            what = f"{finished.planned.job} of {finished.planned.partition}"
            if finished.failure is None:
                context.log.info(f"{what}: done in {sum(finished.seconds.values()):.1f} s")
            else:
                context.log.error(f"{what} failed in {finished.failed_asset}: {finished.failure}")
                failures.append(finished)
        context.add_output_metadata({"runs": outcomes.total()})
        if failures:
            raise dg.Failure(
                description=f"{len(failures)} of {outcomes.total()} runs failed: "
                + ", ".join(str(run.planned.partition) for run in failures),
                metadata={"failures": _failure_table(failures)},
                allow_retries=False,
            )

    @dg.job(
        name="bring_up_to_date",
        description=(
            "Brings partitions up to date, all of them or those of one benchmark or model, in one "
            "process that loads the embedding model once."
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
                    "partition": str(run.planned.partition),
                    "asset": run.failed_asset,
                    "why": run.failure,
                    "run": run.run_id,
                }
            )
            for run in failures
        ]
    )
