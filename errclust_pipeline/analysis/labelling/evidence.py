"""What is known of each cluster before it is named."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import FloatMatrix
from errclust_pipeline.analysis.labelling.exemplars import exemplars
from errclust_pipeline.analysis.labelling.key_phrases import KeyPhrases, key_phrases, phrases_of
from errclust_pipeline.analysis.labelling.writer import ClusterEvidence, Exemplar

if TYPE_CHECKING:
    import pandas as pd

NEAR_MISSES = 4
_REST = "(errors of no cluster)"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster and the rows of its errors, in ascending order."""

    cluster_id: str
    level: int
    members: npt.NDArray[np.intp]

    @property
    def parent_id(self) -> str | None:
        """The cluster that it is part of; None at level 1."""
        return self.cluster_id.rpartition(".")[0] or None


def clusters_of(errors: pd.DataFrame, clusters: pd.DataFrame) -> list[Cluster]:
    """Return the clusters of a table `error_clusters`, coarsest first, ordered by number.

    Raises
    ------
    ValueError
        If a member is not among the errors.
    """
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
    return [Cluster(name, level, np.sort(members[level, name])) for level, name in in_order]


def error_columns(errors: pd.DataFrame) -> dict[str, list[Any]]:
    """Return columns as lists, missing values as None."""
    return {
        name: [None if null else value for value, null in zip(values, nulls, strict=True)]
        for name in (
            "example_id",
            "question_id",
            "subject",
            "failure_form",
            "question",
            "gold",
            "prediction",
            "response_tail",
        )
        for values, nulls in [(errors[name].tolist(), errors[name].isna().tolist())]
    }


def gather_evidence(
    errors: pd.DataFrame,
    columns: dict[str, list[Any]],
    vectors: FloatMatrix,
    found: Sequence[Cluster],
    aside: npt.NDArray[np.bool_],
    with_near_misses: bool,
) -> list[ClusterEvidence]:
    """Return what is known of each cluster, names beside and above it aside, in the same order.

    Parameters
    ----------
    errors : DataFrame
        The table `errors`.
    columns : dict
        Its `error_columns`.
    vectors : array, shape (n, dimensions)
        Unit vectors, in the same order.
    found : sequence of Cluster
    aside : bool array, shape (n,)
        Which errors no example and no phrase is taken from (`set_aside`).
    with_near_misses : bool
        Whether to look for errors of other clusters that lie nearest.
    """
    seen = ~aside
    phrases = _key_phrases(errors, found, seen)
    siblings: dict[str | None, list[str]] = defaultdict(list)
    for cluster in found:
        siblings[cluster.parent_id].append(cluster.cluster_id)
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
                exemplars=choose_exemplars(
                    columns, vectors, cluster.members[seen[cluster.members]]
                ),
                main_subject=subject,
                main_subject_share=subject_share,
                main_failure_form=str(form),
                main_failure_form_share=form_share,
                near_misses=tuple(
                    exemplar_of(columns, row, "near_miss")
                    for row in _near_misses(vectors, cluster.members, seen)
                )
                if with_near_misses
                else (),
                part_key_phrases=tuple(
                    phrases[part].phrases for part in siblings[cluster.cluster_id]
                ),
            )
        )
    return gathered


def _key_phrases(
    errors: pd.DataFrame, found: Sequence[Cluster], seen: npt.NDArray[np.bool_]
) -> dict[str, KeyPhrases]:
    """Find each cluster's phrases against its siblings and what is left of their parent."""
    texts = errors["text"].tolist()
    phrases = {row: phrases_of(texts[row]) for row in np.flatnonzero(seen)}
    families: dict[str | None, list[Cluster]] = defaultdict(list)
    members = {cluster.cluster_id: cluster.members for cluster in found}
    for cluster in found:
        families[cluster.parent_id].append(cluster)
    result: dict[str, KeyPhrases] = {}
    for parent, family in families.items():
        everyone = members[parent] if parent else np.arange(len(texts))
        rest = np.setdiff1d(everyone, np.concatenate([cluster.members for cluster in family]))
        groups = {cluster.cluster_id: cluster.members for cluster in family} | {_REST: rest}
        result |= key_phrases(
            {name: [phrases[row] for row in rows[seen[rows]]] for name, rows in groups.items()}
        )
    return {name: found for name, found in result.items() if name != _REST}


def choose_exemplars(
    columns: dict[str, list[Any]], vectors: FloatMatrix, members: npt.NDArray[np.intp]
) -> tuple[Exemplar, ...]:
    """Return members that show a cluster: the most central and the most diverse ones."""
    central, diverse = exemplars(vectors[members])
    roles = [(row, "central") for row in central] + [(row, "diverse") for row in diverse]
    return tuple(exemplar_of(columns, int(members[row]), role) for row, role in roles)


def exemplar_of(columns: dict[str, list[Any]], row: int, role: str) -> Exemplar:
    """Return an error, given its row, as it is shown as an example."""
    names = ("example_id", "question", "gold", "prediction", "failure_form", "response_tail")
    return Exemplar(role=role, **{name: columns[name][row] for name in names})


def _near_misses(
    vectors: FloatMatrix, members: npt.NDArray[np.intp], seen: npt.NDArray[np.bool_]
) -> list[int]:
    """Return rows of other clusters nearest to a cluster's centroid, no two of them copies."""
    others = np.setdiff1d(np.flatnonzero(seen), members)
    similarity = np.round(vectors[others] @ vectors[members].mean(axis=0), 6)
    nearest = others[np.argsort(-similarity, kind="stable")][: 4 * NEAR_MISSES]
    if not len(nearest):
        return []
    central, _ = exemplars(vectors[nearest], central=len(nearest), diverse=0)
    return [int(nearest[row]) for row in sorted(central)[:NEAR_MISSES]]


def _most_frequent(values: Sequence[str | None]) -> tuple[str | None, float]:
    """Return the most frequent value that is not None, ties by alphabet, and its share of all."""
    named, counts = np.unique([value for value in values if value is not None], return_counts=True)
    if not len(named):
        return None, 0.0
    best = int(np.argmax(counts))
    return str(named[best]), float(counts[best] / len(values))
