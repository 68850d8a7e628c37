"""Questions whose right answer is likely wrong in the benchmark: for review, not for training.

An answer key has errors. What gives one away is that models which are otherwise right agree on
another answer. Agreement alone proves little: models share popular mistakes, and on hard questions
few are right. So two explanations are weighed against each other, given how able each model is and
how popular wrong answers tend to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import neighbour_sums
from errclust_pipeline.analysis.spatial.difficulty import fit_rasch

FloatVector = npt.NDArray[np.float64]

GOLD, NO_ANSWER, NOT_ASKED = 0, -1, -2
"""Codes of answers; from 1 on, a question's other answers are numbered."""
FEWEST_ANSWERS = 4
"""Fewer models' agreement could be chance."""
DEFAULT_PRIOR = 0.02
"""Share of wrong keys to expect: about what audits of popular benchmarks find."""

_OPTIONS_IF_OPEN = 20
"""Two wrong answers to an open question are rarely the same: as if it had so many options."""
_FEWEST_OPTIONS = 2
_SPREAD = np.linspace(-3, 3, 13)
_NEIGHBOURS = 30
_PRIOR_NEIGHBOURS = 10.0
_LEAST_CONCENTRATION, _MOST_CONCENTRATION = 0.05, 50.0


@dataclass(frozen=True)
class SuspectedFaults:
    """How likely each question's key is wrong; every array has shape (n,).

    Attributes
    ----------
    probability : array
        Posterior probability that another answer is right; 0 where too few models answered. It
        takes models' mistakes as independent given the question's difficulty, so it is an order to
        review in rather than a rate of wrong keys.
    other_answer : int array
        Code of the answer that would be right instead.
    agreeing, wrong, answered : int array
        Models that gave it, models whose answer is not the key's, and models asked.
    """

    probability: FloatVector
    other_answer: npt.NDArray[np.int64]
    agreeing: npt.NDArray[np.int64]
    wrong: npt.NDArray[np.int64]
    answered: npt.NDArray[np.int64]

    def review_order(self, at_least: float = 0.5) -> npt.NDArray[np.int64]:
        """Return the questions to review, the most suspect first; equal ones in their order."""
        order = np.argsort(-self.probability, kind="stable")
        found: npt.NDArray[np.int64] = order[self.probability[order] >= at_least]
        return found


def suspected_faults(
    answers: npt.ArrayLike,
    options: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32] | None = None,
    prior: float = DEFAULT_PRIOR,
) -> SuspectedFaults:
    """Estimate for each question how likely its key is wrong.

    Either the key is right; or one of the other answers is, each as likely before. A model gives
    the answer that is right with the probability of a Rasch model, the question's difficulty being
    unknown: normal about what is usual, or about what is usual around it on the map, so that
    failure of all models is more suspicious where they mostly succeed. Models that are not right
    choose among the other answers by a Dirichlet-multinomial law, whose concentration is estimated
    from how often two wrong models agree: popular mistakes are allowed for (Polya's urn).

    Parameters
    ----------
    answers : int array, shape (models, n)
        0 the key's answer, 1, 2, … other answers (numbered for each question), -1 no answer could
        be read off, -2 not asked.
    options : array, shape (n,)
        Number of options; NaN for an open question.
    neighbours : int32 array, shape (n, k_max), optional
        On the map, nearest first.
    prior : float
        Probability of a wrong key before anything is seen, between 0 and 1.

    Raises
    ------
    ValueError
        If shapes do not fit, or ``prior`` is not between 0 and 1.
    """
    from scipy.special import expit, gammaln, logsumexp

    given = np.asarray(answers, dtype=np.int64)
    if given.ndim != 2 or np.shape(options) != given.shape[1:]:
        raise ValueError(f"{given.shape} answers but {np.shape(options)} numbers of options")
    if not 0 < prior < 1:
        raise ValueError(f"prior must be between 0 and 1, got {prior}")
    n = given.shape[1]
    asked = given != NOT_ASKED
    counts = _counts(given)
    number = np.nan_to_num(np.asarray(options, dtype=np.float64), nan=_OPTIONS_IF_OPEN)
    number = np.maximum(number, np.maximum((counts > 0).sum(axis=1), _FEWEST_OPTIONS))
    rasch = fit_rasch(np.where(asked, given != GOLD, np.nan))
    usual, spread = _difficulty_prior(rasch.difficulty, neighbours)
    alpha = _concentration(counts, number)

    difficulty = usual[:, None] + spread * _SPREAD
    weight = -(_SPREAD**2) / 2
    log_weight = weight - logsumexp(weight)
    log_wrong = np.zeros(difficulty.shape)
    gained = np.zeros((counts.shape[1], *difficulty.shape))
    for model, ability in enumerate(rasch.ability):
        wrong = expit(difficulty - ability)
        log_wrong += np.where(asked[model][:, None], np.log(wrong), 0.0)
        change = np.log1p(-wrong) - np.log(wrong)
        for code in range(counts.shape[1]):
            gained[code] += np.where((given[model] == code)[:, None], change, 0.0)
    if_right = logsumexp(log_wrong + gained + log_weight, axis=2).T
    # The law of the other answers, were this one right.
    shape = gammaln(alpha + counts) - gammaln(alpha)
    others = counts.sum(axis=1, keepdims=True) - counts
    total = (number[:, None] - 1) * alpha
    law = gammaln(total) - gammaln(total + others) + shape.sum(axis=1, keepdims=True) - shape
    evidence = if_right + law
    other = evidence[:, 1:]
    # An answer that nobody gave cannot be named, and explains nothing.
    unnamed = np.where(counts[:, 1:] > 0, other, -np.inf)
    against = logsumexp(unnamed, axis=1) - np.log(number - 1) if other.size else np.full(n, -np.inf)
    log_odds = against - evidence[:, GOLD] + np.log(prior) - np.log1p(-prior)
    answered = asked.sum(axis=0)
    probability = np.where(answered >= FEWEST_ANSWERS, expit(log_odds), 0.0)
    best = 1 + np.argmax(unnamed, axis=1) if other.size else np.full(n, NO_ANSWER)
    agreeing = np.take_along_axis(counts, np.maximum(best, 0)[:, None], axis=1)[:, 0]
    return SuspectedFaults(
        probability,
        np.where(probability > 0, best, NO_ANSWER),
        np.where(best > 0, agreeing, 0).astype(np.int64),
        (asked & (given != GOLD)).sum(axis=0),
        answered,
    )


