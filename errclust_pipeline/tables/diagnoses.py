"""Why sampled responses are wrong, as a language model diagnoses them, and clusters of that."""

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.tables.clusters import CLUSTER_LABELS, ERROR_CLUSTERS
from errclust_pipeline.tables.column import (
    NON_NEGATIVE,
    SETTINGS,
    category,
    identifier,
    measure,
    text,
)
from errclust_pipeline.tables.errors import ERRORS
from errclust_pipeline.tables.questions import QUESTION_MAP
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.table import Table
from errclust_pipeline.vocabulary import CAUSES


def every_error_has_a_diagnosis_or_a_problem(rows: pa.Table) -> list[str]:
    """Say how many rows tell neither a diagnosis nor why there is none."""
    neither = pc.and_(pc.is_null(rows["diagnosis"]), pc.is_null(rows["problem"]))
    count = int(pc.sum(neither).as_py() or 0)
    return [f"{count:,} errors have neither a diagnosis nor a problem"] if count else []


ERROR_DIAGNOSES = Table(
    "error_diagnoses",
    "one error of a sample, diagnosed by a language model: why the response is wrong",
    ("example_id",),
    (
        *ERRORS.copies("example_id", "question_id"),
        identifier(
            "region_id",
            "The region of level 1 of the map that the error was sampled from; null if it lies in "
            "none.",
            nullable=True,
            made_from=QUESTION_MAP.paths("region_id"),
        ),
        measure(
            "weight",
            "How many errors of the region this one stands for.",
            unit="errors",
            range=NON_NEGATIVE,
            made_from=QUESTION_MAP.paths("region_id"),
        ),
        category(
            "cause",
            "The kind of mistake: " + ", ".join(CAUSES) + ". Null without a diagnosis.",
            nullable=True,
            words=CAUSES,
        ),
        text(
            "diagnosis",
            "What kind of mistake it is, in general terms; null if `problem` says why not.",
            nullable=True,
        ),
        text(
            "missing",
            "The skill or fact that would have prevented the mistake; null without a diagnosis.",
            nullable=True,
        ),
        text(
            "first_wrong_step",
            "The first thing in the response that is wrong; null without a diagnosis.",
            nullable=True,
        ),
        identifier(
            "compared_with",
            "The model whose right response the language model was shown beside; null if there was "
            "none.",
            nullable=True,
            made_from=RESPONSES.paths("correct", "response"),
        ),
        text(
            "text",
            "The text that is embedded to cluster diagnoses; null without one.",
            nullable=True,
        ),
        identifier("text_id", "Hash of that text; null without one.", nullable=True),
        category("written_by", "The language model's name.", made_from=(SETTINGS,)),
        text("problem", "Why there is no diagnosis; null if there is one.", nullable=True),
    ),
    made_from=RESPONSES.paths("question", "choices", "gold", "response", "prediction")
    + ERRORS.paths("failure_form"),
    rules=(every_error_has_a_diagnosis_or_a_problem,),
)

DIAGNOSIS_CLUSTERS = Table(
    "diagnosis_clusters",
    "one diagnosed error's cluster at one level, by why the response is wrong",
    ERROR_CLUSTERS.key,
    ERROR_CLUSTERS.columns_made_from(
        ERROR_DIAGNOSES.paths("text"),
        example_id=ERROR_DIAGNOSES.paths("example_id"),
        question_id=ERROR_DIAGNOSES.paths("question_id"),
    ),
    rules=ERROR_CLUSTERS.rules,
)

DIAGNOSIS_LABELS = Table(
    "diagnosis_labels",
    "one cluster of diagnoses, named",
    CLUSTER_LABELS.key,
    CLUSTER_LABELS.columns_made_from(
        ERROR_DIAGNOSES.paths("text"),
        written_by=(SETTINGS,),
        main_failure_form=ERRORS.paths("failure_form"),
        main_failure_form_share=ERRORS.paths("failure_form"),
        main_subject=ERRORS.paths("subject"),
        exemplars=ERROR_DIAGNOSES.paths("text") + ERRORS.paths("question"),
    ),
    rules=CLUSTER_LABELS.rules,
)
