"""Stage 3: one vector an error; a text embedded before, by whomever, is only looked up."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import ERROR_EMBEDDINGS_STAGE
from errclust_pipeline.tables import ERROR_EMBEDDINGS, ERRORS


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["error_table"],
    group_name="errors",
    kinds={"sentence-transformers", "parquet"},
    code_version=ERROR_EMBEDDINGS_STAGE.code_version,
    pool="embedding",
)
@retry_what_is_transient
def error_embeddings(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Embeddings of the errors' texts, from the content-addressed store."""
    store, partition = warehouse.open(), submission_of(context)
    settings = warehouse.settings().with_embedder(embedder.model, embedder.revision)
    made_from = provenance(ERROR_EMBEDDINGS_STAGE, store, settings, partition)
    errors = store.read(ERRORS, partition, columns=["example_id", "question_id", "text_id", "text"])
    text_ids = errors["text_id"].to_pylist()
    texts = dict(zip(text_ids, errors["text"].to_pylist(), strict=True))

    vectors, metadata = embed_texts(
        store.storage, embedder.open(), text_ids, texts, context.log.info
    )
    rows = errors.drop_columns(["text"]).append_column("embedding", _list_column(vectors))
    store.write(ERROR_EMBEDDINGS, partition, rows, made_from)
    return materialized(
        store,
        ERROR_EMBEDDINGS,
        partition,
        made_from,
        rows.num_rows,
        errors.select(["example_id", "text"]),
        metadata,
        lambda: asset_summaries.summarize_embeddings(rows.num_rows, metadata),
    )


def _list_column(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> pa.ListArray:
    count, dimensions = vectors.shape
    offsets = np.arange(0, (count + 1) * max(dimensions, 1), max(dimensions, 1), dtype=np.int32)
    return pa.ListArray.from_arrays(offsets[: count + 1], vectors.reshape(-1))