def _counts(given: npt.NDArray[np.int64]) -> FloatVector:
    """Return how many models gave each answer, shape (n, answers)."""
    codes = int(given.max(initial=GOLD)) + 1
    return np.stack([(given == code).sum(axis=0) for code in range(codes)], axis=1).astype(float)


def _difficulty_prior(
    difficulty: FloatVector, neighbours: npt.NDArray[np.int32] | None
) -> tuple[FloatVector, float]:
    """Return the usual difficulty at each question, and how much difficulties spread about it."""
    mean = float(difficulty.mean()) if difficulty.size else 0.0
    spread = max(float(difficulty.std()), 0.1) if difficulty.size else 1.0
    if neighbours is None or not neighbours.shape[1]:
        return np.full(len(difficulty), mean), spread
    sums, draws = neighbour_sums(difficulty, neighbours, (min(_NEIGHBOURS, neighbours.shape[1]),))
    usual = (sums[0] + _PRIOR_NEIGHBOURS * mean) / (draws[0] + _PRIOR_NEIGHBOURS)
    return usual, max(float((difficulty - usual).std()), 0.1)


def _concentration(counts: FloatVector, number: FloatVector) -> float:
    """Estimate the Dirichlet concentration of one wrong answer, by how often two are the same."""
    wrong = counts[:, 1:]
    sizes = wrong.sum(axis=1)
    pairs = float((sizes * (sizes - 1)).sum())
    if not pairs:
        return 1.0
    same = float((wrong * (wrong - 1)).sum()) / pairs
    typical = float((sizes * (sizes - 1) * (number - 1)).sum()) / pairs
    denominator = same * typical - 1
    if denominator <= 0:
        return _MOST_CONCENTRATION
    return float(np.clip((1 - same) / denominator, _LEAST_CONCENTRATION, _MOST_CONCENTRATION))


def answer_codes(correct: Any, answers: Any) -> npt.NDArray[np.int64]:
    """Number the answers of several models to one benchmark, for `suspected_faults`.

    Parameters
    ----------
    correct : float array, shape (models, n)
        1 right, 0 wrong, NaN not asked.
    answers : sequence of sequences, shape (models, n)
        Each model's answers, anything that can be compared; None where there is none.

    Returns
    -------
    int64 array, shape (models, n)
    """
    right = np.asarray(correct, dtype=np.float64)
    codes = np.where(np.isnan(right), NOT_ASKED, np.where(right == 1, GOLD, NO_ANSWER))
    numbers: list[dict[Any, int]] = [{} for _ in range(right.shape[1])]
    for model, own in enumerate(answers):
        for question in np.flatnonzero(right[model] == 0).tolist():
            answer = own[question]
            if answer is not None:
                of_question = numbers[question]
                codes[model, question] = of_question.setdefault(answer, len(of_question) + 1)
    return codes.astype(np.int64)
