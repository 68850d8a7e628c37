"""The front door: clusters of embedded points, and the table of a model's error clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.clustering.communities import NOISE, nested_communities
from errclust_pipeline.analysis.clustering.density import density_clusters
from errclust_pipeline.analysis.clustering.layout import layout
from errclust_pipeline.analysis.clustering.points import (
    DistinctPoints,
    IntVector,
    distinct_points,
)
from errclust_pipeline.analysis.clustering.settings import ClusteringSettings

if TYPE_CHECKING:
    import pandas as pd

_DEFAULTS = ClusteringSettings()


def cluster_points(
    embeddings: npt.ArrayLike, settings: ClusteringSettings = _DEFAULTS
) -> npt.NDArray[np.int32]:
    """Cluster embedded texts at nested levels.

    Clusters of questions or responses are places in the space of texts: they say *where* something
    happens, not *why*.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)
        One row a point; identical rows share a cluster.
    settings : ClusteringSettings

    Returns
    -------
    int32 array, shape (n, levels)
        Labels from 0, coarsest level first, each column a refinement of the one before: a cluster
        that is not divided further goes on as its own only part. -1 is noise.

    Raises
    ------
    ValueError
        If an embedding is zero or not finite.
    """
    points = _points(embeddings, settings)
    return _labels(points, settings)[points.point_of]


def cluster_errors(
    example_ids: Sequence[str],
    question_ids: Sequence[str],
    embeddings: npt.ArrayLike,
    settings: ClusteringSettings = _DEFAULTS,
) -> pd.DataFrame:
    """Cluster a model's errors; the result does not depend on the order of the rows.

    A cluster is named by its path: ``2`` is the second largest cluster, ``2.1`` the largest part
    of it; of clusters of one size the one with the first example in order comes first. Every error
    has a row at level 1. It has a row at the next level where its cluster is divided; its cluster
    there is null if it belongs to none of the parts.

    Parameters
    ----------
    example_ids, question_ids : sequence of str, length n
        Example ids must be unique.
    embeddings : array, shape (n, dimensions)
        In the same order.
    settings : ClusteringSettings

    Returns
    -------
    DataFrame
        With the columns of the table `error_clusters`, ordered by example and level. ``strength``
        is the share of the error's neighbours, weighted by similarity, in its cluster; it is null
        for noise. ``x`` and ``y`` are null if ``settings.layout`` is off.

    Raises
    ------
    ValueError
        If lengths differ, an example id repeats, or an embedding is zero or not finite.
    """
    names = np.array([str(name) for name in example_ids], dtype=object)
    vectors = np.asarray(embeddings, dtype=np.float32)
    if not len(names) == len(question_ids) == len(vectors):
        raise ValueError(
            f"{len(names)} example ids, {len(question_ids)} question ids and "
            f"{len(vectors)} embeddings: must be as many of each"
        )
    if len(set(names)) < len(names):
        raise ValueError("example ids must be unique")
    if not len(names):
        return _table([])

    order = np.argsort(names, kind="stable")
    points = _points(vectors[order], settings)
    labels = _labels(points, settings)
    positions = layout(points, settings.random_state) if settings.layout else None
    at = points.point_of

    paths: npt.NDArray[np.object_] = np.full(len(names), "", dtype=object)
    rows = np.arange(len(names))
    frames = []
    for level in range(labels.shape[1]):
        label = labels[:, level][at]
        if level:
            rows = rows[_divided(labels[:, level - 1][at][rows], label[rows])]
        paths[rows] = _child_paths(paths[rows], label[rows])
        strength = points.share_in(labels[:, level])[at]
        frames.append(
            {
                "example_id": names[order][rows],
                "question_id": np.array(question_ids, dtype=object)[order][rows],
                "level": np.full(len(rows), level + 1, dtype=np.int32),
                "cluster_id": paths[rows],
                "strength": np.where(label[rows] == NOISE, np.nan, strength[rows]),
                "x": np.full(len(rows), np.nan) if positions is None else positions[at, 0][rows],
                "y": np.full(len(rows), np.nan) if positions is None else positions[at, 1][rows],
            }
        )
    return _table(frames)


def _points(embeddings: npt.ArrayLike, settings: ClusteringSettings) -> DistinctPoints:
    vectors = np.asarray(embeddings, dtype=np.float32)
    if not len(vectors):
        vectors = vectors.reshape(0, vectors.shape[1] if vectors.ndim == 2 else 0)
    return distinct_points(vectors, settings.neighbour_count(len(vectors)))


def _labels(points: DistinctPoints, settings: ClusteringSettings) -> npt.NDArray[np.int32]:
    if settings.method == "hdbscan":
        return density_clusters(points, settings)
    return nested_communities(points, settings)


def _divided(parents: IntVector, children: IntVector) -> npt.NDArray[np.bool_]:
    """Tell the rows whose parent cluster has more than one child."""
    pairs = np.unique(np.stack([parents, children]), axis=1)
    parent, parts = np.unique(pairs[0], return_counts=True)
    return np.isin(parents, parent[(parts > 1) & (parent != NOISE)])


def _child_paths(parents: npt.NDArray[np.object_], labels: IntVector) -> npt.NDArray[np.object_]:
    """Return each row's path: its parent's, a dot, and its rank by size among its siblings."""
    paths: npt.NDArray[np.object_] = np.full(len(labels), None, dtype=object)
    kept, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    next_rank: dict[str, int] = {}
    for which in np.lexsort((first, -sizes)):
        if kept[which] == NOISE:
            continue
        parent = parents[first[which]]
        rank = next_rank[parent] = next_rank.get(parent, 0) + 1
        paths[labels == kept[which]] = f"{parent}.{rank}" if parent else str(rank)
    return paths


def _table(frames: list[dict[str, npt.NDArray[np.generic]]]) -> pd.DataFrame:
    import pandas as pd

    columns = {
        "example_id": "str",
        "question_id": "str",
        "level": "int32",
        "cluster_id": "str",
        "strength": "float32",
        "x": "float32",
        "y": "float32",
    }
    rows: dict[str, Any] = {
        name: np.concatenate([frame[name] for frame in frames]) if frames else []
        for name in columns
    }
    table = pd.DataFrame({name: pd.Series(rows[name], dtype=columns[name]) for name in columns})
    return table.sort_values(["example_id", "level"], kind="stable", ignore_index=True)
