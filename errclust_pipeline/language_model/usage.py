"""What asking a language model takes: estimates before, counts after, and the budget between."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from errclust_pipeline.analysis.language import CHARACTERS_A_TOKEN
from errclust_pipeline.language_model.options import LanguageModelOptions

Messages = Sequence[dict[str, str]]
"""Chat messages: each has a ``role`` and a ``content``."""
_TOKENS_AROUND_A_TEXT = 8
"""Tokens that mark the beginning and end of a message, and its role."""


@dataclass
class Usage:
    """What asking took.

    ``estimated`` counts the calls whose tokens the endpoint did not report. They are estimated, on
    the high side, so that a budget holds nevertheless.
    """

    prompts: int = 0
    calls: int = 0
    from_store: int = 0
    repaired: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    estimated: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    longest_seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def to_metadata(self) -> dict[str, Any]:
        """Return the counts as metadata of a materialization."""
        values = {
            f"language_model/{name}": value for name, value in dataclasses.asdict(self).items()
        }
        return values | {"language_model/failures": dict(self.failures)}


@dataclass(frozen=True)
class Quote:
    """What asking would take at most, before anything is asked."""

    prompts: int
    from_store: int
    prompt_tokens: int
    answer_tokens: int
    cost: float | None

    def __str__(self) -> str:
        """Return the quote as a sentence."""
        new = self.prompts - self.from_store
        tokens = f"{self.prompt_tokens:,} + {self.answer_tokens:,} tokens at most"
        cost = "" if self.cost is None else f", {self.cost:.2f} at most"
        return f"{new:,} calls, {tokens}{cost}; {self.from_store:,} answers are stored already"


class Budget:
    """The limits of one client, against what it has used and what its open calls may still use.

    Parameters
    ----------
    options : LanguageModelOptions
        With the limits and prices.
    usage : Usage
        What has been used; the caller updates it.
    """

    def __init__(self, options: LanguageModelOptions, usage: Usage) -> None:
        self._options = options
        self._usage = usage
        self._reserved_tokens = 0

    @contextmanager
    def reserved(self, tokens: int) -> Iterator[None]:
        """Reserve tokens while a call is open that may use so many."""
        self._reserved_tokens += tokens
        try:
            yield
        finally:
            self._reserved_tokens -= tokens

    def exceeded_by(self, tokens: int) -> str | None:
        """Name the limit that a call of so many tokens would exceed; return None if there is none.

        Parameters
        ----------
        tokens : int
            Maximum number of tokens of the call, prompt and answer together.
        """
        options, usage = self._options, self._usage
        spent = usage.prompt_tokens + usage.answer_tokens + self._reserved_tokens
        if options.most_calls is not None and usage.calls >= options.most_calls:
            return f"the budget of {options.most_calls:,} calls is spent"
        if options.most_tokens is not None and spent + tokens > options.most_tokens:
            return f"the budget of {options.most_tokens:,} tokens is spent"
        if options.most_cost is not None:
            # The split into prompt and answer is not known yet: the higher price is assumed.
            price = max(options.price_of_prompt or 0, options.price_of_answer or 0) / 1e6
            still_open = (self._reserved_tokens + tokens) * price
            if usage.cost + still_open > options.most_cost:
                return f"the budget of {options.most_cost:,} in money is spent"
        return None


def tokens_of_text(text: str) -> int:
    """Estimate the number of tokens of a message's text, on the high side."""
    return len(text) // CHARACTERS_A_TOKEN + _TOKENS_AROUND_A_TEXT


def tokens_of_messages(messages: Messages) -> int:
    """Estimate the number of tokens of messages, on the high side."""
    return sum(tokens_of_text(message["content"]) for message in messages)
