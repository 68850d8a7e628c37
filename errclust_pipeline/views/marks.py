"""The map of a benchmark and its models' results, read from tables into arrays by position.

What is computed from the arrays belongs in `analysis`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from errclust_pipeline.analysis.comparison import ModelAnswers, ModelMarks
from errclust_pipeline.analysis.labelling import phrases_of
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import hot_for_others
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
"""Maximum number of other models that difficulty is estimated from. More do not make it more
precise, and reading them would make every submission cost more."""


def _data_version(store: Warehouse, table: Table, benchmark: str) -> str:
    made_from = store.provenance(table, BenchmarkPartition(benchmark))
    return made_from.data_version if made_from is not None else ""


def read_map(store: Warehouse, benchmark: str) -> QuestionMap:
    """Read a benchmark's map. It is kept in memory, so that the next model finds it there.

    Raises
    ------
    WarehouseError
        If the map does not exist yet.
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
    """Read a model's errors, and how they fail, onto the map.

    Parameters
    ----------
    store : Warehouse
    partition : SubmissionPartition
    question_map : QuestionMap
    without_artefacts : bool
        Whether to leave out responses without a readable answer.
    known_only : bool
        Whether to skip questions that are not on the map. A model that is newer than the map may
        have been asked some.

    Raises
    ------
    WarehouseError
        If the model was asked questions that are not on the map, unless `known_only`.
    """
    responses = store.read(RESPONSES, partition, columns=["question_id", "correct"])
    marks = place_marks(store, partition, responses, question_map, known_only)
    return marks.without_artefacts() if without_artefacts else marks


def place_marks(
    store: Warehouse,
    partition: SubmissionPartition,
    responses: pa.Table,
    question_map: QuestionMap,
    known_only: bool = False,
) -> ModelMarks:
    """Place responses that were read already on the map, with their failure forms.

    Parameters
    ----------
    store : Warehouse
    partition : SubmissionPartition
        The model's; its failure forms are read.
    responses : pyarrow.Table
        The partition's rows of `responses`, with ``question_id`` and ``correct`` at least.
    question_map : QuestionMap
    known_only : bool
        Whether to skip questions that are not on the map.

    Raises
    ------
    WarehouseError
        If the model was asked questions that are not on the map, unless `known_only`.
    """
    errors = _place_errors(partition, responses, question_map, known_only)
    failures = store.read(ERRORS, partition, columns=["question_id", "failure_form"])
    failures = failures.filter(_is_on_map(failures, question_map))
    names = sorted(set(failures["failure_form"].to_pylist()))
    numbers = [float(names.index(form)) for form in failures["failure_form"].to_pylist()]
    placed = question_map.place(failures["question_id"].to_pylist(), numbers)
    forms = tuple(
        names[int(number)] if error == 1 and number == number else None
        for error, number in zip(errors.tolist(), placed.tolist(), strict=True)
    )
    return ModelMarks(errors, forms)


def _place_errors(
    partition: SubmissionPartition,
    responses: pa.Table,
    question_map: QuestionMap,
    known_only: bool,
) -> npt.NDArray[np.float64]:
    is_on_map = _is_on_map(responses, question_map)
    unknown = len(is_on_map) - is_on_map.true_count
    if unknown and not known_only:
        raise WarehouseError(
            f"{unknown:,} questions of {partition} are not on the map of {partition.benchmark}: "
            "materialise questions and question_map again, or run "
            f"`errclust run --benchmark {partition.benchmark}`"
        )
    rows = responses.filter(is_on_map)
    wrong = ~rows["correct"].to_numpy(zero_copy_only=False).astype(np.bool_)
    return question_map.place(rows["question_id"].to_pylist(), wrong)


def _is_on_map(rows: pa.Table, question_map: QuestionMap) -> pa.BooleanArray:
    # The type is given because Arrow makes an untyped empty list a column of nulls, which cannot
    # be a filter.
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


