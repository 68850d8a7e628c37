"""The likelihood of battles: its maximum by Newton's method, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.comparison.intervals import TWO_SIDED_95
from errclust_pipeline.analysis.ratings.battles import (
    MODELS_COUNTED_AT_ONCE,
    Battles,
    BoolVector,
    FloatVector,
    IntVector,
    components,
    groups_beating_each_other,
)

FloatMatrix = npt.NDArray[np.float64]
Ties = Literal["half", "davidson"]

ELO = 400 / np.log(10)
"""Points of rating a unit of log odds."""
PRIOR_SPREAD = 400 / ELO
"""Standard deviation, in log odds, of the normal prior that keeps ratings finite where the
likelihood alone does not: 400 points, odds of ten to one."""

_ITERATIONS = 100
_TOLERANCE = 1e-9
_LARGEST_STEP = 5.0


class NoMaximumError(ValueError):
    """A likelihood that grows for ever in some direction, or is level in one."""


@dataclass(frozen=True)
class Fit:
    """A maximum: strengths in log odds, Davidson's tie parameter, slopes of covariates."""

    strength: FloatVector
    tie: float | None
    slopes: FloatVector
    log_likelihood: float

    @property
    def parameters(self) -> FloatVector:
        """All of them, in that order."""
        tie = [] if self.tie is None else [self.tie]
        return np.concatenate([self.strength, tie, self.slopes])


@dataclass(frozen=True)
class Problem:
    """What is to be maximised.

    Attributes
    ----------
    component, bounded : arrays, shape (models,)
        See `Ratings`.
    prior : float64 array, shape (models,)
        Precision of each strength's normal prior around 0; 0 where there is none.
    davidson : bool
        Whether ties have a probability of their own, or are half a win.
    offset : float64 array, shape (models,), optional
        Strengths known beforehand; what is sought then comes on top of them.
    slope_prior : float
        Precision of each covariate's slope around 0.
    """

    component: IntVector
    bounded: BoolVector
    prior: FloatVector
    davidson: bool
    offset: FloatVector | None = None
    slope_prior: float = 0.0

    @classmethod
    def of(cls, battles: Battles, ties: Ties) -> Problem:
        """Find out what battles connect, and where the likelihood alone has no maximum.

        Raises
        ------
        ValueError
            If Davidson's model has nothing to go by.
        """
        if ties not in ("half", "davidson"):
            raise ValueError(f"ties is {ties!r}, expected half or davidson")
        if ties == "davidson":
            tied = battles.score == 0.5
            if not tied.any() or tied.all():
                raise ValueError(
                    "Davidson's model needs ties as well as wins; count ties as half a win instead"
                )
        component = components(battles)
        mutual = groups_beating_each_other(battles)
        separated = np.array(
            [len(np.unique(mutual[component == one])) > 1 for one in range(component.max() + 1)]
        )
        # The other mutual groups of a component are measured against its largest one.
        main = np.array([mutual[component == one].min() for one in range(component.max() + 1)])
        bounded = mutual == main[component]
        prior = np.where(separated[component], PRIOR_SPREAD**-2, 0.0)
        return cls(component, bounded, prior, ties == "davidson")

    def maximise(
        self,
        battles: Battles,
        weight: FloatVector | None = None,
        features: FloatMatrix | None = None,
    ) -> Fit:
        """Find the maximum by Newton's method, with a step halved where it overshoots.

        Raises
        ------
        NoMaximumError
            If there is none, or more than one.
        """
        weight = np.ones(len(battles)) if weight is None else weight
        features = np.zeros((len(battles), 0)) if features is None else features
        rows = _Rows.of(battles, weight, features, self.offset)
        models, slopes = len(battles.models), features.shape[1]
        tied = int(self.davidson)
        at = np.zeros(models + tied + slopes)
        prior = self._precisions(slopes)
        value = rows.log_likelihood(at, models, self.davidson) - 0.5 * float(prior @ at**2)
        for _ in range(_ITERATIONS):
            gradient, hessian = rows.derivatives(at, models, self.davidson)
            gradient -= prior * at
            hessian[np.diag_indices(len(at))] += prior
            try:
                step = np.linalg.solve(self._identified(hessian), gradient)
            except np.linalg.LinAlgError:
                raise NoMaximumError from None
            step *= min(1.0, _LARGEST_STEP / max(float(np.abs(step).max()), 1e-300))
            for _ in range(30):
                moved = at + step
                found = rows.log_likelihood(moved, models, self.davidson)
                found -= 0.5 * float(prior @ moved**2)
                if found >= value - 1e-12 * abs(value):
                    break
                step /= 2
            at, value = moved, found
            if float(np.abs(step).max()) < _TOLERANCE:
                break
        else:
            raise NoMaximumError
        likelihood = rows.log_likelihood(at, models, self.davidson)
        tie = float(at[models]) if self.davidson else None
        return Fit(at[:models], tie, at[models + tied :], likelihood)

    def _precisions(self, slopes: int) -> FloatVector:
        """Return the prior's precision of each parameter."""
        tie = [0.0] if self.davidson else []
        return np.concatenate([self.prior, tie, np.full(slopes, self.slope_prior)])

    def _identified(self, hessian: FloatMatrix) -> FloatMatrix:
        """Hold the mean strength of each component, which no battle tells, at 0."""
        held = hessian.copy()
        size = max(float(np.diag(hessian).max()), 1e-12)
        for one in range(int(self.component.max()) + 1):
            members = np.flatnonzero(self.component == one)
            held[np.ix_(members, members)] += size / len(members)
        return held

    def sandwich(
        self,
        battles: Battles,
        fit: Fit,
        ways: Sequence[IntVector],
        weight: FloatVector | None = None,
        features: FloatMatrix | None = None,
    ) -> tuple[FloatMatrix, int, float]:
        """Return the parameters' covariance, the number of clusters, and the quantile to use.

        A prior counts as what it is worth: an observation of each strength with its spread. Where a
        model never lost, residuals say nothing of how sure its strength is: the variance of what
        rests on a prior is at least that of the posterior (Laplace).
        """
        from scipy.stats import t

        weight = np.ones(len(battles)) if weight is None else weight
        features = np.zeros((len(battles), 0)) if features is None else features
        rows = _Rows.of(battles, weight, features, self.offset, aggregate=False)
        models, at = len(battles.models), fit.parameters
        _, hessian = _Rows.of(battles, weight, features, self.offset).derivatives(
            at, models, self.davidson
        )
        prior = np.diag(self._precisions(len(fit.slopes)))
        hessian = hessian + prior
        counts = [int(way.max()) + 1 for way in ways] or [len(battles)]
        if not ways:
            meat = rows.meat(at, models, self.davidson, np.arange(len(battles)))
        else:
            meat = np.zeros(hessian.shape)
            for way, count in zip(ways, counts, strict=True):
                meat += rows.meat(at, models, self.davidson, way) * _small_sample(count)
        if len(ways) == 2:
            both = np.unique(ways[0] * counts[1] + ways[1], return_inverse=True)[1]
            shared = rows.meat(at, models, self.davidson, both)
            meat = _without_negative(meat - shared * _small_sample(int(both.max()) + 1))
        inverse = np.linalg.inv(self._identified(hessian))
        covariance = inverse @ (meat + prior) @ inverse
        free = np.full(len(fit.slopes), self.slope_prior > 0)
        unbounded = np.flatnonzero(
            np.concatenate([~self.bounded, np.zeros(int(self.davidson), dtype=bool), free])
        )
        if len(unbounded):
            block = np.ix_(unbounded, unbounded)
            lacking = _without_negative(np.asarray(inverse - covariance)[block])
            covariance[block] = covariance[block] + lacking
        # The mean of each component is fixed, not uncertain.
        centred = np.eye(len(at))
        for one in range(int(self.component.max()) + 1):
            members = np.flatnonzero(self.component == one)
            centred[np.ix_(members, members)] -= 1 / len(members)
        covariance = centred @ covariance @ centred.T
        fewest = min(counts)
        if not ways:
            return covariance, fewest, TWO_SIDED_95
        return covariance, fewest, float(t.ppf(0.975, fewest - 1)) if fewest > 1 else float("nan")


