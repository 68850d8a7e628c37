"""Responses that are wrong because nothing could be read off them, a matter of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from errclust_pipeline.vocabulary import ARTEFACT_FORMS


def leave_out_artefacts(
    marks: npt.ArrayLike, failure_forms: Sequence[str | None]
) -> npt.NDArray[np.float64]:
    """Return the marks with NaN where the error is an artefact, so that statistics pass it over.

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out.
    failure_forms : sequence of str or None, length n
        How the response fails; None where it is right.
    """
    artefact = np.array([form in ARTEFACT_FORMS for form in failure_forms], dtype=np.bool_)
    return np.where(artefact, np.nan, np.asarray(marks, dtype=np.float64))
