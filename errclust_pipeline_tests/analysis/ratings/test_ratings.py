"""Ratings against published values, other implementations and data with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from errclust_pipeline.analysis.ratings import (
    CENTRE,
    ELO,
    SCORES,
    Battles,
    NotComparableError,
    battles_of,
    bootstrap_ratings,
    components,
    fit_ratings,
    online_elo,
)
from errclust_pipeline.vocabulary import WINNERS
from errclust_pipeline_tests.analysis.ratings.simulated import names, simulate, wikipedia


def test_every_verdict_of_the_table_has_a_score():
    assert set(SCORES) == set(WINNERS)


def test_columns_become_numbers():
    battles = battles_of(
        ["b", "a", "b"], ["a", "c", "c"], ["model_b", "tie_bothbad", "model_a"], ["p", "q", "p"]
    )
    assert battles.models == ("a", "b", "c")
    assert battles.first.tolist() == [1, 0, 1]
    assert battles.second.tolist() == [0, 2, 2]
    assert battles.score.tolist() == [0.0, 0.5, 1.0]
    assert battles.prompts.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((["a"], ["b"], ["left"]), "a winner is 'left'"),
        ((["a"], ["a"], ["tie"]), "a meets itself"),
        ((["a"], ["b", "c"], ["tie"]), "of one length"),
        ((["a"], ["b"], ["tie"], []), "of one length"),
    ],
)
def test_columns_that_are_no_battles_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        battles_of(*columns)


def test_the_worked_example_of_wikipedia():
    ratings = fit_ratings(battles_of(*wikipedia()))
    assert ratings.models == ("A", "B", "C", "D")
    assert ratings.rating == pytest.approx([922.43, 1007.37, 927.77, 1142.44], abs=0.005)
    odds = np.exp((ratings.rating - CENTRE) / ELO)
    assert odds == pytest.approx([0.640, 1.043, 0.660, 2.270], abs=0.0005)
    assert ratings.standard_errors == pytest.approx([94.6, 84.2, 91.8, 108.4], abs=0.05)
    assert ratings.battles.tolist() == [10, 13, 12, 9]
    assert ratings.bounded.all()


def test_online_elo_of_evalicas_example():
    battles = battles_of(
        ["pizza", "burger", "pizza"], ["burger", "sushi", "sushi"], ["model_a", "model_b", "tie"]
    )
    assert battles.models == ("burger", "pizza", "sushi")
    assert online_elo(battles) == pytest.approx([996.01151, 1001.99993, 1001.98855], abs=5e-6)
    assert online_elo(battles, k=30) == pytest.approx(
        [970.647200, 1014.972058, 1014.380742], abs=5e-7
    )


def test_online_elo_depends_on_the_order_and_maximum_likelihood_does_not():
    battles = simulate(np.array([0.0, 0.5, 1.0]), 300, seed=1)
    turned = Battles(
        battles.models, *(column[::-1] for column in (
            battles.first, battles.second, battles.score, battles.prompts
        ))
    )  # fmt: skip
    assert np.abs(online_elo(battles) - online_elo(turned)).max() > 1
    assert fit_ratings(battles).rating == pytest.approx(fit_ratings(turned).rating, abs=1e-6)


def design(battles):
    """One column a model: 1 for A, -1 for B."""
    matrix = np.zeros((len(battles), len(battles.models)))
    every = np.arange(len(battles))
    matrix[every, battles.first] = 1
    matrix[every, battles.second] = -1
    return matrix


def logistic(matrix, battles):
    """The same by scikit-learn: a tie is a win and a loss, each with half the weight."""
    rows = np.concatenate([matrix, matrix])
    won = np.repeat([1, 0], len(battles))
    weight = np.concatenate([battles.score, 1 - battles.score])
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10_000)
    return model.fit(rows, won, sample_weight=weight).coef_[0]


def test_logistic_regression_gives_the_same_ratings():
    battles = simulate(np.array([-1.0, 0.0, 0.2, 0.9, 1.5]), 2_000, ties=0.2)
    found = logistic(design(battles), battles)
    expected = CENTRE + ELO * (found - found.mean())
    assert fit_ratings(battles).rating == pytest.approx(expected, abs=0.01)


def test_davidsons_model_against_a_general_optimiser():
    battles = simulate(np.array([-1.0, 0.0, 0.2, 0.9]), 1_500, ties=0.3)

    def loss(parameters):
        strength, nu = np.exp(parameters[:4]), np.exp(parameters[4])
        a, b = strength[battles.first], strength[battles.second]
        tie = nu * np.sqrt(a * b)
        chances = np.stack([b, tie, a])[(2 * battles.score).astype(int), np.arange(len(battles))]
        return -np.log(chances / (a + b + tie)).sum()

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-7})
    ratings = fit_ratings(battles, ties="davidson")
    expected = CENTRE + ELO * (best.x[:4] - best.x[:4].mean())
    assert ratings.rating == pytest.approx(expected, abs=0.02)
    assert ratings.tie_log_odds == pytest.approx(best.x[4], abs=1e-4)
    assert ratings.log_likelihood == pytest.approx(-best.fun, abs=1e-5)
    # A's expected score is its chance to win and half that of a tie.
    x = (ratings.rating[battles.first] - ratings.rating[battles.second]) / ELO
    nu = np.exp(ratings.tie_log_odds)
    total = np.exp(x / 2) + np.exp(-x / 2) + nu
    expected = (np.exp(x / 2) + nu / 2) / total
    assert ratings.expected(battles) == pytest.approx(expected)


def test_davidsons_model_needs_ties_and_wins():
    for score in ([1.0, 0.0], [0.5, 0.5]):
        battles = Battles(
            names(2), np.array([0, 0]), np.array([1, 1]), np.array(score), np.arange(2)
        )
        with pytest.raises(ValueError, match="Davidson's model needs ties as well as wins"):
            fit_ratings(battles, ties="davidson")


def sandwich(battles, ratings, ways):
    """The clustered covariance, written out (Cameron, Gelbach & Miller 2011)."""
    matrix, residual = design(battles), battles.score - ratings.expected(battles)
    p = ratings.expected(battles)
    bread = np.linalg.pinv(matrix.T @ (matrix * (p * (1 - p))[:, None]))

    def meat(way):
        found = np.unique(way)
        scores = np.array([(matrix * residual[:, None])[way == one].sum(axis=0) for one in found])
        return scores.T @ scores * len(found) / (len(found) - 1)

    middle = sum(meat(way) for way in ways)
    if len(ways) == 2:
        middle = middle - meat(ways[0] * 1_000 + ways[1])
    return ELO**2 * bread @ middle @ bread


@pytest.mark.parametrize("two_ways", [False, True])
def test_the_clustered_covariance_is_the_textbooks(two_ways):
    battles = simulate(np.array([-0.5, 0.0, 0.2, 0.9]), 60, votes=5, ties=0.2, quirk=1.0)
    workers = np.random.default_rng(1).integers(0, 40, len(battles))
    ways = [battles.prompts, workers] if two_ways else [battles.prompts]
    ratings = fit_ratings(battles, clusters=ways)
    expected = sandwich(battles, ratings, ways)
    assert ratings.covariance == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert ratings.clusters == (40 if two_ways else 60)


def test_intervals_cover_the_truth_only_if_dependent_votes_are_clustered():
    strength = np.array([-0.6, -0.2, 0.2, 0.6])
    covered = np.zeros(2)
    repetitions = 200
    for seed in range(repetitions):
        battles = simulate(strength, 150, votes=8, quirk=1.5, seed=seed)
        # With what is odd about prompts averaged out, log odds are smaller than on each of them.
        shrunk = strength / np.sqrt(1 + 1.5**2 * 0.346)
        truth = ELO * (shrunk[3] - shrunk[0])
        for number, clusters in enumerate(([], [battles.prompts])):
            found = fit_ratings(battles, clusters=clusters).difference("model-003", "model-000")
            covered[number] += found.low <= truth <= found.high
    assert covered[1] / repetitions == pytest.approx(0.95, abs=0.04)
    assert covered[0] / repetitions < 0.85


def test_the_bootstrap_over_prompts_agrees_with_the_sandwich():
    battles = simulate(np.array([-0.5, 0.0, 0.2, 0.9]), 300, votes=4, ties=0.2, quirk=1.0)
    ratings = fit_ratings(battles, clusters=[battles.prompts])
    resampled = bootstrap_ratings(battles, repetitions=400)
    assert resampled.std(axis=0) == pytest.approx(ratings.standard_errors, rel=0.12)
    assert resampled.mean(axis=0) == pytest.approx(ratings.rating, abs=3)
    assert bootstrap_ratings(battles, repetitions=2) == pytest.approx(resampled[:2])


def test_models_that_never_met_are_not_compared():
    first = simulate(np.array([0.0, 1.0]), 100)
    second = simulate(np.array([0.0, 1.0]), 60)
    battles = Battles(
        names(5),
        np.concatenate([first.first, second.first + 2]),
        np.concatenate([first.second, second.second + 2]),
        np.concatenate([first.score, second.score]),
        np.arange(160),
    )
    assert components(battles).tolist() == [0, 0, 1, 1, 2]
    ratings = fit_ratings(battles)
    assert ratings.component.tolist() == [0, 0, 1, 1, 2]
    assert ratings.difference("model-001", "model-000").estimate == pytest.approx(
        fit_ratings(first).difference("model-001", "model-000").estimate
    )
    for other in ("model-002", "model-004"):
        with pytest.raises(NotComparableError, match=f"model-000 and {other} never met"):
            ratings.difference("model-000", other)
    assert np.isnan(ratings.rating[4])
    across = Battles(names(5), np.array([0]), np.array([2]), np.array([1.0]), np.array([0]))
    with pytest.raises(NotComparableError):
        ratings.expected(across)


def test_models_are_comparable_through_others():
    battles = battles_of(["a", "b"], ["b", "c"], ["tie", "tie"])
    assert components(battles).tolist() == [0, 0, 0]
    assert fit_ratings(battles).difference("a", "c").estimate == pytest.approx(0)


def test_a_model_that_wins_all_stays_finite_and_is_marked():
    battles = simulate(np.array([0.0, 0.3, 0.6]), 600)
    champion = Battles(
        names(4),
        np.concatenate([battles.first, np.full(50, 3)]),
        np.concatenate([battles.second, np.arange(50) % 3]),
        np.concatenate([battles.score, np.ones(50)]),
        np.arange(650),
    )
    ratings = fit_ratings(champion)
    assert ratings.bounded.tolist() == [True, True, True, False]
    assert 1_300 < ratings.rating[3] < 2_500
    # With 50 of 50 won, odds of 16 to one are the least that is not absurd (0.94^50 = 0.05).
    assert ratings.high[3] - ratings.low[3] > 400
    assert ratings.low[3] < CENTRE + ELO * np.log(16)
    # The others are where they would be without it.
    alone = fit_ratings(battles)
    for model in names(3)[1:]:
        expected = alone.difference(model, "model-000")
        found = ratings.difference(model, "model-000")
        assert found.estimate == pytest.approx(expected.estimate, abs=2)
        assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.05)


def test_a_group_that_never_loses_to_the_rest_is_marked():
    battles = battles_of(
        ["a", "b", "a", "c", "d", "c", "c"], ["b", "a", "c", "d", "c", "e", "e"],
        ["model_a", "model_a", "model_a", "model_a", "model_a", "tie", "model_a"],
    )  # fmt: skip
    ratings = fit_ratings(battles)
    assert dict(zip(ratings.models, ratings.bounded, strict=True)) == {
        "a": False, "b": False, "c": True, "d": True, "e": True,
    }  # fmt: skip
    assert np.isfinite(ratings.rating).all()


def test_a_battle_of_weight_two_is_two_battles():
    battles = simulate(np.array([0.0, 0.5, 1.0]), 200, ties=0.1)
    times = np.random.default_rng(0).integers(1, 4, len(battles))
    often = Battles(
        battles.models,
        *(np.repeat(column, times) for column in (battles.first, battles.second, battles.score)),
        np.repeat(battles.prompts, times),
    )
    weighted = fit_ratings(battles, weights=times)
    assert weighted.rating == pytest.approx(fit_ratings(often).rating, abs=1e-6)
    # The copies of a battle are no new evidence.
    clustered = fit_ratings(often, clusters=[often.prompts])
    assert clustered.standard_errors == pytest.approx(
        weighted.standard_errors * np.sqrt(200 / 199), rel=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["half", "davidson"]))
def test_which_model_is_called_a_makes_no_difference(seed, ties):
    battles = simulate(np.array([0.0, 0.4, 0.8]), 80, ties=0.3, seed=seed)
    swap = np.random.default_rng(seed).random(len(battles)) < 0.5
    swapped = Battles(
        battles.models,
        np.where(swap, battles.second, battles.first),
        np.where(swap, battles.first, battles.second),
        np.where(swap, 1 - battles.score, battles.score),
        battles.prompts,
    )
    ratings, others = (fit_ratings(one, ties=ties) for one in (battles, swapped))
    assert ratings.rating == pytest.approx(others.rating, abs=1e-6)
    assert ratings.covariance == pytest.approx(others.covariance, rel=1e-6, abs=1e-6)
    # Ratings are centred, and so is their uncertainty.
    assert ratings.rating.mean() == pytest.approx(CENTRE)
    assert ratings.covariance.sum() == pytest.approx(0, abs=1e-6)


def test_covariates_are_worth_what_they_were_planted_with():
    draw = np.random.default_rng(0)
    battles = simulate(np.array([0.0, 0.5, 1.0]), 8_000)
    style = draw.normal(size=(len(battles), 2))
    log_odds = np.array([0.0, 0.5, 1.0])[battles.first] - np.array([0.0, 0.5, 1.0])[battles.second]
    won = draw.random(len(battles)) < 1 / (1 + np.exp(-(log_odds + 0.4 * style[:, 0])))
    judged = Battles(
        battles.models, battles.first, battles.second, won.astype(float), battles.prompts
    )
    ratings = fit_ratings(judged, covariates=style, names=["length", "nothing"])
    length, nothing = ratings.coefficients
    assert length.low < 0.4 < length.high
    assert length.high - length.low < 0.15
    assert nothing.low < 0 < nothing.high
    found = logistic(np.hstack([design(judged), style]), judged)
    assert [length.estimate, nothing.estimate] == pytest.approx(found[3:], abs=1e-4)
    assert ratings.rating == pytest.approx(CENTRE + ELO * (found[:3] - found[:3].mean()), abs=0.02)


def test_covariates_that_tell_every_winner_or_each_other_stay_finite_and_are_marked():
    battles = simulate(np.array([0.0, 0.5, 1.0]), 400)
    rare = np.zeros((400, 1))
    rare[:6, 0] = np.sign(battles.score[:6] - 0.5)
    (found,) = fit_ratings(battles, covariates=rare, names=["header"]).coefficients
    assert not found.bounded
    assert 0.3 < found.estimate < 3
    assert found.low < found.estimate - 1
    twice = np.repeat(np.random.default_rng(0).normal(size=(400, 1)), 2, axis=1)
    once = fit_ratings(battles, covariates=twice[:, :1], names=["x"]).coefficients[0]
    found = fit_ratings(battles, covariates=twice, names=["x", "x again"]).coefficients
    assert not any(one.bounded for one in found)
    assert sum(one.estimate for one in found) == pytest.approx(once.estimate, abs=0.01)
    assert once.bounded


def test_a_covariate_that_is_never_there_has_no_coefficient():
    battles = simulate(np.array([0.0, 0.5, 1.0]), 100)
    style = np.zeros((100, 2))
    style[:, 1] = np.random.default_rng(0).normal(size=100)
    never, there = fit_ratings(battles, covariates=style, names=["headers", "length"]).coefficients
    assert np.isnan([never.estimate, never.low, never.high]).all()
    assert there.low < there.estimate < there.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": [1.0]}, "weights must be"),
        ({"weights": np.zeros(10)}, "weights must be"),
        ({"clusters": [np.arange(3)]}, "clusters must be"),
        ({"clusters": [np.arange(10)] * 3}, "clusters must be"),
        ({"covariates": np.zeros((10, 2)), "names": ["x"]}, "covariates must be"),
        ({"covariates": np.full((10, 1), np.nan), "names": ["x"]}, "covariates must be"),
        ({"ties": "dropped"}, "ties is 'dropped'"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, message):
    battles = simulate(np.array([0.0, 0.5, 1.0]), 10)
    with pytest.raises(ValueError, match=message):
        fit_ratings(battles, **arguments)


def test_no_battle_rates_nobody():
    nothing = np.zeros(0, dtype=np.int64)
    with pytest.raises(ValueError, match="no battle"):
        fit_ratings(Battles((), nothing, nothing, np.zeros(0), nothing))


def test_more_models_than_are_counted_at_once_are_rated_alike(monkeypatch):
    battles = simulate(np.linspace(-1, 1, 12), 3_000, ties=0.2)
    expected = fit_ratings(battles).rating
    for module in ("likelihood", "battles"):
        name = f"errclust_pipeline.analysis.ratings.{module}.MODELS_COUNTED_AT_ONCE"
        monkeypatch.setattr(name, 5)
    assert fit_ratings(battles).rating == pytest.approx(expected)
