"""Software-defined assets, one file a stage: read tables, call the analysis, write tables."""

from errclust_pipeline.orchestration.assets.autocorrelation import autocorrelation
from errclust_pipeline.orchestration.assets.battles import battles
from errclust_pipeline.orchestration.assets.cluster_labels import cluster_labels
from errclust_pipeline.orchestration.assets.diagnosis_clusters import diagnosis_clusters
from errclust_pipeline.orchestration.assets.error_clusters import error_clusters
from errclust_pipeline.orchestration.assets.error_diagnoses import error_diagnoses
from errclust_pipeline.orchestration.assets.error_embeddings import error_embeddings
from errclust_pipeline.orchestration.assets.error_table import error_table
from errclust_pipeline.orchestration.assets.hot_spots import hot_spots
from errclust_pipeline.orchestration.assets.leaderboard import leaderboard
from errclust_pipeline.orchestration.assets.model_comparison import model_comparison
from errclust_pipeline.orchestration.assets.prompt_map import prompt_map
from errclust_pipeline.orchestration.assets.question_map import question_map
from errclust_pipeline.orchestration.assets.questions import questions
from errclust_pipeline.orchestration.assets.ratings import ratings
from errclust_pipeline.orchestration.assets.raw_results import raw_results
from errclust_pipeline.orchestration.assets.region_labels import region_labels
from errclust_pipeline.orchestration.assets.training_candidates import training_candidates
from errclust_pipeline.orchestration.assets.uncertainty import uncertainty

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
