"""Which questions may guide training, and which are kept to measure what it brought."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.arbitrary_order import arbitrary_order


def in_development(question_ids: Sequence[str], share: float = 0.5) -> npt.NDArray[np.bool_]:
    """Say which questions belong to the development split; the others are held out.

    A hash of the question's id decides, so a question is in the same split for every model and run.

    Parameters
    ----------
    question_ids : sequence of str, length n
    share : float
        Share of the questions, 0 to 1, that may guide training.

    Returns
    -------
    bool array, shape (n,)

    Raises
    ------
    ValueError
        If the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    places = [int(arbitrary_order(name), 16) / 2**64 for name in question_ids]
    return np.array(places, dtype=np.float64) < share
