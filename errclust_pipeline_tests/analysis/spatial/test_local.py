"""Local statistics against PySAL, permutations and the null hypothesis."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

from errclust_pipeline.analysis.spatial import (
    benjamini_hochberg,
    local_hot_spots,
    local_hot_spots_at_scales,
    neighbour_sums,
    usable_scales,
)
from errclust_pipeline.analysis.spatial.local import hypergeometric_distribution
from errclust_pipeline_tests.analysis.spatial.maps import (
    clustered_map,
    errors_at,
    planted,
    random_neighbours,
)


def pysal_weights(neighbours, transform):
    weights = pytest.importorskip("libpysal").weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = weights.W({row: list(map(int, others)) for row, others in enumerate(neighbours)})
        made.transform = transform
    return made


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_statistics_equal_pysal(seed, rate):
    esda = pytest.importorskip("esda")
    neighbours = random_neighbours(200, 9, seed)
    marks = errors_at(rate, 200, seed + 10)
    found = local_hot_spots(marks, neighbours, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moran = esda.Moran_Local(marks, pysal_weights(neighbours, "r"), permutations=0)
        getis = esda.G_Local(
            marks, pysal_weights(neighbours, "b"), transform="B", star=True, permutations=0
        )
        joins = esda.Join_Counts_Local(connectivity=pysal_weights(neighbours, "b")).fit(
            marks, permutations=0
        )
    np.testing.assert_allclose(found.local_moran, moran.Is, atol=1e-10)
    np.testing.assert_allclose(found.gi_star, getis.Zs, atol=1e-10)
    np.testing.assert_allclose(found.errors * marks, joins.LJC)
    # PySAL calls a lag that equals the mean low for errors and high for others; ours is low.
    clear = ~np.isclose(found.errors / 9, marks.mean())
    assert clear.sum() > 50
    np.testing.assert_array_equal(found.quadrant[clear], moran.q[clear])


def test_p_values_agree_with_9999_permutations():
    neighbours, cluster = clustered_map(300, 6, 15)
    marks = planted(cluster, [0], 0.6, 0.2)
    found = local_hot_spots(marks, neighbours, 15)
    generator = np.random.default_rng(1)
    rows = np.arange(0, 300, 12)
    hot, cold = np.zeros(len(rows)), np.zeros(len(rows))
    # Given a question's own mark, those of all others are shuffled.
    places = np.stack([generator.permutation(299)[:15] for _ in range(9999)])
    for position, row in enumerate(rows):
        drawn = np.delete(marks, row)[places].sum(axis=1)
        hot[position] = (drawn >= found.errors[row]).sum()
        cold[position] = (drawn <= found.errors[row]).sum()
    p_hot, p_cold = (hot + 1) / 10000, (cold + 1) / 10000
    np.testing.assert_allclose(found.p_hot[rows], p_hot, atol=0.02)
    np.testing.assert_allclose(found.p_cold[rows], p_cold, atol=0.02)


def test_p_values_agree_with_shuffled_maps():
    neighbours, cluster = clustered_map(120, 4, 8)
    marks = planted(cluster, [0], 0.7, 0.2)
    found = local_hot_spots(marks, neighbours, 8)
    generator = np.random.default_rng(2)
    row = 5
    others = np.delete(np.arange(120), row)
    reached = 0
    for _ in range(9999):
        shuffled = marks.copy()
        shuffled[others] = generator.permutation(marks[others])
        reached += shuffled[neighbours[row, :8]].sum() >= found.errors[row]
    assert found.p_hot[row] == pytest.approx((reached + 1) / 10000, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_p_values_never_leave_the_unit_interval(data):
    n = data.draw(st.integers(2, 40))
    k = data.draw(st.integers(1, n - 1))
    marks = data.draw(st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=n, max_size=n))
    found = local_hot_spots(marks, random_neighbours(n, k), k)
    known = ~np.isnan(marks)
    for values in (found.p_hot, found.p_cold, found.q_hot, found.q_cold, found.p_two_sided):
        assert np.isnan(values[~known]).all()
        assert ((values[known] >= 0) & (values[known] <= 1)).all()
    # One of the two tails always holds the observed count.
    assert (found.p_hot[known] + found.p_cold[known] >= 1 - 1e-9).all()
    rates = found.smoothed_rate[known & (found.draws > 0)]
    assert ((rates >= 0) & (rates <= 1)).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_false_discoveries_on_maps_without_structure(rate):
    neighbours, _ = clustered_map()
    runs = 200
    found = sum(
        bool((local_hot_spots(errors_at(rate, 1200, seed), neighbours, 30).q_hot < 0.05).any())
        for seed in range(runs)
    )
    # Three standard errors: 600 maps are simulated in benchmarks/local_statistics.py.
    assert found / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_planted_weakness_is_found_where_it_is():
    neighbours, cluster = clustered_map()
    found = local_hot_spots(planted(cluster, [3], 0.8, 0.2), neighbours, 30)
    hot = found.q_hot < 0.05
    assert (hot & (cluster == 3)).sum() > 70
    assert (hot & (cluster != 3)).sum() < 20


def test_questions_left_out_are_not_counted():
    neighbours = np.array([[1, 2], [0, 2], [0, 1], [0, 1]], dtype=np.int32)
    found = local_hot_spots([1, np.nan, 0, 1], neighbours, 2)
    assert found.draws.tolist() == [1, 0, 1, 1]
    assert np.isnan(found.p_hot[1])
    assert found.errors[[0, 2, 3]].tolist() == [0, 1, 1]
    assert found.quadrant[1] == 0


def test_several_scales_are_the_same_as_one_by_one():
    neighbours, cluster = clustered_map()
    marks = planted(cluster, [3], 0.8, 0.2)
    marks[::7] = np.nan
    together = local_hot_spots_at_scales(marks, neighbours, (10, 30, 100))
    for k, found in zip((10, 30, 100), together, strict=True):
        np.testing.assert_array_equal(found.p_hot, local_hot_spots(marks, neighbours, k).p_hot)


def test_sums_of_any_values():
    neighbours, _ = clustered_map()
    values = np.random.default_rng(0).normal(size=1200)
    sums, draws = neighbour_sums(values, neighbours, (10, 30))
    np.testing.assert_allclose(sums[1], values[neighbours[:, :30]].sum(axis=1))
    assert (draws == [[10], [30]]).all()


@pytest.mark.parametrize("marks", [[], [1.0], [0.0, 0.0], [1.0, 1.0], [np.nan, np.nan]])
def test_maps_with_nothing_to_find(marks):
    k_max = max(len(marks) - 1, 0)
    neighbours = random_neighbours(len(marks), k_max).reshape(len(marks), k_max)
    (k,) = usable_scales(len(marks), neighbours.shape[1])
    found = local_hot_spots(marks, neighbours, k)
    assert not (np.nan_to_num(found.q_hot, nan=1) < 0.05).any()


def test_scales_of_half_the_map_are_dropped():
    assert usable_scales(1000, 300) == (10, 30, 100, 300)
    assert usable_scales(150, 149) == (10, 30)
    assert usable_scales(12, 11) == (10,)
    assert usable_scales(5, 4) == (4,)
    with pytest.raises(ValueError, match="positive"):
        usable_scales(100, 50, [0])


def test_marks_that_are_none_are_refused():
    with pytest.raises(ValueError, match="0, 1 and NaN"):
        local_hot_spots([0.5, 1], np.array([[1], [0]], dtype=np.int32), 1)


def test_q_values_pass_over_what_is_missing():
    q = benjamini_hochberg(np.array([0.01, np.nan, 0.02]))
    assert q[[0, 2]].tolist() == [0.02, 0.02]
    assert np.isnan(q[1])


@pytest.mark.parametrize(
    ("n", "total", "drawn"),
    [(5, 2, 0), (5, 0, 3), (5, 5, 3), (9, 7, 6), (12000, 3600, 300), (12000, 11990, 300)],
)
def test_the_distribution_of_a_count_is_hypergeometric(n, total, drawn):
    expected = hypergeom.pmf(np.arange(drawn + 1), n, total, drawn)
    np.testing.assert_allclose(
        hypergeometric_distribution(n, total, drawn), expected, rtol=1e-9, atol=1e-300
    )
