"""Third parties' text on one line, made fit for terminals, pictures, pages and files.

A model's name, a question or a response may hold terminal escapes, marks that reverse the reading
direction, or characters without a shape, in which whole texts have been hidden. All places that
show such text use these functions; what a place needs beside them, such as escaping for HTML or
Markdown, stays with it. Prompts need more (`language.third_party_text`).
"""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_WITHOUT_SHAPE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks without a shape; control and formatting characters are known by category."""


def visible_line(text: str) -> str:
    """Return a text on one line, without the characters that show nothing.

    White space of any kind becomes a single space, and none is left at the ends. Control,
    formatting, private and unassigned characters, lone surrogates and characters without a shape,
    such as variation selectors, are dropped.

    Examples
    --------
    >>> visible_line("a \\x1b[2J name\\u202e\\ufe0f,\\n in two lines ")
    'a [2J name, in two lines'
    """
    return _SPACES.sub(" ", "".join(map(_visible, text))).strip()


def shortened_line(text: str, longest: int | None = None) -> str:
    """Return a text on one line as `visible_line` does, cut where it is too long.

    Parameters
    ----------
    text : str
    longest : int, optional
        Maximum number of characters, at least 1; a text that is cut ends in "…".

    Examples
    --------
    >>> shortened_line("the quick brown fox", 10)
    'the quick…'
    """
    line = visible_line(text)
    if longest is None or len(line) <= longest:
        return line
    return line[: longest - 1].rstrip() + "…"


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if _WITHOUT_SHAPE.match(character) or unicodedata.category(character).startswith("C"):
        return ""
    return character
