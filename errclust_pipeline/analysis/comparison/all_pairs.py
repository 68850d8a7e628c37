"""Every pair of a benchmark's models, or the closest pairs where there are too many."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.comparison.pairs import ModelAnswers, PairComparison, compare_pair
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import (
    NeighbourWeights,
    global_statistics,
    neighbour_weights,
)

Pair: TypeAlias = tuple[str, str]
"""Two models, the more accurate one first."""


def closest_pairs(
    errors: Mapping[str, npt.NDArray[np.float64]], max_pairs: int
) -> tuple[list[Pair], int]:
    """Choose the pairs of models to compare: all of them, or those closest in accuracy.

    Parameters
    ----------
    errors : mapping from str to float64 array, shape (n,)
        The errors of each model: 1 error, 0 none, NaN where it has no answer. A model without any
        answer is in no pair.
    max_pairs : int
        Maximum number of pairs.

    Returns
    -------
    list of pairs of str
        Sorted; in each pair, the more accurate model first.
    int
        The number of pairs that there are.
    """
    rates = {
        model: float(np.nanmean(marks))
        for model, marks in errors.items()
        if not np.isnan(marks).all()
    }
    ranked = sorted(rates, key=lambda model: (rates[model], model))
    pairs = [(a, b) for position, a in enumerate(ranked) for b in ranked[position + 1 :]]
    closest = sorted(pairs, key=lambda pair: (rates[pair[1]] - rates[pair[0]], pair))[:max_pairs]
    return sorted(closest), len(pairs)


def compare_pairs(
    answers: Mapping[str, ModelAnswers],
    pairs: Sequence[Pair],
    questions: QuestionMap,
    option_counts: Sequence[int | None],
    fdr: float,
) -> dict[Pair, PairComparison]:
    """Compare pairs of models: overall, question by question, and in every region of the map.

    Parameters
    ----------
    answers : mapping from str to ModelAnswers
        The answers of each model, by position on the map.
    pairs : sequence of pairs of str
    questions : QuestionMap
    option_counts : sequence of int or None, length n
        The number of options of each question.
    fdr : float
        The level at which regions stand out; see `compare_models`.
    """
    labels, names = questions.region_labels()
    return {
        (a, b): compare_pair(
            answers[a], answers[b], labels, names, questions.region_ids, option_counts, fdr
        )
        for a, b in pairs
    }


def pair_records(comparisons: Mapping[Pair, PairComparison]) -> list[dict[str, Any]]:
    """Return one record for each pair: how alike their errors are, and their overall difference."""
    return [
        {
            "model_a": a,
            "model_b": b,
            **dataclasses.asdict(comparison.agreement),
            "difference": comparison.difference.mean,
            "difference_low": comparison.low,
            "difference_high": comparison.high,
            "gate_p": comparison.gate.p,
        }
        for (a, b), comparison in comparisons.items()
    ]


def pair_autocorrelation(
    errors: Mapping[str, npt.NDArray[np.float64]],
    pairs: Sequence[Pair],
    questions: QuestionMap,
    scales: Sequence[int],
) -> list[dict[str, Any]]:
    """Measure whether the difference of two models' errors concentrates on the map: Moran's I.

    Parameters
    ----------
    errors : mapping from str to float64 array, shape (n,)
        The errors of each model, NaN where it has no answer.
    pairs : sequence of pairs of str
    questions : QuestionMap
    scales : sequence of int
        Numbers of neighbours, ascending.

    Returns
    -------
    list of dict
        For each pair and scale: ``model_a``, ``model_b``, ``k``, ``moran`` and ``z``.
    """

    # Most models answer the same questions, so few sets of weights are needed.
    @lru_cache(maxsize=4)
    def weights_of(answered: bytes) -> NeighbourWeights:
        known = np.frombuffer(answered, dtype=np.bool_)
        return neighbour_weights(known, questions.neighbours, scales, questions.mutual)

    records = []
    for a, b in pairs:
        gap = errors[a] - errors[b]
        weights = weights_of((~np.isnan(gap)).tobytes())
        for statistic in global_statistics(
            gap, questions.neighbours, scales, permutations=0, weights=weights
        ):
            records.append(
                {
                    "model_a": a,
                    "model_b": b,
                    "k": statistic.k,
                    "moran": statistic.moran,
                    "z": statistic.z,
                }
            )
    return records
