"""An order of a matrix's rows in which rows that are alike stand together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def seriated(matrix: npt.ArrayLike) -> list[int]:
    """Order rows so that those alike are neighbours, for a heat map that shows blocks.

    Average linkage of Euclidean distances, with the leaves turned so that the distances between
    neighbours are as small as the tree allows (Bar-Joseph, Gifford & Jaakkola 2001, Bioinformatics
    17), and the row of the smallest mean nearer the start.

    Parameters
    ----------
    matrix : array, shape (n, d)
        Finite.

    Returns
    -------
    list of int, length n
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    rows = np.asarray(matrix, dtype=np.float64)
    if len(rows) < 3:
        return list(range(len(rows)))
    order: list[int] = leaves_list(linkage(rows, "average", optimal_ordering=True)).tolist()
    # A tree has no first and last: either end may come first.
    if rows[order[0]].mean() > rows[order[-1]].mean():
        order.reverse()
    return order
