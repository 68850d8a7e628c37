"""Asset `model_comparison`: two models at a time, region by region."""

from typing import Any

import dagster as dg
import pandas as pd

from errclust_pipeline.analysis.comparison.all_pairs import (
    closest_pairs,
    compare_pairs,
    pair_autocorrelation,
    pair_records,
)
from errclust_pipeline.analysis.spatial import usable_scales
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_benchmark
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import MODEL_COMPARISON_STAGE
from errclust_pipeline.tables import MODEL_COMPARISON, MODEL_PAIRS, PAIR_AUTOCORRELATION
from errclust_pipeline.views.marks import read_answers, read_map, read_option_counts
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.models import models_of


@stage_asset(MODEL_COMPARISON_STAGE)
def model_comparison(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Both tests of every pair and region, and how alike the pair's errors are (model_pairs)."""
    target = open_benchmark(context, warehouse)
    store, benchmark = target.warehouse, target.partition.benchmark
    chosen = target.chosen.statistics
    questions = read_map(store, benchmark)
    answers = {
        model: read_answers(
            store, SubmissionPartition(benchmark, model), questions, chosen.leave_out_artefacts
        )
        for model in models_of(store, benchmark)
    }
    errors = {model: of_model.errors for model, of_model in answers.items()}
    pairs, possible = closest_pairs(errors, chosen.most_pairs)
    if len(pairs) < possible:
        context.log.warning(
            f"{len(pairs):,} of {possible:,} pairs are compared, the closest in accuracy: see "
            "statistics.most_pairs; `errclust compare` compares any two"
        )
    option_counts = read_option_counts(store, benchmark, questions)
    comparisons = compare_pairs(answers, pairs, questions, option_counts, chosen.fdr)
    scales = usable_scales(len(questions), questions.neighbours.shape[1], chosen.scales)
    records = pair_records(comparisons)
    pair_rows = MODEL_PAIRS.from_records(records)
    region_frames = [
        comparison.regions.assign(model_a=a, model_b=b)
        for (a, b), comparison in comparisons.items()
    ]
    return target.materialize(
        {
            MODEL_COMPARISON: MODEL_COMPARISON.from_frame(pd.concat(region_frames))
            if region_frames
            else MODEL_COMPARISON.schema.empty_table(),
            MODEL_PAIRS: pair_rows,
            PAIR_AUTOCORRELATION: PAIR_AUTOCORRELATION.from_records(
                pair_autocorrelation(errors, pairs, questions, scales)
            ),
        },
        pair_rows.select(["model_a", "model_b", "difference", "kappa", "gate_p"]),
        {"pairs": len(pairs), "pairs_possible": possible},
        lambda: asset_summaries.summarize_comparison(records, target.title),
    )
