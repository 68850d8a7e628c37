"""Answer patterns: golden pairs, notations, planted bugs and permuted answers."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.analysis.patterns import Pair, find_patterns, parse_number, patterns_of


@dataclass(frozen=True)
class Questions:
    """A place, as the tests make it."""

    name: str
    question_ids: tuple[str, ...]
    kind: str = "subject"

    @property
    def id(self) -> str:
        """The name."""
        return self.name


@pytest.mark.parametrize(
    ("gold", "said", "pattern"),
    [
        ("33 pages", "32", "one_too_low"),
        ("$1,234", "1.235,00 EUR", "one_too_high"),
        ("40%", "-40 %", "sign"),
        ("0.25", "25", "power_of_ten"),
        (r"\frac{3}{4}", "4/3", "reciprocal"),
        ("3.14159", "3.14", "rounded"),
        ("5163", "5136", "digits_swapped"),
        ("12682", "2682", "carry_lost"),
        ("4711", "4211", "one_digit_wrong"),
        ("12 km", "12", "unit"),
        ("1/2", "0.5", "notation"),
        ("2021-03-04", "2021-04-03", "day_month_swapped"),
        ("16:16", "15:76", "invalid_time"),
        ("3:05 pm", "3:05 am", "half_day_off"),
        ("Tuesday", "Monday", "weekday_before"),
        ("Mount Etna", "mount etna", "case"),
        ("[lemons][apples]", "lemons, apples", "punctuation"),
        ("The Hague", "Hague", "articles"),
        ("Ann, Bob, Cid", "Cid, Bob, Ann", "list_reversed"),
        ("Ann, Bob, Cid", "Bob, Ann, Cid", "list_order"),
        ("Ann, Bob, Cid", "Ann, Cid", "item_missing"),
        ("yes", "No.", "flipped"),
        ("Paris", "It is Paris, of course", "contains_right"),
        ("Paris", None, "no_answer"),
    ],
)
def test_a_pair_shows_its_pattern(gold, said, pattern):
    assert pattern in patterns_of(Pair(gold, said))


@pytest.mark.parametrize(
    ("gold", "said"),
    [("7", "9"), ("Paris", "London"), ("15:10", "16:20"), ("2021-03-04", "2021-03-09")],
)
def test_an_ordinary_wrong_answer_shows_no_pattern_of_form(gold, said):
    assert not set(patterns_of(Pair(gold, said))) - {"one_digit_wrong"}


NOTATIONS = (
    lambda n: str(n),
    lambda n: f"{n:,}",
    lambda n: f"{n:,}".replace(",", " "),
    lambda n: f"{n:,}.00",
    lambda n: f"{n:,}".replace(",", ".") + ",00",
    lambda n: f"${n}$",
    lambda n: f"\\boxed{{{n}}}",
    lambda n: f"{n} apples",
    lambda n: f"**{n}**",
)


@given(st.integers(10, 10**7), st.sampled_from(NOTATIONS), st.sampled_from(NOTATIONS))
def test_one_too_low_is_seen_whatever_the_notation(number, write_gold, write_said):
    pair = Pair(write_gold(number), write_said(number - 1))
    assert "one_too_low" in patterns_of(pair)


@given(st.floats(1e-6, 1e9, allow_nan=False))
def test_a_number_is_read_back_from_scientific_notation(number):
    read = parse_number(f"{number:.6e}")
    assert read is not None
    assert read.value == pytest.approx(number, rel=1e-5)


def errors_of(say, seed=0):
    """Return 40 errors of a place with a bug, 80 others with arbitrary answers, and both places."""
    rng = np.random.default_rng(seed)
    golds = rng.integers(20, 2000, 120)
    pairs = [
        Pair(str(gold), say(int(gold)) if n < 40 else str(rng.integers(20, 2000)))
        for n, gold in enumerate(golds)
    ]
    names = [f"q{n:03}" for n in range(120)]
    return (
        names,
        pairs,
        [Questions("here", tuple(names[:40])), Questions("there", tuple(names[40:]))],
    )


@pytest.mark.parametrize(
    ("say", "pattern", "parameter"),
    [
        (lambda gold: str(gold - 1), "one_too_low", None),
        (lambda gold: f"{gold + 7} days", "constant_difference", 7),
        (lambda gold: f"{gold * 1.609:.2f}", "constant_ratio", 1.609),
        (lambda gold: f"{gold / 1000}", "power_of_ten", None),
    ],
)
def test_a_planted_bug_is_found_in_its_place_once(say, pattern, parameter):
    found = find_patterns(*errors_of(say))
    assert [(row.place.name, row.pattern.name) for row in found] == [("here", pattern)]
    if parameter is not None:
        assert found[0].parameter == pytest.approx(parameter, rel=0.002)


def test_a_finding_is_said_in_a_sentence():
    (found,) = find_patterns(*errors_of(lambda gold: str(gold - 1)))
    assert found.sentence == "here: one too low in 40 of 40 errors"


def test_permuted_answers_show_no_pattern():
    """Right answers of one place are small numbers, which lie one apart by chance."""
    discoveries = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        golds = np.r_[rng.integers(1, 5, 60), rng.integers(10, 5000, 140)]
        said = np.r_[np.maximum(golds[:60] - 1, 0), golds[60:] + rng.integers(-3, 3, 140)]
        pairs = [
            Pair(str(gold), str(answer))
            for gold, answer in zip(golds, rng.permutation(said), strict=True)
        ]
        names = [f"q{n:03}" for n in range(200)]
        places = [Questions(str(n), tuple(names[n : n + 20])) for n in range(0, 200, 20)]
        discoveries += bool(find_patterns(names, pairs, places))
    # .05 of 40 runs, and two standard errors.
    assert discoveries <= 4


def test_no_errors_show_no_pattern():
    assert find_patterns([], [], []) == []
