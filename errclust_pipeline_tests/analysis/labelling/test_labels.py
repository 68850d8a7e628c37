from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from errclust_pipeline.analysis.labelling import (
    ClusterEvidence,
    ClusterLabel,
    KeyPhraseLabelWriter,
    label_clusters,
)
from errclust_pipeline.tables import CLUSTER_LABELS

TEXTS = {
    "1.1": "How many kilometres are {} miles by road",
    "1.2": "How many kilograms are {} pounds of flour",
    "2": "Did the court of state {} uphold the contract",
    None: "A stranger of number {}",
}
SIZES = {"1.1": 8, "1.2": 6, "2": 5, None: 2}


def errors_and_clusters() -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    ids = [cluster for cluster, size in SIZES.items() for _ in range(size)]
    names = [f"e{row:02d}" for row in range(len(ids))]
    texts = [str(TEXTS[cluster]).format(row) for row, cluster in enumerate(ids)]
    errors = pd.DataFrame(
        {
            "example_id": names,
            "question_id": names,
            "subject": ["law" if cluster == "2" else "units" for cluster in ids],
            "failure_form": ["wrong_answer"] * 7 + ["no_answer"] * 14,
            "question": texts,
            "gold": ["1"] * 21,
            "prediction": [None] * 21,
            "response_tail": ["It is."] * 21,
            "text": texts,
        }
    )
    directions = {"1.1": 0, "1.2": 1, "2": 2, None: 3}
    vectors = np.eye(4)[[directions[cluster] for cluster in ids]]
    vectors += np.random.default_rng(0).normal(size=vectors.shape) * 0.05
    rows = [(name, 1, cluster and cluster[0]) for name, cluster in zip(names, ids, strict=True)]
    rows += [
        (name, 2, cluster)
        for name, cluster in zip(names, ids, strict=True)
        if cluster and "." in cluster
    ]
    return errors, vectors, pd.DataFrame(rows, columns=["example_id", "level", "cluster_id"])


def labels(writer: object = None) -> pd.DataFrame:
    table = label_clusters(*errors_and_clusters(), writer or KeyPhraseLabelWriter())  # type: ignore[arg-type]
    pa.Table.from_pandas(table, schema=CLUSTER_LABELS.schema, preserve_index=False)
    return table.set_index("cluster_id")


def test_every_cluster_is_named_with_its_place_size_and_share() -> None:
    table = labels()
    assert table.index.tolist() == ["1", "2", "1.1", "1.2"]
    assert table["level"].tolist() == [1, 1, 2, 2]
    assert table["parent_id"].astype(object).where(table["parent_id"].notna(), None).tolist() == [
        None,
        None,
        "1",
        "1",
    ]
    assert table["size"].tolist() == [14, 5, 8, 6]
    assert table["share_of_errors"].tolist() == pytest.approx([14 / 21, 5 / 21, 8 / 21, 6 / 21])
    assert table["faithfulness"].isna().all()
    assert set(table["written_by"]) == {"key_phrases"}


def test_labels_say_what_sets_a_cluster_apart_from_its_siblings() -> None:
    table = labels()
    assert "kilometres" in table.loc["1.1", "key_phrases"]
    assert "kilograms" in table.loc["1.2", "key_phrases"]
    assert "kilometres" in table.loc["1.1", "label"]
    assert "court" in " ".join(table.loc["2", "key_phrases"])


def test_the_description_is_a_sentence_with_sizes_and_shares() -> None:
    table = labels()
    assert table.loc["1.1", "description"] == (
        "8 errors, 100% of them in units; 88% have a wrong answer."
    )
    assert table.loc["1", ["main_failure_form", "main_failure_form_share"]].tolist() == [
        "no_answer",
        0.5,
    ], "ties go by alphabet"
    assert table.loc["2", "main_subject"] == "law"


def test_exemplars_are_members_with_their_role() -> None:
    errors, _, _ = errors_and_clusters()
    shown = labels().loc["2", "exemplars"]
    members = set(errors.loc[errors["subject"] == "law", "example_id"])
    assert {exemplar["example_id"] for exemplar in shown} == members
    assert [exemplar["role"] for exemplar in shown] == ["central"] * 3 + ["diverse"] * 2
    assert shown[0]["prediction"] is None
    assert set(shown[0]) == {
        "example_id",
        "role",
        "question",
        "gold",
        "prediction",
        "failure_form",
    }


def test_mean_similarity_is_that_to_the_centroid() -> None:
    _, vectors, _ = errors_and_clusters()
    members = vectors[14:19] / np.linalg.norm(vectors[14:19], axis=1, keepdims=True)
    mean = members.mean(axis=0)
    expected = (members @ mean / np.linalg.norm(mean)).mean()
    assert labels().loc["2", "mean_similarity"] == pytest.approx(expected, abs=1e-6)


