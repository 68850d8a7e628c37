"""What a row of lm-evaluation-harness asked: question and options, from its requests and document.

The rule of a file is learnt from its first rows (`Questions.learn`) and then applied to each row.
How an item is found in a prompt stands in `parsing.asked_item`; here is what is the harness's own:
requests of several options, contexts that are empty, and prompts that differ by option.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

from errclust_pipeline.sources.parsing.asked_item import (
    ROWS_THAT_TEACH,
    AskedItems,
    find_last,
    last_user_text,
    learn_items,
    learn_options_lead,
    list_in_text,
    values_in,
)
from errclust_pipeline.sources.parsing.item_text import common_start
from errclust_pipeline.sources.parsing.rows import text_of, texts_of

FROM_PROMPT, FROM_OPTIONS, FROM_DOCUMENT, WHOLE_PROMPT, NOWHERE = (
    "prompt", "options", "document", "whole prompt", "nowhere",
)  # fmt: skip
"""Where a question was found."""

_QUESTION_FIELDS = (
    "question", "Question", "problem", "input", "prompt", "query", "ctx", "goal", "sentence",
    "instruction", "text",
)  # fmt: skip
_CONTEXT_FIELDS = ("passage", "narrative", "context", "article", "story", "premise")
"""Names by which a question is looked for where no prompt was kept."""

_CHOICE_FIELDS = ("choices", "options", "endings", "mc1_targets")
_NUMBERED_CHOICES = tuple(
    tuple(f"{name}{number}" for number in range(first, first + 12))
    for name in ("choice", "option", "sol", "ending", "answer", "mc_answer")
    for first in (0, 1)
)
_SHORTENED_PROMPT = 40
"""Up to this length a prompt that shows nothing of its document is a placeholder."""

_BLANK = "_"
_SLOT = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TURN = re.compile(r"<\|[^|<>\n]{1,40}\|>\n?|\[/?INST\]|<start_of_turn>\w*\n?")


class Requests(NamedTuple):
    """What a row's requests say: the prompt of each and the continuation that was scored."""

    prompts: list[str]
    continuations: list[str]

    @property
    def text(self) -> str:
        """The prompt of the first request."""
        return self.prompts[0] if self.prompts else ""

    @property
    def differ(self) -> bool:
        """Whether each option has a prompt of its own."""
        return len(set(self.prompts)) > 1


class Question(NamedTuple):
    """What was asked: the question, its options if it has some, and where that was found."""

    text: str
    choices: list[str] | None
    source: str


def requests_of(arguments: Any, description: Sequence[str] = ()) -> Requests:
    """Return a row's requests, from either of their shapes.

    Parameters
    ----------
    description : sequence of str
        The constant parts of the text before the worked examples, which is left out.
    """
    if isinstance(arguments, dict):
        arguments = list(arguments.values())
    prompts: list[str] = []
    continuations: list[str] = []
    last: Any = None
    for request in arguments if isinstance(arguments, list) else ():
        parts = list(request.values()) if isinstance(request, dict) else request
        if not isinstance(parts, list) or not parts:
            continue
        # The same prompt comes with each option: it is read once.
        prompts.append(
            prompts[-1] if prompts and parts[0] == last else _prompt(parts[0], description)
        )
        last = parts[0]
        if len(parts) > 1 and isinstance(parts[1], str):
            continuations.append(parts[1])
    half = len(prompts) // 2
    if half > 1 and continuations[:half] == continuations[half:]:
        # Some metrics ask for each option again, without the question.
        prompts, continuations = prompts[:half], continuations[:half]
    return Requests(prompts, continuations)


def _prompt(prompt: Any, description: Sequence[str]) -> str:
    text = last_user_text(prompt)
    end = 0
    for part in description:
        at = text.find(part, end)
        if at < 0:
            return text
        end = at + len(part)
    return text[end:]


