from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.analysis.labelling import key_phrases, phrases_of
from errclust_pipeline.analysis.labelling.key_phrases import class_tf_idf, count_phrases


def phrases(*texts: str) -> list[list[str]]:
    return [phrases_of(text) for text in texts]


def test_class_tf_idf_as_computed_by_hand() -> None:
    # Two classes of 3 and 5 counts: A = 4. Term frequencies over both: 2, 4, 2.
    weights = class_tf_idf([[2, 1, 0], [0, 3, 2]])
    expected = [
        [2 / 3 * math.log(1 + 4 / 2), 1 / 3 * math.log(1 + 4 / 4), 0],
        [0, 3 / 5 * math.log(1 + 4 / 4), 2 / 5 * math.log(1 + 4 / 2)],
    ]
    np.testing.assert_allclose(weights, expected)


@pytest.mark.parametrize("counts", [np.zeros((0, 0)), np.zeros((2, 0)), np.zeros((2, 3))])
def test_class_tf_idf_of_nothing_is_zero(counts: np.ndarray) -> None:
    np.testing.assert_array_equal(class_tf_idf(counts), counts)


def test_phrases_neither_begin_nor_end_with_stop_words_nor_cross_punctuation() -> None:
    assert phrases_of("The moment of inertia, mass.") == [
        "moment",
        "moment of inertia",
        "inertia",
        "mass",
    ]
    assert phrases_of("red if blue") == ["red", "blue"], "only 'of' and the like stand inside"


@pytest.mark.parametrize("noise", [r"\frac{1}{2}", "12 345", "$x_1 = 3.5$", "a b c", "x" * 40, ""])
def test_numbers_letters_and_latex_are_no_phrases(noise: str) -> None:
    assert phrases_of(noise) == []


@given(st.text(max_size=300))
def test_phrases_hold_letters_hyphens_and_spaces_only(text: str) -> None:
    for phrase in phrases_of(text):
        assert re.fullmatch(r"[^\W\d_]+(?:[- ][^\W\d_]+)*", phrase)


def test_a_phrase_counts_once_a_text_and_not_at_all_in_one_text() -> None:
    counted = count_phrases({"a": phrases("kinetic kinetic", "kinetic"), "b": phrases("orbit")})
    assert counted.vocabulary == ("kinetic",)
    assert counted.counts.tolist() == [[2], [0]]


def test_what_all_clusters_share_comes_after_what_sets_one_apart() -> None:
    found = key_phrases(
        {
            "units": phrases(*["train journey in kilometres", "train speed in kilometres"] * 5),
            "law": phrases(*["train contract breach", "train contract offer"] * 5),
        }
    )
    assert found["units"].phrases[0] == "kilometres"
    assert found["law"].phrases[0] == "train contract"
    assert "train" not in found["law"].phrases, "part of a phrase that is there"
    assert found["units"].scores == tuple(sorted(found["units"].scores, reverse=True))


def test_a_fragment_is_shown_as_the_phrase_it_is_always_part_of() -> None:
    found = key_phrases(
        {
            "a": phrases(*["solve the initial value problem"] * 4, "initial value problem"),
            "b": phrases(*["capital gains"] * 5),
        }
    )
    assert found["a"].phrases[0] == "initial value problem"
    assert found["b"].phrases == ("capital gains",)


def test_singular_and_plural_are_said_once() -> None:
    found = key_phrases({"a": phrases("miles", "miles", "mile", "mile"), "b": phrases("x")})
    assert len(found["a"].phrases) == 1


def test_a_class_without_words_has_no_phrases() -> None:
    found = key_phrases({"a": phrases("12 + 3", ""), "b": phrases("orbit", "orbit")})
    assert found["a"].phrases == ()
    assert key_phrases({}) == {}
