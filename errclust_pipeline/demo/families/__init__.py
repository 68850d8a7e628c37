"""The question families: each module writes questions about problems that solve themselves."""

from __future__ import annotations

from errclust_pipeline.demo.families import (
    arithmetic,
    clock,
    dates,
    everyday,
    letters,
    logic,
    measures,
    money,
    reading,
    units,
)
from errclust_pipeline.demo.question import Kind, Question, random_stream

KINDS: tuple[Kind, ...] = (
    *arithmetic.KINDS,
    *units.KINDS,
    *dates.KINDS,
    *clock.KINDS,
    *money.KINDS,
    *measures.KINDS,
    *logic.KINDS,
    *letters.KINDS,
    *reading.KINDS,
    *everyday.KINDS,
)
BENCHMARKS = ("demo_numbers", "demo_language")


def write_questions(benchmark: str, random_state: int = 0) -> list[Question]:
    """Return the questions of a benchmark, without repeats, in random order."""
    questions: dict[str, Question] = {}
    for kind in KINDS:
        if kind.benchmark != benchmark:
            continue
        rng = random_stream(random_state, "questions", kind.name)
        wanted = len(questions) + kind.count
        while len(questions) < wanted:
            text, problem = kind.write(rng)
            if text not in questions:
                questions[text] = Question(benchmark, kind.family, kind.name, text, problem)
    shuffled = list(questions.values())
    random_stream(random_state, "order", benchmark).shuffle(shuffled)
    return shuffled
