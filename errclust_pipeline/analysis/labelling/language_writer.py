"""The label writer that asks a language model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import pydantic

from errclust_pipeline.analysis.labelling.writer import (
    DESCRIPTION_CHARACTERS,
    LABEL_CHARACTERS,
    ClusterEvidence,
    ClusterLabel,
    Exemplar,
    JudgeCase,
    KeyPhraseLabelWriter,
)
from errclust_pipeline.analysis.language import (
    CHARACTERS_A_TOKEN,
    Ask,
    AskFailure,
    FailureKind,
    Prompt,
    bounded,
    excerpt,
    plain_sentence,
    plain_words,
)
from errclust_pipeline.vocabulary import CAUSES_EXPLAINED, Cause

_LONGEST_NAME_WORDS = 8
_MOST_BEST_MEMBERS = 3
_MOST_ITEMS = 40
_FIXED_CHARACTERS = 2500
"""Number of characters that a prompt takes beside the texts of errors."""
_FEWEST_CHARACTERS = 120
"""Minimum number of characters that an error gets in a prompt."""
_HALVINGS = 3

_NAME_INSTRUCTIONS = (
    "You name groups of mistakes that a language model made on a benchmark, for engineers who want "
    "to know how it fails. The members of a group were put together because {alike}. "
    "Look at what the members have in common that the near misses, which belong to other groups, "
    "have not. Write:\n"
    "- name: at most 8 words, plain words only, as specific as the members allow. It must differ "
    "from names_of_groups_beside. Where the group is a part of a larger one, say what sets this "
    "part apart; where it has parts, the name must hold for all of them. Never a rejected_name.\n"
    "- description: one sentence, plain words, on what the questions are about and how the answers "
    "go wrong.\n"
    f"- cause: what probably goes wrong. {CAUSES_EXPLAINED}\n"
    "- best_members: ids of the two or three members that show it best.\n"
    "- shares_one_thing: whether the members really have one thing in common."
)
_JUDGE_INSTRUCTIONS = (
    "You check whether a name fits. The name is said to tell what a group of questions, which a "
    "language model answered wrongly, is about. "
    "Some of the items belong to the group and some do not. Go by what each question is about. "
    "Write:\n- fitting: the ids of the items that the name and the description are true of."
)


class WrittenLabel(pydantic.BaseModel):
    """A name as a language model writes it."""

    model_config = pydantic.ConfigDict(extra="forbid")

    name: Annotated[str, bounded(LABEL_CHARACTERS)]
    description: Annotated[str, bounded(DESCRIPTION_CHARACTERS)]
    cause: Cause
    best_members: Annotated[list[str], bounded(_MOST_BEST_MEMBERS)]
    shares_one_thing: bool

    @pydantic.field_validator("name")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        name = plain_words(value)
        if len(name.split()) > _LONGEST_NAME_WORDS:
            raise ValueError(f"must be at most {_LONGEST_NAME_WORDS} words")
        if sum(character.isalpha() for character in name) < 3 or len(name) > LABEL_CHARACTERS:
            raise ValueError(f"must be a name of 3 to {LABEL_CHARACTERS} characters")
        return name

    @pydantic.field_validator("description")
    @classmethod
    def _is_a_sentence(cls, value: str) -> str:
        sentence = plain_sentence(value)
        if not sentence:
            raise ValueError("must be a sentence")
        return sentence[:DESCRIPTION_CHARACTERS]

    @pydantic.field_validator("best_members")
    @classmethod
    def _are_members(cls, value: list[str], information: pydantic.ValidationInfo) -> list[str]:
        return _known(value, information)


class Judgement(pydantic.BaseModel):
    """Which items a label is true of, as a language model has it."""

    model_config = pydantic.ConfigDict(extra="forbid")

    fitting: Annotated[list[str], bounded(_MOST_ITEMS)]

    @pydantic.field_validator("fitting")
    @classmethod
    def _are_items(cls, value: list[str], information: pydantic.ValidationInfo) -> list[str]:
        return _known(value, information)


def _known(ids: list[str], information: pydantic.ValidationInfo) -> list[str]:
    known = (information.context or {}).get("ids", ())
    strange = [one for one in ids if one not in known]
    if strange:
        raise ValueError(f"must be ids out of {', '.join(known)}")
    return list(dict.fromkeys(ids))


class LanguageModelLabelWriter:
    """Names clusters by asking a language model; by their key phrases where it has no answer.

    Parameters
    ----------
    name : str
        The language model's.
    ask : callable
    prompt_tokens : int
        About how long a prompt may be.
    announce : callable, optional
        Told of the prompts before they are asked.
    alike : str
        What the members of a cluster have in common, for the model.
    """

    writes_anew = True

    def __init__(
        self,
        name: str,
        ask: Ask,
        prompt_tokens: int = 4000,
        announce: Callable[[Sequence[Prompt]], object] = lambda _: None,
        alike: str = "their questions are alike",
    ) -> None:
        self._name = name
        self._ask = ask
        self._characters = prompt_tokens * CHARACTERS_A_TOKEN
        self._announce = announce
        self._instructions = _NAME_INSTRUCTIONS.replace("{alike}", alike)
        self._fallback = KeyPhraseLabelWriter()

    @property
    def name(self) -> str:
        """The language model's name."""
        return self._name

    def write_all(self, evidence: Sequence[ClusterEvidence]) -> list[ClusterLabel]:
        """Name clusters: one label for each evidence, in the same order."""
        answers = self._answers([partial(self._name_prompt, one) for one in evidence])
        return [self._label(*pair) for pair in zip(evidence, answers, strict=True)]

    def judge_all(self, cases: Sequence[JudgeCase]) -> list[tuple[bool, ...] | None]:
        """Say of each error of each case whether its label is true of it."""
        answers = self._answers([partial(self._judge_prompt, one) for one in cases])
        judged: list[tuple[bool, ...] | None] = []
        for case, answer in zip(cases, answers, strict=True):
            if isinstance(answer, Judgement):
                fitting = set(answer.fitting)
                ids = [f"i{number}" for number in range(1, len(case.errors) + 1)]
                judged.append(tuple(one in fitting for one in ids))
            else:
                judged.append(None)
        return judged

    def _answers(
        self, prompts: Sequence[Callable[[int], Prompt]]
    ) -> list[pydantic.BaseModel | AskFailure]:
        """Ask, and ask anew with shorter texts what was too long for the model."""
        size = self._characters
        written = [prompt(size) for prompt in prompts]
        self._announce(written)
        answers = self._ask(written)
        for _ in range(_HALVINGS):
            size //= 2
            long = [
                row
                for row, one in enumerate(answers)
                if isinstance(one, AskFailure) and one.kind is FailureKind.TOO_LONG
            ]
            for row, answer in zip(long, self._ask([prompts[r](size) for r in long]), strict=True):
                answers[row] = answer
        return answers

    def _label(
        self, evidence: ClusterEvidence, answer: pydantic.BaseModel | AskFailure
    ) -> ClusterLabel:
        if not isinstance(answer, WrittenLabel):
            reason = (
                f"{answer.kind.value}: {answer.reason}"
                if isinstance(answer, AskFailure)
                else "no answer"
            )
            return dataclasses.replace(self._fallback.write(evidence), problem=reason[:300])
        example_ids = {f"m{n}": one.example_id for n, one in enumerate(evidence.exemplars, 1)}
        return ClusterLabel(
            answer.name,
            answer.description,
            self.name,
            answer.cause,
            answer.shares_one_thing,
            tuple(example_ids[one] for one in answer.best_members),
        )

    def _name_prompt(self, evidence: ClusterEvidence, size: int) -> Prompt:
        each = _each(size, len(evidence.exemplars) + len(evidence.near_misses))
        members = {f"m{n}": one for n, one in enumerate(evidence.exemplars, 1)}
        material: dict[str, Any] = {
            "group": {
                "errors": evidence.size,
                "main_subject": excerpt(evidence.main_subject, 80),
                "share_of_main_subject": round(evidence.main_subject_share, 2),
                "main_failure_form": evidence.main_failure_form,
                "share_of_main_failure_form": round(evidence.main_failure_form_share, 2),
            },
            "key_phrases": list(evidence.key_phrases),
            "members": [_shown(name, one, each) for name, one in members.items()],
            "near_misses": [
                _shown(f"n{n}", one, each) for n, one in enumerate(evidence.near_misses, 1)
            ],
            "key_phrases_of_groups_beside": [
                list(phrases[:4]) for phrases in evidence.sibling_key_phrases[:12]
            ],
            "names_of_groups_beside": list(evidence.sibling_labels[:30]),
        }
        if evidence.parent_label is not None:
            material["part_of"] = evidence.parent_label
        if evidence.part_key_phrases:
            material["key_phrases_of_its_parts"] = [
                list(phrases[:4]) for phrases in evidence.part_key_phrases[:12]
            ]
        if evidence.rejected_label is not None:
            material["rejected_name"] = evidence.rejected_label
            material["rejected_because"] = evidence.rejected_because
        return Prompt(self._instructions, material, WrittenLabel, tuple(members), answer_tokens=600)

    def _judge_prompt(self, case: JudgeCase, size: int) -> Prompt:
        each = _each(size, len(case.errors))
        items = {f"i{n}": one for n, one in enumerate(case.errors, 1)}
        material = {
            "name": case.label.label,
            "description": case.label.description,
            "items": [
                {"id": name, "question": excerpt(one.question, each)} for name, one in items.items()
            ],
        }
        return Prompt(_JUDGE_INSTRUCTIONS, material, Judgement, tuple(items), answer_tokens=200)


def _each(size: int, texts: int) -> int:
    """Return the characters for each of some texts, so that a prompt has its size."""
    return max((size - _FIXED_CHARACTERS) // max(texts, 1), _FEWEST_CHARACTERS)


def _shown(name: str, one: Exemplar, characters: int) -> dict[str, str]:
    """Return an error as it stands in a prompt, in about so many characters."""
    short = max(characters // 8, 16)
    return {
        "id": name,
        "question": excerpt(one.question, max(characters // 2, 16)),
        "right_answer": excerpt(one.gold, short),
        "answer_given": excerpt(one.prediction, short),
        "end_of_response": excerpt((one.response_tail or "")[-2 * characters :], 2 * short),
        "failure_form": one.failure_form,
    }
