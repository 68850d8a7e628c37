"""Kulldorff's scan statistic: a second opinion for compact hot spots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import as_marks
from errclust_pipeline.analysis.spatial.hot_regions import bernoulli_log_likelihood_ratio

_SMALLEST_ZONE = 10
_ZONE_SIZES = 16


@dataclass(frozen=True)
class ScanCluster:
    """One zone that stands out: a question and its nearest others.

    Attributes
    ----------
    centre : int
        Position of the question.
    members : int64 array
        Positions of the zone's questions that have a mark, ascending.
    size, errors : int
    log_likelihood_ratio : float
    p_monte_carlo : float
        Share of permutations whose largest ratio is as large.
    p_gumbel : float
        The same by a Gumbel law fitted to them, which reaches below 1 / (permutations + 1).
    """

    centre: int
    members: npt.NDArray[np.int64]
    size: int
    errors: int
    log_likelihood_ratio: float
    p_monte_carlo: float
    p_gumbel: float


def scan(
    marks: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32],
    permutations: int = 99,
    seed: int = 0,
    alpha: float = 0.05,
    most: int = 20,
) -> list[ScanCluster]:
    """Search all zones of nearest neighbours for the ones with the most surprising errors.

    Zones are every question with its first k others, for k on a geometric grid from 10 to a tenth
    of the map. The ratio is that of the Bernoulli model (Kulldorff 1997); its largest value over
    all zones is compared with those of permuted marks, so the p value is free of multiple testing.
    A Gumbel law fitted to them by moments gives small p values from few permutations (Abrams et al.
    2010, International Journal of Health Geographics 9:61). Secondary zones are those that overlap
    none before; their p values are compared with the largest ratio too, which is conservative.

    Time grows with ``n * k_max * permutations``: 3 s for 12,000 questions and 99 permutations.

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out.
    neighbours : int32 array, shape (n, k_max)
    permutations : int
    seed : int
    alpha : float
        Zones with a Gumbel p value of at least this are not returned.
    most : int
        Zones at most.

    Returns
    -------
    list of ScanCluster
        Most likely first, disjoint; empty if nothing stands out.
    """
    from scipy.stats import gumbel_r

    own = as_marks(marks)
    known = np.flatnonzero(~np.isnan(own))
    present = own[known]
    n = len(present)
    sizes = zone_sizes(n, neighbours.shape[1])
    if not sizes or np.ptp(present) == 0:
        return []
    zones = _Zones(own, neighbours, sizes)
    observed = zones.ratios(present)
    generator = np.random.default_rng(seed)
    largest = np.array(
        [zones.ratios(generator.permutation(present)).max() for _ in range(permutations)]
    )
    spread = float(largest.std(ddof=1)) * np.sqrt(6) / np.pi
    location = float(largest.mean()) - float(np.euler_gamma) * spread
    clusters: list[ScanCluster] = []
    taken = np.zeros(len(own), dtype=np.bool_)
    for flat in np.argsort(-observed, axis=None, kind="stable"):
        scale, centre = np.unravel_index(int(flat), observed.shape)
        ratio = float(observed[scale, centre])
        p_gumbel = float(gumbel_r.sf(ratio, location, spread))
        if len(clusters) == most or p_gumbel >= alpha:
            break
        members = zones.members(int(centre), int(scale))
        if taken[members].any():
            continue
        taken[members] = True
        clusters.append(
            ScanCluster(
                centre=int(centre),
                members=np.sort(members),
                size=len(members),
                errors=int(own[members].sum()),
                log_likelihood_ratio=ratio,
                p_monte_carlo=(1 + int((largest >= ratio).sum())) / (permutations + 1),
                p_gumbel=p_gumbel,
            )
        )
    return clusters


def zone_sizes(n: int, k_max: int) -> tuple[int, ...]:
    """Return the numbers of neighbours of a zone: a geometric grid from 10 to n / 10."""
    largest = min(n // 10, k_max)
    if largest < _SMALLEST_ZONE:
        return ()
    grid = np.geomspace(_SMALLEST_ZONE, largest, _ZONE_SIZES)
    return tuple(sorted({round(float(size)) for size in grid}))


class _Zones:
    """All zones around questions that have a mark, ready to be counted for many sets of marks."""

    def __init__(
        self,
        own: npt.NDArray[np.float64],
        neighbours: npt.NDArray[np.int32],
        sizes: tuple[int, ...],
    ) -> None:
        self._known = ~np.isnan(own)
        self._neighbours = neighbours
        self._sizes = sizes
        self._marks = np.zeros(len(own), dtype=np.int8)
        self._ratios: npt.NDArray[np.float64] | None = None
        self._draws = self._sums(self._known.astype(np.int8))

    def ratios(self, present: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the ratio of every zone, shape (sizes, n); 0 around questions left out."""
        self._marks[self._known] = present
        # Zones are small, so all ratios there can be fit a table, made once for a total of errors.
        if self._ratios is None:
            counts = np.arange(int(self._draws.max()) + 1)
            errors, sizes = np.minimum(counts[None, :], counts[:, None]), counts[:, None]
            self._ratios = bernoulli_log_likelihood_ratio(
                errors, sizes + 0 * errors, float(present.sum()), float(len(present))
            )
        ratio = self._ratios[self._draws, self._sums(self._marks)]
        return np.where(self._known, ratio, 0.0)

    def members(self, centre: int, scale: int) -> npt.NDArray[np.int64]:
        zone = np.concatenate([[centre], self._neighbours[centre, : self._sizes[scale]]])
        members: npt.NDArray[np.int64] = zone[self._known[zone]].astype(np.int64)
        return members

    def _sums(self, marks: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
        sums = np.empty((len(self._sizes), len(marks)), dtype=np.int64)
        total = marks.astype(np.int64)
        first = 0
        for row, last in enumerate(self._sizes):
            total = total + marks[self._neighbours[:, first:last]].sum(axis=1, dtype=np.int64)
            sums[row] = total
            first = last
        return sums
