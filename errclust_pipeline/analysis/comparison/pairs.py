"""Two models, region by region: is one worse here, and is the gap here unlike the overall gap?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.comparison.agreement import Agreement, agreement
from errclust_pipeline.analysis.comparison.intervals import (
    ClusteredMean,
    clustered_mean,
    newcombe_paired_interval,
)

if TYPE_CHECKING:
    import pandas as pd

IntMatrix = npt.NDArray[np.int32]
FloatVector = npt.NDArray[np.float64]

COLUMNS = (
    "region_id", "level", "questions", "errors_a", "errors_b", "only_a_wrong", "only_b_wrong",
    "difference", "low", "high", "overall_difference",
    "p_a_worse", "p_b_worse", "p_gap", "q_worse", "q_gap",
)  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """Whether the gap between two models varies over the regions at all.

    Attributes
    ----------
    statistic : float
        Chi-square of who is wrong alone, over regions.
    regions : int
        With at least one question that only one of the two gets wrong.
    p : float
        The p value, from permuting which of the two is wrong among those questions.
    """

    statistic: float
    regions: int
    p: float


@dataclass(frozen=True)
class ModelAnswers:
    """One model's answers to the questions of a map.

    Attributes
    ----------
    errors : float64 array, shape (n,)
        1 error, 0 none, NaN left out.
    choices : sequence of int or None, length n
        The option chosen, from 0; None where it is not known.
    """

    errors: FloatVector
    choices: Sequence[int | None]


@dataclass(frozen=True)
class PairComparison:
    """Two models side by side.

    Attributes
    ----------
    regions : DataFrame
        As of `compare_models`.
    gate : Gate
        Whether their gap varies over the regions of the first level.
    agreement : Agreement
        Whether they fail on the same questions.
    difference : ClusteredMean
        The mean of A's errors less B's, over all questions that both answered. Its standard error
        allows for questions of a region being alike.
    low, high : float
        Its 95 % interval.
    """

    regions: pd.DataFrame
    gate: Gate
    agreement: Agreement
    difference: ClusteredMean
    low: float
    high: float


def compare_pair(
    first: ModelAnswers,
    second: ModelAnswers,
    regions: IntMatrix,
    region_ids: Sequence[Sequence[str]],
    clusters: Sequence[str | None],
    option_counts: Sequence[int | None],
    alpha: float = 0.05,
) -> PairComparison:
    """Compare two models: overall, question by question, and region by region behind a gate.

    Parameters
    ----------
    first, second : ModelAnswers
        A and B.
    regions, region_ids, alpha
        As of `compare_models`.
    clusters : sequence of str or None, length n
        The smallest region of each question, for the overall difference's interval.
    option_counts : sequence of int or None, length n
        How many options each question has.
    """
    coarsest = regions[:, 0] if regions.shape[1] else np.full(len(regions), -1, dtype=np.int32)
    gate = heterogeneity_gate(first.errors, second.errors, coarsest)
    difference = clustered_mean(first.errors - second.errors, clusters)
    # Clusters that happen to be even must not make it narrower than independent questions are.
    error = difference.standard_error / np.sqrt(min(max(difference.design_effect, 1e-12), 1.0))
    half = difference.quantile * error
    return PairComparison(
        compare_models(first.errors, second.errors, regions, region_ids, alpha, gate),
        gate,
        agreement(first.errors, second.errors, first.choices, second.choices, option_counts),
        difference,
        float(difference.mean - half),
        float(difference.mean + half),
    )


def compare_models(
    errors_a: npt.ArrayLike,
    errors_b: npt.ArrayLike,
    regions: IntMatrix,
    region_ids: Sequence[Sequence[str]],
    alpha: float = 0.05,
    gate: Gate | None = None,
) -> pd.DataFrame:
    """Compare two models in every region of a map.

    Two questions are asked of each region, and both are answered from the questions that only one
    of the two models gets wrong:

    * *Is one of them worse here?* Exact McNemar test: of those questions, is A wrong on more than
      half? A model that is better overall is better almost everywhere, so this mostly repeats the
      leaderboard.
    * *Is the gap here unlike the overall gap?* Exact test of A's share of those questions here
      against its share of all of them, given both totals (hypergeometric).

    Regions are tested from the top: those of the first level together, then the parts of a region
    only if it stood out, each family of parts by Benjamini-Hochberg at a level lowered by the share
    of families that were opened (Benjamini & Bogomolov 2014, JRSS B 76), which keeps the expected
    share of false discoveries, averaged over opened families, below alpha.

    Parameters
    ----------
    errors_a, errors_b : arrays, shape (n,)
        1 error, 0 none, NaN left out; only questions that both answered count.
    regions : int32 array, shape (n, levels)
        Nested regions, -1 for none (`QuestionMap.region_labels`).
    region_ids : sequence of sequences of str
        At each level, the name of each region; a part's name is its parent's, a dot and a number.
    alpha : float
        Level of discoveries; q values are to be compared with it.
    gate : Gate, optional
        The result of `heterogeneity_gate` for the same models. If its p value is not below
        ``alpha``, no region's gap is tested.

    Returns
    -------
    DataFrame
        One row a region. ``difference`` is A's error rate less B's, with its 95 % interval by
        Newcombe's method for paired shares; ``overall_difference`` the same over all questions.
        ``p_gap`` is two-sided, ``q_worse`` belongs to the smaller of ``p_a_worse`` and
        ``p_b_worse``, doubled; q values are null in regions that were not tested, because the
        region they are part of did not stand out, or the gate was not passed. Strongest
        difference from the overall gap first.
    """
    table = _region_tests(
        np.asarray(errors_a, dtype=np.float64),
        np.asarray(errors_b, dtype=np.float64),
        regions,
        region_ids,
    )
    names = table["region_id"].tolist()
    worse = np.minimum(1.0, 2 * np.minimum(table["p_a_worse"], table["p_b_worse"]))
    table["q_worse"] = hierarchical_q_values(names, worse.to_numpy(dtype=np.float64), alpha)
    gap = table["p_gap"].to_numpy(dtype=np.float64)
    open_gate = gate is None or gate.p < alpha
    table["q_gap"] = hierarchical_q_values(names, gap, alpha) if open_gate else np.nan
    order = np.lexsort((table["region_id"], table["p_gap"], table["q_gap"].fillna(2.0)))
    return table.iloc[order].reset_index(drop=True)[list(COLUMNS)]


@dataclass(frozen=True)
class _PairCounts:
    """Number of questions that both models, only A, only B or neither of them got wrong."""

    both_wrong: int
    only_a_wrong: int
    only_b_wrong: int
    neither_wrong: int

    @property
    def questions(self) -> int:
        """Number of questions that both models answered."""
        return self.both_wrong + self.discordant + self.neither_wrong

    @property
    def discordant(self) -> int:
        """Number of questions that only one of the two models got wrong."""
        return self.only_a_wrong + self.only_b_wrong

    @property
    def difference(self) -> float:
        """A's error rate less B's."""
        return (self.only_a_wrong - self.only_b_wrong) / max(self.questions, 1)


def _pair_counts(a: FloatVector, b: FloatVector) -> _PairCounts:
    both_wrong = int(((a == 1) & (b == 1)).sum())
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    answered = int((~np.isnan(a) & ~np.isnan(b)).sum())
    return _PairCounts(both_wrong, only_a, only_b, answered - both_wrong - only_a - only_b)


def _region_tests(
    a: FloatVector, b: FloatVector, regions: IntMatrix, region_ids: Sequence[Sequence[str]]
) -> pd.DataFrame:
    """Return the table of `compare_models` without q values, regions in the order of the map."""
    import pandas as pd

    overall = _pair_counts(a, b)
    rows = []
    for level in range(regions.shape[1]):
        for number, region_id in enumerate(region_ids[level]):
            inside = regions[:, level] == number
            region = _pair_counts(a[inside], b[inside])
            if region.questions:
                row = {"region_id": region_id, "level": level + 1, **_tests(region, overall)}
                rows.append(row)
    return pd.DataFrame(rows, columns=[name for name in COLUMNS if not name.startswith("q_")])


def _tests(region: _PairCounts, overall: _PairCounts) -> dict[str, int | float]:
    """Return a region's columns that follow from its counts and those of all questions."""
    from scipy.stats import binom, hypergeom

    only_a, only_b, discordant = region.only_a_wrong, region.only_b_wrong, region.discordant
    low, high = newcombe_paired_interval(region.both_wrong, only_a, only_b, region.neither_wrong)
    upper = hypergeom.sf(only_a - 1, overall.discordant, overall.only_a_wrong, discordant)
    lower = hypergeom.cdf(only_a, overall.discordant, overall.only_a_wrong, discordant)
    return {
        "questions": region.questions,
        "errors_a": region.both_wrong + only_a,
        "errors_b": region.both_wrong + only_b,
        "only_a_wrong": only_a,
        "only_b_wrong": only_b,
        "difference": region.difference,
        "low": low,
        "high": high,
        "overall_difference": overall.difference,
        "p_a_worse": float(binom.sf(only_a - 1, discordant, 0.5)),
        "p_b_worse": float(binom.sf(only_b - 1, discordant, 0.5)),
        "p_gap": float(min(1.0, 2 * min(upper, lower))),
    }


