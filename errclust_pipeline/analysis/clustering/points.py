"""Distinct points: identical embeddings collapsed into one, with their neighbours."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import (
    FloatMatrix,
    IndexMatrix,
    hubness_corrected,
    nearest_neighbours,
    unit_vectors,
)

IntVector = npt.NDArray[np.int32]
FloatVector = npt.NDArray[np.float64]

_DECIMALS = 5
_CANDIDATES_PER_LINK = 1.3
"""More change little on the questions of MMLU-Pro, and cost time where neighbours are searched
approximately."""


@dataclass(frozen=True)
class DistinctPoints:
    """Embeddings without repetition, and each one's nearest others.

    A thousand copies of one text would be each other's only neighbours and an island in any
    nearest-neighbour graph. Collapsed into one point they lie where their text belongs.

    Attributes
    ----------
    vectors : float32 array, shape (d, dimensions)
        Unit vectors, in order of first appearance.
    point_of : int32 array, shape (n,)
        The distinct point of each of the n rows that were given.
    copies : int32 array, shape (d,)
        Rows at each point, at least 1.
    neighbours : int32 array, shape (d, k)
        Nearest other points, nearest first.
    similarities : float32 array, shape (d, k)
        Their cosine similarities.
    linked : int32 array, shape (d, k)
        Those of somewhat more neighbours that count most when hubs count for less; see
        `hubness_corrected`.
    link_similarities : float32 array, shape (d, k)
        Their cosine similarities.
    """

    vectors: FloatMatrix
    point_of: IntVector
    copies: IntVector
    neighbours: IndexMatrix
    similarities: FloatMatrix
    linked: IndexMatrix
    link_similarities: FloatMatrix

    def mean_similarity(self) -> FloatVector:
        """Return each point's mean similarity to its neighbours, its own copies among them."""
        twins = self.copies - 1
        total = np.clip(self.similarities, 0, None).sum(axis=1, dtype=np.float64) + twins
        mean: FloatVector = total / np.maximum(self.neighbours.shape[1] + twins, 1)
        return mean

    def share_in(self, labels: IntVector) -> FloatVector:
        """Return how much of each point's neighbourhood bears its own label, 0 to 1.

        Neighbours, and the point's own copies, are weighted by their similarity. A point without
        any has its label to itself: 1.
        """
        twins = self.copies - 1
        weights = np.clip(self.similarities, 0, None).astype(np.float64)
        same = labels[self.neighbours] == labels[:, None]
        total = weights.sum(axis=1) + twins
        inside = (weights * same).sum(axis=1) + twins
        share: FloatVector = np.divide(inside, total, out=np.ones_like(total), where=total > 0)
        return share


def distinct_points(embeddings: npt.ArrayLike, k: int) -> DistinctPoints:
    """Collapse identical embeddings and find the neighbours of what is left.

    Vectors are identical if they agree to five decimals after scaling to length 1, which the same
    text embedded in different batches does.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)
    k : int
        Neighbours of each point, fewer if there are not so many points; of more than 50,000
        points they are approximate, as those of `nearest_neighbours`.

    Raises
    ------
    ValueError
        If a vector is zero or not finite.
    """
    vectors = unit_vectors(embeddings)
    rounded = np.round(vectors, _DECIMALS) + np.float32(0)  # adding 0 turns -0 into 0
    # Hashes are the keys: vectors as keys would be held in memory a second time.
    first_row: dict[bytes, int] = {}
    point_of = np.fromiter(
        (
            first_row.setdefault(hashlib.blake2b(row, digest_size=16).digest(), len(first_row))
            for row in rounded
        ),
        dtype=np.int32,
        count=len(rounded),
    )
    points, representatives = np.unique(point_of, return_index=True)
    kept = vectors[representatives]
    found = nearest_neighbours(kept, candidate_count(k))
    copies = np.bincount(point_of, minlength=len(points)).astype(np.int32)
    return points_with_links(kept, point_of, copies, *found, k)


def candidate_count(k: int) -> int:
    """Return how many neighbours to find for k links of each point."""
    return math.ceil(_CANDIDATES_PER_LINK * k)


def points_with_links(
    vectors: FloatMatrix,
    point_of: IntVector,
    copies: IntVector,
    neighbours: IndexMatrix,
    similarities: FloatMatrix,
    k: int,
) -> DistinctPoints:
    """Put distinct points together, and link each with k of its `candidate_count` nearest others.

    Parameters
    ----------
    vectors, point_of, copies
        As of `DistinctPoints`.
    neighbours, similarities : arrays, shape (d, candidates)
        Nearest first; those beyond `candidate_count` are not looked at.
    k : int
    """
    most = candidate_count(k)
    return DistinctPoints(
        vectors,
        point_of,
        copies,
        np.ascontiguousarray(neighbours[:, :k]),
        np.ascontiguousarray(similarities[:, :k]),
        *hubness_corrected(neighbours[:, :most], similarities[:, :most], k),
    )
