"""Local statistics of continuous marks, such as the size of a conformal set.

Errors, which are 0 or 1, have an exact law (`local`); the sum of other marks around a question has
none in closed form, but its moments have, whatever the marks: given the question's own, its
neighbours' marks are drawn without replacement from all others' (conditional permutation, Anselin
1995, Geographical Analysis 27; moments by Sokal, Oden & Thomson 1998, Geographical Analysis 30).
Three of them and a Pearson III law give p values without permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import (
    FloatVector,
    IntVector,
    benjamini_hochberg,
    neighbour_sums,
)
from errclust_pipeline.analysis.spatial.hot_regions import (
    MOST_REGIONS,
    SMALLEST_REGION,
    WalkTest,
    graph_communities,
    typical_walk,
    walk_test_of_values,
)
from errclust_pipeline.analysis.spatial.local import HIGH_HIGH, HIGH_LOW, LOW_HIGH, LOW_LOW
from errclust_pipeline.analysis.spatial.smoothing import GraphKernel, upper_tail

if TYPE_CHECKING:
    import pandas as pd

_ROUNDING = 1e-9


@dataclass(frozen=True)
class LocalAverages:
    """Averages of marks around each question; arrays of shape (n,), NaN (or 0) where left out.

    Attributes
    ----------
    k : int
        Neighbours looked at.
    average : array
        Mean mark of the neighbours.
    draws : int array
        How many of them have a mark.
    z : array
        Standard score of their sum under conditional permutation; Getis-Ord Gi (Ord & Getis 1995).
    p_high, p_low : array
        Probability of a sum that is as large (as small), if the marks lay anywhere.
    q_high, q_low : array
        Benjamini-Hochberg over the questions.
    local_moran : array
        Local Moran's I with row-standardised weights, scaled as in PySAL (Anselin 1995).
    quadrant : int array
        1 HH, 2 LH, 3 LL, 4 HL (own mark, neighbours, against the mean); 0 where left out.
    """

    k: int
    average: FloatVector
    draws: IntVector
    z: FloatVector
    p_high: FloatVector
    p_low: FloatVector
    q_high: FloatVector
    q_low: FloatVector
    local_moran: FloatVector
    quadrant: npt.NDArray[np.int8]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a question, in their order."""
        import pandas as pd

        names = (
            "average", "draws", "z", "p_high", "q_high", "p_low", "q_low", "local_moran",
            "quadrant",
        )  # fmt: skip
        return pd.DataFrame({"k": self.k} | {name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class HighRegion:
    """One place where marks are high.

    Attributes
    ----------
    members : int64 array
        Positions on the map, ascending.
    size : int
    mean : float
        Mean of the marks inside.
    low, high : float
        95 % normal interval of it. The region was chosen for its marks, so the interval describes
        it and promises nothing of new questions.
    outside_mean : float
        Mean of the marks of all other questions.
    walk : int
        Length of the shortest walk at which half of it is significant.
    scale : int
        About how many questions such a walk averages over there.
    q : float
        The median of its members' smallest q values over the scales.
    """

    members: IntVector
    size: int
    mean: float
    low: float
    high: float
    outside_mean: float
    walk: int
    scale: int
    q: float


def local_averages(
    values: npt.ArrayLike, neighbours: npt.NDArray[np.int32], k: int
) -> LocalAverages:
    """Test every question for marks being high, or low, around it.

    Time and memory are linear in ``n * k``.

    Parameters
    ----------
    values : array of float, shape (n,)
        NaN for questions left out.
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    k : int
        At most ``k_max``.
    """
    own = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(own)
    n = int(known.sum())
    sums, draws = (found[0] for found in neighbour_sums(own, neighbours, (k,)))
    draws = np.where(known, draws, 0)
    mean = float(own[known].mean()) if n else np.nan
    deviation = own - mean
    second, third = (float(np.nansum(deviation**power)) for power in (2, 3))
    z, skewness = (np.full(len(own), np.nan) for _ in range(2))
    usable = known & (draws > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        if n > 3 and second / n > _ROUNDING**2:
            others = n - 1
            # Central moments of all marks but one's own, from those of all.
            shift = -deviation / others
            variance = (second - deviation**2) / others - shift**2
            skew = (third - deviation**3) / others - 3 * shift * variance - shift**3
            fraction = (others - draws) / (others - 1)
            spread = draws * variance * fraction
            asymmetry = draws * skew * fraction * (others - 2 * draws) / (others - 2)
            usable &= spread > _ROUNDING**2
            z[usable] = ((sums - draws * (mean + shift)) / np.sqrt(spread))[usable]
            skewness[usable] = (asymmetry / spread**1.5)[usable]
        else:
            usable = np.zeros(len(own), dtype=np.bool_)
        average = np.where(known & (draws > 0), sums / draws, np.nan)
        lag = average - mean
        moran = (n - 1) * deviation * lag / second if second > 0 else lag * np.nan
    p_high, p_low = (np.full(len(own), np.nan) for _ in range(2))
    p_high[usable] = upper_tail(z[usable], skewness[usable])
    p_low[usable] = upper_tail(-z[usable], -skewness[usable])
    quadrant = np.where(
        deviation > 0,
        np.where(lag > 0, HIGH_HIGH, HIGH_LOW),
        np.where(lag > 0, LOW_HIGH, LOW_LOW),
    )
    return LocalAverages(
        k=k,
        average=average,
        draws=draws,
        z=z,
        p_high=p_high,
        p_low=p_low,
        q_high=benjamini_hochberg(p_high),
        q_low=benjamini_hochberg(p_low),
        local_moran=moran,
        quadrant=np.where(known, quadrant, 0).astype(np.int8),
    )


def high_regions(
    values: npt.ArrayLike,
    kernel: GraphKernel,
    alpha: float = 0.05,
    smallest: int = SMALLEST_REGION,
    most: int = MOST_REGIONS,
    seed: int = 0,
    test: WalkTest | None = None,
) -> list[HighRegion]:
    """Find the places where marks are high, as `hot_regions` does for errors.

    Here a region is only what is significant: no neighbours are added by likelihood.

    Parameters
    ----------
    values : array of float, shape (n,)
        NaN for questions left out.
    kernel : GraphKernel
        The map's kernel, from `graph_kernel`.
    alpha : float
        False discovery rate of questions' surroundings, over all scales.
    smallest, most : int
        Questions that make a region, and regions at most.
    seed : int
        Random state of the community detection.
    test : WalkTest, optional
        Result of `walk_test_of_values` for the same marks; computed if not given.

    Returns
    -------
    list of HighRegion
        Disjoint, smallest q first.

    Raises
    ------
    ValueError
        If ``alpha`` is not between 0 and 1.
    """
    from scipy.stats import norm

    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    own = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(own)
    n = int(known.sum())
    if n < 2 * smallest or np.ptp(own[known]) < _ROUNDING:
        return []
    test = walk_test_of_values(own, kernel) if test is None else test
    significant = np.asarray((np.nan_to_num(test.q, nan=1.0) < alpha).any(axis=0)) & known
    found: list[tuple[float, HighRegion]] = []
    mean, spread = float(own[known].mean()), float(own[known].std())
    for members in graph_communities(significant, kernel.graph, seed):
        size = len(members)
        if size < smallest:
            continue
        inside, others = own[members], n - size
        error = spread * float(np.sqrt(max(others, 1) / (size * (n - 1))))
        half = 1.96 * float(inside.std(ddof=1)) / float(np.sqrt(size))
        step, scale, q = typical_walk(test, kernel, members, alpha)
        region = HighRegion(
            members=members.astype(np.int64),
            size=size,
            mean=float(inside.mean()),
            low=float(inside.mean()) - half,
            high=float(inside.mean()) + half,
            outside_mean=(mean * n - float(inside.sum())) / others if others else float("nan"),
            walk=step,
            scale=scale,
            q=q,
        )
        found.append((float(norm.sf((region.mean - mean) / error)), region))
    # A walk reaches beyond a place: what is high only beside it goes (as in `hot_regions`).
    own_q = benjamini_hochberg(np.array([p for p, _ in found], dtype=np.float64))
    kept: list[Any] = [
        region for (_, region), value in zip(found, own_q.tolist(), strict=True) if value < alpha
    ]
    kept.sort(key=lambda region: (region.q, -region.size, int(region.members[0])))
    return kept[:most]
