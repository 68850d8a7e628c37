"""Asset `cluster_labels`: a name for every cluster, tested, with the errors that show it best."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.labelling import label_clusters
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
from errclust_pipeline.stages.declarations import CLUSTER_LABELS_STAGE
from errclust_pipeline.tables import CLUSTER_LABELS, ERROR_CLUSTERS, ERROR_EMBEDDINGS, ERRORS
from errclust_pipeline.views.embeddings import embedding_matrix
from errclust_pipeline.views.labels import read_known_labels


@stage_asset(CLUSTER_LABELS_STAGE)
def cluster_labels(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    embedder: EmbedderResource,
    language_model: LanguageModelResource,
) -> dg.MaterializeResult[Any]:
    """Labels of the clusters, written by a language model or from key phrases, and tested."""
    target = open_submission(context, warehouse)
    model = language_model.open(context.log.info)
    known = (
        [] if model is None else read_known_labels(target.warehouse, target.partition, model.name)
    )
    labels = label_clusters(
        target.read(ERRORS).to_pandas(),
        embedding_matrix(target.read(ERROR_EMBEDDINGS)),
        target.read(ERROR_CLUSTERS).to_pandas(),
        label_writer(context, model),
        label_embedding(context, target.warehouse, embedder),
        known,
    )
    if model is not None:
        target.provenance = with_unanswered(target.provenance, model.usage.failures)
    rows = CLUSTER_LABELS.from_frame(labels)
    faithful = labels["is_faithful"]
    return target.materialize(
        {CLUSTER_LABELS: rows},
        _preview(rows),
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


def _preview(rows: pa.Table) -> pa.Table:
    """Return the labels as the UI shows them, each with two members of its cluster."""
    preview = rows.select(
        ["cluster_id", "label", "size", "share_of_errors", "faithfulness", "is_faithful", "cause"]
    )
    for place, name in enumerate(("an exemplar", "another")):
        questions = [
            exemplars[place]["question"] if len(exemplars) > place else None
            for exemplars in rows["exemplars"].to_pylist()
        ]
        preview = preview.append_column(name, pa.array(questions, pa.string()))
    return preview
