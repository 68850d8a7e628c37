"""Moran's I and join counts against PySAL and full enumeration."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.stats import norm

from errclust_pipeline.analysis.spatial import global_statistics, hubness, mutual_neighbours
from errclust_pipeline_tests.analysis.spatial.maps import (
    clustered_map,
    errors_at,
    planted,
    random_neighbours,
)
from errclust_pipeline_tests.analysis.spatial.test_local import pysal_weights


@pytest.mark.parametrize("binary", [True, False])
def test_statistics_equal_pysal(binary):
    esda = pytest.importorskip("esda")
    neighbours = random_neighbours(200, 9)
    marks = errors_at(0.3, 200) if binary else np.random.default_rng(1).normal(size=200)
    found = global_statistics(marks, neighbours, (9,))[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        moran = esda.Moran(marks, pysal_weights(neighbours, "r"), permutations=0)
    assert found.moran == pytest.approx(moran.I, abs=1e-12)
    assert found.expected == pytest.approx(moran.EI, abs=1e-12)
    assert found.z == pytest.approx(moran.z_rand, abs=1e-9)
    if binary:
        joins = esda.Join_Counts(marks, pysal_weights(neighbours, "b"), permutations=0)
        assert (found.joins_both, found.joins_neither, found.joins_one) == (
            pytest.approx(joins.bb),
            pytest.approx(joins.ww),
            pytest.approx(joins.bw),
        )


def test_moments_are_those_over_all_permutations():
    neighbours = random_neighbours(7, 2)
    marks = np.array([0, 1, 1, 0, 2, 0, 1.0])
    found = global_statistics(marks, neighbours, (2,))[0]

    def moran(values):
        z = values - values.mean()
        return 7 / 14 / (z @ z) * sum(z[row] * z[neighbours[row]].sum() for row in range(7))

    everything = [moran(np.array(values)) for values in itertools.permutations(marks)]
    assert found.moran == pytest.approx(moran(marks))
    assert found.expected == pytest.approx(np.mean(everything))
    assert found.z == pytest.approx((moran(marks) - np.mean(everything)) / np.std(everything))


@pytest.mark.parametrize(
    "strata", [(0, 0, 0, 1, 1, 1, 1), (0, 1, 1, 2, 2, 2, 2), (5, 5, 5, 2, 2, 9, 9)]
)
def test_moments_within_strata_are_those_over_all_permutations_within_them(strata):
    neighbours = random_neighbours(7, 3)
    marks, stratum = np.array([0, 1, 4, 0, 2, 3, 1.0]), np.array(strata)
    found = global_statistics(marks, neighbours, (1, 3), strata=stratum)[1]
    own = [np.flatnonzero(stratum == one) for one in np.unique(stratum)]
    residual = marks.copy()
    for here in own:
        residual[here] -= residual[here].mean()

    def moran(z):
        return 7 / 21 / (z @ z) * sum(z[row] * z[neighbours[row]].sum() for row in range(7))

    everything = []
    for orders in itertools.product(*(itertools.permutations(here) for here in own)):
        values = np.empty(7)
        for here, order in zip(own, orders, strict=True):
            values[here] = residual[list(order)]
        everything.append(moran(values))
    assert found.moran == pytest.approx(moran(residual))
    assert found.expected == pytest.approx(np.mean(everything))
    assert found.z == pytest.approx((moran(residual) - np.mean(everything)) / np.std(everything))


def test_one_stratum_is_none():
    neighbours, _ = clustered_map(300, 6, 15)
    marks = np.where(np.arange(300) % 7, np.random.default_rng(2).normal(size=300), np.nan)
    (plain,), (within,) = (
        global_statistics(marks, neighbours, (15,), 9, strata=strata)
        for strata in (None, np.full(300, 4))
    )
    assert (within.moran, within.expected) == pytest.approx((plain.moran, plain.expected))
    assert within.z == pytest.approx(plain.z)


def test_what_strata_explain_is_no_concentration_and_what_they_do_not_is():
    # As with sets of conformal prediction: topics differ in their number of options, on which both
    # level and spread of the mark depend.
    neighbours, cluster = clustered_map(300, 6, 15)
    options = np.array([2, 2, 4, 4, 10, 10])[cluster]

    def marks(seed):
        draw = np.random.default_rng(seed)
        options_here = np.where(draw.random(300) < 0.2, draw.permutation(options), options)
        return 1 / options_here + draw.normal(size=300) / options_here, options_here

    found = []
    for seed in range(120):
        values, strata = marks(seed)
        (raw,) = global_statistics(values, neighbours, (15,), 0)
        (within,) = global_statistics(values, neighbours, (15,), 19, seed, strata=strata)
        found.append((raw.z, within.z, within.p))
    raw_z, z, p = np.array(found).T
    assert np.mean(raw_z > 1.645) > 0.9
    error = np.sqrt(0.05 * 0.95 / 120)
    assert abs(np.mean(z > 1.645) - 0.05) < 3 * error
    assert abs(np.mean(p <= 0.05) - 0.05) < 3 * error
    assert np.mean(z) == pytest.approx(0, abs=0.25)
    assert np.std(z) == pytest.approx(1, abs=0.2)
    values, strata = marks(0)
    (planted_there,) = global_statistics(
        values + 0.5 * (cluster == 1), neighbours, (15,), 39, strata=strata
    )
    assert planted_there.z > 5
    assert planted_there.p == 1 / 40


def test_p_values_are_uniform_without_structure():
    neighbours, _ = clustered_map(300, 6, 15)
    p = [
        global_statistics(errors_at(0.3, 300, seed), neighbours, (15,), 99, seed)[0].p
        for seed in range(200)
    ]
    assert abs(np.mean(np.array(p) <= 0.05) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200)
    assert 0.4 < np.mean(p) < 0.6


def test_p_and_z_say_the_same_where_errors_fall_on_hubs():
    # Errors are likelier the more often a question is a neighbour, but given that, independent.
    generator = np.random.default_rng(0)
    popularity = generator.pareto(1.5, 400) + 0.1
    neighbours = np.empty((400, 15), dtype=np.int32)
    for row in range(400):
        others = np.delete(np.arange(400), row)
        chance = popularity[others] / popularity[others].sum()
        neighbours[row] = generator.choice(others, 15, replace=False, p=chance)
    often = np.bincount(neighbours.ravel(), minlength=400)
    low = []
    for seed in range(40):
        rates = np.where(often > np.median(often), 0.9, 0.7)
        marks = (np.random.default_rng(seed).random(400) < rates).astype(float)
        (found,) = global_statistics(marks, neighbours, (15,), 99, seed)
        low.append(found.p <= 0.05)
        assert norm.sf(found.z) == pytest.approx(found.p, abs=0.15)
    assert np.mean(low) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 40)


def test_errors_that_concentrate_are_seen_at_every_scale():
    neighbours, cluster = clustered_map()
    found = global_statistics(planted(cluster, [3, 4], 0.8, 0.2), neighbours, (10, 30, 100))
    assert [one.k for one in found] == [10, 30, 100]
    assert all(one.z > 10 and one.p == 1 / 100 for one in found)
    assert all(one.joins_both + one.joins_neither + one.joins_one == 600 * one.k for one in found)


def test_questions_left_out_change_nothing_else():
    neighbours, cluster = clustered_map(300, 6, 15)
    marks = planted(cluster, [0], 0.9, 0.1)
    known = np.arange(300) % 5 != 0
    found = global_statistics(np.where(known, marks, np.nan), neighbours, (15,))[0]
    z = marks[known] - marks[known].mean()
    number = np.cumsum(known) - 1
    lags = [
        z[number[others[known[others]]]].mean() if known[others].any() else 0.0
        for others in neighbours[known, :15]
    ]
    assert found.questions == 240
    assert found.moran == pytest.approx(z @ lags / (z @ z), rel=1e-6)


@pytest.mark.parametrize("marks", [np.ones(50), np.full(50, np.nan), np.zeros(50)])
def test_marks_that_are_all_the_same_concentrate_nowhere(marks):
    found = global_statistics(marks, random_neighbours(50, 5), (5,))[0]
    assert np.isnan(found.moran)
    assert np.isnan(found.z)


def test_a_map_of_one_question_has_no_statistic():
    (found,) = global_statistics([1.0], np.empty((1, 0), np.int32), (0,))
    assert np.isnan(found.moran)
    assert len(mutual_neighbours(np.empty((1, 0), np.int32)).k) == 0


def test_hubs_are_seen():
    star = np.array([[1, 2]] + [[0, 2]] + [[0, 1]] * 8, dtype=np.int32)
    found = hubness(star, 2)
    assert found.largest_in_degree == 9
    assert found.orphans == 0.7
    assert found.skewness > 1
    ring = np.array([[(row + 1) % 10, (row + 2) % 10] for row in range(10)], dtype=np.int32)
    even = hubness(ring, 2)
    assert (even.skewness, even.largest_in_degree, even.orphans) == (0, 2, 0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "marks",
    [
        np.zeros(60),
        np.full(60, 0.3) + np.random.default_rng(0).normal(0, 1e-17, 60),
        np.where(np.arange(60) < 3, [0.0, 1.0] * 30, np.nan),
    ],
    ids=["all the same", "the same but for rounding", "three known"],
)
def test_marks_that_cannot_concentrate_have_no_statistic(marks):
    for one in global_statistics(marks, random_neighbours(60, 10), (5, 10)):
        assert np.isnan([one.moran, one.z, one.p]).all()


@pytest.mark.filterwarnings("error")
def test_known_questions_without_known_neighbours_have_no_statistic():
    # Each of 12 questions neighbours the next; marks are known of every third.
    neighbours = ((np.arange(12)[:, None] + 1) % 12).astype(np.int32)
    marks = np.full(12, np.nan)
    marks[::3] = [0, 1, 0, 1]
    (found,) = global_statistics(marks, neighbours, (1,))
    assert found.questions == 4
    assert np.isnan(found.moran)
