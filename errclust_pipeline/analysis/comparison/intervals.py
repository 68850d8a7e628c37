"""Intervals of shares, and of differences between shares of the same questions."""

from __future__ import annotations

import numpy as np

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
        Of (share of the first) - (share of the second), between -1 and 1; NaN for no question.
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


def wilson_interval(count: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927, JASA 22).

    Parameters
    ----------
    count, n : int
        Questions with the mark, and all of them; at least one.
    """
    share, squared = count / n, TWO_SIDED_95**2
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = TWO_SIDED_95 * np.sqrt(share * (1 - share) / n + squared / (4 * n**2))
    half /= 1 + squared / n
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
