"""The map built from embeddings, and marks put on it."""

import numpy as np
import pandas as pd
import pytest

from errclust_pipeline.analysis.clustering import ClusteringSettings
from errclust_pipeline.analysis.knn_graph import cosine_neighbours, nearest_neighbours
from errclust_pipeline.analysis.question_map import (
    QuestionMap,
    QuestionMapSettings,
    build_question_map,
    label_regions,
)

SETTINGS = QuestionMapSettings(neighbours=40)
NO_LAYOUT = ClusteringSettings(layout=False)


@pytest.fixture(scope="module")
def places():
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(4, 16))
    vectors = np.repeat(centres, 30, axis=0) + 0.3 * generator.normal(size=(120, 16))
    vectors[119] = vectors[118] + 1e-4
    ids = [f"q{number:03}" for number in generator.permutation(120)]
    texts = [f"question {name}" if row < 118 else "twins" for row, name in enumerate(ids)]
    return ids, texts, vectors


def build(places, settings=SETTINGS, **options):
    ids, texts, vectors = places
    return build_question_map(ids, texts, vectors, settings, NO_LAYOUT, **options)


def test_the_order_of_rows_changes_nothing(places):
    ids, texts, vectors = places
    order = np.random.default_rng(1).permutation(len(ids))
    shuffled = [ids[row] for row in order], [texts[row] for row in order], vectors[order]
    pd.testing.assert_frame_equal(build(places), build(shuffled))


def test_near_duplicates_are_one_point_and_counted(places):
    table = build(places)
    ids = places[0]
    twins = table[table["question_id"].isin(ids[118:])]
    assert twins["position"].nunique() == 1
    assert twins["near_duplicates"].tolist() == [1, 1]
    assert twins["stands_for_itself"].sum() == 1
    assert table["stands_for_itself"].sum() == 119
    assert twins["region_id"].nunique() == 1


def test_neighbours_are_the_nearest_other_points(places):
    ids, _, vectors = places
    question_map = QuestionMap.from_table(build(places))
    assert question_map.neighbours.shape == (119, 40)
    row_of = {name: row for row, name in enumerate(ids)}
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [row_of[name] for name in question_map.question_ids]
    similarity = unit[rows] @ unit[rows].T
    np.fill_diagonal(similarity, -2)
    expected = np.sort(similarity, axis=1)[:, ::-1][:, :40]
    np.testing.assert_allclose(question_map.similarities, expected, atol=2e-6)


def test_regions_are_the_planted_groups(places):
    ids, _, _ = places
    table = build(places).set_index("question_id")
    groups = [table.loc[ids[start : start + 30], "region_id"] for start in range(0, 120, 30)]
    assert [group.nunique() for group in groups] == [1, 1, 1, 1]
    assert len({group.iloc[0] for group in groups}) == 4


def test_marks_go_to_the_question_that_stands_for_its_duplicates(places):
    question_map = QuestionMap.from_table(build(places))
    first, second = sorted(places[0][118:])
    at = question_map.position_of[first]
    assert question_map.position_of[second] == at
    own, other = question_map.question_ids[at], {first, second} - {question_map.question_ids[at]}
    other = other.pop()
    assert question_map.place([other], [1.0])[at] == 1
    assert question_map.place([other, own], [1.0, 0.0])[at] == 0
    assert question_map.place([own, own, other], [1.0, 0.0, 0.0])[at] == 1
    assert question_map.place([other, other], [1.0, 0.0])[at] == 1
    marks = question_map.place([own], [1.0])
    assert np.isnan(marks).sum() == len(question_map) - 1
    with pytest.raises(KeyError):
        question_map.place(["unknown"], [1.0])


def test_every_region_is_at_one_level_once(places):
    question_map = QuestionMap.from_table(build(places))
    labels, names = question_map.region_labels()
    for level, (column, at_level) in enumerate(zip(labels.T, names, strict=True)):
        assert set(column) - {-1} == set(range(len(at_level)))
        assert all(name.count(".") == level for name in at_level)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_small_maps(places, count):
    ids, texts, vectors = places
    table = build((ids[:count], texts[:count], vectors[:count]))
    assert len(table) == count
    question_map = QuestionMap.from_table(table)
    assert len(question_map) == count
    assert question_map.place(ids[:count], np.ones(count)).tolist() == [1.0] * count
    labels, _ = question_map.region_labels()
    assert len(labels) == count


def test_repeated_ids_are_refused(places):
    ids, texts, vectors = places
    with pytest.raises(ValueError, match="unique"):
        build((ids[:1] * 2, texts[:2], vectors[:2]))


def test_regions_are_named_by_what_their_questions_say(places):
    ids, _, vectors = places
    topics = ["rivers", "metals", "chess", "baking"]
    order = np.argsort(ids)
    questions = pd.DataFrame(
        {
            "question_id": np.array(ids)[order],
            "subject": [topics[row // 30] for row in order],
            "question": [f"What about {topics[row // 30]}, case {row}?" for row in order],
            "gold": "yes",
        }
    )
    questions["text"] = questions["question"]
    labels = label_regions(questions, vectors[order], build(places))
    assert sorted(labels["main_subject"]) == sorted(topics)
    assert [label.split(" · ")[0] for label in labels["label"]] == labels["main_subject"].tolist()
    assert labels["size"].sum() == 120
    assert all("questions" in text for text in labels["description"])
    assert all(one["question_id"] in ids for row in labels["exemplars"] for one in row)


def test_approximate_neighbours_are_nearly_the_exact_ones():
    vectors = np.random.default_rng(0).normal(size=(2000, 8))
    exact, _ = cosine_neighbours(vectors, 20)
    found, similarities = nearest_neighbours(vectors, 20, exact_up_to=1000)
    assert found.shape == (2000, 20)
    assert not (found == np.arange(2000)[:, None]).any()
    assert (np.diff(similarities, axis=1) <= 0).all()
    recall = np.mean([len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]) / 20
    assert recall > 0.95
