"""How sure a model is of its answers: conformal sets, calibration, and where they fail.

These tables exist for models whose log-likelihoods of the options are known.
"""

import pyarrow as pa

from errclust_pipeline.tables.column import (
    FROM_1,
    NON_NEGATIVE,
    SETTINGS,
    Range,
    category,
    count,
    flag,
    identifier,
    identifiers,
    measure,
    p_value,
    probability,
    q_value,
    share,
    texts,
)
from errclust_pipeline.tables.questions import QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.table import Table
from errclust_pipeline.vocabulary import (
    CONFORMAL_FORMS,
    CONFORMAL_SCORES,
    CORNERS,
    MEAN,
    UNCERTAINTY_BASES,
)

_OPTIONS = RESPONSES.paths("choice_log_likelihoods", "choice_lengths", "choices", "metric")
_ANSWERS = _OPTIONS + RESPONSES.paths("gold_choice")
_ON_THE_MAP = _ANSWERS + QUESTION_MAP.paths("neighbours")
_BY_REGION = _ANSWERS + QUESTION_MAP.paths("region_id")


def set_sizes_are_possible(rows: pa.Table) -> list[str]:
    """Say how many conformal sets are larger than the question has options, or less than empty."""
    problems = []
    for name in ("set_size", "lac_set_size", "aps_set_size"):
        sizes, options = rows[name].to_numpy(), rows["options"].to_numpy()
        outside = int((~((sizes >= 0) & (sizes <= options))).sum())
        if outside:
            problems.append(f"{outside:,} values of {name} are below 0 or above the options")
    return problems


