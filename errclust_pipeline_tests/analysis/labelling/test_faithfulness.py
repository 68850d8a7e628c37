import re

import numpy as np
import pandas as pd
import pytest

from errclust_pipeline.analysis.labelling import (
    KeyPhraseLabelWriter,
    balanced_accuracy,
    faithfulness_by_similarity,
    fits_another_better,
    label_clusters,
    set_aside,
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


@pytest.mark.parametrize("beside", [[], [np.array([0.9])], [np.zeros(30), np.full(30, 0.4)]])
def test_a_label_fits_no_other_cluster_better_if_none_is_more_similar(beside):
    own = np.linspace(0.3, 0.7, 30)
    assert not fits_another_better(own, beside)


def test_a_label_of_another_cluster_fits_that_one_better():
    draws = np.random.default_rng(5)
    own, its, far = draws.normal(0.4, 0.1, 20), draws.normal(0.6, 0.1, 20), draws.normal(size=20)
    assert fits_another_better(own, [far * 0.1, its])
    assert not fits_another_better(its, [far * 0.1, own])
    assert fits_another_better(np.zeros(8), [np.ones(8)]), "without any deviation either"


def test_a_label_that_fits_two_clusters_alike_is_seldom_said_to_fit_the_other_better():
    draws = np.random.default_rng(6)
    found = [
        fits_another_better(draws.normal(size=12), [draws.normal(size=12)]) for _ in range(1000)
    ]
    assert 0.03 <= np.mean(found) <= 0.07


def test_half_of_each_group_is_set_aside_and_the_errors_on_a_question_stay_together():
    names = [f"q{number // 2}" for number in range(40)]
    groups = [np.arange(20), np.arange(20, 34), np.arange(34, 40)]
    aside = set_aside(groups, names)
    assert [int(aside[rows].sum()) for rows in groups] == [10, 6, 0]
    assert (aside[::2] == aside[1::2]).all()
    order = np.random.default_rng(7).permutation(20)
    again = set_aside([order, *groups[1:]], names)
    assert (again == aside).all()


def test_only_what_was_set_aside_is_tested_and_others_are_near_and_far():
    draws = np.random.default_rng(2)
    near, far = draws.normal(size=(2, 8)), draws.normal(size=8) * -3
    vectors = unit(
        np.concatenate(
            [
                near[0] * 6 + draws.normal(size=(60, 8)),
                near[0] * 4 + near[1] * 3 + draws.normal(size=(400, 8)),
                far + draws.normal(size=(600, 8)),
            ]
        )
    )
    members, aside = np.arange(60), np.arange(1060) % 2 == 1
    sample = unseen(vectors, members, aside)
    assert sorted(sample.members) == list(range(1, 60, 2))
    assert len(sample.others) == len(sample.members) == 30
    assert aside[sample.others].all()
    assert not set(sample.others) & set(members)
    is_near = sample.others < 460
    assert 15 <= is_near.sum() <= 24
    assert (unseen(vectors, members, aside).others == sample.others).all()


def test_a_large_cluster_is_tested_on_a_part_of_it():
    vectors = unit(np.random.default_rng(3).normal(size=(1000, 8)))
    sample = unseen(vectors, np.arange(400), np.ones(1000, dtype=bool), most=60)
    assert len(sample.members) == len(sample.others) == 60
    assert len(set(sample.members)) == len(set(sample.others)) == 60


def test_all_errors_in_one_cluster_leave_nothing_to_compare_with():
    vectors = unit(np.random.default_rng(4).normal(size=(20, 8)))
    sample = unseen(vectors, np.arange(20), np.arange(20) % 2 == 1)
    assert len(sample.others) == 0


def test_key_phrases_of_groups_drawn_at_random_seldom_pass():
    """They did where they were counted in the texts that they are tested on."""
    words = [f"z{one}{two}{three}" for one in "bdfgklm" for two in "aeiou" for three in "nrtx"]
    place = {word: number for number, word in enumerate(words)}

    def embed(texts):
        vectors = np.zeros((len(texts), len(words)))
        for row, text in enumerate(texts):
            for word in re.findall("[a-z]+", text):
                vectors[row, place[word]] += 1
        return vectors

    draws, passed = np.random.default_rng(8), []
    for _ in range(12):
        texts = [", ".join(draws.choice(words, 6, replace=False)) for _ in range(240)]
        ids = [f"e{row}" for row in range(240)]
        errors = pd.DataFrame(
            {
                "example_id": ids,
                "question_id": ids,
                "question": texts,
                "text": texts,
                "failure_form": "wrong_answer",
                **dict.fromkeys(("subject", "gold", "prediction", "response_tail")),
            }
        )
        clusters = pd.DataFrame(
            {"example_id": ids, "level": 1, "cluster_id": [str(row % 12) for row in range(240)]}
        )
        labels = label_clusters(errors, embed(texts), clusters, KeyPhraseLabelWriter(), embed)
        passed += labels["is_faithful"].tolist()
    assert len(passed) == 144
    assert np.mean(passed) <= 0.05
