"""Clusters of embedded texts: kNN graph, nested communities, density clusters, 2-D layout.

`cluster_errors` gives the table of a model's error clusters, `cluster_points` bare labels for any
embeddings. Clusters of question or response text say *where* a model fails, not *why*.
"""

from errclust_pipeline.analysis.clustering.clusters import cluster_errors, cluster_points
from errclust_pipeline.analysis.clustering.settings import ClusteringMethod, ClusteringSettings

__all__ = ["ClusteringMethod", "ClusteringSettings", "cluster_errors", "cluster_points"]
