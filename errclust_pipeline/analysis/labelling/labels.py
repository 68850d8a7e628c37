"""The table of cluster labels: evidence gathered for each cluster, then put into words."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import FloatMatrix, unit_vectors
from errclust_pipeline.analysis.labelling.exemplars import centroid_similarity, exemplars
from errclust_pipeline.analysis.labelling.key_phrases import KeyPhrases, key_phrases, phrases_of
from errclust_pipeline.analysis.labelling.writer import (
    ClusterEvidence,
    ClusterLabel,
    Exemplar,
    LabelWriter,
)

if TYPE_CHECKING:
    import pandas as pd

_REST = "(errors of no cluster)"
_NONE = KeyPhrases((), ())


@dataclasses.dataclass(frozen=True)
class _Cluster:
    cluster_id: str
    level: int
    members: npt.NDArray[np.intp]

    @property
    def parent_id(self) -> str | None:
        return self.cluster_id.rpartition(".")[0] or None


def label_clusters(
    errors: pd.DataFrame,
    embeddings: npt.ArrayLike,
    clusters: pd.DataFrame,
    writer: LabelWriter,
) -> pd.DataFrame:
    """Name the clusters of a model's errors.

    Parameters
    ----------
    errors : DataFrame
        The table `errors`.
    embeddings : array, shape (n, dimensions)
        Their embeddings, in the same order.
    clusters : DataFrame
        The table `error_clusters`.
    writer : LabelWriter

    Returns
    -------
    DataFrame
        With the columns of the table `cluster_labels`, coarsest level first, clusters in the order
        of their numbers; empty if there are no clusters. Labels are unique among the clusters of a
        parent.

    Raises
    ------
    ValueError
        If errors and embeddings are not as many, a cluster has a member that is not among the
        errors, or the writer returns another number of labels than it got clusters.
    """
    if len(errors) != len(np.asarray(embeddings)):
        raise ValueError(
            f"{len(errors)} errors but {len(np.asarray(embeddings))} embeddings: "
            "must be as many, in the same order"
        )
    found = _clusters(errors, clusters)
    if not found:
        return _table([])
    vectors = unit_vectors(embeddings)
    evidence = _evidence(errors, vectors, found)
    labels = _unique_among_siblings(evidence, writer.write_all(evidence))
    rows = [
        {
            "cluster_id": cluster.cluster_id,
            "level": cluster.level,
            "parent_id": cluster.parent_id,
            "size": what.size,
            "share_of_errors": what.size / len(errors),
            "label": label.label,
            "description": label.description,
            "key_phrases": list(what.key_phrases),
            "written_by": label.written_by,
            "faithfulness": label.faithfulness,
            "main_failure_form": what.main_failure_form,
            "main_failure_form_share": what.main_failure_form_share,
            "main_subject": what.main_subject,
            "mean_similarity": float(centroid_similarity(vectors[cluster.members]).mean()),
            "exemplars": [_as_row(exemplar) for exemplar in what.exemplars],
        }
        for cluster, what, label in zip(found, evidence, labels, strict=True)
    ]
    return _table(rows)


def _clusters(errors: pd.DataFrame, clusters: pd.DataFrame) -> list[_Cluster]:
    row_of = {name: row for row, name in enumerate(errors["example_id"].tolist())}
    members: dict[tuple[int, str], list[int]] = defaultdict(list)
    named = clusters[clusters["cluster_id"].notna()]
    for example_id, level, cluster_id in zip(
        named["example_id"].tolist(),
        named["level"].tolist(),
        named["cluster_id"].tolist(),
        strict=True,
    ):
        if example_id not in row_of:
            raise ValueError(f"cluster {cluster_id} has member {example_id!r}, which is no error")
        members[int(level), cluster_id].append(row_of[example_id])
    in_order = sorted(members, key=lambda key: (key[0], [int(part) for part in key[1].split(".")]))
    return [_Cluster(name, level, np.sort(members[level, name])) for level, name in in_order]


def _evidence(
    errors: pd.DataFrame, vectors: FloatMatrix, found: Sequence[_Cluster]
) -> list[ClusterEvidence]:
    phrases = _key_phrases(errors, found)
    siblings: dict[str | None, list[str]] = defaultdict(list)
    for cluster in found:
        siblings[cluster.parent_id].append(cluster.cluster_id)
    columns = {
        name: [None if null else value for value, null in zip(values, nulls, strict=True)]
        for name in (
            "example_id",
            "subject",
            "failure_form",
            "question",
            "gold",
            "prediction",
            "response_tail",
        )
        for values, nulls in [(errors[name].tolist(), errors[name].isna().tolist())]
    }
    gathered = []
    for cluster in found:
        subject, subject_share = _most_frequent([columns["subject"][i] for i in cluster.members])
        form, form_share = _most_frequent([columns["failure_form"][i] for i in cluster.members])
        parent = cluster.parent_id
        gathered.append(
            ClusterEvidence(
                cluster_id=cluster.cluster_id,
                parent_id=parent,
                parent_key_phrases=phrases[parent].phrases if parent else (),
                size=len(cluster.members),
                key_phrases=phrases[cluster.cluster_id].phrases,
                sibling_key_phrases=tuple(
                    phrases[other].phrases
                    for other in siblings[parent]
                    if other != cluster.cluster_id
                ),
                exemplars=_exemplars(columns, vectors, cluster.members),
                main_subject=subject,
                main_subject_share=subject_share,
                main_failure_form=str(form),
                main_failure_form_share=form_share,
            )
        )
    return gathered


def _key_phrases(errors: pd.DataFrame, found: Sequence[_Cluster]) -> dict[str, KeyPhrases]:
    """Find each cluster's phrases against its siblings and what is left of their parent."""
    texts = errors["text"].tolist()
    phrases = [phrases_of(text) for text in texts]
    families: dict[str | None, list[_Cluster]] = defaultdict(list)
    members = {cluster.cluster_id: cluster.members for cluster in found}
    for cluster in found:
        families[cluster.parent_id].append(cluster)
    result: dict[str, KeyPhrases] = {}
    for parent, family in families.items():
        everyone = members[parent] if parent else np.arange(len(texts))
        rest = np.setdiff1d(everyone, np.concatenate([cluster.members for cluster in family]))
        groups = {cluster.cluster_id: cluster.members for cluster in family} | {_REST: rest}
        result |= key_phrases(
            {name: [phrases[row] for row in rows] for name, rows in groups.items()}
        )
    return {name: found for name, found in result.items() if name != _REST}


