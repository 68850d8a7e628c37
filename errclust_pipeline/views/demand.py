"""What training examples are selected by, read from the warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import cosine_neighbours_among
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.selection import (
    HOT_BELOW,
    NO_ANSWER,
    Demand,
    DevelopmentQuestions,
    Selection,
    SuspectedFaults,
    answer_codes,
    baseline_coverage,
    candidate_groups,
    demand_weights,
    fault_reason,
    group_caps,
    in_development,
    pick_table,
    select,
    similarity_graph,
    suggested_budget,
    suspected_faults,
)
from errclust_pipeline.settings import BenchmarkSettings
from errclust_pipeline.tables import HOT_SPOTS, QUESTIONS, RESPONSES, SUSPECTED_FAULTS
from errclust_pipeline.views.marks import read_map, read_marks, read_option_counts, reference_models
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

_HOT_SCALE = 30

Answer = tuple[str, Any]


@dataclass(frozen=True)
class ModelDemand:
    """A model's demand for training examples, on the questions of the development split.

    Attributes
    ----------
    questions : DevelopmentQuestions
        Those it was asked, length n.
    demand : Demand
        Of each.
    suspects : list of dict
        Its errors on questions whose key is suspected, most suspect first; also held-out ones.
    held_out : tuple of str
        Ids of the questions that guide nothing, to measure by.
    groups : int array, shape (n,)
        Each question's largest region, as a number.
    """

    questions: DevelopmentQuestions
    demand: Demand
    suspects: list[dict[str, Any]]
    held_out: tuple[str, ...]
    groups: npt.NDArray[np.int64]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """The questions there is demand at."""
        return np.flatnonzero(self.demand.weight > 0)


def read_demand(
    store: Warehouse, partition: SubmissionPartition, chosen: BenchmarkSettings
) -> ModelDemand:
    """Read what a model's errors ask for.

    Only errors of the development split make demand. Difficulty and suspicion are told from all
    models and questions: they are no training signal.

    Raises
    ------
    WarehouseError
        If the map or the model's hot spots do not exist yet.
    """
    left_out = chosen.statistics.leave_out_artefacts
    question_map = read_map(store, partition.benchmark)
    own = read_marks(store, partition, question_map, left_out)
    models = [partition.model, *reference_models(store, partition)]
    correct, answers, guesses = [], [], []
    for model in models:
        right, given, guessed = _read_answers(
            store, SubmissionPartition(partition.benchmark, model), question_map
        )
        correct.append(right)
        answers.append(given)
        guesses.append(guessed)
    matrix = np.stack(correct)
    # A lucky guess of the benchmark's script is no model's word for the key.
    codes = np.where(np.stack(guesses), NO_ANSWER, answer_codes(matrix, answers))
    counts = read_option_counts(store, partition.benchmark, question_map)
    options = np.array([np.nan if count is None else float(count) for count in counts])
    faults = suspected_faults(codes, options, question_map.neighbours)
    asked = (~np.isnan(matrix[1:])).sum(axis=0)
    others_right = np.divide(
        np.nansum(matrix[1:], axis=0), asked, out=np.full(len(asked), np.nan), where=asked > 0
    )
    hot_q = _read_hot_q(store, partition, question_map)
    is_development = in_development(question_map.question_ids, chosen.selection.development_share)
    guiding = np.where(is_development, own.errors, np.nan)
    demand = demand_weights(
        guiding, question_map.neighbours, others_right, hot_q, faults.probability
    )
    kept = np.flatnonzero(~np.isnan(guiding))
    held_out = np.flatnonzero(~is_development)
    labels, _ = question_map.region_labels()
    first = labels[:, 0] if labels.shape[1] else np.full(len(question_map), -1, np.int32)
    return ModelDemand(
        DevelopmentQuestions(
            tuple(question_map.question_ids[row] for row in kept),
            tuple(question_map.region_ids[row] for row in kept),
            own.errors[kept],
            others_right[kept],
            hot_q[kept] < HOT_BELOW,
            tuple(own.failure_forms[row] for row in kept),
        ),
        _at(demand, kept),
        _suspects(store, partition, question_map, own.errors, faults, codes, answers),
        tuple(question_map.question_ids[row] for row in held_out),
        first[kept].astype(np.int64),
    )


def read_suspected_faults(store: Warehouse, benchmark: str) -> list[dict[str, Any]]:
    """Read the questions of a benchmark whose key is suspected, by any model's errors.

    Returns
    -------
    list of dict
        Rows of `suspected_faults` with the question's text, subject and options, once each, the
        most suspect first.

    Raises
    ------
    WarehouseError
        If no model's training candidates were selected yet.
    """
    partitions = store.submissions_in(SUSPECTED_FAULTS, benchmark)
    if not partitions:
        raise WarehouseError(f"{benchmark} has no table suspected_faults yet: errclust run")
    found: dict[str, dict[str, Any]] = {}
    for partition in partitions:
        for row in store.read(SUSPECTED_FAULTS, partition).to_pylist():
            known = found.setdefault(row["question_id"], row)
            if row["probability"] > known["probability"]:
                found[row["question_id"]] = row
    columns = ["question_id", "subject", "question", "choices"]
    for row in store.read(QUESTIONS, BenchmarkPartition(benchmark), columns=columns).to_pylist():
        if row["question_id"] in found:
            found[row["question_id"]] |= row
    return sorted(
        found.values(),
        key=lambda row: (-row["probability"], -row["likelihood_ratio"], row["question_id"]),
    )


@dataclass(frozen=True)
class ChosenCandidates:
    """A selection, told.

    Attributes
    ----------
    selection : Selection
    picks : DataFrame
        Of `pick_table`.
    baselines : mapping from name to float
        What others of as many picks cover.
    suggested : int
        Picks that cover nine tenths of what all candidates do.
    curve : list of (int, float)
        Picks and what they cover, without caps, up to there.
    nearness : float or None
        Mean cosine similarity of an error, by its weight, to the candidate nearest to it: how much
        all candidates together can do. None without demand or candidates.
    """

    selection: Selection
    picks: pd.DataFrame
    baselines: Mapping[str, float]
    suggested: int
    curve: list[tuple[int, float]]
    nearness: float | None

    @property
    def coverage(self) -> float:
        """Share of the attainable demand that the picks cover."""
        return float(self.selection.coverage[-1]) if len(self.selection.picks) else 0.0


def choose(
    model: ModelDemand,
    question_vectors: npt.NDArray[np.float32],
    candidate_ids: Sequence[str],
    candidate_vectors: npt.NDArray[np.float32],
    budget: int,
    labels: Mapping[str, str],
) -> ChosenCandidates:
    """Select candidates for a model's demand, and measure baselines beside them.

    Parameters
    ----------
    question_vectors : float32 array, shape (n, dimensions)
        Of ``model.questions``.
    candidate_ids : sequence of str, length v
    candidate_vectors : float32 array, shape (v, dimensions)
    budget : int
    labels : mapping from region id to name
    """
    rows = model.rows
    weights = model.demand.weight[rows]
    if not len(rows) or not len(candidate_ids):
        from scipy import sparse

        empty = sparse.csr_matrix((len(rows), len(candidate_ids)))
        nothing = select(empty, weights, budget)
        picks = pick_table(nothing, (), np.empty((0, 1)), model.questions, rows, labels)
        return ChosenCandidates(nothing, picks, {}, 0, [], None)
    graph = similarity_graph(question_vectors[rows], candidate_vectors)
    groups = candidate_groups(graph, model.groups[rows])
    total = float(weights.sum())
    shares = {
        group: float(weights[model.groups[rows] == group].sum()) / total
        for group in np.unique(model.groups[rows]).tolist()
    }
    selection = select(graph, weights, budget, groups, group_caps(groups, shares, budget))
    nearest = cosine_neighbours_among(question_vectors, candidate_vectors, 1)[0][:, 0]
    baselines = baseline_coverage(
        graph, weights, nearest, model.questions.errors, model.demand.local_rate, budget
    )
    suggested, curve = suggested_budget(graph, weights)
    steps = np.unique(np.geomspace(1, max(suggested, 1), 12).round().astype(int))
    return ChosenCandidates(
        selection,
        pick_table(selection, candidate_ids, candidate_vectors, model.questions, rows, labels),
        baselines,
        suggested,
        [(int(step), float(curve[step - 1])) for step in steps if step <= len(curve)],
        selection.attainable / total,
    )


def _at(demand: Demand, rows: npt.NDArray[np.int64]) -> Demand:
    return Demand(**{name: values[rows] for name, values in vars(demand).items()})


def _read_answers(
    store: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> tuple[npt.NDArray[np.float64], list[Answer | None], npt.NDArray[np.bool_]]:
    """Return whether a model was right on each question of the map, its answers, and guesses."""
    table = store.read(
        RESPONSES,
        partition,
        columns=[
            "question_id", "correct", "predicted_choice", "prediction", "prediction_guessed",
        ],
    )  # fmt: skip
    rows = [row for row in table.to_pylist() if row["question_id"] in question_map.position_of]
    placed = question_map.place([row["question_id"] for row in rows], np.arange(float(len(rows))))
    right = np.full(len(question_map), np.nan)
    answers: list[Answer | None] = [None] * len(question_map)
    guessed = np.zeros(len(question_map), bool)
    for position, number in enumerate(placed.tolist()):
        if number != number:
            continue
        row = rows[int(number)]
        right[position] = float(row["correct"])
        if row["prediction_guessed"]:
            guessed[position] = True
            continue
        if row["predicted_choice"] is not None:
            answers[position] = ("choice", row["predicted_choice"])
        elif row["prediction"] is not None and row["prediction"].strip():
            answers[position] = ("text", " ".join(row["prediction"].casefold().split()))
    return right, answers, guessed


def _read_hot_q(
    store: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> npt.NDArray[np.float64]:
    """Return the q value of more errors around each question than difficulty explains.

    With too few models to tell difficulty, that of more errors than elsewhere.
    """
    rows = store.read(
        HOT_SPOTS, partition, columns=["question_id", "k", "q_hot", "adjusted_q_hot"]
    ).to_pandas()
    if rows.empty:
        return np.full(len(question_map), np.nan)
    scale = min(rows["k"].unique().tolist(), key=lambda k: (abs(k - _HOT_SCALE), k))
    own = rows[rows["k"] == scale]
    adjusted = own["adjusted_q_hot"]
    values = own["q_hot"] if adjusted.isna().all() else adjusted
    return question_map.place(own["question_id"].tolist(), values.to_numpy(dtype=np.float64))


def _suspects(
    store: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    errors: npt.NDArray[np.float64],
    faults: SuspectedFaults,
    codes: npt.NDArray[np.int64],
    answers: Sequence[Sequence[Answer | None]],
) -> list[dict[str, Any]]:
    found = [row for row in faults.review_order().tolist() if errors[row] == 1]
    if not found:
        return []
    table = store.read(
        QUESTIONS,
        BenchmarkPartition(partition.benchmark),
        columns=["question_id", "choices", "gold"],
    )
    known = {row["question_id"]: row for row in table.to_pylist()}
    suspects = []
    for row in found:
        name = question_map.question_ids[row]
        code = faults.other_answer[row]
        who = int(np.flatnonzero(codes[:, row] == code)[0])
        answer = answers[who][row]
        assert answer is not None, "a code above 0 stands for an answer"
        kind, value = answer
        choices = known[name]["choices"] or []
        if kind == "choice" and 0 <= value < len(choices):
            value = choices[value]
        told: dict[str, Any] = {
            "likelihood_ratio": float(faults.likelihood_ratio[row]),
            "agreeing": int(faults.agreeing[row]),
            "wrong": int(faults.wrong[row]),
            "answered": int(faults.answered[row]),
        }
        suspects.append(
            {
                "question_id": name,
                "probability": float(faults.probability[row]),
                "gold": known[name]["gold"],
                "other_answer": str(value),
                **told,
                "reason": fault_reason(**told),
            }
        )
    return suspects
