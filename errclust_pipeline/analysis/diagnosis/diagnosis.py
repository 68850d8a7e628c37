"""What a language model is asked of one error, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pydantic

from errclust_pipeline.analysis.language import (
    CHARACTERS_A_TOKEN,
    Prompt,
    bounded,
    excerpt,
    plain_sentence,
)
from errclust_pipeline.vocabulary import CAUSES_EXPLAINED, Cause

_FIXED_CHARACTERS = 2000
_FEWEST_CHARACTERS = 600
_SENTENCE_CHARACTERS = 300

_INSTRUCTIONS = (
    "You diagnose why a language model's response to a benchmark question is wrong, for engineers "
    "who want to mend the model.\n"
    "Compare the response with the right answer and, where there is one, with another model's "
    "right response. Write, in plain words and one sentence each:\n"
    "- first_wrong_step: the first thing in the response that is wrong.\n"
    "- missing: the skill or the fact that would have prevented it, in general terms, without the "
    "names and numbers of this question.\n"
    "- diagnosis: what kind of mistake it is, in general terms, so that alike mistakes on other "
    "questions would be described alike.\n"
    f"- cause: {CAUSES_EXPLAINED}"
)


def _sentence(value: str) -> str:
    sentence = plain_sentence(value)
    if not any(character.isalpha() for character in sentence):
        raise ValueError("must be a sentence")
    return sentence[:_SENTENCE_CHARACTERS]


_Sentence = Annotated[str, bounded(_SENTENCE_CHARACTERS), pydantic.AfterValidator(_sentence)]


class Diagnosis(pydantic.BaseModel):
    """Why a response is wrong, as a language model has it."""

    model_config = pydantic.ConfigDict(extra="forbid")

    first_wrong_step: _Sentence
    missing: _Sentence
    diagnosis: _Sentence
    cause: Cause


@dataclass(frozen=True)
class DiagnosisCase:
    """One error and what there is to hold against it; texts come from third parties, as they are.

    ``right_response`` is another model's, where one was right and wrote something.
    """

    question: str
    choices: Sequence[str] | None
    gold: str | None
    response: str | None
    prediction: str | None
    failure_form: str
    right_response: str | None = None


def diagnosis_prompt(case: DiagnosisCase, prompt_tokens: int = 4000) -> Prompt:
    """Return the prompt that asks for an error's diagnosis.

    Parameters
    ----------
    prompt_tokens : int
        About how long it may be; texts are cut to fit.
    """
    size = max(prompt_tokens * CHARACTERS_A_TOKEN - _FIXED_CHARACTERS, _FEWEST_CHARACTERS)
    material: dict[str, Any] = {
        "question": excerpt(case.question, size * 3 // 10),
        "right_answer": excerpt(case.gold, max(size // 20, 16)),
        "answer_given": excerpt(case.prediction, max(size // 20, 16)),
        "failure_form": case.failure_form,
        "response": excerpt(case.response, size * 3 // 10),
    }
    if case.choices:
        each = max(size // 10 // len(case.choices), 16)
        material["options"] = [excerpt(choice, each) for choice in case.choices]
    if case.right_response:
        material["right_response_of_another_model"] = excerpt(case.right_response, size // 5)
    return Prompt(_INSTRUCTIONS, material, Diagnosis, answer_tokens=600)


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Return the text of a diagnosis that is embedded: what is wrong, not where."""
    return f"{diagnosis.diagnosis} {diagnosis.missing}"
