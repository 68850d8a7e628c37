"""Whether a model is right as often as it says: the calibration curve and its error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.uncertainty.options import FloatVector

if TYPE_CHECKING:
    import pandas as pd

BINS = 10


def calibration_curve(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS
) -> pd.DataFrame:
    """Compare confidence with accuracy in bins of equal width.

    Parameters
    ----------
    confidence : array, shape (n,)
        Probability of the option that was chosen, 0 to 1.
    right : array, shape (n,)
        Whether it was the right one.
    bins : int

    Returns
    -------
    pandas.DataFrame
        One row a bin that has questions: `low`, `high` (exclusive, but for 1), `questions`,
        `confidence`, `accuracy`.

    Raises
    ------
    ValueError
        If shapes differ or a confidence is outside 0 to 1.
    """
    import pandas as pd

    said, hits = _checked(confidence, right)
    number = np.minimum((said * bins).astype(np.int64), bins - 1)
    questions = np.bincount(number, minlength=bins)
    used = np.flatnonzero(questions)
    return pd.DataFrame(
        {
            "low": used / bins,
            "high": (used + 1) / bins,
            "questions": questions[used],
            "confidence": np.bincount(number, said, bins)[used] / questions[used],
            "accuracy": np.bincount(number, hits, bins)[used] / questions[used],
        }
    )


def expected_calibration_error(
    confidence: npt.ArrayLike, right: npt.ArrayLike, bins: int = BINS
) -> float:
    """Return the mean gap between confidence and accuracy, over bins by their questions.

    ECE, Guo, Pleiss, Sun & Weinberger (2017, ICML), equation 3. It is above 0 even for a perfectly
    calibrated model, the more so the fewer questions there are; see `calibration_error_by_chance`.

    Parameters
    ----------
    confidence : array, shape (n,)
        Probability of the option that was chosen, 0 to 1.
    right : array, shape (n,)
        Whether it was the right one.
    bins : int
        Number of bins of equal width.

    Returns
    -------
    float
        0 to 1; NaN for no question.

    Raises
    ------
    ValueError
        If shapes differ or a confidence is outside 0 to 1.

    Examples
    --------
    A model that says 75 % and is right on half of the questions is off by a quarter.

    >>> expected_calibration_error([0.75, 0.75, 0.75, 0.75], [1, 0, 1, 0])
    0.25
    """
    curve = calibration_curve(confidence, right, bins)
    gaps = np.abs(curve["confidence"] - curve["accuracy"])
    total = curve["questions"].sum()
    return float((curve["questions"] * gaps).sum() / total) if total else float("nan")


def calibration_error_by_chance(
    confidence: npt.ArrayLike, bins: int = BINS, repeats: int = 200, seed: int = 0
) -> float:
    """Return the 95th percentile of ECE if each answer were right as often as it is said to be."""
    said = np.asarray(confidence, dtype=np.float64)
    if not len(said):
        return float("nan")
    number = np.minimum((said * bins).astype(np.int64), bins - 1)
    generator = np.random.default_rng(seed)
    errors = []
    for _ in range(repeats):
        hits = generator.random(len(said)) < said
        errors.append(np.abs(np.bincount(number, said - hits, bins)).sum() / len(said))
    return float(np.quantile(errors, 0.95))


def _checked(confidence: npt.ArrayLike, right: npt.ArrayLike) -> tuple[FloatVector, FloatVector]:
    said, hits = (np.asarray(values, dtype=np.float64) for values in (confidence, right))
    if said.ndim != 1 or said.shape != hits.shape:
        raise ValueError(f"confidence of shape {said.shape} for answers of shape {hits.shape}")
    if not ((said >= 0) & (said <= 1 + 1e-9)).all():
        raise ValueError("a confidence must be between 0 and 1")
    return said, hits
