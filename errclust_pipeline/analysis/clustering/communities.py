"""Nested communities of the nearest-neighbour graph (Louvain)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.clustering.points import DistinctPoints, IntVector
from errclust_pipeline.analysis.clustering.settings import ClusteringSettings
from errclust_pipeline.analysis.knn_graph import undirected_graph

NOISE = -1


def nested_communities(
    points: DistinctPoints, settings: ClusteringSettings
) -> npt.NDArray[np.int32]:
    """Divide points into communities, and these again where they really divide.

    Louvain's method (Blondel et al. 2008, J. Stat. Mech. P10008) maximises modularity on the
    union of the links, weighted by similarity. Louvain divides anything, a cloud of
    noise too; so a division is kept only if its `assortativity` reaches
    ``settings.minimum_assortativity`` and at least two of its communities reach the smallest size.
    Communities below that size, and points that belong nowhere, are noise.

    Parameters
    ----------
    points : DistinctPoints
        d points that stand for n rows.
    settings : ClusteringSettings

    Returns
    -------
    int32 array, shape (d, settings.levels)
        Labels from 0, each column a refinement of the one before; a community that is not divided
        goes on under a label of its own. -1 is noise, at all deeper levels as well.
    """
    graph = undirected_graph(points.linked, points.link_similarities)
    rows = int(points.copies.sum())
    outlying = _outliers(points, settings.minimum_relative_similarity)
    labels = np.where(outlying, NOISE, 0).astype(np.int32)
    labels = _without_small(labels, points.copies, settings.smallest_cluster(rows))
    smallest_parent = 2 * settings.smallest_cluster(rows)
    columns = []
    for _ in range(settings.levels):
        labels = _divide(graph, labels, points.copies, smallest_parent, settings)
        columns.append(labels)
        smallest_parent = settings.smallest_divisible(rows)
    return np.stack(columns, axis=1)


def _outliers(points: DistinctPoints, minimum_relative_similarity: float) -> npt.NDArray[np.bool_]:
    """Tell the points that are far less similar to their neighbours than these to theirs.

    The local outlier factor (Breunig et al. 2000, SIGMOD) in its simplified form (Schubert et al.
    2014, Data Mining and Knowledge Discovery 28), with mean similarity as density. Being relative,
    it keeps a topic whose texts are just less alike than those of others. A point's copies count
    as its neighbours, but not when it is compared with: a text beside one that is often repeated
    is no outlier for that.
    """
    if not points.neighbours.size:
        return np.zeros(len(points.copies), dtype=np.bool_)
    density = np.clip(points.similarities, 0, None).mean(axis=1, dtype=np.float64)
    of_neighbours = density[points.neighbours].mean(axis=1)
    wanted = minimum_relative_similarity * of_neighbours
    outlying: npt.NDArray[np.bool_] = points.mean_similarity() < wanted
    return outlying


def _divide(
    graph: Any,
    labels: IntVector,
    copies: IntVector,
    smallest_parent: int,
    settings: ClusteringSettings,
) -> IntVector:
    """Return the labels of the next level."""
    divided = np.full_like(labels, NOISE)
    next_label = 0
    for parent in range(labels.max(initial=NOISE) + 1):
        members = np.flatnonzero(labels == parent)
        children = np.zeros(len(members), dtype=np.int32)
        if copies[members].sum() >= smallest_parent:
            children = _communities(graph[members][:, members], copies, members, settings)
        divided[members] = np.where(children == NOISE, NOISE, children + next_label)
        next_label += int(children.max()) + 1
    return divided


def _communities(
    graph: Any, copies: IntVector, members: npt.NDArray[np.intp], settings: ClusteringSettings
) -> IntVector:
    """Divide one cluster; all labels are 0 if it does not really divide."""
    from sknetwork.clustering import Louvain

    whole = np.zeros(len(members), dtype=np.int32)
    if graph.nnz == 0:
        return whole
    louvain = Louvain(
        resolution=settings.resolution,
        random_state=settings.random_state,
        return_probs=False,
        return_aggregate=False,
    )
    labels = louvain.fit_predict(graph).astype(np.int32)
    if assortativity(graph, labels) < settings.minimum_assortativity:
        return whole
    smallest = settings.smallest_cluster(int(copies.sum()))
    labels = _without_small(labels, copies[members], smallest)
    return labels if labels.max() > 0 else whole


def assortativity(graph: Any, labels: IntVector) -> float:
    """Return how much of a graph's weight lies within communities, between chance and all.

    ``r = (sum_c e_cc - sum_c a_c^2) / (1 - sum_c a_c^2)``, where ``e_cc`` is the share of the
    weight inside community c and ``a_c`` the share of its ends there: modularity over the most that
    communities of these sizes could have (Newman 2003, Physical Review E 67, 026126, equation 2).
    Unlike modularity it is 1 for two separate communities as for ten, equal or not.

    Parameters
    ----------
    graph : sparse array, shape (n, n)
        Symmetric, not empty.
    labels : int array, shape (n,)
        Communities from 0.

    Returns
    -------
    float
        At most 1; 0 is chance, and the value for a single community.
    """
    edges = graph.tocoo()
    total = edges.data.sum()
    inside = edges.data[labels[edges.row] == labels[edges.col]].sum() / total
    ends = np.bincount(labels[edges.row], weights=edges.data) / total
    by_chance = float((ends**2).sum())
    return float((inside - by_chance) / (1 - by_chance)) if by_chance < 1 else 0.0


def _without_small(labels: IntVector, copies: IntVector, smallest: int) -> IntVector:
    """Make noise of labels that too few rows bear; number the others anew, without gaps."""
    named = labels != NOISE
    if not named.any():
        return labels
    sizes = np.bincount(labels[named], weights=copies[named])
    kept = sizes >= smallest
    new_label = np.where(kept, np.cumsum(kept) - 1, NOISE).astype(np.int32)
    relabelled: IntVector = np.where(named, new_label[labels], NOISE).astype(np.int32)
    return relabelled
