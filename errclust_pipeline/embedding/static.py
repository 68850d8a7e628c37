"""Static embeddings: every token has a vector, and a text's vector is the mean of its tokens'.

They are distilled from a sentence-transformers model without any texts: each token of its
vocabulary passes through the model once (Tulkens & van Dongen 2024, Model2Vec). They lose word
order, context and some quality, and cost little more than tokenising.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from errclust_pipeline.warehouse.storage import replace_folder

_SLICE_TEXTS = 4_096
"""Number of texts that are embedded between two reports of progress."""

FloatMatrix = npt.NDArray[np.float32]


class StaticEmbedder:
    """A distilled model.

    Parameters
    ----------
    folder : Path
        The folder that `distil` wrote.
    """

    def __init__(self, folder: Path) -> None:
        from model2vec import StaticModel

        self._model = StaticModel.from_pretrained(folder)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.dim)

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts; a text without a known token gets a fixed vector."""
        vectors = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _SLICE_TEXTS):
            part = list(texts[start : start + _SLICE_TEXTS])
            vectors[start : start + len(part)] = self._model.encode(
                part, max_length=None, use_multiprocessing=False
            )
            advance(len(part))
        vectors[~vectors.any(axis=1), 0] = 1.0
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    def count_cut(self, texts: Sequence[str]) -> int:  # noqa: ARG002
        """Return 0: the whole of every text is read."""
        return 0


def distil(model_folder: Path, folder: Path) -> None:
    """Write static embeddings of a model to a folder, unless the folder exists.

    The vectors keep all dimensions of the model. Principal components would rotate them differently
    on different machines, whose vectors share one store. Their benefit is to remove the component
    that all tokens have in common; instead, the mean vector is subtracted, with tokens weighted by
    their frequency under Zipf's law (as in Arora et al. 2017, ICLR). Of the 30 nearest questions of
    a question of MMLU-Pro, .524 then have the same subject: .519 with principal components, .457
    without either.

    Parameters
    ----------
    model_folder : Path
        A transformers model with its tokenizer.
    folder : Path
        The folder to write. A second process that distils into it waits for the first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder.with_name(f"{folder.name}.lock")):
        if folder.exists():
            return
        from model2vec.distill import distill

        model = distill(
            str(model_folder), pca_dims=None, sif_coefficient=1e-4, quantize_to="float32"
        )
        model.embedding = _without_common_part(model.embedding, np.asarray(model.weights))
        with replace_folder(folder) as partial:
            model.save_pretrained(str(partial))


def _without_common_part(
    vectors: npt.NDArray[Any], weights: npt.NDArray[Any]
) -> npt.NDArray[np.float32]:
    # The vocabulary is ordered by falling frequency; Model2Vec's weights assume the same.
    frequency = 1 / np.arange(2, len(vectors) + 2)
    in_texts = frequency * weights
    mean = in_texts @ vectors / in_texts.sum()
    centred: npt.NDArray[np.float32] = (vectors - mean).astype(np.float32)
    return centred
