"""Stage 7: which questions lie beside which, and in what region."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.question_map import QuestionMap, build_question_map
from errclust_pipeline.analysis.spatial import hubness
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARKS, benchmark_of
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import QUESTION_MAP_STAGE
from errclust_pipeline.tables import QUESTION_MAP, QUESTIONS
from errclust_pipeline.warehouse.keys import BenchmarkPartition
from errclust_pipeline.warehouse.warehouse import Warehouse


@dg.asset(
    partitions_def=BENCHMARKS,
    deps=["questions"],
    group_name="map",
    kinds={"sentence-transformers", "parquet"},
    code_version=QUESTION_MAP_STAGE.code_version,
    pool="embedding",
)
@retry_what_is_transient
def question_map(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Neighbours, near-duplicates and regions of a benchmark's questions, shared by all models."""
    store, partition = warehouse.open(), benchmark_of(context)
    settings = warehouse.settings().with_embedder(embedder.model, embedder.revision)
    made_from = provenance(QUESTION_MAP_STAGE, store, settings, partition)
    own = settings.for_benchmark(partition.benchmark)
    questions = store.read(QUESTIONS, partition, columns=["question_id", "text_id", "text"])
    ids, text_ids, texts = (column.to_pylist() for column in questions.columns)
    vectors, metadata = embed_texts(
        store.storage,
        embedder.open(),
        text_ids,
        dict(zip(text_ids, texts, strict=True)),
        context.log.info,
    )
    table = build_question_map(
        ids,
        texts,
        vectors,
        own.map.parameters(),
        own.clustering.parameters(),
        _previous_regions(store, partition),
    )
    rows = pa.Table.from_pandas(table, schema=QUESTION_MAP.schema, preserve_index=False)
    store.write(QUESTION_MAP, partition, rows, made_from)
    found = QuestionMap.from_table(table)
    hubs = hubness(found.neighbours, min(NEIGHBOURHOOD, found.neighbours.shape[1]))
    return materialized(
        store,
        QUESTION_MAP,
        partition,
        made_from,
        rows.num_rows,
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
        lambda: asset_summaries.summarize_map(
            table[table["stands_for_itself"]], partition.benchmark
        ),
    )


def _previous_regions(
    store: Warehouse, partition: BenchmarkPartition
) -> dict[str, str | None] | None:
    if store.provenance(QUESTION_MAP, partition) is None:
        return None
    before = store.read(QUESTION_MAP, partition, columns=["question_id", "region_id"])
    return dict(zip(before[0].to_pylist(), before[1].to_pylist(), strict=True))
