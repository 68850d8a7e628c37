"""Whether two judges, or two crowds, agree: on battles and on the ranking that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.ratings.battles import Battles
from errclust_pipeline.analysis.ratings.bradley_terry import Ratings


@dataclass(frozen=True)
class RankAgreement:
    """Two ratings of the same models.

    Attributes
    ----------
    models : int
        That both rate.
    kendall : float
        Kendall's tau-b: 1 for the same order, 0 for none, -1 for the reverse.
    spearman : float
        Correlation of the ranks.
    correlation : float
        Pearson's correlation of the ratings.
    """

    models: int
    kendall: float
    spearman: float
    correlation: float


@dataclass(frozen=True)
class VerdictAgreement:
    """Two judges' verdicts on the same battles.

    Attributes
    ----------
    battles : int
        That both judged.
    observed : float
        Share with the same verdict.
    by_chance : float
        The same if both gave their verdicts at random, each as often as they do.
    kappa : float
        Cohen's: agreement beyond chance, of what is possible; NaN if both always say the same.
    decisive : int
        Battles that neither called a tie.
    observed_decisive : float
        Share of them with the same winner.
    """

    battles: int
    observed: float
    by_chance: float
    kappa: float
    decisive: int
    observed_decisive: float


def rank_agreement(ratings: Ratings, others: Ratings) -> RankAgreement:
    """Compare how two ratings order the models that both rate; NaN for fewer than 3.

    Raises
    ------
    ValueError
        If either has models that its battles do not connect: their order means nothing.
    """
    from scipy.stats import kendalltau, spearmanr

    for one in (ratings, others):
        if (one.component[~np.isnan(one.rating)] > 0).any():
            raise ValueError("the ratings are of models that battles do not connect")
    values = [
        {
            name: value
            for name, value in zip(one.models, one.rating, strict=True)
            if not np.isnan(value)
        }
        for one in (ratings, others)
    ]
    shared = sorted(values[0].keys() & values[1].keys())
    if len(shared) < 3:
        return RankAgreement(len(shared), *(float("nan"),) * 3)
    first, second = (np.array([one[name] for name in shared]) for one in values)
    return RankAgreement(
        len(shared),
        float(kendalltau(first, second).statistic),
        float(spearmanr(first, second).statistic),
        float(np.corrcoef(first, second)[0, 1]),
    )


def verdict_agreement(scores: npt.ArrayLike, others: npt.ArrayLike) -> VerdictAgreement:
    """Compare two judges' verdicts on the same battles (Cohen 1960, EPM 20).

    Parameters
    ----------
    scores, others : arrays, shape (n,)
        1, 0.5 or 0 for A; NaN where a judge gave no verdict.
    """
    first, second = np.asarray(scores, dtype=np.float64), np.asarray(others, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} verdicts of one judge and {second.shape} of the other")
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    n = len(first)
    if not n:
        return VerdictAgreement(0, *(float("nan"),) * 3, 0, float("nan"))
    observed = float((first == second).mean())
    by_chance = sum(float((first == one).mean() * (second == one).mean()) for one in (0, 0.5, 1))
    decisive = (first != 0.5) & (second != 0.5)
    same = float((first == second)[decisive].mean()) if decisive.any() else float("nan")
    kappa = (observed - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
    return VerdictAgreement(n, observed, by_chance, kappa, int(decisive.sum()), same)


def verdicts_by_judge(
    battles: Battles, judges: Sequence[Any], pairs: Sequence[Any]
) -> dict[Any, npt.NDArray[np.float64]]:
    """Return each judge's score for model A of every pair of responses, NaN where there is none.

    Parameters
    ----------
    judges : sequence, length n
        The judge of each battle.
    pairs : sequence, length n
        What tells pairs of responses apart; A must be the same in all battles of a pair.
    """
    import pandas as pd

    number, _ = pd.factorize(pd.Series(pairs, dtype=object))
    found: dict[Any, npt.NDArray[np.float64]] = {}
    for judge, pair, score in zip(judges, number.tolist(), battles.score.tolist(), strict=True):
        if judge not in found:
            found[judge] = np.full(int(number.max()) + 1, np.nan)
        found[judge][pair] = score
    return found
