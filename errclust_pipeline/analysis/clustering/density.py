"""Density clusters of a low-dimensional projection (HDBSCAN on UMAP)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.clustering.communities import NOISE
from errclust_pipeline.analysis.clustering.layout import project
from errclust_pipeline.analysis.clustering.points import DistinctPoints
from errclust_pipeline.analysis.clustering.settings import ClusteringSettings

_DIMENSIONS = 5


def density_clusters(points: DistinctPoints, settings: ClusteringSettings) -> npt.NDArray[np.int32]:
    """Cluster points by density: UMAP to 5 dimensions, then HDBSCAN.

    The recipe of BERTopic (Grootendorst 2022, arXiv 2203.05794), seeded. HDBSCAN is that of
    Campello et al. 2013. It is here as the common alternative: on the questions of MMLU-Pro it
    leaves a third as noise and agrees less with their sources than `nested_communities`
    (`benchmarks/cluster_quality.py --slow`). A point with several copies counts once for density.

    Parameters
    ----------
    points : DistinctPoints
        d points that stand for n rows.
    settings : ClusteringSettings

    Returns
    -------
    int32 array, shape (d, 1)
        Labels from 0; -1 is noise.
    """
    smallest = settings.smallest_cluster(int(points.copies.sum()))
    if len(points.vectors) < 2 * max(smallest, 2):
        enough = points.copies.sum() >= smallest
        return np.full((len(points.vectors), 1), 0 if enough else NOISE, dtype=np.int32)
    from sklearn.cluster import HDBSCAN

    projected = project(points, dimensions=_DIMENSIONS, min_dist=0.0, seed=settings.random_state)
    labels = HDBSCAN(min_cluster_size=max(smallest, 2), copy=True).fit_predict(projected)
    column: npt.NDArray[np.int32] = labels.astype(np.int32)[:, None]
    return column
