"""The members that show a cluster best: the most central ones, and the most diverse."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import FloatMatrix, unit_vectors

_DISTINCT_DISTANCE = 1e-4


def centroid_similarity(embeddings: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return each vector's cosine similarity to the mean of the unit vectors.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions), n at least 1

    Returns
    -------
    float64 array, shape (n,)
        All zero if the vectors cancel out.
    """
    vectors = unit_vectors(embeddings).astype(np.float64)
    mean = vectors.mean(axis=0)
    length = float(np.linalg.norm(mean))
    similarity: npt.NDArray[np.float64] = vectors @ mean / length if length else vectors[:, 0] * 0
    return similarity


def exemplars(
    embeddings: npt.ArrayLike, central: int = 3, diverse: int = 3
) -> tuple[list[int], list[int]]:
    """Pick the members nearest to a cluster's centroid, then those that cover its breadth.

    The diverse ones are picked farthest first: each is the member least similar to all picked so
    far, a 2-approximation of the k-centre problem (Gonzalez 1985, Theoretical Computer Science
    38). Copies of a member already picked are passed over; ties go to the first row.

    Parameters
    ----------
    embeddings : array, shape (n, dimensions)
        The cluster's members.
    central, diverse : int
        Members wanted of each sort; fewer if there are not so many distinct ones.

    Returns
    -------
    central, diverse : list of int
        Rows, in the order picked; no row is in both.
    """
    vectors: FloatMatrix = unit_vectors(embeddings)
    picked: list[int] = []
    distance = np.full(len(vectors), np.inf)
    for row in np.argsort(-np.round(centroid_similarity(vectors), 6), kind="stable"):
        if len(picked) == central:
            break
        if distance[row] > _DISTINCT_DISTANCE:
            picked.append(int(row))
            distance = np.minimum(distance, 1 - vectors @ vectors[row])
    while len(picked) < central + diverse:
        row = int(np.argmax(np.round(distance, 6)))
        if distance[row] <= _DISTINCT_DISTANCE:
            break
        picked.append(row)
        distance = np.minimum(distance, 1 - vectors @ vectors[row])
    return picked[:central], picked[central:]
