"""Asset `diagnosis_clusters`: errors clustered by why they went wrong, and cluster names."""

from typing import Any

import dagster as dg
import pandas as pd
import pyarrow.compute as pc

from errclust_pipeline.analysis.clustering import cluster_errors
from errclust_pipeline.analysis.labelling import label_clusters
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.label_writer import label_embedding, label_writer
from errclust_pipeline.orchestration.resources import (
    EmbedderResource,
    LanguageModelResource,
    WarehouseResource,
)
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import with_unanswered
from errclust_pipeline.stages.declarations import DIAGNOSIS_CLUSTERS_STAGE
from errclust_pipeline.tables import DIAGNOSIS_CLUSTERS, DIAGNOSIS_LABELS, ERROR_DIAGNOSES, ERRORS


@stage_asset(DIAGNOSIS_CLUSTERS_STAGE)
def diagnosis_clusters(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource,
    language_model: LanguageModelResource,
) -> dg.MaterializeResult[Any]:
    """Clusters of diagnoses, with their labels (table diagnosis_labels): why, not where."""
    target = open_submission(context, warehouse)
    diagnoses = target.read(ERROR_DIAGNOSES, filters=pc.field("text").is_valid()).to_pandas()
    errors = target.read(ERRORS).to_pandas().set_index("example_id")
    diagnosed = _with_diagnosis_as_text(errors, diagnoses)
    text_ids = diagnosed["text_id"].tolist()
    texts = dict(zip(text_ids, diagnosed["text"].tolist(), strict=True))
    vectors, _ = embed_texts(
        target.warehouse.storage, embedder.open(), text_ids, texts, context.log.info
    )
    clusters = cluster_errors(
        diagnosed["example_id"].tolist(),
        # Each error counts as a question of its own, since two errors on one question may have two
        # causes.
        diagnosed["example_id"].tolist(),
        vectors,
        target.chosen.clustering.parameters(),
    )
    clusters["question_id"] = clusters["example_id"].map(errors["question_id"])
    model = language_model.open(context.log.info) if len(diagnosed) else None
    labels = label_clusters(
        diagnosed,
        vectors,
        clusters,
        label_writer(context, model, "the diagnoses of the mistakes in them are alike"),
        label_embedding(context, target.warehouse, embedder),
    )
    if model is not None:
        target.provenance = with_unanswered(target.provenance, model.usage.failures)
    label_rows = DIAGNOSIS_LABELS.from_frame(labels)
    return target.materialize(
        {
            DIAGNOSIS_CLUSTERS: DIAGNOSIS_CLUSTERS.from_frame(clusters),
            DIAGNOSIS_LABELS: label_rows,
        },
        label_rows.select(["cluster_id", "label", "size", "faithfulness", "cause"]),
        {
            "diagnosed": len(diagnosed),
            "clusters": len(labels),
            **({} if model is None else model.usage.to_metadata()),
        },
        lambda: (
            asset_summaries.summarize_labels(labels)
            if len(labels)
            else asset_summaries.summarize_absence("No error has a diagnosis: see error_diagnoses.")
        ),
    )


def _with_diagnosis_as_text(errors: pd.DataFrame, diagnoses: pd.DataFrame) -> pd.DataFrame:
    """Return the diagnosed errors with the diagnosis in place of the question and its text.

    What the members of a cluster have in common is the diagnosis, so that is what its label must be
    true of.
    """
    diagnosed: pd.DataFrame = errors.loc[diagnoses["example_id"]].reset_index()
    diagnosed["question"] = diagnosed["text"] = diagnoses["text"].to_numpy()
    diagnosed["text_id"] = diagnoses["text_id"].to_numpy()
    return diagnosed
