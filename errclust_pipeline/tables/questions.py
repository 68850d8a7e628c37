"""A benchmark's questions, their map, and the names of the map's regions."""

import pyarrow as pa

from errclust_pipeline.tables.column import (
    FLOAT32,
    FROM_0_TO_1,
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
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.table import KeptBy, Table
from errclust_pipeline.vocabulary import EXEMPLAR_ROLES

_FLOATS = pa.list_(pa.float64())

QUESTIONS = Table(
    "questions",
    "one distinct question of the benchmark, whichever models were asked it",
    ("question_id",),
    (
        *RESPONSES.copies("question_id", "subject", "question", "choices", "gold"),
        text("text", "The text that is embedded: the question and its choices."),
        identifier("text_id", "Hash of that text."),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=RESPONSES.paths("question", "choices"),
)

QUESTION_MAP = Table(
    "question_map",
    "one question's place on the benchmark's map",
    ("question_id",),
    (
        *QUESTIONS.copies("question_id"),
        count(
            "position",
            "Number of the question's point on the map, from 0. Near-duplicates share the point of "
            "the question that stands for them.",
        ),
        flag(
            "stands_for_itself",
            "Whether the point is the question's own; false for a near-duplicate of another one.",
        ),
        count(
            "near_duplicates",
            "Number of other questions that share the point.",
            unit="questions",
        ),
        identifier(
            "region_id",
            "The smallest region that the question lies in, e.g. 2.1; null if it lies in none.",
            nullable=True,
        ),
        count(
            "in_degree",
            "Number of questions that have this one among their 30 nearest neighbours.",
            unit="questions",
        ),
        count(
            "neighbours",
            "Positions of the nearest other points, nearest first; null for a near-duplicate.",
            type=pa.list_(pa.int32()),
            nullable=True,
        ),
        measure(
            "similarities",
            "Cosine similarity to each of `neighbours`; null for a near-duplicate.",
            type=pa.list_(FLOAT32),
            range=FROM_MINUS_1_TO_1,
            nullable=True,
        ),
        measure(
            "walk_own_weights",
            "For each length of a random walk on the map, the probability that a walk from this "
            "question ends on it; null for a near-duplicate.",
            type=_FLOATS,
            range=FROM_0_TO_1,
            nullable=True,
        ),
        measure(
            "walk_squares",
            "For each length of a random walk, the sum of the squares of the walk's end "
            "probabilities: 1 over it is about how many questions the walk averages over. Null for "
            "a near-duplicate.",
            type=_FLOATS,
            range=FROM_0_TO_1,
            nullable=True,
        ),
        measure(
            "walk_cubes",
            "For each length of a random walk, the sum of the cubes of the walk's end "
            "probabilities; null for a near-duplicate.",
            type=_FLOATS,
            range=FROM_0_TO_1,
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
    kept_by=KeptBy.BENCHMARK,
    made_from=QUESTIONS.paths("text"),
)

REGION_LABELS = Table(
    "region_labels",
    "one region of the benchmark's map, named",
    ("region_id",),
    (
        identifier(
            "region_id",
            "The region: 2 is at level 1, 2.1 is a part of it. It keeps its id as long as the map "
            "stays the same.",
            made_from=QUESTION_MAP.paths("region_id"),
        ),
        count("level", "Level of the hierarchy; 1 is the coarsest.", range=FROM_1),
        identifier(
            "parent_id", "The region that this one is a part of; null at level 1.", nullable=True
        ),
        count(
            "size",
            "Questions in the region, near-duplicates counted.",
            type=INT64,
            unit="questions",
        ),
        share("share_of_questions", "`size` divided by the number of all questions."),
        text(
            "label",
            "The region's name.",
            made_from=QUESTIONS.paths("question") + QUESTION_MAP.paths("region_id"),
        ),
        text(
            "description",
            "One more sentence about the region; null if the writer gave none.",
            nullable=True,
            made_from=QUESTIONS.paths("question") + QUESTION_MAP.paths("region_id"),
        ),
        texts(
            "key_phrases",
            "Phrases that are frequent in this region and rare in others.",
            made_from=QUESTIONS.paths("text") + QUESTION_MAP.paths("region_id"),
        ),
        category(
            "written_by",
            "Who wrote the label: the name of a language model, or key_phrases if it was put "
            "together from key phrases.",
            made_from=(SETTINGS,),
        ),
        category(
            "main_subject",
            "The most frequent subject of the region's questions; null if they have none.",
            nullable=True,
            made_from=QUESTIONS.paths("subject"),
        ),
        measure(
            "mean_similarity",
            "Mean cosine similarity of the region's questions to their centroid.",
            range=FROM_MINUS_1_TO_1,
            made_from=QUESTIONS.paths("text") + QUESTION_MAP.paths("region_id"),
        ),
        records(
            "exemplars",
            "Questions that represent the region: the most central ones, then the most diverse.",
            identifier("question_id", "The question's id."),
            text("question", "The question."),
            category("role", "Why it was chosen: central or diverse.", words=EXEMPLAR_ROLES),
            made_from=QUESTIONS.paths("text", "question") + QUESTION_MAP.paths("region_id"),
        ),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=QUESTION_MAP.paths("region_id"),
)
