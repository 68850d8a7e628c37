"""Where a model is unsure: not where questions merely have fewer options."""

import numpy as np
import pytest
from scipy.special import softmax

from errclust_pipeline.analysis.clustering import ClusteringSettings
from errclust_pipeline.analysis.question_map import QuestionMap, build_question_map
from errclust_pipeline.analysis.uncertainty import (
    OptionProbabilities,
    OptionsOnMap,
    measure_uncertainty,
)
from errclust_pipeline.vocabulary import UNCERTAIN, UNCERTAIN_GIVEN_OPTIONS

TOPIC = np.arange(300) % 6
OPTIONS = np.array([2, 3, 10, 10, 4, 4])


@pytest.fixture(scope="module")
def questions():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(6, 32))[TOPIC] + 0.6 * generator.normal(size=(300, 32))
    ids = [f"{number:03d}" for number in range(300)]
    regions = ClusteringSettings(layout=False)
    return QuestionMap.from_table(build_question_map(ids, ids, vectors, region_settings=regions))


def measured(questions, seed, unsure=None):
    """A model that knows each topic as well as the others, or one topic less well."""
    generator = np.random.default_rng(seed)
    elsewhere = generator.permutation(OPTIONS[TOPIC])
    counts = np.where(generator.random(300) < 0.2, elsewhere, OPTIONS[TOPIC])
    gold = generator.integers(0, counts)
    logits = generator.normal(size=(300, 10))
    logits[np.arange(300), gold] += np.where(unsure == TOPIC, 0, 2.5)
    missing = np.arange(10) >= counts[:, None]
    logits[missing] = -np.inf
    probabilities = np.where(missing, np.nan, softmax(logits, axis=1))
    options = OptionProbabilities(
        np.arange(300), probabilities, gold, np.zeros(300, dtype=bool), {}
    )
    model = OptionsOnMap(options, np.arange(300), questions, {}, [("question",)] * 300)
    return measure_uncertainty(model, permutations=19, repeats=3)


def z_of(found):
    return found.summary.set_index(["score", "form"]).loc[("mean", "paper")]


def test_topics_of_fewer_options_are_not_taken_for_unsure_ones(questions):
    found = [measured(questions, seed) for seed in range(10)]
    raw, given = (
        [bool((one.hot_regions["basis"] == basis).any()) for one in found]
        for basis in (UNCERTAIN, UNCERTAIN_GIVEN_OPTIONS)
    )
    assert sum(raw) >= 8
    assert sum(given) <= 1
    assert all(z_of(one)["moran_z"] > 5 for one in found)
    assert sum(abs(z_of(one)["adjusted_moran_z"]) > 1.96 for one in found) <= 2


def test_a_topic_that_is_less_known_is_found_whatever_its_options(questions):
    # It is one of ten options, where a set holds the smallest share of them.
    found = measured(questions, 0, unsure=3)
    places = found.hot_regions[found.hot_regions["basis"] == UNCERTAIN_GIVEN_OPTIONS]
    inside = TOPIC[places["question_ids"].explode().astype(int)]
    assert np.mean(inside == 3) > 0.9
    assert np.sum(inside == 3) > 40
    assert (places["low"] > 0).all()
    assert z_of(found)["adjusted_moran_z"] > 4
