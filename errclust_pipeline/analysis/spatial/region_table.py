"""The table of a model's hot regions: every row with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

_OF_REGION = (
    "size", "errors", "rate", "low", "high", "core", "outside_rate", "expected",
    "log_likelihood_ratio", "walk", "scale", "q",
)  # fmt: skip
COLUMNS = (
    "basis", "rank", "region_id", "label", "key_phrases", *_OF_REGION, "replicated_halves",
    "held_out_excess", "hot_share_by_k", "visible_excess", "failure_form", "failure_form_share",
    "failure_form_share_elsewhere", "failure_form_q", "scan_p", "question_ids", "exemplars",
)  # fmt: skip


@dataclass(frozen=True)
class MapTexts:
    """What a map's questions and regions are called; sequences have one entry per question.

    Attributes
    ----------
    question_ids : sequence of str, length n
    region_ids : sequence of str or None, length n
        The smallest region of the map that holds the question.
    labels : mapping from region id to str
        Names of the map's regions.
    phrases : sequence of sequence of str, length n
        Phrases of each question's text, by `labelling.phrases_of`. A hot region is described by
        the phrases that set its questions apart. So two hot regions within one region of the map
        can be told apart.
    """

    question_ids: Sequence[str]
    region_ids: Sequence[str | None]
    labels: Mapping[str, str]
    phrases: Sequence[Sequence[str]]


@dataclass(frozen=True)
class ErrorTests:
    """One model's errors on a map, and the tests of them.

    Attributes
    ----------
    marks : float64 array, shape (n,)
        1 for an error, 0 for none, NaN for a question left out.
    failure_forms : sequence of str or None, length n
        How the response to each question fails.
    tests : sequence of LocalTest
        Local tests of the marks, one per scale.
    expected : float64 array, shape (n,), optional
        Probability of an error, by difficulty.
    adjusted : sequence of AdjustedTest, optional
        Local tests of the marks against ``expected``, at the scales of ``tests``.
    zones : sequence of ScanCluster
        Zones that the scan statistic finds in the same marks.
    """

    marks: FloatVector
    failure_forms: Sequence[str | None]
    tests: Sequence[LocalTest]
    expected: FloatVector | None = None
    adjusted: Sequence[AdjustedTest] | None = None
    zones: Sequence[ScanCluster] = ()


def hot_region_table(
    kernel: GraphKernel, texts: MapTexts, errors: ErrorTests, fdr: float = 0.05
) -> pd.DataFrame:
    """Find a model's hot regions and gather what a reader needs to judge each.

    Parameters
    ----------
    kernel : GraphKernel
        The map's kernel, from `graph_kernel`.
    texts : MapTexts
        Names and phrases of the same map.
    errors : ErrorTests
        Errors of the model, with their tests. With ``expected`` and ``adjusted``, the regions
        beyond difficulty are found as well.
    fdr : float
        False discovery rate, between 0 and 1.

    Returns
    -------
    DataFrame
        With the columns of the table `hot_regions`.

    Raises
    ------
    ValueError
        If marks are not 0, 1 and NaN, or ``fdr`` is not between 0 and 1.
    """
    import pandas as pd

    rows = _rows_of_basis(ERRORS, None, errors.tests, kernel, texts, errors, fdr)
    if errors.expected is not None and errors.adjusted is not None:
        rows += _rows_of_basis(
            BEYOND_DIFFICULTY, errors.expected, errors.adjusted, kernel, texts, errors, fdr
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows_of_basis(
    basis: str,
    expected: FloatVector | None,
    tests: Sequence[LocalTest | AdjustedTest],
    kernel: GraphKernel,
    texts: MapTexts,
    errors: ErrorTests,
    fdr: float,
) -> list[dict[str, Any]]:
    """Return one row per region that is hot against the null hypothesis of one basis."""
    walks = walk_test(errors.marks, kernel, expected)
    regions = hot_regions(errors.marks, kernel, expected, fdr, test=walks)
    replications = split_half(regions, errors.marks, kernel, expected)
    forms = failure_form_association(regions, errors.failure_forms)
    described = describing_phrases(regions, texts.phrases)
    rows = []
    for number, (region, replication) in enumerate(zip(regions, replications, strict=True)):
        members = region.members.tolist()
        region_id = main_region([texts.region_ids[row] for row in members])
        rows.append(
            {
                "basis": basis,
                "rank": number + 1,
                "region_id": region_id,
                "label": texts.labels.get(region_id or ""),
                "key_phrases": described[number],
                **{name: getattr(region, name) for name in _OF_REGION},
                "replicated_halves": replication.halves,
                "held_out_excess": replication.excess,
                "hot_share_by_k": stability(region, tests, fdr),
                "visible_excess": smallest_visible_excess(region, walks, kernel, fdr),
                **_form(forms[forms["region"] == number], fdr),
                "scan_p": _scan_p(region, errors.zones) if basis == ERRORS else None,
                "question_ids": [texts.question_ids[row] for row in members],
                "exemplars": _exemplars(region, errors.marks, walks, texts.question_ids),
            }
        )
    return rows


def hot_for_others(
    question_ids: Sequence[str], others: Mapping[str, Sequence[Sequence[str]]]
) -> list[str]:
    """Return the models for which a place is hot as well: most of it lies in their hot regions.

    Parameters
    ----------
    question_ids : sequence of str
        Questions of the place.
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
        Phrases of each question's text, from `labelling.phrases_of`.
    """
    elsewhere = np.ones(len(phrases), dtype=np.bool_)
    texts: dict[str, list[Sequence[str]]] = {}
    for number, region in enumerate(regions):
        elsewhere[region.members] = False
        texts[str(number)] = [phrases[row] for row in region.members.tolist()]
    texts["elsewhere"] = [phrases[row] for row in np.flatnonzero(elsewhere).tolist()]
    found = key_phrases(texts, _PHRASES)
    return [list(found[str(number)].phrases) for number in range(len(regions))]


def _form(forms: pd.DataFrame, fdr: float) -> dict[str, Any]:
    names = ("failure_form", "failure_form_share", "failure_form_share_elsewhere")
    significant = forms[forms["q"] < fdr]
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
