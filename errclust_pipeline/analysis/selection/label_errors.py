"""Questions whose right answer is likely wrong in the benchmark: for review, not for training.

An answer key has errors. What gives one away is that models which are otherwise right agree on
another answer. Agreement alone proves little: models share popular mistakes, and on hard questions
few are right. So what answers look like where a key is wrong is learnt from the benchmark itself:
put another option in the key's place, and the answers are what they would be if it stood there by
mistake. A question is the more suspect, the more its answers look like those, and the less they
look like answers to the benchmark's own keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.spatial.counts import neighbour_sums

FloatVector = npt.NDArray[np.float64]
IntVector = npt.NDArray[np.int64]

GOLD, NO_ANSWER, NOT_ASKED = 0, -1, -2
"""Codes of answers; from 1 on, a question's other answers are numbered."""
FEWEST_ANSWERS = 4
"""Fewer models' agreement could be chance."""
MOST_LABEL_ERRORS = 0.1
"""Share of wrong keys beyond which it is the models that fail: audits of popular benchmarks find up
to a tenth (Northcutt, Athalye & Mueller 2021)."""

_OPTIONS_IF_OPEN = 20
"""Two wrong answers to an open question are rarely the same: as if it had so many options."""
_FEWEST_OPTIONS = 2
_OTHERS_LOOKED_AT = 3
_CONFIDENCE = 0.95
_MOST_LOG_RATIO = 30.0


@dataclass(frozen=True)
class LabelErrors:
    """How likely each question's key is wrong; every array has shape (n,).

    Attributes
    ----------
    probability : array
        That another answer is right, if as many keys are wrong as the answers allow (`share`): so
        the most it can be. 0 where too few models answered.
    likelihood_ratio : array
        How many times as usual such answers are where a key is wrong as among all questions.
    other_answer : int array
        Code of the answer that would be right instead.
    agreeing, wrong, answered : int array
        Models that gave it, models whose answer is not the key's, and models asked.
    share : float
        How many of all keys are wrong at most: 95 % confidence limit, at most `MOST_LABEL_ERRORS`.
    """

    probability: FloatVector
    likelihood_ratio: FloatVector
    other_answer: IntVector
    agreeing: IntVector
    wrong: IntVector
    answered: IntVector
    share: float

    def review_order(self, at_least: float = 0.5) -> IntVector:
        """Return the questions to review, the most suspect first; equal ones in their order."""
        order = np.lexsort((-self.likelihood_ratio, -self.probability))
        found: IntVector = order[self.probability[order] >= at_least].astype(np.int64)
        return found


