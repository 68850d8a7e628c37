"""Intervals of shares, and of differences between shares of the same questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TWO_SIDED_95 = 1.959963984540054
"""Standard errors to either side that hold 95 % of a normal distribution."""


def newcombe_paired_interval(
    both: int, only_first: int, only_second: int, neither: int
) -> tuple[float, float]:
    """Return the 95 % interval of a difference of paired shares.

    Method 10 of Newcombe (1998, Statistics in Medicine 17, 2635-2650): Wilson intervals of both
    shares, combined with the correlation between them.

    Parameters
    ----------
    both, only_first, only_second, neither : int
        Questions with the mark in both, in one or in none.

    Returns
    -------
    low, high : float
        Ends of the interval of the first share less the second, -1 to 1; NaN without questions.

    Examples
    --------
    The example of Newcombe's table II:

    >>> low, high = newcombe_paired_interval(both=36, only_first=12, only_second=2, neither=0)
    >>> round(low, 4), round(high, 4)
    (0.0569, 0.3404)
    """
    n = both + only_first + only_second + neither
    if n == 0:
        return float("nan"), float("nan")
    first, second = (both + only_first) / n, (both + only_second) / n
    low1, high1 = wilson_interval(both + only_first, n)
    low2, high2 = wilson_interval(both + only_second, n)
    ends = (both + only_first) * (only_second + neither) * (both + only_second)
    ends *= only_first + neither
    product = both * neither - only_first * only_second
    numerator = max(product - n / 2, 0.0) if product > 0 else float(product)
    correlation = numerator / np.sqrt(ends) if ends > 0 else 0.0
    below = (first - low1) ** 2 + (high2 - second) ** 2
    below -= 2 * correlation * (first - low1) * (high2 - second)
    above = (high1 - first) ** 2 + (second - low2) ** 2
    above -= 2 * correlation * (high1 - first) * (second - low2)
    difference = first - second
    return (
        float(difference - np.sqrt(max(below, 0.0))),
        float(difference + np.sqrt(max(above, 0.0))),
    )


def wilson_interval(count: float, n: float, quantile: float = TWO_SIDED_95) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927, JASA 22), at 95 % by default.

    Parameters
    ----------
    count, n : float
        Questions with the mark, and all of them; above 0, and not whole where they stand for fewer
        independent ones.
    quantile : float
        Standard errors to either side.

    Examples
    --------
    >>> low, high = wilson_interval(8, 10)
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    share, squared = count / n, quantile**2
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = quantile * np.sqrt(share * (1 - share) / n + squared / (4 * n**2))
    half /= 1 + squared / n
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)


@dataclass(frozen=True)
class ClusteredMean:
    """A mean over questions that come in clusters.

    Attributes
    ----------
    n : int
        Questions.
    mean : float
    standard_error : float
        Cluster-robust.
    design_effect : float
        How many times its square is that of n independent questions; NaN if these do not vary.
    quantile : float
        Standard errors to either side that hold 95 %: of Student's t with clusters - 1 degrees of
        freedom, since the standard error is known from no more than that.
    """

    n: int
    mean: float
    standard_error: float
    design_effect: float
    quantile: float


def clustered_mean(values: npt.ArrayLike, clusters: Sequence[str | None]) -> ClusteredMean:
    """Estimate a mean with a cluster-robust standard error.

    Questions about one thing are answered alike, so n questions say less than n. Residuals are
    summed within a cluster before they are squared (Miller 2024, arXiv 2411.00640, section 2.2;
    Liang & Zeger 1986, Biometrika 73), with the usual factor G / (G - 1) for G clusters.

    Parameters
    ----------
    values : array, shape (n,)
        NaN left out.
    clusters : sequence of str or None, length n
        The region each question is in; a question in none is a cluster by itself, and so is every
        question if all are in one.
    """
    from scipy.stats import t

    marks = np.asarray(values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(marks))
    n = len(known)
    if n == 0:
        return ClusteredMean(0, *(float("nan"),) * 4)
    mean = float(marks[known].mean())
    names = [clusters[row] for row in known.tolist()]
    alone = len(set(names)) == 1
    number_of: dict[str, int] = {}
    groups = np.array(
        [
            number_of.setdefault(
                f"alone {row}" if alone or name is None else f"in {name}", len(number_of)
            )
            for row, name in enumerate(names)
        ]
    )
    count = len(number_of)
    sums = np.bincount(groups, weights=marks[known] - mean)
    squares = float((sums**2).sum()) * count / max(count - 1, 1)
    independent = float(marks[known].var()) / n
    error = float(np.sqrt(squares)) / n
    return ClusteredMean(
        n,
        mean,
        error,
        error**2 / independent if independent > 0 else float("nan"),
        float(t.ppf(0.975, count - 1)) if count > 1 else float("nan"),
    )
