"""Conversions between metric and customary units; answers are whole numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

from errclust_pipeline.demo.bugs import Bug, Bugs
from errclust_pipeline.demo.question import Kind, Working
from errclust_pipeline.demo.wording import PEOPLE, TOWNS, nearest, pick

KILOMETRES_IN_MILE = Fraction("1.609344")
KILOGRAMS_IN_POUND = Fraction("0.45359237")
LITRES_IN_GALLON = Fraction("3.785411784")
ROUNDING = "Round to the nearest whole number."


@dataclass(frozen=True)
class Conversion:
    """A quantity in one unit, converted to the other.

    `size` is the number of small units in a large unit. `misbelief` is the bug that belongs to this
    pair of units, and the size that it assumes.
    """

    quantity: int
    large_unit: str
    small_unit: str
    size: Fraction
    to_small: bool
    misbelief: tuple[Bug, Fraction] | None = None

    def solve(self, bugs: Bugs) -> Working:
        """Multiply or divide by the unit's size."""
        size = self.size
        if self.misbelief is not None and self.misbelief[0] in bugs:
            size = self.misbelief[1]
        value = self.quantity * size if self.to_small else self.quantity / size
        sign = "×" if self.to_small else "÷"
        steps = (
            f"One {self.large_unit} is {float(size):.5g} {self.small_unit}.",
            f"{self.quantity} {sign} {float(size):.5g} = {float(value):.2f}.",
            f"Rounded, that is {nearest(value)}.",
        )
        return Working(steps, str(nearest(value)))


@dataclass(frozen=True)
class Temperature:
    """Degrees on one scale, converted to the other."""

    degrees: int
    to_fahrenheit: bool

    def solve(self, bugs: Bugs) -> Working:
        """Scale and shift, or shift and scale."""
        if self.to_fahrenheit:
            if Bug.TEMPERATURE_ORDER in bugs:
                middle = Fraction(self.degrees + 32)
                value = middle * 9 / 5
                first, second = f"{self.degrees} + 32", f"{amount_of(middle)} × 9/5"
            else:
                middle = self.degrees * Fraction(9, 5)
                value = middle + 32
                first, second = f"{self.degrees} × 9/5", f"{amount_of(middle)} + 32"
        elif Bug.TEMPERATURE_ORDER in bugs:
            middle = self.degrees * Fraction(5, 9)
            value = middle - 32
            first, second = f"{self.degrees} × 5/9", f"{amount_of(middle)} - 32"
        else:
            middle = Fraction(self.degrees - 32)
            value = middle * 5 / 9
            first, second = f"{self.degrees} - 32", f"{amount_of(middle)} × 5/9"
        steps = (
            f"First, {first} = {amount_of(middle)}.",
            f"Then, {second} = {amount_of(value)}.",
            f"Rounded, that is {nearest(value)}.",
        )
        return Working(steps, str(nearest(value)))


def amount_of(value: Fraction) -> str:
    """Return a value as text, with at most one decimal."""
    return f"{float(value):.1f}".removesuffix(".0")


def _length(rng: random.Random) -> tuple[str, Conversion]:
    quantity, to_kilometres = rng.randrange(14, 900), rng.random() < 0.6
    town, other = rng.sample(TOWNS, 2)
    person = rng.choice(PEOPLE)
    source, wanted = ("miles", "kilometres") if to_kilometres else ("kilometres", "miles")
    text = pick(
        rng,
        f"The road from {town} to {other} is {quantity} {source} long. How many {wanted} is that? "
        f"{ROUNDING}",
        f"{person} drives {quantity} {source} in a week. Convert this distance to {wanted}. "
        f"{ROUNDING}",
        f"A ship sails {quantity} {source} along the coast. Express the distance in {wanted}. "
        f"{ROUNDING}",
        f"How many {wanted} are {quantity} {source}? {ROUNDING}",
        f"A cyclist's odometer shows {quantity} {source}. What would it show in {wanted}? "
        f"{ROUNDING}",
        f"{person} walked a long-distance trail of {quantity} {source}. How long is the trail in "
        f"{wanted}? {ROUNDING}",
    )
    misbelief = (Bug.SHORT_MILE, Fraction("1.5"))
    return text, Conversion(
        quantity, "mile", "kilometres", KILOMETRES_IN_MILE, to_kilometres, misbelief
    )


