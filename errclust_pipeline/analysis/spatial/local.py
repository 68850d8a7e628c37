"""Local statistics of errors, tested exactly.

Marks are 0 and 1 and all neighbours weigh the same, so under the null hypothesis that errors lie
anywhere, the number of errors among a question's neighbours is hypergeometric: no permutations, no
seeds, no smallest possible p. Given a question's own mark, local Moran's I, Getis-Ord Gi and the
local join count are all increasing in that number; they have one p value and three names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import (
    FloatVector,
    IntVector,
    as_marks,
    benjamini_hochberg,
    neighbour_sums,
)

if TYPE_CHECKING:
    import pandas as pd

HIGH_HIGH, LOW_HIGH, LOW_LOW, HIGH_LOW = 1, 2, 3, 4
"""PySAL's codes: own mark, then the neighbours'; GeoDa numbers the second and third otherwise."""


@dataclass(frozen=True)
class LocalTest:
    """Local statistics at one scale; every array has shape (n,), NaN (or 0) where left out.

    Attributes
    ----------
    k : int
        Neighbours looked at.
    errors, draws : array
        Errors among the neighbours, and how many neighbours have a mark.
    p_hot, p_cold : array
        Exact probability of as many errors or more (as few or fewer) among the neighbours, were
        errors anywhere; the question's own mark is given.
    q_hot, q_cold : array
        Benjamini-Hochberg over the questions.
    local_moran : array
        Local Moran's I with row-standardised weights, scaled as in PySAL (Anselin 1995).
    gi_star : array
        z score of Getis-Ord Gi*, the question itself among its neighbours (Ord & Getis 1995,
        Geographical Analysis 27, equation 14).
    quadrant : int array
        1 HH, 2 LH, 3 LL, 4 HL (own mark, neighbours against the mean); 0 where left out.
    smoothed_rate : array
        Error rate of the neighbourhood, shrunk toward the mean; for display, not for tests.
    """

    k: int
    errors: FloatVector
    draws: IntVector
    p_hot: FloatVector
    p_cold: FloatVector
    q_hot: FloatVector
    q_cold: FloatVector
    local_moran: FloatVector
    gi_star: FloatVector
    quadrant: npt.NDArray[np.int8]
    smoothed_rate: FloatVector

    @property
    def p_two_sided(self) -> FloatVector:
        """Twice the smaller of the one-sided p values, at most 1."""
        doubled: FloatVector = np.minimum(1.0, 2 * np.minimum(self.p_hot, self.p_cold))
        return doubled

    def to_frame(self) -> pd.DataFrame:
        """Return one row a question, in their order."""
        import pandas as pd

        names = (
            "errors", "draws", "smoothed_rate", "p_hot", "q_hot", "p_cold", "q_cold",
            "local_moran", "gi_star", "quadrant",
        )  # fmt: skip
        return pd.DataFrame({"k": self.k} | {name: getattr(self, name) for name in names})


def local_hot_spots(marks: npt.ArrayLike, neighbours: npt.NDArray[np.int32], k: int) -> LocalTest:
    """Test every question for errors concentrating, or being absent, around it.

    Time and memory are linear in ``n * k``.

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out; neighbours left out are not counted, and the law of the
        count follows how many remain.
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    k : int
        At most ``k_max``.

    Raises
    ------
    ValueError
        If marks are none of these, or shapes do not fit.

    Examples
    --------
    Eight questions in a ring; the first four are errors. Both neighbours of question 1 are errors.

    >>> import numpy as np
    >>> ring = np.array([[(row - 1) % 8, (row + 1) % 8] for row in range(8)], dtype=np.int32)
    >>> test = local_hot_spots([1, 1, 1, 1, 0, 0, 0, 0], ring, k=2)
    >>> test.errors.tolist()
    [1.0, 2.0, 2.0, 1.0, 1.0, 0.0, 0.0, 1.0]
    >>> round(float(test.p_hot[1]), 3)
    0.143
    """
    own = as_marks(marks)
    sums, draws = neighbour_sums(own, neighbours, (k,))
    return _tested(own, k, sums[0], draws[0])


def local_hot_spots_at_scales(
    marks: npt.ArrayLike, neighbours: npt.NDArray[np.int32], scales: tuple[int, ...]
) -> list[LocalTest]:
    """Do `local_hot_spots` at several scales in one pass over the neighbours."""
    own = as_marks(marks)
    sums, draws = neighbour_sums(own, neighbours, scales)
    return [_tested(own, *scale) for scale in zip(scales, sums, draws, strict=True)]


def _tested(own: FloatVector, k: int, errors: FloatVector, draws: IntVector) -> LocalTest:
    known = ~np.isnan(own)
    n, total = int(known.sum()), float(np.nansum(own))
    errors = np.where(known, errors, np.nan)
    p_hot, p_cold = hypergeometric_tails(own, errors, draws)
    rate = total / n if n else np.nan
    deviation = own - rate
    with np.errstate(invalid="ignore", divide="ignore"):
        lag = np.where(draws > 0, errors / draws - rate, np.nan)
        variation = np.nansum(deviation**2)
        moran = (n - 1) * deviation * lag / variation if variation > 0 else lag * np.nan
        size = draws + 1
        spread = np.sqrt(rate * (1 - rate) * (n * size - size**2) / (n - 1)) if n > 1 else np.nan
        gi_star = (errors + own - rate * size) / spread
    high_neighbours = errors * n > total * draws
    quadrant = np.where(
        own == 1,
        np.where(high_neighbours, HIGH_HIGH, HIGH_LOW),
        np.where(high_neighbours, LOW_HIGH, LOW_LOW),
    )
    return LocalTest(
        k=k,
        errors=errors,
        draws=np.where(known, draws, 0),
        p_hot=p_hot,
        p_cold=p_cold,
        q_hot=benjamini_hochberg(p_hot),
        q_cold=benjamini_hochberg(p_cold),
        local_moran=moran,
        gi_star=np.where(np.isfinite(gi_star), gi_star, np.nan),
        quadrant=np.where(known, quadrant, 0).astype(np.int8),
        smoothed_rate=smoothed_rates(errors, draws),
    )


def hypergeometric_tails(
    own: FloatVector, errors: FloatVector, draws: IntVector
) -> tuple[FloatVector, FloatVector]:
    """Return the exact upper and lower tail of each question's count of errors around it.

    Given its own mark y, the count is hypergeometric: ``draws`` neighbours out of the other
    ``N - 1`` questions, of which ``m - y`` are errors (Anselin & Li 2019, Journal of Geographical
    Systems 21, for the local join count). Tails are looked up in a table for each pair of own mark
    and ``draws``.

    Parameters
    ----------
    own : float64 array, shape (n,)
        Marks; NaN for questions left out.
    errors : float64 array, shape (n,)
        Errors among the neighbours.
    draws : int array, shape (n,)
        Neighbours that have a mark.

    Returns
    -------
    p_hot, p_cold : float64 arrays, shape (n,)
        NaN where ``own`` is. With no neighbour both are 1.
    """
    known = ~np.isnan(own)
    n, total = int(known.sum()), int(np.nansum(own))
    p_hot, p_cold = np.full(len(own), np.nan), np.full(len(own), np.nan)
    for mark in (0, 1):
        of_mark = np.flatnonzero(known & (own == mark))
        for drawn in np.unique(draws[of_mark]):
            rows = of_mark[draws[of_mark] == drawn] if len(of_mark) else of_mark
            pmf = hypergeometric_distribution(n - 1, total - mark, int(drawn))
            found = errors[rows].astype(np.int64)
            # Summed from the far end, so that small tails keep their digits.
            p_hot[rows] = np.minimum(pmf[::-1].cumsum()[::-1], 1.0)[found]
            p_cold[rows] = np.minimum(pmf.cumsum(), 1.0)[found]
    return p_hot, p_cold


def hypergeometric_distribution(n: int, total: int, drawn: int) -> FloatVector:
    """Return the distribution of errors among questions drawn without replacement.

    Each probability is the one before it times the ratio
    ``(K - c) (k - c) / ((c + 1) (N - K - k + c + 1))``. That takes a fraction of the time of
    evaluating each by itself.

    Parameters
    ----------
    n, total, drawn : int
        Questions to draw from, errors among them, and questions drawn (N, K and k).

    Returns
    -------
    float64 array, shape (drawn + 1,)
    """
    least, most = max(0, drawn - (n - total)), min(drawn, total)
    count = np.arange(least, most, dtype=np.float64)
    ratio = (total - count) * (drawn - count) / ((count + 1) * (n - total - drawn + count + 1))
    logarithm = np.concatenate([[0.0], np.cumsum(np.log(ratio))])
    weight = np.exp(logarithm - logarithm.max())
    distribution = np.zeros(drawn + 1)
    distribution[least : most + 1] = weight / weight.sum()
    return distribution


def smoothed_rates(errors: FloatVector, draws: IntVector) -> FloatVector:
    """Shrink error rates toward their mean by empirical Bayes with a beta-binomial model.

    ``(a + errors) / (a + b + draws)`` with a and b by moments (Kleinman 1973, JASA 68). Rates that
    vary no more than counts of that size must are all set to the mean.

    Parameters
    ----------
    errors : float64 array, shape (n,)
        NaN for questions left out.
    draws : int array, shape (n,)

    Returns
    -------
    float64 array, shape (n,)
        0 to 1; NaN where ``errors`` is.
    """
    known = ~np.isnan(errors) & (draws > 0)
    smoothed: FloatVector = np.full(len(errors), np.nan)
    if not known.any():
        return smoothed
    counts, sizes = errors[known], draws[known].astype(np.float64)
    mean = counts.sum() / sizes.sum()
    within = mean * (1 - mean)
    typical = float(sizes.mean())
    excess = float((counts / sizes).var()) - within / typical
    correlation = excess / (within * (1 - 1 / typical)) if within > 0 and typical > 1 else 0.0
    if correlation <= 0:
        smoothed[known] = mean
    else:
        prior = 1 / min(correlation, 1.0) - 1
        smoothed[known] = (prior * mean + counts) / (prior + sizes)
    return smoothed
