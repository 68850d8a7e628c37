"""How sure a model is of its answers, and where it is wrongly so."""

from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa

from errclust_pipeline.analysis.uncertainty import (
    NoOptionProbabilitiesError,
    Uncertainty,
    calibration_curve,
    measure_uncertainty,
)
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    preview_table,
    retry_what_is_transient,
    told,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import UNCERTAINTY_STAGE
from errclust_pipeline.tables import (
    UNCERTAINTY,
    UNCERTAINTY_BY_REGION,
    UNCERTAINTY_HOT_REGIONS,
    UNCERTAINTY_SUMMARY,
    Table,
)
from errclust_pipeline.views.likelihoods import read_options_on_map


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["question_map", "region_labels", "raw_results"],
    group_name="statistics",
    kinds={"scipy", "parquet"},
    code_version=UNCERTAINTY_STAGE.code_version,
)
@retry_what_is_transient
def uncertainty(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Conformal sets from option log-likelihoods, and where a model is confidently wrong."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(UNCERTAINTY_STAGE, store, settings, partition)
    chosen = settings.for_benchmark(partition.benchmark).statistics
    found: Uncertainty | None = None
    shown: dict[str, Any]
    try:
        model = read_options_on_map(store, partition)
        found = measure_uncertainty(model, chosen.miscoverage, chosen.fdr, chosen.permutations)
        curve = calibration_curve(found.questions["confidence"], found.questions["right"])
        shown = {
            "left_out": dict(model.options.left_out),
            "compared_by_length": int(model.options.by_length.sum()),
            "calibration": preview_table(pa.Table.from_pandas(curve, preserve_index=False)),
        }
    except NoOptionProbabilitiesError as error:
        # Most models were asked to write: nothing is wrong with them.
        context.log.info(str(error))
        why = str(error)
        shown = {"left_out": error.left_out, "no_rows_because": why}
    tables = {
        table.name: _rows(table, frame)
        for table, frame in (
            (UNCERTAINTY, found.questions if found else None),
            (UNCERTAINTY_SUMMARY, found.summary if found else None),
            (UNCERTAINTY_BY_REGION, found.regions if found else None),
            (UNCERTAINTY_HOT_REGIONS, found.hot_regions if found else None),
        )
    }
    for table in reversed(UNCERTAINTY_STAGE.tables):
        store.write(table, partition, tables[table.name], made_from)
    return materialized(
        store,
        UNCERTAINTY,
        partition,
        made_from,
        tables[UNCERTAINTY.name].num_rows,
        tables[UNCERTAINTY_SUMMARY.name].select(
            ["score", "form", "accuracy", "set_size", "coverage", "uacc", "moran", "moran_z"]
        ),
        {**shown, "hot_regions": tables[UNCERTAINTY_HOT_REGIONS.name].num_rows},
        lambda: (
            asset_summaries.summarize_uncertainty(
                tables[UNCERTAINTY_SUMMARY.name].to_pylist(), curve, told(partition)
            )
            if found
            else asset_summaries.summarize_absence(why)
        ),
    )


def _rows(table: Table, frame: pd.DataFrame | None) -> pa.Table:
    if frame is None or frame.empty:
        return table.schema.empty_table()
    return pa.Table.from_pandas(frame[table.schema.names], table.schema, preserve_index=False)
