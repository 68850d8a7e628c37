"""Whether a training example is a question of the benchmark: such a one must not be trained on."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import cosine_neighbours_among

NGRAM_WORDS = 13
"""As in Brown et al. (2020), appendix C."""
DEFAULT_SIMILARITY = 0.95

_MOST_QUESTIONS_OF_AN_NGRAM = 10
_CANDIDATES = 5
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Contamination(StrEnum):
    """Why a training example is refused."""

    SAME_TEXT = "same text"
    SHARED_WORDS = f"{NGRAM_WORDS} words in a row"
    NEARLY_EQUAL = "nearly equal"


def words_of(text: str) -> tuple[str, ...]:
    """Return a text's words as they are compared: without case, accents of form, punctuation."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def contaminated(
    texts: Sequence[str],
    questions: Sequence[str],
    embeddings: npt.ArrayLike,
    question_embeddings: npt.ArrayLike,
    similarity: float = DEFAULT_SIMILARITY,
) -> list[Contamination | None]:
    """Find the training examples that equal or nearly equal a question of the benchmark.

    An example is refused if its words are those of a question; if it shares 13 words in a row with
    one, unless more than 10 questions hold the same 13 (they are a template's); or if its embedding
    reaches the similarity to one *and* it holds the same numbers: a sum with other numbers is
    another sum.

    Parameters
    ----------
    texts : sequence of str, length v
        What the examples ask.
    questions : sequence of str, length n
        All of the benchmark's, of the development and the held-out half alike.
    embeddings : array, shape (v, dimensions)
    question_embeddings : array, shape (n, dimensions)
    similarity : float
        Cosine similarity.

    Returns
    -------
    list of Contamination or None, length v
        The first reason that applies.

    Raises
    ------
    ValueError
        If texts and embeddings are not as many.
    """
    if len(texts) != len(np.asarray(embeddings)):
        raise ValueError(f"{len(texts)} texts but {len(np.asarray(embeddings))} embeddings")
    if len(questions) != len(np.asarray(question_embeddings)):
        raise ValueError(
            f"{len(questions)} questions but {len(np.asarray(question_embeddings))} embeddings"
        )
    found: list[Contamination | None] = [None] * len(texts)
    if not texts or not questions:
        return found
    asked = [words_of(question) for question in questions]
    whole = set(asked)
    held: Counter[tuple[str, ...]] = Counter()
    for words in asked:
        held.update(set(_ngrams(words)))
    telling = {ngram for ngram, count in held.items() if count <= _MOST_QUESTIONS_OF_AN_NGRAM}
    close, how_close = cosine_neighbours_among(embeddings, question_embeddings, _CANDIDATES)
    for row, text in enumerate(texts):
        words = words_of(text)
        if words in whole:
            found[row] = Contamination.SAME_TEXT
        elif any(ngram in telling for ngram in _ngrams(words)):
            found[row] = Contamination.SHARED_WORDS
        else:
            numbers = sorted(_NUMBER.findall(text))
            if any(
                sorted(_NUMBER.findall(questions[other])) == numbers
                for other in close[row][how_close[row] >= similarity].tolist()
            ):
                found[row] = Contamination.NEARLY_EQUAL
    return found


def _ngrams(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for start in range(len(words) - NGRAM_WORDS + 1):
        yield tuple(words[start : start + NGRAM_WORDS])
