"""What is checked of every column: ranges, words, nested values and vectors."""

import numpy as np
import pyarrow as pa
import pytest

from errclust_pipeline.tables import (
    AUTOCORRELATION,
    CLUSTER_LABELS,
    HOT_REGIONS,
    LEADERBOARD,
    MODEL_PAIRS,
    PROMPT_REGIONS,
    QUESTION_MAP,
    REGION_LABELS,
    TABLES,
    TRAINING_CANDIDATES,
    UNCERTAINTY_SUMMARY,
)
from errclust_pipeline.tables.column import Range, Role

SHARES = [
    (table, column)
    for table in TABLES.values()
    for column in table.columns
    if column.role in (Role.SHARE, Role.PROBABILITY, Role.P_VALUE, Role.Q_VALUE)
]


def array_of(column, *values):
    if pa.types.is_list(column.type):
        return pa.array([list(values)], column.type)
    return pa.array(values, column.type)


@pytest.mark.parametrize(
    "column",
    [column for _, column in SHARES],
    ids=[f"{table.name}.{column.name}" for table, column in SHARES],
)
def test_every_share_and_probability_is_checked_and_nan_is_outside(column):
    assert column.problems(array_of(column, 0.0, 0.5, 1.0)) == []
    expected = f"3 values of {column.name} are outside 0 to 1"
    assert column.problems(array_of(column, 0.5, 1.5, -0.25, np.nan)) == [expected]


@pytest.mark.parametrize(
    ("table", "name"),
    [
        (CLUSTER_LABELS, "faithfulness_low"),
        (CLUSTER_LABELS, "main_failure_form_share"),
        (REGION_LABELS, "share_of_questions"),
        (PROMPT_REGIONS, "share_of_questions"),
        (HOT_REGIONS, "hot_share_by_k"),
        (HOT_REGIONS, "failure_form_q"),
        (AUTOCORRELATION, "orphans"),
        (UNCERTAINTY_SUMMARY, "alpha"),
        (LEADERBOARD, "refusal"),
        (MODEL_PAIRS, "gate_p"),
        (TRAINING_CANDIDATES, "coverage"),
    ],
)
def test_shares_that_no_list_named_are_among_those_checked(table, name):
    assert (table, table.column(name)) in SHARES


def test_what_rounding_leaves_above_one_is_not_a_problem():
    column = LEADERBOARD.column("artefacts")
    assert column.problems(pa.array([1 + 1e-12])) == []
    assert column.problems(pa.array([1 + 1e-6])) == ["1 values of artefacts are outside 0 to 1"]
    similarities = QUESTION_MAP.column("similarities")
    assert similarities.problems(pa.array([[np.float32(1.0000001)]], similarities.type)) == []


def test_nulls_are_passed_over():
    assert LEADERBOARD.column("accuracy").problems(pa.array([None], pa.float64())) == []
    assert HOT_REGIONS.column("failure_form").problems(pa.array([None], pa.string())) == []


def test_counts_are_not_negative_and_ranks_start_at_one():
    assert HOT_REGIONS.column("errors").problems(pa.array([0, -1], pa.int32())) == [
        "1 values of errors are outside 0 or more"
    ]
    assert HOT_REGIONS.column("rank").problems(pa.array([0], pa.int32())) == [
        "1 values of rank are outside 1 or more"
    ]


def test_words_inside_records_are_checked():
    exemplars = CLUSTER_LABELS.column("exemplars")
    values = [[{"role": "central"}, {"role": "lonely", "failure_form": "boredom"}], []]
    assert exemplars.problems(pa.array(values, exemplars.type)) == [
        "unknown exemplars.role: lonely",
        "unknown exemplars.failure_form: boredom",
    ]


def test_a_list_is_checked_across_chunks():
    column = HOT_REGIONS.column("hot_share_by_k")
    chunks = pa.chunked_array([[[0.5], [1.0, 2.0]], [[3.0]]], column.type)
    assert column.problems(chunks) == ["2 values of hot_share_by_k are outside 0 to 1"]


@pytest.mark.parametrize(("low", "high", "text"), [(0, 1, "0 to 1"), (1, np.inf, "1 or more")])
def test_a_range_says_itself(low, high, text):
    assert str(Range(low, high)) == text
