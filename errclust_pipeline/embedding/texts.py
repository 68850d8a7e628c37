"""Vectors of texts: read from the embedding store, and embedded first where they are missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from errclust_pipeline.embedding.embedder import EmbeddingModel, FloatMatrix
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.warehouse.storage import Storage


def embed_texts(
    storage: Storage,
    model: EmbeddingModel,
    text_ids: Sequence[str],
    texts: Mapping[str, str],
    log: Callable[[str], None],
) -> tuple[FloatMatrix, dict[str, Any]]:
    """Return the vectors of texts; texts that are not in the store are embedded and stored.

    Parameters
    ----------
    storage : Storage
        The data root with the embedding store.
    model : EmbeddingModel
        It is loaded only if a text is missing.
    text_ids : sequence of str, length n
        The texts whose vectors are wanted, in order; repeats are allowed.
    texts : mapping of text id to text
    log : callable
        Receives lines about progress.

    Returns
    -------
    vectors : float32 array, shape (n, dimensions)
        Unit vectors.
    metadata : dict
        The embedder, its dimensions, and the number of distinct texts, of texts embedded by this
        call and of texts that are longer than the model reads.
    """
    store = EmbeddingStore(storage, model.identity)
    missing = store.missing(text_ids)
    counter = ProgressCounter("embedding", len(missing), "texts", log)
    embedded_now = cut = 0
    if missing:
        missing_texts = [texts[text_id] for text_id in missing]
        embedder = model.load(missing_texts, log)
        cut = embedder.count_cut(missing_texts)
        if cut:
            log(f"{cut:,} of {len(missing):,} texts are longer than the model reads")
        log(f"embedding {len(missing):,} of {len(texts):,} texts; the others are stored already")
        embedded_now = store.get_or_embed(texts, lambda part: embedder.embed(part, counter.advance))
    vectors = store.read(text_ids)
    return vectors, {
        "embedder": model.identity,
        "dimensions": vectors.shape[1],
        "distinct_texts": len(texts),
        "embedded_now": embedded_now,
        "cut_by_the_model": cut,
    }
