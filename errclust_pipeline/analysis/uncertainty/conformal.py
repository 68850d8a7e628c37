"""Conformal sets: options that hold the right one with a promised probability.

Two scores of how badly an option fits. LAC, one less its probability, makes the smallest sets on
average (Sadinle, Lei & Wasserman 2019, JASA 114). APS, the probability of all options down to it,
makes sets that are larger where the model is less sure (Romano, Sesia & Candès 2020, NeurIPS).

Two forms. The textbook's (Angelopoulos & Bates 2023, Foundations and Trends in Machine Learning
16): if there are too few questions to calibrate by, a set holds all options; APS includes the
option at which the threshold is crossed; a LAC set may be empty. The paper's, that of the authors
of LLM-Uncertainty-Bench (Ye et al. 2024, arXiv 2401.12794): the quantile is one rank further on and
never above the largest score; APS ends before the threshold is crossed; an empty set is filled with
the likeliest option. Coverage is promised over questions that are exchangeable with those
calibrated by, on average over all; `regions` shows where it fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.uncertainty.options import (
    BoolMatrix,
    BoolVector,
    FloatMatrix,
    FloatVector,
    IntVector,
    chosen_options,
    option_counts,
)
from errclust_pipeline.vocabulary import (
    CONFORMAL_FORMS,
    CONFORMAL_SCORES,
    ConformalForm,
    ConformalScore,
)

DEFAULT_MISCOVERAGE = 0.1
"""Share of questions whose set may miss the right option; that of the paper."""
DEFAULT_REPEATS = 20
"""Number of random splits that sets are calibrated on."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class ConformalMethod:
    """Which conformal sets to make.

    Attributes
    ----------
    miscoverage : float
        Share of questions whose set may miss the right option, between 0 and 1.
    score : "lac" or "aps"
        How badly an option fits, see `conformity_scores`.
    form : "textbook" or "paper"
        How the threshold is taken and compared, see `conformal_threshold` and `sets_below`.
    """

    miscoverage: float = DEFAULT_MISCOVERAGE
    score: ConformalScore = "lac"
    form: ConformalForm = "textbook"


@dataclass(frozen=True)
class ConformalSets:
    """Sets of options of questions that were not calibrated by.

    Attributes
    ----------
    threshold : float
        What an option's score is compared with.
    sets : bool array, shape (n, most options)
    covered : bool array, shape (n,)
        Whether the right option is in the set.
    options : int64 array, shape (n,)
    right : bool array, shape (n,)
        Whether the likeliest option is the right one.
    """

    threshold: float
    sets: BoolMatrix
    covered: BoolVector
    options: IntVector
    right: BoolVector

    @property
    def sizes(self) -> IntVector:
        """Options in each set."""
        sizes: IntVector = self.sets.sum(axis=1).astype(np.int64)
        return sizes

    @property
    def set_size(self) -> float:
        """Mean size of the sets."""
        return float(self.sizes.mean())

    @property
    def coverage(self) -> float:
        """Share of sets that hold the right option."""
        return float(self.covered.mean())

    @property
    def accuracy(self) -> float:
        """Share of questions whose likeliest option is right."""
        return float(self.right.mean())

    @property
    def uacc(self) -> float:
        """Uncertainty-aware accuracy, see `uncertainty_aware_accuracy`."""
        return uncertainty_aware_accuracy(self.right, self.sizes, self.options)


def conformity_scores(probabilities: FloatMatrix, score: ConformalScore) -> FloatMatrix:
    """Return how badly each option fits: the larger, the worse.

    Parameters
    ----------
    probabilities : float64 array, shape (n, most options)
        NaN where a question has fewer options.
    score : "lac" or "aps"

    Returns
    -------
    float64 array, shape (n, most options)
        0 to 1; NaN where there is no option.
    """
    _known(score, CONFORMAL_SCORES, "score")
    if score == "lac":
        return 1 - probabilities
    # Sums of floats may end a hair above 1, and a threshold of 1 would then keep options out.
    return np.minimum(_mass_above(probabilities) + probabilities, 1.0)


