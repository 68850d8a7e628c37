"""The contents of a report agree with the tables."""

import base64

import numpy as np
import pyarrow.compute as pc
import pytest

from errclust_pipeline.report import ReportError, read_contents
from errclust_pipeline.report.columns import NO_RATE
from errclust_pipeline.report.contents import TextLengths
from errclust_pipeline.tables import ERRORS, HOT_SPOTS, LEADERBOARD, MODEL_SIGNATURES
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition


@pytest.fixture(scope="module")
def contents(trivia):
    return read_contents(trivia, "trivia")


def unpacked(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def test_each_cell_of_the_signatures_has_as_many_errors_behind_it_as_it_says(trivia, contents):
    numbers = contents.numbers
    regions = [region["id"] for region in numbers["regions"]]
    region_of = unpacked(numbers["map"]["region"], "<i2")
    states = {model["model"]: unpacked(model["state"], "i1") for model in numbers["models"]}
    cells = trivia.read(MODEL_SIGNATURES, BenchmarkPartition("trivia")).to_pylist()
    assert cells
    for cell in cells:
        inside = [
            name == cell["region_id"] or name.startswith(f"{cell['region_id']}.")
            for name in regions
        ]
        here = np.array([at >= 0 and inside[at] for at in region_of])
        assert (states[cell["model"]][here] == 1).sum() == cell["errors"]
        assert (states[cell["model"]][here] >= 0).sum() == cell["questions"]


def test_each_error_on_the_map_leads_to_its_own_question_answer_and_cluster(trivia, contents):
    numbers, texts = contents.numbers, contents.texts
    of_point = unpacked(numbers["questions"]["ofPoint"], "<i4")
    for model, own in zip(numbers["models"], texts["models"], strict=True):
        errors = {
            row["question"]: row
            for row in trivia.read(
                ERRORS, SubmissionPartition("trivia", model["model"])
            ).to_pylist()
        }
        rows = unpacked(model["errors"]["ofPoint"], "<i4")
        questions = unpacked(model["errors"]["question"], "<i4")
        state = unpacked(model["state"], "i1")
        assert ((rows >= 0) == (state == 1)).all()
        for point in np.flatnonzero(rows >= 0):
            assert questions[rows[point]] == of_point[point]
            row = errors[texts["questions"][of_point[point]]]
            assert own["tails"][rows[point]] == row["response_tail"]
        sizes = {label["clusterId"]: label["size"] for label in model["clusters"]}
        names = list(sizes)
        cluster = unpacked(model["errors"]["cluster"], "<i2")
        for name, size in sizes.items():
            members = [at >= 0 and f"{names[at]}.".startswith(f"{name}.") for at in cluster]
            assert sum(members) == size


def test_rates_and_tests_of_a_scale_stand_at_the_questions_they_belong_to(trivia, contents):
    model = contents.numbers["models"][0]
    rows = trivia.read(HOT_SPOTS, SubmissionPartition("trivia", model["model"]))
    for scale in model["scales"]:
        at_k = rows.filter(pc.equal(rows["k"], scale["k"])).to_pylist()
        rates = unpacked(scale["rate"], "u1")
        assert (rates != NO_RATE).sum() == len(at_k)
        assert sorted(rates[rates != NO_RATE]) == pytest.approx(
            sorted(250 * row["smoothed_rate"] for row in at_k), abs=0.5
        )
        hot = unpacked(scale["hot"], "i1")
        assert (hot == 1).sum() == sum(row["q_hot"] < 0.05 for row in at_k)
        assert (hot == -1).sum() == sum(row["q_cold"] < 0.05 for row in at_k)


def test_models_stand_in_the_order_of_the_leaderboard(trivia, contents):
    wanted = trivia.read(LEADERBOARD, BenchmarkPartition("trivia"))["model"].to_pylist()
    assert [model["model"] for model in contents.numbers["models"]] == wanted
    assert len(contents.numbers["pairs"]) == 3


def test_a_chosen_model_is_alone_and_the_others_are_said_to_be_left_out(trivia):
    model = trivia.read(LEADERBOARD, BenchmarkPartition("trivia"))["model"][1].as_py()
    found = read_contents(trivia, "trivia", [model]).numbers
    assert [shown["model"] for shown in found["models"]] == [model]
    assert found["pairs"] == []
    assert any(note.startswith("not in this report") for note in found["notes"])
    with pytest.raises(ReportError, match="no-such is not on the leaderboard"):
        read_contents(trivia, "trivia", ["no-such"])


def test_a_table_that_is_missing_is_told_and_the_rest_is_there(trivia):
    model = trivia.read(LEADERBOARD, BenchmarkPartition("trivia"))["model"][0].as_py()
    path = trivia.path(HOT_SPOTS, SubmissionPartition("trivia", model))
    trivia.storage.filesystem.mv(path, f"{path}.away")
    try:
        found = read_contents(trivia, "trivia").numbers
    finally:
        trivia.storage.filesystem.mv(f"{path}.away", path)
    assert any(note.startswith("hot_spots of trivia") for note in found["notes"])
    assert found["models"][0]["scales"] == []
    assert found["models"][1]["scales"]


def test_texts_are_cut_and_say_so(contents):
    cut = contents.texts_cut(TextLengths(question=100, tail=20))
    longest = max(cut["questions"], key=len)
    assert longest.endswith("characters in all)")
    assert len(longest) < 150
    assert max(len(tail) for tail in cut["models"][0]["tails"]) == 22
