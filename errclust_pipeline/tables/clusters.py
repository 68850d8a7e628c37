"""Clusters of a model's errors, and their labels."""

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.tables.column import (
    FLOAT32,
    FROM_1,
    FROM_MINUS_1_TO_1,
    INT64,
    SETTINGS,
    category,
    count,
    flag,
    identifier,
    measure,
    records,
    share,
    text,
    texts,
)
from errclust_pipeline.tables.errors import ERROR_EMBEDDINGS, ERRORS
from errclust_pipeline.tables.table import Table
from errclust_pipeline.vocabulary import CAUSES, EXEMPLAR_ROLES, FAILURE_FORMS


def every_error_has_a_row_at_level_1(rows: pa.Table) -> list[str]:
    """Say how many errors have no row at level 1, be it as noise."""
    errors = len(rows["example_id"].unique())
    at_level_1 = int(pc.sum(pc.equal(rows["level"], 1)).as_py() or 0)
    missing = errors - at_level_1
    return [f"{missing:,} errors have no row at level 1"] if missing else []


def no_label_is_empty(rows: pa.Table) -> list[str]:
    """Say how many labels are blank."""
    empty = int(pc.sum(pc.equal(pc.utf8_trim_whitespace(rows["label"]), "")).as_py() or 0)
    return [f"{empty:,} labels are empty"] if empty else []


ERROR_CLUSTERS = Table(
    "error_clusters",
    "one error's cluster at one level; every error has exactly one row at level 1",
    ("example_id", "level"),
    (
        *ERROR_EMBEDDINGS.copies("example_id", "question_id"),
        count(
            "level",
            "Level of the hierarchy; 1 is the coarsest. Deeper levels exist only where a cluster "
            "splits.",
            range=FROM_1,
        ),
        identifier(
            "cluster_id",
            "The cluster that the error belongs to, e.g. 2, or 2.1 for a part of 2; null means "
            "noise: it belongs to none.",
            nullable=True,
        ),
        share(
            "strength",
            "Share of the error's neighbourhood that lies in the same cluster; null for noise.",
            type=FLOAT32,
            nullable=True,
        ),
        measure(
            "x",
            "Horizontal position in a 2-D layout, for display only; null if none was computed.",
            type=FLOAT32,
            nullable=True,
        ),
        measure(
            "y",
            "Vertical position in a 2-D layout, for display only; null if none was computed.",
            type=FLOAT32,
            nullable=True,
        ),
    ),
    made_from=ERROR_EMBEDDINGS.paths("embedding"),
    rules=(every_error_has_a_row_at_level_1,),
)

