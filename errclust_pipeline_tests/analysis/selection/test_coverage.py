import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from errclust_pipeline.analysis.selection import (
    DENSEST_FIRST,
    LIKE_THE_BENCHMARK,
    RANDOM,
    RANDOM_ERRORS,
    baseline_coverage,
    baseline_picks,
    candidate_groups,
    covered_share,
    group_caps,
    select,
    similarity_graph,
    suggested_budget,
)


def instance(seed, demand=30, candidates=25, levels=None):
    """A sparse random instance; with few levels of similarity and weight, ties abound."""
    generator = np.random.default_rng(seed)
    values = generator.random((demand, candidates)) * (generator.random((demand, candidates)) < 0.3)
    weights = generator.random(demand)
    if levels:
        values, weights = np.ceil(values * levels) / levels, np.ceil(weights * levels)
    return sparse.csr_matrix(values), weights


def plain_greedy(similarities, weights, budget, groups=None, caps=None):
    """Evaluate every candidate at every step; of equal ones take the first."""
    values = similarities.toarray()
    best, left, picks, gains = np.zeros(len(weights)), dict(caps or {}), [], []
    for _ in range(budget):
        chosen, most = None, 0.0
        for v in range(values.shape[1]):
            if v in picks or (groups is not None and left.get(groups[v], 1) <= 0):
                continue
            rows = np.flatnonzero(values[:, v])
            gain = float((weights[rows] * np.maximum(values[rows, v] - best[rows], 0)).sum())
            if gain > most:
                chosen, most = v, gain
        if chosen is None:
            break
        picks.append(chosen)
        gains.append(most)
        best = np.maximum(best, values[:, chosen])
        if groups is not None and groups[chosen] in left:
            left[groups[chosen]] -= 1
    return picks, gains


def value(similarities, weights, picks):
    return float((weights * similarities.toarray()[:, list(picks)].max(axis=1)).sum())


@given(
    seed=st.integers(0, 10_000),
    levels=st.sampled_from([None, 2, 4]),
    budget=st.integers(1, 30),
    capped=st.booleans(),
)
def test_lazy_greedy_picks_what_plain_greedy_picks_by_the_same_gains(seed, levels, budget, capped):
    similarities, weights = instance(seed, levels=levels)
    groups = np.random.default_rng(seed).integers(0, 4, 25) if capped else None
    caps = {0: 1, 1: 2, 2: 3} if capped else None
    found = select(similarities, weights, budget, groups, caps)
    picks, gains = plain_greedy(similarities, weights, budget, groups, caps)
    assert found.picks.tolist() == picks
    assert found.gains.tolist() == gains


@pytest.mark.parametrize("seed", range(20))
def test_it_covers_at_least_1_minus_1_over_e_of_the_optimum(seed):
    similarities, weights = instance(seed, demand=14, candidates=11)
    for budget in (2, 3, 4):
        best = max(
            value(similarities, weights, picks)
            for picks in itertools.combinations(range(11), budget)
        )
        found = float(select(similarities, weights, budget).gains.sum())
        assert (1 - 1 / math.e) * best <= found <= best + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_with_caps_it_covers_at_least_half_of_the_capped_optimum(seed):
    similarities, weights = instance(seed, demand=14, candidates=10)
    groups, caps = np.arange(10) % 2, {0: 1, 1: 2}
    allowed = [
        picks
        for picks in itertools.combinations(range(10), 3)
        if sum(groups[list(picks)] == 0) <= 1
    ]
    allowed = [picks for picks in allowed if sum(groups[list(picks)] == 1) <= 2]
    best = max(value(similarities, weights, picks) for picks in allowed)
    found = select(similarities, weights, 3, groups, caps)
    assert found.gains.sum() >= best / 2


@given(seed=st.integers(0, 1000), budget=st.integers(1, 40))
def test_caps_hold(seed, budget):
    similarities, weights = instance(seed, candidates=40)
    groups = np.random.default_rng(seed + 1).integers(0, 3, 40)
    caps = group_caps(groups, {0: 0.2, 1: 0.8}, budget)
    found = select(similarities, weights, budget, groups, caps)
    for group, cap in caps.items():
        assert (groups[found.picks] == group).sum() <= cap
    assert caps.get(2, 1) == 1


def test_caps_are_one_and_a_half_times_the_share():
    assert group_caps([0, 1, 2], {0: 0.5, 1: 0.001}, 100) == {0: 75, 1: 1, 2: 1}


def test_of_equal_candidates_the_first_is_picked():
    similarities = sparse.csr_matrix(np.ones((4, 6)))
    found = select(similarities, np.ones(4), 3)
    assert found.picks.tolist() == [0]  # The others add nothing any more.
    blocks = sparse.csr_matrix(np.kron(np.eye(3), np.ones((2, 2))))
    assert select(blocks, np.ones(6), 3).picks.tolist() == [0, 2, 4]


