"""The union of questions, near-duplicates, and names of regions."""

import itertools

import numpy as np
import pandas as pd
import pytest

from errclust_pipeline.analysis.question_map import (
    content_version,
    merge_questions,
    near_duplicates,
    questions_of,
)
from errclust_pipeline.analysis.question_map.regions import region_paths


def responses(*rows):
    columns = ["question_id", "subject", "question", "choices", "gold"]
    return pd.DataFrame([dict(zip(columns, row, strict=True)) for row in rows])


A = responses(("q1", "maths", "One?", ["1", "2"], "1"), ("q2", None, "Two?", None, "2"))
B = responses(("q2", "maths", "two?", None, "2"), ("q3", "law", "Three?", None, "3"))
C = responses(("q1", "maths", "One?", ["1", "2"], "1"), ("q3", "art", "Three?", None, "3"))


def test_the_union_does_not_depend_on_the_order_or_grouping_of_submissions():
    parts = [questions_of(part) for part in (A, B, C)]
    expected = merge_questions(parts)
    assert expected["question_id"].tolist() == ["q1", "q2", "q3"]
    for one, two, three in itertools.permutations(parts):
        merged = merge_questions([merge_questions([one, two]), three])
        pd.testing.assert_frame_equal(merged, expected)
        assert content_version(merged) == content_version(expected)


def test_a_submission_without_new_questions_leaves_the_version():
    questions = questions_of(A)
    again = merge_questions([questions, questions_of(A.iloc[::-1])])
    assert content_version(again) == content_version(questions)
    more = merge_questions([questions, questions_of(B)])
    assert content_version(more) != content_version(questions)


def test_what_is_embedded_is_the_text_of_an_error_s_question():
    assert questions_of(A)["text"].tolist() == ["One?\n1\n2", "Two?"]


def test_near_duplicates_hold_the_same_numbers():
    texts = ["397 kg in pounds?", "229 kg in pounds?", "In pounds: 397 kg?", "Who wrote it?"]
    vectors = np.array([[1, 0.01], [1, 0.02], [1, 0.03], [0, 1]])
    assert near_duplicates(texts, vectors).tolist() == [0, 1, 0, 3]
    assert near_duplicates(texts, vectors, similarity=1.01).tolist() == [0, 1, 2, 3]


def test_near_duplicates_do_not_grow_along_chains():
    # Each is near enough to the next, the first not to the last.
    angles = np.deg2rad([0, 10, 20, 30])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    groups = near_duplicates(["same"] * 4, vectors, similarity=float(np.cos(np.deg2rad(11))))
    assert groups.tolist() == [0, 0, 2, 2]


def test_near_duplicates_of_as_many_texts_as_embeddings():
    with pytest.raises(ValueError, match="2 texts but 1 embeddings"):
        near_duplicates(["a", "b"], [[1.0, 0.0]])


LABELS = np.array([[0, 0], [0, 0], [0, 1], [0, 1], [0, 1], [1, 2], [1, 2], [1, 2], [-1, -1]])
IDS = [f"q{number}" for number in range(len(LABELS))]


def test_regions_are_numbered_by_size_within_their_parent():
    paths = region_paths(LABELS, IDS)
    assert paths == ["1.2", "1.2", "1.1", "1.1", "1.1", "2", "2", "2", None]


def test_regions_keep_their_names_when_the_map_grows():
    before = dict(zip(IDS, region_paths(LABELS, IDS), strict=True))
    # The second region outgrows the first, 1.2 outgrows 1.1, and a new region comes up.
    grown = np.concatenate([LABELS, [[1, 2]] * 4, [[0, 0]] * 1, [[2, 3]] * 3])
    ids = [*IDS, *(f"r{number}" for number in range(8))]
    paths = region_paths(grown, ids, before)
    assert paths[: len(IDS)] == [before[name] for name in IDS]
    assert paths[len(IDS) :] == ["2"] * 4 + ["1.2"] + ["3"] * 3


def test_a_region_that_is_no_longer_the_same_gets_a_new_name():
    before = dict.fromkeys(IDS[:4], "1") | dict.fromkeys(IDS[4:], "2")
    labels = np.array([[0], [0], [1], [1], [2], [2], [3], [3], [3]])
    paths = region_paths(labels, IDS, before)
    # Halves of region 1, at Jaccard 1/2, are neither of them it; nor is 3/5 of 2 lost: it is kept.
    assert len({paths[0], paths[2]} & {"1"}) == 0
    assert paths[6] == "2"
    assert len(set(paths)) == 4
