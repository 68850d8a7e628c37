"""Near-duplicate questions, which would count one weakness several times."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import nearest_neighbours

_CANDIDATES = 50
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def near_duplicates(
    texts: Sequence[str],
    embeddings: npt.ArrayLike,
    similarity: float = 0.98,
    exact_up_to: int = 50_000,
    seed: int = 0,
) -> npt.NDArray[np.int32]:
    """Find which questions say the same, and one that stands for them.

    Two questions are near-duplicates if their embeddings reach the similarity *and* they hold the
    same numbers, in whatever order. Without the second condition a benchmark made from templates
    would collapse into its templates: "397 kilograms in pounds" and "229 kilograms in pounds" are
    all but equal to an embedding model, yet two questions, each answered on its own.

    Questions are gone through in the order given: one that stands for no other yet takes in all
    that are near enough to *it*, so groups do not grow along chains. Groups of more than 50 are
    split.

    Parameters
    ----------
    texts : sequence of str, length n
    embeddings : array, shape (n, dimensions)
        In the same order.
    similarity : float
        Cosine similarity, 0 to 1, from which on two questions may be duplicates.
    exact_up_to, seed : int
        As of `nearest_neighbours`: of more questions than this, some duplicates may be missed.

    Returns
    -------
    int32 array, shape (n,)
        For each question the row of the one that stands for it: its own, or that of an earlier
        or later one.

    Raises
    ------
    ValueError
        If texts and embeddings are not as many.
    """
    vectors = np.asarray(embeddings, dtype=np.float32)
    n = len(texts)
    if len(vectors) != n:
        raise ValueError(f"{n} texts but {len(vectors)} embeddings: must be as many")
    representative: npt.NDArray[np.int32] = np.arange(n, dtype=np.int32)
    if n < 2:
        return representative
    neighbours, similarities = nearest_neighbours(vectors, _CANDIDATES, exact_up_to, seed)
    close = similarities >= similarity
    numbers: dict[int, tuple[str, ...]] = {}
    taken = np.zeros(n, dtype=np.bool_)
    for row in np.flatnonzero(close.any(axis=1)):
        if taken[row]:
            continue
        group = [other for other in neighbours[row][close[row]] if not taken[other]]
        for other in (int(row), *map(int, group)):
            numbers.setdefault(other, tuple(sorted(_NUMBER.findall(texts[other]))))
        for other in group:
            if numbers[int(other)] == numbers[int(row)]:
                representative[other] = row
                taken[other] = True
                taken[row] = True
    return representative
