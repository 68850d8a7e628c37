"""Exact nearest neighbours by cosine similarity, and the undirected graph they make."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float32]
IndexMatrix = npt.NDArray[np.int32]

NEIGHBOURHOOD = 30
"""Number of nearest neighbours that make the surroundings of a question where one scale is used:
for statistics of one scale, for covariates, and for reported in-degrees."""

_STEPS_PER_UNIT = np.float32(2**20)
"""Similarities are kept to 2^-20 (1e-6), what a float32 dot product of 384 terms is good for."""
_SMALLEST_GROUP = 3
_DENSITY_NEIGHBOURS = 10
"""As in the paper of `hubness_corrected`."""


def unit_vectors(embeddings: npt.ArrayLike) -> FloatMatrix:
    """Scale vectors to length 1.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)

    Returns
    -------
    float32 array, shape (n, dimensions)

    Raises
    ------
    ValueError
        If the array is not two-dimensional, or a vector is zero or not finite: such a vector has
        no direction, hence no cosine with anything.
    """
    vectors = np.asarray(embeddings, dtype=np.float32)
    if vectors.ndim != 2:
        raise ValueError(f"embeddings must be a matrix (n, dimensions), got shape {vectors.shape}")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    unusable = np.flatnonzero(~np.isfinite(lengths) | (lengths == 0))
    if unusable.size:
        raise ValueError(
            f"{unusable.size} of {len(vectors)} embeddings are zero or not finite, "
            f"the first in row {unusable[0]}"
        )
    scaled: FloatMatrix = (vectors / lengths[:, None]).astype(np.float32)
    return scaled


def cosine_neighbours(
    embeddings: npt.ArrayLike, k: int, block_rows: int = 1024
) -> tuple[IndexMatrix, FloatMatrix]:
    """Find each vector's k nearest others by cosine similarity, exactly.

    A vector is excluded from its own neighbours by its index, so exact duplicates are found as
    neighbours at similarity 1. Similarities are rounded to 2^-20; equal ones are ordered by index,
    which makes the answer the same on every run. Memory beyond the result is that of
    ``block_rows`` times n float32 similarities, for each thread that BLAS may use.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)
        Need not be of unit length.
    k : int
        Neighbours wanted; at most n - 1 are returned.
    block_rows : int
        Rows compared with all others at a time.

    Returns
    -------
    indices : int32 array, shape (n, min(k, n - 1))
        Nearest first.
    similarities : float32 array of the same shape
        Cosine similarities, -1 to 1.

    Raises
    ------
    ValueError
        If a vector is zero or not finite, or k or ``block_rows`` is not positive.
    """
    if k < 1 or block_rows < 1:
        raise ValueError(f"k and block_rows must be positive, got {k} and {block_rows}")
    vectors = unit_vectors(embeddings)
    return _nearest(vectors, vectors, max(min(k, len(vectors) - 1), 0), block_rows)


def cosine_neighbours_among(
    embeddings: npt.ArrayLike, others: npt.ArrayLike, k: int, block_rows: int = 1024
) -> tuple[IndexMatrix, FloatMatrix]:
    """Find each vector's k nearest of a second set by cosine similarity, exactly.

    Similarities are rounded and ordered as by `cosine_neighbours`.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)
    others : array, shape (m, dimensions)
        What is looked through.
    k : int
        Neighbours wanted; at most m are returned.
    block_rows : int
        Rows compared with all others at a time.

    Returns
    -------
    indices : int32 array, shape (n, min(k, m))
        Rows of ``others``, nearest first.
    similarities : float32 array of the same shape
        Cosine similarities, -1 to 1.

    Raises
    ------
    ValueError
        If a vector is zero or not finite, dimensions differ, or k or ``block_rows`` is not
        positive.
    """
    if k < 1 or block_rows < 1:
        raise ValueError(f"k and block_rows must be positive, got {k} and {block_rows}")
    vectors, targets = unit_vectors(embeddings), unit_vectors(others)
    n, m = len(vectors), len(targets)
    if n and m and vectors.shape[1] != targets.shape[1]:
        raise ValueError(
            f"embeddings have {vectors.shape[1]} dimensions, the others {targets.shape[1]}"
        )
    return _nearest(vectors, targets, min(k, m), block_rows)


def nearest_neighbours(
    embeddings: npt.ArrayLike, k: int, exact_up_to: int = 50_000, seed: int = 0
) -> tuple[IndexMatrix, FloatMatrix]:
    """Find each vector's k nearest others by cosine: exactly, or approximately if there are many.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)
    k : int
        Neighbours wanted; at most n - 1 are returned.
    exact_up_to : int
        Vectors up to which all pairs are compared, whose time grows with n squared. Above, nearest
        neighbour descent (Dong et al. 2011, WWW) is used, whose time grows about as n log n; it
        found 99 % of the true neighbours of 20,000 points.
    seed : int
        Random state of the approximate search.

    Returns
    -------
    indices, similarities
        As those of `cosine_neighbours`.

    Raises
    ------
    ValueError
        As `cosine_neighbours`.
    """
    n = len(np.asarray(embeddings))
    if n <= exact_up_to:
        return cosine_neighbours(embeddings, k)
    from pynndescent import NNDescent

    vectors = unit_vectors(embeddings)
    # One more than wanted, because a vector is its own nearest neighbour; where copies crowd it
    # out of its own list, the farthest is dropped instead.
    index = NNDescent(vectors, metric="cosine", n_neighbors=k + 1, random_state=seed, n_jobs=1)
    found = index.neighbor_graph[0].astype(np.int32)
    itself = found == np.arange(n, dtype=np.int32)[:, None]
    itself[~itself.any(axis=1), -1] = True
    others = found[~itself].reshape(n, -1)
    similarities = np.stack([vectors[others[row]] @ vectors[row] for row in range(n)]).astype(
        np.float32
    )
    order = np.lexsort((others, -similarities), axis=1)
    return (
        np.take_along_axis(others, order, axis=1),
        np.clip(np.take_along_axis(similarities, order, axis=1), -1, 1),
    )


def hubness_corrected(
    neighbours: IndexMatrix, similarities: FloatMatrix, k: int
) -> tuple[IndexMatrix, FloatMatrix]:
    """Choose each point's k neighbours anew, so that hubs count for less.

    In many dimensions a few points are near to everything and get into everyone's list, which ties
    together what has nothing in common. Cross-domain similarity local scaling takes from the
    similarity of x and y how similar each is to its own ten nearest: ``2 cos(x, y) - r(x) - r(y)``
    (Conneau et al. 2018, ICLR, equation 3). Among the candidates given, those with the largest
    value are kept.

    On eight models' errors on MMLU-Pro, of 1.3 times k candidates, the skewness of in-degrees is
    0.8 to 1.0 in place of 1.3 to 1.6, and what is made from the graph agrees better with what is
    known: see `benchmarks/cluster_quality.py` and `benchmarks/planted_weaknesses.py`.

    Parameters
    ----------
    neighbours : int32 array, shape (n, candidates)
        Nearest first; more than k of them.
    similarities : float32 array of the same shape
        Cosine similarities.
    k : int
        Neighbours wanted; at most ``candidates`` are returned.

    Returns
    -------
    indices : int32 array, shape (n, min(k, candidates))
        Largest corrected similarity first; of equal ones, the nearer first.
    similarities : float32 array of the same shape
        Their cosine similarities, as they were.

    Raises
    ------
    ValueError
        If the shapes differ, or k is not positive.
    """
    if neighbours.shape != similarities.shape:
        raise ValueError(f"{neighbours.shape} neighbours but {similarities.shape} similarities")
    if k < 1:
        raise ValueError(f"k must be positive, got {k}")
    if not neighbours.size:
        return neighbours, similarities
    density = similarities[:, :_DENSITY_NEIGHBOURS].mean(axis=1, dtype=np.float64)
    # r(x) is the same in all of a row and changes no order.
    corrected = 2 * similarities - density[neighbours]
    order = np.argsort(-corrected, axis=1, kind="stable")[:, :k]
    return (
        np.take_along_axis(neighbours, order, axis=1),
        np.take_along_axis(similarities, order, axis=1),
    )


def _nearest(
    vectors: FloatMatrix, targets: FloatMatrix, k: int, block_rows: int
) -> tuple[IndexMatrix, FloatMatrix]:
    """Compare unit vectors with targets, block by block; one that is its own target is left out."""
    from threadpoolctl import threadpool_info, threadpool_limits

    n = len(vectors)
    indices = np.empty((n, k), dtype=np.int32)
    similarities = np.empty((n, k), dtype=np.float32)

    def compare(start: int) -> None:
        rows = slice(start, min(start + block_rows, n))
        steps = vectors[rows] @ targets.T
        steps *= _STEPS_PER_UNIT
        np.rint(steps, out=steps)
        if targets is vectors:
            steps[np.arange(len(steps)), np.arange(rows.start, rows.stop)] = -np.inf
        indices[rows], similarities[rows] = _largest(steps, k)

    # Whole blocks side by side: of one block only the product would use several threads, and
    # finding the largest, which takes longer, would use one.
    threads = max(
        (library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"),
        default=1,
    )
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        list(pool.map(compare, range(0, n if k else 0, block_rows)))
    return indices, np.clip(similarities / _STEPS_PER_UNIT, -1, 1)


def _largest(values: FloatMatrix, k: int) -> tuple[IndexMatrix, FloatMatrix]:
    """Return column and value of each row's k largest values; of equal ones, the leftmost."""
    columns, chosen, kth, is_tied = _some_largest(values, k)
    for row in np.flatnonzero(is_tied):
        candidates = np.flatnonzero(values[row] >= kth[row])
        order = np.argsort(-values[row, candidates], kind="stable")
        columns[row] = candidates[order[:k]]
        chosen[row] = values[row, columns[row]]
    order = np.lexsort((columns, -chosen), axis=1)
    return (
        np.take_along_axis(columns, order, axis=1).astype(np.int32),
        np.take_along_axis(chosen, order, axis=1),
    )


