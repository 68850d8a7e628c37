"""Names for clusters: key phrases, exemplars, and what a label writer is."""

from errclust_pipeline.analysis.labelling.exemplars import exemplars
from errclust_pipeline.analysis.labelling.key_phrases import KeyPhrases, key_phrases, phrases_of
from errclust_pipeline.analysis.labelling.labels import label_clusters
from errclust_pipeline.analysis.labelling.writer import (
    ClusterEvidence,
    ClusterLabel,
    Exemplar,
    KeyPhraseLabelWriter,
    LabelWriter,
)

__all__ = [
    "ClusterEvidence",
    "ClusterLabel",
    "Exemplar",
    "KeyPhraseLabelWriter",
    "KeyPhrases",
    "LabelWriter",
    "exemplars",
    "key_phrases",
    "label_clusters",
    "phrases_of",
]
