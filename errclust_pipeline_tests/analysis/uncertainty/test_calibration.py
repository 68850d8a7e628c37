"""Calibration, the corners, and where the promise of conformal sets fails."""

import numpy as np
import pytest

from errclust_pipeline.analysis.uncertainty import (
    ConformalMethod,
    GradedAnswers,
    calibration_curve,
    calibration_error_by_chance,
    confident_from,
    corners,
    coverage_by_region,
    expected_calibration_error,
    repeated_calibration,
    undercoverage_p,
)
from errclust_pipeline_tests.analysis.uncertainty.simulated import ragged_questions


def test_the_curve_and_its_error_are_those_of_plain_sums():
    confidence = np.array([0.05, 0.31, 0.39, 0.4, 0.95, 1.0])
    right = np.array([False, True, False, True, True, False])
    curve = calibration_curve(confidence, right)
    assert curve["questions"].tolist() == [1, 2, 1, 2]
    assert curve["low"].tolist() == pytest.approx([0, 0.3, 0.4, 0.9])
    assert curve["confidence"].tolist() == pytest.approx([0.05, 0.35, 0.4, 0.975])
    assert curve["accuracy"].tolist() == [0, 0.5, 1, 0.5]
    gaps = [1 * 0.05, 2 * 0.15, 1 * 0.6, 2 * 0.475]
    assert expected_calibration_error(confidence, right) == pytest.approx(sum(gaps) / 6)


def test_the_curve_agrees_with_scikit_learn():
    from sklearn.calibration import calibration_curve as of_sklearn

    generator = np.random.default_rng(0)
    confidence = generator.random(700)
    right = generator.random(700) < confidence**2
    accuracy, said = of_sklearn(right, confidence, n_bins=10)
    found = calibration_curve(confidence, right)
    np.testing.assert_allclose(found["accuracy"], accuracy)
    np.testing.assert_allclose(found["confidence"], said)


def test_a_calibrated_models_error_stays_below_its_bound_by_chance_19_times_of_20():
    generator = np.random.default_rng(3)
    confidence = generator.uniform(0.25, 1, 500)
    bound = calibration_error_by_chance(confidence)
    errors = [
        expected_calibration_error(confidence, generator.random(500) < confidence)
        for _ in range(400)
    ]
    assert 0.02 < np.mean(np.array(errors) > bound) < 0.09
    assert expected_calibration_error(confidence, generator.random(500) < confidence - 0.2) > bound


def test_confidences_are_probabilities():
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration_curve([1.2], [True])
    with pytest.raises(ValueError, match="of shape"):
        calibration_curve([0.2, 0.3], [True])


def test_the_corners_divide_at_the_median():
    confidence, right = np.array([0.9, 0.8, 0.3, 0.2]), np.array([True, False, True, False])
    assert confident_from(confidence) == pytest.approx(0.55)
    expected = ["confident_right", "confident_wrong", "unsure_right", "unsure_wrong"]
    assert corners(confidence, right).tolist() == expected
    assert set(corners(confidence, right, threshold=0.95)) == {"unsure_right", "unsure_wrong"}


@pytest.mark.parametrize(("n", "m", "alpha"), [(40, 15, 0.1), (200, 50, 0.05), (19, 30, 0.2)])
def test_undercoverage_has_the_exact_law_of_scores_without_ties(n, m, alpha):
    generator = np.random.default_rng(n)
    rank = int(np.ceil((n + 1) * (1 - alpha) - 1e-9))
    counts = []
    for _ in range(4000):
        threshold = np.sort(generator.random(n))[rank - 1]
        counts.append((generator.random(m) <= threshold).sum())
    for covered in np.unique(counts):
        simulated = np.mean(np.array(counts) <= covered)
        assert undercoverage_p(int(covered), m, n, alpha) == pytest.approx(simulated, abs=0.03)
    assert undercoverage_p(m, m, n, alpha) == pytest.approx(1)


def test_with_too_few_to_calibrate_by_nothing_is_missed():
    assert undercoverage_p(3, 9, 5, 0.1) == 1.0


def coverage(deceived, seed, alpha=0.1):
    """Regions of 2,000 questions on two levels; in one the right option is said to be unlikely."""
    probabilities, gold = ragged_questions(2000, seed, options=(4,), strength=2.5)
    coarse, fine = np.arange(2000) % 5, np.arange(2000) % 20
    if deceived is not None:
        here = np.flatnonzero(fine == deceived)
        wrong = here[np.random.default_rng(seed).random(len(here)) < 0.6]
        probabilities[wrong] = np.roll(probabilities[wrong], 1, axis=1)
    method = ConformalMethod(alpha)
    overall = repeated_calibration(probabilities, gold, coarse, method, repeats=6)
    within = [
        repeated_calibration(probabilities, gold, level, method, groups=level, repeats=6)
        for level in (coarse, fine)
    ]
    names = [[str(i + 1) for i in range(5)], [f"{i % 5 + 1}.{i // 5 + 1}" for i in range(20)]]
    right = np.nanargmax(probabilities, axis=1) == gold
    confidence = np.nanmax(probabilities, axis=1)
    wrong = corners(confidence, right) == "confident_wrong"
    return coverage_by_region(
        [coarse, fine], names, overall, within, GradedAnswers(right, confidence, wrong), alpha
    )


def test_the_region_where_the_promise_fails_is_found_and_its_own_sets_keep_it():
    found = coverage(deceived=8, seed=0)
    failing = found[(found["level"] == 2) & (found["q"] < 0.05)]
    assert failing["region_id"].tolist() == ["4.2"]
    one = failing.iloc[0]
    assert one["coverage"] < one["high"] < 0.9 < one["mondrian_coverage"] + 0.03
    assert one["mondrian_set_size"] > one["set_size"]
    assert one["questions"] == 100
    assert one["confidently_wrong"] > 2 * found["confidently_wrong"].median()


def test_where_the_promise_holds_hardly_a_region_is_said_to_break_it():
    any_found = [(coverage(None, seed)["q"] < 0.05).any() for seed in range(1, 21)]
    assert sum(any_found) <= 3