def label_errors(
    answers: npt.ArrayLike,
    options: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32] | None = None,
) -> LabelErrors:
    """Estimate for each question how likely its key is wrong.

    Every other option of every question takes the place of the key once, each question counting
    once in all. A logistic regression tells these planted keys from the benchmark's own by the
    shares of models, plain and weighted by their accuracy, that gave the key and the most favoured
    other answers, by how many answers there are, by the number of options, and by how often models
    err around the question: failure is more suspicious where they succeed. Its odds are the
    likelihood ratio. Since the benchmark's own keys are a mixture of right and wrong ones, the
    share of wrong ones is at most the smallest ratio of own to planted keys in any set of answers
    (Blanchard, Lee & Scott 2010, JMLR 11). Sets are those above a score, and it is the upper
    confidence limit that is smallest (Garg et al. 2021, NeurIPS).

    Mistakes that models share are allowed for, as the benchmark's own keys show how usual they are.
    What no count of answers tells is a wrong key from a question that all models get wrong.

    Parameters
    ----------
    answers : int array, shape (models, n)
        0 the key's answer, 1, 2, … other answers (numbered for each question), -1 no answer could
        be read off, -2 not asked.
    options : array, shape (n,)
        Number of options; NaN for an open question.
    neighbours : int32 array, shape (n, k_max), optional
        On the map, nearest first.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    given = np.asarray(answers, dtype=np.int64)
    if given.ndim != 2 or np.shape(options) != given.shape[1:]:
        raise ValueError(f"{given.shape} answers but {np.shape(options)} numbers of options")
    if neighbours is not None and len(neighbours) != given.shape[1]:
        raise ValueError(f"{given.shape} answers but neighbours of {len(neighbours)} questions")
    asked = given != NOT_ASKED
    answered = asked.sum(axis=0)
    votes = _Votes.of(given)
    every = np.arange(given.shape[1])
    best = votes.favourites_but(every, np.zeros_like(every))[:, 0]
    agreeing = votes.counts[every, best].astype(np.int64)
    # An answer that nobody gave cannot be named; and among few, agreement says little.
    told = (answered >= FEWEST_ANSWERS) & (agreeing > 0)
    ratio, share = np.zeros(len(every)), 0.0
    if told.any():
        number = np.nan_to_num(np.asarray(options, dtype=np.float64), nan=_OPTIONS_IF_OPEN)
        around = _errors_around(given, neighbours)
        rows = np.flatnonzero(answered >= FEWEST_ANSWERS)
        found, share = _likelihood_ratios(votes, number, around, rows)
        ratio = np.where(told, found, 0.0)
    return LabelErrors(
        np.minimum(share * ratio, 1.0),
        ratio,
        np.where(told, best, NO_ANSWER),
        np.where(told, agreeing, 0),
        (asked & (given != GOLD)).sum(axis=0),
        answered,
        share,
    )


@dataclass(frozen=True)
class _Votes:
    """How many models gave each answer, and how able they are.

    Attributes
    ----------
    counts : array, shape (n, answers)
        Models. The last columns, as many as are looked at, are answers that nobody gave.
    shares, weights : array, shape (n, answers)
        Share of the models asked that gave each answer, and their share of the summed accuracies.
    favourites : int array, shape (n, 4)
        The answers with most weight, the most first.
    """

    counts: FloatVector
    shares: FloatVector
    weights: FloatVector
    favourites: IntVector

    @classmethod
    def of(cls, given: IntVector) -> _Votes:
        asked = given != NOT_ASKED
        able = (given == GOLD).sum(axis=1) / np.maximum(asked.sum(axis=1), 1)
        answers = int(given.max(initial=GOLD)) + 1 + _OTHERS_LOOKED_AT
        counts, weights = np.zeros((2, given.shape[1], answers))
        for model, own in enumerate(given):
            rows = np.flatnonzero(own >= GOLD)
            counts[rows, own[rows]] += 1
            weights[rows, own[rows]] += able[model]
        possible = (able[:, None] * asked).sum(axis=0)
        return cls(
            counts,
            counts / np.maximum(asked.sum(axis=0), 1)[:, None],
            weights / np.where(possible > 0, possible, 1.0)[:, None],
            np.argsort(-weights, axis=1, kind="stable")[:, : _OTHERS_LOOKED_AT + 1],
        )

    def favourites_but(self, rows: IntVector, key: IntVector) -> IntVector:
        """Return the three answers with most weight that are not the key, shape (rows, 3)."""
        ranked = self.favourites[rows]
        others = np.argsort(ranked == key[:, None], axis=1, kind="stable")[:, :_OTHERS_LOOKED_AT]
        return np.take_along_axis(ranked, others, axis=1)

    def features(self, rows: IntVector, key: IntVector) -> FloatVector:
        """Describe the answers to questions as if these answers had been their keys."""
        others = self.favourites_but(rows, key)
        there = self.counts[rows] > 0
        return np.column_stack(
            [
                self.weights[rows, key],
                self.shares[rows, key],
                np.take_along_axis(self.weights[rows], others, axis=1),
                self.shares[rows, others[:, 0]],
                there.sum(axis=1) - there[np.arange(len(rows)), key],
            ]
        )


def _errors_around(given: IntVector, neighbours: npt.NDArray[np.int32] | None) -> FloatVector:
    """Return how often models err on the neighbours of each question; 0 without any."""
    if neighbours is None or not neighbours.shape[1]:
        return np.zeros(given.shape[1])
    asked = given != NOT_ASKED
    errors = np.divide(
        (asked & (given != GOLD)).sum(axis=0),
        asked.sum(axis=0),
        out=np.full(given.shape[1], np.nan),
        where=asked.any(axis=0),
    )
    sums, draws = neighbour_sums(errors, neighbours, (min(NEIGHBOURHOOD, neighbours.shape[1]),))
    around: FloatVector = sums[0] / np.maximum(draws[0], 1)
    return around


def _likelihood_ratios(
    votes: _Votes, number: FloatVector, around: FloatVector, rows: IntVector
) -> tuple[FloatVector, float]:
    """Return the ratio at every question, fitted on some, and the share of wrong keys."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    given = votes.counts > 0
    number = np.maximum(number, np.maximum(given[:, 1:].sum(axis=1) + 1, _FEWEST_OPTIONS))
    named, key = np.nonzero(given[rows][:, 1:])
    unnamed = number[rows] - 1 - given[rows][:, 1:].sum(axis=1)
    questions = np.concatenate([rows, rows[named], rows])
    keys = np.concatenate([np.zeros_like(rows), key + 1, np.full_like(rows, given.shape[1] - 1)])
    weight = np.concatenate([np.ones(len(rows)), np.ones(len(named)), unnamed])
    weight /= np.where(np.arange(len(questions)) < len(rows), 1.0, number[questions] - 1)
    is_planted = np.arange(len(questions)) >= len(rows)
    there = weight > 0
    features = np.column_stack(
        [
            votes.features(questions[there], keys[there]),
            np.log(number[questions[there]]),
            around[questions[there]],
        ]
    )
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        LogisticRegression(solver="newton-cholesky"),
    )
    model.fit(features, is_planted[there], logisticregression__sample_weight=weight[there])
    odds = np.zeros(len(questions))
    odds[there] = model.decision_function(features)
    share = _share_of_label_errors(
        odds[~is_planted], odds[is_planted], weight[is_planted] / len(rows)
    )
    found = np.zeros(len(number))
    found[rows] = np.exp(np.minimum(odds[~is_planted], _MOST_LOG_RATIO))
    return found, share


def _share_of_label_errors(own: FloatVector, planted: FloatVector, weight: FloatVector) -> float:
    """Return the most that the share of wrong ones among the own keys can be, from all scores."""
    from scipy.special import betaincinv

    n = len(own)
    thresholds = np.sort(own)[::-1][: n - 1]
    if not len(thresholds):
        return MOST_LABEL_ERRORS
    above = np.searchsorted(np.sort(-own), -thresholds, side="right")
    order = np.argsort(-planted)
    mass = np.concatenate([[0.0], np.cumsum(weight[order])])
    of_planted = mass[np.searchsorted(-planted[order], -thresholds, side="right")]
    highest = betaincinv(above + 1, np.maximum(n - above, 1), _CONFIDENCE)
    bounds = np.divide(highest, of_planted, out=np.full(len(above), np.inf), where=of_planted > 0)
    return min(float(bounds.min()), MOST_LABEL_ERRORS)


def answer_codes(correct: Any, answers: Any) -> npt.NDArray[np.int64]:
    """Number the answers of several models to one benchmark, for `label_errors`.

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
