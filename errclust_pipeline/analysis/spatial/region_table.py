"""The table of a model's hot regions: every row with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.labelling import key_phrases
from errclust_pipeline.analysis.spatial.counts import FloatVector
from errclust_pipeline.analysis.spatial.difficulty import AdjustedTest
from errclust_pipeline.analysis.spatial.hot_regions import (
    HotRegion,
    WalkTest,
    hot_regions,
    walk_test,
)
from errclust_pipeline.analysis.spatial.local import LocalTest
from errclust_pipeline.analysis.spatial.scan import ScanCluster
from errclust_pipeline.analysis.spatial.smoothing import GraphKernel
from errclust_pipeline.analysis.spatial.trust import (
    failure_form_association,
    smallest_visible_excess,
    split_half,
    stability,
)
from errclust_pipeline.analysis.spatial.values import HighRegion
from errclust_pipeline.vocabulary import BEYOND_DIFFICULTY, ERRORS

if TYPE_CHECKING:
    import pandas as pd

_EXEMPLARS = 5
_MOST_OF_A_ZONE = 0.5
_PHRASES = 5

COLUMNS = (
    "basis", "rank", "region_id", "label", "key_phrases", "size", "errors", "rate", "low", "high",
    "core", "outside_rate", "expected", "log_likelihood_ratio", "walk", "scale", "q",
    "replicated_halves", "held_out_excess",
    "hot_share_by_k", "visible_excess", "failure_form", "failure_form_share",
    "failure_form_share_elsewhere", "failure_form_q", "scan_p", "question_ids", "exemplars",
)  # fmt: skip


def hot_region_table(
    marks: FloatVector,
    kernel: GraphKernel,
    tests: Sequence[LocalTest],
    question_ids: Sequence[str],
    region_ids: Sequence[str | None],
    labels: Mapping[str, str],
    phrases: Sequence[Sequence[str]],
    failure_forms: Sequence[str | None],
    expected: FloatVector | None = None,
    adjusted: Sequence[AdjustedTest] | None = None,
    zones: Sequence[ScanCluster] = (),
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Find a model's hot regions and gather what a reader needs to judge each.

    Parameters
    ----------
    marks : float64 array, shape (n,)
        1 error, 0 none, NaN left out.
    kernel : GraphKernel
        Of the map.
    tests : sequence of LocalTest
        Of the marks, one a scale.
    adjusted : sequence of AdjustedTest, optional
        Of the marks against ``expected``, at the same scales.
    question_ids : sequence of str, length n
    region_ids : sequence of str or None, length n
        The map's smallest region of each question.
    labels : mapping from region id to name
    phrases : sequence of sequence of str, length n
        Of each question's text, by `labelling.phrases_of`: a hot region is described by those that
        set its questions apart, which tells two apart that lie in one region of the map.
    failure_forms : sequence of str or None, length n
    expected : float64 array, shape (n,), optional
        Errors by difficulty; with it the regions beyond difficulty are found as well.
    zones : sequence of ScanCluster
        What the scan statistic finds in the same marks.
    alpha : float
        False discovery rate.

    Returns
    -------
    DataFrame
        With the columns of the table `hot_regions`.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    bases: list[tuple[str, FloatVector | None, Sequence[LocalTest | AdjustedTest]]]
    bases = [(ERRORS, None, tests)]
    if expected is not None and adjusted is not None:
        bases.append((BEYOND_DIFFICULTY, expected, adjusted))
    for basis, expectation, of_basis in bases:
        walks = walk_test(marks, kernel, expectation)
        found = hot_regions(marks, kernel, expectation, alpha, test=walks)
        replications = split_half(found, marks, kernel, expectation)
        forms = failure_form_association(found, failure_forms)
        described = describing_phrases(found, phrases)
        for number, (region, replication) in enumerate(zip(found, replications, strict=True)):
            region_id = main_region([region_ids[row] for row in region.members.tolist()])
            rows.append(
                {
                    "basis": basis,
                    "rank": number + 1,
                    "region_id": region_id,
                    "label": labels.get(region_id or ""),
                    "key_phrases": described[number],
                    "size": region.size,
                    "errors": region.errors,
                    "rate": region.rate,
                    "low": region.low,
                    "high": region.high,
                    "core": region.core,
                    "outside_rate": region.outside_rate,
                    "expected": region.expected,
                    "log_likelihood_ratio": region.log_likelihood_ratio,
                    "walk": region.walk,
                    "scale": region.scale,
                    "q": region.q,
                    "replicated_halves": replication.halves,
                    "held_out_excess": replication.excess,
                    "hot_share_by_k": stability(region, of_basis, alpha),
                    "visible_excess": smallest_visible_excess(region, walks, kernel, alpha),
                    **_form(forms[forms["region"] == number], alpha),
                    "scan_p": _scan_p(region, zones) if basis == ERRORS else None,
                    "question_ids": [question_ids[row] for row in region.members.tolist()],
                    "exemplars": _exemplars(region, marks, walks, question_ids),
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def hot_for_others(
    question_ids: Sequence[str], others: Mapping[str, Sequence[Sequence[str]]]
) -> list[str]:
    """Return the models for which a place is hot as well: most of it lies in their hot regions.

    Parameters
    ----------
    question_ids : sequence of str
        Of the place.
    others : mapping from model to sequences of str
        The questions of each of its hot regions.
    """
    wanted = set(question_ids)
    return [
        model
        for model, regions in others.items()
        if 2 * len(wanted.intersection(set().union(*regions))) > len(wanted)
    ]


def main_region(region_ids: Sequence[str | None]) -> str | None:
    """Return the smallest region that most of the questions lie in; None if there is none."""
    counts: Counter[str] = Counter()
    for path in region_ids:
        parts = path.split(".") if path else []
        counts.update(".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    most = [name for name, count in counts.items() if 2 * count > len(region_ids)]
    if most:
        return max(most, key=lambda name: (name.count("."), counts[name], name))
    first_level = {name: count for name, count in counts.items() if "." not in name}
    return max(first_level, key=lambda name: (first_level[name], name), default=None)


def describing_phrases(
    regions: Sequence[HotRegion | HighRegion], phrases: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Return for each region the phrases that set its questions apart from all others.

    Parameters
    ----------
    regions : sequence of HotRegion or HighRegion
    phrases : sequence of sequence of str, length n
        Of each question's text, by `labelling.phrases_of`.
    """
    elsewhere = np.ones(len(phrases), dtype=np.bool_)
    texts: dict[str, list[Sequence[str]]] = {}
    for number, region in enumerate(regions):
        elsewhere[region.members] = False
        texts[str(number)] = [phrases[row] for row in region.members.tolist()]
    texts["elsewhere"] = [phrases[row] for row in np.flatnonzero(elsewhere).tolist()]
    found = key_phrases(texts, _PHRASES)
    return [list(found[str(number)].phrases) for number in range(len(regions))]


