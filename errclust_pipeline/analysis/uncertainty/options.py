"""From log-likelihoods of options to probabilities, where these can be compared at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float64]
FloatVector = npt.NDArray[np.float64]
IntVector = npt.NDArray[np.int64]
BoolVector = npt.NDArray[np.bool_]
BoolMatrix = npt.NDArray[np.bool_]

NO_LOG_LIKELIHOODS = "no log-likelihoods"
FEWER_THAN_TWO = "fewer than two options"
NOT_A_NUMBER = "log-likelihoods that are not numbers"
NO_RIGHT_OPTION = "right option not known"
UNKNOWN_LENGTHS = "what was scored for each option is not known"
DIFFERENT_LENGTHS = "options of different lengths"
NOTHING_TO_CALIBRATE_BY = "no other to calibrate by"
REMEDIES: Mapping[str, str] = {
    NO_LOG_LIKELIHOODS: (
        "the responses were generated, or their source does not keep log-likelihoods: evaluate the "
        "model with a multiple-choice task of lm-evaluation-harness and --log_samples"
    ),
    FEWER_THAN_TWO: "with a single option there is nothing to be unsure about",
    NOT_A_NUMBER: "the evaluation went wrong there: run it again",
    NO_RIGHT_OPTION: "no single option is marked as right, as in TruthfulQA's mc2",
    UNKNOWN_LENGTHS: (
        "log-likelihoods of letters can be compared, sums over texts of different length cannot: "
        "ingest files that hold the requests (lm-evaluation-harness's `arguments`)"
    ),
    NOTHING_TO_CALIBRATE_BY: "two that can be used are the least",
    DIFFERENT_LENGTHS: (
        "a log-likelihood is a sum over an option's tokens, so that short options look likelier: "
        "ingest with --metric acc_norm, if the files have it, to compare by length, or ask for "
        "letters"
    ),
}
"""Maps each reason for leaving a question out to what it means and what to do."""

_SHORT_WORD = 7
"""Letters of the longest answer word that is taken for one token, as yes, False and neither."""
_NORMALISED = ("acc_norm", "acc_bytes")
"""Metrics that divide an option's log-likelihood by its length."""


class NoOptionProbabilitiesError(ValueError):
    """No question has options that can be compared; the message says why and what to do."""

    def __init__(self, left_out: Mapping[str, int]) -> None:
        self.left_out = dict(left_out)
        told = [
            f"{count:,} questions with {reason} ({REMEDIES[reason]})"
            for reason, count in left_out.items()
        ]
        super().__init__("no option probabilities: " + ("; ".join(told) or "there is no question"))


@dataclass(frozen=True)
class OptionProbabilities:
    """What a model thinks of each option of each question that can be used.

    Attributes
    ----------
    rows : int64 array, shape (n,)
        Positions of the questions in what was given.
    probabilities : float64 array, shape (n, most options)
        Rows sum to 1; NaN where a question has fewer options.
    gold : int64 array, shape (n,)
        The right option.
    by_length : bool array, shape (n,)
        Whether log-likelihoods were divided by the options' lengths. Such probabilities order the
        options as the metric does, but are flatter than the model's own.
    left_out : mapping from reason to number of questions
        The reasons are the keys of `REMEDIES`.
    """

    rows: IntVector
    probabilities: FloatMatrix
    gold: IntVector
    by_length: BoolVector
    left_out: Mapping[str, int]

    @property
    def options(self) -> IntVector:
        """How many options each question has."""
        return option_counts(self.probabilities)

    def take(self, chosen: npt.NDArray[np.int64]) -> OptionProbabilities:
        """Return some of the questions, in the order of these positions in the arrays."""
        return OptionProbabilities(
            self.rows[chosen],
            self.probabilities[chosen],
            self.gold[chosen],
            self.by_length[chosen],
            self.left_out,
        )


