"""The table of models' signatures: each model's deviation in every region, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.comparison.signatures import fit_signatures
from errclust_pipeline.analysis.question_map import QuestionMap


def signature_records(
    errors: Mapping[str, npt.NDArray[np.float64]], questions: QuestionMap
) -> list[dict[str, Any]]:
    """Fit the signatures of models at each level of regions; see `fit_signatures`.

    Parameters
    ----------
    errors : mapping from str to float64 array, shape (n,)
        The errors of each model: 1 error, 0 none, NaN where it has no answer.
    questions : QuestionMap
        The map of the n questions.

    Returns
    -------
    list of dict
        For each level, model and region: ``questions`` and ``errors`` of the model there, its
        ``deviation`` and the ``standard_deviation`` of that in logits, and its ``excess`` in points
        of error rate.
    """
    labels, names = questions.region_labels()
    records = []
    for level, regions in enumerate(names):
        wrong, total = _counts(errors, labels[:, level], len(regions))
        fit = fit_signatures(wrong, total)
        excess = fit.excess
        for row, model in enumerate(errors):
            for column, region in enumerate(regions):
                records.append(
                    {
                        "model": model,
                        "region_id": region,
                        "level": level + 1,
                        "questions": int(total[row, column]),
                        "errors": int(wrong[row, column]),
                        "deviation": float(fit.deviation[row, column]),
                        "standard_deviation": float(fit.standard_deviation[row, column]),
                        "excess": float(excess[row, column]),
                    }
                )
    return records


def _counts(
    errors: Mapping[str, npt.NDArray[np.float64]], region: npt.NDArray[np.int32], regions: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the errors and the answers of each model in each region, shape (models, regions)."""
    total = np.zeros((len(errors), regions), dtype=np.int64)
    wrong = np.zeros_like(total)
    for row, marks in enumerate(errors.values()):
        known = ~np.isnan(marks) & (region >= 0)
        total[row] = np.bincount(region[known], minlength=regions)
        wrong[row] = np.bincount(region[known], weights=marks[known], minlength=regions)
    return wrong, total
