"""Small result files for tests: questions on a few topics, some answered wrongly."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

TOPICS = {
    "rivers": "Which river of the country flows past the old harbour town number {n} and its mill?",
    "metals": "What melting point does metal alloy sample {n} have in the furnace laboratory?",
    "chess": "In chess opening line {n}, which knight move defends the pawn against the bishop?",
    "baking": "How many grams of flour and yeast does bread recipe {n} need before the oven?",
}


def questions(per_topic: int, first: int = 0) -> list[tuple[str, str]]:
    """Pairs of topic and question."""
    return [
        (topic, template.format(n=number))
        for topic, template in TOPICS.items()
        for number in range(first, first + per_topic)
    ]


def write_table(
    path: Path,
    models: Iterable[str] = ("org/model-a",),
    benchmark: str = "trivia",
    per_topic: int = 15,
    first: int = 0,
    right_every: int = 3,
    weak_in: Mapping[str, str] | None = None,
) -> Path:
    """Write a CSV of results; every `right_every`-th answer of a model is right.

    A model that is weak in a topic is wrong there, and right wherever the others are not.
    """
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "example_id",
                "model",
                "input_text",
                "output_text",
                "score",
                "correct_answer",
                "dataset",
                "subject",
            ]
        )
        for model in models:
            for number, (topic, question) in enumerate(questions(per_topic, first)):
                right = number % right_every == 0
                weakness = (weak_in or {}).get(model)
                if weakness is not None:
                    right = topic != weakness and not right
                answer = f"answer {number}" if right else "something else"
                writer.writerow(
                    [
                        f"{first}-{number}",
                        model,
                        question,
                        f"I think it is {answer}.",
                        int(right),
                        f"answer {number}",
                        benchmark,
                        topic,
                    ]
                )
    return path
