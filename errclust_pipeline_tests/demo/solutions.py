"""Answers to the demo questions, worked out from nothing but their text.

Independent of the families' own solvers: Python's dates, decimals, sets and sorting.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import permutations
from math import prod

from errclust_pipeline.demo.families.logic import CLASSES
from errclust_pipeline.demo.families.reading import FOODS
from errclust_pipeline.demo.wording import PEOPLE, WORDS

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
DATE = re.compile(
    r"\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November"
    r"|December) \d{4}"
)


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def dates(text: str) -> list[date]:
    return [datetime.strptime(found, "%d %B %Y").date() for found in DATE.findall(text)]


def decimals(text: str) -> list[Decimal]:
    return [Decimal(found) for found in re.findall(r"\$(\d+(?:\.\d\d)?)", text)]


def percents(text: str) -> list[Decimal]:
    return [Decimal(found) / 100 for found in re.findall(r"(\d+)\s%", text)]


def plain(value: Decimal) -> str:
    return str(int(value)) if value == int(value) else str(value.quantize(Decimal("0.01")))


def whole(value: Decimal) -> str:
    return str(int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP)))


def converted(text: str, large: str, small: str, size: str) -> str:
    found = re.search(rf"(\d+) ({large}|{small})", text)
    assert found
    quantity, factor = Decimal(found[1]), Decimal(size)
    return whole(quantity * factor if found[2] == large else quantity / factor)


def temperature(text: str) -> str:
    found = re.search(r"(-?\d+) (?:degrees |°)(C|F)", text)
    assert found
    degrees = Decimal(found[1])
    value = degrees * 9 / 5 + 32 if found[2] == "C" else (degrees - 32) * 5 / 9
    return str(round(value))


def days_between(text: str) -> str:
    start, end = dates(text)
    return str((end - start).days)


def weekday(text: str) -> str:
    named = dates(text)
    if len(named) == 2:
        return named[1].strftime("%A")
    start = re.search(r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day", text)
    days = re.search(r"(\d+) days", text)
    assert start
    assert days
    week = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    return week[(week.index(start[0]) + int(days[1])) % 7]


def timetable(text: str) -> str:
    start = re.search(r"\d\d:\d\d", text)
    length = re.search(r"(\d+) h (\d+) min", text)
    assert start
    assert length
    added = timedelta(hours=int(length[1]), minutes=int(length[2]))
    return (datetime.strptime(start[0], "%H:%M") + added).strftime("%H:%M")


def elapsed_time(text: str) -> str:
    start, end = (
        datetime.strptime(found, "%I:%M %p") for found in re.findall(r"\d+:\d\d [ap]m", text)
    )
    return str(int((end - start).total_seconds()) // 60)


def discount(text: str) -> str:
    return plain(decimals(text)[0] * (1 - percents(text)[0]))


def successive_percentages(text: str) -> str:
    value = Decimal(numbers(text)[0])
    sign = -1 if re.search(r"reduced|drops|shrinks", text) else 1
    first, second = percents(text)
    return plain(value * (1 + sign * first) * (1 + sign * second))


def original_value(text: str) -> str:
    sign = -1 if re.search(r"discount|less|cut by", text) else 1
    return plain(decimals(text)[0] / (1 + sign * percents(text)[0]))


def shared_bill(text: str) -> str:
    others = re.search(r"(\d+) (?:friends|colleagues)", text)
    assert others
    return plain(sum(decimals(text), Decimal()) / (int(others[1]) + 1))


def wages(text: str) -> str:
    rate = decimals(text)[0]
    regular = re.search(r"(?:beyond|the first|above) (\d+)", text)
    hours = re.search(r"(?:week of|earn for|worked) (\d+)", text)
    assert regular
    assert hours
    overtime = int(hours[1]) - int(regular[1])
    return plain(rate * int(regular[1]) + rate * overtime * Decimal("1.5"))


def bank_account(text: str) -> str:
    opening = int(decimals(text)[0])
    signs = {"deposit": 1, "payment received": 1, "withdrawal": -1, "card payment": -1}
    movements = re.findall(rf"({'|'.join(signs)}) of \$(\d+)", text)
    return str(opening + sum(signs[what] * int(value) for what, value in movements))


def ranking(text: str) -> str:
    facts = re.findall(
        r"(\w+) (is taller than|is shorter than|finished before|finished after) (\w+)", text
    )
    names = sorted({name for first, _, second in facts for name in (first, second)})
    orders = [
        order
        for order in permutations(names)
        if all(
            (order.index(first) < order.index(second))
            == (relation in ("is taller than", "finished before"))
            for first, relation, second in facts
        )
    ]
    assert len(orders) == 1, "the puzzle has one solution"
    asked = text[text.rindex(". ") :]
    if re.search(r"who is the \w+ tallest", asked) or "the race?" in asked:
        places = [ORDINALS.index(word) for word in re.findall(r"\w+", asked) if word in ORDINALS]
        if places:
            return orders[0][places[0]]
    return orders[0][-1 if re.search(r"shortest|last", asked) else 0]


def negation(text: str) -> str:
    if "animals" in text:
        asked = next(name for name in CLASSES if f"not {name}" in text)
        others = [
            animal
            for animal in re.findall(r"\w+", text.split(":")[1])
            if animal != "or" and animal not in CLASSES[asked]
        ]
    else:
        likes = re.findall(r"(\w+) (?:enjoys|likes|spends weekends on) (\w+)", text)
        asked = re.findall(r"(\w+)\?$", text)[0]
        others = [name for name, hobby in likes if hobby != asked]
    assert len(others) == 1, text
    return others[0]


def syllogism(text: str) -> str:
    premises, asked = re.split(
        r"Does it follow that all |conclusion 'all |Conclusion: All |that every one of the ", text
    )
    inside = dict(re.findall(r"All ([\w ]+) are ([\w ]+)\.", premises))
    found = re.match(r"([\w ]+?) (?:are|belongs to the) ([\w ]+)", asked)
    assert found
    group = found[1]
    while group in inside:
        group = inside[group]
        if group == found[2]:
            return "yes"
    return "no"


def quoted(text: str) -> list[str]:
    return re.findall(r"'(\w+)'", text)


def letter_count(text: str) -> str:
    word = max(quoted(text), key=len)
    letter = re.search(r"'(\w)'", text)
    assert letter
    return str(word.count(letter[1]))


def alphabetical_order(text: str) -> str:
    known = {*WORDS, *PEOPLE}
    words = sorted((word for word in re.findall(r"\w+", text) if word in known), key=str.casefold)
    if re.search(r"\blast\b", text):
        return words[-1]
    return words[next(place for place, name in enumerate(ORDINALS) if re.search(name, text))]


def anagram(text: str) -> str:
    letters = sorted(quoted(text)[0])
    fitting = [word for word in re.findall(r"\w+", text) if word in WORDS]
    fitting = [word for word in fitting if sorted(word) == letters]
    assert len(fitting) == 1
    return fitting[0]


def table(text: str) -> str:
    lines = [line.split(" | ") for line in text.splitlines() if " | " in line]
    asked = re.findall(r"\w+", text.splitlines()[-1])
    head, *rows = lines
    column = next(place for place, name in enumerate(head[1:], 1) if name in asked)
    if "highest" in asked or "lowest" in asked:
        best = max if "highest" in asked else min
        return best(rows, key=lambda row: int(row[column]))[0]
    return next(row[column] for row in rows if row[0] in asked)


def formatted_list(text: str) -> str:
    items = [word for word in re.findall(r"\w+", text) if word in FOODS]
    if "capital" in text:
        return ("; " if "semicolons" in text else "/").join(items).upper()
    return "-".join(items) if "dashes" in text else "".join(f"[{item}]" for item in items)


def lock_codes(text: str) -> str:
    wheels, symbols = numbers(text)
    return str(symbols**wheels)


SOLUTIONS: dict[str, Callable[[str], str]] = {
    "addition": lambda text: str(sum(numbers(text))),
    "subtraction": lambda text: str(numbers(text)[0] - numbers(text)[1]),
    "multiplication": lambda text: str(prod(numbers(text))),
    "inclusive_range": lambda text: str(len(range(numbers(text)[0], numbers(text)[1] + 1))),
    "length": lambda text: converted(text, "miles", "kilometres", "1.609344"),
    "mass": lambda text: converted(text, "pounds", "kilograms", "0.45359237"),
    "volume": lambda text: converted(text, "US gallons", "litres", "3.785411784"),
    "temperature": temperature,
    "days_between": days_between,
    "day_of_year": lambda text: str(dates(text)[0].timetuple().tm_yday),
    "weekday": weekday,
    "timetable": timetable,
    "elapsed_time": elapsed_time,
    "discount": discount,
    "successive_percentages": successive_percentages,
    "original_value": original_value,
    "shared_bill": shared_bill,
    "wages": wages,
    "bank_account": bank_account,
    "area": lambda text: str(prod(numbers(text))),
    "perimeter": lambda text: str(2 * sum(numbers(text))),
    "mean": lambda text: str(statistics.mean(numbers(text))),
    "median": lambda text: str(statistics.median(numbers(text))),
    "height_order": ranking,
    "race": ranking,
    "negation": negation,
    "syllogism": syllogism,
    "reversal": lambda text: quoted(text)[0][::-1],
    "every_second_letter": lambda text: quoted(text)[0][::2],
    "letter_count": letter_count,
    "alphabetical_order": alphabetical_order,
    "anagram": anagram,
    "table_cell": table,
    "table_extreme": table,
    "formatted_list": formatted_list,
    "medication": lambda text: str(prod(numbers(text))),
    "chemicals": lambda text: str(prod(numbers(text))),
    "lock_codes": lock_codes,
}
