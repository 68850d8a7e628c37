"""Overall accuracy with an honest interval, and how much of the errors are artefacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.comparison.artefacts import leave_out_artefacts
from errclust_pipeline.analysis.comparison.intervals import (
    TWO_SIDED_95,
    clustered_mean,
    wilson_interval,
)
from errclust_pipeline.vocabulary import ARTEFACT_FORMS

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Accuracy:
    """A model's share of right answers.

    Attributes
    ----------
    questions : int
    accuracy, low, high : float
        With a 95 % interval that allows for neighbouring questions to be alike.
    standard_error : float
        Clustered.
    design_effect : float
        How many times larger its square is than if all questions were independent.
    """

    questions: int
    accuracy: float
    low: float
    high: float
    standard_error: float
    design_effect: float


def clustered_accuracy(errors: npt.ArrayLike, clusters: Sequence[str | None]) -> Accuracy:
    """Estimate accuracy with an interval that allows for questions being alike.

    The standard error is cluster-robust (`clustered_mean`). The interval is Wilson's at the number
    of independent questions that say as much, with Student's t for few clusters (Korn & Graubard
    1998, Survey Methodology 24); so it is never narrower than for as many independent questions,
    and does not vanish where all answers are right.

    Parameters
    ----------
    errors : array, shape (n,)
        1 error, 0 none, NaN left out.
    clusters : sequence of str or None, length n
        The region each question is in; a question in none is a cluster by itself.
    """
    estimate = clustered_mean(1 - np.asarray(errors, dtype=np.float64), clusters)
    if estimate.n == 0:
        return Accuracy(0, *(float("nan"),) * 5)
    effect = max(estimate.design_effect, 1.0) if estimate.design_effect > 0 else 1.0
    independent = estimate.n / effect
    quantile = estimate.quantile if estimate.n > 1 else TWO_SIDED_95
    low, high = wilson_interval(estimate.mean * independent, independent, quantile)
    return Accuracy(
        estimate.n, estimate.mean, low, high, estimate.standard_error, estimate.design_effect
    )


def leaderboard(
    errors: Mapping[str, npt.NDArray[np.float64]],
    failure_forms: Mapping[str, Sequence[str | None]],
    clusters: Sequence[str | None],
) -> pd.DataFrame:
    """Rank the models of a benchmark.

    Parameters
    ----------
    errors : mapping from model to float64 array, shape (n,)
        1 error, 0 none, NaN left out.
    failure_forms : mapping from model to sequence of str or None, length n
        How each wrong response fails.
    clusters : sequence of str or None, length n
        Regions, for the intervals.

    Returns
    -------
    DataFrame
        One row a model, most accurate first: the fields of `Accuracy`; ``artefacts``, the share of
        responses that nothing could be read off, and that of each failure form;
        ``accuracy_without_artefacts``, over the other responses.
    """
    import dataclasses

    import pandas as pd

    rows = []
    for model, marks in errors.items():
        forms = np.array([form or "" for form in failure_forms[model]], dtype=object)
        forms[np.isnan(marks)] = ""
        estimate = clustered_accuracy(marks, clusters)
        without = clustered_accuracy(leave_out_artefacts(marks, list(forms)), clusters)
        answered = max(estimate.questions, 1)
        shares = {form: float((forms == form).sum()) / answered for form in sorted(ARTEFACT_FORMS)}
        rows.append(
            {
                "model": model,
                **dataclasses.asdict(estimate),
                "accuracy_without_artefacts": without.accuracy,
                "artefacts": sum(shares.values()),
                **shares,
            }
        )
    table = pd.DataFrame(rows)
    if table.empty:
        return table
    return table.sort_values(["accuracy", "model"], ascending=[False, True], ignore_index=True)
