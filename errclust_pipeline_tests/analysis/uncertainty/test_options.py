"""Which log-likelihoods can be compared, and what is said of those that cannot."""

import math

import numpy as np
import pytest
from scipy.special import softmax

from errclust_pipeline.analysis.uncertainty import (
    NoOptionProbabilitiesError,
    chosen_options,
    option_probabilities,
)

SUMS = [-1.0, -2.0, -8.0]


def test_letters_compare_by_their_sums_whatever_the_metric():
    for metric in ("acc", "acc_norm"):
        found = option_probabilities([SUMS], [1], [[1, 1, 1]], metrics=metric)
        np.testing.assert_allclose(found.probabilities, [softmax(SUMS)])
        assert not found.by_length.any()


def test_questions_may_have_different_numbers_of_options():
    found = option_probabilities([SUMS, [-3.0, -1.0]], [0, 1], [[1] * 3, [1] * 2])
    assert found.options.tolist() == [3, 2]
    np.testing.assert_allclose(found.probabilities[1, :2], softmax([-3.0, -1.0]))
    assert np.isnan(found.probabilities[1, 2])
    assert chosen_options(found.probabilities).tolist() == [0, 1]


def test_texts_of_different_lengths_compare_by_length_only_where_the_metric_does():
    lengths = [[10, 40, 80]]
    found = option_probabilities([SUMS], [0], lengths, metrics="acc_norm")
    np.testing.assert_allclose(found.probabilities[0], softmax(np.array(SUMS) / lengths[0]))
    # As the metric has it: the second is likeliest a character, the first by its sum.
    assert chosen_options(found.probabilities).tolist() == [1]
    assert found.by_length.all()
    with pytest.raises(NoOptionProbabilitiesError, match=r"different lengths .*--metric acc_norm"):
        option_probabilities([SUMS], [0], lengths, metrics="acc")


def test_short_words_are_one_token_and_numbers_and_long_words_are_not():
    def found(texts):
        return option_probabilities([[-1.0, -2.0]], [0], [[len(text) for text in texts]], [texts])

    assert found(["True", "False"]).rows.tolist() == [0]
    for texts in (["7", "12345"], ["yes", "entailment"], ["no way", "no"]):
        with pytest.raises(NoOptionProbabilitiesError, match="different lengths"):
            found(texts)
    # What was scored was something else than these words.
    with pytest.raises(NoOptionProbabilitiesError, match="different lengths"):
        option_probabilities([[-1.0, -2.0]], [0], [[4, 9]], [["True", "False"]])


def test_what_cannot_be_used_is_left_out_and_counted():
    found = option_probabilities(
        [SUMS, None, [], [-1.0], [math.nan, -1.0], [-math.inf] * 2, SUMS, SUMS, SUMS, SUMS],
        [0, 0, 0, 0, 0, 0, None, 3, 0, 2],
        [[1] * 3, None, None, [1], [1, 1], [1, 1], [1] * 3, [1] * 3, None, [1] * 3],
    )
    assert found.rows.tolist() == [0, 9]
    assert found.gold.tolist() == [0, 2]
    assert found.left_out == {
        "no log-likelihoods": 2,
        "fewer than two options": 1,
        "log-likelihoods that are not numbers": 2,
        "right option not known": 2,
        "what was scored for each option is not known": 1,
    }


def test_an_impossible_option_is_one_like_others():
    found = option_probabilities([[-1.0, -math.inf]], [0], [[1, 1]])
    assert found.probabilities.tolist() == [[1.0, 0.0]]


def test_without_any_the_reason_and_the_remedy_are_told():
    with pytest.raises(NoOptionProbabilitiesError, match="--log_samples") as caught:
        option_probabilities([None, None], [0, 1], [None, None])
    assert caught.value.left_out == {"no log-likelihoods": 2}
    with pytest.raises(NoOptionProbabilitiesError, match="there is no question"):
        option_probabilities([], [], [])


def test_as_many_of_each_are_needed():
    with pytest.raises(ValueError, match="as many each"):
        option_probabilities([SUMS], [0, 1], [[1] * 3])
