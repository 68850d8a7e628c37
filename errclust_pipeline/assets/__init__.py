"""Software-defined assets, one file a stage: read tables, call the analysis, write tables."""

from errclust_pipeline.assets.autocorrelation import autocorrelation
from errclust_pipeline.assets.battles import battles
from errclust_pipeline.assets.cluster_labels import cluster_labels
from errclust_pipeline.assets.diagnosis_clusters import diagnosis_clusters
from errclust_pipeline.assets.error_clusters import error_clusters
from errclust_pipeline.assets.error_diagnoses import error_diagnoses
from errclust_pipeline.assets.error_embeddings import error_embeddings
from errclust_pipeline.assets.error_table import error_table
from errclust_pipeline.assets.hot_spots import hot_spots
from errclust_pipeline.assets.leaderboard import leaderboard
from errclust_pipeline.assets.model_comparison import model_comparison
from errclust_pipeline.assets.prompt_map import prompt_map
from errclust_pipeline.assets.question_map import question_map
from errclust_pipeline.assets.questions import questions
from errclust_pipeline.assets.ratings import ratings
from errclust_pipeline.assets.raw_results import raw_results
from errclust_pipeline.assets.region_labels import region_labels
from errclust_pipeline.assets.training_candidates import training_candidates
from errclust_pipeline.assets.uncertainty import uncertainty

ASSETS = [
    raw_results,
    error_table,
    error_embeddings,
    error_clusters,
    cluster_labels,
    questions,
    question_map,
    region_labels,
    hot_spots,
    autocorrelation,
    uncertainty,
    training_candidates,
    error_diagnoses,
    diagnosis_clusters,
    leaderboard,
    model_comparison,
    battles,
    prompt_map,
    ratings,
]
"""In flow order."""

__all__ = [
    "ASSETS",
    "autocorrelation",
    "battles",
    "cluster_labels",
    "diagnosis_clusters",
    "error_clusters",
    "error_diagnoses",
    "error_embeddings",
    "error_table",
    "hot_spots",
    "leaderboard",
    "model_comparison",
    "prompt_map",
    "question_map",
    "questions",
    "ratings",
    "raw_results",
    "region_labels",
    "training_candidates",
    "uncertainty",
]
