"""Asset `error_table`: the responses that are wrong, how each fails, and the text to embed."""

from typing import Any

import dagster as dg
import pyarrow.compute as pc

from errclust_pipeline.analysis import errors
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import ERROR_TABLE_STAGE
from errclust_pipeline.tables import ERRORS, RESPONSES


@stage_asset(ERROR_TABLE_STAGE)
def error_table(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Errors: failure form, and the text that is embedded."""
    target = open_submission(context, warehouse)
    wrong = target.read(RESPONSES, filters=~pc.field("correct"))
    table = errors.error_table(wrong.to_pandas(), target.chosen.errors.text)
    rows = ERRORS.from_frame(table)
    forms = table["failure_form"].value_counts().to_dict()
    return target.materialize(
        {ERRORS: rows},
        rows.select(["example_id", "failure_form", "question", "gold", "prediction"]),
        {f"failure_form/{form}": int(count) for form, count in forms.items()},
        lambda: asset_summaries.summarize_errors(table),
    )
