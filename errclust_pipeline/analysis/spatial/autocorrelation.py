"""Global statistics: do errors concentrate at all, and at which scale?

Mean and variance of Moran's I over all permutations of the marks have a closed form, so the z score
carries no Monte-Carlo noise; the p value is counted over random permutations of the same I. (The
number of neighbours that are both errors, the join count BB, would not do: it rises as well where
errors fall on hubs, which are neighbours of many.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import (
    BoolVector,
    FloatVector,
    in_threads,
    neighbour_graphs,
)

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 32
_ROUNDING = 1e-9
"""Marks whose spread is below this count as equal: probabilities differ by rounding of 1e-16."""


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


@dataclass(frozen=True)
class NeighbourWeights:
    """Row-standardised weights of the questions that have a mark, at several scales.

    They depend on which questions have a mark, not on the marks: make them once for several marks
    of the same questions (`neighbour_weights`).

    Attributes
    ----------
    known : bool array, shape (n,)
    scales : tuple of int
    graphs : tuple of sparse arrays, shape (known, known)
        Neighbour relations that each scale adds to the one before.
    degrees : int64 array, shape (scales, known)
        Neighbours with a mark; each weighs 1 / degree.
    total, s1, s2 : float64 arrays, shape (scales,)
        As in `permutation_moments`.
    """

    known: BoolVector
    scales: tuple[int, ...]
    graphs: tuple[Any, ...]
    degrees: npt.NDArray[np.int64]
    total: FloatVector
    s1: FloatVector
    s2: FloatVector


@dataclass(frozen=True)
class MutualNeighbours:
    """Pairs of questions that are among each other's neighbours, each pair once.

    Attributes
    ----------
    first, second : int32 arrays, shape (pairs,)
    k : int32 array, shape (pairs,)
        Neighbours from which on they are, ascending.
    """

    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    k: npt.NDArray[np.int32]

    def products(self, values: FloatVector, k: int) -> float:
        """Return the sum of ``values_i * values_j`` over the pairs that are mutual at k."""
        within = int(np.searchsorted(self.k, k, side="right"))
        return float(values[self.first[:within]] @ values[self.second[:within]])


def mutual_neighbours(neighbours: npt.NDArray[np.int32]) -> MutualNeighbours:
    """Find the pairs of questions that are among each other's neighbours.

    It belongs to a map, not to a model. Time and memory grow with ``n * k_max``.

    Parameters
    ----------
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    """
    from scipy import sparse

    n, k_max = neighbours.shape
    # Nearness counts down from k_max. Of both directions the smaller is kept, and it is 0 where one
    # of them is missing.
    nearness = np.tile(np.arange(k_max, 0, -1, dtype=np.int32), n)
    pointers = (np.arange(n + 1) * k_max).astype(np.int32)
    graph = sparse.csr_array((nearness, neighbours.ravel(), pointers), shape=(n, n))
    backward = sparse.csr_array(graph.T)
    both = sparse.triu(sparse.csr_array(backward.T).minimum(backward), format="coo")
    order = np.argsort(-both.data, kind="stable")
    k = (k_max + 1 - both.data[order]).astype(np.int32)
    return MutualNeighbours(both.row[order], both.col[order], k)


def neighbour_weights(
    known: BoolVector,
    neighbours: npt.NDArray[np.int32],
    scales: Sequence[int],
    mutual: MutualNeighbours | None = None,
) -> NeighbourWeights:
    """Make the weights that `global_statistics` uses; time and memory grow with ``n * k``.

    Parameters
    ----------
    known : bool array, shape (n,)
        Questions that have a mark.
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    scales : sequence of int
        Ascending, at most ``k_max``.
    mutual : MutualNeighbours, optional
        Mutual pairs of these neighbours; computed if not given.
    """
    graphs = neighbour_graphs(known, neighbours, scales)
    mutual = mutual_neighbours(neighbours[:, : scales[-1]]) if mutual is None else mutual
    n = int(known.sum())
    degrees = np.cumsum([np.diff(graph.indptr) for graph in graphs], axis=0, dtype=np.int64)
    total, s1, s2 = (np.zeros(len(scales)) for _ in range(3))
    on_map = np.zeros(len(known))
    for position, k in enumerate(scales):
        linked = degrees[position] > 0
        share = np.divide(1.0, degrees[position], out=np.zeros(n), where=linked)
        on_map[known] = share
        columns = np.sum([graph.T @ share for graph in graphs[: position + 1]], axis=0)
        total[position] = linked.sum()
        s1[position] = degrees[position] @ share**2 + 2 * mutual.products(on_map, k)
        s2[position] = ((linked + columns) ** 2).sum()
    return NeighbourWeights(known, tuple(scales), tuple(graphs), degrees, total, s1, s2)


def global_statistics(
    marks: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32],
    scales: Sequence[int],
    permutations: int = 99,
    random_state: int = 0,
    weights: NeighbourWeights | None = None,
    strata: npt.ArrayLike | None = None,
) -> list[GlobalStatistic]:
    """Compute Moran's I at several scales, with join counts where marks are 0 and 1.

    Marks are errors, the residuals of errors after adjustment for difficulty, or the difference of
    two models' errors. Time grows with ``n * k * permutations``.

    With strata, the test is whether marks concentrate beyond what the strata explain: the mean of
    its stratum is subtracted from each mark, and marks are permuted within strata only. The spread
    of marks may differ between strata.

    Parameters
    ----------
    marks : array of float, shape (n,)
        NaN for questions left out.
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    scales : sequence of int
        Numbers of neighbours, ascending, at most ``k_max``.
    permutations : int
        For the p values; the smallest possible is ``1 / (permutations + 1)``. With 0, p is NaN.
        The z scores need no permutations.
    random_state : int
        Random state of the permutations.
    weights : NeighbourWeights, optional
        Result of `neighbour_weights` for these neighbours. Weights of other scales or other
        questions are ignored.
    strata : int array, shape (n,), optional
        Stratum of each question. Join counts are computed only without strata.

    Returns
    -------
    list of GlobalStatistic
        One per scale. The statistic is NaN where nothing could concentrate: all marks are the same
        (but for rounding), fewer than 4 are known, or no known question neighbours another.

    Examples
    --------
    Eight questions in a ring; the first four are errors.

    >>> import numpy as np
    >>> ring = np.array([[(row - 1) % 8, (row + 1) % 8] for row in range(8)], dtype=np.int32)
    >>> (statistic,) = global_statistics([1, 1, 1, 1, 0, 0, 0, 0], ring, scales=[2])
    >>> statistic.moran, statistic.joins_both, statistic.joins_one
    (0.5, 3.0, 2.0)
    """
    values = np.asarray(marks, dtype=np.float64)
    known = ~np.isnan(values)
    n = int(known.sum())
    present = values[known]
    stratum = None
    if strata is not None and n:
        stratum = np.unique(np.asarray(strata)[known], return_inverse=True)[1]
        present = present - (np.bincount(stratum, present) / np.bincount(stratum))[stratum]
    if n < 4 or np.ptp(present) < _ROUNDING:
        return [_no_statistic(k, n) for k in scales]
    if (
        weights is None
        or weights.scales != tuple(scales)
        or not np.array_equal(weights.known, known)
    ):
        weights = neighbour_weights(known, neighbours, scales)
    permuted = _permuted_forms(present, weights, permutations, random_state, stratum)
    return _statistics(present, stratum, weights, permuted)


def _statistics(
    present: FloatVector,
    stratum: npt.NDArray[np.int64] | None,
    weights: NeighbourWeights,
    permuted: Sequence[FloatVector],
) -> list[GlobalStatistic]:
    """Return the statistic of the known marks at each scale, given I's numerators there.

    Parameters
    ----------
    present : float64 array, shape (known,)
        The marks, less the means of their strata.
    stratum : int array, shape (known,), optional
        Numbered from 0.
    weights : NeighbourWeights
    permuted : sequence of float64 arrays, shape (1 + permutations,)
        Result of `_permuted_forms`: the value for the marks as they are, then for the permuted
        marks.
    """
    n = len(present)
    deviation = present - present.mean()
    binary = stratum is None and bool(np.isin(present, (0, 1)).all())
    deviations, counts = np.zeros(n), np.zeros(n)
    results = []
    for position, k in enumerate(weights.scales):
        deviations += weights.graphs[position] @ deviation
        degrees, total = weights.degrees[position], float(weights.total[position])
        if total == 0:
            results.append(_no_statistic(k, n))
            continue
        share = np.divide(1.0, degrees, out=np.zeros(n), where=degrees > 0)
        moran = float(n / total * (deviation * share) @ deviations / (deviation @ deviation))
        if stratum is None:
            s1, s2 = float(weights.s1[position]), float(weights.s2[position])
            mean, variance = permutation_moments(present, total, s1, s2)
        else:
            links = _links(share, weights, position)
            mean, variance = stratified_moments(deviation, links, stratum)
        joins: tuple[float | None, float | None, float | None] = (None, None, None)
        if binary:
            counts += weights.graphs[position] @ present
            joins = join_counts(present, counts, degrees)
        z = (moran - mean) / float(np.sqrt(variance)) if variance > 0 else np.nan
        p = _permutation_p(permuted[position])
        results.append(
            GlobalStatistic(k, n, moran, mean, z, p, len(permuted[position]) - 1, *joins)
        )
    return results


def _no_statistic(k: int, n: int) -> GlobalStatistic:
    """Return the result for n known questions among which nothing could concentrate."""
    return GlobalStatistic(k, n, np.nan, -1 / (n - 1) if n > 1 else np.nan, np.nan, np.nan, 0)


def _permutation_p(forms: FloatVector) -> float:
    """Return the share of values that reach the first, the observed one; NaN if it is alone."""
    observed, others = forms[0], forms[1:]
    if not len(others):
        return np.nan
    # A hair below, so that rounding does not decide ties.
    reached = int((others >= observed - _ROUNDING * abs(observed)).sum())
    return (1 + reached) / (len(others) + 1)


def join_counts(
    marks: FloatVector, sums: FloatVector, draws: npt.NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return BB, WW and BW: joins of two errors, of none, and of one; each relation counts half.

    Parameters
    ----------
    marks : float64 array, shape (n,)
        0 and 1.
    sums, draws : arrays, shape (n,)
        Errors among a question's neighbours, and how many neighbours it has.
    """
    both = float((marks * sums).sum() / 2)
    neither = float(((1 - marks) * (draws - sums)).sum() / 2)
    return both, neither, float(draws.sum() / 2 - both - neither)


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


