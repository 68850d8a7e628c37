"""Artefacts: responses that are wrong because they hold no readable answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.vocabulary import ARTEFACT_FORMS


def leave_out_artefacts(
    marks: npt.ArrayLike, failure_forms: Sequence[str | None]
) -> npt.NDArray[np.float64]:
    """Return the marks with NaN where the error is an artefact, so that statistics skip it.

    Parameters
    ----------
    marks : array, shape (n,)
        1 error, 0 none, NaN left out.
    failure_forms : sequence of str or None, length n
        How the response fails; None where it is right.
    """
    artefact = np.array([form in ARTEFACT_FORMS for form in failure_forms], dtype=np.bool_)
    return np.where(artefact, np.nan, np.asarray(marks, dtype=np.float64))


@dataclass(frozen=True)
class ModelMarks:
    """One model's results, by position on a map of n questions.

    Attributes
    ----------
    errors : float64 array, shape (n,)
        1 error, 0 none, NaN left out.
    failure_forms : tuple of str or None, length n
        How a wrong response fails; None where it is right or left out.
    """

    errors: npt.NDArray[np.float64]
    failure_forms: tuple[str | None, ...]

    def without_artefacts(self) -> ModelMarks:
        """Return the marks with artefacts left out; see `leave_out_artefacts`."""
        errors = leave_out_artefacts(self.errors, self.failure_forms)
        forms = tuple(
            None if is_left_out else form
            for is_left_out, form in zip(np.isnan(errors).tolist(), self.failure_forms, strict=True)
        )
        return ModelMarks(errors, forms)
