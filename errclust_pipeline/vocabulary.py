"""Closed lists of words that several rooms of the package use. Imports nothing of the project.

A word belongs here if it stands in a table's column and code elsewhere compares with it. What the
rules, tests and models behind a word are stands where they are computed, in `analysis`.
"""

from typing import Literal, get_args

FailureForm = Literal[
    "wrong_answer", "no_answer", "truncated", "repetition", "refusal", "empty"
]  # fmt: skip
FAILURE_FORMS: tuple[FailureForm, ...] = get_args(FailureForm)
"""How a wrong response fails on its face. `analysis.errors` has the rules."""

ARTEFACT_FORMS = frozenset({"no_answer", "truncated", "repetition", "refusal", "empty"})
"""Failure forms of responses without a readable answer: they say nothing about knowledge."""

Cause = Literal[
    "knowledge",
    "reasoning_step",
    "calculation",
    "reading_the_question",
    "following_the_format",
    "refusal",
    "truncated_output",
    "benchmark_fault",
    "other",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
"""Why a response is probably wrong, as far as a language model can tell from its text."""

CAUSES_EXPLAINED = (
    "knowledge: a fact is missing. reasoning_step: a step does not follow. calculation: "
    "arithmetic. reading_the_question: something in it was overlooked. following_the_format, "
    "refusal, truncated_output: as they say. benchmark_fault: the right answer given looks wrong. "
    "Else other."
)
"""The causes as prompts explain them. A changed text changes every request that contains it."""

CONFIDENT_RIGHT, CONFIDENT_WRONG = "confident_right", "confident_wrong"
UNSURE_RIGHT, UNSURE_WRONG = "unsure_right", "unsure_wrong"
CORNERS = (CONFIDENT_RIGHT, CONFIDENT_WRONG, UNSURE_RIGHT, UNSURE_WRONG)
"""The four combinations of confidence and correctness."""

WINNERS = ("model_a", "model_b", "tie", "tie_bothbad")
"""How a battle ends. With ``tie_bothbad`` the judge found both responses bad."""

JUDGE_KINDS = ("human", "model")
"""The kinds of judges of battles."""

ERRORS, BEYOND_DIFFICULTY = "errors", "beyond_difficulty"
HOT_REGION_BASES = (ERRORS, BEYOND_DIFFICULTY)
"""What is counted where errors concentrate: all errors, or those that difficulty leaves open."""

RESIDUAL = "residual"
AUTOCORRELATION_MARKS = (ERRORS, RESIDUAL)
"""What Moran's I is computed of: errors, or errors less what difficulty explains."""

CONFIDENTLY_WRONG, UNCERTAIN = "confidently_wrong", "uncertain"
UNCERTAIN_GIVEN_OPTIONS = "uncertain_given_options"
UNCERTAINTY_BASES = (CONFIDENTLY_WRONG, UNCERTAIN, UNCERTAIN_GIVEN_OPTIONS)
"""What concentrates where a model's confidence is out of line: confident mistakes, large conformal
sets, or sets larger than the mean over questions with the same number of options."""

ConformalScore = Literal["lac", "aps"]
CONFORMAL_SCORES: tuple[ConformalScore, ...] = get_args(ConformalScore)
"""Conformity scores: 1 - p of the option (LAC), or the cumulative probability (APS)."""

MEAN = "mean"
"""The mean of LAC and APS, by which LLM-Uncertainty-Bench reports."""

ConformalForm = Literal["textbook", "paper"]
CONFORMAL_FORMS: tuple[ConformalForm, ...] = get_args(ConformalForm)
"""How sets are built from a score: as textbooks have it, or as LLM-Uncertainty-Bench does."""

EXEMPLAR_ROLES = ("central", "diverse")
"""Why a member of a cluster is shown: it is near the centre, or unlike those already shown."""

KEY_PHRASES = "key_phrases"
"""In `written_by`: the label was made from key phrases, by no language model."""
