"""Asset `question_map`: which questions lie next to which, and in what region."""

from typing import Any

import dagster as dg

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.question_map import QuestionMap, build_question_map
from errclust_pipeline.analysis.spatial import hubness
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import StagePartition, open_benchmark
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import QUESTION_MAP_STAGE
from errclust_pipeline.tables import QUESTION_MAP, QUESTIONS
from errclust_pipeline.warehouse.keys import BenchmarkPartition


@stage_asset(QUESTION_MAP_STAGE)
def question_map(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Neighbours, near-duplicates and regions of a benchmark's questions, shared by all models."""
    target = open_benchmark(context, warehouse, embedder)
    questions = target.read(QUESTIONS, ["question_id", "text_id", "text"])
    question_ids, text_ids, texts = (column.to_pylist() for column in questions.columns)
    vectors, metadata = embed_texts(
        target.warehouse.storage,
        embedder.open(),
        text_ids,
        dict(zip(text_ids, texts, strict=True)),
        context.log.info,
    )
    table = build_question_map(
        question_ids,
        texts,
        vectors,
        target.chosen.map.parameters(),
        target.chosen.clustering.parameters(),
        _previous_regions(target),
    )
    rows = QUESTION_MAP.from_frame(table)
    neighbours = QuestionMap.from_table(table).neighbours
    hubs = hubness(neighbours, min(NEIGHBOURHOOD, neighbours.shape[1]))
    return target.materialize(
        {QUESTION_MAP: rows},
        rows.select(["region_id", "near_duplicates", "in_degree"]).append_column("text", [texts]),
        metadata
        | {
            "near_duplicates": int((~table["stands_for_itself"]).sum()),
            "regions": int(table["region_id"].nunique()),
            "in_no_region": int(table["region_id"].isna().sum()),
            "in_degree_skewness": hubs.skewness,
            "largest_in_degree": hubs.largest_in_degree,
            "orphans": hubs.orphans,
        },
        lambda: asset_summaries.summarize_map(table[table["stands_for_itself"]], target.title),
    )


def _previous_regions(target: StagePartition[BenchmarkPartition]) -> dict[str, str | None] | None:
    """Return the region of each question on the stored map, by question; None if there is none."""
    if target.warehouse.provenance(QUESTION_MAP, target.partition) is None:
        return None
    stored = target.read(QUESTION_MAP, ["question_id", "region_id"])
    return dict(zip(stored[0].to_pylist(), stored[1].to_pylist(), strict=True))
