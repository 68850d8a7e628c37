"""Date arithmetic: days between dates, days of the year, days of the week."""

from __future__ import annotations

import calendar
import random
from dataclasses import dataclass
from datetime import date, timedelta

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, pick

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def written(day: date) -> str:
    """Return a date as text, such as "3 March 2024"."""
    return f"{day.day} {calendar.month_name[day.month]} {day.year}"


def month_length(year: int, month: int, bugs: Bugs) -> int:
    """Return the days of a month, as a model with these bugs believes."""
    if Bug.THIRTY_DAY_MONTHS in bugs:
        return 30
    if month == 2 and Bug.LEAP_DAY_IGNORED in bugs:
        return 28
    return calendar.monthrange(year, month)[1]


def count_days(start: date, end: date, bugs: Bugs) -> tuple[int, list[str]]:
    """Count the days from start to end, and return the number and a line for each month."""
    if (start.year, start.month) == (end.year, end.month):
        return end.day - start.day, [f"{end.day} - {start.day} = {end.day - start.day} days."]
    total, lines = 0, []
    year, month = start.year, start.month
    while (year, month) != (end.year, end.month):
        length = month_length(year, month, bugs)
        name = calendar.month_name[month]
        if total == 0 and (year, month) == (start.year, start.month):
            days = length - start.day
            lines.append(f"{name} has {length} days, so {days} days are left in it.")
        else:
            days = length
            lines.append(f"{name} {year} adds {days} days.")
        total += days
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    total += end.day
    lines.append(f"{calendar.month_name[month]} adds {end.day} days, {total} in all.")
    return total, lines


@dataclass(frozen=True)
class DaysBetween:
    """The number of days from one date to a later one."""

    start: date
    end: date

    def solve(self, bugs: Bugs) -> Working:
        """Count month by month."""
        total, lines = count_days(self.start, self.end, bugs)
        return Working(tuple(lines), str(total))


@dataclass(frozen=True)
class DayOfYear:
    """The position of a date within its year."""

    day: date

    def solve(self, bugs: Bugs) -> Working:
        """Add the days of the months before and the day of the month."""
        lengths = [month_length(self.day.year, month, bugs) for month in range(1, self.day.month)]
        terms = [str(length) for length in lengths] + [str(self.day.day)]
        total = sum(lengths) + self.day.day
        steps = (
            f"The months before {calendar.month_name[self.day.month]} count in full.",
            f"{' + '.join(terms)} = {total}.",
        )
        return Working(steps, str(total))


@dataclass(frozen=True)
class Weekday:
    """The weekday of a later date, which is given as a date or as a number of days."""

    start: date
    end: date
    distance_given: bool

    def solve(self, bugs: Bugs) -> Working:
        """Count the days and subtract whole weeks."""
        days, lines = count_days(self.start, self.end, bugs)
        if self.distance_given:
            days, lines = (self.end - self.start).days, []
        first = WEEKDAYS[self.start.weekday()]
        answer = WEEKDAYS[(self.start.weekday() + days) % 7]
        steps = (
            *lines,
            f"{days} days are {days // 7} weeks and {days % 7} days.",
            f"{days % 7} days after {first} is {answer}.",
        )
        return Working(steps, answer, tuple(day for day in WEEKDAYS if day != answer))


def _day(rng: random.Random, years: tuple[int, ...], months: tuple[int, ...]) -> date:
    return date(rng.choice(years), rng.choice(months), rng.randrange(1, 29))


def _days_between(rng: random.Random) -> tuple[str, DaysBetween]:
    start = _day(rng, (2019, 2020, 2021, 2022, 2023, 2024, 2025), tuple(range(1, 11)))
    month = start.month + rng.randrange(1, 10)
    end = date(start.year + (month - 1) // 12, (month - 1) % 12 + 1, rng.randrange(1, 29))
    person, town = rng.choice(PEOPLE), rng.choice(TOWNS)
    text = pick(
        rng,
        f"How many days are there from {written(start)} to {written(end)}, not counting the first "
        "day?",
        f"{person} moved to {town} on {written(start)} and moved away on {written(end)}. How many "
        "days passed between the two dates?",
        f"A building project began on {written(start)} and was finished on {written(end)}. How "
        "many days did it last, not counting the first day?",
        f"How many days passed between {written(start)} and {written(end)}?",
        f"{person} borrowed a library book on {written(start)} and returned it on {written(end)}. "
        "How many days later was that?",
        f"An exhibition in {town} was announced on {written(start)} and opened on {written(end)}. "
        "Find the number of days between these dates.",
    )
    return text, DaysBetween(start, end)


def _day_of_year(rng: random.Random) -> tuple[str, DayOfYear]:
    day = _day(rng, (2008, 2012, 2016, 2020, 2024, 2028, 2000, 1900, 2023), tuple(range(3, 13)))
    person = rng.choice(PEOPLE)
    text = pick(
        rng,
        f"If 1 January is day 1 of the year, which day number of the year is {written(day)}?",
        f"{person} keeps a diary with numbered days, starting from 1 January as day 1. Which day "
        f"number of the year does {written(day)} have?",
        f"Astronomers label dates by the day of the year. What is the day of the year of "
        f"{written(day)}, with 1 January as day 1?",
        f"Counting the days of the year from 1 January, which is day 1, what is the number of "
        f"{written(day)}?",
    )
    return text, DayOfYear(day)


def _weekday(rng: random.Random) -> tuple[str, Weekday]:
    start = _day(rng, (2020, 2021, 2022, 2023, 2024), tuple(range(1, 9)))
    distance_given = rng.random() < 0.5
    end = start + timedelta(days=rng.randrange(40, 200))
    person, first = rng.choice(PEOPLE), WEEKDAYS[start.weekday()]
    if distance_given:
        days = (end - start).days
        text = pick(
            rng,
            f"Today is {first}, {written(start)}. Which day of the week will it be in {days} days?",
            f"{person}'s birthday falls on a {first}. What day of the week is {days} days after "
            "that?",
            f"A ship leaves port on a {first} and returns {days} days later. On which weekday does "
            "it return?",
        )
    else:
        text = pick(
            rng,
            f"{written(start)} is a {first}. What day of the week is {written(end)}?",
            f"{person}'s course starts on {first}, {written(start)}. On which weekday does the "
            f"exam on {written(end)} fall?",
            f"If {written(start)} was a {first}, on which day of the week did {written(end)} fall?",
        )
    return text, Weekday(start, end, distance_given)


KINDS = (
    Kind("days_between", "calendar", "demo_numbers", 55, _days_between),
    Kind("day_of_year", "calendar", "demo_numbers", 40, _day_of_year),
    Kind("weekday", "calendar", "demo_numbers", 45, _weekday),
)
