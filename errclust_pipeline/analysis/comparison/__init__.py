"""Honest comparisons of models on one benchmark: where one is worse, and where the gap differs."""

from errclust_pipeline.analysis.comparison.agreement import Agreement, agreement
from errclust_pipeline.analysis.comparison.artefacts import ModelMarks, leave_out_artefacts
from errclust_pipeline.analysis.comparison.intervals import (
    ClusteredMean,
    clustered_mean,
    newcombe_paired_interval,
    wilson_interval,
)
from errclust_pipeline.analysis.comparison.leaderboard import (
    Accuracy,
    clustered_accuracy,
    leaderboard,
)
from errclust_pipeline.analysis.comparison.pairs import (
    Gate,
    ModelAnswers,
    PairComparison,
    compare_models,
    compare_pair,
    heterogeneity_gate,
)
from errclust_pipeline.analysis.comparison.seriation import seriated
from errclust_pipeline.analysis.comparison.signatures import Signatures, fit_signatures

__all__ = [
    "Accuracy",
    "Agreement",
    "ClusteredMean",
    "Gate",
    "ModelAnswers",
    "ModelMarks",
    "PairComparison",
    "Signatures",
    "agreement",
    "clustered_accuracy",
    "clustered_mean",
    "compare_models",
    "compare_pair",
    "fit_signatures",
    "heterogeneity_gate",
    "leaderboard",
    "leave_out_artefacts",
    "newcombe_paired_interval",
    "seriated",
    "wilson_interval",
]
