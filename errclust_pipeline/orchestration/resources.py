"""The warehouse as a Dagster resource."""

from __future__ import annotations

import dagster as dg

from errclust_pipeline.settings import Settings, load_settings
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