def _exemplars(
    columns: dict[str, list[Any]], vectors: FloatMatrix, members: npt.NDArray[np.intp]
) -> tuple[Exemplar, ...]:
    central, diverse = exemplars(vectors[members])
    roles = [(row, "central") for row in central] + [(row, "diverse") for row in diverse]
    return tuple(
        Exemplar(
            role=role,
            **{
                name: columns[name][members[row]]
                for name in (
                    "example_id",
                    "question",
                    "gold",
                    "prediction",
                    "failure_form",
                    "response_tail",
                )
            },
        )
        for row, role in roles
    )


def _most_frequent(values: Sequence[str | None]) -> tuple[str | None, float]:
    """Return the most frequent value that is not None, ties by alphabet, and its share of all."""
    named, counts = np.unique([value for value in values if value is not None], return_counts=True)
    if not len(named):
        return None, 0.0
    best = int(np.argmax(counts))
    return str(named[best]), float(counts[best] / len(values))


def _unique_among_siblings(
    evidence: Sequence[ClusterEvidence], labels: Sequence[ClusterLabel]
) -> list[ClusterLabel]:
    """Tell siblings of one name apart: by a key phrase not in it yet, else by a number."""
    if len(labels) != len(evidence):
        raise ValueError(f"the writer gave {len(labels)} labels for {len(evidence)} clusters")
    taken: set[tuple[str | None, str]] = set()
    unique = []
    for what, label in zip(evidence, labels, strict=True):
        names = [label.label]
        names += [f"{label.label}, {p}" for p in what.key_phrases if p not in label.label]
        names += [f"{label.label} ({number})" for number in range(2, len(labels) + 2)]
        name = next(name for name in names if (what.parent_id, name) not in taken)
        taken.add((what.parent_id, name))
        unique.append(dataclasses.replace(label, label=name))
    return unique


def _as_row(exemplar: Exemplar) -> dict[str, str | None]:
    row = dataclasses.asdict(exemplar)
    del row["response_tail"]
    return row


def _table(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    types = {
        "cluster_id": "str",
        "level": "int32",
        "parent_id": "str",
        "size": "int64",
        "share_of_errors": "float64",
        "label": "str",
        "description": "str",
        "key_phrases": "object",
        "written_by": "str",
        "faithfulness": "float64",
        "main_failure_form": "str",
        "main_failure_form_share": "float64",
        "main_subject": "str",
        "mean_similarity": "float64",
        "exemplars": "object",
    }
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in types.items()}
    )
