"""Stage 11: overall accuracy with honest intervals, and every model's signature over regions."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis.comparison import fit_signatures
from errclust_pipeline.analysis.comparison import leaderboard as rank_models
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARKS, benchmark_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import LEADERBOARD_STAGE
from errclust_pipeline.tables import LEADERBOARD, MODEL_SIGNATURES, RESPONSES
from errclust_pipeline.views.likelihoods import UNCERTAINTY_OF_A_MODEL, read_uncertainty_of_models
from errclust_pipeline.views.marks import read_map, read_marks, read_region_names_if_there
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.models import models_of


@dg.asset(
    partitions_def=BENCHMARKS,
    deps=["question_map", "raw_results", "error_table", "uncertainty"],
    group_name="comparison",
    kinds={"scipy", "parquet"},
    code_version=LEADERBOARD_STAGE.code_version,
)
@retry_what_is_transient
def leaderboard(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Accuracy, uncertainty, and where each model departs from its ability (model_signatures)."""
    store, partition, settings = warehouse.open(), benchmark_of(context), warehouse.settings()
    made_from = provenance(LEADERBOARD_STAGE, store, settings, partition)
    left_out = settings.for_benchmark(partition.benchmark).statistics.leave_out_artefacts
    questions = read_map(store, partition.benchmark)
    marks = {
        model: read_marks(store, SubmissionPartition(partition.benchmark, model), questions)
        for model in models_of(store, partition.benchmark)
    }
    errors = {model: one.errors for model, one in marks.items()}
    forms = {model: one.failure_forms for model, one in marks.items()}
    table = rank_models(errors, forms, questions.region_ids)
    table["response_accuracy"] = [
        pc.mean(
            store.read(
                RESPONSES, SubmissionPartition(partition.benchmark, model), columns=["correct"]
            )[0]
        ).as_py()
        for model in table["model"]
    ]
    sure = read_uncertainty_of_models(store, partition.benchmark, list(marks))
    for column in UNCERTAINTY_OF_A_MODEL:
        table[column] = [sure.get(model, {}).get(column) for model in table["model"]]
    rows = pa.Table.from_pandas(table, schema=LEADERBOARD.schema, preserve_index=False)
    if left_out:
        errors = {model: one.without_artefacts().errors for model, one in marks.items()}
    signatures = pa.Table.from_pylist(
        _signature_rows(questions, errors), schema=MODEL_SIGNATURES.schema
    )
    store.write(MODEL_SIGNATURES, partition, signatures, made_from)
    store.write(LEADERBOARD, partition, rows, made_from)
    return materialized(
        store,
        LEADERBOARD,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["model", "accuracy", "low", "high", "artefacts", "set_size", "uacc"]),
        {"models": rows.num_rows},
        lambda: asset_summaries.summarize_leaderboard(
            rows.to_pylist(),
            signatures.to_pylist(),
            read_region_names_if_there(store, partition.benchmark),
            partition.benchmark,
        ),
    )


def _signature_rows(questions: QuestionMap, errors: dict[str, Any]) -> list[dict[str, Any]]:
    labels, names = questions.region_labels()
    models, rows = list(errors), []
    for level, regions in enumerate(names):
        counts = np.zeros((len(models), len(regions)), dtype=np.int64)
        wrong = np.zeros_like(counts)
        for row, model in enumerate(models):
            known = ~np.isnan(errors[model]) & (labels[:, level] >= 0)
            here = labels[known, level]
            counts[row] = np.bincount(here, minlength=len(regions))
            wrong[row] = np.bincount(
                here, weights=errors[model][known], minlength=len(regions)
            ).astype(np.int64)
        fit = fit_signatures(wrong, counts)
        excess = fit.excess
        for row, model in enumerate(models):
            for column, region in enumerate(regions):
                rows.append(
                    {
                        "model": model,
                        "region_id": region,
                        "level": level + 1,
                        "questions": int(counts[row, column]),
                        "errors": int(wrong[row, column]),
                        "deviation": float(fit.deviation[row, column]),
                        "standard_deviation": float(fit.standard_deviation[row, column]),
                        "excess": float(excess[row, column]),
                    }
                )
    return rows
