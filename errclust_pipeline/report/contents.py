"""What a report shows, as values that JSON can hold: numbers, and texts kept apart from them.

Numbers of all questions are in packed columns, because 12,000 questions of 8 models are a million
numbers. Texts are kept apart, so that a page can draw its pictures before it unpacks them. What is
read for a benchmark is in `benchmark`, for a battle set in `battles`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class ReportError(ValueError):
    """A report that cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class TextLengths:
    """Maximum numbers of characters that are kept of each text.

    Attributes
    ----------
    question, choice, answer : int
        Maximum lengths of a question, of each of its options, and of a correct or a given answer.
    tail : int
        Maximum length of the end of each wrong response.
    response : int
        Maximum length of the whole response of an exemplar.
    """

    question: int = 3000
    choice: int = 400
    answer: int = 300
    tail: int = 300
    response: int = 6000

    def shorter(self) -> TextLengths:
        """Return lengths of about one half, down to a minimum for each text."""
        return TextLengths(
            max(self.question // 2, 80),
            max(self.choice // 2, 20),
            max(self.answer // 2, 40),
            self.tail // 2 if self.tail > 40 else 0,
            max(self.response // 2, 400),
        )

    @property
    def are_shortest(self) -> bool:
        """Whether there is nothing left to shorten."""
        return self.shorter() == self


@dataclass(frozen=True)
class ReportContents:
    """All that a report shows.

    Attributes
    ----------
    numbers : dict
        What the pictures are drawn from, including the names of regions and clusters.
    texts : dict
        Questions, answers and responses in full.
    """

    numbers: dict[str, Any]
    texts: dict[str, Any]

    def texts_cut(self, lengths: TextLengths) -> dict[str, Any]:
        """Return the texts, each cut to its length; a text that is cut says how long it was."""
        return {
            "questions": [cut(text, lengths.question) for text in self.texts["questions"]],
            "gold": [cut(text, lengths.answer) for text in self.texts["gold"]],
            "choices": [
                None if options is None else [cut(option, lengths.choice) for option in options]
                for options in self.texts["choices"]
            ],
            "models": [
                {
                    "predictions": [cut(text, lengths.answer) for text in model["predictions"]],
                    "tails": [_end_of(text, lengths.tail) for text in model["tails"]],
                    "responses": {
                        row: cut(text, lengths.response) for row, text in model["responses"].items()
                    },
                }
                for model in self.texts["models"]
            ],
        }


def cut(text: str | None, longest: int) -> str | None:
    """Return the beginning of a text; one that is cut says how long it was."""
    if text is None or len(text) <= longest:
        return text
    return f"{text[:longest]} … ({len(text):,} characters in all)"


def _end_of(text: str | None, longest: int) -> str | None:
    if not text or longest == 0:
        return None
    return text if len(text) <= longest else f"… {text[-longest:]}"