def test_each_pick_names_what_it_covers_better_than_all_before():
    values = np.array([[0.9, 0.5, 0.0], [0.6, 0.8, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 0.2]])
    found = select(sparse.csr_matrix(values), np.array([1.0, 1.0, 1.0, 1.0]), 3)
    assert found.picks.tolist() == [1, 0, 2]
    assert [one.tolist() for one in found.newly_covered] == [[1, 0, 2], [0], [3]]
    assert found.coverage.tolist() == pytest.approx([1.7 / 2.3, 2.1 / 2.3, 1.0])


def test_coverage_is_that_of_the_picks():
    similarities, weights = instance(3)
    found = select(similarities, weights, 5)
    assert found.coverage[-1] == pytest.approx(covered_share(similarities, weights, found.picks))
    assert covered_share(similarities, weights, []) == 0
    assert covered_share(similarities, weights, range(25)) == pytest.approx(1)


def test_the_suggested_budget_is_the_smallest_that_reaches_the_share():
    similarities, weights = instance(4)
    budget, curve = suggested_budget(similarities, weights, 0.8)
    assert curve[-1] >= 0.8 > curve[-2]
    assert len(curve) == budget
    assert np.all(np.diff(curve) >= 0)


def test_nothing_to_cover_gives_no_picks():
    found = select(sparse.csr_matrix((3, 4)), np.ones(3), 2)
    assert len(found.picks) == 0
    assert found.attainable == 0
    assert suggested_budget(sparse.csr_matrix((0, 0)), np.zeros(0))[0] == 0


@pytest.mark.parametrize(
    ("weights", "budget", "message"),
    [
        ([1.0, 1.0], 1, "2 demand points|2,.*3 demand"),
        ([1.0, -1.0, 1.0], 1, "not negative"),
        ([1.0, math.nan, 1.0], 1, "finite"),
        ([1.0, 1.0, 1.0], 0, "budget"),
    ],
)
def test_what_cannot_be_covered_is_refused(weights, budget, message):
    with pytest.raises(ValueError, match=message):
        select(sparse.csr_matrix(np.ones((3, 2))), weights, budget)


def test_the_graph_keeps_each_points_nearest_candidates():
    generator = np.random.default_rng(0)
    demand, candidates = generator.normal(size=(20, 8)), generator.normal(size=(50, 8))
    graph = similarity_graph(demand, candidates, 5).toarray()
    cosine = (demand / np.linalg.norm(demand, axis=1, keepdims=True)) @ (
        candidates / np.linalg.norm(candidates, axis=1, keepdims=True)
    ).T
    for row in range(20):
        nearest = np.argsort(-cosine[row])[:5]
        assert set(np.flatnonzero(graph[row])) == {v for v in nearest if cosine[row, v] > 0}
        assert graph[row, nearest[0]] == pytest.approx(cosine[row, nearest[0]], abs=1e-5)


def test_a_candidate_belongs_to_the_group_of_its_most_similar_point():
    graph = sparse.csr_matrix(np.array([[0.2, 0.0, 0.9], [0.7, 0.0, 0.1]]))
    assert candidate_groups(graph, [7, 8]).tolist() == [8, -1, 7]


def test_baselines_pick_what_they_say():
    nearest = np.array([0, 1, 2, 3, 4, 5])
    errors, local = np.array([1, 0, 1, 0, 1, 0]), np.array([0.1, 0.9, 0.8, 0.2, 0.5, 0.3])
    arguments = (nearest, 8, errors, local)
    assert baseline_picks(DENSEST_FIRST, *arguments, 2, 0).tolist() == [2, 4]
    assert set(baseline_picks(RANDOM_ERRORS, *arguments, 9, 0).tolist()) == {0, 2, 4}
    assert set(baseline_picks(LIKE_THE_BENCHMARK, *arguments, 9, 0).tolist()) == set(range(6))
    assert set(baseline_picks(RANDOM, *arguments, 9, 0).tolist()) == set(range(8))
    with pytest.raises(ValueError, match="unknown baseline"):
        baseline_picks("best", *arguments, 2, 0)


def test_no_baseline_covers_more_than_the_selection():
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(200, 6))
    errors = (generator.random(200) < 0.4).astype(float)
    wrong = np.flatnonzero(errors == 1)
    graph = similarity_graph(vectors[wrong], vectors, 10)
    weights = generator.random(len(wrong))
    found = baseline_coverage(graph, weights, np.arange(200), errors, generator.random(200), 15)
    assert len(found) == 4
    assert max(found.values()) < select(graph, weights, 15).coverage[-1]
