"""What training examples are selected by: a model's and other models' answers on the map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.selection import Answer, DemandEvidence, shared_suspects
from errclust_pipeline.tables import HOT_SPOTS, QUESTIONS, RESPONSES, SUSPECTED_FAULTS
from errclust_pipeline.views.marks import (
    place_marks,
    read_map,
    read_region_names,
    reference_models,
)
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_ANSWER_COLUMNS = (
    "question_id", "correct", "predicted_choice", "prediction", "prediction_guessed",
)  # fmt: skip
_QUESTION_COLUMNS = ("question_id", "question", "choices", "gold", "text_id", "text")


@dataclass(frozen=True)
class SelectionInputs:
    """All that a selection reads from the warehouse, each table once.

    Attributes
    ----------
    evidence : DemandEvidence
    questions : mapping from question id to dict
        Rows of the table `questions`.
    example_ids : mapping from question id to str
        The ids that the model's results give the questions.
    labels : mapping from region id to name
    """

    evidence: DemandEvidence
    questions: Mapping[str, Mapping[str, Any]]
    example_ids: Mapping[str, str]
    labels: Mapping[str, str]


def read_selection_inputs(
    store: Warehouse, partition: SubmissionPartition, without_artefacts: bool
) -> SelectionInputs:
    """Read what training examples for a model are selected by.

    Parameters
    ----------
    store : Warehouse
    partition : SubmissionPartition
    without_artefacts : bool
        Whether to leave out the model's responses without a readable answer.

    Raises
    ------
    WarehouseError
        If the map or the model's hot spots do not exist yet, or the model was asked questions that
        are not on the map.
    """
    question_map = read_map(store, partition.benchmark)
    responses = store.read(RESPONSES, partition, columns=[*_ANSWER_COLUMNS, "example_id"])
    marks = place_marks(store, partition, responses, question_map)
    if without_artefacts:
        marks = marks.without_artefacts()
    answers = [_place_answers(responses, question_map)]
    for model in reference_models(store, partition):
        other = SubmissionPartition(partition.benchmark, model)
        rows = store.read(RESPONSES, other, columns=_ANSWER_COLUMNS)
        answers.append(_place_answers(rows, question_map))
    benchmark = BenchmarkPartition(partition.benchmark)
    table = store.read(QUESTIONS, benchmark, columns=_QUESTION_COLUMNS)
    questions = {row["question_id"]: row for row in table.to_pylist()}
    on_map = [questions.get(name, {}) for name in question_map.question_ids]
    evidence = DemandEvidence(
        question_map,
        marks.errors,
        marks.failure_forms,
        np.stack([placed.correct for placed in answers]),
        [placed.answers for placed in answers],
        np.stack([placed.guessed for placed in answers]),
        [row.get("choices") for row in on_map],
        [row.get("gold") for row in on_map],
        _read_hot_q(store, partition, question_map),
    )
    ids = (responses[name].to_pylist() for name in ("question_id", "example_id"))
    return SelectionInputs(
        evidence,
        questions,
        dict(zip(*ids, strict=True)),
        read_region_names(store, partition.benchmark),
    )


def read_label_errors(store: Warehouse, benchmark: str) -> list[dict[str, Any]]:
    """Read the questions of a benchmark whose key is suspected, by any model's errors.

    Returns
    -------
    list of dict
        Rows of `suspected_faults` with the question's text, subject and options; each question
        once, the most suspect first.

    Raises
    ------
    WarehouseError
        If no model's training candidates were selected yet.
    """
    partitions = store.submissions_in(SUSPECTED_FAULTS, benchmark)
    if not partitions:
        raise WarehouseError(f"{benchmark} has no table suspected_faults yet: errclust run")
    suspects = shared_suspects(
        [store.read(SUSPECTED_FAULTS, partition).to_pylist() for partition in partitions]
    )
    columns = ["question_id", "subject", "question", "choices"]
    rows = store.read(QUESTIONS, BenchmarkPartition(benchmark), columns=columns).to_pylist()
    known = {row["question_id"]: row for row in rows}
    return [suspect | known.get(suspect["question_id"], {}) for suspect in suspects]


@dataclass(frozen=True)
class _PlacedAnswers:
    """One model's answers by position on the map."""

    correct: npt.NDArray[np.float64]
    answers: list[Answer | None]
    guessed: npt.NDArray[np.bool_]


def _place_answers(responses: pa.Table, question_map: QuestionMap) -> _PlacedAnswers:
    """Place a model's answers on the map; questions that are not on it are passed over."""
    rows = [row for row in responses.to_pylist() if row["question_id"] in question_map.position_of]
    placed = question_map.place([row["question_id"] for row in rows], np.arange(float(len(rows))))
    correct = np.full(len(question_map), np.nan)
    answers: list[Answer | None] = [None] * len(question_map)
    guessed = np.zeros(len(question_map), dtype=np.bool_)
    for position in np.flatnonzero(~np.isnan(placed)).tolist():
        row = rows[int(placed[position])]
        correct[position] = float(row["correct"])
        if row["prediction_guessed"]:
            guessed[position] = True
        elif row["predicted_choice"] is not None:
            answers[position] = ("choice", row["predicted_choice"])
        elif row["prediction"] is not None and row["prediction"].strip():
            answers[position] = ("text", " ".join(row["prediction"].casefold().split()))
    return _PlacedAnswers(correct, answers, guessed)


def _read_hot_q(
    store: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> npt.NDArray[np.float64]:
    """Read the q value of more errors around each question than its difficulty explains.

    If there are too few models to estimate difficulty, it is the q value of more errors than
    elsewhere. Of the scales in `hot_spots`, the one nearest to `NEIGHBOURHOOD` is read.
    """
    columns = ["question_id", "k", "q_hot", "adjusted_q_hot"]
    rows = store.read(HOT_SPOTS, partition, columns=columns).to_pandas()
    if rows.empty:
        return np.full(len(question_map), np.nan)
    scale = min(rows["k"].unique().tolist(), key=lambda k: (abs(k - NEIGHBOURHOOD), k))
    at_scale = rows[rows["k"] == scale]
    adjusted = at_scale["adjusted_q_hot"]
    values = at_scale["q_hot"] if adjusted.isna().all() else adjusted
    return question_map.place(at_scale["question_id"].tolist(), values.to_numpy(dtype=np.float64))
