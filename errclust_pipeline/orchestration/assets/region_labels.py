"""Stage 8: names for the regions of a map."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.question_map import label_regions
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARKS, benchmark_of
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import REGION_LABELS_STAGE
from errclust_pipeline.tables import QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.views.marks import read_layout


@dg.asset(
    partitions_def=BENCHMARKS,
    deps=["questions", "question_map"],
    group_name="map",
    kinds={"scikitlearn", "parquet"},
    code_version=REGION_LABELS_STAGE.code_version,
)
@retry_what_is_transient
def region_labels(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Names of regions, written from key phrases."""
    store, partition = warehouse.open(), benchmark_of(context)
    made_from = provenance(REGION_LABELS_STAGE, store, warehouse.settings(), partition)
    questions = store.read(QUESTIONS, partition)
    # The map has embedded them all.
    vectors = EmbeddingStore(store.storage, embedder.open().identity).read(
        questions["text_id"].to_pylist()
    )
    places = store.read(QUESTION_MAP, partition, columns=["question_id", "region_id"])
    labels = label_regions(questions.to_pandas(), vectors, places.to_pandas())
    rows = pa.Table.from_pandas(labels, schema=REGION_LABELS.schema, preserve_index=False)
    store.write(REGION_LABELS, partition, rows, made_from)
    return materialized(
        store,
        REGION_LABELS,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["region_id", "label", "size", "main_subject"]),
        summary=lambda: asset_summaries.summarize_map(
            read_layout(store, partition.benchmark),
            partition.benchmark,
            dict(zip(labels["region_id"], labels["label"], strict=True)),
        ),
    )