def _form(forms: pd.DataFrame, alpha: float) -> dict[str, Any]:
    names = ("failure_form", "failure_form_share", "failure_form_share_elsewhere")
    significant = forms[forms["q"] < alpha]
    if significant.empty:
        return dict.fromkeys((*names, "failure_form_q"))
    first = significant.iloc[0]
    values = (first["failure_form"], first["share"], first["share_elsewhere"], first["q"])
    return dict(zip((*names, "failure_form_q"), values, strict=True))


def _scan_p(region: HotRegion, zones: Sequence[ScanCluster]) -> float | None:
    """Return the p value of the zones that agree with a region: most of one lies in the other."""
    members = set(region.members.tolist())
    agreeing = [
        zone.p_gumbel
        for zone in zones
        if len(members.intersection(zone.members.tolist()))
        >= _MOST_OF_A_ZONE * min(zone.size, region.size)
    ]
    return min(agreeing, default=None)


def _exemplars(
    region: HotRegion, marks: FloatVector, walks: WalkTest, question_ids: Sequence[str]
) -> list[str]:
    """Return the wrong questions whose surroundings are hottest."""
    wrong = region.members[marks[region.members] == 1]
    hottest = wrong[np.argsort(walks.p[:, wrong].min(axis=0), kind="stable")][:_EXEMPLARS]
    return [question_ids[row] for row in hottest.tolist()]
