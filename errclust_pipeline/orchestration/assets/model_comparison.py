"""Stage 12: two models at a time, region by region."""

import dataclasses
from functools import lru_cache
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from errclust_pipeline.analysis.comparison import compare_pair
from errclust_pipeline.analysis.spatial import (
    NeighbourWeights,
    global_statistics,
    neighbour_weights,
    usable_scales,
)
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARKS, benchmark_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import MODEL_COMPARISON_STAGE
from errclust_pipeline.tables import MODEL_COMPARISON, MODEL_PAIRS, PAIR_AUTOCORRELATION
from errclust_pipeline.views.marks import read_answers, read_map, read_option_counts
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.models import models_of


@dg.asset(
    partitions_def=BENCHMARKS,
    deps=["question_map", "raw_results", "error_table"],
    group_name="comparison",
    kinds={"scipy", "parquet"},
    code_version=MODEL_COMPARISON_STAGE.code_version,
)
@retry_what_is_transient
def model_comparison(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Both tests of every pair and region, and how alike the pair's errors are (model_pairs)."""
    store, partition, settings = warehouse.open(), benchmark_of(context), warehouse.settings()
    made_from = provenance(MODEL_COMPARISON_STAGE, store, settings, partition)
    chosen = settings.for_benchmark(partition.benchmark).statistics
    questions = read_map(store, partition.benchmark)
    models = models_of(store, partition.benchmark)
    answers = {
        model: read_answers(
            store,
            SubmissionPartition(partition.benchmark, model),
            questions,
            chosen.leave_out_artefacts,
        )
        for model in models
    }
    options = read_option_counts(store, partition.benchmark, questions)
    labels, names = questions.region_labels()
    scales = usable_scales(len(questions), questions.neighbours.shape[1], chosen.scales)
    errors = {model: one.errors for model, one in answers.items()}
    pairs, possible = _closest_pairs(errors, chosen.most_pairs)
    if len(pairs) < possible:
        context.log.warning(
            f"{len(pairs):,} of {possible:,} pairs are compared, the closest in accuracy: see "
            "statistics.most_pairs; `errclust compare` compares any two"
        )

    # Most models answer the same questions.
    @lru_cache(maxsize=4)
    def weights_of(answered: bytes) -> NeighbourWeights:
        known = np.frombuffer(answered, dtype=np.bool_)
        return neighbour_weights(known, questions.neighbours, scales, questions.mutual)

    regions, records, correlations = [], [], []
    for a, b in pairs:
        pair = {"model_a": a, "model_b": b}
        found = compare_pair(
            answers[a], answers[b], labels, names, questions.region_ids, options, chosen.fdr
        )
        regions.append(found.regions.assign(**pair))
        records.append(
            {
                **pair,
                **dataclasses.asdict(found.agreement),
                "difference": found.difference.mean,
                "difference_low": found.low,
                "difference_high": found.high,
                "gate_p": found.gate.p,
            }
        )
        gap = errors[a] - errors[b]
        weights = weights_of((~np.isnan(gap)).tobytes())
        for one in global_statistics(
            gap, questions.neighbours, scales, permutations=0, weights=weights
        ):
            correlations.append({**pair, "k": one.k, "moran": one.moran, "z": one.z})
    schema = MODEL_COMPARISON.schema
    rows = (
        pa.Table.from_pandas(pd.concat(regions), schema=schema, preserve_index=False)
        if regions
        else schema.empty_table()
    )
    pair_rows = MODEL_PAIRS.from_records(records)
    correlation_rows = PAIR_AUTOCORRELATION.from_records(correlations)
    store.write(PAIR_AUTOCORRELATION, partition, correlation_rows, made_from)
    store.write(MODEL_PAIRS, partition, pair_rows, made_from)
    store.write(MODEL_COMPARISON, partition, rows, made_from)
    return materialized(
        store,
        MODEL_COMPARISON,
        partition,
        made_from,
        rows.num_rows,
        pair_rows.select(["model_a", "model_b", "difference", "kappa", "gate_p"]),
        {"pairs": len(pairs), "pairs_possible": possible},
        lambda: asset_summaries.summarize_comparison(records, partition.benchmark),
    )


def _closest_pairs(errors: dict[str, Any], most: int) -> tuple[list[tuple[str, str]], int]:
    """Return pairs of models, the more accurate first; the closest ones if there are many."""
    # A model that answered nothing on this map is compared with none.
    rates = {
        model: float(np.nanmean(marks))
        for model, marks in errors.items()
        if not np.isnan(marks).all()
    }
    ranked = sorted(rates, key=lambda model: (rates[model], model))
    pairs = [(a, b) for position, a in enumerate(ranked) for b in ranked[position + 1 :]]
    closest = sorted(pairs, key=lambda pair: (rates[pair[1]] - rates[pair[0]], pair))[:most]
    return sorted(closest), len(pairs)
