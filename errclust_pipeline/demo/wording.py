"""Names, words and small functions for writing, shared by the question families."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from math import floor

PEOPLE = (
    "Amara", "Bennett", "Clara", "Dmitri", "Elena", "Farid", "Greta", "Hiro", "Imani", "Jonas",
    "Keiko", "Leon", "Mariam", "Nadia", "Oscar", "Priya", "Quentin", "Rosa", "Samir", "Tessa",
    "Ulrich", "Vera", "Wanda", "Xavier", "Yusuf", "Zofia", "Anton", "Bianca", "Cedric", "Daria",
)  # fmt: skip

TOWNS = (
    "Ashford", "Brindle", "Carrow", "Denby", "Eastmere", "Fallowfield", "Granton", "Highbridge",
    "Ivystone", "Kelso", "Larkhill", "Millbrook", "Norwood", "Oakham", "Penrith", "Ravenglass",
    "Stonehaven", "Thornbury", "Upton", "Westerly",
)  # fmt: skip

WORDS = (
    "accommodate", "address", "allowance", "apple", "assess", "balloon", "banana", "basket",
    "bottle", "butter", "button", "cabbage", "candle", "carriage", "challenge", "cherry",
    "chimney", "coffee", "committee", "copper", "cottage", "dessert", "diamond", "elephant",
    "engine", "feather", "forest", "garden", "giraffe", "glasses", "goddess", "hammer",
    "happiness", "holiday", "illness", "insect", "jelly", "kettle", "kitten", "ladder", "lantern",
    "lettuce", "letter", "library", "message", "mirror", "missile", "mountain", "mushroom",
    "needle", "notebook", "occurrence", "orchard", "pepper", "pillow", "planet", "possession",
    "pottery", "puddle", "puppet", "rabbit", "railroad", "raccoon", "ribbon", "saddle", "scissors",
    "sheriff", "silver", "spaghetti", "squirrel", "strawberry", "success", "summer", "swallow",
    "terrace", "tobacco", "tomorrow", "tunnel", "umbrella", "vaccine", "valley", "village",
    "violin", "volleyball", "wallet", "window", "yellow", "zeppelin",
)  # fmt: skip


def pick(rng: random.Random, *options: str) -> str:
    """Return a random wording."""
    return rng.choice(options)


def people(rng: random.Random, count: int) -> list[str]:
    """Return a random choice of different people."""
    return rng.sample(PEOPLE, count)


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Return words as a list in a sentence: one, two and three."""
    if len(words) == 1:
        return words[0]
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def ordinal(number: int) -> str:
    """Return a position up to six as a word, such as "third"."""
    return ("first", "second", "third", "fourth", "fifth", "sixth")[number - 1]


def nearest(value: Fraction) -> int:
    """Return the nearest whole number, rounding halves up."""
    return floor(value + Fraction(1, 2))


def amount(value: Fraction | int) -> str:
    """Return a number as text: without decimals if it is whole, else with two."""
    if value == int(value):
        return str(int(value))
    cents = nearest(Fraction(value) * 100)
    return f"{cents // 100}.{cents % 100:02d}"