def option_probabilities(
    log_likelihoods: Sequence[Sequence[float] | None],
    gold: Sequence[int | None],
    lengths: Sequence[Sequence[int] | None],
    texts: Sequence[Sequence[str] | None] | None = None,
    metrics: Sequence[str] | str = "acc",
) -> OptionProbabilities:
    """Turn log-likelihoods into probabilities of the options of each question, by softmax.

    A log-likelihood is a sum over tokens, and falls with each. Options of equal length, as letters
    are, compare by their sums, and so do answers of one short word. Others compare by
    log-likelihood a character, but only where the deciding metric does the same (`acc_norm`):
    otherwise the option called likeliest would not be the one that was scored.

    Parameters
    ----------
    log_likelihoods : sequence, length n
        Log-likelihoods of each question's options; None where there are none.
    gold : sequence of int or None, length n
        The right option, from 0.
    lengths : sequence, length n
        Characters of what was scored for each option, e.g. 1 for a letter; None if not known.
    texts : sequence, length n, optional
        The options. Where what was scored are the options themselves, they tell short words.
    metrics : str or sequence of str, length n
        The metric that decided.

    Returns
    -------
    OptionProbabilities
        Probabilities of the questions that can be used, in their order.

    Raises
    ------
    NoOptionProbabilitiesError
        If none can be used.
    ValueError
        If lengths differ.
    """
    n = len(log_likelihoods)
    of_metric = [metrics] * n if isinstance(metrics, str) else list(metrics)
    of_text = [None] * n if texts is None else list(texts)
    if not len(gold) == len(lengths) == len(of_text) == len(of_metric) == n:
        raise ValueError("log-likelihoods, right options, lengths, texts and metrics: as many each")
    rows, values, right, by_length = [], [], [], []
    left_out: Counter[str] = Counter()
    for row in range(n):
        found = _scores(log_likelihoods[row], gold[row], lengths[row], of_text[row], of_metric[row])
        if isinstance(found, str):
            left_out[found] += 1
            continue
        scores, divided = found
        rows.append(row)
        values.append(scores)
        right.append(gold[row])
        by_length.append(divided)
    if not rows:
        raise NoOptionProbabilitiesError(dict(left_out.most_common()))
    scores = np.full((len(rows), max(map(len, values))), np.nan)
    for position, one in enumerate(values):
        scores[position, : len(one)] = one
    weights = np.exp(scores - np.nanmax(scores, axis=1, keepdims=True))
    return OptionProbabilities(
        np.array(rows, dtype=np.int64),
        weights / np.nansum(weights, axis=1, keepdims=True),
        np.array(right, dtype=np.int64),
        np.array(by_length, dtype=np.bool_),
        dict(left_out.most_common()),
    )


def option_counts(probabilities: FloatMatrix) -> IntVector:
    """Return how many options each question has: those that are not NaN."""
    counts: IntVector = (~np.isnan(probabilities)).sum(axis=1).astype(np.int64)
    return counts


def chosen_options(probabilities: FloatMatrix) -> IntVector:
    """Return each question's likeliest option, the first of equals."""
    chosen: IntVector = np.nanargmax(probabilities, axis=1).astype(np.int64)
    return chosen


def _scores(
    likelihoods: Sequence[float] | None,
    gold: int | None,
    lengths: Sequence[int] | None,
    texts: Sequence[str] | None,
    metric: str,
) -> tuple[FloatVector, bool] | str:
    """Return what the options of a question compare by, and whether it is by length; or why not."""
    if likelihoods is None or not len(likelihoods):
        return NO_LOG_LIKELIHOODS
    sums = np.asarray(likelihoods, dtype=np.float64)
    if len(sums) < 2:
        return FEWER_THAN_TWO
    # An option that is impossible, at -inf, is as good as any, if another is possible.
    if np.isnan(sums).any() or not np.isfinite(sums.max()):
        return NOT_A_NUMBER
    if gold is None or not 0 <= gold < len(sums):
        return NO_RIGHT_OPTION
    if lengths is None or len(lengths) != len(sums) or min(lengths) < 1:
        return UNKNOWN_LENGTHS
    if len(set(lengths)) == 1:
        return sums, False
    if metric in _NORMALISED:
        return sums / np.asarray(lengths, dtype=np.float64), True
    if texts is not None and _are_short_words(texts, lengths):
        return sums, False
    return DIFFERENT_LENGTHS


def _are_short_words(texts: Sequence[str], lengths: Sequence[int]) -> bool:
    return len(texts) == len(lengths) and all(
        text.isalpha() and len(text) == length <= _SHORT_WORD
        for text, length in zip((text.strip() for text in texts), lengths, strict=True)
    )