def test_no_clusters_make_an_empty_table_that_fits_its_schema() -> None:
    errors, vectors, clusters = errors_and_clusters()
    for part in (clusters.iloc[:0], clusters.assign(cluster_id=None)):
        table = label_clusters(errors, vectors, part, KeyPhraseLabelWriter())
        rows = pa.Table.from_pandas(table, schema=CLUSTER_LABELS.schema, preserve_index=False)
        assert rows.num_rows == 0
    table = label_clusters(
        errors.iloc[:0], np.empty((0, 0)), clusters.iloc[:0], KeyPhraseLabelWriter()
    )
    assert table.empty


class Monotonous(KeyPhraseLabelWriter):
    """Says the same of everything and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__(name="monotonous")
        object.__setattr__(self, "evidence", {})

    def write_all(self, evidence: Sequence[ClusterEvidence]) -> list[ClusterLabel]:
        self.evidence.update({cluster.cluster_id: cluster for cluster in evidence})
        return [ClusterLabel("errors", None, self.name) for _ in evidence]


def test_siblings_of_one_name_are_told_apart() -> None:
    table = labels(Monotonous())
    assert table.loc[["1", "1.1"], "label"].tolist() == ["errors", "errors"], "not siblings"
    assert table.loc["2", "label"] == f"errors, {table.loc['2', 'key_phrases'][0]}"
    assert table.loc["1.1", "label"] != table.loc["1.2", "label"]


def test_a_writer_sees_family_and_exemplars() -> None:
    writer = Monotonous()
    labels(writer)
    part, whole = writer.evidence["1.1"], writer.evidence["1"]
    assert part.parent_id == "1"
    assert part.parent_key_phrases == whole.key_phrases
    assert part.sibling_key_phrases == (writer.evidence["1.2"].key_phrases,)
    assert part.exemplars[0].response_tail == "It is."
    assert whole.parent_key_phrases == ()


def test_a_writer_that_loses_a_cluster_is_refused() -> None:
    class Forgetful(Monotonous):
        def write_all(self, evidence: Sequence[ClusterEvidence]) -> list[ClusterLabel]:
            return super().write_all(evidence)[1:]

    with pytest.raises(ValueError, match="1 labels for 2 clusters"):
        labels(Forgetful())


def test_tables_that_do_not_belong_together_are_refused() -> None:
    errors, vectors, clusters = errors_and_clusters()
    with pytest.raises(ValueError, match="21 errors but 20 embeddings"):
        label_clusters(errors, vectors[1:], clusters, KeyPhraseLabelWriter())
    with pytest.raises(ValueError, match="'e00', which is no error"):
        label_clusters(errors.iloc[1:], vectors[1:], clusters, KeyPhraseLabelWriter())


def evidence(**changes: object) -> ClusterEvidence:
    values: dict[str, object] = {
        "cluster_id": "1",
        "parent_id": None,
        "parent_key_phrases": (),
        "size": 1200,
        "key_phrases": ("unit conversion", "kilometres", "miles", "yards"),
        "sibling_key_phrases": (),
        "exemplars": (),
        "main_subject": "unit_conversion",
        "main_subject_share": 0.5,
        "main_failure_form": "refusal",
        "main_failure_form_share": 0.25,
    }
    return ClusterEvidence(**(values | changes))  # type: ignore[arg-type]


def test_a_label_reads_as_plain_words() -> None:
    label = KeyPhraseLabelWriter().write(evidence())
    assert label.label == "unit conversion · kilometres, miles"
    assert label.description == "1,200 errors, 50% of them in unit conversion; 25% have a refusal."


def test_without_phrases_the_subject_names_the_cluster() -> None:
    write = KeyPhraseLabelWriter().write
    assert write(evidence(key_phrases=())).label == "unit conversion"
    nameless = write(evidence(key_phrases=(), main_subject=None, size=1))
    assert nameless.label == "unnamed"
    assert nameless.description == "1 error; 25% have a refusal."


def test_hostile_subjects_and_long_phrases_stay_short_and_printable() -> None:
    hostile = "\x1b[31m<script>\n| a" + "b" * 500
    label = KeyPhraseLabelWriter().write(evidence(key_phrases=(), main_subject=hostile))
    for text in (label.label, label.description or ""):
        assert text.isprintable()
        assert len(text) <= 300
        assert "<" not in text
    assert len(KeyPhraseLabelWriter().write(evidence(key_phrases=("a" * 90,))).label) == 80
