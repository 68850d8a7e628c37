"""A language model's answers, stored by content: the same prompt is never paid for twice.

::

    <root>/language_model_store/<model>/<first two digits>/<hash>.json

The hash covers everything that determines an answer: the messages, the schema and the sampling. An
answer is stored when it arrives, whole or not at all, so a run that is killed loses no answer that
was paid for.
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
    """A language model's answer to one call, and what the call took.

    ``problem`` says why the answer cannot be used, if so: it is kept because it was paid for.
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
        The data root.
    model : str
        The model's name.
    """

    def __init__(self, storage: Storage, model: str) -> None:
        self._storage = storage
        self._folder = f"language_model_store/{quote(model, safe='')}"
        # Answers that were read for a quote are not read again to be used.
        self._read_answers: dict[str, StoredAnswer] = {}

    def key(self, request: Mapping[str, Any]) -> str:
        """Return the hash under which the answer to a request is stored."""
        content = json.dumps(request, sort_keys=True, ensure_ascii=True)
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()

    def find(self, key: str) -> StoredAnswer | None:
        """Return a stored answer; None if there is none, or if it cannot be read."""
        if key not in self._read_answers:
            stored = self._read(self._path(key))
            if stored is None:
                return None
            self._read_answers[key] = stored
        return self._read_answers[key]

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
        self._read_answers[key] = answer

    def all(self) -> Iterator[StoredAnswer]:
        """Return all stored answers, one after another."""
        for path in self._storage.glob(f"{self._folder}/*/*.json"):
            answer = self._read(path)
            if answer is not None:
                yield answer

    def _path(self, key: str) -> str:
        return self._storage.path(self._folder, key[:2], f"{key}.json")
