"""How far to trust a hot region: replication, stability, power, and what goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import FloatVector, as_marks, benjamini_hochberg
from errclust_pipeline.analysis.spatial.hot_regions import HotRegion, hot_regions
from errclust_pipeline.analysis.spatial.local import LocalTest
from errclust_pipeline.analysis.spatial.smoothing import GraphKernel

if TYPE_CHECKING:
    import pandas as pd

POWER = 0.8
_REPLICATES = 0.05
_SEARCH_ALPHA = 0.2
"""Half the marks find less. What they find is tested on the other half, so they may be lenient."""


@dataclass(frozen=True)
class Replication:
    """Whether a region stands out on questions that had no part in finding it.

    Attributes
    ----------
    halves : int
        Of the two halves of the questions, in how many the place where the *other* half finds the
        region has more errors than elsewhere (one-sided exact p below 0.05). 0 to 2.
    excess : float
        Error rate there less the overall one (or the expected one), over both halves; the errors
        counted had no part in choosing the place. NaN if neither half finds the region.
    """

    halves: int
    excess: float


def split_half(
    regions: Sequence[HotRegion],
    marks: npt.ArrayLike,
    kernel: GraphKernel,
    expected: npt.ArrayLike | None = None,
    seed: int = 0,
) -> list[Replication]:
    """Find regions anew on a random half of the questions and test them on the other, both ways.

    Half the marks are left out, not half the map. Each region found on one half belongs to that of
    the regions in question with which it shares most; the other half's questions that lie in it
    (by their neighbours on the graph) are then tested. So neither which questions are tested nor
    how they came to be chosen depends on their marks.

    Parameters
    ----------
    regions : sequence of HotRegion
        Disjoint, as `hot_regions` finds them.
    marks, kernel, expected
        As of `hot_regions`.
    seed : int
        Of the halves.

    Returns
    -------
    list of Replication
        One a region.
    """
    own = as_marks(marks)
    probability = None if expected is None else np.asarray(expected, dtype=np.float64)
    if probability is not None:
        own = np.where(np.isnan(probability), np.nan, own)
    region_of = np.full(len(own), -1)
    for number, region in enumerate(regions):
        region_of[region.members] = number
    first = np.random.default_rng(seed).random(len(own)) < 0.5
    halves = np.zeros(len(regions), dtype=np.int64)
    excess, size = np.zeros(len(regions)), np.zeros(len(regions))
    for half in (first, ~first):
        inside = np.zeros((len(regions), len(own)), dtype=np.bool_)
        seen = np.where(half, own, np.nan)
        for found in hot_regions(seen, kernel, probability, alpha=_SEARCH_ALPHA):
            shared = region_of[found.members]
            if (shared >= 0).any():
                inside[np.bincount(shared[shared >= 0]).argmax()] |= _covered(found, kernel)
        hidden = ~half & ~np.isnan(own)
        for number in range(len(regions)):
            rows = np.flatnonzero(inside[number] & hidden)
            if not len(rows):
                continue
            p_value, expectation = _held_out(own, hidden, rows, probability)
            halves[number] += p_value < _REPLICATES
            excess[number] += own[rows].sum() - expectation
            size[number] += len(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        gaps = excess / size
    return [Replication(int(count), float(gap)) for count, gap in zip(halves, gaps, strict=True)]


def _held_out(
    own: FloatVector,
    hidden: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.int64],
    probability: FloatVector | None,
) -> tuple[float, float]:
    """Return the exact p value of the errors in some hidden rows, and how many were expected."""
    from scipy.stats import hypergeom, poisson_binom

    errors = int(own[rows].sum())
    if probability is not None:
        trials = poisson_binom(np.clip(probability[rows], 0, 1))
        return float(trials.sf(errors - 1)), float(probability[rows].sum())
    n, total = int(hidden.sum()), int(own[hidden].sum())
    return float(hypergeom.sf(errors - 1, n, total, len(rows))), len(rows) * total / n


def _covered(region: HotRegion, kernel: GraphKernel) -> npt.NDArray[np.bool_]:
    """Tell the questions most of whose graph neighbours of the seen half lie in a region.

    A region found on half the marks holds questions of that half only.
    """
    inside = np.zeros(kernel.transition.shape[0])
    inside[region.members] = 1.0
    # Members are half of the questions there, so a quarter of the neighbours is a majority.
    covered: npt.NDArray[np.bool_] = np.asarray(kernel.transition @ inside >= 0.25)
    return covered


def stability(region: HotRegion, tests: Sequence[LocalTest], alpha: float = 0.05) -> list[float]:
    """Return the share of a region's questions that are hot at each scale.

    Parameters
    ----------
    region : HotRegion
    tests : sequence of LocalTest
        Of the same marks, one a scale.
    alpha : float
        On q values.
    """
    return [float((test.q_hot[region.members] < alpha).mean()) for test in tests]


def best_scale(region: HotRegion, tests: Sequence[LocalTest]) -> int:
    """Return the number of neighbours at which a region's questions are hottest on average."""
    evidence = [
        float(np.log(np.maximum(test.p_hot[region.members], 1e-300)).mean()) for test in tests
    ]
    return tests[int(np.argmin(evidence))].k


