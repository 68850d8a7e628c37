"""Positions on a plane, for the eye only: no statistic is ever computed on them."""

from __future__ import annotations

import warnings

import numpy as np

from errclust_pipeline.analysis.clustering.points import DistinctPoints
from errclust_pipeline.analysis.knn_graph import FloatMatrix

_NEIGHBOURS = 15
_FEWEST_POINTS = 50
_EPOCHS = 200


def layout(points: DistinctPoints, seed: int) -> FloatMatrix:
    """Place each point on a plane so that neighbours lie close.

    Distances between far points, and the areas of clusters, mean nothing in it.

    Parameters
    ----------
    points : DistinctPoints
        d points.
    seed : int
        The same seed gives the same positions.

    Returns
    -------
    float32 array, shape (d, 2)
    """
    return project(points, dimensions=2, min_dist=0.1, seed=seed)


def project(points: DistinctPoints, dimensions: int, min_dist: float, seed: int) -> FloatMatrix:
    """Project points by UMAP (McInnes et al. 2018, arXiv 1802.03426) from the exact neighbours.

    It runs on one thread, which is what makes it repeatable. Fewer than 50 points are projected
    on their principal components instead.

    Parameters
    ----------
    points : DistinctPoints
        d points.
    dimensions : int
    min_dist : float
        UMAP's minimum distance between projected points.
    seed : int

    Returns
    -------
    float32 array, shape (d, dimensions)
    """
    start = principal_components(points.vectors, dimensions)
    if len(points.vectors) < _FEWEST_POINTS:
        return start
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="umap")
        warnings.filterwarnings("ignore", category=FutureWarning)
        from umap import UMAP

        neighbours, distances = _with_self(points, _NEIGHBOURS)
        umap = UMAP(
            n_components=dimensions,
            n_neighbors=neighbours.shape[1],
            min_dist=min_dist,
            n_epochs=_EPOCHS,
            # UMAP's own scaling of an initial layout: ten units wide.
            init=10 * start / max(float(np.abs(start).max()), 1e-12),
            precomputed_knn=(neighbours, distances, None),
            random_state=seed,
            n_jobs=1,
        )
        projected: FloatMatrix = umap.fit_transform(points.vectors).astype(np.float32)
    return projected


def _with_self(points: DistinctPoints, count: int) -> tuple[FloatMatrix, FloatMatrix]:
    """Return neighbours as UMAP wants them: each point first among its own, distances not sims."""
    others = points.neighbours[:, : count - 1]
    own = np.arange(len(others), dtype=others.dtype)[:, None]
    distances = np.clip(1 - points.similarities[:, : count - 1], 0, None)
    zeros = np.zeros((len(others), 1), dtype=np.float32)
    return np.hstack([own, others]), np.hstack([zeros, distances])


def principal_components(vectors: FloatMatrix, dimensions: int) -> FloatMatrix:
    """Project vectors on their first principal components.

    A component's sign is chosen so that its largest coefficient is positive; components beyond
    the rank of the data are zero.

    Parameters
    ----------
    vectors : float32 array, shape (d, m)
    dimensions : int

    Returns
    -------
    float32 array, shape (d, dimensions)
    """
    projected = np.zeros((len(vectors), dimensions), dtype=np.float32)
    if len(vectors) < 2:
        return projected
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :dimensions]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    projected[:, : axes.shape[1]] = centred @ (axes * np.where(largest < 0, -1, 1))
    return projected
