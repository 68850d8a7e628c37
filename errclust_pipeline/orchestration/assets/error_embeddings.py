"""Asset `error_embeddings`: one vector for each error."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import ERROR_EMBEDDINGS_STAGE
from errclust_pipeline.tables import ERROR_EMBEDDINGS, ERRORS


@stage_asset(ERROR_EMBEDDINGS_STAGE)
def error_embeddings(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Embeddings of the errors' texts; each distinct text is embedded only once."""
    target = open_submission(context, warehouse, embedder)
    errors = target.read(ERRORS, ["example_id", "question_id", "text_id", "text"])
    text_ids = errors["text_id"].to_pylist()
    texts = dict(zip(text_ids, errors["text"].to_pylist(), strict=True))
    vectors, metadata = embed_texts(
        target.warehouse.storage, embedder.open(), text_ids, texts, context.log.info
    )
    rows = errors.drop_columns(["text"]).append_column("embedding", _list_column(vectors))
    return target.materialize(
        {ERROR_EMBEDDINGS: rows},
        errors.select(["example_id", "text"]),
        metadata,
        lambda: asset_summaries.summarize_embeddings(rows.num_rows, metadata),
    )


def _list_column(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> pa.ListArray:
    """Return the rows of a matrix as an Arrow column of lists."""
    count, dimensions = vectors.shape
    offsets = np.arange(0, (count + 1) * max(dimensions, 1), max(dimensions, 1), dtype=np.int32)
    return pa.ListArray.from_arrays(offsets[: count + 1], vectors.reshape(-1))
