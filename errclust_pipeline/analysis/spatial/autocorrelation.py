"""Global statistics: do errors concentrate at all, and at which scale?

Moran's I and the join counts of a map with 0/1 marks are one statistic, the number of neighbours
that are both errors; I is that number, centred and scaled. Its mean and variance over all
permutations of the marks have a closed form, so the z score carries no Monte-Carlo noise; the p
value is counted over random permutations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import (
    FloatVector,
    neighbour_graphs,
    neighbour_sums,
)

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 64
_ROUNDING = 1e-9
"""A spread of marks below this is none: differences of probabilities are rounded at 1e-16."""


@dataclass(frozen=True)
class GlobalStatistic:
    """Moran's I of one mark at one scale.

    Attributes
    ----------
    k : int
    questions : int
        With a mark.
    moran : float
        Moran's I with row-standardised weights.
    expected : float
        Its mean over permutations, -1 / (n - 1).
    z : float
        Standard scores from the mean, by the moments over all permutations.
    p : float
        Share of permutations, the observed marks among them, with as large an I: one-sided.
    permutations : int
    joins_both, joins_neither, joins_one : float or None
        Join counts BB, WW and BW of 0/1 marks: each neighbour relation counts one half.
    """

    k: int
    questions: int
    moran: float
    expected: float
    z: float
    p: float
    permutations: int
    joins_both: float | None = None
    joins_neither: float | None = None
    joins_one: float | None = None


def global_statistics(
    marks: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32],
    scales: Sequence[int],
    permutations: int = 99,
    seed: int = 0,
) -> list[GlobalStatistic]:
    """Compute Moran's I at several scales, with join counts where marks are 0 and 1.

    Takes errors, the residual of errors after adjustment for difficulty, or the difference of two
    models' errors. Time grows with ``n * k * permutations``.

    Parameters
    ----------
    marks : array of float, shape (n,)
        NaN for questions left out.
    neighbours : int32 array, shape (n, k_max)
    scales : sequence of int
        Ascending.
    permutations : int
        For the p values, whose smallest is ``1 / (permutations + 1)``; the z scores need none.
    seed : int

    Returns
    -------
    list of GlobalStatistic
        One a scale. The statistic is NaN where nothing could concentrate: all marks are the same
        (but for rounding), fewer than 4 are known, or no known question neighbours another.
    """
    values = np.asarray(marks, dtype=np.float64)
    known = ~np.isnan(values)
    n = int(known.sum())
    present = values[known]
    nothing = (np.nan, -1 / (n - 1) if n > 1 else np.nan, np.nan, np.nan, 0)
    if n < 4 or np.ptp(present) < _ROUNDING:
        return [GlobalStatistic(k, n, *nothing) for k in scales]
    graphs = neighbour_graphs(known, neighbours, scales)
    mutual = _MutualNeighbours(known, neighbours[:, : scales[-1]])
    deviation = present - present.mean()
    # Whole numbers add up exactly, so permutations that tie with what is observed are seen to. Raw
    # counts are compared: where every question has k neighbours, I rises with them.
    whole = bool((present == np.rint(present)).all())
    permuted = _permuted_forms(present if whole else deviation, graphs, permutations, seed)
    binary = bool(np.isin(present, (0, 1)).all())
    sums, draws = neighbour_sums(values, neighbours, tuple(scales))
    deviations = np.zeros(n)
    results = []
    for position, k in enumerate(scales):
        deviations += graphs[position] @ deviation
        degrees = draws[position, known].astype(np.float64)
        # Each row of weights is a neighbour's share: 1 / degree.
        share = np.divide(1.0, degrees, out=np.zeros(n), where=degrees > 0)
        total = float((degrees > 0).sum())
        if total == 0:
            results.append(GlobalStatistic(k, n, *nothing))
            continue
        moran = float(n / total * (deviation * share) @ deviations / (deviation @ deviation))
        columns = np.sum([graph.T @ share for graph in graphs[: position + 1]], axis=0)
        mean, variance = permutation_moments(
            present,
            total=total,
            s1=float(degrees @ share**2) + mutual.products(share, k),
            s2=float((((degrees > 0) + columns) ** 2).sum()),
        )
        observed, others = permuted[position][0], permuted[position][1:]
        p = (1 + int((others >= observed).sum())) / (len(others) + 1)
        joins: tuple[float | None, float | None, float | None] = (None, None, None)
        if binary:
            joins = join_counts(values, sums[position], draws[position])
        results.append(
            GlobalStatistic(
                k,
                n,
                moran,
                mean,
                (moran - mean) / float(np.sqrt(variance)),
                p,
                permutations,
                *joins,
            )
        )
    return results


def join_counts(
    marks: FloatVector, sums: FloatVector, draws: npt.NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return BB, WW and BW: joins of two errors, of none, and of one; each relation counts half.

    Parameters
    ----------
    marks : float64 array, shape (n,)
        0, 1 and NaN.
    sums, draws : arrays, shape (n,)
        As of `neighbour_sums`.
    """
    known = ~np.isnan(marks)
    own, errors, neighbours = marks[known], sums[known], draws[known]
    both = float((own * errors).sum() / 2)
    neither = float(((1 - own) * (neighbours - errors)).sum() / 2)
    return both, neither, float(neighbours.sum() / 2 - both - neither)


