"""The simulated models: each solves a question step by step, with its own bugs, and writes it up.

A model's wrong answer is the one that its bug leads to. Where a bug does not change the answer, the
response is right. In addition each model slips at a small rate: its steps are right, and then it
writes down a wrong answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from errclust_pipeline.demo.bugs import BUG_DESCRIPTIONS, SLIP, Bug
from errclust_pipeline.demo.families.reading import TableCell, TableExtreme
from errclust_pipeline.demo.question import Question, Working, random_stream

LONGEST_WORKING = 500
"""Number of characters after which a model with `Bug.CUT_OFF` stops."""
LOOPED_LINES = 40


@dataclass(frozen=True)
class Style:
    """How a model words its responses."""

    openings: tuple[str, ...]
    closings: tuple[str, ...]
    """Texts that may stand between the steps and the sentence with the answer."""
    separator: str
    numbered: bool = False

    def working(self, steps: tuple[str, ...], rng: random.Random) -> str:
        """Write an opening and the steps."""
        if self.numbered:
            steps = tuple(f"{number}. {step}" for number, step in enumerate(steps, 1))
        opening = rng.choice(self.openings)
        return self.separator.join((opening, *steps) if opening else steps)


@dataclass(frozen=True)
class SimulatedModel:
    """A model: its name, description, bugs, rate of slips and style of writing."""

    name: str
    description: str
    bugs: tuple[Bug, ...]
    slip_rate: float
    style: Style


@dataclass(frozen=True)
class Response:
    """A model's text, and the cause of its wrong answer: a bug's name, "slip", or none."""

    text: str
    bug: str | None


MODELS: tuple[SimulatedModel, ...] = (
    SimulatedModel(
        "demo-org/wren-1b",
        "a small model, quick and careless",
        (
            Bug.CUT_OFF,
            Bug.CARRY_DROPPED,
            Bug.SHORT_MILE,
            Bug.THIRTY_DAY_MONTHS,
            Bug.HUNDRED_MINUTE_HOUR,
            Bug.NOT_IGNORED,
            Bug.PIECES_OF_THREE,
            Bug.ROW_BELOW,
        ),
        0.03,
        Style(("", "Let me see.", "Okay."), ("", "So:"), "\n"),
    ),
    SimulatedModel(
        "demo-org/heron-7b-chat",
        "a cautious chat model",
        (
            Bug.REFUSES_MEDICINE,
            Bug.REFUSES_HAZARDS,
            Bug.LINE_LOOP,
            Bug.BORROW_FORGOTTEN,
            Bug.TEMPERATURE_ORDER,
            Bug.LEAP_DAY_IGNORED,
            Bug.DISCOUNTS_ADDED,
            Bug.CAPITALS_FIRST,
        ),
        0.025,
        Style(
            ("Sure, let's work through this.", "Let's take it step by step.", "Happy to help!"),
            ("", "I hope this helps.", "Putting it together:"),
            " ",
        ),
    ),
    SimulatedModel(
        "quillworks/scribe-13b",
        "a model trained mostly on books",
        (
            Bug.EMPTY_RESPONSE,
            Bug.ROUND_POUND,
            Bug.PARTIAL_PRODUCT_UNSHIFTED,
            Bug.FENCE_POST,
            Bug.MENTION_ORDER,
            Bug.NOT_IGNORED,
            Bug.DOUBLES_COUNTED_ONCE,
            Bug.FORMAT_IGNORED,
        ),
        0.025,
        Style(("", "We reason as follows.", "Consider the question."), ("", "Therefore:"), " "),
    ),
    SimulatedModel(
        "northlight/compass-34b",
        "the largest of the four, with few faults",
        (
            Bug.REFUSES_MEDICINE,
            Bug.NO_FINAL_ANSWER,
            Bug.WRONG_BASE,
            Bug.NOON_IGNORED,
            Bug.AREA_FOR_PERIMETER,
            Bug.MEDIAN_UNSORTED,
            Bug.CONVERSE_ACCEPTED,
        ),
        0.02,
        Style(("", "Step by step:"), ("", "Result:"), "\n", numbered=True),
    ),
)


def respond(model: SimulatedModel, question: Question, random_state: int = 0) -> Response:
    """Return a model's response to a question; the same `random_state` gives the same response."""
    rng = random_stream(random_state, "response", model.name, question.benchmark, question.text)
    working = question.problem.solve(frozenset(model.bugs))
    for bug in model.bugs:
        if bug in _BEHAVIOURS and question.kind in BUG_DESCRIPTIONS[bug].kinds:
            text = _BEHAVIOURS[bug](model, question, working, rng)
            if text is not None:
                return Response(text, bug.value)
    slips = rng.random() < model.slip_rate
    answer, cause = working.answer, _cause(model, question, working.answer)
    if slips and cause is None:
        answer, cause = slip(working, rng), SLIP
    body = model.style.working(working.steps, rng)
    closing = rng.choice(model.style.closings)
    parts = (body, closing, f"The answer is {answer}.")
    return Response(model.style.separator.join(part for part in parts if part), cause)


