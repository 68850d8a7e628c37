"""The errors of the warehouse; each message says what to do."""

from __future__ import annotations


class WarehouseError(RuntimeError):
    """Something that was asked for is not in the warehouse, or cannot be read."""


class DamagedRecordError(WarehouseError):
    """A submission's record cannot be read."""


class QueryError(WarehouseError):
    """DuckDB cannot run a query: it is wrong, or a file that it reads is."""