def smallest_visible_excess(size: int, rate: float, p_value: float, power: float = POWER) -> float:
    """Return the weakness that a region of some size must have to be seen.

    The power line: the smallest excess over the overall error rate with which a region of ``size``
    questions would, with probability ``power``, have so many errors that their binomial tail is
    below ``p_value``. Both steps are exact.

    Parameters
    ----------
    size : int
        Questions.
    rate : float
        Overall error rate, 0 to 1.
    p_value : float
        The largest p value still called significant.
    power : float

    Returns
    -------
    float
        In points of rate, 0 to 1 - rate; NaN if no weakness, however large, could be seen.
    """
    from scipy.stats import beta, binom

    needed = int(binom.isf(p_value, size, rate)) + 1
    if needed > size:
        return float("nan")
    visible = float(beta.ppf(power, needed, size - needed + 1))
    return max(visible - rate, 0.0)


def failure_form_association(
    regions: Sequence[HotRegion], failure_forms: Sequence[str | None]
) -> pd.DataFrame:
    """Test which ways of failing are more frequent among a region's errors than among others.

    *Where* crossed with *how*: the exact hypergeometric test of each form in each region (Fisher's,
    one-sided), with Benjamini-Hochberg over all.

    Parameters
    ----------
    regions : sequence of HotRegion
    failure_forms : sequence of str or None, length n
        Of the response to each question on the map; None where it is right or left out.

    Returns
    -------
    DataFrame
        One row a region (``region``, its position from 0) and form: ``errors`` of the form,
        ``share`` of the region's errors, ``share_elsewhere``, ``p`` and ``q``; strongest first.
    """
    import pandas as pd
    from scipy.stats import hypergeom

    forms = np.array([form or "" for form in failure_forms], dtype=object)
    wrong = forms != ""
    kinds = sorted(set(forms[wrong]))
    rows = []
    for number, region in enumerate(regions):
        inside = region.members[wrong[region.members]]
        for kind in kinds:
            errors, total = int((forms[inside] == kind).sum()), int((forms == kind).sum())
            others = int(wrong.sum()) - len(inside)
            rows.append(
                {
                    "region": number,
                    "failure_form": kind,
                    "errors": errors,
                    "share": errors / len(inside) if len(inside) else np.nan,
                    "share_elsewhere": (total - errors) / others if others else np.nan,
                    "p": float(hypergeom.sf(errors - 1, int(wrong.sum()), total, len(inside))),
                }
            )
    columns = ["region", "failure_form", "errors", "share", "share_elsewhere", "p"]
    table = pd.DataFrame(rows, columns=columns)
    p_values: FloatVector = table["p"].to_numpy(dtype=np.float64)
    table["q"] = benjamini_hochberg(np.minimum(p_values, 1.0))
    return table.sort_values(["region", "p"], kind="stable", ignore_index=True)
