"""What a question is: wording, and a problem that knows how to solve itself with given bugs."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from errclust_pipeline.demo.bugs import NO_BUGS, Bugs


@dataclass(frozen=True)
class Working:
    """The steps towards an answer, written out, and the answer.

    `alternatives` are answers of the same sort (the other people of a puzzle), out of which a
    random slip picks; without any, a slip is made from the answer itself.
    """

    steps: tuple[str, ...]
    answer: str
    alternatives: tuple[str, ...] = ()


class Problem(Protocol):
    """A question's structured content."""

    def solve(self, bugs: Bugs) -> Working:
        """Solve it step by step; with no bugs the answer is right."""
        ...


@dataclass(frozen=True)
class Question:
    """One question of a benchmark."""

    benchmark: str
    family: str
    kind: str
    text: str
    problem: Problem

    @cached_property
    def gold(self) -> str:
        """The right answer."""
        return self.problem.solve(NO_BUGS).answer


@dataclass(frozen=True)
class Kind:
    """A kind of question: how many there are in the benchmark and how one is written."""

    name: str
    family: str
    benchmark: str
    count: int
    write: Callable[[random.Random], tuple[str, Problem]]


def random_stream(*parts: object) -> random.Random:
    """Start a stream of random numbers that depends on nothing but the parts."""
    return random.Random("/".join(str(part) for part in parts))  # noqa: S311
