"""Embedders: they turn texts into unit vectors.

`EmbeddingModel` is what other packages use: a model that is loaded when it is needed, by the back
end that is fastest on this machine. `names` lists the models that can be chosen.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import platformdirs

from errclust_pipeline.embedding import backends as embedding_backends
from errclust_pipeline.embedding.backends import REFERENCE, BackendError
from errclust_pipeline.embedding.names import (
    EMBEDDED_MODEL,
    EMBEDDED_MODEL_PACKAGE,
    EMBEDDED_MODEL_SHA256,
    HASHING,
    HASHING_DIMENSIONS,
    STATIC,
    Backend,
    BackendChoice,
    EmbedderError,
    embedder_identity,
)
from errclust_pipeline.embedding.static import StaticEmbedder, distil

TOKENS_A_BATCH = 1_024
"""Tokens of a batch for each thread, which is what its caches hold; 4,096 is a tenth slower."""
_GPU_TOKENS_A_BATCH = 65_536
CALIBRATED_FROM_TEXTS = 1_000
"""Minimum number of texts for a calibration: with fewer, trying the back ends costs more than the
fastest of them could save."""

FloatMatrix = npt.NDArray[np.float32]


class Embedder(Protocol):
    """Turns texts into unit vectors; the same text always gets the same vector."""

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
            Called with the number of texts embedded since the previous call.

        Returns
        -------
        float32 array, shape (n, dimensions)
            Unit vectors.
        """
        ...

    def count_cut(self, texts: Sequence[str]) -> int:
        """Count the texts that are longer than the model reads; it ignores the rest of them."""
        ...


