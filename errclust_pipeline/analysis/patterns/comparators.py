"""The patterns that one wrong answer can show: named comparisons of it with the right answer.

A pattern looks at one error alone. Constants that the errors of a place share, and whether a
pattern is more frequent there than elsewhere, belong in `search`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from errclust_pipeline.analysis.patterns.answers import WEEKDAYS, Answer, Number, read_answer

_TOLERANCE = 1e-6
_NUMBERS_IN_TEXT = re.compile(r"\d[\d,]*(?:\.\d+)?")
_YES, _NO = frozenset({"yes", "true", "valid"}), frozenset({"no", "false", "invalid"})


@dataclass(frozen=True)
class Pair:
    """One error: the right answer, the given answer (None if there is none), and the question."""

    gold: str
    given: str | None
    question: str = ""

    @cached_property
    def right(self) -> Answer:
        """The right answer, read."""
        return read_answer(self.gold)

    @cached_property
    def said(self) -> Answer:
        """The given answer, read."""
        return read_answer(self.given or "")

    @cached_property
    def numbers(self) -> tuple[Number, Number] | None:
        """Both answers as numbers; None unless both are numbers, and not times or dates."""
        if self.right.time or self.right.date or self.said.time or self.said.date:
            return None
        right, said = self.right.number, self.said.number
        return (right, said) if right is not None and said is not None else None

    @property
    def difference(self) -> float | None:
        """The given number less the right one."""
        return None if self.numbers is None else self.numbers[1].value - self.numbers[0].value

    @property
    def ratio(self) -> float | None:
        """The given number over the right one; None if either is 0 or they differ in sign."""
        if self.numbers is None or self.numbers[0].value * self.numbers[1].value <= 0:
            return None
        return self.numbers[1].value / self.numbers[0].value


@dataclass(frozen=True)
class Pattern:
    """A way to be wrong.

    Attributes
    ----------
    name : str
    family : str
        Patterns of a family can have one cause, so that a place lists only one of them.
    phrase : str
        What the given answer is, e.g. "one too low".
    holds : callable
        Tells of a pair whether it shows the pattern.
    """

    name: str
    family: str
    phrase: str
    holds: Callable[[Pair], bool]


def patterns_of(pair: Pair) -> list[str]:
    """Return the names of the patterns that an error shows.

    Examples
    --------
    >>> patterns_of(Pair("1,240", "1.239"))
    []
    >>> patterns_of(Pair("42", "41"))
    ['one_too_low', 'one_digit_wrong']
    >>> patterns_of(Pair("Mount Etna", "mount etna"))
    ['case']
    """
    return [name for name, pattern in PATTERNS.items() if pattern.holds(pair)]


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=1e-12)


def _of_numbers(test: Callable[[Number, Number], bool]) -> Callable[[Pair], bool]:
    def holds(pair: Pair) -> bool:
        numbers = pair.numbers
        return numbers is not None and test(*numbers)

    return holds


def _of_texts(test: Callable[[Answer, Answer], bool]) -> Callable[[Pair], bool]:
    def holds(pair: Pair) -> bool:
        return bool(pair.given and pair.right.text) and test(pair.right, pair.said)

    return holds


def _is_power_of_ten(right: Number, said: Number) -> bool:
    if right.value * said.value <= 0 or _close(right.value, said.value):
        return False
    power = math.log10(said.value / right.value)
    return abs(power - round(power)) < _TOLERANCE


def _is_rounded(right: Number, said: Number) -> bool:
    """Tell whether the given number is the right one with fewer decimals."""
    if said.decimals >= right.decimals or right.fraction or _close(right.value, said.value):
        return False
    return abs(right.value - said.value) < 10.0**-said.decimals


def _differing_digits(right: Number, said: Number) -> list[int]:
    return [n for n, (a, b) in enumerate(zip(right.digits, said.digits, strict=True)) if a != b]


def _is_one_digit_wrong(right: Number, said: Number) -> bool:
    return (
        len(right.digits) == len(said.digits) > 1
        and right.decimals == said.decimals
        and len(_differing_digits(right, said)) == 1
    )


def _are_digits_swapped(right: Number, said: Number) -> bool:
    if len(right.digits) != len(said.digits) or right.decimals != said.decimals:
        return False
    places = _differing_digits(right, said)
    return len(places) == 2 and sorted(right.digits) == sorted(said.digits)


def _is_carry_lost(right: Number, said: Number) -> bool:
    """Tell whether the given number lacks ones in some places from the tens upwards."""
    missing = round((right.value - said.value) * 10**right.decimals, 6)
    digits = f"{missing:.0f}" if missing > 0 and missing == int(missing) else ""
    return len(digits) > 1 and set(digits) <= {"0", "1"} and digits.endswith("0")


def _is_in_question(pair: Pair) -> bool:
    if pair.numbers is None:
        return False
    right, said = pair.numbers
    stated = {float(n.replace(",", "")) for n in _NUMBERS_IN_TEXT.findall(pair.question[:4000])}
    return said.value in stated and right.value not in stated


def _is_day_month_swapped(pair: Pair) -> bool:
    right, said = pair.right.date, pair.said.date
    return (
        right is not None
        and said is not None
        and right != said
        and (right.year, right.month, right.day) == (said.year, said.day, said.month)
    )


def _is_invalid_time(pair: Pair) -> bool:
    said = pair.said.time
    return pair.right.time is not None and said is not None and not said.valid


def _is_half_day_off(pair: Pair) -> bool:
    right, said = pair.right.time, pair.said.time
    return right is not None and said is not None and abs(right.minutes - said.minutes) == 12 * 60


def _is_weekday_off(step: int) -> Callable[[Pair], bool]:
    def holds(pair: Pair) -> bool:
        right, said = pair.right.folded, pair.said.folded
        if right not in WEEKDAYS or said not in WEEKDAYS:
            return False
        return (WEEKDAYS.index(said) - WEEKDAYS.index(right)) % 7 == step % 7

    return holds


def _differs_only(
    form: Callable[[Answer], str], stricter: Callable[[Answer], str]
) -> Callable[[Pair], bool]:
    """Return a test: equal in one form, and unlike in the stricter one."""
    return _of_texts(
        lambda right, said: form(right) == form(said) != "" and stricter(right) != stricter(said)
    )


def _is_within(part: Answer, whole: Answer) -> bool:
    pattern = rf"(?<!\w){re.escape(part.folded)}(?!\w)"
    return part.letters != whole.letters and bool(part.folded and re.search(pattern, whole.folded))


def _is_flipped(right: Answer, said: Answer) -> bool:
    return (right.letters in _YES and said.letters in _NO) or (
        right.letters in _NO and said.letters in _YES
    )


def _same_items(right: Answer, said: Answer) -> bool:
    return right.items != said.items and sorted(right.items) == sorted(said.items) != []


def _is_subset(part: Answer, whole: Answer) -> bool:
    return bool(part.items) and set(part.items) < set(whole.items)


PATTERNS: dict[str, Pattern] = {
    pattern.name: pattern
    for pattern in (
        Pattern(
            "one_too_low",
            "number",
            "one too low",
            _of_numbers(lambda right, said: _close(said.value - right.value, -1)),
        ),
        Pattern(
            "one_too_high",
            "number",
            "one too high",
            _of_numbers(lambda right, said: _close(said.value - right.value, 1)),
        ),
        Pattern(
            "sign",
            "number",
            "right but for the sign",
            _of_numbers(lambda right, said: right.value != 0 and _close(said.value, -right.value)),
        ),
        Pattern("power_of_ten", "number", "wrong by a power of ten", _of_numbers(_is_power_of_ten)),
        Pattern(
            "reciprocal",
            "number",
            "one over the right number",
            _of_numbers(
                lambda right, said: (
                    right.value != 0
                    and abs(right.value) != 1
                    and _close(said.value, 1 / right.value)
                )
            ),
        ),
        Pattern("rounded", "number", "rounded or cut to fewer decimals", _of_numbers(_is_rounded)),
        Pattern(
            "digits_swapped",
            "number",
            "right but for two swapped digits",
            _of_numbers(_are_digits_swapped),
        ),
        Pattern("carry_lost", "number", "too low by lost carries", _of_numbers(_is_carry_lost)),
        Pattern(
            "one_digit_wrong", "number", "wrong in one digit", _of_numbers(_is_one_digit_wrong)
        ),
        Pattern(
            "unit",
            "form",
            "the right number without its unit, or with another",
            _of_numbers(
                lambda right, said: _close(right.value, said.value) and right.unit != said.unit
            ),
        ),
        Pattern(
            "notation",
            "form",
            "the right number in another notation",
            _of_numbers(
                lambda right, said: _close(right.value, said.value) and right.unit == said.unit
            ),
        ),
        Pattern("number_of_question", "question", "a number of the question", _is_in_question),
        Pattern(
            "day_month_swapped",
            "date",
            "the date with day and month swapped",
            _is_day_month_swapped,
        ),
        Pattern("invalid_time", "time", "a time that no clock shows", _is_invalid_time),
        Pattern("half_day_off", "time", "twelve hours off", _is_half_day_off),
        Pattern("weekday_before", "date", "the day before", _is_weekday_off(-1)),
        Pattern("weekday_after", "date", "the day after", _is_weekday_off(1)),
        Pattern(
            "case",
            "form",
            "right but for letter case",
            _differs_only(
                lambda answer: answer.folded, lambda answer: " ".join(answer.text.split())
            ),
        ),
        Pattern(
            "punctuation",
            "form",
            "right but for spaces, punctuation or markup",
            lambda pair: (
                pair.numbers is None
                and _differs_only(lambda answer: answer.letters, lambda answer: answer.folded)(pair)
            ),
        ),
        Pattern(
            "articles",
            "form",
            "right but for articles",
            _differs_only(lambda answer: answer.without_articles, lambda answer: answer.letters),
        ),
        Pattern(
            "list_reversed",
            "list",
            "the right list in reverse",
            _of_texts(
                lambda right, said: _same_items(right, said) and right.items == said.items[::-1]
            ),
        ),
        Pattern("list_order", "list", "the right items in another order", _of_texts(_same_items)),
        Pattern(
            "item_missing",
            "list",
            "the right list with items missing",
            _of_texts(lambda right, said: _is_subset(said, right)),
        ),
        Pattern(
            "item_added",
            "list",
            "the right list with items added",
            _of_texts(lambda right, said: bool(right.items) and _is_subset(right, said)),
        ),
        Pattern("flipped", "yes_no", "yes for no, or no for yes", _of_texts(_is_flipped)),
        Pattern(
            "contains_right",
            "within",
            "the right answer with other words",
            lambda pair: (
                pair.numbers is None
                and _of_texts(lambda right, said: _is_within(right, said))(pair)
            ),
        ),
        Pattern(
            "part_of_right",
            "within",
            "a part of the right answer",
            lambda pair: (
                pair.numbers is None
                and _of_texts(lambda right, said: _is_within(said, right))(pair)
            ),
        ),
        Pattern(
            "no_answer",
            "no_answer",
            "no answer at all",
            lambda pair: not (pair.given or "").strip(),
        ),
    )
}
"""Every pattern by its name. Within a family the more specific stands first."""
