"""A model's errors and their embeddings."""

import pyarrow as pa

from errclust_pipeline.tables.column import (
    FLOAT32,
    UNIT_LENGTH,
    Column,
    Role,
    category,
    identifier,
    text,
)
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.table import Table
from errclust_pipeline.vocabulary import FAILURE_FORMS

ERRORS = Table(
    "errors",
    "one response scored below the threshold",
    ("example_id",),
    (
        *RESPONSES.copies("example_id", "question_id", "subject"),
        category(
            "failure_form",
            "How the response fails on its face, by rules: " + ", ".join(FAILURE_FORMS) + ".",
            words=FAILURE_FORMS,
            made_from=RESPONSES.paths(
                "response",
                "prediction",
                "prediction_guessed",
                "extraction_recorded",
                "finish_reason",
                "choice_log_likelihoods",
            ),
        ),
        *RESPONSES.copies("question", "gold", "prediction"),
        text(
            "response_tail",
            "The last characters of the response; null if the source holds no response.",
            nullable=True,
            made_from=RESPONSES.paths("response"),
        ),
        *RESPONSES.copies("score"),
        text("text", "The text that is embedded; the setting `errors.text` decides what it holds."),
        identifier("text_id", "Hash of that text."),
    ),
    made_from=RESPONSES.paths("question", "choices", "gold", "prediction", "response"),
)

ERROR_EMBEDDINGS = Table(
    "error_embeddings",
    "one error's embedding",
    ("example_id",),
    (
        *ERRORS.copies("example_id", "question_id", "text_id"),
        Column(
            "embedding",
            "The embedding of the error's text, a vector of unit length.",
            pa.list_(FLOAT32),
            Role.VECTOR,
            range=UNIT_LENGTH,
            made_from=ERRORS.paths("text"),
        ),
    ),
)