def conformal_threshold(
    scores: FloatVector, miscoverage: float, form: ConformalForm = "textbook"
) -> float:
    """Return the threshold that a right option's score exceeds with at most this probability.

    Parameters
    ----------
    scores : float64 array, shape (n,)
        Scores of the right options of the calibration questions.
    miscoverage : float
        Share of questions whose set may miss the right option, between 0 and 1.
    form : "textbook" or "paper"

    Returns
    -------
    float
        Textbook: the ``ceil((n + 1) (1 - miscoverage))``-th smallest score, infinite if that rank
        is above n. Paper: numpy's quantile "higher" at ``ceil((n + 1) (1 - miscoverage)) / n``, at
        most 1.

    Raises
    ------
    ValueError
        If `miscoverage` is not between 0 and 1, `form` is unknown, or the paper's form gets no
        score.

    Examples
    --------
    The largest of four scores bounds four in five of further scores. No finite threshold bounds
    nine in ten, so sets would hold all options.

    >>> import numpy as np
    >>> scores = np.array([0.1, 0.7, 0.2, 0.4])
    >>> conformal_threshold(scores, miscoverage=0.2)
    0.7
    >>> conformal_threshold(scores, miscoverage=0.1)
    inf
    """
    _known(form, CONFORMAL_FORMS, "form")
    if not 0 < miscoverage < 1:
        raise ValueError(f"miscoverage must be between 0 and 1, got {miscoverage}")
    n = len(scores)
    if n == 0 and form == "paper":
        raise ValueError("there is no question to calibrate by")
    # Less a hair: 10 * (1 - 0.7) is a little more than 3.
    rank = max(math.ceil((n + 1) * (1 - miscoverage) - _ROUNDING), 1)
    if form == "paper":
        return float(np.quantile(scores, min(rank / n, 1.0), method="higher"))
    return math.inf if rank > n else float(np.partition(scores, rank - 1)[rank - 1])


def sets_below(
    probabilities: FloatMatrix,
    threshold: float | FloatVector,
    score: ConformalScore,
    form: ConformalForm,
) -> BoolMatrix:
    """Return the options that belong to each question's set.

    Parameters
    ----------
    probabilities : float64 array, shape (n, most options)
    threshold : float, or float64 array, shape (n,)
        The result of `conformal_threshold`.
    """
    _known(form, CONFORMAL_FORMS, "form")
    limit = np.broadcast_to(np.asarray(threshold, dtype=np.float64), (len(probabilities),))[:, None]
    if score == "aps" and form == "textbook":
        inside = _mass_above(probabilities) < limit
    else:
        inside = conformity_scores(probabilities, score) <= limit
    inside &= ~np.isnan(probabilities)
    if form == "paper":
        empty = np.flatnonzero(~inside.any(axis=1))
        inside[empty, chosen_options(probabilities)[empty] if len(empty) else empty] = True
    return inside


def conformal_sets(
    probabilities: FloatMatrix,
    gold: IntVector,
    calibration: BoolVector,
    miscoverage: float = DEFAULT_MISCOVERAGE,
    score: ConformalScore = "lac",
    form: ConformalForm = "textbook",
) -> ConformalSets:
    """Calibrate by some questions and make sets for the others.

    Parameters
    ----------
    probabilities : float64 array, shape (n, most options)
        The result of `option_probabilities`; NaN where a question has fewer options.
    gold : int64 array, shape (n,)
        The right option.
    calibration : bool array, shape (n,)
        The questions to calibrate by.
    miscoverage, score, form
        As in `ConformalMethod`.

    Returns
    -------
    ConformalSets
        Sets of the other questions, in their order.
    """
    _checked(probabilities, gold)
    used = np.asarray(calibration, dtype=np.bool_)
    scores = right_option_scores(probabilities[used], gold[used], score)
    threshold = conformal_threshold(scores, miscoverage, form)
    others, answers = probabilities[~used], gold[~used]
    sets = sets_below(others, threshold, score, form)
    return ConformalSets(
        threshold,
        sets,
        sets[np.arange(len(sets)), answers],
        option_counts(others),
        chosen_options(others) == answers,
    )


def right_option_scores(
    probabilities: FloatMatrix, gold: IntVector, score: ConformalScore
) -> FloatVector:
    """Return the right options' scores, those that a threshold is made from."""
    scores: FloatVector = conformity_scores(probabilities, score)[np.arange(len(gold)), gold]
    return scores


def uncertainty_aware_accuracy(
    right: BoolVector, sizes: FloatVector | IntVector, options: IntVector
) -> float:
    """Return UAcc, accuracy over set size in units of the square root of the number of options.

    ``accuracy * sqrt(options) / mean size`` (Ye et al. 2024, equation 6); where questions differ in
    their number of options, each set's size is divided by its own question's root. It may exceed 1.
    """
    relative = float((np.asarray(sizes) / np.sqrt(options)).mean())
    return float(np.mean(right)) / relative if relative > 0 else math.nan


@dataclass(frozen=True)
class RepeatedCalibration:
    """What repeated splits say of each question and of all.

    Attributes
    ----------
    sizes : float64 array, shape (n,)
        Mean size of a question's set over the repeats.
    covered : float64 array, shape (n,)
        Share of the repeats in which it held the right option.
    coverage, set_size, uacc : float64 arrays, shape (repeats,)
        Over all questions, in each repeat.
    calibrated_by : int
        Questions that each threshold is made from, half of all.
    """

    sizes: FloatVector
    covered: FloatVector
    coverage: FloatVector
    set_size: FloatVector
    uacc: FloatVector
    calibrated_by: int


