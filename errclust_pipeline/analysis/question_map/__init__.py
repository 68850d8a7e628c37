"""A benchmark's questions as a map: near-duplicates collapsed, neighbours, nested regions.

The map is shared by all models and knows nothing of their answers; `analysis.spatial` and
`analysis.comparison` put marks on it.
"""

from errclust_pipeline.analysis.question_map.duplicates import near_duplicates
from errclust_pipeline.analysis.question_map.question_map import (
    QuestionMap,
    QuestionMapSettings,
    build_question_map,
)
from errclust_pipeline.analysis.question_map.questions import (
    content_version,
    merge_questions,
    questions_of,
)
from errclust_pipeline.analysis.question_map.region_labels import label_regions

__all__ = [
    "QuestionMap",
    "QuestionMapSettings",
    "build_question_map",
    "content_version",
    "label_regions",
    "merge_questions",
    "near_duplicates",
    "questions_of",
]
