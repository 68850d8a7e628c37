"""A model's results read onto the map."""

import dataclasses

import numpy as np
import pytest

from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.tables import ERRORS, RESPONSES
from errclust_pipeline.views.marks import (
    place_marks,
    read_answers,
    read_error_matrix,
    read_map,
    read_marks,
)
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import quick_root
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

A = SubmissionPartition("trivia", "org__model-a")


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A root with two models and their map."""
    folder = tmp_path_factory.mktemp("marks")
    warehouse = Warehouse(str(quick_root(folder / "root")))
    ingest(warehouse, [write_table(folder / "results.csv", ["org/model-a", "org/model-b"])])
    assert failures_of(run_phases(warehouse, "label_error_clusters", "map_questions")) == []
    return warehouse


def test_every_question_has_the_mark_and_form_of_its_row(mapped):
    questions = read_map(mapped, "trivia")
    marks = read_marks(mapped, A, questions)
    correct = {row["question_id"]: row["correct"] for row in mapped.read(RESPONSES, A).to_pylist()}
    form_of = {
        row["question_id"]: row["failure_form"] for row in mapped.read(ERRORS, A).to_pylist()
    }
    for position, name in enumerate(questions.question_ids):
        assert marks.errors[position] == (not correct[name])
        assert marks.failure_forms[position] == form_of.get(name)


def test_a_question_that_the_map_lacks_stops_the_reading_unless_it_may_be_skipped(mapped):
    questions = read_map(mapped, "trivia")
    rows = mapped.read(RESPONSES, A, columns=["question_id", "correct"])
    lost = rows["question_id"][0].as_py()
    known = {name: at for name, at in questions.position_of.items() if name != lost}
    smaller = dataclasses.replace(questions, position_of=known)
    with pytest.raises(WarehouseError, match=r"1 questions of .* are not on the map of trivia"):
        place_marks(mapped, A, rows, smaller)
    marks = place_marks(mapped, A, rows, smaller, known_only=True)
    assert np.isnan(marks.errors).sum() == 1


def test_the_models_own_errors_come_first_whether_artefacts_are_left_out_or_not(mapped):
    questions = read_map(mapped, "trivia")
    for left_out in (False, True):
        own = read_marks(mapped, A, questions, left_out)
        matrix = read_error_matrix(mapped, A, questions, own, left_out)
        other = SubmissionPartition("trivia", "org__model-b")
        expected = [own.errors, read_marks(mapped, other, questions, left_out).errors]
        np.testing.assert_array_equal(matrix, expected)


def test_answers_hold_the_option_chosen_but_not_one_that_was_guessed(mapped):
    answers = read_answers(mapped, A, read_map(mapped, "trivia"))
    rows = mapped.read(RESPONSES, A).to_pylist()
    chosen = {
        row["question_id"]: None if row["prediction_guessed"] else row["predicted_choice"]
        for row in rows
    }
    questions = read_map(mapped, "trivia").question_ids
    assert list(answers.choices) == [chosen[name] for name in questions]
