"""Option log-likelihoods read from the warehouse onto the map, and what they say of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.uncertainty import (
    NoOptionProbabilitiesError,
    OptionProbabilities,
    Uncertainty,
    measure_uncertainty,
    option_probabilities,
)
from errclust_pipeline.analysis.uncertainty.options import NOTHING_TO_CALIBRATE_BY
from errclust_pipeline.settings import Settings
from errclust_pipeline.tables import RESPONSES, UNCERTAINTY_SUMMARY
from errclust_pipeline.views.marks import read_map, read_phrases, read_region_names
from errclust_pipeline.vocabulary import MEAN
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_COLUMNS = (
    "question_id", "choices", "choice_log_likelihoods", "choice_lengths", "gold_choice", "metric",
)  # fmt: skip

UNCERTAINTY_OF_A_MODEL = ("confidence", "calibration_error", "set_size", "coverage", "uacc")
"""Columns of `leaderboard` that come from `uncertainty_summary`."""


def read_option_probabilities(
    store: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> tuple[OptionProbabilities, npt.NDArray[np.int64]]:
    """Read how likely a model finds each option, onto the map.

    Returns
    -------
    options : OptionProbabilities
        One question a point of the map, in the map's order.
    positions : int64 array
        Their points.

    Raises
    ------
    NoOptionProbabilitiesError
        If fewer than two questions can be used; it says why.
    KeyError
        If a question is not on the map.
    """
    rows = {
        name: column.to_pylist()
        for name, column in zip(
            _COLUMNS, store.read(RESPONSES, partition, columns=_COLUMNS).columns, strict=True
        )
    }
    options = option_probabilities(
        rows["choice_log_likelihoods"],
        rows["gold_choice"],
        rows["choice_lengths"],
        rows["choices"],
        rows["metric"],
    )
    ids = [rows["question_id"][row] for row in options.rows.tolist()]
    placed = question_map.place(ids, np.arange(len(ids)))
    positions = np.flatnonzero(~np.isnan(placed))
    if len(positions) < 2:
        raise NoOptionProbabilitiesError(
            {**options.left_out, NOTHING_TO_CALIBRATE_BY: len(positions)}
        )
    return options.take(placed[positions].astype(np.int64)), positions.astype(np.int64)


def read_uncertainty_of_models(
    store: Warehouse, benchmark: str, models: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return what `uncertainty_summary` says of each model, as `leaderboard` has it.

    Sets are in the form, and the mean over both scores, by which LLM-Uncertainty-Bench ranks.
    Models without comparable log-likelihoods are not among them.
    """
    found = {}
    for model in models:
        partition = SubmissionPartition(benchmark, model)
        if store.provenance(UNCERTAINTY_SUMMARY, partition) is None:
            continue
        for row in store.read(UNCERTAINTY_SUMMARY, partition).to_pylist():
            if (row["score"], row["form"]) == (MEAN, "paper"):
                found[model] = {name: row[name] for name in UNCERTAINTY_OF_A_MODEL}
    return found


def uncertainty_of(
    store: Warehouse, partition: SubmissionPartition, settings: Settings, alpha: float | None = None
) -> tuple[OptionProbabilities, Uncertainty]:
    """Measure a model's uncertainty on the map of its benchmark.

    Parameters
    ----------
    alpha : float, optional
        Share of conformal sets that may miss the right option; that of the settings if not given.

    Raises
    ------
    NoOptionProbabilitiesError
        If there are no log-likelihoods that can be compared.
    """
    chosen = settings.for_benchmark(partition.benchmark).statistics
    questions = read_map(store, partition.benchmark)
    options, positions = read_option_probabilities(store, partition, questions)
    found = measure_uncertainty(
        options,
        positions,
        questions,
        read_region_names(store, partition.benchmark),
        read_phrases(store, partition.benchmark, questions),
        chosen.miscoverage if alpha is None else alpha,
        chosen.fdr,
        chosen.permutations,
    )
    return options, found
