"""Which models of a benchmark have results."""

from __future__ import annotations

from collections.abc import Iterable

from errclust_pipeline.tables import ERRORS, RESPONSES, Table
from errclust_pipeline.warehouse.warehouse import Warehouse


def models_of(
    warehouse: Warehouse, benchmark: str, tables: Iterable[Table] = (RESPONSES, ERRORS)
) -> list[str]:
    """Return the keys of the models that have a partition in each of several tables, sorted.

    A model is in one table and not in another if it was not computed that far, or failed there.

    Parameters
    ----------
    warehouse : Warehouse
    benchmark : str
        The benchmark's key.
    tables : iterable of Table
        At least one table of models' results. The default is what every comparison of models
        reads: the responses and the errors among them.
    """
    models = (
        {partition.model for partition in warehouse.submissions_in(table, benchmark)}
        for table in tables
    )
    return sorted(set.intersection(*models))
