"""The table of a model's hot regions: every row with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.labelling import key_phrases
from errclust_pipeline.analysis.spatial.counts import FloatVector
from errclust_pipeline.analysis.spatial.hot_regions import HotRegion, hot_regions
from errclust_pipeline.analysis.spatial.local import LocalTest
from errclust_pipeline.analysis.spatial.scan import ScanCluster
from errclust_pipeline.analysis.spatial.smoothing import GraphKernel
from errclust_pipeline.analysis.spatial.trust import (
    best_scale,
    failure_form_association,
    smallest_visible_excess,
    split_half,
    stability,
)

if TYPE_CHECKING:
    import pandas as pd

ERRORS = "errors"
BEYOND_DIFFICULTY = "beyond_difficulty"
_EXEMPLARS = 5
_MOST_OF_A_ZONE = 0.5
_PHRASES = 5

COLUMNS = (
    "basis", "rank", "region_id", "label", "key_phrases", "size", "errors", "rate", "low", "high",
    "outside_rate",
    "expected", "log_likelihood_ratio", "k", "q", "replicated_halves", "held_out_excess",
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
    for basis, expectation in ((ERRORS, None), (BEYOND_DIFFICULTY, expected)):
        if basis == BEYOND_DIFFICULTY and expectation is None:
            continue
        found = hot_regions(marks, kernel, expectation, alpha)
        replications = split_half(found, marks, kernel, expectation)
        forms = failure_form_association(found, failure_forms)
        described = _key_phrases(found, phrases)
        for number, (region, replication) in enumerate(zip(found, replications, strict=True)):
            k = best_scale(region, tests)
            test = next(one for one in tests if one.k == k)
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
                    "outside_rate": region.outside_rate,
                    "expected": region.expected,
                    "log_likelihood_ratio": region.log_likelihood_ratio,
                    "k": k,
                    "q": region.q,
                    "replicated_halves": replication.halves,
                    "held_out_excess": replication.excess,
                    "hot_share_by_k": stability(region, tests, alpha),
                    "visible_excess": _visible(region, test, alpha),
                    **_form(forms[forms["region"] == number], alpha),
                    "scan_p": _scan_p(region, zones) if basis == ERRORS else None,
                    "question_ids": [question_ids[row] for row in region.members.tolist()],
                    "exemplars": _exemplars(region, marks, test, question_ids),
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


def _key_phrases(regions: Sequence[HotRegion], phrases: Sequence[Sequence[str]]) -> list[list[str]]:
    elsewhere = np.ones(len(phrases), dtype=np.bool_)
    texts: dict[str, list[Sequence[str]]] = {}
    for number, region in enumerate(regions):
        elsewhere[region.members] = False
        texts[str(number)] = [phrases[row] for row in region.members.tolist()]
    texts["elsewhere"] = [phrases[row] for row in np.flatnonzero(elsewhere).tolist()]
    found = key_phrases(texts, _PHRASES)
    return [list(found[str(number)].phrases) for number in range(len(regions))]


def _visible(region: HotRegion, test: LocalTest, alpha: float) -> float:
    """Return the power line at the threshold that the test at the region's scale came to."""
    known = ~np.isnan(test.p_hot)
    discovered = test.p_hot[known & (np.nan_to_num(test.q_hot, nan=1.0) < alpha)]
    threshold = float(discovered.max()) if len(discovered) else alpha / max(int(known.sum()), 1)
    overall = (region.errors + region.outside_rate * (known.sum() - region.size)) / known.sum()
    return smallest_visible_excess(region.size, float(overall), threshold)


def _form(forms: pd.DataFrame, alpha: float) -> dict[str, Any]:
    names = ("failure_form", "failure_form_share", "failure_form_share_elsewhere")
    significant = forms[forms["q"] < alpha]
    if significant.empty:
        return dict.fromkeys((*names, "failure_form_q"))
    first = significant.iloc[0]
    values = (first["failure_form"], first["share"], first["share_elsewhere"], first["q"])
    return dict(zip((*names, "failure_form_q"), values, strict=True))


def _scan_p(region: HotRegion, zones: Sequence[ScanCluster]) -> float | None:
    members = set(region.members.tolist())
    inside = [
        zone.p_gumbel
        for zone in zones
        if len(members.intersection(zone.members.tolist())) >= _MOST_OF_A_ZONE * zone.size
    ]
    return min(inside, default=None)


def _exemplars(
    region: HotRegion, marks: FloatVector, test: LocalTest, question_ids: Sequence[str]
) -> list[str]:
    """Return the wrong questions whose neighbourhoods are hottest."""
    wrong = region.members[marks[region.members] == 1]
    hottest = wrong[np.argsort(test.p_hot[wrong], kind="stable")][:_EXEMPLARS]
    return [question_ids[row] for row in hottest.tolist()]
