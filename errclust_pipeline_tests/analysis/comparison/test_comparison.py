"""Comparisons of models against golden values, other implementations and the null hypothesis."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import binomtest

from errclust_pipeline.analysis.comparison import (
    Gate,
    agreement,
    clustered_accuracy,
    compare_models,
    fit_signatures,
    heterogeneity_gate,
    leaderboard,
    leave_out_artefacts,
    newcombe_paired_interval,
)
from errclust_pipeline.analysis.comparison.pairs import hierarchical_q_values

NAMES = [["1", "2", "3", "4"], ["1.1", "1.2", "2.1", "2.2"]]


def regions(n):
    """Four regions; the first two of two parts each."""
    top = np.arange(n) % 4
    part = np.where(top < 2, 2 * top + (np.arange(n) // 4) % 2, -1)
    return np.stack([top, part], axis=1).astype(np.int32)


def pair(n=2000, rate_a=0.4, rate_b=0.3, extra_in=None, extra=0.0, seed=0):
    generator = np.random.default_rng(seed)
    here = regions(n)[:, 0] == extra_in
    a = generator.random(n) < rate_a + np.where(here, extra, 0.0)
    b = generator.random(n) < rate_b
    return a.astype(float), b.astype(float)


def test_kappa_by_hand():
    a, b = [1, 1, 0, 0, np.nan, 1], [1, 0, 0, 0, 1, 1]
    found = agreement(a, b)
    # Both answered five: A wrong on 3/5, B on 2/5; they agree on 4/5.
    assert found.questions == 5
    assert found.observed == pytest.approx(0.8)
    assert found.by_chance == pytest.approx(0.6 * 0.4 + 0.4 * 0.6)
    assert found.kappa == pytest.approx((0.8 - 0.48) / 0.52)


def test_the_same_wrong_option_counts_where_both_chose_one():
    ones = [1.0] * 5 + [0.0]
    found = agreement(ones, ones, [1, 2, 3, None, 0, 1], [1, 2, 0, 1, 1, 1], [4, 5, 4, 4, 2, 4])
    assert found.both_wrong == 3
    assert found.same_wrong_option == pytest.approx(2 / 3)
    assert found.same_by_chance == pytest.approx((1 / 3 + 1 / 4 + 1 / 3) / 3)
    assert found.kappa == pytest.approx(1)


def test_newcombe_s_published_example():
    # Newcombe 1998, table II: 36, 12, 2, 0; method 10 gives 0.0569 to 0.3404.
    low, high = newcombe_paired_interval(36, 12, 2, 0)
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)
    assert newcombe_paired_interval(36, 2, 12, 0) == pytest.approx((-high, -low))


def test_newcombe_s_interval_covers():
    generator = np.random.default_rng(0)
    p = np.array([0.3, 0.25, 0.1, 0.35])
    covered = 0
    for _ in range(500):
        low, high = newcombe_paired_interval(*map(int, generator.multinomial(60, p)))
        covered += low <= p[1] - p[2] <= high
    assert covered / 500 > 0.92


def test_the_first_test_is_mcnemar_s():
    a, b = pair()
    table = compare_models(a, b, regions(2000), NAMES).set_index("region_id")
    here = regions(2000)[:, 0] == 2
    n10, n01 = int((here & (a > b)).sum()), int((here & (a < b)).sum())
    row = table.loc["3"]
    assert (row.only_a_wrong, row.only_b_wrong) == (n10, n01)
    assert row.p_a_worse == pytest.approx(binomtest(n10, n10 + n01, alternative="greater").pvalue)
    assert row.p_b_worse == pytest.approx(binomtest(n10, n10 + n01, alternative="less").pvalue)
    assert row.difference == pytest.approx((n10 - n01) / here.sum())
    assert row.errors_a == a[here].sum()


def test_a_constant_gap_is_worse_everywhere_and_unlike_nowhere():
    a, b = pair(rate_a=0.6, rate_b=0.2)
    table = compare_models(a, b, regions(2000), NAMES)
    assert (table.loc[table["level"] == 1, "q_worse"] < 0.05).all()
    assert not (table["q_gap"] < 0.05).any()
    assert table.loc[table["level"] == 2, "q_gap"].isna().all()


def test_a_gap_that_differs_is_found_where_it_does():
    a, b = pair(extra_in=1, extra=0.4)
    table = compare_models(a, b, regions(2000), NAMES)
    assert table["region_id"].iloc[0] == "2"
    found = set(table.loc[table["q_gap"] < 0.05, "region_id"])
    assert {"2", "2.1", "2.2"} <= found
    assert heterogeneity_gate(a, b, regions(2000)[:, 0]).p == 0.001


def test_false_discoveries_of_gaps_without_any():
    runs, gates, found = 200, 0, 0
    for seed in range(runs):
        a, b = pair(600, 0.5, 0.3, seed=seed)
        found += bool((compare_models(a, b, regions(600), NAMES)["q_gap"] < 0.05).any())
        gates += heterogeneity_gate(a, b, regions(600)[:, 0], 99, seed).p <= 0.05
    bound = 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert found / runs <= bound
    assert gates / runs <= bound


def test_no_gap_is_tested_behind_a_closed_gate():
    a, b = pair(extra_in=1, extra=0.4)
    closed = compare_models(a, b, regions(2000), NAMES, gate=Gate(1.0, 3, 0.2))
    opened = compare_models(a, b, regions(2000), NAMES, gate=Gate(99.0, 3, 0.001))
    assert closed["q_gap"].isna().all()
    assert closed["q_worse"].notna().any()
    assert (opened["q_gap"] < 0.05).any()


def test_families_are_opened_only_below_what_stood_out():
    names = ["1", "2", "1.1", "1.2", "2.1", "1.1.1"]
    q = hierarchical_q_values(names, np.array([0.001, 0.9, 0.02, 0.5, 1e-9, 0.001]))
    assert q[:2] == pytest.approx([0.002, 0.9])
    # One of two families was opened: its q values are doubled.
    assert q[2:4] == pytest.approx([0.08, 1.0])
    assert np.isnan(q[4:]).all()


def test_questions_that_only_one_answered_do_not_count():
    a, b = pair()
    a[:200], b[200:300] = np.nan, np.nan
    table = compare_models(a, b, regions(2000), NAMES)
    assert table.loc[table["level"] == 1, "questions"].sum() == 1700


def test_models_that_never_differ():
    same = np.array([1.0, 0.0] * 20)
    table = compare_models(same, same, regions(40), NAMES)
    assert (table["p_gap"] == 1).all()
    assert (table["difference"] == 0).all()
    assert heterogeneity_gate(same, same, regions(40)[:, 0]).p == 1


def test_the_clustered_standard_error_is_that_of_cluster_sums():
    errors = np.array([1, 1, 0, 0, 0, 1, np.nan])
    found = clustered_accuracy(errors, ["a", "a", "b", "b", None, None, "a"])
    residuals = (1 - errors[:6]) - 0.5
    sums = [residuals[:2].sum(), residuals[2:4].sum(), residuals[4], residuals[5]]
    assert found.accuracy == 0.5
    assert found.standard_error == pytest.approx(np.sqrt(np.square(sums).sum() * 4 / 3) / 6)
    alone = clustered_accuracy(errors, [None] * 7)
    assert alone.design_effect == pytest.approx(6 / 5)


def test_clustered_intervals_cover_where_questions_are_alike():
    generator = np.random.default_rng(0)
    covered = {"clustered": 0, "alone": 0}
    groups = [str(row // 20) for row in range(2000)]
    for _ in range(300):
        rates = np.repeat(generator.beta(2, 2, 100), 20)
        errors = (generator.random(2000) < rates).astype(float)
        for name, clusters in (("clustered", groups), ("alone", [None] * 2000)):
            found = clustered_accuracy(errors, clusters)
            covered[name] += found.low <= 0.5 <= found.high
    assert covered["clustered"] / 300 > 0.91
    assert covered["alone"] / 300 < 0.8


@pytest.mark.parametrize("clusters", [2, 3, 5, 10])
def test_clustered_intervals_cover_with_few_clusters(clusters):
    generator = np.random.default_rng(0)
    groups = [str(row % clusters) for row in range(300)]
    covered = 0
    for _ in range(300):
        rates = generator.beta(20, 20, clusters)[np.arange(300) % clusters]
        found = clustered_accuracy((generator.random(300) < rates).astype(float), groups)
        covered += found.low <= 0.5 <= found.high
    assert covered / 300 > 0.92


@pytest.mark.parametrize("clusters", [["1"] * 30, [None] * 30, ["1", "2"] * 15])
def test_intervals_do_not_vanish(clusters):
    perfect = clustered_accuracy(np.zeros(30), clusters)
    assert perfect.high == 1
    assert perfect.low <= binomtest(30, 30).proportion_ci(0.95, method="wilson").low + 1e-12
    even = clustered_accuracy(np.tile([0.0, 0.0, 1.0, 1.0], 8)[:30], clusters)
    assert even.low < 0.36 < 0.7 < even.high


def test_the_leaderboard_says_what_artefacts_cost():
    marks = {"a": np.array([1.0, 1, 0, 0]), "b": np.array([1.0, 0, 0, np.nan])}
    forms = {
        "a": ["truncated", "wrong_answer", None, None],
        "b": ["refusal", None, None, "empty"],
    }
    table = leaderboard(marks, forms, ["1", "1", "2", "2"]).set_index("model")
    assert table.index.tolist() == ["b", "a"]
    assert table.loc["a", ["truncated", "artefacts"]].tolist() == [0.25, 0.25]
    assert table.loc["a", "accuracy_without_artefacts"] == pytest.approx(2 / 3)
    assert table.loc["b", ["refusal", "empty"]].tolist() == [pytest.approx(1 / 3), 0]
    assert np.isnan(leave_out_artefacts(marks["a"], forms["a"])[0])


def test_signatures_maximise_their_penalised_likelihood():
    generator = np.random.default_rng(0)
    total = generator.integers(5, 60, (4, 6))
    wrong = generator.binomial(total, 0.4)
    found = fit_signatures(wrong, total, spread=0.5)

    def loss(x):
        logits = x[:4, None] + x[None, 4:10] + x[10:].reshape(4, 6)
        likelihood = wrong * logits - total * np.logaddexp(0, logits)
        return -likelihood.sum() + (x[10:] ** 2).sum() / (2 * 0.25)

    best = minimize(loss, np.zeros(34), method="BFGS").x
    np.testing.assert_allclose(found.deviation, best[10:].reshape(4, 6), atol=1e-3)
    base = found.weakness[:, None] + found.difficulty
    np.testing.assert_allclose(base, best[:4, None] + best[None, 4:10], atol=1e-3)


def test_signatures_find_the_spread_that_is_there():
    generator = np.random.default_rng(1)
    true = generator.normal(0, 0.5, (8, 40))
    total = np.full((8, 40), 80)
    logits = np.linspace(-1, 1, 8)[:, None] + generator.normal(0, 1, 40) + true
    found = fit_signatures(generator.binomial(total, expit(logits)), total)
    assert 0.35 < found.spread < 0.55
    assert np.corrcoef(found.deviation.ravel(), true.ravel())[0, 1] > 0.7


@pytest.mark.parametrize("models", [3, 8])
def test_marked_deviations_are_mostly_of_the_right_sign(models):
    wrong_sign = beyond = marked = cells = 0
    for seed in range(12):
        generator = np.random.default_rng(seed)
        true = generator.normal(0, 0.4, (models, 30))
        logits = np.linspace(-1, 1, models)[:, None] + generator.normal(0, 1, 30) + true
        total = np.full((models, 30), 200)
        found = fit_signatures(generator.binomial(total, expit(logits)), total)
        strong = np.abs(found.deviation) >= 2 * found.standard_deviation
        wrong_sign += (strong & (np.sign(found.deviation) != np.sign(true))).sum()
        marked += strong.sum()
        beyond += (np.abs(found.deviation - true) > 2 * found.standard_deviation).sum()
        cells += true.size
    assert wrong_sign / max(marked, 1) < 0.05
    assert beyond / cells < 0.1


def test_small_regions_make_no_headlines():
    total = np.array([[400, 400, 4]] * 6)
    wrong = np.array([[100, 200, 2]] * 5 + [[100, 200, 4]])
    found = fit_signatures(wrong, total)
    assert np.abs(found.excess).max() < 0.05


def test_more_errors_than_questions_are_refused():
    with pytest.raises(ValueError, match="at most"):
        fit_signatures([[3]], [[2]])
