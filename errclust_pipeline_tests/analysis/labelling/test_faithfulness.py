import numpy as np
import pytest

from errclust_pipeline.analysis.labelling import (
    balanced_accuracy,
    faithfulness_by_similarity,
    unseen,
)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_interval_is_that_of_the_mean_of_two_independent_shares():
    found = balanced_accuracy(18, 20, 15, 20)
    # Wilson intervals of 18/20 and 15/20 are (.699, .972) and (.531, .888).
    assert found.accuracy == pytest.approx(0.825)
    assert found.low == pytest.approx(0.825 - np.hypot(0.9 - 0.69896, 0.75 - 0.53132) / 2, abs=1e-4)
    assert found.high == pytest.approx(
        0.825 + np.hypot(0.97214 - 0.9, 0.88815 - 0.75) / 2, abs=1e-4
    )


def test_the_interval_covers_what_it_should():
    draws = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        found = balanced_accuracy(
            int(draws.binomial(30, 0.8)), 30, int(draws.binomial(30, 0.6)), 30
        )
        covered += found.low <= 0.7 <= found.high
    assert 0.93 <= covered / 2000 <= 0.985


@pytest.mark.parametrize("size", [4, 8, 20, 60])
def test_a_label_that_says_nothing_seldom_passes(size):
    draws = np.random.default_rng(size)
    passed, accuracies = 0, []
    for _ in range(1000):
        found = faithfulness_by_similarity(draws.normal(size=size), draws.normal(size=size))
        passed += found.low > 0.5
        accuracies.append(found.accuracy)
    # Nominally 2.5 %; about 3.3 % over 4,000 draws of each size.
    assert passed / 1000 <= 0.05
    assert np.mean(accuracies) == pytest.approx(0.5, abs=0.02)


def test_a_label_that_tells_members_apart_passes_and_its_contrary_fails():
    draws = np.random.default_rng(1)
    members, others = draws.normal(2.5, 1, 40), draws.normal(0, 1, 40)
    good, bad = (
        faithfulness_by_similarity(members, others),
        faithfulness_by_similarity(others, members),
    )
    assert good.low > 0.7
    assert good.accuracy > 0.8
    assert bad.low <= 0.5


def test_too_few_to_test_is_no_test():
    assert faithfulness_by_similarity([0.1, 0.2, 0.3], np.zeros(10)) is None
    assert faithfulness_by_similarity(np.zeros(10), [0.1, 0.2, 0.3]) is None


def test_nothing_that_was_shown_is_tested_and_others_are_near_and_far():
    draws = np.random.default_rng(2)
    near, far = draws.normal(size=(2, 8)), draws.normal(size=8) * -3
    vectors = unit(
        np.concatenate(
            [
                near[0] * 6 + draws.normal(size=(30, 8)),
                near[0] * 4 + near[1] * 3 + draws.normal(size=(200, 8)),
                far + draws.normal(size=(300, 8)),
            ]
        )
    )
    members, shown = np.arange(30), {0, 5, 40, 41}
    sample = unseen(vectors, members, shown)
    assert sorted(sample.members) == sorted(set(range(30)) - shown)
    assert len(sample.others) == len(sample.members) == 28
    assert not set(sample.others) & (shown | set(range(30)))
    is_near = sample.others < 230
    assert 14 <= is_near.sum() <= 22
    assert (unseen(vectors, members, shown).others == sample.others).all()


def test_a_large_cluster_is_tested_on_a_part_of_it():
    vectors = unit(np.random.default_rng(3).normal(size=(1000, 8)))
    sample = unseen(vectors, np.arange(400), (), most=60)
    assert len(sample.members) == len(sample.others) == 60
    assert len(set(sample.members)) == len(set(sample.others)) == 60


def test_all_errors_in_one_cluster_leave_nothing_to_compare_with():
    vectors = unit(np.random.default_rng(4).normal(size=(20, 8)))
    sample = unseen(vectors, np.arange(20), ())
    assert len(sample.others) == 0
