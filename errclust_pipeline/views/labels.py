"""The labels that clusters of other models were given, read so that they can be used again."""

from __future__ import annotations

import pyarrow.compute as pc

from errclust_pipeline.analysis.labelling import ClusterLabel, KnownLabel
from errclust_pipeline.tables import CLUSTER_LABELS, ERROR_CLUSTERS
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse


def read_known_labels(
    store: Warehouse, partition: SubmissionPartition, written_by: str
) -> list[KnownLabel]:
    """Read the labels that a language model wrote for other models' clusters on a benchmark.

    Labels that are not faithful are left out, and so are labels that were themselves taken over
    from another model: they are known from the model that they were written for.

    Parameters
    ----------
    partition : SubmissionPartition
        The model whose clusters are to be labelled; its own labels are left out.
    written_by : str
        The language model's name.
    """
    known = []
    for other in store.submissions_in(CLUSTER_LABELS):
        if other.benchmark != partition.benchmark or other == partition:
            continue
        try:
            labels = store.read(CLUSTER_LABELS, other, filters=pc.field("written_by") == written_by)
            clusters = store.read(ERROR_CLUSTERS, other, columns=["cluster_id", "question_id"])
        except WarehouseError:
            # An earlier version wrote it, or it is being computed: its labels are written again.
            continue
        questions: dict[str, set[str]] = {}
        cluster_ids, question_ids = (column.to_pylist() for column in clusters.columns)
        for cluster, question in zip(cluster_ids, question_ids, strict=True):
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
            if row["reused_from"] is None and row["is_faithful"]
        ]
    return known