UNCERTAINTY = Table(
    "uncertainty",
    "one question of which the model's log-likelihoods of the options are known: how sure it is",
    ("question_id",),
    (
        *QUESTION_MAP.copies("question_id"),
        count("options", "Options of the question.", unit="options", made_from=_OPTIONS),
        probability(
            "confidence",
            "Probability that the model gives to the option it chose.",
            made_from=_OPTIONS,
        ),
        flag("right", "Whether the chosen option is the right one."),
        category(
            "corner",
            "Confidence and correctness together: " + ", ".join(CORNERS) + ". A model counts as "
            "confident from its own median confidence on.",
            words=CORNERS,
        ),
        measure(
            "set_size",
            "Options in the question's conformal set: the mean of `lac_set_size` and "
            "`aps_set_size`.",
            unit="options",
        ),
        measure(
            "lac_set_size",
            "Options in the LAC set (in the form of LLM-Uncertainty-Bench), mean over repeated "
            "calibrations.",
            unit="options",
        ),
        share(
            "lac_covered",
            "Share of the repeated calibrations in which the LAC set holds the right option.",
        ),
        measure(
            "aps_set_size",
            "Options in the APS set (in the form of LLM-Uncertainty-Bench), mean over repeated "
            "calibrations.",
            unit="options",
        ),
        share(
            "aps_covered",
            "Share of the repeated calibrations in which the APS set holds the right option.",
        ),
        count(
            "k",
            "Number of nearest neighbours for the columns below, which are about the set size "
            "divided by the number of options.",
            unit="questions",
            made_from=QUESTION_MAP.paths("neighbours"),
        ),
        share(
            "average",
            "Mean of set size over options among the neighbours; null if none of them has one.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        measure(
            "z",
            "Standard score of `average` under permutation of the other questions (Getis-Ord Gi); "
            "null where it is not defined.",
            unit="standard deviations",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        p_value(
            "p_high",
            "p value of sets at least as large around the question, if large sets lay anywhere; "
            "null without `z`.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        q_value(
            "q_high",
            "Benjamini-Hochberg q value of `p_high` over the questions; null without `z`.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        p_value(
            "p_low",
            "p value of sets at most as large around the question, if small sets lay anywhere; "
            "null without `z`.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        q_value(
            "q_low",
            "Benjamini-Hochberg q value of `p_low` over the questions; null without `z`.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        measure(
            "local_moran",
            "Local Moran's I, scaled as in PySAL; null where it is not defined.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        count(
            "quadrant",
            "Quadrant of the Moran scatter plot, as in PySAL: 1 HH, 2 LH, 3 LL, 4 HL, where the "
            "first letter is the question's own set size.",
            type=pa.int8(),
            range=Range(1, 4),
            made_from=_ON_THE_MAP,
        ),
    ),
    made_from=_ANSWERS,
    rules=(set_sizes_are_possible,),
)

UNCERTAINTY_SUMMARY = Table(
    "uncertainty_summary",
    "conformal sets of one score and form on all questions of which log-likelihoods are known",
    ("score", "form"),
    (
        category(
            "score",
            "Conformity score: lac (1 - p of the option), aps (cumulative probability), or mean: "
            "the mean of both.",
            words=(*CONFORMAL_SCORES, MEAN),
            made_from=(SETTINGS,),
        ),
        category(
            "form",
            "How sets are built from scores: as textbooks have it, or as the paper on "
            "LLM-Uncertainty-Bench does.",
            words=CONFORMAL_FORMS,
            made_from=(SETTINGS,),
        ),
        share(
            "alpha",
            "Miscoverage: the share of sets that may miss the right option.",
            made_from=(SETTINGS,),
        ),
        count("questions", "Points of the map that could be used.", unit="questions"),
        count("left_out", "Responses that could not be used.", unit="responses"),
        count(
            "compared_by_length",
            "Questions whose log-likelihoods were divided by the options' lengths.",
            unit="questions",
        ),
        count("fewest_options", "Smallest number of options of a question.", unit="options"),
        count("most_options", "Largest number of options of a question.", unit="options"),
        share("accuracy", "Share of questions whose likeliest option is right."),
        probability("confidence", "Mean probability of the likeliest option."),
        probability(
            "confident_from",
            "Median probability of the likeliest option, from which on the model counts as "
            "confident.",
        ),
        share("calibration_error", "Expected calibration error over ten bins of equal width."),
        share(
            "calibration_error_by_chance",
            "95th percentile of the expected calibration error of a perfectly calibrated model "
            "with these probabilities.",
        ),
        measure(
            "set_size",
            "Mean set size over questions and repeated calibrations.",
            unit="options",
            range=NON_NEGATIVE,
        ),
        share("coverage", "Share of sets that hold the right option."),
        measure(
            "coverage_spread",
            "Standard deviation of the coverage over repeated calibrations; null if it is not "
            "defined.",
            range=NON_NEGATIVE,
            nullable=True,
        ),
        measure(
            "uacc",
            "Uncertainty-aware accuracy of LLM-Uncertainty-Bench: accuracy times the root of the "
            "number of options, divided by the set size. It may exceed 1; null if all sets are "
            "empty.",
            range=NON_NEGATIVE,
            nullable=True,
        ),
        count(
            "k",
            "Number of nearest neighbours for the columns below.",
            unit="questions",
            made_from=QUESTION_MAP.paths("neighbours"),
        ),
        measure(
            "moran",
            "Moran's I of set size over options: above 0 if large sets lie together on the map. "
            "Null where all are equal.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        measure(
            "moran_z",
            "Standard score of `moran`, from the exact mean and variance over all permutations; "
            "null where all set sizes are equal.",
            unit="standard deviations",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        p_value(
            "moran_p",
            "Share of random permutations with a Moran's I as large, one-sided; null where all set "
            "sizes are equal.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        measure(
            "adjusted_moran",
            "Moran's I of set sizes standardised among questions with the same number of options: "
            "above 0 if sets are larger together than the options explain. Null where all are "
            "equal.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        measure(
            "adjusted_moran_z",
            "Standard score of `adjusted_moran`, from permutations among questions with the same "
            "number of options; null where it is not defined.",
            unit="standard deviations",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
        p_value(
            "adjusted_moran_p",
            "Share of such permutations with a Moran's I as large, one-sided; null where it is not "
            "defined.",
            nullable=True,
            made_from=_ON_THE_MAP,
        ),
    ),
    made_from=_ANSWERS,
)

UNCERTAINTY_BY_REGION = Table(
    "uncertainty_by_region",
    "one region of the map: whether sets calibrated on all questions keep their promise there",
    ("score", "region_id"),
    (
        category(
            "score",
            "Conformity score: lac (1 - p of the option) or aps (cumulative probability).",
            words=CONFORMAL_SCORES,
            made_from=(SETTINGS,),
        ),
        *REGION_LABELS.copies("region_id"),
        count(
            "level",
            "Level of the region; 1 is the coarsest. Each level is tested by itself.",
            range=FROM_1,
            made_from=QUESTION_MAP.paths("region_id"),
        ),
        count("questions", "Questions of the region that could be used.", unit="questions"),
        share("accuracy", "Share of them that the model answers rightly."),
        probability("confidence", "Mean probability of the option chosen."),
        share("confidently_wrong", "Share of them that the model answers wrongly with confidence."),
        measure(
            "set_size",
            "Mean set size over them and over repeated calibrations, in the textbook form.",
            unit="options",
            range=NON_NEGATIVE,
        ),
        share("coverage", "Share of their sets that hold the right option."),
        share("low", "Lower end of the 95 % confidence interval of `coverage` (Clopper-Pearson)."),
        share("high", "Upper end of the 95 % confidence interval of `coverage` (Clopper-Pearson)."),
        p_value(
            "p",
            "p value of covering so few questions if the promised coverage held in the region "
            "(beta-binomial).",
        ),
        q_value("q", "Benjamini-Hochberg q value of `p` over the regions of the level."),
        measure(
            "mondrian_set_size",
            "Mean set size if sets are calibrated within the region (Mondrian).",
            unit="options",
            range=NON_NEGATIVE,
        ),
        share(
            "mondrian_coverage",
            "Share of sets that hold the right option if they are calibrated within the region.",
        ),
    ),
    made_from=_BY_REGION,
)

UNCERTAINTY_HOT_REGIONS = Table(
    "uncertainty_hot_regions",
    "one place where the model is confidently wrong, or unsure, more than elsewhere",
    ("basis", "rank"),
    (
        category(
            "basis",
            "What concentrates there: confidently_wrong (confident mistakes), uncertain (large "
            "sets), or uncertain_given_options (sets larger than those of questions with the same "
            "number of options).",
            words=UNCERTAINTY_BASES,
        ),
        count("rank", "Order within the basis; 1 has the smallest q value.", range=FROM_1),
        identifier(
            "region_id",
            "The smallest region of the map that holds most of the place; null if none does.",
            nullable=True,
            made_from=QUESTION_MAP.paths("region_id"),
        ),
        category(
            "label",
            "The name of that region; null if there is none.",
            nullable=True,
            made_from=REGION_LABELS.paths("label"),
        ),
        texts(
            "key_phrases",
            "Phrases that set the questions of the place apart from all others.",
            made_from=_ON_THE_MAP + QUESTIONS.paths("question"),
        ),
        count("size", "Questions in the place.", unit="questions"),
        measure(
            "value",
            "By the basis: the share of confident mistakes, the mean of set size over options, or "
            "that mean less the mean over questions with the same number of options.",
        ),
        measure("low", "Lower end of the 95 % confidence interval of `value`."),
        measure("high", "Upper end of the 95 % confidence interval of `value`."),
        measure(
            "outside_value",
            "The same value over all other questions; null if there are none.",
            nullable=True,
        ),
        share("accuracy", "Share of the place's questions that the model answers rightly."),
        probability("confidence", "Mean probability of the option chosen there."),
        measure(
            "set_size",
            "Mean set size there, the mean of LAC and APS.",
            unit="options",
            range=NON_NEGATIVE,
        ),
        count(
            "walk",
            "Length of the shortest random walk at which half of the place is significant.",
            unit="steps",
        ),
        count(
            "scale",
            "About how many questions a walk of that length averages over.",
            unit="questions",
        ),
        q_value(
            "q",
            "q value of a typical question of the place: the median of the smallest q value that "
            "each has over all scales.",
        ),
        count(
            "replicated_halves",
            "How many of two random halves of the questions confirm the place when it is sought on "
            "the other half; null where this is not tested.",
            range=Range(0, 2),
            nullable=True,
        ),
        measure(
            "held_out_excess",
            "Excess on the half of the questions where the place was not sought; null if this is "
            "not tested, or it was not found again.",
            nullable=True,
        ),
        identifiers(
            "question_ids",
            "The questions of the place.",
            made_from=QUESTION_MAP.paths("question_id"),
        ),
        identifiers(
            "exemplars",
            "The most confident mistakes of the place, or its least sure questions.",
            made_from=QUESTION_MAP.paths("question_id"),
        ),
    ),
    made_from=_ON_THE_MAP,
)
