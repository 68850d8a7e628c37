"""Third parties' texts on their way into a prompt, and a model's words on their way out of it.

A benchmark's question, a model's response and what a language model wrote after reading them may
all hold orders, markup or terminal escapes. They enter a prompt as quoted data, cut to size and
without characters that end a chat turn; a model's answer is reduced to words.
"""

from __future__ import annotations

import re
import unicodedata

from errclust_pipeline.analysis.plain_text import visible_line

_TURN_MARK = re.compile(
    r"(?=<\|[^|<>]{0,40}\|>|</?(?:s|bos|eos|think|tool_call|tool_response)>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|THINK)\]|<</?SYS>>"
    r"|<(?:start|end)_of_turn>|<\uff5c[^<>]{0,40}\uff5c>)(.)",
    re.IGNORECASE,
)
"""The first character of a mark between the turns of a chat in current templates; some servers
honour them anywhere. Only the first character is consumed, since a mark may contain another."""
_CUT = " […] "
_ADDRESS = re.compile(
    r"://|www\.|\w@\w|\b(?:https?|javascript|vbscript|data|mailto):\S", re.IGNORECASE
)
_ALLOWED_IN_WORDS = frozenset(" -–'’&/,.;:()%+=²³°·?!\"")


def excerpt(text: str | None, characters: int) -> str:
    """Return a third party's text made fit to stand in a prompt.

    Characters that show nothing are dropped and white space is collapsed (`visible_line`), marks
    that end a chat turn are broken up, and of a long text the first two thirds and the last third
    of what fits are kept.

    Parameters
    ----------
    text : str, optional
        None gives the empty string.
    characters : int
        Maximum length of the result, at least 16.
    """
    if not text:
        return ""
    if len(text) > 4 * characters:
        # Enough to cut from once white space is collapsed: never all of a huge text.
        text = text[: 2 * characters] + _CUT + text[-2 * characters :]
    shown = _TURN_MARK.sub(r"\1 ", visible_line(text))
    if len(shown) <= characters:
        return shown
    kept = characters - len(_CUT)
    tail = kept // 3
    return shown[: kept - tail].rstrip() + _CUT + shown[len(shown) - tail :].lstrip()


def plain_words(text: str) -> str:
    """Return a model's words as one line of plain text.

    Raises
    ------
    ValueError
        If they hold markup, code, an address or anything else that a name or a sentence about
        errors does not need.
    """
    line = visible_line(text).strip("\"'` ")
    if _ADDRESS.search(line):
        raise ValueError("must hold no address")
    odd = sorted({character for character in line if not _is_allowed(character)})
    if odd:
        raise ValueError(f"must be plain words, without {' '.join(odd[:5])}")
    return line


def plain_sentence(text: str) -> str:
    """Return a model's sentence as one line of plain text, without whatever `plain_words` refuses.

    Raises
    ------
    ValueError
        If there is an address in it.
    """
    return plain_words("".join(c if _is_allowed(c) else " " for c in text))


def _is_allowed(character: str) -> bool:
    return character.isalnum() or _is_mark(character) or character in _ALLOWED_IN_WORDS


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
