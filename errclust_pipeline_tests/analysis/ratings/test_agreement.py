"""Agreement of judges and of rankings."""

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from errclust_pipeline.analysis.ratings import (
    battles_of,
    fit_ratings,
    rank_agreement,
    verdict_agreement,
    verdicts_by_judge,
)
from errclust_pipeline_tests.analysis.ratings.simulated import simulate


def test_kappa_is_scikit_learns():
    draw = np.random.default_rng(0)
    first = draw.choice([0, 0.5, 1], 500, p=[0.5, 0.2, 0.3])
    second = np.where(draw.random(500) < 0.6, first, draw.choice([0, 0.5, 1], 500))
    found = verdict_agreement(first, second)
    assert found.kappa == pytest.approx(cohen_kappa_score(2 * first, 2 * second))
    assert found.observed == pytest.approx((first == second).mean())
    decisive = (first != 0.5) & (second != 0.5)
    assert found.decisive == decisive.sum()
    assert found.observed_decisive == pytest.approx((first == second)[decisive].mean())


def test_only_what_both_judged_counts():
    found = verdict_agreement([1, np.nan, 0, 0.5], [1, 0, np.nan, 1])
    assert (found.battles, found.observed, found.decisive) == (2, 0.5, 1)
    assert verdict_agreement([np.nan], [1]).battles == 0
    with pytest.raises(ValueError, match="verdicts of one judge"):
        verdict_agreement([1], [1, 0])


def test_verdicts_are_put_side_by_side():
    battles = battles_of(["a"] * 4, ["b"] * 4, ["model_a", "tie", "model_b", "model_a"])
    found = verdicts_by_judge(battles, ["x", "y", "x", "z"], [10, 10, 20, 20])
    assert found["x"].tolist() == [1, 0]
    assert found["y"] == pytest.approx([0.5, np.nan], nan_ok=True)
    assert found["z"] == pytest.approx([np.nan, 1], nan_ok=True)


def test_two_samples_of_one_truth_agree_on_the_order_and_a_reversed_one_does_not():
    strength = np.linspace(-1.5, 1.5, 8)
    ratings, others = (fit_ratings(simulate(strength, 5_000, seed=seed)) for seed in (0, 1))
    found = rank_agreement(ratings, others)
    assert (found.models, found.kendall, found.spearman) == pytest.approx((8, 1, 1))
    assert found.correlation > 0.99
    reverse = fit_ratings(simulate(-strength, 5_000, seed=2))
    assert rank_agreement(ratings, reverse).kendall == pytest.approx(-1)


def test_ratings_of_models_that_never_met_have_no_order():
    apart = fit_ratings(battles_of(["a", "c"], ["b", "d"], ["tie", "tie"]))
    with pytest.raises(ValueError, match="do not connect"):
        rank_agreement(apart, apart)
    few = fit_ratings(battles_of(["a"], ["b"], ["tie"]))
    assert np.isnan(rank_agreement(few, few).kendall)
