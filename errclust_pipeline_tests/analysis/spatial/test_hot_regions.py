"""Hot regions, the tests behind them, and how far they can be trusted."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import binomtest

from errclust_pipeline.analysis.spatial import (
    ErrorTests,
    MapTexts,
    adjusted_tests,
    clopper_pearson,
    failure_form_association,
    graph_kernel,
    hot_for_others,
    hot_region_table,
    hot_regions,
    local_hot_spots_at_scales,
    main_region,
    regions_frame,
    scan,
    smallest_visible_excess,
    split_half,
    walk_test,
)
from errclust_pipeline.analysis.spatial.hot_regions import (
    bernoulli_log_likelihood_ratio,
    binomial_log_likelihood_ratio,
)
from errclust_pipeline_tests.analysis.spatial.maps import clustered_map, errors_at, planted


@pytest.fixture(scope="module")
def kernel():
    return graph_kernel(clustered_map()[0])


def test_the_kernel_s_moments_are_those_of_its_weights(kernel):
    walk = sparse.eye(1200)
    for step in range(4):
        walk = kernel.transition @ walk
        dense = walk.toarray()
        np.testing.assert_allclose(kernel.own_weight[step], dense.diagonal(), atol=1e-12)
        np.testing.assert_allclose(kernel.squares[step], (dense**2).sum(axis=1), atol=1e-12)
        np.testing.assert_allclose(kernel.cubes[step], (dense**3).sum(axis=1), atol=1e-12)
        assert dense.sum(axis=1) == pytest.approx(1)
    values = np.random.default_rng(0).normal(size=1200)
    np.testing.assert_allclose(kernel.averages(values)[3], dense @ values)
    np.fill_diagonal(dense, 0)
    others = dense @ values / dense.sum(axis=1)
    np.testing.assert_allclose(kernel.averages_of_others(values)[3], others)


def test_walk_p_values_agree_with_permutations(kernel):
    marks = errors_at(0.15, 1200)
    found = walk_test(marks, kernel)
    generator = np.random.default_rng(0)
    observed = kernel.averages(marks)
    reached = np.zeros_like(observed)
    for _ in range(2000):
        averages = kernel.averages(generator.permutation(marks))
        # Mid-p: ties count half.
        reached += (averages > observed - 1e-12) / 2 + (averages > observed + 1e-12) / 2
    np.testing.assert_allclose(found.p, reached / 2000, atol=0.06)
    assert np.abs(found.p - reached / 2000).mean() < 0.015


def test_walk_p_values_hold_where_marks_are_missing(kernel):
    marks = errors_at(0.3, 1200)
    marks[np.random.default_rng(1).random(1200) < 0.5] = np.nan
    found = walk_test(marks, kernel)
    answered = np.flatnonzero(~np.isnan(marks))
    generator = np.random.default_rng(0)

    def averages(values):
        return kernel.averages(np.where(np.isnan(marks), 0, values - np.nanmean(marks)))

    observed, reached = averages(marks), np.zeros_like(found.p)
    for _ in range(2000):
        shuffled = marks.copy()
        shuffled[answered] = generator.permutation(marks[answered])
        drawn = averages(shuffled)
        reached += (drawn > observed - 1e-12) / 2 + (drawn > observed + 1e-12) / 2
    assert np.isnan(found.p[:, np.isnan(marks)]).all()
    difference = (found.p - reached / 2000)[:, answered]
    assert np.abs(difference).mean() < 0.02
    assert np.abs(difference.mean()) < 0.005


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_maps_without_structure_have_no_region(kernel, rate):
    runs = 150
    found = sum(bool(hot_regions(errors_at(rate, 1200, seed), kernel)) for seed in range(runs))
    assert found / runs <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)


def test_planted_weaknesses_are_found_as_they_lie(kernel):
    _, cluster = clustered_map()
    marks = planted(cluster, [2, 7], 0.8, 0.2)
    found = hot_regions(marks, kernel)
    assert len(found) == 2
    for region in found:
        home = np.bincount(cluster[region.members]).argmax()
        assert home in (2, 7)
        assert (cluster[region.members] == home).mean() > 0.8
        assert np.isin(np.flatnonzero(cluster == home), region.members).mean() > 0.8
        assert region.errors == marks[region.members].sum()
        assert region.low < region.rate < region.high
        assert region.outside_rate < 0.35 < region.rate
    members = np.concatenate([region.members for region in found])
    assert len(set(members)) == len(members)
    assert regions_frame(found)["rank"].tolist() == [1, 2]


def test_expected_errors_are_no_region(kernel):
    _, cluster = clustered_map()
    expected = np.where(cluster == 2, 0.8, 0.2)
    marks = planted(cluster, [2], 0.8, 0.2)
    assert hot_regions(marks, kernel)
    assert hot_regions(marks, kernel, expected) == []


def test_questions_left_out_are_in_no_region(kernel):
    _, cluster = clustered_map()
    marks = planted(cluster, [2], 0.9, 0.2)
    marks[::3] = np.nan
    (region,) = hot_regions(marks, kernel)
    assert not np.isnan(marks[region.members]).any()


@pytest.mark.parametrize("n", [0, 1, 5, 19])
def test_small_maps_have_no_region(n):
    neighbours = np.array([[o for o in range(n) if o != row] for row in range(n)], np.int32)
    assert hot_regions(np.ones(n), graph_kernel(neighbours.reshape(n, max(n - 1, 0)))) == []


def test_a_real_weakness_replicates_on_the_other_half(kernel):
    _, cluster = clustered_map()
    marks = planted(cluster, [2], 0.8, 0.2)
    found = hot_regions(marks, kernel)
    (replication,) = split_half(found, marks, kernel)
    assert replication.halves == 2
    assert 0.4 < replication.excess < 0.8


def test_held_out_halves_do_not_see_what_is_not_there(kernel):
    # Regions made up of errors only: all their excess was picked.
    _, cluster = clustered_map()
    marks = errors_at(0.3, 1200, seed=9)
    real = hot_regions(planted(cluster, [2], 0.9, 0.2), kernel)
    (replication,) = split_half(real, marks, kernel)
    assert replication.halves == 0


def test_the_power_line_is_where_the_power_is(kernel):
    _, cluster = clustered_map()
    marks = planted(cluster, [2, 7], 0.8, 0.2)
    test = walk_test(marks, kernel)
    region, _ = hot_regions(marks, kernel, test=test)
    excess = smallest_visible_excess(region, test, kernel)
    assert 0 < excess < region.rate - region.outside_rate
    # Weaknesses of that size, simulated: most of the region's members are seen about so often.
    threshold = test.p[test.q < 0.05].max()
    rates = np.full(1200, 0.2)
    rates[region.members] += excess
    seen = []
    for seed in range(200):
        simulated = (np.random.default_rng(seed).random(1200) < rates).astype(float)
        p = walk_test(simulated, kernel, np.full(1200, 0.2)).p[:, region.members]
        seen.append((p <= threshold).any(axis=0).mean())
    assert 0.7 < np.mean(seen) < 0.95


def test_a_region_is_connected_and_tells_its_core_from_what_was_added(kernel):
    _, cluster = clustered_map()
    marks = planted(cluster, [2, 7], 0.5, 0.2)
    test = walk_test(marks, kernel)
    for region in hot_regions(marks, kernel):
        inside = kernel.graph[region.members][:, region.members]
        assert sparse.csgraph.connected_components(inside, directed=False)[0] == 1
        significant = (test.q[:, region.members] < 0.05).any(axis=0)
        assert region.core == significant.sum()
        assert 0 < region.core <= region.size
        assert region.q < 0.05


def test_what_needs_more_averaging_has_a_larger_scale(kernel):
    _, cluster = clustered_map()
    strong, *_ = hot_regions(planted(cluster, [2], 0.95, 0.1), kernel)
    weak, *_ = hot_regions(planted(cluster, [2], 0.5, 0.25), kernel)
    assert strong.walk < weak.walk
    assert strong.scale < weak.scale


def test_failure_forms_that_go_with_a_region_are_named(kernel):
    _, cluster = clustered_map()
    marks = planted(cluster, [2, 7], 0.8, 0.2)
    found = hot_regions(marks, kernel)
    forms = [
        None if not error else "truncated" if place == 2 else "wrong_answer"
        for error, place in zip(marks, cluster, strict=True)
    ]
    table = failure_form_association(found, forms)
    home = [np.bincount(cluster[region.members]).argmax() for region in found]
    significant = {
        (home[row.region], row.failure_form) for row in table.itertuples() if row.q < 0.05
    }
    assert (2, "truncated") in significant
    assert (2, "wrong_answer") not in significant


def test_likelihood_ratios_are_those_of_their_laws():
    def log_likelihood(errors, size, p):
        return errors * np.log(p) + (size - errors) * np.log(1 - p)

    ratio = bernoulli_log_likelihood_ratio(np.array([30]), np.array([40]), 200.0, 1000.0)[0]
    expected = (
        log_likelihood(30, 40, 30 / 40)
        + log_likelihood(170, 960, 170 / 960)
        - log_likelihood(200, 1000, 0.2)
    )
    assert ratio == pytest.approx(expected)
    assert bernoulli_log_likelihood_ratio(np.array([5]), np.array([40]), 200.0, 1000.0)[0] == 0
    found = binomial_log_likelihood_ratio(np.array([30, 3]), np.array([40, 40]), np.array([20, 8]))
    assert found[0] == pytest.approx(log_likelihood(30, 40, 0.75) - log_likelihood(30, 40, 0.5))
    assert found[1] == 0


def test_clopper_pearson_reaches_its_coverage():
    low, high = clopper_pearson(10, 10)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 10)), 1.0)
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(1 - 0.025 ** (1 / 10)))
    for errors, size in ((3, 40), (39, 40), (251, 1000)):
        exact = binomtest(errors, size).proportion_ci(0.95, method="exact")
        assert clopper_pearson(errors, size) == pytest.approx((exact.low, exact.high))


def test_the_scan_finds_a_compact_hot_spot_and_nothing_else():
    neighbours, cluster = clustered_map()
    found = scan(planted(cluster, [2], 0.8, 0.2), neighbours)
    assert found[0].p_gumbel < 1e-6
    assert found[0].p_monte_carlo == 0.01
    assert (cluster[found[0].members] == 2).mean() > 0.8
    assert found[0].errors <= found[0].size == len(found[0].members)


def test_a_single_error_is_no_cluster():
    neighbours, _ = clustered_map(300, 6, 30)
    marks = np.zeros(300)
    marks[7] = 1
    assert scan(marks, neighbours) == []


def test_the_scan_s_p_values_hold_without_structure():
    neighbours, _ = clustered_map(300, 6, 30)
    runs = 100
    found = sum(bool(scan(errors_at(0.3, 300, seed), neighbours, 49)) for seed in range(runs))
    assert found / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_place_is_named_by_the_smallest_region_that_most_of_it_is_in():
    assert main_region(["1.2", "1.2", "1.1", None]) == "1"
    assert main_region(["1.2", "1.2", "1.2", "3"]) == "1.2"
    assert main_region(["1", "2", "2", None, None, None]) == "2"
    assert main_region([None]) is None


def test_a_place_is_hot_for_those_in_whose_hot_regions_most_of_it_lies():
    others = {"a": [["q1", "q2"], ["q3", "q9"]], "b": [["q1", "q2"]], "c": []}
    assert hot_for_others(["q1", "q2", "q3", "q4"], others) == ["a"]


def test_every_row_of_the_table_carries_its_evidence(kernel):
    neighbours, cluster = clustered_map()
    marks = planted(cluster, [2, 7], 0.8, 0.2)
    ids = [f"q{row}" for row in range(1200)]
    expected = np.full(1200, marks.mean())
    texts = MapTexts(
        ids,
        [str(place + 1) for place in cluster],
        {str(place + 1): f"topic {place}" for place in range(12)},
        [(f"matter {'abcdefghijkl'[place]}", "word") for place in cluster],
    )
    errors = ErrorTests(
        marks,
        ["wrong_answer" if error else None for error in marks],
        local_hot_spots_at_scales(marks, neighbours, (10, 30, 100)),
        expected,
        adjusted_tests(marks, expected, neighbours, (10, 30, 100)),
        scan(marks, neighbours),
    )
    table = hot_region_table(kernel, texts, errors)
    assert table.groupby("basis")["rank"].agg(list).to_dict() == {
        "errors": [1, 2],
        "beyond_difficulty": [1, 2],
    }
    assert sorted(table["label"]) == ["topic 2", "topic 2", "topic 7", "topic 7"]
    for label, phrases in zip(table["label"], table["key_phrases"], strict=True):
        assert phrases[0] == ("matter c" if label == "topic 2" else "matter h")
    assert (table["size"] == table["question_ids"].str.len()).all()
    assert (table["hot_share_by_k"].str.len() == 3).all()
    assert (table["core"] <= table["size"]).all()
    raw = table[table["basis"] == "errors"]
    assert (raw["scan_p"] < 1e-3).all()
    assert (raw["visible_excess"] < raw["rate"] - raw["outside_rate"]).all()
    for row in table.itertuples():
        assert all(marks[ids.index(name)] == 1 for name in row.exemplars)
        assert set(row.exemplars) <= set(row.question_ids)
