"""A question: its wording, and a problem that can solve itself with given bugs."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from errclust_pipeline.demo.bugs import NO_BUGS, Bugs


@dataclass(frozen=True)
class Working:
    """The written steps towards an answer, and the answer.

    A random slip picks one of the `alternatives`, which are answers of the same sort, such as the
    other people in a puzzle. Without alternatives, the slip changes the answer itself.
    """

    steps: tuple[str, ...]
    answer: str
    alternatives: tuple[str, ...] = ()


class Problem(Protocol):
    """A question's structured content."""

    def solve(self, bugs: Bugs) -> Working:
        """Solve the problem step by step; without bugs the answer is right."""
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
    """A kind of question: its name, how many there are, and the function that writes one."""

    name: str
    family: str
    benchmark: str
    count: int
    write: Callable[[random.Random], tuple[str, Problem]]


def random_stream(*parts: object) -> random.Random:
    """Return a generator of random numbers that depends only on the parts."""
    return random.Random("/".join(str(part) for part in parts))  # noqa: S311
