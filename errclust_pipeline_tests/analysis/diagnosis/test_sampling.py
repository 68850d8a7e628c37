from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.analysis.diagnosis import stratified_sample

REGIONS = st.lists(st.sampled_from(["1", "2", "3", "4", None]), min_size=1, max_size=200)


def ids(number):
    return [f"e{row}" for row in range(number)]


@given(REGIONS, st.floats(0.01, 1), st.integers(1, 300))
def test_quotas_add_up_cover_the_strata_and_weights_make_up_for_them(strata, share, most):
    sample = stratified_sample(ids(len(strata)), strata, share, most)
    wanted = min(int(np.ceil(share * len(strata) - 1e-9)), most)
    sizes = Counter(strata)
    drawn = Counter(strata[row] for row in sample.rows)
    assert len(sample.rows) == len(set(sample.rows.tolist())) == wanted
    assert len(drawn) == min(wanted, len(sizes))
    for stratum, number in drawn.items():
        weights = [
            w for w, row in zip(sample.weights, sample.rows, strict=True) if strata[row] == stratum
        ]
        assert weights == pytest.approx([sizes[stratum] / number] * number)
        if wanted > len(sizes):
            assert abs(number - sizes[stratum] * wanted / len(strata)) < max(1, len(sizes))


def test_a_tenth_is_drawn_in_proportion():
    strata = ["1"] * 700 + ["2"] * 250 + ["3"] * 45 + [None] * 5
    sample = stratified_sample(ids(1000), strata, 0.1, 500)
    drawn = Counter(strata[row] for row in sample.rows)
    assert drawn == {"1": 70, "2": 25, "3": 4, None: 1}
    assert sample.weights.sum() == pytest.approx(1000)


def test_a_larger_sample_holds_the_smaller_one():
    strata = ["1"] * 70 + ["2"] * 30
    small, large = (
        set(stratified_sample(ids(100), strata, share, 99).rows) for share in (0.1, 0.3)
    )
    assert small < large


def test_it_does_not_depend_on_the_order_of_the_errors():
    strata = ["1"] * 30 + ["2"] * 30
    forward = stratified_sample(ids(60), strata, 0.2, 99)
    backward = stratified_sample(ids(60)[::-1], strata[::-1], 0.2, 99)
    assert {f"e{row}" for row in forward.rows} == {f"e{59 - row}" for row in backward.rows}


def test_nothing_is_drawn_of_nothing():
    assert len(stratified_sample([], [], 0.5, 10).rows) == 0
    assert len(stratified_sample(ids(3), ["1"] * 3, 0.0, 10).rows) == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="2 ids but 1 strata"):
        stratified_sample(ids(2), ["1"], 0.5, 10)
    with pytest.raises(ValueError, match="between 0 and 1"):
        stratified_sample(ids(1), ["1"], 1.5, 10)
