"""Asset `leaderboard`: accuracy with honest intervals, and every model's signature over regions."""

from typing import Any

import dagster as dg
import pyarrow.compute as pc

from errclust_pipeline.analysis.comparison import leaderboard as rank_models
from errclust_pipeline.analysis.comparison.signature_table import signature_records
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_benchmark
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import LEADERBOARD_STAGE
from errclust_pipeline.tables import LEADERBOARD, MODEL_SIGNATURES, RESPONSES
from errclust_pipeline.views.likelihoods import UNCERTAINTY_OF_A_MODEL, read_uncertainty_of_models
from errclust_pipeline.views.marks import read_map, read_marks, read_region_names_if_there
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.models import models_of


@stage_asset(LEADERBOARD_STAGE)
def leaderboard(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Accuracy, uncertainty, and where each model departs from its ability (model_signatures)."""
    target = open_benchmark(context, warehouse)
    store, benchmark = target.warehouse, target.partition.benchmark
    questions = read_map(store, benchmark)
    marks = {
        model: read_marks(store, SubmissionPartition(benchmark, model), questions)
        for model in models_of(store, benchmark)
    }
    errors = {model: of_model.errors for model, of_model in marks.items()}
    failure_forms = {model: of_model.failure_forms for model, of_model in marks.items()}
    table = rank_models(errors, failure_forms, questions.region_ids)
    table["response_accuracy"] = [
        pc.mean(
            store.read(RESPONSES, SubmissionPartition(benchmark, model), columns=["correct"])[0]
        ).as_py()
        for model in table["model"]
    ]
    uncertainty = read_uncertainty_of_models(store, benchmark, list(marks))
    for column in UNCERTAINTY_OF_A_MODEL:
        table[column] = [uncertainty.get(model, {}).get(column) for model in table["model"]]
    rows = LEADERBOARD.from_frame(table)
    if target.chosen.statistics.leave_out_artefacts:
        errors = {model: of_model.without_artefacts().errors for model, of_model in marks.items()}
    signatures = MODEL_SIGNATURES.from_records(signature_records(errors, questions))
    return target.materialize(
        {LEADERBOARD: rows, MODEL_SIGNATURES: signatures},
        rows.select(["model", "accuracy", "low", "high", "artefacts", "set_size", "uacc"]),
        {"models": rows.num_rows},
        lambda: asset_summaries.summarize_leaderboard(
            rows.to_pylist(),
            signatures.to_pylist(),
            read_region_names_if_there(store, benchmark),
            target.title,
        ),
    )
