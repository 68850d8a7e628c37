"""The part of a prompt that is the item's own, without instructions and worked examples.

A file often states only whole prompts. What all its prompts share at the start and at the end (an
instruction, the same worked examples, a cue such as ``Answer:``) tells no two items apart and is
left out, as are complete worked examples before the item. So an item has the same text, and the
same identity, whatever number of examples its prompt shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_FEWEST_PROMPTS = 4
"""Minimum number of distinct prompts whose shared start and end say something."""

_LONGEST_SHARED = 200_000
_MARKER = re.compile(r"\s*(?:#+ *)?([^\W\d_][^\n:]{0,30}:)")
"""The word at the start of an example, up to its colon, e.g. ``Question:``."""


@dataclass
class SharedText:
    """Finds what all prompts of a file share, one prompt at a time."""

    _first: str | None = None
    _start: str = ""
    _end: str = ""
    _distinct: set[int] = field(default_factory=set)

    def add(self, prompt: str) -> None:
        """Take note of a prompt."""
        if len(self._distinct) < _FEWEST_PROMPTS:
            self._distinct.add(hash(prompt))
        if self._first is None:
            self._first = prompt
            self._start = prompt[:_LONGEST_SHARED]
            self._end = prompt[-_LONGEST_SHARED:]
            return
        if not prompt.startswith(self._start):
            self._start = common_start((self._start, prompt))
        if not prompt.endswith(self._end):
            end = prompt[-len(self._end) :]
            self._end = common_start((self._end[::-1], end[::-1]))[::-1]

    def to_options(self) -> dict[str, str]:
        """Return the shared start and end, cut where a paragraph begins and where a line ends.

        Empty if there are too few prompts to say so.
        """
        if len(self._distinct) < _FEWEST_PROMPTS:
            return {}
        start = self._start[: self._start.rfind("\n\n") + 2] if "\n\n" in self._start else ""
        end = self._end[self._end.find("\n") :] if "\n" in self._end else ""
        # Options that all items share, such as yes and no, are part of the item.
        last_line = end.rfind("\n", 0, len(end.rstrip()))
        end = end[last_line:] if last_line >= 0 and end.strip() else ""
        return {name: text for name, text in (("start", start), ("end", end)) if text}


@dataclass(frozen=True)
class ItemText:
    """Takes the item's own text out of a prompt.

    Attributes
    ----------
    start, end : str
        What all prompts of the file share.
    """

    start: str = ""
    end: str = ""

    @classmethod
    def of_options(cls, options: Mapping[str, Any] | None) -> ItemText:
        """Restore what `SharedText.to_options` returned."""
        return cls(**options) if options else cls()

    def of(self, prompt: str) -> str:
        """Return the item's text; the prompt itself if nothing would be left of it."""
        text = prompt
        if self.start and text.startswith(self.start):
            text = text[len(self.start) :]
        cue = self.end.strip()
        if cue and text.endswith(self.end):
            text = _without_examples(text[: -len(self.end)], cue)
        return text.strip() or prompt


def common_start(texts: Sequence[str]) -> str:
    """Return the characters that all texts, of which there is one at least, begin with."""
    # What the first and the last in order share, all between them share too.
    first, last = min(texts), max(texts)
    low, high = 0, min(len(first), len(last))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == last[low:middle]:
            low = middle
        else:
            high = middle - 1
    return first[:low]


def _without_examples(text: str, cue: str) -> str:
    """Cut off complete worked examples before the item.

    An example begins with the same word as the item (``Question:``) and holds the cue (``Answer:``)
    at the start of a line, with an answer after it.
    """
    first = _MARKER.match(text)
    if first is None:
        return text
    cue_at = text.rfind(f"\n{cue}")
    while cue_at >= 0:
        answer_at = cue_at + 1 + len(cue)
        end = text.find("\n\n", answer_at)
        if end < 0:
            end = text.find("\n", answer_at)
        item = text[end:].strip() if end >= 0 else ""
        marker = _MARKER.match(item)
        # An item may hold the cue itself, e.g. a dialogue: what follows begins in another way.
        if marker is not None and marker[1] == first[1] and text[answer_at:end].strip():
            return item
        cue_at = text.rfind(f"\n{cue}", 0, cue_at)
    return text
