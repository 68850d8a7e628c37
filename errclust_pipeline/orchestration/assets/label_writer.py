"""The label writer that is configured, and how labels are embedded to be tested."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
import numpy as np

from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.analysis.labelling import (
    KeyPhraseLabelWriter,
    LabelWriter,
    LanguageModelLabelWriter,
)
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.language_model.client import LanguageModel
from errclust_pipeline.orchestration.resources import EmbedderResource
from errclust_pipeline.warehouse.warehouse import Warehouse


def label_writer(
    context: dg.AssetExecutionContext,
    model: LanguageModel | None,
    alike: str = "their questions are alike",
) -> LabelWriter:
    """Return the writer: a language model's where there is one, which says what it will cost.

    Parameters
    ----------
    alike : str
        What the members of a cluster have in common.
    """
    if model is None:
        return KeyPhraseLabelWriter()
    asked = model
    return LanguageModelLabelWriter(
        asked.name,
        asked.ask,
        asked.options.prompt_tokens,
        lambda prompts: context.log.info(f"to be asked: {asked.quote(prompts)}"),
        alike,
    )


def label_embedding(
    context: dg.AssetExecutionContext, store: Warehouse, embedder: EmbedderResource
) -> Callable[[Sequence[str]], np.ndarray[Any, np.dtype[np.float32]]]:
    """Return what embeds labels, as errors are embedded; each only once."""

    def embed(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        ids = [text_id(text) for text in texts]
        wanted = dict(zip(ids, texts, strict=True))
        return embed_texts(store.storage, embedder.open(), ids, wanted, context.log.info)[0]

    return embed