def _cause(model: SimulatedModel, question: Question, answer: str) -> str | None:
    """Return the first bug that alone makes the answer wrong; None if the answer is right."""
    if answer == question.gold:
        return None
    for bug in model.bugs:
        if question.problem.solve(frozenset({bug})).answer != question.gold:
            return bug.value
    raise AssertionError(f"no single bug of {model.name} explains {answer!r}: {question.text!r}")


def slip(working: Working, rng: random.Random) -> str:
    """Return a wrong answer of the same sort as the right one."""
    if working.alternatives:
        return rng.choice(working.alternatives)
    answer = working.answer
    digits = [place for place, character in enumerate(answer) if character.isdigit()]
    if digits:
        place = rng.choice(digits[-2:])
        other = (int(answer[place]) + rng.choice((1, 2, 9))) % 10
        if place == digits[0] and other == 0:
            other = 5 if answer[place] != "5" else 6
        return f"{answer[:place]}{other}{answer[place + 1 :]}"
    places = [place for place in range(len(answer) - 1) if answer[place] != answer[place + 1]]
    place = rng.choice(places)
    return answer[:place] + answer[place + 1] + answer[place] + answer[place + 2 :]


# Each function below returns what a model with a faulty behaviour writes instead of an answer, or
# None if the behaviour does not show at this question.


def _cut_off(
    model: SimulatedModel, _question: Question, working: Working, rng: random.Random
) -> str | None:
    body = model.style.working(working.steps, rng)
    if len(body) <= LONGEST_WORKING:
        return None
    return body[:LONGEST_WORKING].rstrip(" .\n")


def _line_loop(
    _model: SimulatedModel, question: Question, _working: Working, rng: random.Random
) -> str | None:
    problem = question.problem
    if not isinstance(problem, TableCell | TableExtreme) or len(problem.table.rows) < 5:
        return None
    opening = rng.choice(("Let's read the table line by line.", "Here is the table again."))
    return "\n".join([opening, *[rng.choice(problem.table.lines()[1:])] * LOOPED_LINES])


def _refuse_medicine(
    _model: SimulatedModel, _question: Question, _working: Working, rng: random.Random
) -> str:
    return rng.choice(
        (
            "I'm sorry, but I can't help with questions about medication. Please ask a doctor or "
            "a pharmacist.",
            "I cannot give medical advice, and that includes doses. Please consult a healthcare "
            "professional.",
            "I'm not able to assist with dosing. For your safety, please speak to your doctor.",
        )
    )


def _refuse_hazards(
    _model: SimulatedModel, question: Question, _working: Working, rng: random.Random
) -> str:
    if question.kind == "chemicals":
        return rng.choice(
            (
                "I'm sorry, but I can't help with handling dangerous chemicals. Please follow the "
                "instructions of the manufacturer.",
                "I can't assist with this request, because mixing chemicals can be harmful.",
            )
        )
    return rng.choice(
        (
            "I'm sorry, but I can't assist with opening locks or guessing codes.",
            "I cannot help with this request, as it could be used to get past a security measure.",
        )
    )


def _empty_response(
    _model: SimulatedModel, question: Question, working: Working, _rng: random.Random
) -> str | None:
    return "" if question.kind == "anagram" and len(working.answer) >= 7 else None


def _no_final_answer(
    _model: SimulatedModel, _question: Question, _working: Working, rng: random.Random
) -> str:
    return rng.choice(
        (
            "A gallon is not the same everywhere: in Britain it is larger than in the United "
            "States, and there was a dry gallon too. The result varies accordingly.",
            "To convert a volume, one has to know how large a gallon is. Liquid measures have "
            "differed between countries and trades, so it depends on which convention is meant.",
            "Litres belong to the metric system and gallons do not. Converting between them is a "
            "matter of multiplying or dividing by a factor, defined in several ways.",
        )
    )


_Behaviour = Callable[[SimulatedModel, Question, Working, random.Random], str | None]
_BEHAVIOURS: Mapping[Bug, _Behaviour] = {
    Bug.CUT_OFF: _cut_off,
    Bug.LINE_LOOP: _line_loop,
    Bug.REFUSES_MEDICINE: _refuse_medicine,
    Bug.REFUSES_HAZARDS: _refuse_hazards,
    Bug.EMPTY_RESPONSE: _empty_response,
    Bug.NO_FINAL_ANSWER: _no_final_answer,
}


@dataclass(frozen=True)
class BugNote:
    """One bug in a model's documentation: what it does, and the kinds of question it affects."""

    bug: str
    does: str
    where: tuple[str, ...]


def describe_models() -> dict[str, list[BugNote]]:
    """Return the bugs of every model, in the order in which causes are looked for."""
    return {
        model.name: [
            BugNote(bug.value, BUG_DESCRIPTIONS[bug].does, BUG_DESCRIPTIONS[bug].kinds)
            for bug in model.bugs
        ]
        for model in MODELS
    }
