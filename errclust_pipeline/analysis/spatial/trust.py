"""How far to trust a hot region: replication, stability, power, and what goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.counts import FloatVector, as_marks, benjamini_hochberg
from errclust_pipeline.analysis.spatial.difficulty import AdjustedTest
from errclust_pipeline.analysis.spatial.hot_regions import HotRegion, WalkTest, hot_regions
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
        Number of halves of the questions, 0 to 2, that confirm the region: the place where the
        *other* half finds it has more errors than elsewhere (one-sided exact p below 0.05).
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
    (by their neighbours on the graph) are then tested. Their marks had no part in drawing the
    place. They had a part in its being looked at: only a place that stands out on all questions is.
    Where there is nothing at all, that lifts the excess by about 3 points and the share of halves
    that confirm from 3 to 7 % (measured on maps without structure).

    Parameters
    ----------
    regions : sequence of HotRegion
        Disjoint, as `hot_regions` finds them.
    marks, kernel, expected
        As of `hot_regions`.
    seed : int
        Random state that the halves are drawn with.

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
        for found in hot_regions(seen, kernel, probability, fdr=_SEARCH_ALPHA):
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


def stability(
    region: HotRegion, tests: Sequence[LocalTest | AdjustedTest], alpha: float = 0.05
) -> list[float]:
    """Return the share of a region's questions that are hot at each scale.

    Parameters
    ----------
    region : HotRegion
    tests : sequence of LocalTest or AdjustedTest
        Tests against the hypothesis that the region was found by, one for each scale.
    alpha : float
        On q values.
    """
    return [float((test.q_hot[region.members] < alpha).mean()) for test in tests]


def smallest_visible_excess(
    region: HotRegion,
    test: WalkTest,
    kernel: GraphKernel,
    alpha: float = 0.05,
    power: float = POWER,
) -> float:
    """Return how weak a model may be in a place without being seen there: the power line.

    The smallest excess of the error rate, the same all over the region, with which a typical member
    would be significant with probability ``power``, at the length of walk that shows it best. A
    walk leaves the region, so it sees only the share of the excess that lies inside; the threshold
    is what Benjamini-Hochberg came to on this map, or alpha over all tests where it found nothing.
    The result uses the normal approximation.

    Parameters
    ----------
    region : HotRegion
    test : WalkTest
        That found it.
    kernel : GraphKernel
        The map's kernel.
    alpha : float
        On q values.
    power : float

    Returns
    -------
    float
        0 to 1, in error rate; NaN if no weakness, however large, would be seen.
    """
    from scipy.stats import norm

    tested = ~np.isnan(test.p)
    discovered = test.p[tested & (np.nan_to_num(test.q, nan=1.0) < alpha)]
    threshold = float(discovered.max()) if len(discovered) else alpha / max(int(tested.sum()), 1)
    inside = np.zeros(test.p.shape[1])
    inside[region.members] = 1.0
    seen = np.median(kernel.averages(inside)[:, region.members], axis=1)
    errors = np.median(test.standard_error[:, region.members], axis=1)
    needed = float((norm.isf(threshold) + norm.ppf(power)) * (errors / seen).min())
    return needed if needed <= 1 else float("nan")


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
        Failure form of the response to each question; None where it is right or left out.

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
