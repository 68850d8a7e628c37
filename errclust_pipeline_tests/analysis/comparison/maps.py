"""A small map of questions."""

import numpy as np

from errclust_pipeline.analysis.clustering import ClusteringSettings
from errclust_pipeline.analysis.question_map import (
    QuestionMap,
    QuestionMapSettings,
    build_question_map,
)


def small_map(questions: int) -> QuestionMap:
    """Return a map of so many questions in four groups."""
    rng = np.random.default_rng(0)
    centres = np.eye(4, 16).repeat(-(-questions // 4), axis=0)[:questions]
    vectors = (centres + 0.2 * rng.standard_normal((questions, 16))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [f"q{number}" for number in range(questions)]
    table = build_question_map(
        names, names, vectors, QuestionMapSettings(neighbours=20), ClusteringSettings(layout=False)
    )
    return QuestionMap.from_table(table)
