"""What each bug of the reasoning must lead to, worked out from the question's text."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import zip_longest

import pytest

from errclust_pipeline.demo.bugs import BUG_DESCRIPTIONS, Bug
from errclust_pipeline.demo.families import KINDS, write_questions
from errclust_pipeline.demo.models import MODELS
from errclust_pipeline_tests.demo.solutions import (
    ORDINALS,
    converted,
    dates,
    decimals,
    numbers,
    percents,
    plain,
    quoted,
    whole,
)


def carry_dropped(text: str) -> str:
    first, second = (str(number)[::-1] for number in numbers(text))
    units = int(first[:2][::-1]) + int(second[:2][::-1])
    rest = [
        str((int(left) + int(right)) % 10)
        for left, right in zip_longest(first[2:], second[2:], fillvalue="0")
    ]
    return str(int("".join(reversed(rest)) + f"{units % 100:02d}"))


def borrow_forgotten(text: str) -> str:
    first, second = (str(number) for number in numbers(text))
    pairs = zip(first, second.zfill(len(first)), strict=True)
    return str(int("".join(str(abs(int(left) - int(right))) for left, right in pairs)))


def unshifted(text: str) -> str:
    first, second = sorted(numbers(text), reverse=True)
    return str(first * sum(map(int, str(second))))


def wrong_temperature(text: str) -> str:
    found = re.search(r"(-?\d+) (?:degrees |°)(C|F)", text)
    assert found
    degrees = Decimal(found[1])
    return str(round((degrees + 32) * 9 / 5 if found[2] == "C" else degrees * 5 / 9 - 32))


def thirty_day_months(text: str) -> str:
    start, end = ((day.year * 12 + day.month) * 30 + day.day for day in dates(text))
    return str(end - start)


def no_leap_day(text: str) -> str:
    start, end = dates(text)
    days = [start + timedelta(days=number) for number in range(1, (end - start).days + 1)]
    return str(sum((day.month, day.day) != (2, 29) for day in days))


def day_of_common_year(text: str) -> str:
    day = dates(text)[0]
    return str(date(2023, day.month, day.day).timetuple().tm_yday)


def hundred_minutes(text: str) -> str:
    hour, minute, hours, minutes = numbers(text)[:4]
    total = hour * 100 + minute + hours * 100 + minutes
    return f"{total // 100:02d}:{total % 100:02d}"


def noon_ignored(text: str) -> str:
    (hour, minute), (other, late) = re.findall(r"(\d+):(\d\d) [ap]m", text)
    return str(abs(int(hour) * 60 + int(minute) - int(other) * 60 - int(late)))


def percentages_added(text: str) -> str:
    sign = -1 if re.search(r"reduced|drops|shrinks", text) else 1
    return plain(numbers(text)[0] * (1 + sign * sum(percents(text))))


def wrong_base(text: str) -> str:
    final, percent = decimals(text)[0], percents(text)[0]
    falling = re.search(r"discount|less|cut by", text)
    value = final * (1 + percent if falling else 1 - percent)
    return whole(value) if value == int(value) else str(value.quantize(Decimal("0.01")))


def doubles_once(text: str) -> str:
    letter = re.search(r"'(\w)'", text)
    assert letter
    return str(len(re.findall(f"{letter[1]}+", max(quoted(text), key=len))))


def mention_order(text: str) -> str:
    mentioned = re.findall(r"(\w+) (?:is|finished) \w+(?: than)? (\w+)(?=\.)", text)
    names = list(dict.fromkeys(name for pair in mentioned for name in pair))
    asked = text[text.rindex(". ") :]
    if re.search(r"shortest|last", asked):
        return names[-1]
    places = [ORDINALS.index(word) for word in re.findall(r"\w+", asked) if word in ORDINALS]
    return names[places[0] if places else 0]


def not_ignored(text: str) -> str:
    asked = re.findall(r"(\w+)\?$", text)[0]
    return next(re.finditer(rf"(\w+) (?:enjoys|likes|spends weekends on) {asked}", text))[1]


def pieces_reversed(text: str) -> str:
    return "".join(re.findall(".{1,3}", quoted(text)[0])[::-1])


def every_second_in_pieces(text: str) -> str:
    return re.sub(r"(.)(.)(.)|(.)(.)?$", r"\1\3\4", quoted(text)[0])


def row_below(text: str) -> str:
    head, *rows = (line.split(" | ") for line in text.splitlines() if " | " in line)
    asked = re.findall(r"\w+", text.splitlines()[-1])
    column = next(place for place, name in enumerate(head[1:], 1) if name in asked)
    row = next(place for place, values in enumerate(rows) if values[0] in asked)
    return [*rows, *rows][row + 1][column]


IMPLIED: list[tuple[Bug, str, Callable[[str], str]]] = [
    (Bug.CARRY_DROPPED, "addition", carry_dropped),
    (Bug.BORROW_FORGOTTEN, "subtraction", borrow_forgotten),
    (Bug.PARTIAL_PRODUCT_UNSHIFTED, "multiplication", unshifted),
    (Bug.FENCE_POST, "inclusive_range", lambda text: str(numbers(text)[1] - numbers(text)[0])),
    (Bug.SHORT_MILE, "length", lambda text: converted(text, "miles", "kilometres", "1.5")),
    (Bug.ROUND_POUND, "mass", lambda text: converted(text, "pounds", "kilograms", "0.5")),
    (Bug.TEMPERATURE_ORDER, "temperature", wrong_temperature),
    (Bug.THIRTY_DAY_MONTHS, "days_between", thirty_day_months),
    (Bug.LEAP_DAY_IGNORED, "days_between", no_leap_day),
    (Bug.LEAP_DAY_IGNORED, "day_of_year", day_of_common_year),
    (Bug.HUNDRED_MINUTE_HOUR, "timetable", hundred_minutes),
    (Bug.NOON_IGNORED, "elapsed_time", noon_ignored),
    (Bug.DISCOUNTS_ADDED, "successive_percentages", percentages_added),
    (Bug.WRONG_BASE, "original_value", wrong_base),
    (
        Bug.AREA_FOR_PERIMETER,
        "perimeter",
        lambda text: str(numbers(text)[0] * numbers(text)[1]),
    ),
    (
        Bug.MEDIAN_UNSORTED,
        "median",
        lambda text: str(numbers(text)[len(numbers(text)) // 2]),
    ),
    (Bug.MENTION_ORDER, "height_order", mention_order),
    (Bug.MENTION_ORDER, "race", mention_order),
    (Bug.CONVERSE_ACCEPTED, "syllogism", lambda _: "yes"),
    (Bug.PIECES_OF_THREE, "reversal", pieces_reversed),
    (Bug.PIECES_OF_THREE, "every_second_letter", every_second_in_pieces),
    (Bug.DOUBLES_COUNTED_ONCE, "letter_count", doubles_once),
    (Bug.ROW_BELOW, "table_cell", row_below),
]


@pytest.mark.parametrize(("bug", "kind", "implied"), IMPLIED)
def test_wrong_answers_are_what_the_bug_implies(
    bug: Bug, kind: str, implied: Callable[[str], str]
) -> None:
    benchmark = next(entry.benchmark for entry in KINDS if entry.name == kind)
    for question in write_questions(benchmark):
        if question.kind == kind:
            working = question.problem.solve(frozenset({bug}))
            assert working.answer == implied(question.text), question.text


def test_not_ignored_names_somebody_who_does() -> None:
    for question in write_questions("demo_language"):
        if question.kind == "negation" and "animals" not in question.text:
            working = question.problem.solve(frozenset({Bug.NOT_IGNORED}))
            assert working.answer == not_ignored(question.text)


def test_every_bug_is_documented_and_some_models_have_it() -> None:
    assert set(BUG_DESCRIPTIONS) == set(Bug)
    assert {bug for model in MODELS for bug in model.bugs} == set(Bug)
    kinds = {kind.name for kind in KINDS}
    assert all(set(description.kinds) <= kinds for description in BUG_DESCRIPTIONS.values())
