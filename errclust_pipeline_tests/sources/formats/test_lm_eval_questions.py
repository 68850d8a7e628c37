"""What was asked, in rows as lm-evaluation-harness writes them, with prompts rendered here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources.formats.lm_eval_questions import (
    FROM_DOCUMENT,
    FROM_OPTIONS,
    WHOLE_PROMPT,
    Question,
    Questions,
    requests_of,
)
from errclust_pipeline.sources.identity import question_id

Document = Mapping[str, Any]
Render = Callable[[Document], str]
WORDS = [
    "amber",
    "basin",
    "candle",
    "delta",
    "ember",
    "falcon",
    "garden",
    "harbor",
    "island",
    "jacket",
    "kettle",
    "lantern",
    "meadow",
    "needle",
]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def rows_of(
    documents: Sequence[Document],
    render: Render,
    *,
    options: Callable[[Document], Sequence[str]] | None = None,
    answer: Callable[[Document], str] = lambda document: str(document.get("answer", "")),
    shots: int = 0,
    mode: str = "text",
) -> list[dict[str, Any]]:
    """Render documents as the harness does: shots before each, and a chat template around them."""
    rows = []
    for number, document in enumerate(documents):
        others = [documents[(number + 1 + 3 * shot) % len(documents)] for shot in range(shots)]
        examples = [(render(other), answer(other)) for other in others]
        text = "".join(f"{asked} {told}\n\n" for asked, told in examples) + render(document)
        prompt = f"Answer the following.\n\n{text}"
        if mode == "chat":
            prompt = (
                f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n"
                "<|im_start|>assistant\n"
            )
        elif mode == "turns":
            turns = [{"role": "system", "content": "Be brief."}]
            for asked, told in examples:
                turns += [
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": told},
                ]
            prompt = json.dumps([*turns, {"role": "user", "content": render(document)}])
        scored = [f" {option}" for option in options(document)] if options else [{"until": []}]
        arguments = {
            f"gen_args_{place}": {"arg_0": prompt, "arg_1": continuation}
            for place, continuation in enumerate(scored)
        }
        rows.append({"doc_id": number, "doc": document, "arguments": arguments})
    return rows


def asked(rows: Sequence[Mapping[str, Any]], count: int | None = None) -> list[Question]:
    rule = Questions.learn(rows)
    found = [
        rule.of(row["doc"], requests_of(row["arguments"], rule.description), count) for row in rows
    ]
    assert all(found)
    return [question for question in found if question]


def identities(questions: Sequence[Question]) -> list[str]:
    return [question_id(question.text, question.choices) for question in questions]


def sentence(number: int, size: int = 8) -> str:
    return " ".join(WORDS[(number * 7 + 3 * place) % len(WORDS)] for place in range(size)) + (
        f" number {number}"
    )


MODES = [(0, "text"), (3, "text"), (3, "chat"), (0, "chat"), (2, "turns")]

LABELLED = "{q}\nA. {a}\nB. {b}\nC. {c}\nAnswer:"


def test_a_premise_and_a_hypothesis_are_both_in_the_question() -> None:
    documents = [
        {"premise": sentence(number // 4), "hypothesis": sentence(99 + number, 4), "label": 0}
        for number in range(20)
    ]
    found = asked(
        rows_of(
            documents,
            lambda doc: f"{doc['premise']}\nQuestion: {doc['hypothesis']} True or False?\nAnswer:",
            options=lambda _: ("True", "False"),
        ),
        2,
    )
    assert len(set(identities(found))) == 20
    for document, question in zip(documents, found, strict=True):
        assert document["premise"] in question.text
        assert document["hypothesis"] in question.text
        assert question.choices == ["True", "False"]


@pytest.mark.parametrize(
    "template",
    [
        "Question: {q}\nAnswer:",
        "{q}",
        "Q: {q} A:",
        "Read.\n\nPassage: {p}\n\n{q}\n",
        "Topic: {s}\n{q}\nAnswer:",
        "Is this right? {q} Yes or no. Reply:",
        "{p} {q}",
        LABELLED,
        "Choices: {a}, {b} or {c}. {q}\nYour choice:",
    ],
)
def test_identity_is_the_same_however_many_examples_and_whatever_the_chat_template(
    template: str,
) -> None:
    documents = [
        {
            "q": sentence(number),
            "p": sentence(number // 3 + 50, 20),
            "s": WORDS[number % 4],
            "a": WORDS[number % 5] + f" {number}",
            "b": f"{number} {WORDS[number % 3]}",
            "c": f"{WORDS[number % 6]} {WORDS[number % 7]}",
            "answer": "ABC"[number % 3],
            "explanation": sentence(number + 200, 12),
        }
        for number in range(24)
    ]
    in_modes = [
        asked(
            rows_of(documents, lambda doc: template.format(**doc), shots=shots, mode=mode),
        )
        for shots, mode in MODES
    ]
    first = identities(in_modes[0])
    assert len(set(first)) == len(documents)
    for found in in_modes:
        assert identities(found) == first
        for document, question in zip(documents, found, strict=True):
            whole = squeezed(" ".join([question.text, *(question.choices or ())]))
            shown = [name for name in "qpsabc" if f"{{{name}}}" in template]
            assert [name for name in shown if document[name] not in whole] == []
            assert document["explanation"] not in whole


def test_options_that_a_prompt_lists_after_letters_are_options_and_not_the_question() -> None:
    documents = [
        {
            "stem": sentence(number),
            "w": f"one {number}",
            "x": f"two {number}",
            "y": f"three {number}",
        }
        for number in range(12)
    ]
    found = asked(
        rows_of(
            documents,
            lambda doc: f"{doc['stem']}\nA) {doc['w']}\nB) {doc['x']}\nC) {doc['y']}\nAnswer:",
            options=lambda _: "ABC",
        ),
        3,
    )
    assert [question.text for question in found] == [doc["stem"] for doc in documents]
    assert [question.choices for question in found] == [
        [doc["w"], doc["x"], doc["y"]] for doc in documents
    ]


def test_options_given_as_the_text_of_a_list_are_read() -> None:
    documents = [
        {"question": sentence(number), "options": f"['heart {number}', 'lung', 'liver']"}
        for number in range(8)
    ]
    found = asked(rows_of(documents, lambda doc: f"{doc['question']}\nAnswer:"))
    assert found[2].choices == ["heart 2", "lung", "liver"]


@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("mode", ["text", "chat"])
def test_where_the_context_is_empty_the_options_are_the_question(shots: int, mode: str) -> None:
    documents = [
        {
            "good": f"The cats {sentence(number)}",
            "bad": f"The cats runs {sentence(number)}",
            "uid": "x",
        }
        for number in range(10)
    ]
    rows = rows_of(
        documents,
        lambda _: "",
        options=lambda doc: (doc["good"], doc["bad"]),
        answer=lambda doc: doc["good"],
        shots=shots,
        mode=mode,
    )
    if shots == 0 and mode == "text":
        for row in rows:
            for request in row["arguments"].values():
                request["arg_0"] = ""
    found = asked(rows, 2)
    assert {question.source for question in found} == {FROM_OPTIONS}
    assert [question.choices for question in found] == [
        [doc["good"], doc["bad"]] for doc in documents
    ]
    assert len(set(identities(found))) == 10


@pytest.mark.parametrize("shots", [0, 2])
def test_where_each_option_has_its_own_prompt_a_blank_stands_for_it(shots: int) -> None:
    rows = []
    for number in range(6):
        before, after = f"Case {number}: Sarah met Maria because", "was late again"
        shown = "".join(f"Example {shot} is told here.\n\n" for shot in range(shots))
        rows.append(
            {
                "doc": {"sentence": f"{before} _ {after}", "option1": "Sarah", "option2": "Sam"},
                "arguments": {
                    f"gen_args_{place}": {"arg_0": f"{shown}{before} {name}", "arg_1": f" {after}"}
                    for place, name in enumerate(("Sarah", "Sam"))
                },
            }
        )
    found = asked(rows, 2)
    assert [question.text for question in found] == [row["doc"]["sentence"] for row in rows]
    assert found[0].choices == ["Sarah", "Sam"]


def test_the_last_word_that_is_to_be_guessed_is_not_in_the_question() -> None:
    documents = [{"text": f"{sentence(number)} target{number}"} for number in range(10)]
    rows = rows_of(
        documents,
        lambda doc: doc["text"].rpartition(" ")[0],
        options=lambda doc: (doc["text"].rpartition(" ")[2],),
    )
    for document, question in zip(documents, asked(rows), strict=True):
        assert question.text == document["text"].rpartition(" ")[0]


def test_a_gold_answer_that_examples_give_does_not_reach_the_question() -> None:
    documents = [
        {"question": sentence(number), "answer": sentence(300 + number % 5, 10)}
        for number in range(20)
    ]
    for shots, mode in MODES:
        found = asked(
            rows_of(documents, lambda doc: f"Q: {doc['question']}\nA:", shots=shots, mode=mode)
        )
        assert [question.text for question in found] == [doc["question"] for doc in documents]


def test_the_fifth_of_five_options_is_not_found_in_an_example_if_prompts_show_four() -> None:
    documents = [
        {"question": sentence(number), "choices": [f"{word} {number % 3}" for word in WORDS[:5]]}
        for number in range(15)
    ]

    def render(doc: Document) -> str:
        options = zip("ABCD", doc["choices"], strict=False)
        listed = [f"{name}. {text}" for name, text in options]
        return "\n".join([doc["question"], *listed, "Answer:"])

    found = asked(
        rows_of(
            documents,
            render,
            answer=lambda doc: doc["choices"][4],
            options=lambda _: "ABCD",
            shots=2,
        ),
        4,
    )
    assert [question.text for question in found] == [doc["question"] for doc in documents]
    assert {len(question.choices or ()) for question in found} == {4}


def test_what_a_template_changes_is_found_all_the_same() -> None:
    documents = [
        {"premise": f"The {sentence(number)}.", "cause": "because", "alt": sentence(60 + number)}
        for number in range(10)
    ]
    found = asked(
        rows_of(documents, lambda doc: f"{doc['premise'].rstrip('.').lower()} because"), None
    )
    assert [question.text for question in found] == [
        doc["premise"].rstrip(".").lower() for doc in documents
    ]


def test_a_prompt_that_shows_nothing_of_its_document_is_said_to_be_whole() -> None:
    documents = [{"id": number} for number in range(5)]
    rows = rows_of(documents, lambda doc: f"A text that has little to do with {doc['id'] + 70}")
    found = asked(rows)
    assert {question.source for question in found} == {WHOLE_PROMPT}
    assert len(set(identities(found))) == 5


def test_a_prompt_that_was_not_kept_leaves_the_fields_known_by_name() -> None:
    rows = [
        {"doc": {"question": f"What is {number}?"}, "arguments": {"a": {"arg_0": "Q", "arg_1": {}}}}
        for number in range(5)
    ]
    found = asked(rows)
    assert [question.text for question in found] == [f"What is {number}?" for number in range(5)]
    assert {question.source for question in found} == {FROM_DOCUMENT}


TEXTS = st.lists(st.sampled_from(WORDS), min_size=3, max_size=9).map(" ".join)
LITERALS = st.sampled_from(["Question: ", "Text -> ", "\n", " | ", "\nB: ", "Context:\n", ""])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(LITERALS, st.sampled_from(["f", "g", "h"])), min_size=1, max_size=4),
    st.sampled_from(["\nAnswer:", " =>", "\nReply with one word.\nLabel:"]),
    st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=8, max_size=14, unique=True),
)
def test_any_template_shows_its_fields_and_no_examples(
    parts: list[tuple[str, str]], cue: str, values: list[tuple[str, str, str]]
) -> None:
    """Fields under made-up names, in any order: shown ones are read, with and without examples."""
    documents = [
        {
            "f": f"{one} f{number}",
            "g": f"{two} g{number}",
            "h": f"{three} h{number}",
            "answer": "no",
        }
        for number, (one, two, three) in enumerate(values)
    ]

    def render(document: Document) -> str:
        return "".join(f"{literal}{document[name]} " for literal, name in parts).strip() + cue

    shown = {name for _, name in parts}
    found = [asked(rows_of(documents, render, shots=shots, mode=mode)) for shots, mode in MODES]
    for questions in found:
        assert identities(questions) == identities(found[0])
        for document, question in zip(documents, questions, strict=True):
            text = squeezed(question.text)
            assert all(squeezed(document[name]) in text for name in shown)
            # A value that this document shows as well is no sign of another's.
            own = " ".join(document.values())
            others = [other for other, value in enumerate(documents) if value["f"] not in own]
            assert not any(documents[other]["f"] in text for other in others)
