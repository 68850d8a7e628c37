"""Style of responses: length and markup, which judges like for their own sake.

As covariates of a rating (`fit_ratings`) they say what they are worth, and ratings are then those
of models that write in the same style. As in FastChat's style control, counts of A and B become
``(a - b) / (a + b + 1)``, scaled to a standard deviation of 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import re2

FEATURES = ("length", "lists", "headers", "bold")

_CODE = re2.compile(r"(?s)```.*?(?:```|\z)")
_WORD = re2.compile(r"\S+")
_LIST_ITEM = re2.compile(r"(?m)^[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]+\S")
_HEADER = re2.compile(r"(?m)^ {0,3}#{1,6}[ \t]+\S")
_BOLD = re2.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")


def style_counts(response: str) -> tuple[int, int, int, int]:
    """Count a response's words, items of lists, headers and passages in bold, in that order.

    Words are those between white space. Markup inside blocks of code is none.
    """
    plain = _CODE.sub("", response)
    return (
        _count(_WORD, response),
        _count(_LIST_ITEM, plain),
        _count(_HEADER, plain),
        _count(_BOLD, plain),
    )


def style_differences(
    responses_a: Sequence[str], responses_b: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Return how much more of each of `FEATURES` response A has than response B.

    Returns
    -------
    float64 array, shape (n, 4)
        With a standard deviation of 1 in each column; 0 where no two responses differ. The mean is
        not taken off, so that equal responses have 0 and A and B are treated alike.

    Raises
    ------
    ValueError
        If there are not as many responses of A as of B.
    """
    if len(responses_a) != len(responses_b):
        raise ValueError(f"{len(responses_a)} responses of A and {len(responses_b)} of B")
    counts_of = {text: style_counts(text) for text in {*responses_a, *responses_b}}
    shape = len(responses_a), len(FEATURES)
    first, second = (
        np.array([counts_of[text] for text in texts], dtype=np.float64).reshape(shape)
        for texts in (responses_a, responses_b)
    )
    differences = (first - second) / (first + second + 1)
    spread = differences.std(axis=0) if len(differences) else np.ones(len(FEATURES))
    return np.divide(differences, spread, out=np.zeros(shape), where=spread > 0)


def _count(pattern: re2._Regexp, text: str) -> int:
    return sum(1 for _ in pattern.finditer(text))
