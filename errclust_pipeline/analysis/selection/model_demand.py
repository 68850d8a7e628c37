"""A model's demand for training examples, from its own and other models' answers on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.selection.demand import HOT_BELOW, Demand, demand_weights
from errclust_pipeline.analysis.selection.label_errors import (
    NO_ANSWER,
    LabelErrors,
    answer_codes,
    label_errors,
)
from errclust_pipeline.analysis.selection.reasons import DevelopmentQuestions, label_error_reason
from errclust_pipeline.analysis.selection.split import in_development

FloatVector = npt.NDArray[np.float64]

Answer = tuple[str, Any]
"""A model's answer that can be compared: ``("choice", position)`` or ``("text", normalised)``."""


@dataclass(frozen=True)
class DemandEvidence:
    """What is known of a model's errors, by position on the map of n questions.

    Attributes
    ----------
    questions : QuestionMap
    errors : float64 array, shape (n,)
        The model's errors: 1 error, 0 none, NaN left out.
    failure_forms : sequence of str or None, length n
        How a wrong response of the model fails.
    correct : float64 array, shape (models, n)
        Whether each model is right, the model itself first: 1, 0, or NaN where it was not asked.
    answers : sequence of sequences of Answer or None, shape (models, n)
        What each model answered; None where no answer could be read.
    guessed : bool array, shape (models, n)
        Whether the benchmark's script made the answer up.
    choices : sequence of sequence of str or None, length n
        The options of each question; None if it is open.
    gold : sequence of str or None, length n
        The answer of the key.
    hot_q : float64 array, shape (n,)
        q value of more errors around each question than its difficulty explains; NaN if unknown.
    """

    questions: QuestionMap
    errors: FloatVector
    failure_forms: Sequence[str | None]
    correct: npt.NDArray[np.float64]
    answers: Sequence[Sequence[Answer | None]]
    guessed: npt.NDArray[np.bool_]
    choices: Sequence[Sequence[str] | None]
    gold: Sequence[str | None]
    hot_q: FloatVector

    @property
    def others_right(self) -> FloatVector:
        """Share of the other models that are right on each question; NaN if none was asked."""
        asked = (~np.isnan(self.correct[1:])).sum(axis=0)
        right = np.nansum(self.correct[1:], axis=0)
        shares: FloatVector = np.divide(
            right, asked, out=np.full(len(asked), np.nan), where=asked > 0
        )
        return shares


@dataclass(frozen=True)
class ModelDemand:
    """A model's demand for training examples on the questions of the development split.

    Attributes
    ----------
    questions : DevelopmentQuestions
        The questions of the split that the model was asked, length n.
    demand : Demand
        The demand at each of them.
    suspects : list of dict
        Rows of the table `suspected_faults`: the model's errors on questions whose key is
        suspected, most suspect first. Held-out questions are among them.
    held_out : tuple of str
        Ids of the questions outside the split. They guide nothing, so that a later evaluation on
        them is fair.
    groups : int64 array, shape (n,)
        The level-1 region of each question, as a number; -1 for none.
    """

    questions: DevelopmentQuestions
    demand: Demand
    suspects: list[dict[str, Any]]
    held_out: tuple[str, ...]
    groups: npt.NDArray[np.int64]

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """Positions among `questions` where there is demand."""
        return np.flatnonzero(self.demand.weight > 0)


def model_demand(evidence: DemandEvidence, development_share: float) -> ModelDemand:
    """Weigh a model's errors of the development split as demand for training examples.

    Only errors of the split make demand. Difficulty and suspicion of keys are estimated from all
    models and questions, since neither is a training signal.

    Parameters
    ----------
    evidence : DemandEvidence
    development_share : float
        Share of the questions that may guide the selection; see `in_development`.

    Returns
    -------
    ModelDemand
    """
    questions, others_right = evidence.questions, evidence.others_right
    # A lucky guess of the benchmark's script is no statement of the model for the key.
    codes = np.where(evidence.guessed, NO_ANSWER, answer_codes(evidence.correct, evidence.answers))
    options = np.array([float(len(choices)) if choices else np.nan for choices in evidence.choices])
    suspects = label_errors(codes, options, questions.neighbours)
    is_development = in_development(questions.question_ids, development_share)
    guiding = np.where(is_development, evidence.errors, np.nan)
    demand = demand_weights(
        guiding, questions.neighbours, others_right, evidence.hot_q, suspects.probability
    )
    kept = np.flatnonzero(~np.isnan(guiding))
    held_out = np.flatnonzero(~is_development).tolist()
    labels, _ = questions.region_labels()
    regions = labels[:, 0] if labels.shape[1] else np.full(len(questions), -1, np.int32)
    return ModelDemand(
        DevelopmentQuestions(
            tuple(questions.question_ids[row] for row in kept.tolist()),
            tuple(questions.region_ids[row] for row in kept.tolist()),
            evidence.errors[kept],
            others_right[kept],
            evidence.hot_q[kept] < HOT_BELOW,
            tuple(evidence.failure_forms[row] for row in kept.tolist()),
        ),
        Demand(**{name: values[kept] for name, values in vars(demand).items()}),
        _suspect_rows(evidence, suspects, codes),
        tuple(questions.question_ids[row] for row in held_out),
        regions[kept].astype(np.int64),
    )


def _suspect_rows(
    evidence: DemandEvidence, suspects: LabelErrors, codes: npt.NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return rows of the table `suspected_faults`, for the model's errors."""
    rows = []
    for position in suspects.review_order().tolist():
        if evidence.errors[position] != 1:
            continue
        counts: dict[str, Any] = {
            "likelihood_ratio": float(suspects.likelihood_ratio[position]),
            "agreeing": int(suspects.agreeing[position]),
            "wrong": int(suspects.wrong[position]),
            "answered": int(suspects.answered[position]),
        }
        giver = int(np.flatnonzero(codes[:, position] == suspects.other_answer[position])[0])
        rows.append(
            {
                "question_id": evidence.questions.question_ids[position],
                "probability": float(suspects.probability[position]),
                "gold": evidence.gold[position],
                "other_answer": _answer_text(
                    evidence.answers[giver][position], evidence.choices[position]
                ),
                **counts,
                "reason": label_error_reason(**counts),
            }
        )
    return rows


def _answer_text(answer: Answer | None, choices: Sequence[str] | None) -> str:
    assert answer is not None, "a code above 0 stands for an answer"
    kind, value = answer
    if kind == "choice" and choices and 0 <= value < len(choices):
        return choices[value]
    return str(value)


def shared_suspects(rows_of_models: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Merge several models' rows of `suspected_faults`: each question once, most suspect first.

    A question that several models err on has a row for each. The row with the largest probability
    is kept. These rows differ only if they were computed from different sets of models.
    """
    most_suspect: dict[str, dict[str, Any]] = {}
    for rows in rows_of_models:
        for row in rows:
            known = most_suspect.setdefault(row["question_id"], dict(row))
            if row["probability"] > known["probability"]:
                most_suspect[row["question_id"]] = dict(row)
    return sorted(
        most_suspect.values(),
        key=lambda row: (-row["probability"], -row["likelihood_ratio"], row["question_id"]),
    )
