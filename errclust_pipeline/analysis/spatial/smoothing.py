"""Smoothing on the neighbour graph: averages over walks of one to four steps.

A neighbourhood of k nearest questions is a ball; weaknesses are not. A random walk follows the
graph where questions are dense, so its average stays inside a topic longer, and in `benchmarks/
planted_weaknesses.py` it finds half as much again as balls of any size do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import (
    FloatMatrix,
    IndexMatrix,
    hubness_corrected,
    undirected_graph,
)
from errclust_pipeline.analysis.spatial.counts import FloatVector

NEIGHBOURS = 15
"""Number of neighbours in the graph that is walked on; 15 is also UMAP's default."""
CANDIDATES = 300
"""Nearest neighbours among which those of the graph are chosen."""
STEPS = (1, 2, 3, 4)
"""Walks looked at. On 12,000 questions they average over about 20, 100, 230 and 400 questions."""

_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class GraphKernel:
    """Averages over random walks, and what is needed to test them.

    It belongs to a map, not to a model: build it once and use it for all.

    Attributes
    ----------
    graph : sparse matrix, shape (n, n)
        Undirected and unweighted: questions that are among each other's neighbours.
    transition : sparse matrix, shape (n, n)
        One step on it: to any neighbour, or nowhere, with equal probability.
    steps : tuple of int
        Lengths of the walks.
    own_weight, squares, cubes : float64 arrays, shape (steps, n)
        For each question and walk length: the walk's weight on the question itself, and the sums of
        the squares and of the cubes of its weights.
    """

    graph: Any
    transition: Any
    steps: tuple[int, ...]
    own_weight: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    cubes: npt.NDArray[np.float64]

    def averages(self, values: FloatVector) -> npt.NDArray[np.float64]:
        """Average values over walks of each length; shape (steps, n)."""
        found = []
        average = values
        for step in range(1, self.steps[-1] + 1):
            average = self.transition @ average
            if step in self.steps:
                found.append(average)
        return np.stack(found)

    def averages_of_others(self, values: FloatVector) -> npt.NDArray[np.float64]:
        """Average values over walks, each question's own left out; shape (steps, n)."""
        of_others = (self.averages(values) - self.own_weight * values) / np.maximum(
            1 - self.own_weight, 1e-12
        )
        return np.asarray(of_others)


def graph_kernel(
    neighbours: IndexMatrix,
    similarities: FloatMatrix | None = None,
    k: int = NEIGHBOURS,
    steps: tuple[int, ...] = STEPS,
) -> GraphKernel:
    """Build the kernel of a map.

    Time grows linearly with n, but fast with k and the number of steps: about 4 s for 12,000
    questions. Memory is that of a block of rows.

    Parameters
    ----------
    neighbours : int32 array, shape (n, k_max)
        Nearest first; of more than k, those of the graph are chosen by `hubness_corrected`.
    similarities : float32 array, shape (n, k_max), optional
        Similarities of the neighbours. Without them the nearest k make the graph, and hubs are not
        corrected for.
    k : int
        Neighbours of each question in the graph, which is the union of both directions.
    steps : tuple of int
        Ascending.
    """
    graph, transition = walk_graph(neighbours, similarities, k)
    n = len(neighbours)
    own, squares, cubes = (np.empty((len(steps), n)) for _ in range(3))
    for start in range(0, n, _BLOCK_ROWS):
        rows = np.arange(start, min(start + _BLOCK_ROWS, n))
        walk = transition[rows]
        position = 0
        for step in range(1, steps[-1] + 1):
            if step > 1:
                walk = walk @ transition
            if step in steps:
                squared = walk.multiply(walk)
                own[position, rows] = np.asarray(walk[np.arange(len(rows)), rows]).ravel()
                squares[position, rows] = np.asarray(squared.sum(axis=1)).ravel()
                cubes[position, rows] = np.asarray(squared.multiply(walk).sum(axis=1)).ravel()
                position += 1
    return GraphKernel(graph, transition, steps, own, squares, cubes)


def walk_graph(
    neighbours: IndexMatrix, similarities: FloatMatrix | None = None, k: int = NEIGHBOURS
) -> tuple[Any, Any]:
    """Return the graph that is walked on, and one step of the lazy walk on it.

    Parameters
    ----------
    neighbours, similarities, k
        As of `graph_kernel`.

    Returns
    -------
    graph, transition : float64 CSR matrices, shape (n, n)
        The graph has ones and an empty diagonal; the transition's rows sum to 1.
    """
    from scipy import sparse

    if similarities is None:
        chosen = neighbours[:, :k]
    else:
        chosen, _ = hubness_corrected(neighbours[:, :CANDIDATES], similarities[:, :CANDIDATES], k)
    graph = undirected_graph(chosen, np.ones(chosen.shape, dtype=np.float32))
    lazy = graph + sparse.eye(len(neighbours), format="csr")
    degrees = np.asarray(lazy.sum(axis=1)).ravel()
    return graph, (sparse.diags(1 / degrees) @ lazy).tocsr()


def upper_tail(z: npt.ArrayLike, skewness: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return P(Z > z) of a standardised sum with the given skewness, by a Pearson III law.

    The law is continuous: where the sum takes few values, half of ``P(Z = z)`` is in it (mid-p).

    A weighted sum of few rare errors is skewed, and the normal law makes its upper tail too thin;
    matching the third moment as well is the classical remedy for permutation statistics (Mielke &
    Berry 2007, Permutation Methods, 2.3.2).
    """
    from scipy.stats import pearson3

    tail: npt.NDArray[np.float64] = np.asarray(pearson3.sf(np.asarray(z), np.asarray(skewness)))
    return np.clip(tail, 0, 1)
