"""The schemas of all tables, in one place."""

from errclust_pipeline.tables.schemas import (
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERROR_EMBEDDINGS,
    ERRORS,
    FAILURE_FORMS,
    REJECTS,
    RESPONSES,
    TABLES,
    Table,
)

__all__ = [
    "CLUSTER_LABELS",
    "ERRORS",
    "ERROR_CLUSTERS",
    "ERROR_EMBEDDINGS",
    "FAILURE_FORMS",
    "REJECTS",
    "RESPONSES",
    "TABLES",
    "Table",
]
