"""Stage 5: a name for every cluster, tested, with the errors that show it best."""

from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis.labelling import ClusterLabel, KnownLabel, label_clusters
from errclust_pipeline.orchestration.assets.error_clusters import embedding_matrix
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
from errclust_pipeline.stages.declarations import CLUSTER_LABELS_STAGE
from errclust_pipeline.tables import CLUSTER_LABELS, ERROR_CLUSTERS, ERROR_EMBEDDINGS, ERRORS
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["error_table", "error_embeddings", "error_clusters"],
    group_name="errors",
    kinds={"scikitlearn", "openai", "parquet"},
    code_version=CLUSTER_LABELS_STAGE.code_version,
    pool="language_model",
)
@retry_what_is_transient
def cluster_labels(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource,
    language_model: LanguageModelResource,
) -> dg.MaterializeResult[Any]:
    """Labels of the clusters, written by a language model or from key phrases, and tested."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(CLUSTER_LABELS_STAGE, store, settings, partition)
    model = language_model.open(context.log.info)
    known = [] if model is None else _labels_of_other_models(store, partition, model.name)
    labels = label_clusters(
        store.read(ERRORS, partition).to_pandas(),
        embedding_matrix(store.read(ERROR_EMBEDDINGS, partition)),
        store.read(ERROR_CLUSTERS, partition).to_pandas(),
        label_writer(context, model),
        label_embedding(context, store, embedder),
        known,
    )
    if model is not None:
        made_from = with_unanswered(made_from, model.usage.failures)
    rows = pa.Table.from_pandas(labels, schema=CLUSTER_LABELS.schema, preserve_index=False)
    store.write(CLUSTER_LABELS, partition, rows, made_from)
    faithful = labels["is_faithful"]
    return materialized(
        store,
        CLUSTER_LABELS,
        partition,
        made_from,
        rows.num_rows,
        _shown(rows),
        {
            "written_by": {
                str(name): int(number)
                for name, number in labels["written_by"].value_counts().items()
            },
            "faithful": int(faithful.sum()),
            "unfaithful": int((~faithful.astype("boolean").fillna(True)).sum()),
            "not_tested": int(faithful.isna().sum()),
            "reused": int(labels["reused_from"].notna().sum()),
            **({} if model is None else model.usage.to_metadata()),
        },
        lambda: asset_summaries.summarize_labels(labels),
    )


def _shown(rows: pa.Table) -> pa.Table:
    """Return what is shown of labels in the UI: with two members each."""
    shown = rows.select(
        ["cluster_id", "label", "size", "share_of_errors", "faithfulness", "is_faithful", "cause"]
    )
    for place, name in enumerate(("an exemplar", "another")):
        questions = [
            one[place]["question"] if len(one) > place else None
            for one in rows["exemplars"].to_pylist()
        ]
        shown = shown.append_column(name, pa.array(questions, pa.string()))
    return shown


def _labels_of_other_models(
    store: Warehouse, partition: SubmissionPartition, written_by: str
) -> list[KnownLabel]:
    """Return what a language model has named of other models' clusters on the same benchmark."""
    known = []
    for other in store.submissions_in(CLUSTER_LABELS):
        if other.benchmark != partition.benchmark or other == partition:
            continue
        try:
            labels = store.read(CLUSTER_LABELS, other, filters=pc.field("written_by") == written_by)
            clusters = store.read(ERROR_CLUSTERS, other, columns=["cluster_id", "question_id"])
        except WarehouseError:
            # Of an earlier version, or being computed anew: a name more to write.
            continue
        questions: dict[str, set[str]] = {}
        for cluster, question in zip(*(one.to_pylist() for one in clusters.columns), strict=True):
            questions.setdefault(cluster, set()).add(question)
        known += [
            KnownLabel(
                f"{other.model}|{row['cluster_id']}",
                ClusterLabel(
                    row["label"],
                    row["description"],
                    written_by,
                    row["cause"],
                    row["shares_one_thing"],
                ),
                frozenset(questions.get(row["cluster_id"], ())),
                row["main_failure_form"],
            )
            for row in labels.to_pylist()
            # Of a name in the second hand its source is known only as that.
            if row["reused_from"] is None and row["is_faithful"]
        ]
    return known
