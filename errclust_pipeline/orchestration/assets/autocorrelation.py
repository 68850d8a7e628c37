"""Stage 10: do a model's errors concentrate at all, and beyond difficulty?"""

import dataclasses
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from errclust_pipeline.analysis.spatial import (
    expected_errors_if_known,
    global_statistics,
    hubness,
    neighbour_weights,
    usable_scales,
)
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import AUTOCORRELATION_STAGE
from errclust_pipeline.tables import AUTOCORRELATION
from errclust_pipeline.views.marks import read_error_matrix, read_map, read_marks, reference_models
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.warehouse import Warehouse

_MOST_SHOWN_BESIDE = 20


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["question_map", "raw_results", "error_table"],
    group_name="statistics",
    kinds={"scipy", "parquet"},
    code_version=AUTOCORRELATION_STAGE.code_version,
)
@retry_what_is_transient
def autocorrelation(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Moran's I and join counts of errors and of what difficulty leaves unexplained."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(AUTOCORRELATION_STAGE, store, settings, partition)
    chosen = settings.for_benchmark(partition.benchmark).statistics
    questions = read_map(store, partition.benchmark)
    marks = read_marks(store, partition, questions, chosen.leave_out_artefacts)
    error_matrix = read_error_matrix(store, partition, questions, marks, chosen.leave_out_artefacts)
    expected = expected_errors_if_known(error_matrix, 0, questions.neighbours)
    scales = usable_scales(len(questions), questions.neighbours.shape[1], chosen.scales)
    values = {"errors": marks.errors}
    if expected is not None:
        values["residual"] = marks.errors - expected
    weights = neighbour_weights(
        ~np.isnan(marks.errors), questions.neighbours, scales, questions.mutual
    )
    records = []
    for mark, numbers in values.items():
        statistics = global_statistics(
            numbers, questions.neighbours, scales, chosen.permutations, weights=weights
        )
        for one in statistics:
            hubs = hubness(questions.neighbours, one.k)
            # Of marks that are all alike a statistic is not defined.
            defined = {
                name: None if value != value else value
                for name, value in dataclasses.asdict(one).items()
            }
            records.append(
                {
                    "mark": mark,
                    **defined,
                    "in_degree_skewness": hubs.skewness,
                    "largest_in_degree": hubs.largest_in_degree,
                    "orphans": hubs.orphans,
                    "artefacts_left_out": chosen.leave_out_artefacts,
                    "models_for_difficulty": len(models_of(store, partition.benchmark)),
                }
            )
    rows = pa.Table.from_pylist(records, schema=AUTOCORRELATION.schema)
    store.write(AUTOCORRELATION, partition, rows, made_from)
    return materialized(
        store,
        AUTOCORRELATION,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["mark", "k", "moran", "z", "p"]),
        summary=lambda: asset_summaries.summarize_autocorrelation(
            records, _of_other_models(store, partition), partition.model
        ),
    )


def _of_other_models(
    store: Warehouse, partition: SubmissionPartition
) -> dict[str, list[dict[str, Any]]]:
    """Return what is known by now of other models, to be shown beside this one."""
    found = {}
    for name in reference_models(store, partition, _MOST_SHOWN_BESIDE):
        other = SubmissionPartition(partition.benchmark, name)
        if store.provenance(AUTOCORRELATION, other) is not None:
            rows = store.read(AUTOCORRELATION, other, columns=["mark", "k", "moran"])
            found[name] = rows.to_pylist()
    return found
