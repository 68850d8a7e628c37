"""Stage 5: a name for every cluster, with the errors that show it best."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.labelling import KeyPhraseLabelWriter, label_clusters
from errclust_pipeline.assets.error_clusters import embedding_matrix
from errclust_pipeline.assets.materialization import materialized, retry_what_is_transient
from errclust_pipeline.partitions import BENCHMARK_BY_MODEL, partition_of
from errclust_pipeline.resources.warehouse_resource import WarehouseResource
from errclust_pipeline.stages import CLUSTER_LABELS_STAGE, provenance
from errclust_pipeline.tables import CLUSTER_LABELS, ERROR_CLUSTERS, ERROR_EMBEDDINGS, ERRORS


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["error_table", "error_embeddings", "error_clusters"],
    group_name="errors",
    kinds={"scikitlearn", "parquet"},
    code_version=CLUSTER_LABELS_STAGE.code_version,
)
@retry_what_is_transient
def cluster_labels(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Labels of the clusters, written from key phrases."""
    store, partition, settings = warehouse.open(), partition_of(context), warehouse.settings()
    made_from = provenance(CLUSTER_LABELS_STAGE, store, settings, partition)
    embeddings = store.read(ERROR_EMBEDDINGS, partition)
    labels = label_clusters(
        store.read(ERRORS, partition).to_pandas(),
        embedding_matrix(embeddings),
        store.read(ERROR_CLUSTERS, partition).to_pandas(),
        KeyPhraseLabelWriter(),
    )
    rows = pa.Table.from_pandas(labels, schema=CLUSTER_LABELS.schema, preserve_index=False)
    store.write(CLUSTER_LABELS, partition, rows, made_from)
    columns = ["cluster_id", "label", "size", "share_of_errors", "main_failure_form"]
    return materialized(
        store, CLUSTER_LABELS, partition, made_from, rows.num_rows, rows.select(columns)
    )
