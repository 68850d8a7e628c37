"""Demand from the answers of several models, and suspects that several models share."""

import numpy as np
import pytest

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.selection import (
    DemandEvidence,
    in_development,
    model_demand,
    shared_suspects,
)

N = 60


@pytest.fixture
def evidence():
    """A model that errs on every third question, beside one that is always right."""
    generator = np.random.default_rng(0)
    neighbours = np.array([(row + np.arange(1, 6)) % N for row in range(N)], dtype=np.int32)
    ids = tuple(f"{number:02d}" for number in range(N))
    questions = QuestionMap(
        ids,
        neighbours,
        np.ones((N, 5), dtype=np.float32),
        tuple("1" if number < 30 else "2.1" for number in range(N)),
        {name: position for position, name in enumerate(ids)},
        None,
    )
    errors = (np.arange(N) % 3 == 0).astype(np.float64)
    return DemandEvidence(
        questions,
        errors,
        tuple("wrong_answer" if error else None for error in errors),
        np.stack([1 - errors, np.ones(N)]),
        [[("choice", int(generator.integers(4))) for _ in range(N)] for _ in range(2)],
        np.zeros((2, N), dtype=bool),
        [["a", "b", "c", "d"]] * N,
        ["a"] * N,
        np.full(N, np.nan),
    )


def test_only_errors_of_the_development_split_make_demand(evidence):
    model = model_demand(evidence, 0.7)
    is_development = in_development(evidence.questions.question_ids, 0.7)
    ids = np.array(evidence.questions.question_ids)
    assert list(model.questions.question_ids) == ids[is_development].tolist()
    assert list(model.held_out) == ids[~is_development].tolist()
    demanded = {model.questions.question_ids[row] for row in model.rows}
    assert demanded == set(ids[is_development & (evidence.errors == 1)])
    assert set(model.groups.tolist()) == {0, 1}


def test_others_are_right_by_share_and_unknown_where_none_was_asked(evidence):
    evidence.correct[1, :10] = np.nan
    assert np.isnan(evidence.others_right[:10]).all()
    assert (evidence.others_right[10:] == 1).all()


def suspect(question_id, probability, ratio=5.0, **more):
    return {
        "question_id": question_id, "probability": probability, "likelihood_ratio": ratio, **more
    }  # fmt: skip


def test_shared_suspects_are_listed_once_by_their_largest_probability():
    rows = [
        [suspect("a", 0.6, model="x"), suspect("b", 0.7)],
        [suspect("a", 0.8, model="y"), suspect("c", 0.7, 9.0)],
    ]
    merged = shared_suspects(rows)
    assert [row["question_id"] for row in merged] == ["a", "c", "b"]
    assert merged[0]["model"] == "y"
    assert rows[0][0]["probability"] == 0.6
