"""The question families: each module has problems that solve themselves and writes questions."""

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


def write_questions(benchmark: str, seed: int = 0) -> list[Question]:
    """Write the questions of a benchmark, no two alike, in shuffled order."""
    questions: dict[str, Question] = {}
    for kind in KINDS:
        if kind.benchmark != benchmark:
            continue
        choose = random_stream(seed, "questions", kind.name)
        wanted = len(questions) + kind.count
        while len(questions) < wanted:
            text, problem = kind.write(choose)
            if text not in questions:
                questions[text] = Question(benchmark, kind.family, kind.name, text, problem)
    shuffled = list(questions.values())
    random_stream(seed, "order", benchmark).shuffle(shuffled)
    return shuffled
