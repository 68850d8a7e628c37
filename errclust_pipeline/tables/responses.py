"""What is read from result files: scored responses, and rows that could not be used."""

import pyarrow as pa

from errclust_pipeline.tables.column import (
    FROM_0_TO_1,
    INT64,
    SOURCE,
    Role,
    category,
    count,
    flag,
    identifier,
    measure,
    text,
    texts,
)
from errclust_pipeline.tables.table import Table

RESPONSES = Table(
    "responses",
    "one scored response of the model to one question of the benchmark",
    ("example_id",),
    (
        identifier(
            "example_id",
            "The id that the source gives the question; made unique within this partition.",
        ),
        identifier(
            "question_id",
            "Hash of the question's normalised text and choices: the same question has the same id "
            "for every model.",
        ),
        text(
            "subject",
            "Category of the question inside the benchmark; null if it has none.",
            role=Role.CATEGORY,
            nullable=True,
        ),
        text("question", "The question as the benchmark states it."),
        texts("choices", "The options in their order; null for an open question.", nullable=True),
        text(
            "gold", "The right answer as text; null if the source does not hold it.", nullable=True
        ),
        count(
            "gold_choice",
            "Position of the right option in `choices`, from 0; null for an open question.",
            nullable=True,
        ),
        text(
            "response",
            "What the model wrote; null if the source holds only its score.",
            nullable=True,
        ),
        text(
            "prediction",
            "The answer that the source extracted from the response; null if there is none.",
            nullable=True,
        ),
        count(
            "predicted_choice",
            "Position of the option that the model chose, from 0; null if it chose none.",
            nullable=True,
        ),
        flag(
            "prediction_guessed",
            "Whether the benchmark's script made the prediction up because the response held none; "
            "null if the source does not say.",
            nullable=True,
        ),
        flag(
            "extraction_recorded",
            "Whether the source says which answers it extracted. If not, a null `prediction` does "
            "not mean that the response held no answer.",
        ),
        measure(
            "score",
            "Value of the deciding metric, from 0 (wrong) to 1 (right).",
            range=FROM_0_TO_1,
        ),
        flag("correct", "Whether `score` reaches the threshold of the submission."),
        text("metric", "Name of the metric that decides.", role=Role.CATEGORY),
        text(
            "filter",
            "Name of the answer filter that decides; null unless the source used several.",
            role=Role.CATEGORY,
            nullable=True,
        ),
        measure(
            "choice_log_likelihoods",
            "Log-likelihood of each option, in the order of `choices`; null if the model was not "
            "scored by log-likelihoods.",
            type=pa.list_(pa.float64()),
            unit="nats",
            nullable=True,
        ),
        count(
            "choice_lengths",
            "Length of the text that each log-likelihood belongs to, e.g. 1 where only the "
            "option's letter was scored; null if it is not known.",
            type=pa.list_(pa.int32()),
            unit="characters",
            nullable=True,
        ),
        text(
            "finish_reason",
            "Why generation stopped, e.g. stop or length; null if the source does not say.",
            role=Role.CATEGORY,
            nullable=True,
        ),
        text(
            "metadata",
            "Whatever else the source says about the row, as a JSON object; null if nothing.",
            nullable=True,
        ),
        identifier("model_name", "The model's name as the source writes it."),
        identifier("benchmark_name", "The benchmark's name as the source writes it."),
        identifier("source", "The file that the row was read from."),
        count("position", "Position of the row in that file, from 0.", type=INT64),
        identifier(
            "revision",
            "Version of the submission: the hash of its content, or the commit on the Hub.",
        ),
    ),
    made_from=(SOURCE,),
)

REJECTS = Table(
    "rejects",
    "one row of a result file that could not be used",
    ("source", "position"),
    (
        identifier("source", "The file."),
        count("position", "Position of the row in that file, from 0.", type=INT64),
        category("reason", "Short code of the problem; rows with the same problem share it."),
        text("detail", "What is wrong with the row, and what was expected."),
        text(
            "excerpt",
            "The first characters of the row; null if it could not be read.",
            nullable=True,
        ),
        identifier(
            "revision",
            "Version of the submission: the hash of its content, or the commit on the Hub.",
        ),
    ),
    made_from=(SOURCE,),
)
