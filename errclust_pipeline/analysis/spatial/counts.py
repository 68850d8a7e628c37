"""How many of a question's neighbours bear a mark: what every local statistic is made of."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD

FloatVector = npt.NDArray[np.float64]
IntVector = npt.NDArray[np.int64]
BoolVector = npt.NDArray[np.bool_]

DEFAULT_SCALES = (10, 30, 100, 300)
"""Numbers of neighbours. Few tell where, many tell whether: a difference that no neighbourhood of
30 shows may be plain in one of 300."""

_BLOCK_ENTRIES = 4_000_000
_MOST_THREADS = 8
_Block = TypeVar("_Block")
_Result = TypeVar("_Result")


def usable_scales(n: int, k_max: int, scales: Sequence[int] = DEFAULT_SCALES) -> tuple[int, ...]:
    """Return the scales that n questions allow, in ascending order.

    A neighbourhood of half the map or more says nothing of a place; so scales of n / 2 and more
    are dropped, and those beyond ``k_max``. The smallest is kept in any case, cut to what there is.

    Parameters
    ----------
    n : int
        Questions on the map.
    k_max : int
        Neighbours known of each.
    scales : sequence of int

    Raises
    ------
    ValueError
        If there is no scale, or one is not positive.
    """
    if not scales or min(scales) < 1:
        raise ValueError(f"scales must be positive numbers of neighbours, got {list(scales)}")
    ordered = sorted(set(scales))
    fitting = [k for k in ordered if k <= k_max and 2 * k < n]
    return tuple(fitting) or (max(min(ordered[0], k_max), 0),)


def neighbourhood_size(n: int, k_max: int) -> int:
    """Return the number of neighbours for statistics of one scale on a map of n questions.

    It is `NEIGHBOURHOOD`, or a quarter of a smaller map: a larger part of the map is no place. On
    fewer than four questions it is 0, and no local statistic makes sense. Where several scales are
    compared, `usable_scales` chooses them.

    Parameters
    ----------
    n : int
        Questions on the map.
    k_max : int
        Neighbours known of each.
    """
    return min(NEIGHBOURHOOD, k_max, n // 4)


def as_marks(values: npt.ArrayLike) -> FloatVector:
    """Return marks as float64: 1 for an error, 0 for none, NaN for a question left out.

    Raises
    ------
    ValueError
        If a value is none of these.
    """
    marks = np.asarray(values, dtype=np.float64)
    if marks.ndim != 1 or not np.isin(marks[~np.isnan(marks)], (0, 1)).all():
        raise ValueError("marks must be a vector of 0, 1 and NaN")
    return marks


def neighbour_sums(
    values: npt.ArrayLike, neighbours: npt.NDArray[np.int32], scales: Sequence[int]
) -> tuple[FloatVector, IntVector]:
    """Sum values over the first k neighbours of every question, for several k in one pass.

    Time and memory grow with n times the largest scale; beyond the result, a block of rows is
    held at a time.

    Parameters
    ----------
    values : array of float, shape (n,)
        NaN for a question that is left out: it adds nothing to its neighbours' sums.
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    scales : sequence of int
        Ascending, at most ``k_max``.

    Returns
    -------
    sums : float64 array, shape (scales, n)
    draws : int64 array, shape (scales, n)
        How many neighbours were summed: k, less those left out.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the scales are not ascending or exceed ``k_max``.
    """
    marks = np.asarray(values, dtype=np.float64)
    n, k_max = neighbours.shape
    edges = [0, *scales]
    if marks.shape != (n,):
        raise ValueError(f"{marks.shape} values for neighbours of {n} questions")
    if sorted(set(edges)) != edges and scales != (0,):
        raise ValueError(f"scales must be ascending, got {list(scales)}")
    if edges[-1] > k_max:
        raise ValueError(f"scale {edges[-1]} exceeds the {k_max} neighbours known")
    left_out = np.isnan(marks)
    known = np.where(left_out, 0.0, marks)
    whole = np.array_equal(known, np.rint(known)) and np.abs(known).max(initial=0) <= 1
    # Small integers add up exactly, and a gather of bytes is several times faster than of floats.
    packed = known.astype(np.int8) if whole else known
    any_left_out = bool(left_out.any())
    sums = np.zeros((len(scales), n))
    draws = np.tile(np.asarray(scales, dtype=np.int64)[:, None], (1, n))
    step = max(1, _BLOCK_ENTRIES // max(edges[-1], 1))
    for start in range(0, n, step):
        rows = slice(start, start + step)
        total = np.zeros(len(sums[0, rows]))
        missing = np.zeros(len(total), dtype=np.int64)
        for scale, (first, last) in enumerate(itertools.pairwise(edges)):
            block = neighbours[rows, first:last]
            total += packed[block].sum(axis=1, dtype=np.int32 if whole else np.float64)
            sums[scale, rows] = total
            if any_left_out:
                missing += left_out[block].sum(axis=1)
                draws[scale, rows] -= missing
    return sums, draws


def neighbour_graphs(
    known: BoolVector, neighbours: npt.NDArray[np.int32], scales: Sequence[int]
) -> list[Any]:
    """Return what each scale adds to the one before, as graphs of the known questions.

    Multiplied with a block of columns, they sum many sets of marks over neighbours at once.

    Parameters
    ----------
    known : bool array, shape (n,)
        Questions that have a mark; the others are in no graph.
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    scales : sequence of int
        Ascending, at most ``k_max``.

    Returns
    -------
    list of sparse arrays of float32 ones, shape (known, known)
    """
    from scipy import sparse

    number = np.cumsum(known, dtype=np.int32) - 1
    n = int(known.sum())
    graphs = []
    for first, last in itertools.pairwise((0, *scales)):
        block = neighbours[known, first:last]
        kept = known[block]
        pointers = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int32)
        columns = number[block[kept]].astype(np.int32)
        ones = np.ones(len(columns), dtype=np.float32)
        graphs.append(sparse.csr_array((ones, columns, pointers), shape=(n, n)))
    return graphs


def in_threads(function: Callable[[_Block], _Result], blocks: Iterable[_Block]) -> list[_Result]:
    """Return the function's results for blocks of work, in order, from a thread for each core.

    Worth it where most of the time goes into sparse products and large array operations, which let
    other threads run.
    """
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as pool:
        return list(pool.map(function, blocks))


def benjamini_hochberg(p_values: FloatVector) -> FloatVector:
    """Return q values, which control the false discovery rate.

    The method is that of Benjamini & Hochberg (1995, JRSS B 57).

    Parameters
    ----------
    p_values : float64 array, shape (n,)
        NaN where there was no test; it does not count as one.

    Returns
    -------
    float64 array, shape (n,)
        NaN where the p value is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> benjamini_hochberg(np.array([0.01, 0.04, np.nan, 0.03])).round(3).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    from scipy.stats import false_discovery_control

    adjusted = np.full_like(p_values, np.nan)
    known = ~np.isnan(p_values)
    if known.any():
        adjusted[known] = false_discovery_control(p_values[known])
    return adjusted