CLUSTER_LABELS = Table(
    "cluster_labels",
    "one cluster of one model's errors, named",
    ("cluster_id",),
    (
        identifier(
            "cluster_id",
            "The cluster: 2 is at level 1, 2.1 is a part of it.",
            made_from=ERROR_CLUSTERS.paths("cluster_id"),
        ),
        count(
            "level",
            "Level of the hierarchy; 1 is the coarsest.",
            range=FROM_1,
            made_from=ERROR_CLUSTERS.paths("level"),
        ),
        identifier(
            "parent_id",
            "The cluster that this one is a part of; null at level 1.",
            nullable=True,
            made_from=ERROR_CLUSTERS.paths("cluster_id"),
        ),
        count(
            "size",
            "Errors in the cluster.",
            type=INT64,
            unit="errors",
            made_from=ERROR_CLUSTERS.paths("cluster_id"),
        ),
        share(
            "share_of_errors",
            "`size` divided by the number of all errors of the model on the benchmark.",
            made_from=ERROR_CLUSTERS.paths("cluster_id"),
        ),
        text("label", "The cluster's name."),
        text(
            "description",
            "One more sentence about the cluster; null if the writer gave none.",
            nullable=True,
        ),
        texts(
            "key_phrases",
            "Phrases that are frequent in this cluster and rare in others.",
            made_from=ERRORS.paths("text") + ERROR_CLUSTERS.paths("cluster_id"),
        ),
        category(
            "written_by",
            "Who wrote the label: the name of a language model, or key_phrases if it was put "
            "together from key phrases.",
            made_from=(SETTINGS,),
        ),
        category(
            "cause",
            "Why the answers are probably wrong, as the language model suspects: "
            + ", ".join(CAUSES)
            + ". Null if none was asked.",
            nullable=True,
            words=CAUSES,
        ),
        flag(
            "shares_one_thing",
            "Whether the language model finds that the members have one thing in common; null if "
            "none was asked.",
            nullable=True,
        ),
        share(
            "faithfulness",
            "Balanced accuracy at telling held-out members of the cluster from other errors by the "
            "similarity of their embeddings to the label's; 0.5 is chance. Null if there are too "
            "few errors to test.",
            nullable=True,
        ),
        share(
            "faithfulness_low",
            "Lower end of the 95 % confidence interval of `faithfulness`; null without it.",
            nullable=True,
        ),
        share(
            "faithfulness_high",
            "Upper end of the 95 % confidence interval of `faithfulness`; null without it.",
            nullable=True,
        ),
        share(
            "judged_faithfulness",
            "Balanced accuracy of a language model that is shown the label and tells held-out "
            "members from other errors; 0.5 is chance. Null if none was asked.",
            nullable=True,
        ),
        share(
            "judged_faithfulness_low",
            "Lower end of the 95 % confidence interval of `judged_faithfulness`; null without it.",
            nullable=True,
        ),
        share(
            "judged_faithfulness_high",
            "Upper end of the 95 % confidence interval of `judged_faithfulness`; null without it.",
            nullable=True,
        ),
        flag(
            "is_faithful",
            "Whether at least one faithfulness test shows that the label tells members from others "
            "(its interval lies above 0.5), no test shows the contrary, and the label fits no "
            "sibling cluster better. Null if it was not tested.",
            nullable=True,
        ),
        share(
            "distinctiveness",
            "Share of the label's words that do not describe the sibling clusters as well; "
            "null if it was not measured.",
            nullable=True,
        ),
        text(
            "problem",
            "Why the language model's own label was not used, or why the label is unfaithful; null "
            "if there is no problem.",
            nullable=True,
        ),
        identifier(
            "reused_from",
            "Model and cluster, as model|cluster, that the label was written for first; null if it "
            "was written for this cluster.",
            nullable=True,
        ),
        category(
            "main_failure_form",
            "The most frequent failure form of the members.",
            words=FAILURE_FORMS,
            made_from=ERRORS.paths("failure_form"),
        ),
        share(
            "main_failure_form_share",
            "Share of the members that fail in this form.",
            made_from=ERRORS.paths("failure_form"),
        ),
        category(
            "main_subject",
            "The most frequent subject of the members; null if they have none.",
            nullable=True,
            made_from=ERRORS.paths("subject"),
        ),
        measure(
            "mean_similarity",
            "Mean cosine similarity of the members to their centroid.",
            range=FROM_MINUS_1_TO_1,
            made_from=ERROR_EMBEDDINGS.paths("embedding"),
        ),
        records(
            "exemplars",
            "Members that represent the cluster: the most central ones, then the most diverse.",
            identifier("example_id", "The error."),
            category(
                "role",
                "Why it was chosen: central or diverse.",
                words=EXEMPLAR_ROLES,
            ),
            text("question", "The question."),
            text("gold", "The right answer.", nullable=True),
            text("prediction", "The answer that was extracted.", nullable=True),
            category("failure_form", "How the response fails.", words=FAILURE_FORMS),
            made_from=ERROR_EMBEDDINGS.paths("embedding") + ERRORS.paths("question"),
        ),
    ),
    made_from=ERRORS.paths("text", "failure_form") + ERROR_CLUSTERS.paths("cluster_id"),
    rules=(no_label_is_empty,),
)
