"""Where a model's errors concentrate on the map, and whether they do at all."""

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
from errclust_pipeline.tables.errors import ERRORS
from errclust_pipeline.tables.questions import QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.table import Table
from errclust_pipeline.vocabulary import AUTOCORRELATION_MARKS, FAILURE_FORMS, HOT_REGION_BASES

_MARKS_ON_THE_MAP = QUESTION_MAP.paths("neighbours") + RESPONSES.paths("correct")
_QUADRANTS = "1 HH, 2 LH, 3 LL, 4 HL, where the first letter is the question's own mark"

HOT_SPOTS = Table(
    "hot_spots",
    "one question at one scale: whether errors around it are more or fewer than chance explains",
    ("question_id", "k"),
    (
        *QUESTION_MAP.copies("question_id"),
        count(
            "k",
            "Scale: the number of nearest neighbours that are counted.",
            unit="questions",
            range=FROM_1,
            made_from=(SETTINGS,),
        ),
        flag(
            "error",
            "Whether the model is wrong on the question itself.",
            made_from=RESPONSES.paths("correct"),
        ),
        count("errors", "Errors among the neighbours that the model answered.", unit="errors"),
        count("draws", "Neighbours that the model answered.", unit="questions"),
        share(
            "smoothed_rate",
            "Error rate among the neighbours, shrunk toward the model's overall rate; for display. "
            "Null if the model answered no neighbour.",
            nullable=True,
        ),
        p_value(
            "p_hot",
            "Exact p value of at least as many errors around the question, if the model's errors "
            "lay anywhere on the map.",
        ),
        q_value("q_hot", "Benjamini-Hochberg q value of `p_hot` over the questions at this scale."),
        p_value(
            "p_cold",
            "Exact p value of at most as many errors around the question, if the model's errors "
            "lay anywhere on the map.",
        ),
        q_value(
            "q_cold", "Benjamini-Hochberg q value of `p_cold` over the questions at this scale."
        ),
        measure(
            "local_moran",
            "Local Moran's I, scaled as in PySAL; null where it is not defined.",
            nullable=True,
        ),
        measure(
            "gi_star",
            "z score of Getis-Ord Gi*; null where it is not defined.",
            unit="standard deviations",
            nullable=True,
        ),
        count(
            "quadrant",
            f"Quadrant of the Moran scatter plot, as in PySAL: {_QUADRANTS}.",
            type=pa.int8(),
            range=Range(1, 4),
        ),
        probability(
            "expected_error",
            "Probability that the model errs on the question, from how other models fare on it; "
            "null if there are too few models to know.",
            nullable=True,
        ),
        measure(
            "adjusted_expected",
            "Errors among the neighbours that the questions' difficulty explains; null without "
            "`expected_error`.",
            unit="errors",
            range=NON_NEGATIVE,
            nullable=True,
        ),
        p_value(
            "adjusted_p_hot",
            "Exact p value of at least as many errors around the question, given the difficulty of "
            "its neighbours; null without `expected_error`.",
            nullable=True,
        ),
        q_value(
            "adjusted_q_hot",
            "Benjamini-Hochberg q value of `adjusted_p_hot` over the questions at this scale; "
            "null without `expected_error`.",
            nullable=True,
        ),
        p_value(
            "adjusted_p_cold",
            "Exact p value of at most as many errors around the question, given the difficulty of "
            "its neighbours; null without `expected_error`.",
            nullable=True,
        ),
        q_value(
            "adjusted_q_cold",
            "Benjamini-Hochberg q value of `adjusted_p_cold` over the questions at this scale; "
            "null without `expected_error`.",
            nullable=True,
        ),
    ),
    made_from=_MARKS_ON_THE_MAP,
)

