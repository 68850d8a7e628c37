"""Is a label true of its cluster? Tested on members and others that its writer has not seen.

Half of a cluster's errors are set aside before anything is written: neither examples nor key
phrases are taken from them. A label made of words that are frequent in a group would else be found
to fit the group even if it was drawn by lot: of key phrases counted in the very members that they
are tested on, twice as many passed as the interval allows for (`benchmarks/label_faithfulness.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.arbitrary_order import arbitrary_order
from errclust_pipeline.analysis.comparison.intervals import wilson_interval
from errclust_pipeline.analysis.knn_graph import FloatMatrix
from errclust_pipeline.analysis.labelling.exemplars import centroid_similarity

FEWEST_TO_TEST = 4
"""Unseen members, and as many others, without which there is no test."""
MOST_TO_TEST = 60
_NEAR = 4
_SIGNIFICANT = 0.05

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Faithfulness:
    """How well a label tells a cluster's members from others.

    Attributes
    ----------
    accuracy : float
        Balanced accuracy: the mean of the share of members recognised and the share of others
        turned down. 0.5 is what a label says that says nothing.
    low, high : float
        Its 95 % interval.
    members, others : int
        Tested.
    """

    accuracy: float
    low: float
    high: float
    members: int
    others: int


@dataclass(frozen=True)
class Unseen:
    """Rows that a label is tested on."""

    members: Rows
    others: Rows


def balanced_accuracy(recognised: int, members: int, turned_down: int, others: int) -> Faithfulness:
    """Return the balanced accuracy with its interval.

    The interval combines the Wilson intervals of both shares as if they were independent, which
    they are: of other questions (MOVER; Zou and Donner 2008, Statistics in Medicine 27,
    1693-1702).

    Parameters
    ----------
    recognised, members : int
        Members found to fit, and all; at least 1.
    turned_down, others : int
        Others found not to fit, and all; at least 1.
    """
    first, second = recognised / members, turned_down / others
    low1, high1 = wilson_interval(recognised, members)
    low2, high2 = wilson_interval(turned_down, others)
    accuracy = (first + second) / 2
    below = float(np.hypot(first - low1, second - low2)) / 2
    above = float(np.hypot(high1 - first, high2 - second)) / 2
    return Faithfulness(accuracy, accuracy - below, accuracy + above, members, others)


def faithfulness_by_similarity(
    members: npt.ArrayLike, others: npt.ArrayLike
) -> Faithfulness | None:
    """Test a label by how similar its own embedding is to those of members and others.

    A text counts as recognised if its similarity reaches a threshold. That is chosen on one half
    of the texts and applied to the other, and the other way round, so that no text has a say in
    how it is judged.

    Parameters
    ----------
    members, others : array, shape (n,) and (m,)
        Cosine similarities to the label, of texts in an order that has nothing to do with them.

    Returns
    -------
    Faithfulness or None
        None if there are fewer than `FEWEST_TO_TEST` of either.
    """
    inside, outside = np.asarray(members, dtype=float), np.asarray(others, dtype=float)
    if min(len(inside), len(outside)) < FEWEST_TO_TEST:
        return None
    recognised = turned_down = 0
    for half in (0, 1):
        threshold = _best_threshold(inside[1 - half :: 2], outside[1 - half :: 2])
        recognised += int((inside[half::2] >= threshold).sum())
        turned_down += int((outside[half::2] < threshold).sum())
    return balanced_accuracy(recognised, len(inside), turned_down, len(outside))


def _best_threshold(inside: npt.NDArray[np.float64], outside: npt.NDArray[np.float64]) -> float:
    """Return the middle of the thresholds that tell the two apart best."""
    values = np.unique(np.concatenate([inside, outside]))
    candidates = np.concatenate([[values[0]], (values[1:] + values[:-1]) / 2, [np.inf]])
    found = (inside >= candidates[:, None]).mean(axis=1)
    found += (outside < candidates[:, None]).mean(axis=1)
    best = candidates[found >= found.max() - 1e-12]
    return float(best[len(best) // 2])


def fits_another_better(
    own: npt.NDArray[np.float64], others: Sequence[npt.NDArray[np.float64]]
) -> bool:
    """Whether a label is more similar to the members of another cluster than to its own's.

    A label of another cluster tells members from errors far away too, if the two clusters are of a
    kind; but then it fits that other cluster better. Asked is only whether one of them fits better
    beyond chance (Welch's test, one-sided, 5 %): not every true label fits its own best by so much.

    Parameters
    ----------
    own : array, shape (n,)
        Cosine similarities of the label to unseen members.
    others : sequence of arrays
        Those to unseen members of each of the clusters beside it; such of fewer than two say
        nothing.
    """
    from scipy.stats import ttest_ind_from_stats

    found = [(part.mean(), part.std(ddof=1), len(part)) for part in others if len(part) > 1]
    if not found or len(own) < 2:
        return False
    means, deviations, sizes = np.array(found).T
    # Members that are all alike have no deviation at all, and there is nothing to divide by.
    deviations = np.maximum(deviations, 1e-9)
    tests = ttest_ind_from_stats(
        means, deviations, sizes, own.mean(), own.std(ddof=1), len(own), False, "greater"
    )
    return bool((tests.pvalue < _SIGNIFICANT).any())


def set_aside(groups: Sequence[Rows], names: Sequence[str]) -> Mask:
    """Choose the errors that labels are tested on and that no writer sees: half of each group.

    Groups too small for a test of a half are left to the writer whole.

    Parameters
    ----------
    groups : sequence of arrays of int
        Rows of errors, none in two groups.
    names : sequence of str, length n
        Names of the questions. Errors on the same question stay together.

    Returns
    -------
    bool array, shape (n,)
    """
    aside = np.zeros(len(names), dtype=np.bool_)
    for rows in groups:
        if len(rows) < 2 * FEWEST_TO_TEST:
            continue
        in_order = sorted({names[row] for row in rows}, key=arbitrary_order)
        chosen = set(in_order[1::2])
        aside[[row for row in rows if names[row] in chosen]] = True
    return aside


def unseen(vectors: FloatMatrix, members: Rows, aside: Mask, most: int = MOST_TO_TEST) -> Unseen:
    """Choose what a label is tested on: members and as many others, all of them set aside.

    Half of the others are drawn from those nearest to the cluster, half from all the rest. Within
    each the draw is even over the order of similarity, so the choice is the same every time.

    Parameters
    ----------
    vectors : array, shape (n, dimensions)
        Unit vectors of all errors.
    members : array of int
        Rows of the cluster's.
    aside : bool array, shape (n,)
        Which errors were (`set_aside`).
    most : int
        Members at most.
    """
    centroid = vectors[members].astype(np.float64).mean(axis=0)
    similarity = vectors @ centroid
    inner = np.argsort(-np.round(centroid_similarity(vectors[members]), 6), kind="stable")
    own = members[inner]
    chosen = _even(own[aside[own]], most)
    rest = np.setdiff1d(np.flatnonzero(aside), members)
    rest = rest[np.argsort(-np.round(similarity[rest], 6), kind="stable")]
    near = _even(rest[: _NEAR * len(chosen)], (len(chosen) + 1) // 2)
    far = _even(np.setdiff1d(rest, near, assume_unique=True), len(chosen) - len(near))
    return Unseen(_scattered(chosen), _scattered(np.concatenate([near, far])))


def _even(rows: Rows, most: int) -> Rows:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(int)] if most else rows[:0]


def _scattered(rows: Rows) -> Rows:
    """Return rows in an order that has nothing to do with what they were chosen by."""
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    scattered: Rows = np.sort(rows)[order].astype(np.intp)
    return scattered
