"""Embeddings from the content-addressed store; what is not in it yet is embedded."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np

from errclust_pipeline.embedding.embedder import EmbedderResource
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.warehouse.storage import Storage


def looked_up(
    context: dg.AssetExecutionContext,
    storage: Storage,
    embedder: EmbedderResource,
    text_ids: Sequence[str],
    texts: Mapping[str, str],
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[str, Any]]:
    """Do `embedded` in an asset."""
    return embedded(context.log.info, storage, embedder, text_ids, texts)


def embedded(
    log: Callable[[str], None],
    storage: Storage,
    embedder: EmbedderResource,
    text_ids: Sequence[str],
    texts: Mapping[str, str],
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[str, Any]]:
    """Return the vectors of texts, shape (len(text_ids), dimensions), and what it took as metadata.

    Parameters
    ----------
    text_ids : sequence of str
        Repeats are fine.
    texts : mapping of text id to text
    """
    embeddings = EmbeddingStore(storage, embedder.identity)
    missing = embeddings.missing(text_ids)
    counter = ProgressCounter("embedding", len(missing), "texts", log)
    done = cut = 0
    if missing:
        wanted = [texts[text_id] for text_id in missing]
        model = embedder.load(wanted, log)
        cut = model.count_cut(wanted)
        if cut:
            log(f"{cut:,} of {len(missing):,} texts are longer than the model reads")
        log(f"embedding {len(missing):,} of {len(texts):,} texts; the rest is stored")
        done = embeddings.get_or_embed(texts, lambda part: model.embed(part, counter.advance))
    vectors = embeddings.read(text_ids)
    return vectors, {
        "embedder": embedder.identity,
        "dimensions": vectors.shape[1],
        "distinct_texts": len(texts),
        "embedded_now": done,
        "cut_by_the_model": cut,
    }
