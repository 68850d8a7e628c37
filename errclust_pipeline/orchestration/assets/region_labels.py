"""Asset `region_labels`: names for the regions of a map."""

from typing import Any

import dagster as dg

from errclust_pipeline.analysis.question_map import label_regions
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_benchmark
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import REGION_LABELS_STAGE
from errclust_pipeline.tables import QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.views.marks import read_layout


@stage_asset(REGION_LABELS_STAGE)
def region_labels(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Names of regions, written from key phrases."""
    target = open_benchmark(context, warehouse)
    questions = target.read(QUESTIONS)
    # The asset question_map has embedded all of them.
    embeddings = EmbeddingStore(target.warehouse.storage, embedder.open().identity)
    vectors = embeddings.read(questions["text_id"].to_pylist())
    places = target.read(QUESTION_MAP, ["question_id", "region_id"])
    labels = label_regions(questions.to_pandas(), vectors, places.to_pandas())
    rows = REGION_LABELS.from_frame(labels)
    return target.materialize(
        {REGION_LABELS: rows},
        rows.select(["region_id", "label", "size", "main_subject"]),
        summary=lambda: asset_summaries.summarize_map(
            read_layout(target.warehouse, target.partition.benchmark),
            target.title,
            dict(zip(labels["region_id"], labels["label"], strict=True)),
        ),
    )
