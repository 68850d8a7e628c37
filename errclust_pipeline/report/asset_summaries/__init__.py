"""Summaries on the assets' pages in the Dagster UI: a table in Markdown, and pictures.

Each function takes what its asset has at hand when its tables have been written. Tables are
returned as Markdown, pictures as functions that draw them, so that a picture nobody wants is never
drawn. Maps are drawn only if the map has a layout.
"""

from errclust_pipeline.report.asset_summaries.maps import (
    summarize_clusters,
    summarize_labels,
    summarize_map,
)
from errclust_pipeline.report.asset_summaries.models import (
    summarize_battles,
    summarize_comparison,
    summarize_leaderboard,
    summarize_ratings,
)
from errclust_pipeline.report.asset_summaries.statistics import (
    summarize_autocorrelation,
    summarize_hot_spots,
    summarize_uncertainty,
)
from errclust_pipeline.report.asset_summaries.submissions import (
    summarize_embeddings,
    summarize_errors,
    summarize_questions,
    summarize_responses,
)
from errclust_pipeline.report.asset_summaries.summary import (
    PICTURE,
    TABLE,
    AssetSummary,
    summarize_absence,
)
from errclust_pipeline.report.asset_summaries.training import (
    summarize_candidates,
    summarize_diagnoses,
)

__all__ = [
    "PICTURE",
    "TABLE",
    "AssetSummary",
    "summarize_absence",
    "summarize_autocorrelation",
    "summarize_battles",
    "summarize_candidates",
    "summarize_clusters",
    "summarize_comparison",
    "summarize_diagnoses",
    "summarize_embeddings",
    "summarize_errors",
    "summarize_hot_spots",
    "summarize_labels",
    "summarize_leaderboard",
    "summarize_map",
    "summarize_questions",
    "summarize_ratings",
    "summarize_responses",
    "summarize_uncertainty",
]
