"""Marks read from the warehouse: the map of a benchmark, and its models' errors on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from errclust_pipeline.analysis.comparison import ModelAnswers, leave_out_artefacts
from errclust_pipeline.analysis.labelling import phrases_of
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import TooFewModelsError, expected_errors, hot_for_others
from errclust_pipeline.tables import (
    ERRORS,
    HOT_REGIONS,
    QUESTION_MAP,
    QUESTIONS,
    REGION_LABELS,
    RESPONSES,
    Table,
)
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_MOST_REFERENCE_MODELS = 64
"""Difficulty is no better known from more, and reading them would make a submission cost more."""


@dataclass(frozen=True)
class ModelMarks:
    """One model's results, by position on the map.

    Attributes
    ----------
    errors : float64 array, shape (n,)
        1 error, 0 none, NaN left out.
    failure_forms : tuple of str or None, length n
        How a wrong response fails.
    """

    errors: npt.NDArray[np.float64]
    failure_forms: tuple[str | None, ...]

    def without_artefacts(self) -> ModelMarks:
        """Return the marks less the responses that nothing could be read off."""
        errors = leave_out_artefacts(self.errors, self.failure_forms)
        forms = tuple(
            None if left_out else form
            for left_out, form in zip(np.isnan(errors).tolist(), self.failure_forms, strict=True)
        )
        return ModelMarks(errors, forms)


def _data_version(store: Warehouse, table: Table, benchmark: str) -> str:
    made_from = store.provenance(table, BenchmarkPartition(benchmark))
    return made_from.data_version if made_from is not None else ""


def read_map(store: Warehouse, benchmark: str) -> QuestionMap:
    """Read a benchmark's map; the same one is kept in memory for the next model.

    Raises
    ------
    WarehouseError
        If it was not made yet.
    """
    return _read_map(store.storage.url, benchmark, _data_version(store, QUESTION_MAP, benchmark))


@lru_cache(maxsize=2)
def _read_map(root: str, benchmark: str, version: str) -> QuestionMap:  # noqa: ARG001
    rows = Warehouse(root).read(QUESTION_MAP, BenchmarkPartition(benchmark))
    return QuestionMap.from_table(rows.to_pandas())


def read_marks(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    without_artefacts: bool = False,
    known_only: bool = False,
) -> ModelMarks:
    """Read a model's errors onto the map.

    Parameters
    ----------
    without_artefacts : bool
        Leave out the responses that nothing could be read off.
    known_only : bool
        Pass over questions that are not on the map, as another model's may be that is newer than
        the map.

    Raises
    ------
    WarehouseError
        If the model was asked questions that are not on the map.
    """
    rows = store.read(RESPONSES, partition, columns=["question_id", "correct"])
    on_map = _on_map(rows, question_map)
    unknown = len(on_map) - sum(on_map.to_pylist())
    if unknown and not known_only:
        raise WarehouseError(
            f"{unknown:,} questions of {partition} are not on the map of {partition.benchmark}: "
            "materialise questions and question_map again, or run "
            f"`errclust run --benchmark {partition.benchmark}`"
        )
    rows = rows.filter(on_map)
    wrong = ~rows["correct"].to_numpy(zero_copy_only=False).astype(np.bool_)
    errors = question_map.place(rows["question_id"].to_pylist(), wrong)
    failures = store.read(ERRORS, partition, columns=["question_id", "failure_form"])
    failures = failures.filter(_on_map(failures, question_map))
    numbers = {form: number for number, form in enumerate(sorted(set(failures[1].to_pylist())))}
    names = {number: form for form, number in numbers.items()}
    placed = question_map.place(
        failures[0].to_pylist(), [float(numbers[form]) for form in failures[1].to_pylist()]
    )
    forms = tuple(
        names[int(number)] if error == 1 and number == number else None
        for error, number in zip(errors.tolist(), placed.tolist(), strict=True)
    )
    marks = ModelMarks(errors, forms)
    return marks.without_artefacts() if without_artefacts else marks


def _on_map(rows: pa.Table, question_map: QuestionMap) -> pa.BooleanArray:
    # Arrow takes an untyped empty list for a column of nulls, by which it cannot filter.
    return pa.array(
        [name in question_map.position_of for name in rows["question_id"].to_pylist()], pa.bool_()
    )


def reference_models(
    store: Warehouse, partition: SubmissionPartition, most: int = _MOST_REFERENCE_MODELS
) -> list[str]:
    """Return the other models of a benchmark, or an even spread of them if they are many."""
    others = [name for name in models_of(store, partition.benchmark) if name != partition.model]
    if len(others) > most:
        spread = np.linspace(0, len(others) - 1, most).round().astype(int)
        others = [others[position] for position in spread]
    return others


def read_expected(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    own: ModelMarks,
    without_artefacts: bool = False,
) -> npt.NDArray[np.float64] | None:
    """Return the errors to expect of a model by difficulty; None if the models are too few."""
    try:
        matrix = read_error_matrix(store, partition, question_map, own, without_artefacts)
        return expected_errors(matrix, 0, question_map.neighbours)
    except TooFewModelsError:
        return None


def read_error_matrix(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    own: ModelMarks,
    without_artefacts: bool = False,
) -> npt.NDArray[np.float64]:
    """Return the errors of a model, first, and of the models that difficulty is told from.

    Returns
    -------
    float64 array, shape (models, n)
        1 error, 0 none, NaN not answered.
    """
    matrix = [own.errors]
    for name in reference_models(store, partition):
        other = SubmissionPartition(partition.benchmark, name)
        found = read_marks(store, other, question_map, without_artefacts, known_only=True)
        matrix.append(found.errors)
    return np.stack(matrix)


def read_answers(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    without_artefacts: bool = False,
) -> ModelAnswers:
    """Read a model's errors and the options it chose; guesses of a benchmark's script are none."""
    marks = read_marks(store, partition, question_map, without_artefacts)
    rows = store.read(
        RESPONSES,
        partition,
        columns=["question_id", "predicted_choice", "prediction_guessed"],
    ).to_pylist()
    chosen = [
        row for row in rows if row["predicted_choice"] is not None and not row["prediction_guessed"]
    ]
    placed = question_map.place(
        [row["question_id"] for row in chosen], [row["predicted_choice"] for row in chosen]
    )
    choices = [None if number != number else int(number) for number in placed.tolist()]
    return ModelAnswers(marks.errors, choices)


def read_option_counts(
    store: Warehouse, benchmark: str, question_map: QuestionMap
) -> list[int | None]:
    """Return how many options each question has; None where it is open."""
    rows = store.read(QUESTIONS, BenchmarkPartition(benchmark), columns=["question_id", "choices"])
    counts: Mapping[str, int] = {
        row["question_id"]: len(row["choices"]) for row in rows.to_pylist() if row["choices"]
    }
    return [counts.get(name) for name in question_map.question_ids]


def read_region_names(store: Warehouse, benchmark: str) -> dict[str, str]:
    """Return the name of each region of a benchmark's map."""
    rows = store.read(REGION_LABELS, BenchmarkPartition(benchmark), columns=["region_id", "label"])
    return dict(zip(rows["region_id"].to_pylist(), rows["label"].to_pylist(), strict=True))


