"""Where the promise of conformal sets fails: coverage by region of the map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.spatial.counts import benjamini_hochberg
from errclust_pipeline.analysis.spatial.hot_regions import clopper_pearson
from errclust_pipeline.analysis.uncertainty.conformal import RepeatedCalibration
from errclust_pipeline.analysis.uncertainty.options import BoolVector, FloatVector, IntVector

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "region_id", "level", "questions", "accuracy", "confidence", "confidently_wrong", "set_size",
    "coverage", "low", "high", "p", "q", "mondrian_set_size", "mondrian_coverage",
)  # fmt: skip


@dataclass(frozen=True)
class GradedAnswers:
    """A model's answers to n questions; arrays of shape (n,).

    Attributes
    ----------
    right : bool array
        Whether the chosen option is the right one.
    confidence : float64 array, 0 to 1
        Probability of the chosen option.
    confidently_wrong : bool array
    """

    right: BoolVector
    confidence: FloatVector
    confidently_wrong: BoolVector


def coverage_by_region(
    labels: Sequence[IntVector],
    names: Sequence[Sequence[str]],
    overall: RepeatedCalibration,
    within: Sequence[RepeatedCalibration],
    answers: GradedAnswers,
    miscoverage: float,
) -> pd.DataFrame:
    """Test for each region whether sets calibrated on all questions keep their promise there.

    Parameters
    ----------
    labels : sequence of int arrays, shape (n,), one a level
        Region of each question; -1 for none.
    names : sequence of sequence of str
        At each level, the region of each label.
    overall : RepeatedCalibration
        Calibrated on all questions.
    within : sequence of RepeatedCalibration, one a level
        Calibrated within each region (Mondrian).
    answers : GradedAnswers
        Answers to the n questions.
    miscoverage : float
        Share of sets that may miss the right option; both calibrations promise it.

    Returns
    -------
    pandas.DataFrame
        One row a region with questions: shares and means over them, a 95 % Clopper-Pearson interval
        of the coverage, ``p`` by `undercoverage_p` and its q by Benjamini-Hochberg over the level.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for level, (of_level, known, own) in enumerate(zip(labels, names, within, strict=True), 1):
        of_this: list[dict[str, Any]] = []
        for number, name in enumerate(known):
            here = np.flatnonzero(of_level == number)
            if not len(here):
                continue
            # Rounded up, so that a fraction of a question counts in favour of the promise.
            covered = math.ceil(float(overall.covered[here].sum()) - 1e-9)
            low, high = clopper_pearson(covered, len(here))
            of_this.append(
                {
                    "region_id": name,
                    "level": level,
                    "questions": len(here),
                    "accuracy": float(answers.right[here].mean()),
                    "confidence": float(answers.confidence[here].mean()),
                    "confidently_wrong": float(answers.confidently_wrong[here].mean()),
                    "set_size": float(overall.sizes[here].mean()),
                    "coverage": float(overall.covered[here].mean()),
                    "low": low,
                    "high": high,
                    "p": undercoverage_p(covered, len(here), overall.calibrated_by, miscoverage),
                    "mondrian_set_size": float(own.sizes[here].mean()),
                    "mondrian_coverage": float(own.covered[here].mean()),
                }
            )
        q = benjamini_hochberg(np.array([row["p"] for row in of_this], dtype=np.float64))
        rows += [{**row, "q": value} for row, value in zip(of_this, q.tolist(), strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def undercoverage_p(covered: int, questions: int, calibrated_by: int, alpha: float) -> float:
    """Return the probability of covering so few of a region's questions, were the promise kept.

    The number covered of m questions exchangeable with the n calibrated by is beta-binomial with
    parameters ``n + 1 - l`` and ``l``, ``l = floor((n + 1) alpha)``, if scores have no ties, and
    larger otherwise (Vovk 2012, ACML; Angelopoulos & Bates 2023, section 3.2).
    """
    from scipy.stats import betabinom

    missed = math.floor((calibrated_by + 1) * alpha + 1e-9)
    if missed == 0:
        return 1.0
    return float(betabinom.cdf(covered, questions, calibrated_by + 1 - missed, missed))
