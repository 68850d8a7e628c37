"""Pairs of models: which are compared, and what is recorded of them."""

import numpy as np
import pytest

from errclust_pipeline.analysis.comparison import ModelAnswers, compare_pair
from errclust_pipeline.analysis.comparison.all_pairs import (
    closest_pairs,
    compare_pairs,
    pair_autocorrelation,
    pair_records,
)
from errclust_pipeline.analysis.spatial import global_statistics
from errclust_pipeline_tests.analysis.comparison.maps import small_map

ERRORS = {
    "best": np.array([0.0, 0, 0, 1]),
    "worst": np.array([1.0, 1, 1, np.nan]),
    "middle": np.array([0.0, 1, 0, 1]),
    "silent": np.full(4, np.nan),
}


def test_pairs_are_the_more_accurate_model_first_without_models_that_answered_nothing():
    pairs, possible = closest_pairs(ERRORS, 10)
    assert pairs == [("best", "middle"), ("best", "worst"), ("middle", "worst")]
    assert possible == 3


def test_of_many_pairs_the_closest_in_accuracy_are_chosen():
    pairs, possible = closest_pairs(ERRORS, 2)
    assert pairs == [("best", "middle"), ("middle", "worst")]
    assert possible == 3


@pytest.fixture(scope="module")
def answers():
    rng = np.random.default_rng(0)
    return {
        model: ModelAnswers((rng.random(80) < rate).astype(float), rng.integers(0, 4, 80).tolist())
        for model, rate in (("a", 0.2), ("b", 0.4), ("c", 0.5))
    }


def test_each_pair_is_compared_as_by_itself(answers):
    questions = small_map(80)
    pairs = [("a", "b"), ("b", "c")]
    comparisons = compare_pairs(answers, pairs, questions, [4] * 80, 0.1)
    labels, names = questions.region_labels()
    alone = compare_pair(
        answers["b"], answers["c"], labels, names, questions.region_ids, [4] * 80, 0.1
    )
    assert list(comparisons) == pairs
    assert comparisons["b", "c"].regions.equals(alone.regions)
    record = pair_records(comparisons)[1]
    assert (record["model_a"], record["model_b"]) == ("b", "c")
    assert record["difference"] == alone.difference.mean
    assert record["kappa"] == alone.agreement.kappa


def test_the_gap_of_a_pair_has_the_autocorrelation_of_its_marks(answers):
    questions = small_map(80)
    errors = {model: given.errors for model, given in answers.items()}
    records = pair_autocorrelation(errors, [("a", "c")], questions, [3, 5])
    gap = errors["a"] - errors["c"]
    expected = global_statistics(gap, questions.neighbours, [3, 5], permutations=0)
    assert [record["k"] for record in records] == [3, 5]
    assert [record["moran"] for record in records] == [one.moran for one in expected]
    assert [record["z"] for record in records] == pytest.approx([one.z for one in expected])