def _some_largest(
    values: FloatMatrix, k: int
) -> tuple[npt.NDArray[np.intp], FloatMatrix, FloatMatrix, npt.NDArray[np.bool_]]:
    """Return k columns with each row's largest values, in no order, and these values.

    Also the smallest of them, and whether more values equal it than there is room for. The columns
    are dealt out to groups. A value among the k largest makes its group's maximum one of the k
    largest maxima, so that only these groups are looked into: several times as fast as a partial
    order of all.
    """
    n = values.shape[1]
    group_size = round(math.sqrt(n / k))
    if group_size < _SMALLEST_GROUP:
        columns = np.argpartition(values, n - k, axis=1)[:, -k:]
        chosen = np.take_along_axis(values, columns, axis=1)
        kth = chosen.min(axis=1)
        return columns, chosen, kth, np.count_nonzero(values >= kth[:, None], axis=1) > k
    groups = n // group_size
    maxima = values[:, :groups].copy()
    for start in range(groups, n, groups):
        ends = min(start + groups, n)
        reached = maxima[:, : ends - start]
        np.maximum(reached, values[:, start:ends], out=reached)
    largest_groups = np.argpartition(maxima, groups - k, axis=1)[:, -k:]
    members = largest_groups[:, :, None] + groups * np.arange(math.ceil(n / groups))
    members = members.reshape(len(values), -1)
    # Groups of the last columns are one short. Should -inf be among the k largest, it is tied.
    beyond = members >= n
    members[beyond] = 0
    candidates = np.take_along_axis(values, members, axis=1)
    candidates[beyond] = -np.inf
    picked = np.argpartition(candidates, candidates.shape[1] - k, axis=1)[:, -k:]
    chosen = np.take_along_axis(candidates, picked, axis=1)
    kth = chosen.min(axis=1)
    is_tied = (np.count_nonzero(candidates >= kth[:, None], axis=1) > k) | (
        np.count_nonzero(maxima >= kth[:, None], axis=1) > k
    )
    return np.take_along_axis(members, picked, axis=1), chosen, kth, is_tied


def undirected_graph(indices: IndexMatrix, weights: FloatMatrix) -> Any:
    """Join each point with its neighbours: the union of both directions.

    An edge found from both ends, or only from one, has the larger of its weights. Edges of weight
    zero or less are left out: modularity is not defined for them.

    Parameters
    ----------
    indices : int32 array, shape (n, k)
    weights : float32 array, shape (n, k)

    Returns
    -------
    scipy.sparse.csr_matrix, float64, shape (n, n)
        Symmetric, with sorted indices and an empty diagonal.
    """
    from scipy import sparse

    n, k = indices.shape
    rows = np.repeat(np.arange(n, dtype=np.int32), k)
    kept = weights.ravel() > 0
    directed = sparse.csr_matrix(
        (weights.ravel()[kept].astype(np.float64), (rows[kept], indices.ravel()[kept])),
        shape=(n, n),
    )
    graph = directed.maximum(directed.T).tocsr()
    graph.sort_indices()
    return graph
