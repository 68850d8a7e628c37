"""What a language model client needs to know: the endpoint, its limits and the budget."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class LanguageModelOptions:
    """Options of a language model behind an OpenAI-compatible endpoint.

    The key stands in an environment variable, never in a file or in this object.

    Attributes
    ----------
    model : str
        The model's name, as the endpoint knows it.
    base_url : str, optional
        The endpoint's URL, such as ``http://127.0.0.1:8080/v1``; None for OpenAI's own.
    key_variable : str
        The environment variable that holds the key.
    calls_at_once : int
        Maximum number of concurrent calls.
    tries : int
        Maximum number of attempts at a call when the endpoint is busy, broken or too slow.
    seconds_to_answer : float
        Seconds after which an attempt counts as failed.
    prompt_tokens : int
        Approximate maximum length of a prompt; texts are cut to fit.
    price_of_prompt, price_of_answer : float, optional
        Price of a million tokens.
    most_calls, most_tokens, most_cost : int, int, float, optional
        Budget of one run of one asset; None for no limit.
    """

    model: str
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    calls_at_once: int = 4
    tries: int = 5
    seconds_to_answer: float = 120.0
    prompt_tokens: int = 4000
    price_of_prompt: float | None = None
    price_of_answer: float | None = None
    most_calls: int | None = None
    most_tokens: int | None = None
    most_cost: float | None = None

    @property
    def address(self) -> str:
        """The endpoint's name in messages."""
        return self.base_url or "OpenAI's endpoint"

    def key(self) -> str | None:
        """Return the key from the environment; None if it is not set."""
        return os.environ.get(self.key_variable, "").strip() or None

    def cost(self, prompt_tokens: int, answer_tokens: int) -> float | None:
        """Return the cost of tokens; None if the prices are not set."""
        if self.price_of_prompt is None or self.price_of_answer is None:
            return None
        return (
            prompt_tokens * self.price_of_prompt + answer_tokens * self.price_of_answer
        ) / 1_000_000
