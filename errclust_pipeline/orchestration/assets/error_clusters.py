"""Asset `error_clusters`: places where a model's errors lie close together."""

from typing import Any

import dagster as dg

from errclust_pipeline.analysis.clustering import cluster_errors
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import ERROR_CLUSTERS_STAGE
from errclust_pipeline.tables import ERROR_CLUSTERS, ERROR_EMBEDDINGS
from errclust_pipeline.views.embeddings import embedding_matrix


@stage_asset(ERROR_CLUSTERS_STAGE)
def error_clusters(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Clusters of errors at nested levels: where the model fails, not why."""
    target = open_submission(context, warehouse)
    embeddings = target.read(ERROR_EMBEDDINGS)
    clusters = cluster_errors(
        embeddings["example_id"].to_pylist(),
        embeddings["question_id"].to_pylist(),
        embedding_matrix(embeddings),
        target.chosen.clustering.parameters(),
    )
    rows = ERROR_CLUSTERS.from_frame(clusters)
    first_level = clusters[clusters["level"] == 1]
    sizes = first_level["cluster_id"].value_counts()
    return target.materialize(
        {ERROR_CLUSTERS: rows},
        rows.select(["example_id", "level", "cluster_id", "strength"]),
        {
            "errors": len(first_level),
            "clusters": int(clusters["cluster_id"].nunique()),
            "clusters_of_level_1": len(sizes),
            "noise": int(first_level["cluster_id"].isna().sum()),
            "sizes_of_level_1": {str(name): int(size) for name, size in sizes.items()},
        },
        lambda: asset_summaries.summarize_clusters(clusters, target.title),
    )
