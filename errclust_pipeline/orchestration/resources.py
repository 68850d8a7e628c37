"""Resources: thin Dagster wrappers of the warehouse, DuckDB, and the two kinds of models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, cast

import dagster as dg
from dagster_duckdb import DuckDBResource

from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, BackendChoice
from errclust_pipeline.language_model.client import LanguageModel
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


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


def duckdb_resource(storage: Storage) -> DuckDBResource:
    """Return dagster-duckdb's resource for SQL over the tables; open it with `open_views`.

    It is the catalog of views, opened for reading: a connection that could write would lock out
    every other process, and the warehouse is the catalog's only writer. A remote root has no
    catalog, so the resource is an empty database in memory.
    """
    if not storage.is_local:
        return DuckDBResource(database=":memory:")
    # The resource always asks DuckDB for write access; only its configuration can withhold that.
    return DuckDBResource(
        database=Warehouse(storage.url).catalog_path,
        connection_config={"access_mode": "READ_ONLY"},
    )


@contextmanager
def open_views(duckdb: DuckDBResource, warehouse: Warehouse) -> Iterator[DuckDBPyConnection]:
    """Open a connection in which every table is a view; close it at the end of the block.

    A query fails if a partition is replaced while it is read; try it again then.
    """
    # `get_connection` leaves the connection open after an error.
    with duckdb.get_connection() as connection, closing(connection):
        if not warehouse.storage.is_local:
            warehouse.create_views(connection)
        yield connection
