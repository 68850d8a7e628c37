"""Software-defined assets, one file a stage: read tables, call the analysis, write tables."""

from errclust_pipeline.assets.cluster_labels import cluster_labels
from errclust_pipeline.assets.error_clusters import error_clusters
from errclust_pipeline.assets.error_embeddings import error_embeddings
from errclust_pipeline.assets.error_table import error_table
from errclust_pipeline.assets.raw_results import raw_results

ASSETS = [raw_results, error_table, error_embeddings, error_clusters, cluster_labels]
"""In flow order."""

__all__ = [
    "ASSETS",
    "cluster_labels",
    "error_clusters",
    "error_embeddings",
    "error_table",
    "raw_results",
]
