"""Stage 4: places where a model's errors lie close together."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from errclust_pipeline.analysis.clustering import cluster_errors
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
    told,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import ERROR_CLUSTERS_STAGE
from errclust_pipeline.tables import ERROR_CLUSTERS, ERROR_EMBEDDINGS


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["error_embeddings"],
    group_name="errors",
    kinds={"scikitlearn", "parquet"},
    code_version=ERROR_CLUSTERS_STAGE.code_version,
)
@retry_what_is_transient
def error_clusters(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Clusters of errors at nested levels: where the model fails, not why."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(ERROR_CLUSTERS_STAGE, store, settings, partition)
    embeddings = store.read(ERROR_EMBEDDINGS, partition)
    clusters = cluster_errors(
        embeddings["example_id"].to_pylist(),
        embeddings["question_id"].to_pylist(),
        embedding_matrix(embeddings),
        settings.for_benchmark(partition.benchmark).clustering.parameters(),
    )
    rows = pa.Table.from_pandas(clusters, schema=ERROR_CLUSTERS.schema, preserve_index=False)
    store.write(ERROR_CLUSTERS, partition, rows, made_from)

    first_level = clusters[clusters["level"] == 1]
    sizes = first_level["cluster_id"].value_counts()
    return materialized(
        store,
        ERROR_CLUSTERS,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["example_id", "level", "cluster_id", "strength"]),
        {
            "errors": len(first_level),
            "clusters": int(clusters["cluster_id"].nunique()),
            "clusters_of_level_1": len(sizes),
            "noise": int(first_level["cluster_id"].isna().sum()),
            "sizes_of_level_1": {str(name): int(size) for name, size in sizes.items()},
        },
        lambda: asset_summaries.summarize_clusters(clusters, told(partition)),
    )


def embedding_matrix(embeddings: pa.Table) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the column `embedding` of `error_embeddings` as a matrix, shape (rows, dimensions)."""
    column = embeddings["embedding"].combine_chunks()
    if not len(column):
        return np.empty((0, 0), dtype=np.float32)
    values: np.ndarray[Any, np.dtype[np.float32]] = column.flatten().to_numpy()
    return values.reshape(len(column), -1)
