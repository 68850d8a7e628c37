"""The table of hot spots: the local tests of every question at every scale, raw and adjusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.difficulty import AdjustedTest
from errclust_pipeline.analysis.spatial.local import LocalTest

if TYPE_CHECKING:
    import pandas as pd


def hot_spot_table(
    question_ids: Sequence[str],
    errors: npt.NDArray[np.float64],
    tests: Sequence[LocalTest],
    expected: npt.NDArray[np.float64] | None = None,
    adjusted: Sequence[AdjustedTest] | None = None,
) -> pd.DataFrame:
    """Return the tests as one row for each scale and answered question.

    Parameters
    ----------
    question_ids : sequence of str, length n
    errors : float64 array, shape (n,)
        1 error, 0 none, NaN where the model has no answer; such questions have no row.
    tests : sequence of LocalTest
        One for each scale.
    expected : float64 array, shape (n,), optional
        The expected errors by the difficulty of each question.
    adjusted : sequence of AdjustedTest, optional
        The tests adjusted for difficulty, at the same scales. Without them and ``expected`` the
        columns of the adjustment are NaN.

    Returns
    -------
    DataFrame
        Scale by scale, questions in their order.
    """
    import pandas as pd

    ids = np.array(question_ids, dtype=object)
    answered = ~np.isnan(errors)
    frames = []
    for position, test in enumerate(tests):
        at_scale = None if adjusted is None else adjusted[position]
        frame = test.to_frame().assign(
            question_id=ids,
            error=errors == 1,
            expected_error=np.nan if expected is None else expected,
            adjusted_expected=np.nan if at_scale is None else at_scale.expected,
            adjusted_p_hot=np.nan if at_scale is None else at_scale.p_hot,
            adjusted_q_hot=np.nan if at_scale is None else at_scale.q_hot,
            adjusted_p_cold=np.nan if at_scale is None else at_scale.p_cold,
            adjusted_q_cold=np.nan if at_scale is None else at_scale.q_cold,
        )
        frames.append(frame[answered])
    table = pd.concat(frames, ignore_index=True)
    return table.astype({"errors": "int32", "draws": "int32", "k": "int32"})
