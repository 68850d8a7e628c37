"""Conformal sets against published values, plain loops and what is promised of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from errclust_pipeline.analysis.uncertainty import (
    ConformalMethod,
    conformal_sets,
    conformal_threshold,
    conformity_scores,
    repeated_calibration,
    sets_below,
    uncertainty_aware_accuracy,
)
from errclust_pipeline.vocabulary import CONFORMAL_FORMS, CONFORMAL_SCORES
from errclust_pipeline_tests.analysis.uncertainty.simulated import authors_toy, ragged_questions


@pytest.mark.parametrize(
    ("score", "size", "coverage", "uacc"),
    [("lac", 1.898, 0.906, 0.8840360768), ("aps", 2.382, 0.946, 0.7044082593)],
)
def test_the_papers_form_gives_the_authors_figures(score, size, coverage, uacc):
    logits, gold, calibration = authors_toy()
    found = conformal_sets(softmax(logits, axis=1), gold, calibration, 0.1, score, "paper")
    assert found.accuracy == 0.685
    assert found.set_size == size
    assert found.coverage == coverage
    assert found.uacc == pytest.approx(uacc, abs=1e-10)


def test_the_papers_form_gives_the_authors_figures_for_four_options():
    logits, gold, calibration = authors_toy()
    probabilities = softmax(logits[:, :4], axis=1)
    found = conformal_sets(probabilities, gold, calibration, 0.1, "lac", "paper")
    assert found.threshold == pytest.approx(0.8097687323, abs=1e-10)
    assert (found.accuracy, found.set_size, found.coverage) == (0.693, 1.818, 0.912)


def sets_by_loops(probabilities, gold, calibration, alpha, score, form):
    """The same from the definitions, one question and option at a time."""

    def ranked(row):
        known = [option for option in range(len(row)) if not math.isnan(row[option])]
        return sorted(known, key=lambda option: -row[option])

    def score_of(row, option):
        if score == "lac":
            return 1 - row[option]
        order = ranked(row)
        return min(sum(row[one] for one in order[: order.index(option) + 1]), 1.0)

    scores = sorted(score_of(probabilities[i], gold[i]) for i in np.flatnonzero(calibration))
    n = len(scores)
    rank = math.ceil((n + 1) * (1 - alpha))
    if form == "paper":
        limit = scores[math.ceil(min(rank / n, 1) * (n - 1) - 1e-12)]
    else:
        limit = scores[rank - 1] if rank <= n else math.inf
    found = []
    for row in probabilities[~calibration]:
        order, inside = ranked(row), set()
        if score == "lac":
            inside = {option for option in order if 1 - row[option] <= limit}
        else:
            mass = 0.0
            for option in order:
                if form == "textbook" and mass < limit:
                    inside.add(option)
                mass += row[option]
                if form == "paper" and min(mass, 1.0) <= limit:
                    inside.add(option)
        if not inside and form == "paper":
            inside = {order[0]}
        found.append(inside)
    return found


@pytest.mark.parametrize("form", CONFORMAL_FORMS)
@pytest.mark.parametrize("score", CONFORMAL_SCORES)
@pytest.mark.parametrize(("n", "alpha"), [(400, 0.1), (61, 0.25), (9, 0.1), (400, 0.003)])
def test_sets_are_those_of_plain_loops(n, alpha, score, form):
    probabilities, gold = ragged_questions(n, seed=n)
    calibration = np.random.default_rng(n).random(n) < 0.5
    found = conformal_sets(probabilities, gold, calibration, alpha, score, form)
    expected = sets_by_loops(probabilities, gold, calibration, alpha, score, form)
    assert [set(np.flatnonzero(row).tolist()) for row in found.sets] == expected
    answers = gold[~calibration]
    assert found.covered.tolist() == [
        answer in one for answer, one in zip(answers, expected, strict=True)
    ]


@pytest.mark.parametrize("score", CONFORMAL_SCORES)
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_coverage_is_what_is_promised_over_200_repetitions(score, alpha):
    """Of the textbook's form; LAC's is within sampling error of it from above too."""
    coverages = []
    for seed in range(200):
        probabilities, gold = ragged_questions(400, seed)
        calibration = np.arange(400) < 200
        coverages.append(conformal_sets(probabilities, gold, calibration, alpha, score).coverage)
    error = np.std(coverages, ddof=1) / math.sqrt(200)
    assert np.mean(coverages) > 1 - alpha - 3 * error
    if score == "lac":
        # At most 1 / (n + 1) above it where scores have no ties.
        assert np.mean(coverages) < 1 - alpha + 1 / 201 + 3 * error


@pytest.mark.parametrize("form", CONFORMAL_FORMS)
@pytest.mark.parametrize("score", CONFORMAL_SCORES)
def test_repeated_splits_keep_the_promise_in_each_group_if_calibrated_within(score, form):
    """One group's logits are deceived; marginal sets fail there, Mondrian sets do not."""
    generator = np.random.default_rng(1)
    n = 3000
    group = np.arange(n) % 5
    gold = generator.integers(0, 4, n)
    favourite = np.where((group == 0) & (generator.random(n) < 0.7), (gold + 1) % 4, gold)
    logits = generator.normal(size=(n, 4))
    logits[np.arange(n), favourite] += 3
    probabilities = softmax(logits, axis=1)
    method = ConformalMethod(0.1, score, form)
    everywhere = repeated_calibration(probabilities, gold, group, method, repeats=10)
    within = repeated_calibration(probabilities, gold, group, method, groups=group, repeats=10)
    assert everywhere.coverage.mean() > 0.89
    assert within.coverage.mean() > 0.89
    deceived = group == 0
    if score == "lac":
        assert everywhere.covered[deceived].mean() < 0.85
    assert within.covered[deceived].mean() > 0.88
    assert within.sizes[deceived].mean() >= everywhere.sizes[deceived].mean()