def hierarchical_q_values(
    region_ids: Sequence[str], p_values: FloatVector, alpha: float = 0.05
) -> FloatVector:
    """Return q values down a tree of regions; NaN where a region's parent did not stand out.

    The regions without a dot in their name are one family, tested by Benjamini-Hochberg. The parts
    of each region with a q value below alpha are a family of their own, whose q values are
    multiplied by (families that could have been opened) / (families opened), as Benjamini &
    Bogomolov (2014) prescribe; and so on down.

    Parameters
    ----------
    region_ids : sequence of str, length m
        Names such as ``2``, ``2.1``.
    p_values : float64 array, shape (m,)
    alpha : float
    """
    from scipy.stats import false_discovery_control

    q_values: FloatVector = np.full(len(region_ids), np.nan)
    families: dict[str, list[int]] = {}
    for position, name in enumerate(region_ids):
        families.setdefault(name.rpartition(".")[0], []).append(position)
    opened, factor = [""], 1.0
    while opened:
        tested = [position for name in opened for position in families.get(name, [])]
        for name in opened:
            family = families.get(name, [])
            if family:
                adjusted = false_discovery_control(p_values[family]) * factor
                q_values[family] = np.minimum(adjusted, 1.0)
        parents = [position for position in tested if region_ids[position] in families]
        chosen = [region_ids[position] for position in parents if q_values[position] < alpha]
        factor *= len(parents) / len(chosen) if chosen else 1.0
        opened = chosen
    return q_values


