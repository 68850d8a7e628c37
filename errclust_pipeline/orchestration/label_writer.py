"""What the assets with labels share: the configured label writer, and the embedding of labels."""

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
    """Return the writer of labels: a language model if one is configured, otherwise key phrases.

    A language model logs what its prompts will cost before it is asked.

    Parameters
    ----------
    alike : str
        What the members of a cluster have in common, as the prompt puts it.
    """
    if model is None:
        return KeyPhraseLabelWriter()
    return LanguageModelLabelWriter(
        model.name,
        model.ask,
        model.options.prompt_tokens,
        lambda prompts: context.log.info(f"to be asked: {model.quote(prompts)}"),
        alike,
    )


def label_embedding(
    context: dg.AssetExecutionContext, store: Warehouse, embedder: EmbedderResource
) -> Callable[[Sequence[str]], np.ndarray[Any, np.dtype[np.float32]]]:
    """Return a function that embeds labels with the model of the errors, each text only once."""

    def embed(texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        ids = [text_id(text) for text in texts]
        by_id = dict(zip(ids, texts, strict=True))
        return embed_texts(store.storage, embedder.open(), ids, by_id, context.log.info)[0]

    return embed
