"""Bradley-Terry ratings by maximum likelihood, on the Elo scale, with robust intervals.

Model i beats model j with odds ``10 ** ((rating_i - rating_j) / 400)``. Other than online Elo, the
ratings do not depend on the order of battles and come with a covariance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.ratings.battles import (
    Battles,
    BoolVector,
    FloatVector,
    IntVector,
    NotComparableError,
)
from errclust_pipeline.analysis.ratings.likelihood import (
    ELO,
    Fit,
    FloatMatrix,
    NoMaximumError,
    Problem,
    Ties,
    expected_scores,
)

CENTRE = 1000.0
"""Mean rating of the models that battles connect."""
SLOPE_SPREAD = 1.0
"""Standard deviation of the prior of slopes, used only where there is no maximum without one."""


@dataclass(frozen=True)
class Coefficient:
    """What a covariate is worth, in log odds of A winning for one unit more of it on A's side.

    `bounded` is False if covariates tell every winner of some battles, or each other, so that the
    likelihood has no largest value: then slopes rest on a normal prior, `SLOPE_SPREAD` wide.
    """

    name: str
    estimate: float
    low: float
    high: float
    bounded: bool


@dataclass(frozen=True)
class Difference:
    """How many points one model is rated above another, with a 95 % interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratings:
    """Ratings of models.

    Attributes
    ----------
    models : tuple of str
    rating : float64 array, shape (models,)
        Points; the mean of each component is 1000. NaN for a model without battles.
    low, high : float64 arrays, shape (models,)
        95 % intervals.
    covariance : float64 array, shape (models, models)
        Covariance of the ratings, in squared points.
    battles : int64 array, shape (models,)
    component : int64 array, shape (models,)
        Models of different components never met, not even by a chain of others: their ratings
        cannot be compared.
    bounded : bool array, shape (models,)
        False where a model never lost (or never won) against all others of its component, alone
        or as one of a group: by the likelihood its distance from them is infinite, and what is
        given rests on the prior.
    clusters : int
        Independent units that the intervals rest on; with fewer than about 30 they are rough.
    log_likelihood : float
    quantile : float
        Standard errors to either side that hold 95 %.
    tie_log_odds : float or None
        Davidson's ``ln(nu)``: two equal models tie with odds ``nu / 2``.
    coefficients : tuple of Coefficient
        Coefficients of the covariates.
    """

    models: tuple[str, ...]
    rating: FloatVector
    low: FloatVector
    high: FloatVector
    covariance: FloatMatrix
    battles: IntVector
    component: IntVector
    bounded: BoolVector
    clusters: int
    log_likelihood: float
    quantile: float
    tie_log_odds: float | None = None
    coefficients: tuple[Coefficient, ...] = ()

    @property
    def standard_errors(self) -> FloatVector:
        """Standard errors of the ratings, in points; shape (models,)."""
        return np.sqrt(np.diag(self.covariance))

    def difference(self, model: str, other: str) -> Difference:
        """Compare two models.

        Raises
        ------
        NotComparableError
            If no chain of battles connects them.
        """
        i, j = (self._number(name) for name in (model, other))
        if self.component[i] != self.component[j] or np.isnan(self.rating[[i, j]]).any():
            raise NotComparableError(
                f"{model} and {other} never met, nor does a chain of battles connect them: their "
                "ratings say nothing about each other"
            )
        estimate = float(self.rating[i] - self.rating[j])
        variance = self.covariance[i, i] + self.covariance[j, j] - 2 * self.covariance[i, j]
        half = self.quantile * float(np.sqrt(max(variance, 0.0)))
        return Difference(estimate, estimate - half, estimate + half)

    def expected(self, battles: Battles) -> FloatVector:
        """Return A's expected score in battles among the same models, covariates aside.

        Raises
        ------
        NotComparableError
            If a battle is between models that these ratings cannot compare.
        """
        if battles.models != self.models:
            raise ValueError("the battles are among other models than the ratings")
        apart = self.component[battles.first] != self.component[battles.second]
        log_odds = (self.rating[battles.first] - self.rating[battles.second]) / ELO
        if apart.any() or np.isnan(log_odds).any():
            raise NotComparableError("a battle is between models that these ratings do not compare")
        return expected_scores(log_odds, self.tie_log_odds)[0]

    def _number(self, model: str) -> int:
        if model not in self.models:
            raise ValueError(f"{model} is not rated; these are: {', '.join(self.models[:10])}")
        return self.models.index(model)