def _mass(rng: random.Random) -> tuple[str, Conversion]:
    quantity, to_kilograms = rng.randrange(24, 480), rng.random() < 0.6
    person = rng.choice(PEOPLE)
    source, wanted = ("pounds", "kilograms") if to_kilograms else ("kilograms", "pounds")
    animal = pick(rng, "calf", "pony", "seal", "pig", "wolf", "bear cub")
    text = pick(
        rng,
        f"A {animal} weighs {quantity} {source}. What is its weight in {wanted}? {ROUNDING}",
        f"{person} lifts a barbell of {quantity} {source} at the gym. How heavy is it in "
        f"{wanted}? {ROUNDING}",
        f"A parcel has a mass of {quantity} {source}. Convert its weight to {wanted}. {ROUNDING}",
        f"Convert a weight of {quantity} {source} to {wanted}. {ROUNDING}",
        f"A wrestler weighs in at {quantity} {source}. How much is that in {wanted}? {ROUNDING}",
        f"The sack of potatoes weighs {quantity} {source}. State its weight in {wanted}. "
        f"{ROUNDING}",
    )
    misbelief = (Bug.ROUND_POUND, Fraction("0.5"))
    return text, Conversion(
        quantity, "pound", "kilograms", KILOGRAMS_IN_POUND, to_kilograms, misbelief
    )


def _temperature(rng: random.Random) -> tuple[str, Temperature]:
    to_fahrenheit = rng.random() < 0.55
    degrees = rng.randrange(-30, 240) if to_fahrenheit else rng.randrange(-20, 460)
    town = rng.choice(TOWNS)
    source, wanted = ("Celsius", "Fahrenheit") if to_fahrenheit else ("Fahrenheit", "Celsius")
    text = pick(
        rng,
        f"The thermometer in {town} reads {degrees} degrees {source}. What is the temperature in "
        f"degrees {wanted}? {ROUNDING}",
        f"Convert {degrees} °{source[0]} to °{wanted[0]}. {ROUNDING}",
        f"A recipe says to heat the oven to {degrees} degrees {source}. Which temperature is that "
        f"in {wanted}? {ROUNDING}",
        f"A laboratory sample is kept at {degrees} degrees {source}. Give the temperature in "
        f"degrees {wanted}. {ROUNDING}",
        f"The weather report from {town} speaks of {degrees} °{source[0]}. How many degrees "
        f"{wanted} is this? {ROUNDING}",
    )
    return text, Temperature(degrees, to_fahrenheit)


def _volume(rng: random.Random) -> tuple[str, Conversion]:
    quantity, to_litres = rng.randrange(6, 420), rng.random() < 0.6
    person = rng.choice(PEOPLE)
    source, wanted = ("US gallons", "litres") if to_litres else ("litres", "US gallons")
    text = pick(
        rng,
        f"An aquarium holds {quantity} {source} of water. How many {wanted} is that? {ROUNDING}",
        f"{person} fills the car's fuel tank with {quantity} {source} of petrol over a month. "
        f"Convert this volume to {wanted}. {ROUNDING}",
        f"A rain barrel collects {quantity} {source}. What is this volume in {wanted}? {ROUNDING}",
        f"Express {quantity} {source} of milk in {wanted}. {ROUNDING}",
        f"The paint shop orders {quantity} {source} of white paint. How many {wanted} is this? "
        f"{ROUNDING}",
        f"A bathtub takes {quantity} {source} of water when full. State the volume in {wanted}. "
        f"{ROUNDING}",
    )
    return text, Conversion(quantity, "US gallon", "litres", LITRES_IN_GALLON, to_litres)


KINDS = (
    Kind("length", "units", "demo_numbers", 45, _length),
    Kind("mass", "units", "demo_numbers", 40, _mass),
    Kind("temperature", "units", "demo_numbers", 45, _temperature),
    Kind("volume", "units", "demo_numbers", 40, _volume),
)
