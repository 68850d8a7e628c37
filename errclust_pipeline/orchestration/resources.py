"""Resources: thin Dagster wrappers of the warehouse, the embedding model and the language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import dagster as dg

from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, BackendChoice
from errclust_pipeline.language_model.client import LanguageModel
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.warehouse import Warehouse


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The tables under one root, with the project's settings beside them."""

    root: str

    def open(self) -> Warehouse:
        """Return the warehouse; it holds nothing open."""
        return Warehouse(self.root)

    def settings(self) -> Settings:
        """Read the project's settings as they are now."""
        return load_settings(self.open().storage)


class EmbedderResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The embedding model that assets use."""

    model: str = EMBEDDED_MODEL
    revision: str | None = None
    backend: str = "auto"
    """A `BackendChoice`; Dagster's configuration has no literal types."""

    def open(self) -> EmbeddingModel:
        """Return the embedding model; it is loaded only when texts are to be embedded."""
        return EmbeddingModel(self.model, self.revision, cast(BackendChoice, self.backend))


class LanguageModelResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The language model that assets use, if one is configured."""

    root: str

    def open(self, log: Callable[[str], object] = lambda _: None) -> LanguageModel | None:
        """Return the model as the settings have it now; None if none is configured."""
        storage = Storage(self.root)
        options = load_settings(storage).language_model.options()
        return None if options is None else LanguageModel(options, storage, log)