def permutation_moments(
    values: FloatVector, total: float, s1: float, s2: float
) -> tuple[float, float]:
    """Return mean and variance of Moran's I over all permutations of the values.

    The moments under randomisation of Cliff & Ord (1981, Spatial Processes, p. 46), for weights
    that need not be symmetric.

    Parameters
    ----------
    values : float64 array, shape (n,)
    total : float
        Sum of the weights.
    s1 : float
        Sum of ``(w_ij + w_ji) ** 2 / 2``.
    s2 : float
        Sum over questions of the square of the sum of their row and their column.
    """
    n = len(values)
    deviation = values - values.mean()
    kurtosis = n * float((deviation**4).sum()) / float((deviation**2).sum()) ** 2
    mean = -1 / (n - 1)
    first = n * ((n**2 - 3 * n + 3) * s1 - n * s2 + 3 * total**2)
    second = kurtosis * ((n**2 - n) * s1 - 2 * n * s2 + 6 * total**2)
    square = (first - second) / ((n - 1) * (n - 2) * (n - 3) * total**2)
    return mean, square - mean**2


def statistics_frame(statistics: Sequence[GlobalStatistic]) -> pd.DataFrame:
    """Return one row a statistic, with the fields of `GlobalStatistic` as columns."""
    import dataclasses

    import pandas as pd

    names = [field.name for field in dataclasses.fields(GlobalStatistic)]
    return pd.DataFrame([dataclasses.asdict(one) for one in statistics], columns=names)


class _MutualNeighbours:
    """Pairs of known questions that are among each other's neighbours, from which k on."""

    def __init__(self, known: npt.NDArray[np.bool_], neighbours: npt.NDArray[np.int32]) -> None:
        from scipy import sparse

        self._k_max = neighbours.shape[1]
        (graph,) = neighbour_graphs(known, neighbours, (self._k_max,))
        # Nearness counts down from k_max. Of both directions the smaller is kept, and it is 0
        # where one of them is missing.
        nearness = np.broadcast_to(
            np.arange(self._k_max, 0, -1, dtype=np.float32), neighbours[known].shape
        )
        graph.data = nearness[known[neighbours[known]]]
        backward = sparse.csr_array(graph.T)
        forward = sparse.csr_array(backward.T)
        both = forward.minimum(backward).tocoo()
        self._rows, self._columns, self._nearness = both.row, both.col, both.data

    def products(self, share: FloatVector, k: int) -> float:
        """Return the sum of ``share_i * share_j`` over ordered pairs that are mutual at k."""
        within = self._nearness > self._k_max - k
        return float(share[self._rows[within]] @ share[self._columns[within]])


def _permuted_forms(
    values: FloatVector, graphs: Sequence[Any], permutations: int, seed: int
) -> list[FloatVector]:
    """Return sum_i v_i sum_j v_j at each scale, of the values as they are and then permuted."""
    generator = np.random.default_rng(seed)
    forms = np.empty((len(graphs), permutations + 1))
    for start in range(0, permutations + 1, _BLOCK):
        count = min(_BLOCK, permutations + 1 - start)
        columns = [
            values if start + column == 0 else generator.permutation(values)
            for column in range(count)
        ]
        block = np.stack(columns, axis=1).astype(np.float32)
        total = np.zeros(count)
        for position, graph in enumerate(graphs):
            total += np.einsum("ij,ij->j", block, graph @ block, dtype=np.float64)
            forms[position, start : start + count] = total
    return list(forms)
