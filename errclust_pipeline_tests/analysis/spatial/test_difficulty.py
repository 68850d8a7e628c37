"""Errors beyond difficulty: the Rasch model, expectations, and the test against them."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import poisson_binom

from errclust_pipeline.analysis.spatial import (
    TooFewModelsError,
    adjusted_tests,
    expected_errors,
    fit_rasch,
    local_hot_spots,
)
from errclust_pipeline.analysis.spatial.difficulty import poisson_binomial_tails
from errclust_pipeline_tests.analysis.spatial.maps import clustered_map


def simulated(weak_in=(), seed=0):
    """Eight models; whole clusters are hard; model 0 is weak in some clusters of its own."""
    neighbours, cluster = clustered_map()
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(0, 1.2, 12)[cluster] + generator.normal(0, 0.7, len(cluster))
    ability = np.linspace(-1, 1, 8)
    logits = difficulty[None, :] - ability[:, None]
    logits[0] += 2.5 * np.isin(cluster, weak_in)
    return neighbours, cluster, (generator.random(logits.shape) < expit(logits)).astype(float)


def test_rasch_maximises_its_penalised_likelihood():
    errors = (np.random.default_rng(0).random((4, 9)) < 0.4).astype(float)
    errors[1, 2] = np.nan
    errors[:, 3], errors[:, 4] = 1, 0

    def loss(parameters):
        p = expit(parameters[None, :9] - parameters[9:, None])
        terms = np.where(errors == 1, np.log(p), np.log(1 - p))
        return 0.5 * (parameters[:9] ** 2).sum() - terms[~np.isnan(errors)].sum()

    best = minimize(loss, np.zeros(13), method="BFGS")
    found = fit_rasch(errors)
    np.testing.assert_allclose(found.difficulty, best.x[:9], atol=1e-3)
    np.testing.assert_allclose(found.ability, best.x[9:], atol=1e-3)


def test_expectations_add_up_to_the_model_s_errors():
    neighbours, _, errors = simulated()
    errors[0, ::5] = np.nan
    expected = expected_errors(errors, 0, neighbours)
    known = ~np.isnan(errors[0])
    assert np.isnan(expected[~known]).all()
    assert ((expected[known] > 0) & (expected[known] < 1)).all()
    assert expected[known].sum() == pytest.approx(errors[0][known].sum(), rel=1e-3)


def test_fewer_than_three_models_are_too_few():
    neighbours, _, errors = simulated()
    with pytest.raises(TooFewModelsError, match="2 models"):
        expected_errors(errors[:2], 0, neighbours)


def test_tails_are_those_of_the_poisson_binomial_law():
    generator = np.random.default_rng(0)
    probabilities = generator.beta(1, 2, 60)
    probabilities[:3] = 0, 1, 0
    neighbours = generator.permuted(np.tile(np.arange(60), (20, 1)), axis=1)[:, :40].astype(
        np.int32
    )
    counts = np.stack([generator.integers(0, 11, 20), generator.integers(0, 41, 20)])
    at_least, at_most = poisson_binomial_tails(probabilities, neighbours, counts, (10, 40))
    for scale, k in enumerate((10, 40)):
        for row in range(20):
            law = poisson_binom(probabilities[neighbours[row, :k]])
            assert at_least[scale, row] == pytest.approx(law.sf(counts[scale, row] - 1), abs=1e-9)
            assert at_most[scale, row] == pytest.approx(law.cdf(counts[scale, row]), abs=1e-9)


def test_what_is_hard_for_everyone_is_no_weakness_of_a_model():
    neighbours, _, errors = simulated()
    raw = local_hot_spots(errors[3], neighbours, 30)
    expected = expected_errors(errors, 3, neighbours)
    adjusted = adjusted_tests(errors[3], expected, neighbours, (30,))[0]
    assert (raw.q_hot < 0.05).sum() > 100
    assert (adjusted.q_hot < 0.05).sum() == 0


def test_a_model_s_own_weakness_is_found_among_what_is_hard():
    neighbours, cluster, errors = simulated(weak_in=(5,))
    expected = expected_errors(errors, 0, neighbours)
    hot = adjusted_tests(errors[0], expected, neighbours, (30, 100))[1].q_hot < 0.05
    assert hot.sum() > 30
    assert np.isin(cluster[hot], [5]).mean() > 0.8


def test_p_values_are_calibrated_where_difficulty_is_known():
    neighbours, _, _ = simulated()
    generator = np.random.default_rng(3)
    expected = generator.beta(1, 2, 1200)
    found, runs = 0, 150
    for _ in range(runs):
        marks = (generator.random(1200) < expected).astype(float)
        test = adjusted_tests(marks, expected, neighbours, (30,))[0]
        found += bool((test.q_hot < 0.05).any())
    assert found / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