def heterogeneity_gate(
    errors_a: npt.ArrayLike,
    errors_b: npt.ArrayLike,
    region: npt.NDArray[np.int32],
    permutations: int = 999,
    seed: int = 0,
) -> Gate:
    """Test whether the gap between two models varies over regions at all, before looking where.

    Parameters
    ----------
    errors_a, errors_b : arrays, shape (n,)
    region : int32 array, shape (n,)
        One region a question, -1 for none: a level of the map.
    permutations, seed : int
        Number of permutations, and the random state that they are drawn with. The smallest p value
        is ``1 / (permutations + 1)``.
    """
    a, b = np.asarray(errors_a, dtype=np.float64), np.asarray(errors_b, dtype=np.float64)
    alone = ~np.isnan(a) & ~np.isnan(b) & (a != b) & (region >= 0)
    where, who = np.unique(region[alone], return_inverse=True)[1], a[alone]
    if not len(who) or np.ptp(who) == 0:
        return Gate(0.0, int(where.max(initial=-1)) + 1, 1.0)
    sizes = np.bincount(where).astype(np.float64)
    share = float(who.mean())
    spread = sizes * share * (1 - share)

    def chi_square(marks: FloatVector) -> float:
        found = np.bincount(where, weights=marks, minlength=len(sizes))
        return float(((found - sizes * share) ** 2 / spread).sum())

    observed = chi_square(who)
    generator = np.random.default_rng(seed)
    # A hair below, so that rounding does not decide ties.
    reached = sum(
        chi_square(generator.permutation(who)) >= observed * (1 - 1e-12)
        for _ in range(permutations)
    )
    return Gate(observed, len(sizes), (1 + reached) / (permutations + 1))
