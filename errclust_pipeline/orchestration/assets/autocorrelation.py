"""Asset `autocorrelation`: whether a model's errors concentrate at all, and beyond difficulty."""

from typing import Any

import dagster as dg

from errclust_pipeline.analysis.spatial import expected_errors_if_known, usable_scales
from errclust_pipeline.analysis.spatial.autocorrelation_table import autocorrelation_records
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import StagePartition, open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import AUTOCORRELATION_STAGE
from errclust_pipeline.tables import AUTOCORRELATION
from errclust_pipeline.views.marks import (
    read_error_matrix,
    read_map,
    read_marks,
    reference_models,
)
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.models import models_of

_MAX_MODELS_SHOWN = 20
"""Maximum number of other models that the summary shows beside this one."""


@stage_asset(AUTOCORRELATION_STAGE)
def autocorrelation(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Moran's I and join counts of errors and of what difficulty leaves unexplained."""
    target = open_submission(context, warehouse)
    store, partition = target.warehouse, target.partition
    chosen = target.chosen.statistics
    questions = read_map(store, partition.benchmark)
    marks = read_marks(store, partition, questions, chosen.leave_out_artefacts)
    error_matrix = read_error_matrix(store, partition, questions, marks, chosen.leave_out_artefacts)
    expected = expected_errors_if_known(error_matrix, 0, questions.neighbours)
    by_name = {"errors": marks.errors}
    if expected is not None:
        by_name["residual"] = marks.errors - expected
    scales = usable_scales(len(questions), questions.neighbours.shape[1], chosen.scales)
    models = len(models_of(store, partition.benchmark))
    rows = AUTOCORRELATION.from_records(
        {
            **record,
            "artefacts_left_out": chosen.leave_out_artefacts,
            "models_for_difficulty": models,
        }
        for record in autocorrelation_records(by_name, questions, scales, chosen.permutations)
    )
    return target.materialize(
        {AUTOCORRELATION: rows},
        rows.select(["mark", "k", "moran", "z", "p"]),
        summary=lambda: asset_summaries.summarize_autocorrelation(
            rows.to_pylist(), _other_models(target), partition.model
        ),
    )


def _other_models(
    target: StagePartition[SubmissionPartition],
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of other models that were computed already, by model."""
    store = target.warehouse
    rows = {}
    for model in reference_models(store, target.partition, _MAX_MODELS_SHOWN):
        other = SubmissionPartition(target.partition.benchmark, model)
        if store.provenance(AUTOCORRELATION, other) is not None:
            table = store.read(AUTOCORRELATION, other, columns=["mark", "k", "moran"])
            rows[model] = table.to_pylist()
    return rows
