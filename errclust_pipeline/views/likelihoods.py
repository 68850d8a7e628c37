"""A model's log-likelihoods of options, read onto the map, and what other tables say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.uncertainty import (
    NoOptionProbabilitiesError,
    OptionProbabilities,
    OptionsOnMap,
    option_probabilities,
)
from errclust_pipeline.analysis.uncertainty.options import NOTHING_TO_CALIBRATE_BY
from errclust_pipeline.tables import RESPONSES, UNCERTAINTY_SUMMARY
from errclust_pipeline.views.marks import read_map, read_phrases, read_region_names
from errclust_pipeline.vocabulary import MEAN
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_COLUMNS = (
    "question_id", "choices", "choice_log_likelihoods", "choice_lengths", "gold_choice", "metric",
)  # fmt: skip
_FEWEST_QUESTIONS = 2
"""Minimum number of questions: one to calibrate by, and one to make a set for."""

UNCERTAINTY_OF_A_MODEL = ("confidence", "calibration_error", "set_size", "coverage", "uacc")
"""Columns of `leaderboard` that are copied from `uncertainty_summary`."""


def read_options_on_map(store: Warehouse, partition: SubmissionPartition) -> OptionsOnMap:
    """Read how probable a model finds each option, onto the named map of its benchmark.

    Raises
    ------
    NoOptionProbabilitiesError
        If the model's results hold no log-likelihoods that can be compared.
    WarehouseError
        If the map or its regions' names do not exist yet.
    """
    questions = read_map(store, partition.benchmark)
    options, positions = read_option_probabilities(store, partition, questions)
    return OptionsOnMap(
        options,
        positions,
        questions,
        read_region_names(store, partition.benchmark),
        read_phrases(store, partition.benchmark, questions),
    )


def read_option_probabilities(
    store: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> tuple[OptionProbabilities, npt.NDArray[np.int64]]:
    """Read how probable a model finds each option, onto the map.

    Returns
    -------
    options : OptionProbabilities
        One question for each position of the map that the model answered, in the map's order.
    positions : int64 array, shape (n,)
        Their positions.

    Raises
    ------
    NoOptionProbabilitiesError
        If fewer than two questions can be used; the message says why.
    KeyError
        If a question is not on the map.
    """
    rows, options = _read_options(store, partition)
    ids = [rows["question_id"][row] for row in options.rows.tolist()]
    placed = question_map.place(ids, np.arange(len(ids)))
    positions = np.flatnonzero(~np.isnan(placed))
    if len(positions) < _FEWEST_QUESTIONS:
        raise NoOptionProbabilitiesError(
            {**options.left_out, NOTHING_TO_CALIBRATE_BY: len(positions)}
        )
    return options.take(placed[positions].astype(np.int64)), positions.astype(np.int64)


def read_left_out(store: Warehouse, partition: SubmissionPartition) -> Mapping[str, int]:
    """Count the responses without log-likelihoods that can be compared, by reason.

    Raises
    ------
    NoOptionProbabilitiesError
        If no response has any; the message says why.
    """
    return _read_options(store, partition)[1].left_out


def _read_options(
    store: Warehouse, partition: SubmissionPartition
) -> tuple[dict[str, list[Any]], OptionProbabilities]:
    """Read a model's log-likelihoods of options: the columns, and the probabilities."""
    table = store.read(RESPONSES, partition, columns=_COLUMNS)
    rows = {name: column.to_pylist() for name, column in zip(_COLUMNS, table.columns, strict=True)}
    options = option_probabilities(
        rows["choice_log_likelihoods"],
        rows["gold_choice"],
        rows["choice_lengths"],
        rows["choices"],
        rows["metric"],
    )
    return rows, options


def read_uncertainty_of_models(
    store: Warehouse, benchmark: str, models: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Read each model's row of `uncertainty_summary` for the leaderboard.

    It is the row by which LLM-Uncertainty-Bench ranks: sets in the paper's form, the mean of both
    scores.

    Returns
    -------
    dict from model to dict
        With the columns `UNCERTAINTY_OF_A_MODEL`; models without comparable log-likelihoods are
        left out.
    """
    summaries = {}
    for model in models:
        partition = SubmissionPartition(benchmark, model)
        if store.provenance(UNCERTAINTY_SUMMARY, partition) is None:
            continue
        for row in store.read(UNCERTAINTY_SUMMARY, partition).to_pylist():
            if (row["score"], row["form"]) == (MEAN, "paper"):
                summaries[model] = {name: row[name] for name in UNCERTAINTY_OF_A_MODEL}
    return summaries
