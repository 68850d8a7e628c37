"""Static embeddings: a vector a token, and a text is the mean of its tokens' vectors.

They are distilled from a sentence-transformers model without any texts: each token of its
vocabulary goes through the model once (Tulkens & van Dongen 2024, Model2Vec). Word order and
context are lost, and so is a part of the quality; embedding costs little more than tokenising.
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

FloatMatrix = npt.NDArray[np.float32]


class StaticEmbedder:
    """A distilled model.

    Parameters
    ----------
    folder : Path
        Written by `distil`.
    """

    def __init__(self, folder: Path) -> None:
        from model2vec import StaticModel

        self._model = StaticModel.from_pretrained(folder)

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._model.dim)

    def embed(self, texts: Sequence[str], advance: Callable[[int], None]) -> FloatMatrix:
        """Embed texts; one without any known token gets a fixed vector."""
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
        """Return 0: all of a text is read."""
        return 0


def distil(model_folder: Path, folder: Path) -> None:
    """Write static embeddings of a model to a folder, unless they are there.

    Vectors keep all of the model's dimensions: principal components would turn them in another
    way on another machine, and vectors of two machines lie in one store. What they would bring, to
    take out what all tokens share, is done with the mean of tokens as frequent as Zipf's law says
    (as in Arora et al. 2017, ICLR): 30 nearest questions of MMLU-Pro then have the same subject
    more often (.524) than with them (.519) or without either (.457).

    Parameters
    ----------
    model_folder : Path
        A transformers model with its tokenizer.
    folder : Path
        Another process that wants the same one waits.
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
    # Tokens stand in the vocabulary by falling frequency, as Model2Vec assumes for its weights.
    frequency = 1 / np.arange(2, len(vectors) + 2)
    in_texts = frequency * weights
    mean = in_texts @ vectors / in_texts.sum()
    centred: npt.NDArray[np.float32] = (vectors - mean).astype(np.float32)
    return centred