def fit_ratings(
    battles: Battles,
    *,
    ties: Ties = "half",
    clusters: Sequence[npt.ArrayLike] = (),
    weights: npt.ArrayLike | None = None,
    covariates: npt.ArrayLike | None = None,
    names: Sequence[str] = (),
) -> Ratings:
    """Rate models by maximum likelihood.

    Intervals come from the sandwich covariance ``H^-1 G H^-1``. They hold even where the model does
    not, and with clusters also where battles depend on each other (Cameron, Gelbach & Miller 2011,
    Journal of Business & Economic Statistics 29, for two ways of clustering). Components that
    battles do not connect are rated separately. Where a model or a group never lost to the others,
    the likelihood of its component has no maximum; ratings there get the weak normal prior of
    `likelihood.PRIOR_SPREAD`.

    Parameters
    ----------
    battles : Battles
    ties : {"half", "davidson"}
        A tie is half a win and half a loss, or an outcome with a probability of its own (Davidson
        1970, JASA 65).
    clusters : sequence of int arrays, shape (n,), optional
        One or two ways in which battles belong together, such as ``battles.prompts`` and workers.
        G then carries the usual factor c / (c - 1) for c clusters, and the intervals are Student's.
    weights : array, shape (n,), optional
        Weight of each battle, positive; 1 if not given.
    covariates : array, shape (n, covariates), optional
        A's value less B's, such as `style_differences`. Ratings are then at equal covariates. The
        coefficient of a covariate that is 0 in all battles is NaN.
    names : sequence of str
        Names of the covariates.

    Raises
    ------
    ValueError
        If there is no battle, an argument's shape does not fit, or Davidson's model has no ties or
        only ties.

    Examples
    --------
    Model "a" wins three of four battles against "b": odds of 3, or 191 points.

    >>> from errclust_pipeline.analysis.ratings import battles_of
    >>> winners = ["model_a", "model_a", "model_a", "model_b"]
    >>> ratings = fit_ratings(battles_of(["a"] * 4, ["b"] * 4, winners))
    >>> round(ratings.difference("a", "b").estimate)
    191
    """
    if not len(battles):
        raise ValueError("there is no battle to rate models by")
    weight, ways, features = _checked(battles, clusters, weights, covariates, names)
    informative: BoolVector = np.asarray(features.any(axis=0))
    features = features[:, informative]

    problem = Problem.of(battles, ties)
    try:
        fit = problem.maximise(battles, weight, features)
    except NoMaximumError:
        problem = dataclasses.replace(problem, slope_prior=SLOPE_SPREAD**-2)
        fit = problem.maximise(battles, weight, features)
    sandwich = problem.sandwich(battles, fit, ways, weight, features)
    return _on_elo_scale(battles, problem, fit, sandwich, names, informative)


def _on_elo_scale(
    battles: Battles,
    problem: Problem,
    fit: Fit,
    sandwich: tuple[FloatMatrix, int, float],
    names: Sequence[str],
    informative: BoolVector,
) -> Ratings:
    """Return the fitted strengths and slopes as ratings in points, with their intervals.

    Parameters
    ----------
    sandwich : covariance, number of clusters and quantile
        The result of `Problem.sandwich`.
    names : sequence of str, length covariates
    informative : bool array, shape (covariates,)
        The covariates that have a slope in ``fit``; the others' coefficients are NaN.
    """
    covariance, count, quantile = sandwich
    models = len(battles.models)
    fought = np.bincount(battles.first, minlength=models)
    fought += np.bincount(battles.second, minlength=models)
    rating = np.where(fought > 0, CENTRE + ELO * fit.strength, np.nan)
    points = ELO**2 * covariance[:models, :models]
    half = quantile * np.sqrt(np.clip(np.diag(points), 0, None))
    slopes, errors = np.full((2, len(names)), np.nan)
    slopes[informative] = fit.slopes
    variance = np.diag(covariance)[len(covariance) - len(fit.slopes) :]
    errors[informative] = quantile * np.sqrt(np.clip(variance, 0, None))
    return Ratings(
        battles.models,
        rating,
        rating - half,
        rating + half,
        points,
        fought.astype(np.int64),
        problem.component,
        problem.bounded,
        count,
        fit.log_likelihood,
        quantile,
        fit.tie,
        _coefficients(names, slopes, errors, not problem.slope_prior),
    )


def _checked(
    battles: Battles,
    clusters: Sequence[npt.ArrayLike],
    weights: npt.ArrayLike | None,
    covariates: npt.ArrayLike | None,
    names: Sequence[str],
) -> tuple[FloatVector, list[IntVector], FloatMatrix]:
    """Return weights, clusters numbered from 0, and covariates, or raise a ValueError."""
    n = len(battles)
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (n,) or not (weight > 0).all():
        raise ValueError("weights must be a positive number for each battle")
    ways = [np.unique(np.asarray(way), return_inverse=True)[1] for way in clusters]
    if len(ways) > 2 or any(way.shape != (n,) for way in ways):
        raise ValueError("clusters must be one or two vectors with a cluster for each battle")
    features = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    if features.ndim != 2 or features.shape != (n, len(names)) or not np.isfinite(features).all():
        raise ValueError("covariates must be a finite number for each battle and each of names")
    return weight, ways, features


def _coefficients(
    names: Sequence[str], slopes: FloatVector, errors: FloatVector, bounded: bool
) -> tuple[Coefficient, ...]:
    """Return a coefficient per covariate; ``errors`` are the half widths of the intervals."""
    return tuple(
        Coefficient(name, float(value), float(value - error), float(value + error), bounded)
        for name, value, error in zip(names, slopes, errors, strict=True)
    )


def bootstrap_ratings(
    battles: Battles,
    clusters: npt.ArrayLike | None = None,
    repetitions: int = 200,
    ties: Ties = "half",
    seed: int = 0,
) -> FloatMatrix:
    """Rate resampled battles, as a check on the sandwich intervals.

    Whole clusters are drawn with replacement: all battles on a prompt come or stay away together.

    Parameters
    ----------
    clusters : int array, shape (n,), optional
        Battles that come together; their prompts if not given.
    repetitions : int
    seed : int

    Returns
    -------
    float64 array, shape (repetitions, models)
        Ratings; NaN for a model that in a resample no battle connects to most others.
    """
    groups = battles.prompts if clusters is None else np.asarray(clusters)
    number = np.unique(groups, return_inverse=True)[1]
    count = int(number.max(initial=-1)) + 1
    draw = np.random.default_rng(seed)
    found = np.full((repetitions, len(battles.models)), np.nan)
    for row in found:
        times = np.bincount(draw.integers(0, count, count), minlength=count)[number]
        sample = battles.where(times > 0)
        problem = Problem.of(sample, ties)
        fit = problem.maximise(sample, times[times > 0].astype(np.float64))
        main = problem.component == 0
        row[main] = CENTRE + ELO * fit.strength[main]
    return found
