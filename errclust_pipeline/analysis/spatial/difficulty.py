"""Errors beyond what a question's difficulty explains.

Most concentration of errors is difficulty: questions that are hard for everyone lie together. With
several models on one benchmark, how hard a question is can be told from the *other* models, and
what is left is the model's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.spatial.counts import (
    FloatVector,
    benjamini_hochberg,
    in_threads,
    neighbour_sums,
)

FloatMatrix = npt.NDArray[np.float64]

FEWEST_MODELS = 3
"""With one other model, how hard a question is and how weak that model is there are the same."""

_RIDGE = 1.0
_ITERATIONS = 100
_TOLERANCE = 1e-6
_ROWS_AT_ONCE = 1024
"""Enough for threads not to wait for each other, and few enough for the cache."""
_TRIALS_AT_ONCE = 50
"""Convolving the halves of more trials than these takes fewer steps than adding one by one."""


class TooFewModelsError(ValueError):
    """Fewer models than difficulty can be estimated from."""


@dataclass(frozen=True)
class Rasch:
    """A fitted Rasch model, P(wrong) = 1 / (1 + exp(ability - difficulty)).

    Attributes
    ----------
    difficulty : float64 array, shape (n,)
        In logits; 0 (the prior's mean) for a question that no model answered.
    ability : float64 array, shape (models,)
        In logits.
    """

    difficulty: FloatVector
    ability: FloatVector


def fit_rasch(error_matrix: npt.ArrayLike, ridge: float = _RIDGE) -> Rasch:
    """Fit the Rasch model (Rasch 1960) with a ridge on difficulties, by alternating Newton steps.

    The ridge is a normal prior of variance 1 / ``ridge`` on difficulty, which keeps questions that
    all models get right, or wrong, finite.

    Parameters
    ----------
    error_matrix : array, shape (models, n)
        1 wrong, 0 right, NaN not answered.
    ridge : float
    """
    errors = np.asarray(error_matrix, dtype=np.float64)
    answered = ~np.isnan(errors)
    wrong = np.where(answered, errors, 0.0)
    difficulty = np.zeros(errors.shape[1])
    ability = np.zeros(errors.shape[0])
    for _ in range(_ITERATIONS):
        before = difficulty.copy()
        # Whole Newton steps can overshoot where all answers agree: logits are moved by 1 at most.
        p = _logistic(difficulty[None, :] - ability[:, None]) * answered
        slope = (p * (1 - p)).sum(axis=0) + ridge
        step = ((wrong - p).sum(axis=0) - ridge * difficulty) / slope
        difficulty = difficulty + np.clip(step, -1, 1)
        p = _logistic(difficulty[None, :] - ability[:, None]) * answered
        slope = (p * (1 - p)).sum(axis=1) + 1e-9
        ability = ability - np.clip((wrong - p).sum(axis=1) / slope, -1, 1)
        if np.abs(difficulty - before).max(initial=0) < _TOLERANCE:
            break
    return Rasch(difficulty, ability)


def expected_errors_if_known(
    error_matrix: npt.ArrayLike, model: int, neighbours: npt.NDArray[np.int32]
) -> FloatVector | None:
    """Return `expected_errors`, or None if there are too few models to estimate difficulty."""
    try:
        return expected_errors(error_matrix, model, neighbours)
    except TooFewModelsError:
        return None


def expected_errors(
    error_matrix: npt.ArrayLike, model: int, neighbours: npt.NDArray[np.int32]
) -> FloatVector:
    """Estimate how likely a model errs on each question, from how the other models fare.

    A question's difficulty is that of a Rasch model fitted to the other models only. Together with
    the other models' error rate in the question's neighbourhood, which steadies it where models are
    few, it predicts this model's errors by a logistic regression; so expectations add up to the
    model's own number of errors.

    Parameters
    ----------
    error_matrix : array, shape (models, n)
        1 wrong, 0 right, NaN not answered.
    model : int
        Row of the model in question.
    neighbours : int32 array, shape (n, k_max)

    Returns
    -------
    float64 array, shape (n,)
        Probabilities; NaN where the model did not answer, or no other model did.

    Raises
    ------
    TooFewModelsError
        If there are fewer than 3 models.
    """
    from sklearn.linear_model import LogisticRegression

    errors = np.asarray(error_matrix, dtype=np.float64)
    if len(errors) < FEWEST_MODELS:
        raise TooFewModelsError(
            f"difficulty cannot be told from {len(errors)} models: adjusted statistics need "
            f"{FEWEST_MODELS} on the same benchmark"
        )
    own = errors[model]
    others = np.delete(errors, model, axis=0)
    seen = ~np.isnan(others).all(axis=0)
    usable = seen & ~np.isnan(own)
    expected: FloatVector = np.full(len(own), np.nan)
    if not usable.any():
        return expected
    if np.ptp(own[usable]) == 0:
        expected[usable] = own[usable][0]
        return expected
    difficulty = fit_rasch(others).difficulty
    answers = np.maximum((~np.isnan(others)).sum(axis=0), 1)
    rate = np.where(seen, np.nansum(others, axis=0) / answers, np.nan)
    k = min(NEIGHBOURHOOD, neighbours.shape[1])
    sums, draws = neighbour_sums(rate, neighbours, (k,))
    around = np.divide(
        sums[0], draws[0], out=np.full(len(own), np.nanmean(rate)), where=draws[0] > 0
    )
    predictors = np.stack([difficulty, around], axis=1)[usable]
    regression = LogisticRegression(C=np.inf, max_iter=1000).fit(predictors, own[usable])
    expected[usable] = regression.predict_proba(predictors)[:, 1]
    return expected


@dataclass(frozen=True)
class AdjustedTest:
    """Local test of errors against what difficulty leads one to expect; arrays of shape (n,).

    Attributes
    ----------
    k : int
    errors, expected : array
        Observed and expected errors among the neighbours.
    p_hot, p_cold : array
        Poisson-binomial tails; NaN where left out.
    q_hot, q_cold : array
        Benjamini-Hochberg over the questions.
    """

    k: int
    errors: FloatVector
    expected: FloatVector
    p_hot: FloatVector
    p_cold: FloatVector
    q_hot: FloatVector
    q_cold: FloatVector


def adjusted_tests(
    marks: npt.ArrayLike,
    expected: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32],
    scales: tuple[int, ...],
) -> list[AdjustedTest]:
    """Test around every question whether errors are more, or fewer, than expected.

    The errors among the neighbours are a sum of independent trials with probabilities of their
    own, which is Poisson-binomial; its tails are exact (`poisson_binomial_tails`).

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out.
    expected : array, shape (n,)
        Probabilities, of `expected_errors`.
    neighbours : int32 array, shape (n, k_max)
    scales : tuple of int
        Ascending.
    """
    probabilities = np.asarray(expected, dtype=np.float64)
    own = np.where(np.isnan(probabilities), np.nan, np.asarray(marks, dtype=np.float64))
    probabilities = np.where(np.isnan(own), np.nan, probabilities)
    observed, _ = neighbour_sums(own, neighbours, scales)
    means, _ = neighbour_sums(probabilities, neighbours, scales)
    missing = np.isnan(own)
    known = np.flatnonzero(~missing)
    # A neighbour that is left out has probability 0 and no error: it changes no tail.
    filled = np.nan_to_num(probabilities)
    at_least, at_most = poisson_binomial_tails(
        filled, neighbours[known], observed[:, known].astype(np.int64), scales
    )
    results = []
    for scale, k in enumerate(scales):
        p_hot, p_cold = np.full(len(own), np.nan), np.full(len(own), np.nan)
        p_hot[known], p_cold[known] = at_least[scale], at_most[scale]
        results.append(
            AdjustedTest(
                k,
                np.where(missing, np.nan, observed[scale]),
                np.where(missing, np.nan, means[scale]),
                p_hot,
                p_cold,
                benjamini_hochberg(p_hot),
                benjamini_hochberg(p_cold),
            )
        )
    return results


def poisson_binomial_tails(
    probabilities: FloatVector,
    neighbours: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int64],
    scales: Sequence[int],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the tails of the number of errors among each row's neighbours, at several scales.

    The distribution of a sum of independent trials is built up by adding one trial after another
    (Barlow & Heidtmann 1984, IEEE Transactions on Reliability 33), which is exact. The trials that
    a scale adds to the one before are summed by themselves and the two distributions are then
    convolved. Time grows with ``rows * k ** 2``.

    Parameters
    ----------
    probabilities : float64 array, shape (n,)
        Probability of an error on each question.
    neighbours : int32 array, shape (rows, k_max)
    counts : int64 array, shape (scales, rows)
        Errors observed among the first k neighbours.
    scales : sequence of int
        Ascending.

    Returns
    -------
    at_least, at_most : float64 arrays, shape (scales, rows), in [0, 1]
    """
    at_least, at_most = np.empty(counts.shape), np.empty(counts.shape)

    def fill(start: int) -> None:
        part = slice(start, start + _ROWS_AT_ONCE)
        trials = np.ascontiguousarray(probabilities[neighbours[part, : scales[-1]]].T)
        before = np.ones((1, trials.shape[1]))
        for scale, (first, last) in enumerate(itertools.pairwise((0, *scales))):
            added = _distribution_of_sum(trials[first:last])
            at_least[scale, part], at_most[scale, part] = _tails_of_sum(
                before, added, counts[scale, part]
            )
            if last < scales[-1]:
                before = _convolved(before, added)

    in_threads(fill, range(0, len(neighbours), _ROWS_AT_ONCE))
    return np.clip(at_least, 0, 1), np.clip(at_most, 0, 1)


def _distribution_of_sum(trials: FloatMatrix) -> FloatMatrix:
    """Return P(sum = s) of independent 0/1 trials, shape (k + 1, rows), from (k, rows)."""
    if len(trials) > _TRIALS_AT_ONCE:
        half = len(trials) // 2
        return _convolved(_distribution_of_sum(trials[:half]), _distribution_of_sum(trials[half:]))
    pmf, moved = np.zeros((2, len(trials) + 1, trials.shape[1]))
    pmf[0] = 1
    for number, probability in enumerate(trials, 1):
        np.multiply(pmf[:number], probability, out=moved[:number])
        pmf[:number] -= moved[:number]
        pmf[1 : number + 1] += moved[:number]
    return pmf


def _tails_of_sum(
    one: FloatMatrix, other: FloatMatrix, counts: npt.NDArray[np.int64]
) -> tuple[FloatVector, FloatVector]:
    """Return P(X + Y >= c) and P(X + Y <= c) of two distributions, shapes (s, rows)."""
    k = len(other) - 1
    # Each tail is summed from its far end, so that small ones keep their digits. Below 0 and above
    # k they are 0 or 1.
    reaching = np.zeros((k + 2, other.shape[1]))
    other[::-1].cumsum(axis=0, out=reaching[k::-1])
    wanted = counts[None, :] - np.arange(len(one))[:, None]
    columns = np.arange(one.shape[1])
    at_least = np.where(wanted <= 0, 1.0, reaching[np.clip(wanted, 0, k + 1), columns])
    at_most = np.where(wanted < 0, 0.0, other.cumsum(axis=0)[np.clip(wanted, 0, k), columns])
    return (one * at_least).sum(axis=0), (one * at_most).sum(axis=0)


def _convolved(one: FloatMatrix, other: FloatMatrix) -> FloatMatrix:
    """Return the distribution of the sum of two independent counts, row by row."""
    both = np.zeros((len(one) + len(other) - 1, one.shape[1]))
    product = np.empty_like(other)
    for value, probability in enumerate(one):
        both[value : value + len(other)] += np.multiply(other, probability, out=product)
    return both


def _logistic(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    from scipy.special import expit

    values: npt.NDArray[np.float64] = expit(x)
    return values