def repeated_calibration(
    probabilities: FloatMatrix,
    gold: IntVector,
    strata: npt.ArrayLike | Sequence[Any],
    method: ConformalMethod,
    *,
    groups: npt.ArrayLike | None = None,
    repeats: int = DEFAULT_REPEATS,
    random_state: int = 0,
) -> RepeatedCalibration:
    """Split the questions in halves at random, several times, and calibrate each by the other.

    Every question thus gets a set in every repeat, from a threshold that it did not contribute to.

    Parameters
    ----------
    probabilities : float64 array, shape (n, most options)
        The result of `option_probabilities`; NaN where a question has fewer options.
    gold : int64 array, shape (n,)
        The right option.
    strata : array, shape (n,)
        Stratum of each question. Each stratum is split in halves, so that both halves are of the
        same topics.
    method : ConformalMethod
    groups : array, shape (n,), optional
        Group of each question. Each group is calibrated by itself: Mondrian conformal sets (Vovk,
        Gammerman & Shafer 2005), which keep the promised coverage in each group, with larger sets
        where sets calibrated on all questions would miss it.
    repeats : int
        Number of random splits.
    random_state : int
        Seed of the splits.

    Returns
    -------
    RepeatedCalibration

    Raises
    ------
    ValueError
        If there are fewer than two questions, or shapes or settings do not fit.
    """
    _checked(probabilities, gold)
    n = len(gold)
    if n < 2:
        raise ValueError("two questions at least are needed: one to calibrate by, one to test")
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")
    strata_of = _numbered(strata, n, "strata")
    members = _members(
        np.zeros(n, dtype=np.int64) if groups is None else _numbered(groups, n, "groups")
    )
    scores = right_option_scores(probabilities, gold, method.score)
    options, right = option_counts(probabilities), chosen_options(probabilities) == gold
    generator = np.random.default_rng(random_state)
    sizes, covered = np.zeros((repeats, n)), np.zeros((repeats, n), dtype=np.bool_)
    positions = np.arange(n)
    for repeat in range(repeats):
        half = _stratified_half(strata_of, generator)
        thresholds = _thresholds_by_other_half(scores, half, members, method)
        sets = sets_below(probabilities, thresholds, method.score, method.form)
        sizes[repeat] = sets.sum(axis=1)
        covered[repeat] = sets[positions, gold]
    return RepeatedCalibration(
        sizes.mean(axis=0),
        covered.mean(axis=0),
        covered.mean(axis=1),
        sizes.mean(axis=1),
        np.array([uncertainty_aware_accuracy(right, row, options) for row in sizes]),
        n // 2,
    )


def _thresholds_by_other_half(
    scores: FloatVector, half: BoolVector, members: Sequence[IntVector], method: ConformalMethod
) -> FloatVector:
    """Return each question's threshold, made from the other half of its group, shape (n,)."""
    thresholds = np.empty(len(scores))
    for group in members:
        first, second = group[half[group]], group[~half[group]]
        thresholds[first] = conformal_threshold(scores[second], method.miscoverage, method.form)
        thresholds[second] = conformal_threshold(scores[first], method.miscoverage, method.form)
    return thresholds


def _stratified_half(strata: IntVector, generator: np.random.Generator) -> BoolVector:
    """Return a random half of the questions that is half of each stratum, odd ones left over."""
    shuffled = generator.permutation(len(strata))
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    # Alternately, over the strata's borders too: so the halves differ by one question at most.
    half = np.zeros(len(strata), dtype=np.bool_)
    half[ordered[int(generator.integers(2)) :: 2]] = True
    return half


def _members(groups: IntVector) -> list[IntVector]:
    order = np.argsort(groups, kind="stable")
    edges = np.flatnonzero(np.diff(groups[order])) + 1
    return np.split(order, edges)


def _numbered(values: npt.ArrayLike | Sequence[Any], n: int, what: str) -> IntVector:
    numbers: IntVector = np.unique(np.asarray(values), return_inverse=True)[1].astype(np.int64)
    if numbers.shape != (n,):
        raise ValueError(f"{numbers.size} {what} for {n} questions")
    return numbers


def _mass_above(probabilities: FloatMatrix) -> FloatMatrix:
    """Return the probability of all likelier options; of equals, the first counts as likelier."""
    order = np.argsort(-probabilities, axis=1, kind="stable")  # NaN last.
    sorted_ = np.take_along_axis(probabilities, order, axis=1)
    before = np.zeros_like(sorted_)
    before[:, 1:] = np.cumsum(sorted_, axis=1)[:, :-1]
    mass = np.empty_like(before)
    np.put_along_axis(mass, order, before, axis=1)
    return mass


def _checked(probabilities: FloatMatrix, gold: IntVector) -> None:
    if probabilities.ndim != 2 or gold.shape != (len(probabilities),):
        raise ValueError(
            f"probabilities of shape {probabilities.shape} for {gold.shape} right options: "
            "expected one row a question"
        )
    if len(gold) and np.isnan(probabilities[np.arange(len(gold)), gold]).any():
        raise ValueError("a right option has no probability")


def _known(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        raise ValueError(f"{what} must be one of {', '.join(names)}, got {name!r}")
