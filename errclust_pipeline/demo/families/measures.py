"""Rectangles (area, perimeter) and lists of measurements (mean, median)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, amount, join_words, pick


@dataclass(frozen=True)
class Area:
    """The area of a rectangle."""

    length: int
    width: int

    def solve(self, bugs: Bugs) -> Working:  # noqa: ARG002
        """Multiply the sides."""
        area = self.length * self.width
        return Working((f"{self.length} × {self.width} = {area}.",), str(area))


@dataclass(frozen=True)
class Perimeter:
    """The way round a rectangle."""

    length: int
    width: int

    def solve(self, bugs: Bugs) -> Working:
        """Add the sides and double."""
        if Bug.AREA_FOR_PERIMETER in bugs:
            area = self.length * self.width
            steps = (
                "For a rectangle we multiply length and width.",
                f"{self.length} × {self.width} = {area}.",
            )
            return Working(steps, str(area))
        total = 2 * (self.length + self.width)
        steps = (
            "Going round a rectangle passes each side twice.",
            f"2 × ({self.length} + {self.width}) = {total}.",
        )
        return Working(steps, str(total))


@dataclass(frozen=True)
class Mean:
    """The mean of a list, which is a whole number."""

    values: tuple[int, ...]

    def solve(self, bugs: Bugs) -> Working:  # noqa: ARG002
        """Add one value after the other and divide."""
        total, steps = 0, ["Add the values one after the other."]
        for value in self.values:
            steps.append(f"{total} + {value} = {total + value}.")
            total += value
        mean = amount(Fraction(total, len(self.values)))
        steps.append(f"Divide by their number: {total} ÷ {len(self.values)} = {mean}.")
        return Working(tuple(steps), mean)


@dataclass(frozen=True)
class Median:
    """The median of an odd number of values."""

    values: tuple[int, ...]

    def solve(self, bugs: Bugs) -> Working:
        """Sort and take the middle."""
        middle = len(self.values) // 2
        if Bug.MEDIAN_UNSORTED in bugs:
            listed, opening = self.values, "The values are"
        else:
            listed, opening = tuple(sorted(self.values)), "In order the values are"
        steps = (
            f"{opening} {', '.join(map(str, listed))}.",
            f"The middle one of {len(listed)} is number {middle + 1}: {listed[middle]}.",
        )
        return Working(steps, str(listed[middle]))


def _rectangle(rng: random.Random) -> tuple[int, int]:
    width = rng.randrange(7, 60)
    return width + rng.randrange(2, 40), width


def _area(rng: random.Random) -> tuple[str, Area]:
    length, width = _rectangle(rng)
    person = rng.choice(PEOPLE)
    text = pick(
        rng,
        f"A rectangular carpet is {length} feet long and {width} feet wide. What is its area in "
        "square feet?",
        f"How many square metres of turf cover a rectangular lawn of {length} m by {width} m?",
        f"{person} paints a wall that measures {length} feet by {width} feet. How many square feet "
        "are painted?",
    )
    return text, Area(length, width)


def _perimeter(rng: random.Random) -> tuple[str, Perimeter]:
    length, width = _rectangle(rng)
    person, town = rng.choice(PEOPLE), rng.choice(TOWNS)
    text = pick(
        rng,
        f"A rectangular garden is {length} metres long and {width} metres wide. How many metres of "
        "fence are needed to go all the way round?",
        f"{person} walks once around the edge of a rectangular park of {length} m by {width} m. "
        "How many metres does the walk have?",
        f"What is the perimeter, in metres, of a rectangle with sides of {length} m and {width} m?",
        f"A farmer near {town} puts a fence around a rectangular meadow, {length} metres by "
        f"{width} metres. How long is the fence, in metres?",
        f"The rectangular pool measures {length} m by {width} m. What is its perimeter in metres?",
    )
    return text, Perimeter(length, width)


def _mean(rng: random.Random) -> tuple[str, Mean]:
    count = rng.choice((5, 6, 8, 28, 30, 32, 35))
    values = [rng.randrange(40, 100) for _ in range(count - 1)]
    values.append(rng.randrange(40, 100))
    values[-1] -= sum(values) % count
    listed = join_words([str(value) for value in values])
    person = rng.choice(PEOPLE)
    text = pick(
        rng,
        f"{person}'s test scores are {listed}. What is the mean score?",
        f"The average of the marks {listed} is wanted. Calculate it.",
        f"A class got these scores in the test: {listed}. What is the average score of the class?",
        f"A teacher wrote down the exam marks {listed}. Find their arithmetic mean.",
    )
    return text, Mean(tuple(values))


def _median(rng: random.Random) -> tuple[str, Median]:
    values = rng.sample(range(3, 98), rng.choice((5, 7, 7, 9)))
    listed = join_words([str(value) for value in values])
    person = rng.choice(PEOPLE)
    text = pick(
        rng,
        f"What is the median of the numbers {listed}?",
        f"A biologist measures the lengths of leaves in millimetres: {listed}. What is the median "
        "length?",
        f"The ages of the guests at {person}'s party are {listed}. What is the median age?",
        f"Over some days, a weather station counted {listed} lightning strikes. Find the median.",
        f"{person} notes the waiting times in minutes: {listed}. Determine the median waiting "
        "time.",
    )
    return text, Median(tuple(values))


KINDS = (
    Kind("area", "geometry", "demo_numbers", 25, _area),
    Kind("perimeter", "geometry", "demo_numbers", 45, _perimeter),
    Kind("mean", "statistics", "demo_numbers", 40, _mean),
    Kind("median", "statistics", "demo_numbers", 45, _median),
)
