"""Stage 12: errors clustered by why they went wrong, and the clusters named."""

from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis.clustering import cluster_errors
from errclust_pipeline.analysis.labelling import label_clusters
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.assets.label_writer import label_embedding, label_writer
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import (
    EmbedderResource,
    LanguageModelResource,
    WarehouseResource,
)
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance, with_unanswered
from errclust_pipeline.stages.declarations import DIAGNOSIS_CLUSTERS_STAGE
from errclust_pipeline.tables import DIAGNOSIS_CLUSTERS, DIAGNOSIS_LABELS, ERROR_DIAGNOSES, ERRORS


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["error_diagnoses", "error_table"],
    group_name="diagnosis",
    kinds={"scikitlearn", "openai", "parquet"},
    code_version=DIAGNOSIS_CLUSTERS_STAGE.code_version,
    pool="language_model",
)
@retry_what_is_transient
def diagnosis_clusters(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource,
    language_model: LanguageModelResource,
) -> dg.MaterializeResult[Any]:
    """Clusters of diagnoses, with their labels (table diagnosis_labels): why, not where."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(DIAGNOSIS_CLUSTERS_STAGE, store, settings, partition)
    diagnoses = store.read(
        ERROR_DIAGNOSES, partition, filters=pc.field("text").is_valid()
    ).to_pandas()
    errors = store.read(ERRORS, partition).to_pandas().set_index("example_id")
    diagnosed = errors.loc[diagnoses["example_id"]].reset_index()
    # What is alike in a cluster is the diagnosis: that is what its name must be true of.
    diagnosed["question"] = diagnosed["text"] = diagnoses["text"].to_numpy()
    diagnosed["text_id"] = diagnoses["text_id"].to_numpy()
    text_ids = diagnosed["text_id"].tolist()
    texts = dict(zip(text_ids, diagnosed["text"].tolist(), strict=True))
    vectors, _ = embed_texts(store.storage, embedder.open(), text_ids, texts, context.log.info)
    clusters = cluster_errors(
        diagnosed["example_id"].tolist(),
        # Two errors on one question may go wrong in two ways: no two count as copies.
        diagnosed["example_id"].tolist(),
        vectors,
        settings.for_benchmark(partition.benchmark).clustering.parameters(),
    )
    clusters["question_id"] = clusters["example_id"].map(errors["question_id"])
    model = language_model.open(context.log.info) if len(diagnosed) else None
    labels = label_clusters(
        diagnosed,
        vectors,
        clusters,
        label_writer(context, model, "the diagnoses of the mistakes in them are alike"),
        label_embedding(context, store, embedder),
    )
    if model is not None:
        made_from = with_unanswered(made_from, model.usage.failures)
    label_rows = pa.Table.from_pandas(labels, schema=DIAGNOSIS_LABELS.schema, preserve_index=False)
    rows = pa.Table.from_pandas(clusters, schema=DIAGNOSIS_CLUSTERS.schema, preserve_index=False)
    store.write(DIAGNOSIS_LABELS, partition, label_rows, made_from)
    store.write(DIAGNOSIS_CLUSTERS, partition, rows, made_from)
    return materialized(
        store,
        DIAGNOSIS_CLUSTERS,
        partition,
        made_from,
        rows.num_rows,
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