def read_error_matrix(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    own: ModelMarks,
    without_artefacts: bool = False,
) -> npt.NDArray[np.float64]:
    """Read the errors of the models that difficulty is estimated from, after the model's own.

    Parameters
    ----------
    store : Warehouse
    partition : SubmissionPartition
    question_map : QuestionMap
    own : ModelMarks
        The model's own marks, read before.
    without_artefacts : bool
        Whether to leave out the other models' responses without a readable answer.

    Returns
    -------
    float64 array, shape (models, n)
        1 error, 0 none, NaN not answered.
    """
    others = [
        SubmissionPartition(partition.benchmark, name)
        for name in reference_models(store, partition)
    ]
    if without_artefacts:
        marks = [read_marks(store, other, question_map, True, known_only=True) for other in others]
        return np.stack([own.errors, *(mark.errors for mark in marks)])
    columns = ["question_id", "correct"]
    errors = [
        _place_errors(other, store.read(RESPONSES, other, columns=columns), question_map, True)
        for other in others
    ]
    return np.stack([own.errors, *errors])


def read_answers(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    without_artefacts: bool = False,
) -> ModelAnswers:
    """Read a model's errors and the options that it chose.

    Options that the benchmark's script guessed count as not chosen.

    Raises
    ------
    WarehouseError
        If the model was asked questions that are not on the map.
    """
    columns = ["question_id", "correct", "predicted_choice", "prediction_guessed"]
    responses = store.read(RESPONSES, partition, columns=columns)
    marks = place_marks(store, partition, responses, question_map)
    if without_artefacts:
        marks = marks.without_artefacts()
    chosen = [
        row
        for row in responses.to_pylist()
        if row["predicted_choice"] is not None and not row["prediction_guessed"]
    ]
    placed = question_map.place(
        [row["question_id"] for row in chosen], [row["predicted_choice"] for row in chosen]
    )
    choices = [None if number != number else int(number) for number in placed.tolist()]
    return ModelAnswers(marks.errors, choices)


def read_option_counts(
    store: Warehouse, benchmark: str, question_map: QuestionMap
) -> list[int | None]:
    """Read how many options each question on the map has; None where it is open."""
    columns = ["question_id", "choices"]
    rows = store.read(QUESTIONS, BenchmarkPartition(benchmark), columns=columns).to_pylist()
    counts = {row["question_id"]: len(row["choices"]) for row in rows if row["choices"]}
    return [counts.get(name) for name in question_map.question_ids]


def read_region_names(store: Warehouse, benchmark: str) -> dict[str, str]:
    """Read the name of each region of a benchmark's map, by the region's id."""
    rows = store.read(REGION_LABELS, BenchmarkPartition(benchmark), columns=["region_id", "label"])
    return dict(zip(rows["region_id"].to_pylist(), rows["label"].to_pylist(), strict=True))


def read_region_names_if_there(store: Warehouse, benchmark: str) -> dict[str, str]:
    """Read the name of each region; an empty dict if regions were not named yet."""
    if store.provenance(REGION_LABELS, BenchmarkPartition(benchmark)) is None:
        return {}
    return read_region_names(store, benchmark)


def read_layout(store: Warehouse, benchmark: str) -> pd.DataFrame:
    """Read the 2-D layout of a map: ``question_id``, ``region_id``, ``x`` and ``y``.

    It has one row a point. ``x`` and ``y`` are null if no layout was computed.
    """
    columns = ["question_id", "region_id", "stands_for_itself", "x", "y"]
    rows = store.read(QUESTION_MAP, BenchmarkPartition(benchmark), columns=columns)
    points = rows.filter(rows["stands_for_itself"]).drop_columns(["stands_for_itself"])
    layout: pd.DataFrame = points.to_pandas()
    return layout


def read_phrases(
    store: Warehouse, benchmark: str, question_map: QuestionMap
) -> list[tuple[str, ...]]:
    """Read the phrases of each question on the map; they are kept in memory for the next model."""
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
    """Read a model's hot regions, each with the other models for which it is hot as well.

    Returns
    -------
    list of dict
        Rows of `hot_regions`. ``hot_for_others`` holds the keys of those models, and ``others`` is
        the number of models that were compared.
    """
    of_others: dict[str, list[dict[str, Any]]] = {}
    for model in reference_models(store, partition):
        other = SubmissionPartition(partition.benchmark, model)
        if store.provenance(HOT_REGIONS, other) is not None:
            table = store.read(HOT_REGIONS, other, columns=["basis", "question_ids"])
            of_others[model] = table.to_pylist()
    rows: list[dict[str, Any]] = store.read(HOT_REGIONS, partition).to_pylist()
    for row in rows:
        same_basis = {
            model: [other["question_ids"] for other in regions if other["basis"] == row["basis"]]
            for model, regions in of_others.items()
        }
        row["hot_for_others"] = hot_for_others(row["question_ids"], same_basis)
        row["others"] = len(of_others)
    return rows
