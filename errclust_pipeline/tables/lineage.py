"""Which columns a table's columns are made from, where that is known without computing anything."""

from __future__ import annotations

from collections.abc import Mapping

from errclust_pipeline.tables.schemas import (
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERROR_EMBEDDINGS,
    ERRORS,
    HOT_SPOTS,
    QUESTION_MAP,
    QUESTIONS,
    REGION_LABELS,
)

_Lineage = Mapping[str, tuple[str, ...]]


def _copied(asset: str, columns: str) -> _Lineage:
    return {column: (f"{asset}.{column}",) for column in columns.split()}


def _made(columns: str, *sources: str) -> _Lineage:
    return dict.fromkeys(columns.split(), sources)


COLUMN_LINEAGE: Mapping[str, _Lineage] = {
    ERRORS.name: {
        **_copied("raw_results", "example_id question_id subject question gold prediction score"),
        **_made(
            "failure_form",
            "raw_results.response",
            "raw_results.prediction",
            "raw_results.prediction_guessed",
            "raw_results.extraction_recorded",
            "raw_results.finish_reason",
            "raw_results.choice_log_likelihoods",
        ),
        **_made("response_tail", "raw_results.response"),
        **_made(
            "text text_id",
            "raw_results.question",
            "raw_results.choices",
            "raw_results.gold",
            "raw_results.prediction",
            "raw_results.response",
        ),
    },
    ERROR_EMBEDDINGS.name: {
        **_copied("error_table", "example_id question_id text_id"),
        **_made("embedding", "error_table.text"),
    },
    ERROR_CLUSTERS.name: {
        **_copied("error_embeddings", "example_id question_id"),
        **_made("level cluster_id strength x y", "error_embeddings.embedding"),
    },
    CLUSTER_LABELS.name: {
        **_copied("error_clusters", "cluster_id level"),
        **_made("parent_id size share_of_errors", "error_clusters.cluster_id"),
        **_made("key_phrases", "error_table.text", "error_clusters.cluster_id"),
        **_made("main_failure_form main_failure_form_share", "error_table.failure_form"),
        **_made("main_subject", "error_table.subject"),
        **_made("mean_similarity", "error_embeddings.embedding"),
        **_made("exemplars", "error_embeddings.embedding", "error_table.question"),
    },
    QUESTIONS.name: {
        **_copied("raw_results", "question_id subject question choices gold"),
        **_made("text text_id", "raw_results.question", "raw_results.choices"),
    },
    QUESTION_MAP.name: {
        **_copied("questions", "question_id"),
        **_made(
            "position stands_for_itself near_duplicates region_id in_degree neighbours "
            "similarities walk_own_weights walk_squares walk_cubes x y",
            "questions.text",
        ),
    },
    REGION_LABELS.name: {
        **_copied("question_map", "region_id"),
        **_made("level parent_id size share_of_questions", "question_map.region_id"),
        **_made("key_phrases", "questions.text", "question_map.region_id"),
        **_made("main_subject", "questions.subject"),
    },
    HOT_SPOTS.name: {
        **_copied("question_map", "question_id"),
        **_made("error", "raw_results.correct"),
        **_made(
            "errors draws smoothed_rate p_hot q_hot p_cold q_cold local_moran gi_star quadrant",
            "question_map.neighbours",
            "raw_results.correct",
        ),
    },
}
"""By table and column: ``asset.column`` of each column that it is made from."""
