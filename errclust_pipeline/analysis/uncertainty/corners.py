"""The four corners of confidence and correctness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from errclust_pipeline.vocabulary import CORNERS


def confident_from(confidence: npt.ArrayLike) -> float:
    """Return the confidence from which on a model counts as confident: its own median.

    A fixed number would do for no two models alike: one says .9 of nearly everything, another of
    nearly nothing. So a corner tells which of its answers a model trusts more than its others.
    """
    return float(np.median(np.asarray(confidence, dtype=np.float64)))


def corners(
    confidence: npt.ArrayLike, right: npt.ArrayLike, threshold: float | None = None
) -> npt.NDArray[np.str_]:
    """Return the corner of each question, one of `CORNERS`.

    Parameters
    ----------
    confidence : array, shape (n,)
        Probability of the option that was chosen.
    right : bool array, shape (n,)
    threshold : float, optional
        Confident from there on; by `confident_from` if not given.
    """
    said, hits = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.bool_)
    limit = confident_from(said) if threshold is None else threshold
    number = np.where(said >= limit, 0, 2) + np.where(hits, 0, 1)
    found: npt.NDArray[np.str_] = np.array(CORNERS)[number]
    return found