class HashingEmbedder:
    """Hashed counts of words and word pairs (Weinberger et al. 2009, ICML), without meaning."""

    dimensions = HASHING_DIMENSIONS

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts; a text without any word gets a fixed vector."""
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
        """Return 0: no text is too long to be hashed."""
        return 0


class SentenceTransformerEmbedder:
    """A sentence-transformers model.

    Parameters
    ----------
    model : SentenceTransformer
    backend : Backend
        The back end that computes the model.
    """

    def __init__(self, model: Any, backend: Backend) -> None:
        self._model = embedding_backends.computed_by(backend, model)
        self.backend = backend

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts in batches of about the same number of tokens, of similar length."""
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for batch in token_batches(texts, self._token_counts(texts), self._tokens_a_batch()):
            encoded = self._model.encode(
                [texts[index] for index in batch],
                batch_size=len(batch),
                show_progress_bar=False,
                convert_to_numpy=True,
                normalize_embeddings=True,
            )
            vectors[batch] = encoded
            advance(len(batch))
        if not np.isfinite(vectors).all():
            raise EmbedderError("the embedding model returned values that are not finite")
        return vectors

    def count_cut(self, texts: Sequence[str]) -> int:
        """Count the texts that have more tokens than the model reads."""
        longest = self._model.max_seq_length
        return 0 if longest is None else int((self._token_counts(texts) > longest).sum())

    def _token_counts(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        if not len(texts):
            return np.zeros(0, dtype=np.int64)
        tokens = self._model.tokenizer(list(texts), truncation=False, verbose=False)["input_ids"]
        return np.array([len(ids) for ids in tokens])

    def _tokens_a_batch(self) -> int:
        import torch

        if self._model.device.type == "cuda":
            return _GPU_TOKENS_A_BATCH
        return TOKENS_A_BATCH * torch.get_num_threads()


def token_batches(
    texts: Sequence[str], tokens: npt.NDArray[np.int64], max_tokens: int
) -> list[list[int]]:
    """Group texts of similar length into batches that take about the same time.

    Parameters
    ----------
    texts : sequence of str, length n
        Texts of equal length are ordered by their content, so that the batches do not depend on
        the order of the texts.
    tokens : int array, shape (n,)
        Number of tokens of each text.
    max_tokens : int
        Maximum number of tokens in a batch, padding included; a longer text is a batch by itself.

    Returns
    -------
    list of list of int
        Positions in `texts`, the longest first, so that the remaining time is not underestimated.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(texts)), key=lambda index: (-tokens[index], texts[index])):
        if batches and longest * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = max(1, int(tokens[index]))
    return batches


@lru_cache(maxsize=2)
def load_embedder(model: str, revision: str | None, backend: Backend = REFERENCE) -> Embedder:
    """Load an embedder, once a process.

    Parameters
    ----------
    model, revision : str, str or None
        As in `EmbeddingModel`.
    backend : Backend
        The back end that computes a sentence-transformers model.

    Raises
    ------
    EmbedderError
        If the model is missing, its weights are not upstream's, or the back end cannot compute
        it.
    """
    if model == HASHING:
        return HashingEmbedder()
    identity = embedder_identity(model, revision)
    if model == STATIC:
        folder = platformdirs.user_cache_path("errclust") / identity
        distil(embedded_model_folder(), folder)
        return StaticEmbedder(folder)
    try:
        return SentenceTransformerEmbedder(_load_sentence_transformer(model, revision), backend)
    except BackendError as error:
        raise EmbedderError(str(error)) from error


def _load_sentence_transformer(model: str, revision: str | None) -> Any:
    import transformers
    from sentence_transformers import SentenceTransformer

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = embedded_model_folder() if model == EMBEDDED_MODEL else Path(model).expanduser()
    if folder.is_dir():
        # Safetensors only: other weight files are pickles, which can run code when they are read.
        return SentenceTransformer(
            str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
        )
    try:
        return SentenceTransformer(model, revision=revision, model_kwargs={"use_safetensors": True})
    except OSError as error:
        raise EmbedderError(
            f"embedding model {model!r} at revision {revision!r} could not be loaded: {error}"
        ) from error


def embedded_model_folder() -> Path:
    """Return the folder of the default model's Python package, after checking its weights.

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
        raise EmbedderError(
            f"expected one model.safetensors in {package}, found {len(weights)}: run `make install`"
        )
    check_weights(weights[0])
    return weights[0].parent


def check_weights(weights: Path) -> None:
    """Raise an error if weights are not the upstream model's.

    Raises
    ------
    EmbedderError
        If the file's SHA-256 is not `EMBEDDED_MODEL_SHA256`.
    """
    with weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != EMBEDDED_MODEL_SHA256:
        raise EmbedderError(
            f"{weights} is not all-MiniLM-L6-v2: its SHA-256 is {sha256}, expected "
            f"{EMBEDDED_MODEL_SHA256}. Refusing to use it; reinstall with `make install`."
        )


@dataclass(frozen=True)
class EmbeddingModel:
    """An embedding model by name; it is loaded only when texts are to be embedded.

    Parameters
    ----------
    model : str
        One of the names in `errclust_pipeline.embedding.names`, a folder, or a model on the hub.
    revision : str, optional
        The commit of a model on the hub.
    backend : BackendChoice
        The back end that computes the model; ``auto`` takes the fastest on this machine.
    """

    model: str = EMBEDDED_MODEL
    revision: str | None = None
    backend: BackendChoice = "auto"

    @property
    def identity(self) -> str:
        """Name that two models share exactly if they give the same vectors."""
        return embedder_identity(self.model, self.revision, self.backend)

    def load(self, texts: Sequence[str], log: Callable[[str], None]) -> Embedder:
        """Load the model, once a process, with the fastest back end for these texts.

        Parameters
        ----------
        texts : sequence of str
            The texts to be embedded; a calibration tries the back ends on some of them.
        log : callable
            Receives a line about the choice of a back end.

        Raises
        ------
        EmbedderError
            If the model cannot be loaded.
        """
        return load_embedder(self.model, self.revision, self._backend(texts, log))

    def _backend(self, texts: Sequence[str], log: Callable[[str], None]) -> Backend:
        if self.backend != "auto":
            return self.backend
        if self.model in (HASHING, STATIC) or len(texts) < CALIBRATED_FROM_TEXTS:
            return REFERENCE
        calibration = embedding_backends.read_calibration(self.identity)
        if calibration is None:
            log("trying which back end embeds fastest on this machine")
            calibration = embedding_backends.calibrate(self._embed_with, texts)
            embedding_backends.store_calibration(self.identity, calibration)
        log(str(calibration))
        return calibration.fastest

    def _embed_with(self, backend: Backend) -> Callable[[Sequence[str]], FloatMatrix]:
        embedder = SentenceTransformerEmbedder(
            _load_sentence_transformer(self.model, self.revision), backend
        )
        return lambda texts: embedder.embed(texts, lambda _: None)