@dataclass
class Questions:
    """The rule by which the questions of a file are found."""

    items: AskedItems = field(default_factory=AskedItems)
    description: tuple[str, ...] = ()
    options_differ: bool = False

    @classmethod
    def learn(cls, rows: Sequence[Mapping[str, Any]], description: str = "") -> Questions:
        """Learn from a file's first rows what its prompts show of the documents.

        Parameters
        ----------
        description : str
            The template of the text before the worked examples, if it is known.
        """
        used = [row for row in rows if isinstance(row, Mapping)][:ROWS_THAT_TEACH]
        parts = tuple(part.strip() for part in _SLOT.split(description) if part.strip())
        requests = [requests_of(row.get("arguments"), parts) for row in used]
        prompted = [
            (row.get("doc"), each)
            for row, each in zip(used, requests, strict=True)
            if not each.differ and each.text.strip()
        ]
        shown = [(document, each.text) for document, each in prompted]
        learnt = cls(learn_items(shown), parts)
        learnt.options_differ = len({tuple(each.continuations) for each in requests}) > 1
        if learnt.items.is_known:
            options = [
                options_of_document(_fields(document), len(each.continuations) or None)
                for document, each in prompted
            ]
            learn_options_lead(learnt.items, shown, options)
        return learnt

    def of(self, document: Any, requests: Requests, count: int | None) -> Question | None:
        """Return what was asked; None if that cannot be found.

        Parameters
        ----------
        count : int, optional
            How many options were scored; None if the answer was generated.
        """
        fields = _fields(document)
        choices = self._options(fields, requests, count)
        if requests.differ and requests.continuations:
            return _of_differing_prompts(document, requests)
        text = requests.text
        if self.items.is_known and text.strip():
            item = self.items.item(document, text, choices, count)
            if item is not None and item.question:
                return Question(item.question, item.options or choices, FROM_PROMPT)
        is_placeholder = bool(text.strip()) and len(text) <= _SHORTENED_PROMPT
        stated = _stated_question(fields)
        if stated and (is_placeholder or not requests.prompts):
            return Question(stated, choices, FROM_DOCUMENT)
        options = [text.strip() for text in requests.continuations]
        if len(set(options)) > 1 and (self.options_differ or not text.strip()):
            return Question("\n".join(options), options, FROM_OPTIONS)
        if text.strip():
            return Question(text, choices, WHOLE_PROMPT)
        return Question(stated, choices, FROM_DOCUMENT) if stated else None

    def _options(
        self, fields: Mapping[str, Any], requests: Requests, count: int | None
    ) -> list[str] | None:
        choices = options_of_document(fields, count)
        if choices is None and count is not None and count > 1:
            scored = [text.strip() for text in requests.continuations]
            if len(scored) == count:
                choices = scored
        return choices


def _fields(document: Any) -> Mapping[str, Any]:
    return document if isinstance(document, dict) else {"text": document}


def _of_differing_prompts(document: Any, requests: Requests) -> Question:
    """Return the question of options that stand in the middle of the text, a blank in their place.

    What all options have in common stands before and after it.
    """
    wholes = [
        prompt + continuation
        for prompt, continuation in zip(requests.prompts, requests.continuations, strict=False)
    ]
    start = re.sub(r"\w+$", "", common_start(wholes))
    shortest = min(map(len, wholes)) - len(start)
    reverse = common_start([whole[::-1] for whole in wholes])[: max(0, shortest)]
    end = re.sub(r"^\w+", "", reverse[::-1])
    options = [whole[len(start) : len(whole) - len(end)].strip() for whole in wholes]
    begin = _start_of_item(start, document)
    before, after = start[begin:].strip(), end.strip()
    if not all(options) or not (before or after):
        options = [whole[begin:].strip() for whole in wholes]
        return Question("\n".join(options), options, FROM_OPTIONS)
    return Question(" ".join(filter(None, (before, _BLANK, after))), options, FROM_PROMPT)


def _start_of_item(text: str, document: Any) -> int:
    """Return where the last item of a text begins whose end is left open."""
    begin = text.rfind("\n\n") + 2 if "\n\n" in text else 0
    for turn in _TURN.finditer(text, begin):
        begin = turn.end()
    for _, value in values_in(document):
        if len(value) < 12:
            continue
        at = find_last(text, value[: max(12, len(value) // 2)], len(text))
        if 0 <= at < begin and len(text) - at <= 2 * len(value):
            begin = at
    return begin


# ---- By names of fields, where there is no prompt ------------------------------------------------


def _stated_question(doc: Mapping[str, Any]) -> str | None:
    """Return the question that a document holds, with the passage it is about, if any."""
    question = first_text(doc, _QUESTION_FIELDS)
    context = first_text(doc, _CONTEXT_FIELDS)
    if question and context and context not in question:
        return f"{context}\n\n{question}"
    return question or context


def first_text(doc: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """Return the first text under some names; of an object, its text."""
    for name in names:
        value = doc.get(name)
        if value is None:
            continue  # Nearly all of the names are of other benchmarks.
        if isinstance(value, dict):
            value = value.get("text") or value.get("stem")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = text_of(value)
        if isinstance(value, str) and value.strip():
            return value
    return None


def options_of_document(doc: Mapping[str, Any], count: int | None) -> list[str] | None:
    """Return a document's options, if there are as many as asked for (any number if None)."""
    for name in _CHOICE_FIELDS:
        value = doc.get(name)
        if value is None:
            continue
        if isinstance(value, dict):
            value = value.get("text") or value.get("choices")
        elif isinstance(value, str):
            value = list_in_text(value)
        choices = texts_of(value)
        if choices and count in (None, len(choices)):
            return choices
    for names in _NUMBERED_CHOICES:
        if names[0] not in doc:
            continue
        numbered = (doc.get(name) for name in names)
        options = list(map(str, takewhile(_is_text, numbered)))
        if len(options) > 1 and count in (None, len(options)):
            return options
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def sources_in(rows: Sequence[Mapping[str, Any]], rule: Questions) -> Counter[str]:
    """Count where the questions of some rows are found."""
    counts: Counter[str] = Counter()
    for row in rows:
        requests = requests_of(row.get("arguments"), rule.description)
        count = len(requests.continuations) or None
        question = rule.of(row.get("doc"), requests, count)
        counts[question.source if question else NOWHERE] += 1
    return counts
