"""Names for clusters: key phrases, exemplars, and what a label writer is."""

from errclust_pipeline.analysis.labelling.distinctiveness import (
    distinctiveness,
    is_nearly_the_same_name,
)
from errclust_pipeline.analysis.labelling.exemplars import exemplars
from errclust_pipeline.analysis.labelling.faithfulness import (
    Faithfulness,
    balanced_accuracy,
    faithfulness_by_similarity,
    fits_another_better,
    set_aside,
    unseen,
)
from errclust_pipeline.analysis.labelling.key_phrases import KeyPhrases, key_phrases, phrases_of
from errclust_pipeline.analysis.labelling.labels import KnownLabel, label_clusters
from errclust_pipeline.analysis.labelling.language_writer import LanguageModelLabelWriter
from errclust_pipeline.analysis.labelling.writer import (
    ClusterEvidence,
    ClusterLabel,
    Exemplar,
    JudgeCase,
    KeyPhraseLabelWriter,
    LabelWriter,
)

__all__ = [
    "ClusterEvidence",
    "ClusterLabel",
    "Exemplar",
    "Faithfulness",
    "JudgeCase",
    "KeyPhraseLabelWriter",
    "KeyPhrases",
    "KnownLabel",
    "LabelWriter",
    "LanguageModelLabelWriter",
    "balanced_accuracy",
    "distinctiveness",
    "exemplars",
    "faithfulness_by_similarity",
    "fits_another_better",
    "is_nearly_the_same_name",
    "key_phrases",
    "label_clusters",
    "phrases_of",
    "set_aside",
    "unseen",
]
