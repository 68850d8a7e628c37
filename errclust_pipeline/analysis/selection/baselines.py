"""What a selection is to be better than: what anyone could do without a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.selection.coverage import covered_share

IntVector = npt.NDArray[np.int64]

RANDOM = "random candidates"
LIKE_THE_BENCHMARK = "random in the benchmark's distribution"
RANDOM_ERRORS = "nearest to random errors"
DENSEST_FIRST = "nearest to errors in the densest places"


def baseline_picks(
    name: str,
    nearest: npt.ArrayLike,
    candidates: int,
    errors: npt.ArrayLike,
    local_rate: npt.ArrayLike,
    budget: int,
    seed: int,
) -> IntVector:
    """Pick as a baseline does.

    Parameters
    ----------
    name : str
        `RANDOM`: candidates at random. `LIKE_THE_BENCHMARK`: the candidates nearest to random
        questions of the benchmark, right or wrong (Zeng et al. 2025, COLM, call it directly
        sampled). `RANDOM_ERRORS`: those nearest to random errors. `DENSEST_FIRST`: those nearest to
        the errors with the highest error rate around them.
    nearest : int array, shape (n,)
        The nearest candidate of each question.
    candidates : int
        How many there are.
    errors : array, shape (n,)
        1 for an error.
    local_rate : array, shape (n,)
    budget : int
    seed : int

    Returns
    -------
    int64 array
        Distinct candidates, as many as the budget or as there are.

    Raises
    ------
    ValueError
        If the name is none of these.
    """
    generator = np.random.default_rng(seed)
    closest = np.asarray(nearest, np.int64)
    wrong = np.flatnonzero(np.asarray(errors) == 1)
    ways: dict[str, Callable[[], npt.NDArray[Any]]] = {
        RANDOM: lambda: generator.permutation(candidates),
        LIKE_THE_BENCHMARK: lambda: closest[generator.permutation(len(closest))],
        RANDOM_ERRORS: lambda: closest[generator.permutation(wrong)],
        DENSEST_FIRST: lambda: closest[
            wrong[np.argsort(-np.asarray(local_rate)[wrong], kind="stable")]
        ],
    }
    if name not in ways:
        raise ValueError(f"unknown baseline {name!r}: known are {', '.join(ways)}")
    order = ways[name]()
    _, first = np.unique(order, return_index=True)
    picks: IntVector = order[np.sort(first)][:budget].astype(np.int64)
    return picks


def baseline_coverage(
    similarities: Any,
    weights: npt.ArrayLike,
    nearest: npt.ArrayLike,
    errors: npt.ArrayLike,
    local_rate: npt.ArrayLike,
    budget: int,
    repetitions: int = 10,
) -> dict[str, float]:
    """Return the share of the attainable demand that each baseline covers, by its name.

    Parameters
    ----------
    similarities : scipy.sparse matrix, shape (m, v)
        Similarities of the demand points to the candidates.
    weights : array, shape (m,)
    nearest, errors, local_rate
        As those of `baseline_picks`.
    budget : int
    repetitions : int
        Number of repetitions of each random baseline; their mean is returned.
    """
    found = {}
    for name in (LIKE_THE_BENCHMARK, RANDOM, RANDOM_ERRORS, DENSEST_FIRST):
        seeds = range(1 if name == DENSEST_FIRST else repetitions)
        shares = [
            covered_share(
                similarities,
                weights,
                baseline_picks(
                    name, nearest, similarities.shape[1], errors, local_rate, budget, seed
                ),
            )
            for seed in seeds
        ]
        found[name] = float(np.mean(shares))
    return found
