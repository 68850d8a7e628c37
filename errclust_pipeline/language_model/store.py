"""A language model's answers, stored by content: the same question is never paid for twice.

::

    <root>/language_model_store/<model>/<first two digits>/<hash>.json

The hash is of all that determines an answer: the messages, the schema and the sampling. An answer
is stored when it arrives, whole or not at all, so that of a run killed half-way nothing that was
paid for is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from errclust_pipeline.warehouse.storage import Storage


@dataclass(frozen=True)
class StoredAnswer:
    """What a language model answered to one call, and what that took.

    ``problem`` says why it cannot be used, if it cannot: that was paid for too.
    """

    text: str
    problem: str | None
    prompt_tokens: int
    answer_tokens: int
    seconds: float


class AnswerStore:
    """The answers of one language model.

    Parameters
    ----------
    storage : Storage
        Where the warehouse lies.
    model : str
        The model's name.
    """

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage = storage
        self._folder = f"language_model_store/{quote(model, safe='')}"
        # What was looked up for a quote need not be read again to be used.
        self._found: dict[str, StoredAnswer] = {}

    def key(self, request: Mapping[str, Any]) -> str:
        """Return the hash that a request's answer is known by."""
        content = json.dumps(request, sort_keys=True, ensure_ascii=True)
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def find(self, key: str) -> StoredAnswer | None:
        """Return a stored answer; None if there is none, or if it cannot be read."""
        if key not in self._found:
            stored = self._read(self._path(key))
            if stored is None:
                return None
            self._found[key] = stored
        return self._found[key]

    def _read(self, path: str) -> StoredAnswer | None:
        if not self._storage.exists(path):
            return None
        try:
            return StoredAnswer(**json.loads(self._storage.read_text(path)))
        except (ValueError, TypeError):
            return None

    def keep(self, key: str, answer: StoredAnswer) -> None:
        """Store an answer."""
        text = json.dumps(asdict(answer), ensure_ascii=True, indent=1)
        self._storage.write_text(self._path(key), text + "\n")
        self._found[key] = answer

    def all(self) -> Iterator[StoredAnswer]:
        """Return all stored answers, one after another."""
        for path in self._storage.glob(f"{self._folder}/*/*.json"):
            found = self._read(path)
            if found is not None:
                yield found

    def _path(self, key: str) -> str:
        return self._storage.path(self._folder, key[:2], f"{key}.json")
