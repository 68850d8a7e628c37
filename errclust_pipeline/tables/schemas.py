"""Every table's columns, types and meaning.

The partition columns ``benchmark`` and ``model`` are not listed: they stand in the hive path
(``benchmark=…/model=…``) and every view shows them as text columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

FAILURE_FORMS = ("wrong_answer", "no_answer", "truncated", "repetition", "refusal", "empty")
"""How a response fails on its face; `analysis.errors` has the rules."""


@dataclass(frozen=True)
class Table:
    """One table: its name, what one row is, the columns that identify a row, and its schema."""

    name: str
    grain: str
    key: tuple[str, ...]
    schema: pa.Schema


def _column(name: str, type_: pa.DataType, description: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, type_, nullable=nullable, metadata={"description": description})


def _key(name: str, type_: pa.DataType, description: str) -> pa.Field:
    return _column(name, type_, description, nullable=False)


_EXAMPLE_ID = _key("example_id", pa.string(), "the source's own id of the question, unique here")
_QUESTION_ID = _key(
    "question_id", pa.string(), "hash of the question's normalised text and choices"
)

RESPONSES = Table(
    "responses",
    "one scored response of the model to one question of the benchmark",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _column("subject", pa.string(), "category inside the benchmark"),
            _key("question", pa.string(), "the question as the benchmark states it"),
            _column("choices", pa.list_(pa.string()), "the options, in order; null if open"),
            _column("gold", pa.string(), "the right answer as text"),
            _column("gold_choice", pa.int32(), "position of the right option, from 0"),
            _column("response", pa.string(), "what the model wrote; null if only scored"),
            _column("prediction", pa.string(), "the answer extracted from the response"),
            _column("predicted_choice", pa.int32(), "position of the option chosen, from 0"),
            _column(
                "prediction_guessed",
                pa.bool_(),
                "true if the source filled the prediction in because none stood in the response",
            ),
            _key("score", pa.float64(), "the deciding metric's value, 0 (wrong) to 1 (right)"),
            _key("correct", pa.bool_(), "whether the score reaches the submission's threshold"),
            _key("metric", pa.string(), "the metric that decided"),
            _column("filter", pa.string(), "the answer filter that decided, if several"),
            _column(
                "choice_log_likelihoods",
                pa.list_(pa.float64()),
                "log-likelihood of each option, where the model was scored by them",
            ),
            _column("finish_reason", pa.string(), "why generation stopped, e.g. stop or length"),
            _column("metadata", pa.string(), "what else the source says of the row, a JSON object"),
            _key("model_name", pa.string(), "the model's true name, before encoding"),
            _key("benchmark_name", pa.string(), "the benchmark's true name, before encoding"),
            _key("source", pa.string(), "the file the row was read from"),
            _key("position", pa.int64(), "the row's position in that file, from 0"),
            _key("revision", pa.string(), "the submission's content fingerprint"),
        ]
    ),
)

REJECTS = Table(
    "rejects",
    "one row of a result file that could not be used",
    ("source", "position"),
    pa.schema(
        [
            _key("source", pa.string(), "the file"),
            _key("position", pa.int64(), "the row's position in the file, from 0"),
            _key("reason", pa.string(), "a short code, the same for rows of the same fault"),
            _key("detail", pa.string(), "what was wrong and what was expected"),
            _column("excerpt", pa.string(), "the row's first characters"),
            _key("revision", pa.string(), "the submission's content fingerprint"),
        ]
    ),
)

ERRORS = Table(
    "errors",
    "one response scored below the threshold",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _column("subject", pa.string(), "category inside the benchmark"),
            _key("failure_form", pa.string(), "how it fails: " + ", ".join(FAILURE_FORMS)),
            _key("question", pa.string(), "the question"),
            _column("gold", pa.string(), "the right answer as text"),
            _column("prediction", pa.string(), "the answer extracted from the response"),
            _column("response_tail", pa.string(), "the response's last characters"),
            _key("score", pa.float64(), "the deciding metric's value"),
            _key("text", pa.string(), "the text that is embedded"),
            _key("text_id", pa.string(), "hash of that text"),
        ]
    ),
)

ERROR_EMBEDDINGS = Table(
    "error_embeddings",
    "one error's embedding",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _key("text_id", pa.string(), "hash of the embedded text"),
            _key("embedding", pa.list_(pa.float32()), "unit-length vector"),
        ]
    ),
)

ERROR_CLUSTERS = Table(
    "error_clusters",
    "one error's cluster at one level; every error has exactly one row at level 1",
    ("example_id", "level"),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _key("level", pa.int32(), "1 is the coarsest; deeper only where a cluster splits"),
            _column("cluster_id", pa.string(), "the cluster, e.g. 2 or 2.1; null is noise"),
            _column(
                "strength",
                pa.float32(),
                "share of its neighbourhood in its cluster, 0 to 1; null for noise",
            ),
            _column("x", pa.float32(), "2-D position, for display only"),
            _column("y", pa.float32(), "2-D position, for display only"),
        ]
    ),
)

_EXEMPLAR = pa.struct(
    [
        pa.field("example_id", pa.string()),
        pa.field("role", pa.string()),
        pa.field("question", pa.string()),
        pa.field("gold", pa.string()),
        pa.field("prediction", pa.string()),
        pa.field("failure_form", pa.string()),
    ]
)

CLUSTER_LABELS = Table(
    "cluster_labels",
    "one cluster of one model's errors, named",
    ("cluster_id",),
    pa.schema(
        [
            _key("cluster_id", pa.string(), "path of the cluster, e.g. 2 or 2.1"),
            _key("level", pa.int32(), "1 is the coarsest"),
            _column("parent_id", pa.string(), "the cluster it is part of; null at level 1"),
            _key("size", pa.int64(), "errors in the cluster"),
            _key("share_of_errors", pa.float64(), "size over all errors of the model here, 0 to 1"),
            _key("label", pa.string(), "the cluster's name"),
            _column("description", pa.string(), "one sentence more"),
            _key("key_phrases", pa.list_(pa.string()), "phrases frequent here and rare elsewhere"),
            _key("written_by", pa.string(), "key_phrases, or the language model's name"),
            _column("faithfulness", pa.float64(), "how well the label tells members apart"),
            _key("main_failure_form", pa.string(), "the most frequent failure form of the members"),
            _key("main_failure_form_share", pa.float64(), "its share of the members, 0 to 1"),
            _column("main_subject", pa.string(), "the most frequent subject of the members"),
            _key("mean_similarity", pa.float64(), "mean cosine of the members to their centroid"),
            _key("exemplars", pa.list_(_EXEMPLAR), "the most central and the most diverse members"),
        ]
    ),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (RESPONSES, REJECTS, ERRORS, ERROR_EMBEDDINGS, ERROR_CLUSTERS, CLUSTER_LABELS)
}
