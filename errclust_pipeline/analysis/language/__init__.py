"""What is asked of a language model and what is made of its answers; no call is made here."""

from errclust_pipeline.analysis.language.prompt import (
    CHARACTERS_A_TOKEN,
    Ask,
    AskFailure,
    FailureKind,
    Prompt,
    bounded,
)
from errclust_pipeline.analysis.language.third_party_text import (
    excerpt,
    plain_sentence,
    plain_words,
)

__all__ = [
    "CHARACTERS_A_TOKEN",
    "Ask",
    "AskFailure",
    "FailureKind",
    "Prompt",
    "bounded",
    "excerpt",
    "plain_sentence",
    "plain_words",
]