@dataclass(frozen=True)
class _Rows:
    """Battles as the likelihood sees them: alike ones together, unless covariates tell them apart.

    `base` is what is known of the log odds beforehand.
    """

    first: IntVector
    second: IntVector
    score: FloatVector
    weight: FloatVector
    features: FloatMatrix
    base: FloatVector

    @classmethod
    def of(
        cls,
        battles: Battles,
        weight: FloatVector,
        features: FloatMatrix,
        offset: FloatVector | None,
        aggregate: bool = True,
    ) -> _Rows:
        first, second, score = battles.first, battles.second, battles.score
        if aggregate and not features.shape[1]:
            models = len(battles.models)
            key = (first * models + second) * 3 + np.rint(2 * score).astype(np.int64)
            if models <= MODELS_COUNTED_AT_ONCE:
                counted = np.bincount(key, weights=weight, minlength=3 * models**2)
                alike = np.flatnonzero(counted)
                weight = np.asarray(counted[alike])
            else:
                alike, where = np.unique(key, return_inverse=True)
                weight = np.asarray(np.bincount(where, weights=weight))
            pair, twice = np.divmod(alike, 3)
            first, second = np.divmod(pair, models)
            score, features = twice / 2, np.zeros((len(alike), 0))
        base = np.zeros(len(first)) if offset is None else offset[first] - offset[second]
        return cls(first, second, score, weight, features, base)

    def _log_odds(self, at: FloatVector, models: int, davidson: bool) -> FloatVector:
        slopes = at[models + int(davidson) :]
        difference = at[self.first] - at[self.second] + self.base
        return difference + self.features @ slopes if len(slopes) else difference

    def log_likelihood(self, at: FloatVector, models: int, davidson: bool) -> float:
        log_odds = self._log_odds(at, models, davidson)
        if not davidson:
            terms = self.score * log_odds - np.logaddexp(0, log_odds)
        else:
            tie = at[models]
            half = np.abs(log_odds) / 2
            total = np.logaddexp(half + np.log1p(np.exp(-2 * half)), tie)
            terms = (self.score - 0.5) * log_odds + (self.score == 0.5) * tie - total
        return float(self.weight @ terms)

    def derivatives(
        self, at: FloatVector, models: int, davidson: bool
    ) -> tuple[FloatVector, FloatMatrix]:
        """Return the gradient and the negative of the matrix of second derivatives."""
        tie = at[models] if davidson else None
        expected, variance, tied, mixed = expected_scores(self._log_odds(at, models, davidson), tie)
        size = len(at)
        gradient, hessian = np.zeros(size), np.zeros((size, size))
        surprise = self.weight * (self.score - expected)
        gradient[:models] = self._across(surprise, models)
        information = self.weight * variance
        pairs = np.bincount(self.first * models + self.second, information, models**2)
        pairs = pairs.reshape(models, models)
        pairs = pairs + pairs.T
        hessian[:models, :models] = np.diag(pairs.sum(axis=1)) - pairs
        others = [self.features[:, column] for column in range(self.features.shape[1])]
        start = models + int(davidson)
        for row, feature in enumerate(others, start):
            gradient[row] = surprise @ feature
            across = self._across(information * feature, models)
            hessian[row, :models] = hessian[:models, row] = across
            for column, other in enumerate(others, start):
                hessian[row, column] = information @ (feature * other)
        if davidson:
            gradient[models] = self.weight @ ((self.score == 0.5) - tied)
            across = self._across(self.weight * mixed, models)
            hessian[models, :models] = hessian[:models, models] = across
            hessian[models, models] = self.weight @ (tied * (1 - tied))
            for row, feature in enumerate(others, start):
                hessian[models, row] = hessian[row, models] = (self.weight * mixed) @ feature
        return gradient, hessian

    def _across(self, values: FloatVector, models: int) -> FloatVector:
        across = np.bincount(self.first, values, models) - np.bincount(self.second, values, models)
        return np.asarray(across, dtype=np.float64)

    def meat(self, at: FloatVector, models: int, davidson: bool, cluster: IntVector) -> FloatMatrix:
        """Return the sum over clusters of their score's outer product."""
        scores = self.cluster_scores(at, models, davidson, cluster)
        return np.asarray((scores.T @ scores).todense())

    def cluster_scores(
        self, at: FloatVector, models: int, davidson: bool, cluster: IntVector
    ) -> Any:
        """Return each cluster's gradient, a sparse array of shape (clusters, parameters)."""
        from scipy import sparse

        tie = at[models] if davidson else None
        expected, _, tied, _ = expected_scores(self._log_odds(at, models, davidson), tie)
        surprise = self.weight * (self.score - expected)
        columns = [self.first, self.second]
        values = [surprise, -surprise]
        if davidson:
            columns.append(np.full(len(surprise), models))
            values.append(self.weight * ((self.score == 0.5) - tied))
        for number in range(self.features.shape[1]):
            columns.append(np.full(len(surprise), models + int(davidson) + number))
            values.append(surprise * self.features[:, number])
        rows = np.tile(cluster, len(columns))
        entries = np.concatenate(values), (rows, np.concatenate(columns))
        shape = int(cluster.max(initial=-1)) + 1, len(at)
        return sparse.csr_array(sparse.coo_array(entries, shape=shape))


def expected_scores(
    log_odds: FloatVector, tie: float | None
) -> tuple[FloatVector, FloatVector, FloatVector, FloatVector]:
    """Return A's expected score and its variance, the tie's probability and their covariance."""
    from scipy.special import expit

    if tie is None:
        p = expit(log_odds)
        nothing = np.zeros(0)
        return p, p * (1 - p), nothing, nothing
    half = log_odds / 2
    total = np.logaddexp(np.logaddexp(half, -half), tie)
    tied = np.exp(tie - total)
    won = np.exp(half - total)
    expected = won + tied / 2
    return expected, won + tied / 4 - expected**2, tied, tied / 2 - expected * tied


def _small_sample(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else float("nan")


def _without_negative(matrix: FloatMatrix) -> FloatMatrix:
    """Clear what is negative in a difference of covariances, which chance can make so."""
    if not np.isfinite(matrix).all():
        return matrix
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.clip(values, 0, None)) @ vectors.T)
