"""Asset `uncertainty`: how sure a model is of its answers, and where it is confidently wrong."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.uncertainty import (
    NoOptionProbabilitiesError,
    calibration_curve,
    measure_uncertainty,
)
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission, preview_table
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import UNCERTAINTY_STAGE
from errclust_pipeline.tables import (
    UNCERTAINTY,
    UNCERTAINTY_BY_REGION,
    UNCERTAINTY_HOT_REGIONS,
    UNCERTAINTY_SUMMARY,
)
from errclust_pipeline.views.likelihoods import read_options_on_map


@stage_asset(UNCERTAINTY_STAGE)
def uncertainty(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Conformal sets from option log-likelihoods, and where a model is confidently wrong."""
    target = open_submission(context, warehouse)
    chosen = target.chosen.statistics
    try:
        model = read_options_on_map(target.warehouse, target.partition)
        measured = measure_uncertainty(model, chosen.miscoverage, chosen.fdr, chosen.permutations)
    except NoOptionProbabilitiesError as error:
        # Nothing is wrong: most models were asked to write an answer, and no options were scored.
        reason = str(error)
        context.log.info(reason)
        return target.materialize(
            {table: table.schema.empty_table() for table in target.stage.tables},
            None,
            {"left_out": error.left_out, "no_rows_because": reason, "hot_regions": 0},
            lambda: asset_summaries.summarize_absence(reason),
        )
    curve = calibration_curve(measured.questions["confidence"], measured.questions["right"])
    summary = UNCERTAINTY_SUMMARY.from_frame(measured.summary)
    hot_regions = UNCERTAINTY_HOT_REGIONS.from_frame(measured.hot_regions)
    return target.materialize(
        {
            UNCERTAINTY: UNCERTAINTY.from_frame(measured.questions),
            UNCERTAINTY_SUMMARY: summary,
            UNCERTAINTY_BY_REGION: UNCERTAINTY_BY_REGION.from_frame(measured.regions),
            UNCERTAINTY_HOT_REGIONS: hot_regions,
        },
        summary.select(
            ["score", "form", "accuracy", "set_size", "coverage", "uacc", "moran", "moran_z"]
        ),
        {
            "left_out": dict(model.options.left_out),
            "compared_by_length": int(model.options.by_length.sum()),
            "calibration": preview_table(pa.Table.from_pandas(curve, preserve_index=False)),
            "hot_regions": hot_regions.num_rows,
        },
        lambda: asset_summaries.summarize_uncertainty(summary.to_pylist(), curve, target.title),
    )
