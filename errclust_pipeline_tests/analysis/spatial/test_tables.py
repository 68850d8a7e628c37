"""The tables of spatial statistics: what a row holds, and of which questions there is one."""

import numpy as np
import pytest

from errclust_pipeline.analysis.spatial import (
    adjusted_tests,
    global_statistics,
    hubness,
    local_hot_spots_at_scales,
)
from errclust_pipeline.analysis.spatial.autocorrelation_table import autocorrelation_records
from errclust_pipeline.analysis.spatial.hot_spot_table import hot_spot_table
from errclust_pipeline_tests.analysis.comparison.maps import small_map

SCALES = [3, 6]


@pytest.fixture(scope="module")
def questions():
    return small_map(60)


@pytest.fixture(scope="module")
def errors():
    marks = (np.random.default_rng(0).random(60) < 0.4).astype(float)
    marks[::10] = np.nan
    return marks


def test_autocorrelation_has_a_record_for_each_mark_and_scale(questions, errors):
    marks = {"errors": errors, "residual": errors - 0.4}
    records = autocorrelation_records(marks, questions, SCALES, 99)
    assert [(record["mark"], record["k"]) for record in records] == [
        (mark, k) for mark in marks for k in SCALES
    ]
    expected = global_statistics(errors, questions.neighbours, SCALES, 99)
    assert [record["moran"] for record in records[:2]] == [one.moran for one in expected]
    assert [record["p"] for record in records[:2]] == [one.p for one in expected]
    assert records[1]["largest_in_degree"] == hubness(questions.neighbours, 6).largest_in_degree


def test_hot_spots_have_a_row_for_each_scale_and_answered_question(questions, errors):
    tests = local_hot_spots_at_scales(errors, questions.neighbours, SCALES)
    table = hot_spot_table(questions.question_ids, errors, tests)
    answered = np.flatnonzero(~np.isnan(errors))
    assert table["k"].tolist() == [k for k in SCALES for _ in answered]
    names = [questions.question_ids[row] for row in answered]
    assert table["question_id"].tolist() == names * 2
    assert table["error"].tolist() == (errors[answered] == 1).tolist() * 2
    np.testing.assert_array_equal(table["p_hot"][: len(answered)], tests[0].p_hot[answered])
    assert table["adjusted_p_hot"].isna().all()


def test_hot_spots_carry_the_adjusted_tests_of_their_scale(questions, errors):
    expected = np.where(np.isnan(errors), np.nan, 0.4)
    tests = local_hot_spots_at_scales(errors, questions.neighbours, SCALES)
    adjusted = adjusted_tests(errors, expected, questions.neighbours, SCALES)
    table = hot_spot_table(questions.question_ids, errors, tests, expected, adjusted)
    answered = ~np.isnan(errors)
    second = table[table["k"] == 6]
    np.testing.assert_array_equal(second["adjusted_p_hot"], adjusted[1].p_hot[answered])
    np.testing.assert_array_equal(second["expected_error"], expected[answered])