HOT_REGIONS = Table(
    "hot_regions",
    "one place where the model's errors concentrate",
    ("basis", "rank"),
    (
        category(
            "basis",
            "What concentrates there: errors, or beyond_difficulty (errors beyond those that the "
            "questions' difficulty for other models explains).",
            words=HOT_REGION_BASES,
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
            made_from=_MARKS_ON_THE_MAP + QUESTIONS.paths("question"),
        ),
        count("size", "Questions in the place that the model answered.", unit="questions"),
        count("errors", "Errors among them.", unit="errors"),
        share("rate", "Error rate in the place."),
        share("low", "Lower end of the 95 % confidence interval of `rate` (Clopper-Pearson)."),
        share("high", "Upper end of the 95 % confidence interval of `rate` (Clopper-Pearson)."),
        count(
            "core",
            "Questions of the place whose own surroundings are significant; the others were added "
            "because they make the place more likely.",
            unit="questions",
        ),
        share("outside_rate", "Error rate on all other questions."),
        measure(
            "expected",
            "Errors to expect in the place: at the overall error rate, or by difficulty where the "
            "basis is beyond_difficulty.",
            unit="errors",
            range=NON_NEGATIVE,
        ),
        measure(
            "log_likelihood_ratio",
            "Log-likelihood ratio of errors being more frequent inside than outside, or than "
            "expected. The place was grown to make it large.",
            unit="nats",
        ),
        count(
            "walk",
            "Length of the shortest random walk at which half of the core is significant.",
            unit="steps",
        ),
        count(
            "scale",
            "About how many questions a walk of that length averages over.",
            unit="questions",
        ),
        q_value(
            "q",
            "q value of a typical question of the core: the median of the smallest q value that "
            "each has over all scales.",
        ),
        count(
            "replicated_halves",
            "How many of two random halves of the questions confirm the place when it is sought on "
            "the other half.",
            range=Range(0, 2),
        ),
        measure(
            "held_out_excess",
            "Error rate beyond what is expected on the half of the questions where the place was "
            "not sought; null if it was not found again.",
            nullable=True,
        ),
        share(
            "hot_share_by_k",
            "Share of the place's questions that are significantly hot at each scale of "
            "`hot_spots`, smallest scale first.",
            type=pa.list_(pa.float64()),
        ),
        measure(
            "visible_excess",
            "Smallest excess of the error rate that would mostly be detected in this place; null "
            "if none would.",
            nullable=True,
        ),
        category(
            "failure_form",
            "A failure form that is significantly more frequent here than among other errors; null "
            "if there is none.",
            nullable=True,
            words=FAILURE_FORMS,
            made_from=_MARKS_ON_THE_MAP + ERRORS.paths("failure_form"),
        ),
        share(
            "failure_form_share",
            "Share of the errors here that have that form; null without one.",
            nullable=True,
            made_from=_MARKS_ON_THE_MAP + ERRORS.paths("failure_form"),
        ),
        share(
            "failure_form_share_elsewhere",
            "Share of all other errors that have that form; null without one.",
            nullable=True,
            made_from=_MARKS_ON_THE_MAP + ERRORS.paths("failure_form"),
        ),
        q_value(
            "failure_form_q",
            "q value of the difference between the two shares; null without a form.",
            nullable=True,
            made_from=_MARKS_ON_THE_MAP + ERRORS.paths("failure_form"),
        ),
        p_value(
            "scan_p",
            "p value of the scan statistic's zone that overlaps the place; null if no zone does.",
            nullable=True,
        ),
        identifiers(
            "question_ids",
            "The questions of the place.",
            made_from=QUESTION_MAP.paths("question_id"),
        ),
        identifiers(
            "exemplars",
            "Questions answered wrongly whose surroundings have the smallest p values.",
            made_from=QUESTION_MAP.paths("question_id"),
        ),
    ),
    made_from=_MARKS_ON_THE_MAP,
)

AUTOCORRELATION = Table(
    "autocorrelation",
    "one mark at one scale: whether errors concentrate at all",
    ("mark", "k"),
    (
        category(
            "mark",
            "What is tested: errors, or residual (errors less the probability of an error that "
            "the question's difficulty gives).",
            words=AUTOCORRELATION_MARKS,
        ),
        count(
            "k",
            "Scale: the number of nearest neighbours.",
            unit="questions",
            range=FROM_1,
            made_from=(SETTINGS,),
        ),
        count("questions", "Questions that have a mark.", unit="questions"),
        measure(
            "moran",
            "Moran's I, the spatial autocorrelation of the marks: 0 if they lie anywhere, above 0 "
            "if like marks lie together. Null where all marks are equal.",
            nullable=True,
        ),
        measure(
            "expected",
            "Mean of Moran's I over all permutations of the marks; null where all are equal.",
            nullable=True,
        ),
        measure(
            "z",
            "Standard score of `moran`, from the exact mean and variance over all permutations; "
            "null where all marks are equal.",
            unit="standard deviations",
            nullable=True,
        ),
        p_value(
            "p",
            "Share of random permutations with a Moran's I as large, one-sided; null where all "
            "marks are equal.",
            nullable=True,
        ),
        count(
            "permutations",
            "Random permutations that `p` was counted over.",
            made_from=(SETTINGS,),
        ),
        measure(
            "joins_both",
            "Join count BB: pairs of neighbours that are both errors; each neighbour relation "
            "counts one half. Null for residuals.",
            range=NON_NEGATIVE,
            nullable=True,
        ),
        measure(
            "joins_neither",
            "Join count WW: pairs of neighbours that are both right. Null for residuals.",
            range=NON_NEGATIVE,
            nullable=True,
        ),
        measure(
            "joins_one",
            "Join count BW: pairs of neighbours of which one is an error. Null for residuals.",
            range=NON_NEGATIVE,
            nullable=True,
        ),
        measure(
            "in_degree_skewness",
            "Skewness of how often questions are neighbours of others at this scale: large if a "
            "few hubs are everybody's neighbour.",
            made_from=QUESTION_MAP.paths("neighbours"),
        ),
        count(
            "largest_in_degree",
            "How many questions have the largest hub among their neighbours.",
            unit="questions",
            made_from=QUESTION_MAP.paths("neighbours"),
        ),
        share(
            "orphans",
            "Share of questions that are no question's neighbour at this scale.",
            made_from=QUESTION_MAP.paths("neighbours"),
        ),
        flag(
            "artefacts_left_out",
            "Whether responses without a readable answer were left out.",
            made_from=(SETTINGS,),
        ),
        count(
            "models_for_difficulty",
            "Models on the benchmark; residuals need at least 3.",
            unit="models",
            made_from=RESPONSES.paths("correct"),
        ),
    ),
    made_from=_MARKS_ON_THE_MAP,
)
