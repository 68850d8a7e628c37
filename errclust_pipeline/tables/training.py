"""Which errors training examples should resemble, and which answer keys are suspected."""

from errclust_pipeline.tables.column import (
    FROM_1,
    FROM_MINUS_1_TO_1,
    NON_NEGATIVE,
    Range,
    category,
    count,
    identifier,
    identifiers,
    measure,
    probability,
    share,
    text,
)
from errclust_pipeline.tables.errors import ERRORS
from errclust_pipeline.tables.questions import QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.statistics import HOT_SPOTS
from errclust_pipeline.tables.table import Table
from errclust_pipeline.vocabulary import FAILURE_FORMS

_CORRECT = RESPONSES.paths("correct")
_ANSWERS = RESPONSES.paths("correct", "prediction", "predicted_choice", "prediction_guessed")
_IN_REGION = _CORRECT + QUESTION_MAP.paths("region_id")

TRAINING_CANDIDATES = Table(
    "training_candidates",
    "one error of the development split that training examples should be like",
    ("rank",),
    (
        count("rank", "Order in which the errors were picked, from 1.", range=FROM_1),
        identifier(
            "question_id",
            "The question, which itself is never training data.",
            made_from=QUESTIONS.paths("question_id"),
        ),
        text("question", "The question's text.", made_from=QUESTIONS.paths("question")),
        identifier(
            "region_id",
            "The smallest region that holds most of the errors that the pick covers; null if none "
            "does.",
            nullable=True,
        ),
        category(
            "label",
            "The name of that region; null if there is none.",
            nullable=True,
            made_from=REGION_LABELS.paths("label"),
        ),
        share("gain", "Share of the demand that the pick covers beyond earlier picks."),
        share("coverage", "Share of the demand that the picks up to this one cover."),
        count(
            "newly_covered",
            "Errors that the pick covers better than earlier picks do.",
            unit="errors",
        ),
        identifiers("newly_covered_ids", "The first of their questions, most gain first."),
        share(
            "error_rate",
            "The model's error rate in the region; null if it is not known.",
            nullable=True,
            made_from=_IN_REGION,
        ),
        share(
            "others_error_rate",
            "The other models' error rate in the region; null without other models.",
            nullable=True,
            made_from=_IN_REGION,
        ),
        share(
            "hot_share",
            "Share of the newly covered errors that lie where the model errs more than difficulty "
            "explains.",
            made_from=HOT_SPOTS.paths("q_hot", "adjusted_q_hot"),
        ),
        category(
            "failure_form",
            "The most frequent failure form of the newly covered errors; null if there is none.",
            nullable=True,
            words=FAILURE_FORMS,
            made_from=ERRORS.paths("failure_form"),
        ),
        count(
            "nearest_pick",
            "Rank of the most similar earlier pick; null for the first pick.",
            range=FROM_1,
            nullable=True,
            made_from=QUESTIONS.paths("text"),
        ),
        measure(
            "nearest_pick_similarity",
            "Cosine similarity to that pick; null for the first pick.",
            range=FROM_MINUS_1_TO_1,
            nullable=True,
            made_from=QUESTIONS.paths("text"),
        ),
        measure(
            "weight",
            "Demand for examples at the question: the product of the next five columns, of which "
            "`others_right` enters as 1/4 + 3/4 of its value.",
            range=NON_NEGATIVE,
        ),
        share(
            "local_rate",
            "The model's error rate around the question, shrunk toward its overall rate.",
            made_from=_CORRECT + QUESTION_MAP.paths("neighbours"),
        ),
        share(
            "others_right",
            "Share of the other models that are right on the question; null without other models.",
            nullable=True,
            made_from=_CORRECT,
        ),
        measure(
            "hot",
            "2 where the model errs more than difficulty explains, else 1.",
            range=Range(1, 2),
            made_from=HOT_SPOTS.paths("q_hot", "adjusted_q_hot"),
        ),
        measure(
            "reach",
            "How many questions have this one among their neighbours, on a log scale from 1/4 to 2 "
            "where 1 is average.",
            range=Range(0.25, 2),
            made_from=QUESTION_MAP.paths("neighbours"),
        ),
        measure(
            "trust",
            "0.1 if the answer key is suspected to be wrong, else 1.",
            range=Range(0.1, 1),
            made_from=_ANSWERS,
        ),
        text("reason", "The row as a sentence."),
    ),
    made_from=_CORRECT
    + QUESTIONS.paths("text")
    + QUESTION_MAP.paths("neighbours", "region_id")
    + HOT_SPOTS.paths("q_hot", "adjusted_q_hot"),
)

SUSPECTED_FAULTS = Table(
    "suspected_faults",
    "one error of the model on a question whose key may be wrong, for review",
    ("question_id",),
    (
        *QUESTION_MAP.copies("question_id"),
        probability(
            "probability",
            "Probability that another answer than the key's is right, at least 0.5. It is an upper "
            "bound: it supposes that as many keys are wrong as the answers allow.",
        ),
        measure(
            "likelihood_ratio",
            "How many times more frequent such answers are where a key is wrong than among all "
            "questions.",
            range=NON_NEGATIVE,
        ),
        *QUESTIONS.copies("gold"),
        text("other_answer", "The answer that most models agree on instead."),
        count("agreeing", "Models that gave that answer.", unit="models"),
        count("wrong", "Models whose answer is not the key's.", unit="models"),
        count("answered", "Models that were asked the question.", unit="models"),
        text("reason", "The row as a sentence."),
    ),
    made_from=_ANSWERS + QUESTION_MAP.paths("neighbours") + QUESTIONS.paths("choices"),
)