def test_every_question_gets_a_set_in_every_repeat_and_seeds_decide():
    probabilities, gold = ragged_questions(301, 2)
    strata = np.arange(301) % 7
    one, same, other = (
        repeated_calibration(
            probabilities, gold, strata, ConformalMethod(), repeats=4, random_state=seed
        )
        for seed in (5, 5, 6)
    )
    assert one.sizes.shape == (301,)
    assert one.coverage.shape == (4,)
    np.testing.assert_array_equal(one.sizes, same.sizes)
    assert (one.sizes != other.sizes).any()
    assert one.coverage.mean() == pytest.approx(one.covered.mean())


def test_halves_are_halves_of_every_stratum():
    from errclust_pipeline.analysis.uncertainty.conformal import _stratified_half

    strata = np.repeat([0, 1, 2, 3], [100, 31, 2, 1])
    shares = []
    for seed in range(50):
        half = _stratified_half(strata, np.random.default_rng(seed))
        assert abs(int(half.sum()) - 67) <= 1
        sizes = np.bincount(strata[half], minlength=4)
        assert np.all(np.abs(2 * sizes - [100, 31, 2, 1]) <= 1)
        shares.append(half)
    # No question is always on the same side.
    assert 0.2 < np.mean(shares, axis=0).min() < np.mean(shares, axis=0).max() < 0.8


@given(
    n=st.integers(1, 60),
    alpha=st.floats(0.01, 0.99),
    seed=st.integers(0, 1000),
    score=st.sampled_from(CONFORMAL_SCORES),
    form=st.sampled_from(CONFORMAL_FORMS),
)
@settings(max_examples=80, deadline=None)
def test_sets_grow_as_fewer_may_miss(n, alpha, seed, score, form):
    probabilities, gold = ragged_questions(n + 5, seed)
    calibration = np.arange(n + 5) < n
    smaller, larger = (
        conformal_sets(probabilities, gold, calibration, one, score, form)
        for one in (alpha, alpha / 2)
    )
    # A set that was filled with the likeliest option may have been empty before.
    assert (smaller.sets <= larger.sets).all()
    assert not larger.sets[np.isnan(probabilities[~calibration])].any()
    if form == "paper":
        assert (smaller.sizes >= 1).all()


def test_probabilities_that_add_up_to_a_hair_more_than_one_keep_all_options():
    rows = softmax(np.random.default_rng(0).normal(size=(500, 6)), axis=1)
    assert (np.cumsum(-np.sort(-rows, axis=1), axis=1)[:, -1] > 1).any()
    assert conformity_scores(rows, "aps").max() == 1.0
    assert sets_below(rows, 1.0, "aps", "paper").all()


def test_a_threshold_from_too_few_questions_lets_all_options_in_only_in_the_textbook():
    scores = np.array([0.2, 0.4, 0.3])
    assert conformal_threshold(scores, 0.1) == math.inf
    assert conformal_threshold(scores, 0.1, "paper") == 0.4
    assert conformal_threshold(np.arange(9) / 10, 0.7) == 0.2  # Not the fourth by rounding.


def test_uacc_is_that_of_the_paper_and_goes_by_question_if_options_differ():
    right, sizes = np.array([True, True, False]), np.array([1, 2, 3])
    assert uncertainty_aware_accuracy(right, sizes, np.full(3, 6)) == pytest.approx(
        (2 / 3) * math.sqrt(6) / 2
    )
    ragged = uncertainty_aware_accuracy(right, sizes, np.array([4, 4, 9]))
    assert ragged == pytest.approx((2 / 3) / np.mean([1 / 2, 2 / 2, 3 / 3]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": ConformalMethod(miscoverage=1.5)}, "miscoverage must be between 0 and 1"),
        ({"method": ConformalMethod(score="margin")}, "score must be one of lac, aps"),
        ({"method": ConformalMethod(form="thesis")}, "form must be one of textbook, paper"),
        ({"repeats": 0}, "repeats must be at least 1"),
        ({"strata": [0, 1]}, "2 strata for 4 questions"),
        ({"gold": np.array([0, 0, 0, 2])}, "a right option has no probability"),
        ({"gold": np.array([0])}, "expected one row a question"),
    ],
)
def test_what_does_not_fit_is_said(changes, message):
    probabilities = np.array([[0.5, 0.5, np.nan]] * 4)
    given_ = {
        "gold": np.zeros(4, dtype=int),
        "strata": [0, 0, 1, 1],
        "method": ConformalMethod(),
    } | changes
    with pytest.raises(ValueError, match=message):
        repeated_calibration(probabilities, **given_)
