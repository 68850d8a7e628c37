"""How sure a model is of its answers, and whether it may be.

From log-likelihoods of options: probabilities (`option_probabilities`, which refuses what cannot be
compared), conformal sets that hold the right option with a promised probability, calibration, the
four corners of confidence and correctness, and where on a map of questions all that varies.
"""

from errclust_pipeline.analysis.uncertainty.calibration import (
    calibration_curve,
    calibration_error_by_chance,
    expected_calibration_error,
)
from errclust_pipeline.analysis.uncertainty.conformal import (
    DEFAULT_MISCOVERAGE,
    ConformalMethod,
    ConformalSets,
    RepeatedCalibration,
    conformal_sets,
    conformal_threshold,
    conformity_scores,
    repeated_calibration,
    sets_below,
    uncertainty_aware_accuracy,
)
from errclust_pipeline.analysis.uncertainty.corners import confident_from, corners
from errclust_pipeline.analysis.uncertainty.measure import (
    OptionsOnMap,
    Uncertainty,
    measure_uncertainty,
)
from errclust_pipeline.analysis.uncertainty.options import (
    REMEDIES,
    NoOptionProbabilitiesError,
    OptionProbabilities,
    chosen_options,
    option_probabilities,
)
from errclust_pipeline.analysis.uncertainty.regions import (
    GradedAnswers,
    coverage_by_region,
    undercoverage_p,
)

__all__ = [
    "DEFAULT_MISCOVERAGE",
    "REMEDIES",
    "ConformalMethod",
    "ConformalSets",
    "GradedAnswers",
    "NoOptionProbabilitiesError",
    "OptionProbabilities",
    "OptionsOnMap",
    "RepeatedCalibration",
    "Uncertainty",
    "calibration_curve",
    "calibration_error_by_chance",
    "chosen_options",
    "confident_from",
    "conformal_sets",
    "conformal_threshold",
    "conformity_scores",
    "corners",
    "coverage_by_region",
    "expected_calibration_error",
    "measure_uncertainty",
    "option_probabilities",
    "repeated_calibration",
    "sets_below",
    "uncertainty_aware_accuracy",
    "undercoverage_p",
]
