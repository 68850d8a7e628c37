"""Names for the regions of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy.typing as npt

from errclust_pipeline.analysis.labelling import (
    ClusterEvidence,
    ClusterLabel,
    KeyPhraseLabelWriter,
    label_clusters,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "region_id",
    "level",
    "parent_id",
    "size",
    "share_of_questions",
    "label",
    "description",
    "key_phrases",
    "written_by",
    "main_subject",
    "mean_similarity",
    "exemplars",
)


class _RegionWriter(KeyPhraseLabelWriter):
    """Names regions by their key phrases and describes them as what they are: questions."""

    def write(self, evidence: ClusterEvidence) -> ClusterLabel:
        return ClusterLabel(super().write(evidence).label, _description(evidence), self.name)


def label_regions(
    questions: pd.DataFrame, embeddings: npt.ArrayLike, question_map: pd.DataFrame
) -> pd.DataFrame:
    """Name the regions of a map by what sets their questions apart.

    Parameters
    ----------
    questions : DataFrame
        The table `questions`.
    embeddings : array, shape (n, dimensions)
        In the same order.
    question_map : DataFrame
        The table `question_map`.

    Returns
    -------
    DataFrame
        With the columns of the table `region_labels`, coarsest level first. ``size`` counts
        near-duplicates as well.
    """
    import pandas as pd

    in_region = question_map[question_map["region_id"].notna()]
    rows = [
        (question_id, depth, ".".join(parts[:depth]))
        for question_id, path in zip(
            in_region["question_id"].tolist(), in_region["region_id"].tolist(), strict=True
        )
        for parts in [path.split(".")]
        for depth in range(1, len(parts) + 1)
    ]
    members = pd.DataFrame(rows, columns=["example_id", "level", "cluster_id"])
    described = questions.assign(
        example_id=questions["question_id"],
        # A question is nobody's error: these columns of an error say nothing here.
        failure_form="none",
        prediction=None,
        response_tail=None,
    )
    labels = label_clusters(described, embeddings, members, _RegionWriter())
    labels = labels.rename(
        columns={"cluster_id": "region_id", "share_of_errors": "share_of_questions"}
    )
    shown = [
        [
            {"question_id": one["example_id"], "question": one["question"], "role": one["role"]}
            for one in exemplars
        ]
        for exemplars in labels["exemplars"]
    ]
    labels["exemplars"] = pd.Series(shown, index=labels.index, dtype="object")
    return labels[list(COLUMNS)]


def _description(region: ClusterEvidence) -> str:
    questions = "1 question" if region.size == 1 else f"{region.size:,} questions"
    if region.main_subject is None:
        return f"{questions}."
    return f"{questions}, {region.main_subject_share:.0%} of them in {region.main_subject}."
