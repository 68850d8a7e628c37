"""Local statistics of continuous marks against PySAL, permutations and the null hypothesis."""

import warnings

import numpy as np
import pytest

from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.analysis.spatial import (
    graph_kernel,
    high_regions,
    local_averages,
    local_hot_spots,
    walk_test,
    walk_test_of_values,
)
from errclust_pipeline_tests.analysis.spatial.maps import (
    clustered_map,
    errors_at,
    random_neighbours,
)
from errclust_pipeline_tests.analysis.spatial.test_local import pysal_weights


def skewed(n, seed=0):
    """Marks like set sizes over options: few values, many small."""
    return np.random.default_rng(seed).choice([0.25, 0.5, 0.75, 1.0], n, p=[0.7, 0.15, 0.1, 0.05])


def test_statistics_equal_pysal():
    esda = pytest.importorskip("esda")
    neighbours = random_neighbours(200, 9)
    values = np.random.default_rng(1).gamma(1.5, size=200)
    found = local_averages(values, neighbours, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moran = esda.Moran_Local(values, pysal_weights(neighbours, "r"), permutations=0)
        getis = esda.G_Local(
            values, pysal_weights(neighbours, "b"), transform="B", star=False, permutations=0
        )
    np.testing.assert_allclose(found.local_moran, moran.Is, atol=1e-10)
    np.testing.assert_allclose(found.z, getis.Zs, atol=1e-8)
    np.testing.assert_array_equal(found.quadrant, moran.q)


def test_p_values_agree_with_conditional_permutations():
    neighbours = random_neighbours(300, 15)
    values = skewed(300)
    values[::10] = np.nan
    found = local_averages(values, neighbours, 15)
    known = np.flatnonzero(~np.isnan(values))
    generator = np.random.default_rng(2)
    for row in known[::30]:
        others = values[known[known != row]]
        draws = int(found.draws[row])
        assert draws == np.isin(neighbours[row], known).sum()
        sums = np.array([generator.permutation(others)[:draws].sum() for _ in range(4000)])
        observed = np.nansum(values[neighbours[row]])
        assert found.z[row] == pytest.approx((observed - sums.mean()) / sums.std(), abs=0.12)
        # The law is continuous: half of what ties is in it.
        above, ties = (sums > observed + 1e-9).mean(), (abs(sums - observed) < 1e-9).mean()
        assert found.p_high[row] == pytest.approx(above + ties / 2, abs=0.03)
        assert found.p_low[row] == pytest.approx(1 - above - ties / 2, abs=0.03)


def test_of_marks_that_are_0_and_1_the_tails_are_about_the_exact_ones():
    neighbours = random_neighbours(2000, 60)
    marks = errors_at(0.3, 2000)
    exact = local_hot_spots(marks, neighbours, 60)
    found = local_averages(marks, neighbours, 60)
    # Exact p counts a tie in full, this one half of it.
    mid = exact.p_hot - (exact.p_hot + exact.p_cold - 1) / 2
    np.testing.assert_allclose(found.p_high, mid, atol=0.01)
    np.testing.assert_allclose(found.local_moran, exact.local_moran)


def test_the_walk_test_of_values_is_that_of_errors():
    neighbours, _ = clustered_map(300, 6, 15)
    kernel = graph_kernel(neighbours)
    marks = errors_at(0.3, 300)
    marks[::7] = np.nan
    one, other = walk_test(marks, kernel), walk_test_of_values(marks, kernel)
    np.testing.assert_array_equal(one.p, other.p)
    # The unit of the marks does not matter.
    np.testing.assert_allclose(walk_test_of_values(5 + 3 * marks, kernel).p, one.p, atol=1e-9)


def kernel_of(n, clusters, seed):
    generator = np.random.default_rng(seed)
    cluster = np.arange(n) % clusters
    vectors = generator.normal(size=(clusters, 16))[cluster] + 0.6 * generator.normal(size=(n, 16))
    return graph_kernel(*cosine_neighbours(vectors, 50)), cluster


def test_a_place_of_large_sets_is_found():
    kernel, cluster = kernel_of(1200, 12, 0)
    values = skewed(1200)
    values[cluster == 3] = np.random.default_rng(5).choice([0.5, 1.0], 100)
    values[::11] = np.nan
    (region,) = high_regions(values, kernel)
    inside = cluster[region.members] == 3
    assert inside.mean() > 0.9
    assert inside.sum() > 80
    assert region.low < region.mean < region.high
    assert region.mean == pytest.approx(np.mean(values[region.members]))
    assert region.outside_mean < 0.5
    assert region.q < 0.01


def test_without_structure_hardly_a_map_has_a_place():
    kernel, _ = kernel_of(600, 8, 1)
    found = [bool(high_regions(skewed(600, seed), kernel)) for seed in range(100)]
    assert sum(found) <= 8


@pytest.mark.parametrize("values", [np.full(30, 0.5), np.full(30, np.nan), np.arange(30.0) * 0])
def test_marks_that_do_not_vary_say_nothing(values):
    neighbours = random_neighbours(30, 5)
    found = local_averages(values, neighbours, 5)
    assert np.isnan(found.p_high).all()
    assert np.isnan(found.q_low).all()
    assert high_regions(values, graph_kernel(neighbours)) == []


def test_the_false_discovery_rate_is_a_share():
    with pytest.raises(ValueError, match="alpha must be between"):
        high_regions(np.arange(30.0), graph_kernel(random_neighbours(30, 5)), alpha=1)