def stratified_moments(
    values: FloatVector, links: Any, stratum: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return mean and variance of Moran's I over all permutations of the values within strata.

    Values of different strata are independent and, less their stratum's mean, 0 on average, so the
    quadratic form falls into uncorrelated parts: one of each stratum with itself, whose moments are
    those of `permutation_moments`, and one of each two strata, in which both are permuted.

    Parameters
    ----------
    values : float64 array, shape (n,)
        With mean 0 in each stratum.
    links : sparse array, shape (n, n)
        ``w_ij + w_ji``, symmetric, with nothing on the diagonal.
    stratum : int array, shape (n,)
        Numbered from 0.
    """
    from scipy import sparse

    n, strata = len(values), int(stratum.max()) + 1
    sizes = np.bincount(stratum, minlength=strata).astype(np.float64)
    second, fourth = (np.bincount(stratum, values**power, strata) for power in (2, 4))
    member = sparse.csr_array((np.ones(n), (np.arange(n), stratum)), shape=(n, strata))
    # To each stratum, of each value; then of sums and squares by pairs of strata.
    sums = np.asarray((links @ member).todense())
    totals = np.asarray(member.T @ sums)
    squares = np.asarray((member.T @ (links * links) @ member).todense())
    squared_sums = np.asarray(member.T @ sums**2)

    own: npt.NDArray[Any] = np.diag(totals) / 2
    own_squares: npt.NDArray[Any] = np.diag(squares) / 2
    own_sums = np.diag(squared_sums)
    # Means of x_i^2 x_j^2, x_i^2 x_j x_k, x_i x_j x_k x_l and x_i x_j over different indices.
    twos = _over(second**2 - fourth, sizes * (sizes - 1))
    threes = _over(2 * fourth - second**2, sizes * (sizes - 1) * (sizes - 2))
    fours = _over(3 * second**2 - 6 * fourth, sizes * (sizes - 1) * (sizes - 2) * (sizes - 3))
    means = own * _over(-second, sizes * (sizes - 1))
    within = (
        own_squares * twos
        + (own_sums - 2 * own_squares) * threes
        + (own**2 + own_squares - own_sums) * fours
        - means**2
    )
    # Moments of x: E[x_i x_k] = scale * (1 if i is k else 0, less 1 / n).
    scale = _over(second, sizes - 1)
    across = np.outer(scale, scale) * (
        squares
        - squared_sums / sizes[None, :]
        - squared_sums.T / sizes[:, None]
        + totals**2 / np.outer(sizes, sizes)
    )
    variance = within.sum() + across[np.triu_indices(strata, 1)].sum()
    factor = n / (float(links.sum()) / 2 * float(second.sum()))
    return float(factor * means.sum()), float(factor**2 * variance)


def _over(numbers: npt.NDArray[Any], divisors: FloatVector) -> FloatVector:
    """Divide; where a stratum is too small for such a term to exist, it is 0."""
    quotients: FloatVector = np.divide(
        numbers, divisors, out=np.zeros(len(numbers)), where=divisors > 0
    )
    return quotients


def _links(share: FloatVector, weights: NeighbourWeights, position: int) -> Any:
    """Return ``w_ij + w_ji`` at a scale, given what each neighbour of a question weighs."""
    from scipy import sparse

    joined = sum(weights.graphs[1 : position + 1], start=weights.graphs[0])
    rows = sparse.csr_array(sparse.diags_array(share) @ joined)
    return sparse.csr_array(rows + rows.T)


def statistics_frame(statistics: Sequence[GlobalStatistic]) -> pd.DataFrame:
    """Return one row a statistic, with the fields of `GlobalStatistic` as columns."""
    import dataclasses

    import pandas as pd

    names = [field.name for field in dataclasses.fields(GlobalStatistic)]
    return pd.DataFrame([dataclasses.asdict(one) for one in statistics], columns=names)


def _permuted_forms(
    values: FloatVector,
    weights: NeighbourWeights,
    permutations: int,
    random_state: int,
    stratum: npt.NDArray[np.int64] | None = None,
) -> list[FloatVector]:
    """Return I's numerator at each scale, of the values as they are and then permuted.

    Where marks are whole numbers the sums over neighbours are counted exactly, so that permutations
    that tie with what is observed are seen to.
    """
    generator = np.random.default_rng(random_state)
    mean = float(values.mean())
    whole = bool((values == np.rint(values)).all())
    kept = values if whole else values - mean
    centre = mean if whole else 0.0
    columns = [kept] + [_permuted(kept, stratum, generator) for _ in range(permutations)]
    linked = weights.degrees > 0
    shares = np.divide(1.0, weights.degrees, out=np.zeros(linked.shape), where=linked)

    def forms(start: int) -> npt.NDArray[np.float64]:
        marks = np.stack(columns[start : start + _BLOCK], axis=1)
        block = marks.astype(np.float32)
        deviations = marks - centre
        sums = np.zeros(block.shape)
        found = []
        for graph, share, has_any in zip(weights.graphs, shares, linked, strict=True):
            sums += graph @ block
            lag = sums * share[:, None] - centre * has_any[:, None]
            found.append(np.einsum("ij,ij->j", deviations, lag))
        return np.array(found)

    return list(np.concatenate(in_threads(forms, range(0, len(columns), _BLOCK)), axis=1))


def _permuted(
    values: FloatVector, stratum: npt.NDArray[np.int64] | None, generator: np.random.Generator
) -> FloatVector:
    """Return the values in a random order, or in one that keeps each in its stratum."""
    if stratum is None:
        return generator.permutation(values)
    # Both list the strata one after another: once in their order, once shuffled within each.
    ordered = np.argsort(stratum, kind="stable")
    shuffled = np.lexsort((generator.random(len(values)), stratum))
    found = np.empty_like(values)
    found[ordered] = values[shuffled]
    return found
