"""Stage 6: the union of the questions that a benchmark's models were asked."""

import dataclasses
from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.question_map import content_version, merge_questions, questions_of
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARKS, benchmark_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import QUESTIONS_STAGE
from errclust_pipeline.tables import QUESTIONS, RESPONSES
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_COLUMNS = ["question_id", "subject", "question", "choices", "gold"]


@dg.asset(
    partitions_def=BENCHMARKS,
    deps=["raw_results"],
    group_name="map",
    kinds={"pandas", "parquet"},
    code_version=QUESTIONS_STAGE.code_version,
)
@retry_what_is_transient
def questions(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Distinct questions; a submission without a new one leaves the data version as it is."""
    store, partition = warehouse.open(), benchmark_of(context)
    made_from = provenance(QUESTIONS_STAGE, store, warehouse.settings(), partition)
    parts, new = _known_parts(store, partition, made_from.inputs)
    for position, name in enumerate(new, 1):
        model = SubmissionPartition(partition.benchmark, name.partition("|")[2])
        rows = store.read(RESPONSES, model, columns=_COLUMNS)
        # Merged as they come: no more than the union and one submission is held.
        parts = [merge_questions([*parts, questions_of(rows.to_pandas())])]
        context.log.info(f"{position} of {len(new)} submissions: {len(parts[0]):,} questions")
    table = merge_questions(parts)
    made_from = dataclasses.replace(made_from, data_version=content_version(table))
    rows = pa.Table.from_pandas(table, schema=QUESTIONS.schema, preserve_index=False)
    store.write(QUESTIONS, partition, rows, made_from)
    return materialized(
        store,
        QUESTIONS,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["question_id", "subject", "question", "gold"]),
        {"models": len(made_from.inputs), "submissions_read": len(new)},
        lambda: asset_summaries.summarize_questions(table),
    )


def _known_parts(
    store: Warehouse, partition: BenchmarkPartition, inputs: Any
) -> tuple[list[Any], list[str]]:
    """Return the table as it is, if all it was made from still stands, and what is new."""
    stored = store.provenance(QUESTIONS, partition)
    if (
        stored is None
        or stored.code_version != QUESTIONS_STAGE.code_version
        or any(inputs.get(name) != version for name, version in stored.inputs.items())
    ):
        # A submission was revised or withdrawn: its questions may be nobody's now.
        return [], sorted(inputs)
    return [store.read(QUESTIONS, partition).to_pandas()], sorted(set(inputs) - set(stored.inputs))
