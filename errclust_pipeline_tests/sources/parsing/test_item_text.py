"""The item's own text, whatever stands around it in a prompt."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.sources.parsing.item_text import ItemText, SharedText

INSTRUCTION = "The following are questions about rivers.\n\n"
ITEMS = [f"Question: Where does river {word} end?" for word in "abcdefgh"]
SHOTS = [f"Question: Where does stream {n} end?\nAnswer: in sea {n}\n\n" for n in range(20)]


def items_of(prompts: list[str]) -> list[str]:
    shared = SharedText()
    for prompt in prompts:
        shared.add(prompt)
    item = ItemText.of_options(shared.to_options())
    return [item.of(prompt) for prompt in prompts]


def prompts(shots: int, *, drawn: bool = False, cue: str = "\nAnswer:") -> list[str]:
    generator = random.Random(1)
    return [
        INSTRUCTION
        + "".join(generator.sample(SHOTS, shots) if drawn else SHOTS[:shots])
        + item
        + cue
        for item in ITEMS
    ]


@pytest.mark.parametrize("shots", [0, 1, 5])
@pytest.mark.parametrize("drawn", [False, True])
def test_an_item_has_the_same_text_at_any_number_of_shots(shots: int, drawn: bool) -> None:
    assert items_of(prompts(shots, drawn=drawn)) == ITEMS


def test_shots_of_another_number_in_each_prompt_fall_away() -> None:
    mixed = [
        INSTRUCTION + "".join(SHOTS[: 1 + number % 4]) + item + "\nAnswer:"
        for number, item in enumerate(ITEMS)
    ]
    assert items_of(mixed) == ITEMS


def test_options_that_all_items_share_stay() -> None:
    asked = [f"{item}\nA. yes\nB. no\nAnswer:" for item in ITEMS]
    assert items_of(asked) == [f"{item}\nA. yes\nB. no" for item in ITEMS]


def test_a_dialogue_that_holds_the_cue_is_no_example() -> None:
    asked = [f"Q: {word} said:\nA: hello\nB: bye\nWho left?\nA:" for word in "abcdef"]
    assert items_of(asked) == [text.removesuffix("\nA:") for text in asked]


def test_a_few_prompts_or_equal_ones_say_nothing() -> None:
    few = [f"one passage\n\nquestion {n}\nAnswer:" for n in range(3)]
    assert items_of(few) == few
    assert items_of(["a\n\nb"] * 9) == ["a\n\nb"] * 9


@given(st.lists(st.text("ab\n:QA ", max_size=30), min_size=1, max_size=12))
def test_different_prompts_stay_different_and_none_gets_empty(texts: list[str]) -> None:
    found = items_of(texts)
    for text, item in zip(texts, found, strict=True):
        assert item in text
        assert item.strip() or not text.strip()


@given(st.lists(st.text("abc", min_size=1, max_size=8), min_size=4, unique=True))
def test_distinct_items_have_distinct_texts(words: list[str]) -> None:
    asked = [f"{INSTRUCTION}Question: {word}\nAnswer:" for word in words]
    assert len(set(items_of(asked))) == len(words)
