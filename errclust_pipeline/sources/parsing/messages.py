"""Text of conversations: what was asked and what was answered, in lists of messages.

A message is an object with a role and a content, which is a text or a list of parts with a text
each, as most programming interfaces of language models have it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from errclust_pipeline.sources.parsing.rows import text_of

_SYSTEM = ("system", "developer")


def asked_text(prompt: Any) -> str | None:
    """Return what a user asked: a text as it is, of messages the user's, joined by line breaks.

    A text that holds messages as JSON is read as them.
    """
    messages = _messages(prompt)
    if messages is None:
        return text_of(prompt)
    asked = [content_text(one.get("content")) for one in messages if one.get("role") == "user"]
    if not asked:
        asked = [
            content_text(one.get("content")) for one in messages if one.get("role") not in _SYSTEM
        ]
    return "\n".join(text for text in asked if text) or None


def answered_text(completion: Any) -> str | None:
    """Return what a model answered: a text as it is, of messages the last assistant's."""
    messages = _messages(completion)
    if messages is None:
        return text_of(completion)
    for message in reversed(messages):
        if message.get("role") == "assistant":
            return content_text(message.get("content")) or ""
    return ""


def content_text(content: Any) -> str | None:
    """Return the text of a message's content."""
    if not isinstance(content, list):
        return text_of(content)
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "\n".join(part for part in parts if isinstance(part, str) and part) or None


def _messages(value: Any) -> Sequence[dict[str, Any]] | None:
    """Return a list of messages; None if the value is none."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    is_list = isinstance(value, list) and bool(value)
    if is_list and all(isinstance(one, dict) and "role" in one for one in value):
        messages: list[dict[str, Any]] = value
        return messages
    return None
