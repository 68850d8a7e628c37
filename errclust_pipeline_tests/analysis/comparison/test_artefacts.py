"""Marks with and without artefacts."""

import numpy as np

from errclust_pipeline.analysis.comparison import ModelMarks


def test_artefacts_left_out_have_neither_mark_nor_failure_form():
    marks = ModelMarks(
        np.array([1.0, 1.0, 0.0, np.nan, 1.0]),
        ("wrong_answer", "truncated", None, None, "no_answer"),
    )
    found = marks.without_artefacts()
    np.testing.assert_array_equal(found.errors, [1.0, np.nan, 0.0, np.nan, np.nan])
    assert found.failure_forms == ("wrong_answer", None, None, None, None)
