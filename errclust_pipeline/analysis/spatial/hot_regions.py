"""Hot regions: connected places where errors concentrate, over several scales, in one short list.

1. Errors are averaged over walks of one to four steps on the neighbour graph, and every average is
   tested against errors lying anywhere (or, with expected errors, against what difficulty
   explains). Benjamini-Hochberg runs over all questions *and* all lengths at once, so the share of
   false discoveries is controlled across scales.
2. Significant questions of any scale together are taken apart into communities of the graph, where
   it has some. So what several scales found of one place is one find.
3. A large scale bleeds over the edges of a strong weakness, and a weak one is not significant up to
   its edges. So the neighbours of a find are added to it, and of the ways to cut it off where the
   error rate around falls, at any scale, the most likely one is kept (Kulldorff's likelihood
   ratio), less what is not connected with the rest. A question's own mark has no say in what comes
   before what, but it has in where the cut is made.

What is controlled is the share of questions whose surroundings are falsely called hot, over all
scales. A region's core is made of such questions; the rest of it was added by likelihood, and no
rate says how much of that belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.clustering.communities import assortativity
from errclust_pipeline.analysis.clustering.settings import ClusteringSettings
from errclust_pipeline.analysis.spatial.counts import (
    FloatVector,
    as_marks,
    benjamini_hochberg,
)
from errclust_pipeline.analysis.spatial.smoothing import GraphKernel, upper_tail

if TYPE_CHECKING:
    import pandas as pd

SMALLEST_REGION = 10
"""Minimum number of questions in a region. The error rate of fewer questions is known to no better
than 30 points either way."""
MOST_REGIONS = 20
"""Maximum number of regions: as many as a person reads."""
_DEFAULTS = ClusteringSettings()


@dataclass(frozen=True)
class HotRegion:
    """One place where errors concentrate.

    Attributes
    ----------
    members : int64 array
        Positions on the map, ascending; questions left out are not among them.
    size, errors : int
    rate : float
        Error rate inside.
    low, high : float
        95 % Clopper-Pearson interval of the rate. The region was chosen for its errors, so the
        interval describes it and promises nothing of new questions; see `trust.split_half`.
    core : int
        Members whose surroundings are significantly hot by themselves; the rest is added by
        likelihood.
    outside_rate : float
        Error rate of all other questions.
    expected : float
        Errors to expect: at the overall rate, or by difficulty where that was given.
    log_likelihood_ratio : float
        Log likelihood ratio of errors being more frequent inside than outside (or than expected).
    walk : int
        Length of the shortest walk at which half of the core is significant: how much has to be
        averaged for the place to stand out.
    scale : int
        About how many questions such a walk averages over there.
    q : float
        At its core: the median of its members' smallest q values over the scales.
    """

    members: npt.NDArray[np.int64]
    size: int
    errors: int
    rate: float
    low: float
    high: float
    core: int
    outside_rate: float
    expected: float
    log_likelihood_ratio: float
    walk: int
    scale: int
    q: float


@dataclass(frozen=True)
class WalkTest:
    """Smoothed errors of every question at every length of walk; arrays of shape (steps, n).

    ``around`` is the average excess of errors, the question's own left out; ``standard_error`` is
    that of the average under the null hypothesis; ``p`` and ``q`` are one-sided for an excess of
    errors, q by Benjamini-Hochberg over all lengths.
    """

    around: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    q: npt.NDArray[np.float64]


def walk_test(
    marks: npt.ArrayLike, kernel: GraphKernel, expected: npt.ArrayLike | None = None
) -> WalkTest:
    """Test smoothed errors at every question and scale.

    Without expected errors the null hypothesis is that the errors lie anywhere: mean and variance
    are those over all permutations. With them it is that each question errs with its expected
    probability, independently; its variance around a question is taken as the walk's average of
    theirs. A question that is left out adds nothing to anyone's sum nor to its variance; the sum of
    the squared weights that are left is estimated from the share of the weight that is.

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out.
    kernel : GraphKernel
        The map's kernel.
    expected : array, shape (n,), optional
        Probabilities of an error.
    """
    own = as_marks(marks)
    if expected is None:
        return walk_test_of_values(own, kernel)
    probability = np.asarray(expected, dtype=np.float64)
    known = ~np.isnan(own) & ~np.isnan(probability)
    excess = np.where(known, own - probability, 0.0)
    trial = np.where(known, probability * (1 - probability), 0.0)
    # Averages of what is 0 where a mark is missing: the share is in them already.
    variance = kernel.averages(trial)
    third = kernel.averages(trial * np.where(known, 1 - 2 * probability, 0.0))
    return _tested(excess, known, variance, third, kernel.squares, kernel)


def walk_test_of_values(values: npt.ArrayLike, kernel: GraphKernel) -> WalkTest:
    """Test smoothed marks of any kind against all their permutations; see `walk_test`.

    Parameters
    ----------
    values : array of float, shape (n,)
        NaN left out.
    kernel : GraphKernel
        The map's kernel.
    """
    own = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(own)
    n = int(known.sum())
    excess = np.where(known, own - (float(own[known].mean()) if n else 0.0), 0.0)
    # Around each question, the share of the walk that meets a mark.
    share = kernel.averages(known.astype(np.float64))
    moments = [float((excess**power).sum()) / max(n, 1) for power in (2, 3)]
    variance = np.full((len(kernel.steps), len(own)), moments[0])
    # Drawing without replacement: what is one question's mark cannot be another's.
    spread = np.maximum(kernel.squares * share - share**2 / max(n, 2), 0) * n / max(n - 1, 1)
    return _tested(excess, known, variance, moments[1] * share, spread, kernel)


def _tested(
    excess: FloatVector,
    known: npt.NDArray[np.bool_],
    variance: npt.NDArray[np.float64],
    third: npt.NDArray[np.float64],
    spread: npt.NDArray[np.float64],
    kernel: GraphKernel,
) -> WalkTest:
    """Test averages by their second and third moments; arrays of shape (steps, n)."""
    scale = np.sqrt(variance * spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(scale > 0, kernel.averages(excess) / scale, 0.0)
        skewness = np.where(scale > 0, third * kernel.cubes / scale**3, 0.0)
    p = upper_tail(z, skewness)
    p[:, ~known] = np.nan
    q = benjamini_hochberg(p.ravel()).reshape(p.shape)
    answered = kernel.averages_of_others(known.astype(np.float64))
    around = kernel.averages_of_others(excess) / np.maximum(answered, 1e-12)
    return WalkTest(around, scale, p, q)


@dataclass(frozen=True)
class RegionLimits:
    """How `hot_regions` delimits regions.

    Attributes
    ----------
    smallest : int
        Minimum number of questions in a region.
    most : int
        Maximum number of regions; those with the smallest q are kept.
    random_state : int
        Random state of the community detection.
    """

    smallest: int = SMALLEST_REGION
    most: int = MOST_REGIONS
    random_state: int = 0


_DEFAULT_LIMITS = RegionLimits()


def hot_regions(
    marks: npt.ArrayLike,
    kernel: GraphKernel,
    expected: npt.ArrayLike | None = None,
    fdr: float = 0.05,
    limits: RegionLimits = _DEFAULT_LIMITS,
    test: WalkTest | None = None,
) -> list[HotRegion]:
    """Find the places where a model's errors concentrate.

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out.
    kernel : GraphKernel
        The map's kernel, from `graph_kernel`.
    expected : array, shape (n,), optional
        Probabilities of an error by `difficulty.expected_errors`. Regions are then those where the
        model errs more than difficulty explains.
    fdr : float
        False discovery rate of questions' surroundings, over all scales.
    limits : RegionLimits
        The smallest region, the number of regions and the random state.
    test : WalkTest, optional
        Result of `walk_test` for the same marks; computed if not given.

    Returns
    -------
    list of HotRegion
        Disjoint, smallest q first.

    Raises
    ------
    ValueError
        If marks are not 0, 1 and NaN, or ``fdr`` is not between 0 and 1.
    """
    if not 0 < fdr < 1:
        raise ValueError(f"fdr must be between 0 and 1, got {fdr}")
    own = as_marks(marks)
    known = ~np.isnan(own)
    probability = None
    if expected is not None:
        probability = np.asarray(expected, dtype=np.float64)
        known &= ~np.isnan(probability)
        own = np.where(known, own, np.nan)
    if len(own) < 2 or known.sum() < 2 * limits.smallest:
        return []
    test = walk_test(own, kernel, probability) if test is None else test
    search = _Search(own, known, probability, test, kernel, fdr)
    return _standing_out(search.regions(limits), fdr)[: limits.most]


@dataclass(frozen=True)
class _Search:
    """A search for regions: the marks, what is expected of them, and the test of their averages.

    ``own`` and ``expected`` have shape (n,); ``known`` tells the questions that have both.
    """

    own: FloatVector
    known: npt.NDArray[np.bool_]
    expected: FloatVector | None
    test: WalkTest
    kernel: GraphKernel
    fdr: float

    def regions(self, limits: RegionLimits) -> list[HotRegion]:
        """Return a region around each community of significant questions, in no set order."""
        significant = np.asarray((np.nan_to_num(self.test.q, nan=1.0) < self.fdr).any(axis=0))
        free = self.known & ~significant
        graph = self.kernel.graph
        regions = []
        for members in graph_communities(significant, graph, limits.random_state):
            if len(members) < limits.smallest:
                continue
            beside = np.zeros(len(self.own), dtype=np.bool_)
            beside[graph[members].indices] = True
            edge = np.flatnonzero(beside & free)
            cut = _most_likely_part(
                np.concatenate([members, edge]),
                self.own,
                self.expected,
                self.test.around,
                limits.smallest,
            )
            cut = _largest_component(cut, graph)
            free[cut] = False
            if len(cut) >= limits.smallest and significant[cut].any():
                regions.append(self._region(cut, cut[significant[cut]]))
        return regions

    def _region(self, members: npt.NDArray[np.int64], core: npt.NDArray[np.int64]) -> HotRegion:
        """Describe the region of these members, ``core`` those that are significant themselves."""
        size, errors = len(members), int(self.own[members].sum())
        all_errors, all_known = float(np.nansum(self.own[self.known])), int(self.known.sum())
        outside = all_known - size
        low, high = clopper_pearson(errors, size)
        if self.expected is None:
            ratio = bernoulli_log_likelihood_ratio(
                np.array([errors]), np.array([size]), all_errors, float(all_known)
            )
            expected = size * all_errors / all_known
        else:
            expected = float(self.expected[members].sum())
            ratio = binomial_log_likelihood_ratio(
                np.array([errors]), np.array([size]), np.array([expected])
            )
        walk, scale, q = typical_walk(self.test, self.kernel, core, self.fdr)
        return HotRegion(
            members=members.astype(np.int64),
            size=size,
            errors=errors,
            rate=errors / size,
            low=low,
            high=high,
            core=len(core),
            outside_rate=(all_errors - errors) / outside if outside else float("nan"),
            expected=expected,
            log_likelihood_ratio=float(ratio[0]),
            walk=walk,
            scale=scale,
            q=q,
        )


def _standing_out(regions: Sequence[HotRegion], fdr: float) -> list[HotRegion]:
    """Keep the regions whose own errors stand out; smallest q first.

    A walk reaches beyond a place. So a place beside a strong weakness can be significant only for
    what lies next to it. Such a region is dropped: its own errors would not stand out even if the
    region had not been chosen for them (Wilks' law, one-sided).
    """
    from scipy.stats import chi2

    # Not ordered by the likelihood ratio, which every region was cut to make large.
    ordered = sorted(
        regions, key=lambda region: (region.q, -region.log_likelihood_ratio, int(region.members[0]))
    )
    ratios = np.array([region.log_likelihood_ratio for region in ordered])
    own_q = benjamini_hochberg(np.where(ratios > 0, chi2.sf(2 * ratios, 1) / 2, 1.0))
    return [region for region, q in zip(ordered, own_q, strict=True) if q < fdr]


def regions_frame(regions: Sequence[HotRegion]) -> pd.DataFrame:
    """Return one row a region, without the members, numbered from 1."""
    import pandas as pd

    names = (
        "size", "core", "errors", "rate", "low", "high", "outside_rate", "expected",
        "log_likelihood_ratio", "walk", "scale", "q",
    )  # fmt: skip
    rows = [{name: getattr(region, name) for name in names} for region in regions]
    frame = pd.DataFrame(rows, columns=list(names))
    frame.insert(0, "rank", np.arange(1, len(frame) + 1))
    return frame


def graph_communities(
    significant: npt.NDArray[np.bool_], everything: Any, random_state: int
) -> list[npt.NDArray[np.int64]]:
    """Take significant questions apart into communities of the graph; largest part first."""
    from scipy.sparse.csgraph import connected_components
    from sknetwork.clustering import Louvain

    rows = np.flatnonzero(significant)
    if not len(rows):
        return []
    graph = everything[rows][:, rows]
    if graph.nnz == 0:
        return [rows[[position]] for position in range(len(rows))]
    _, parts = connected_components(graph, directed=False)
    found: list[npt.NDArray[np.int64]] = []
    for part in np.unique(parts):
        inside = np.flatnonzero(parts == part)
        piece = graph[inside][:, inside]
        labels = np.zeros(len(inside), dtype=np.int32)
        if piece.nnz:
            # Louvain divides anything; a place is divided only where it really falls apart.
            louvain = Louvain(random_state=random_state, return_probs=False, return_aggregate=False)
            divided = louvain.fit_predict(piece).astype(np.int32)
            if assortativity(piece, divided) >= _DEFAULTS.minimum_assortativity:
                labels = divided
        found.extend(rows[inside[labels == label]] for label in np.unique(labels))
    return sorted(found, key=lambda members: (-len(members), int(members[0])))


def _most_likely_part(
    members: npt.NDArray[np.int64],
    own: FloatVector,
    expected: FloatVector | None,
    around: npt.NDArray[np.float64],
    smallest: int,
) -> npt.NDArray[np.int64]:
    """Cut a find off where its likelihood ratio is largest, over all scales."""
    best, chosen = -np.inf, members
    # The shortest walk is left to testing: most of what it averages is a handful of marks.
    for averages in around[1:] if len(around) > 1 else around:
        ordered = members[np.argsort(-averages[members], kind="stable")]
        errors = np.cumsum(own[ordered])
        sizes = np.arange(1.0, len(ordered) + 1)
        if expected is None:
            ratio = bernoulli_log_likelihood_ratio(
                errors, sizes, float(np.nansum(own)), float((~np.isnan(own)).sum())
            )
        else:
            ratio = binomial_log_likelihood_ratio(errors, sizes, np.cumsum(expected[ordered]))
        ratio[: smallest - 1] = -np.inf
        last = int(np.argmax(ratio))
        if ratio[last] > best:
            best, chosen = float(ratio[last]), ordered[: last + 1]
    return np.sort(chosen)


def _largest_component(members: npt.NDArray[np.int64], graph: Any) -> npt.NDArray[np.int64]:
    from scipy.sparse.csgraph import connected_components

    _, parts = connected_components(graph[members][:, members], directed=False)
    largest: npt.NDArray[np.int64] = members[parts == np.bincount(parts).argmax()]
    return largest


def typical_walk(
    test: WalkTest, kernel: GraphKernel, core: npt.NDArray[np.int64], alpha: float
) -> tuple[int, int, float]:
    """Return the shortest walk at which half of a place is significant, its scale, and the q there.

    Returns
    -------
    walk, scale : int
        Steps, and about how many questions such a walk averages over.
    q : float
        The median over questions of the smallest q over all walks.
    """
    q = test.q[:, core]
    shares = (q < alpha).mean(axis=1)
    step = int(np.argmax(shares >= min(0.5, float(shares.max()))))
    scale = round(float(np.median(1 / kernel.squares[step, core])))
    return kernel.steps[step], scale, float(np.median(q.min(axis=0)))


def bernoulli_log_likelihood_ratio(
    errors: npt.NDArray[Any], sizes: npt.NDArray[Any], all_errors: float, n: float
) -> FloatVector:
    """Return Kulldorff's Bernoulli log likelihood ratio of zones with more errors than outside.

    Kulldorff (1997, Communications in Statistics 26, equation for the Bernoulli model); 0 where the
    rate inside is not above that outside.

    Parameters
    ----------
    errors, sizes : arrays of the same shape
        Errors and questions of each zone.
    all_errors, n : float
        Errors and questions of the whole map.
    """
    inside, size = np.asarray(errors, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    outside, others = all_errors - inside, n - size
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (
            _entropy(inside, size)
            + _entropy(outside, others)
            - _entropy(np.asarray(all_errors), np.asarray(n))
        )
        higher = inside * others > outside * size
    return np.where(higher & (others > 0), ratio, 0.0)


def binomial_log_likelihood_ratio(
    errors: npt.NDArray[Any], sizes: npt.NDArray[Any], expected: npt.NDArray[Any]
) -> FloatVector:
    """Return the expectation-based binomial log likelihood ratio, 0 where errors are not above it.

    ``c ln(c / E) + (n - c) ln((n - c) / (n - E))``: of an error rate c / n against E / n, after the
    expectation-based statistics of Neill (2009, International Journal of Forecasting 25). Errors
    with unequal probabilities vary less than a binomial count with their mean, so it is on the
    small side.

    Parameters
    ----------
    errors, sizes, expected : arrays of the same shape
        Errors, questions and expected errors of each zone.
    """
    from scipy.special import xlogy

    c, n, e = (np.asarray(values, dtype=np.float64) for values in (errors, sizes, expected))
    right, expected_right = n - c, np.maximum(n - e, 1e-12)
    ratio = xlogy(c, c / np.maximum(e, 1e-12)) + xlogy(right, right / expected_right)
    return np.where(c > e, ratio, 0.0)


def clopper_pearson(errors: int, size: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a binomial share (Clopper & Pearson 1934, Biometrika 26).

    Parameters
    ----------
    errors, size : int
        Errors among so many questions.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    low, high : float
        0 to 1.

    Examples
    --------
    >>> [round(end, 3) for end in clopper_pearson(3, 10)]
    [0.067, 0.652]
    """
    # The inverse beta function itself: binomtest searches for the same ends for 10 ms.
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = float(betaincinv(errors, size - errors + 1, tail)) if errors > 0 else 0.0
    high = float(betaincinv(errors + 1, size - errors, 1 - tail)) if errors < size else 1.0
    return low, high


def _entropy(count: npt.NDArray[Any], size: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    from scipy.special import xlogy

    value: npt.NDArray[np.float64] = xlogy(count, count / np.maximum(size, 1)) + xlogy(
        size - count, (size - count) / np.maximum(size, 1)
    )
    return value
