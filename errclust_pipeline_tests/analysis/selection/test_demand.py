import math

import numpy as np
import pytest

from errclust_pipeline.analysis.selection import demand_weights, in_development
from errclust_pipeline.analysis.spatial.local import local_hot_spots
from errclust_pipeline_tests.analysis.spatial.maps import clustered_map, planted


def straightforward(errors, neighbours, right, q, fault, k):
    """The formula of METHODS 6, one question at a time."""
    rates = local_hot_spots(errors, neighbours, k).smoothed_rate
    weights = []
    for i in range(len(errors)):
        if errors[i] != 1:
            weights.append(0.0)
            continue
        solvable = 0.5 if math.isnan(right[i]) else right[i]
        in_degree = sum(i in neighbours[j, :k] for j in range(len(errors)))
        reach = min(2.0, max(0.25, math.log(1 + in_degree) / math.log(1 + k)))
        weight = rates[i] * (0.25 + 0.75 * solvable) * reach
        weight *= 2 if q[i] < 0.1 else 1
        weight *= 0.1 if fault[i] >= 0.5 else 1
        weights.append(weight)
    return weights


def test_demand_is_that_of_the_formula():
    neighbours, cluster = clustered_map(n=300, k=40)
    generator = np.random.default_rng(0)
    errors = planted(cluster, [1, 2], 0.8, 0.2)
    errors[:9] = np.nan
    right = generator.random(300)
    right[20:40] = np.nan
    q, fault = generator.random(300) * 0.3, generator.random(300)
    found = demand_weights(errors, neighbours, right, q, fault)
    expected = straightforward(errors, neighbours, right, q, fault, 30)
    assert found.weight == pytest.approx(np.array(expected))
    assert (found.weight[errors != 1] == 0).all()
    assert found.weight[errors == 1].min() > 0


def test_every_factor_pulls_its_way():
    neighbours, _ = clustered_map(n=300, k=40)
    errors = np.ones(300)
    errors[::3] = 0
    base = demand_weights(errors, neighbours, np.full(300, 0.5)).weight
    wrong = errors == 1
    easier = demand_weights(errors, neighbours, np.full(300, 0.9)).weight
    hot = demand_weights(errors, neighbours, np.full(300, 0.5), np.full(300, 0.01)).weight
    suspect = demand_weights(
        errors, neighbours, np.full(300, 0.5), label_error_probability=np.full(300, 0.9)
    ).weight
    assert (easier[wrong] > base[wrong]).all()
    assert hot[wrong] == pytest.approx(2 * base[wrong])
    assert suspect[wrong] == pytest.approx(base[wrong] / 10)


def test_without_other_models_half_are_taken_to_be_right():
    neighbours, _ = clustered_map(n=300, k=40)
    errors = np.ones(300)
    alone = demand_weights(errors, neighbours)
    half = demand_weights(errors, neighbours, np.full(300, 0.5))
    assert alone.weight == pytest.approx(half.weight)
    assert np.isnan(alone.others_right).all()


def test_lengths_must_agree():
    neighbours, _ = clustered_map(n=300, k=40)
    with pytest.raises(ValueError, match="hot_q"):
        demand_weights(np.ones(300), neighbours, hot_q=np.ones(3))
    with pytest.raises(ValueError, match="299 errors"):
        demand_weights(np.ones(299), neighbours)


def test_the_split_is_the_same_whatever_else_there_is():
    names = [f"question-{number}" for number in range(4000)]
    whole = in_development(names)
    assert whole.mean() == pytest.approx(0.5, abs=0.04)
    assert in_development(names[::-1]).tolist() == whole[::-1].tolist()
    assert not (in_development(names, 0.3) & ~whole).any()
    assert in_development(names, 1.0).all()
    with pytest.raises(ValueError, match="share"):
        in_development(names, 0)
