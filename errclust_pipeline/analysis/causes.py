"""Why responses may be wrong, as far as a language model can suspect."""

from __future__ import annotations

from typing import Literal, get_args

Cause = Literal[
    "knowledge",
    "reasoning_step",
    "calculation",
    "reading_the_question",
    "following_the_format",
    "refusal",
    "truncated_output",
    "benchmark_fault",
    "other",
]
CAUSES: tuple[str, ...] = get_args(Cause)

CAUSES_EXPLAINED = (
    "knowledge: a fact is missing. reasoning_step: a step does not follow. calculation: "
    "arithmetic. reading_the_question: something in it was overlooked. following_the_format, "
    "refusal, truncated_output: as they say. benchmark_fault: the right answer given looks wrong. "
    "Else other."
)
"""For the model that is asked."""