def read_region_names_if_there(store: Warehouse, benchmark: str) -> dict[str, str]:
    """Return the name of each region; none if they were not named yet."""
    if store.provenance(REGION_LABELS, BenchmarkPartition(benchmark)) is None:
        return {}
    return read_region_names(store, benchmark)


def read_layout(store: Warehouse, benchmark: str) -> pd.DataFrame:
    """Return the questions on a map with their region and place, ``x`` and ``y``.

    Places are null if the map was not laid out.
    """
    columns = ["question_id", "region_id", "stands_for_itself", "x", "y"]
    rows = store.read(QUESTION_MAP, BenchmarkPartition(benchmark), columns=columns)
    own = rows.filter(rows["stands_for_itself"]).drop_columns(["stands_for_itself"])
    layout: pd.DataFrame = own.to_pandas()
    return layout


def read_phrases(
    store: Warehouse, benchmark: str, question_map: QuestionMap
) -> list[tuple[str, ...]]:
    """Return the phrases of each question on the map; kept in memory for the next model."""
    version = _data_version(store, QUESTIONS, benchmark)
    phrases = _read_phrases(store.storage.url, benchmark, version)
    return [phrases[name] for name in question_map.question_ids]


@lru_cache(maxsize=1)
def _read_phrases(root: str, benchmark: str, version: str) -> dict[str, tuple[str, ...]]:  # noqa: ARG001
    rows = Warehouse(root).read(
        QUESTIONS, BenchmarkPartition(benchmark), columns=["question_id", "question"]
    )
    return {
        name: tuple(phrases_of(question))
        for name, question in zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True)
    }


def read_hot_regions(store: Warehouse, partition: SubmissionPartition) -> list[dict[str, Any]]:
    """Return a model's hot regions, each with the other models for which it is hot as well.

    Returns
    -------
    list of dict
        Rows of `hot_regions` with ``hot_for_others``, models' keys, and ``others``, how many models
        were looked at.
    """
    others: dict[str, list[dict[str, Any]]] = {}
    for model in reference_models(store, partition):
        where = SubmissionPartition(partition.benchmark, model)
        if store.provenance(HOT_REGIONS, where) is not None:
            found = store.read(HOT_REGIONS, where, columns=["basis", "question_ids"])
            others[model] = found.to_pylist()
    rows: list[dict[str, Any]] = store.read(HOT_REGIONS, partition).to_pylist()
    for row in rows:
        places = {
            model: [one["question_ids"] for one in found if one["basis"] == row["basis"]]
            for model, found in others.items()
        }
        row["hot_for_others"] = hot_for_others(row["question_ids"], places)
        row["others"] = len(others)
    return rows
