"""The models of a benchmark side by side."""

from errclust_pipeline.tables.column import (
    FROM_1,
    FROM_MINUS_1_TO_1,
    NON_NEGATIVE,
    SETTINGS,
    count,
    identifier,
    measure,
    p_value,
    probability,
    q_value,
    share,
)
from errclust_pipeline.tables.errors import ERRORS
from errclust_pipeline.tables.questions import QUESTION_MAP
from errclust_pipeline.tables.responses import RESPONSES
from errclust_pipeline.tables.table import KeptBy, Table
from errclust_pipeline.tables.uncertainty import UNCERTAINTY_SUMMARY
from errclust_pipeline.vocabulary import ARTEFACT_FORMS

_CORRECT = RESPONSES.paths("question_id", "correct") + QUESTION_MAP.paths("position")
_BY_REGION = RESPONSES.paths("question_id", "correct") + QUESTION_MAP.paths("position", "region_id")
_FORMS = RESPONSES.paths("correct") + ERRORS.paths("failure_form")
_CHOICES = _CORRECT + RESPONSES.paths("predicted_choice", "prediction_guessed", "choices")
_MODEL = identifier("model", "The model's key in paths.", made_from=RESPONSES.paths("model_name"))
_A_OF_PAIR = identifier(
    "model_a",
    "Model A: the more accurate of the two, by its key.",
    made_from=RESPONSES.paths("model_name", "correct"),
)
_B_OF_PAIR = identifier(
    "model_b", "Model B: the other one.", made_from=RESPONSES.paths("model_name", "correct")
)
_REGION = identifier(
    "region_id", "The region of the map.", made_from=QUESTION_MAP.paths("region_id")
)

LEADERBOARD = Table(
    "leaderboard",
    "one model's overall result on the benchmark",
    ("model",),
    (
        _MODEL,
        count("questions", "Points of the map that the model answered.", unit="questions"),
        share(
            "accuracy",
            "Share of those points that the model answers rightly; null if it answered none.",
            nullable=True,
        ),
        share(
            "response_accuracy",
            "Share of all its responses that are right, repeated questions included: the figure "
            "that other leaderboards print. Null if there are none.",
            nullable=True,
            made_from=RESPONSES.paths("correct"),
        ),
        share(
            "low",
            "Lower end of the 95 % confidence interval of `accuracy`, cluster-robust over regions; "
            "null without it.",
            nullable=True,
            made_from=_BY_REGION,
        ),
        share(
            "high",
            "Upper end of the 95 % confidence interval of `accuracy`, cluster-robust over regions; "
            "null without it.",
            nullable=True,
            made_from=_BY_REGION,
        ),
        measure(
            "standard_error",
            "Cluster-robust standard error of `accuracy`; null if it is not defined.",
            range=NON_NEGATIVE,
            nullable=True,
            made_from=_BY_REGION,
        ),
        measure(
            "design_effect",
            "How many times larger the cluster-robust variance is than that of independent "
            "questions; null if it is not defined.",
            range=NON_NEGATIVE,
            nullable=True,
            made_from=_BY_REGION,
        ),
        share(
            "accuracy_without_artefacts",
            "Accuracy over the responses that held a readable answer; null if none did.",
            nullable=True,
            made_from=_CORRECT + ERRORS.paths("failure_form"),
        ),
        share(
            "artefacts",
            "Share of points where the response held no readable answer: the sum of the next five "
            "columns.",
            made_from=_FORMS,
        ),
        *(
            share(
                form,
                f"Share of points where the response fails in the form {form}.",
                made_from=_FORMS,
            )
            for form in sorted(ARTEFACT_FORMS)
        ),
        probability(
            "confidence",
            "Mean probability of the likeliest option. This and the next four columns are null if "
            "the model's log-likelihoods of the options are not known.",
            nullable=True,
            made_from=UNCERTAINTY_SUMMARY.paths("confidence"),
        ),
        share(
            "calibration_error",
            "Expected calibration error over ten bins of equal width; null without `confidence`.",
            nullable=True,
            made_from=UNCERTAINTY_SUMMARY.paths("calibration_error"),
        ),
        measure(
            "set_size",
            "Mean size of the conformal sets, the mean of LAC and APS; null without `confidence`.",
            unit="options",
            range=NON_NEGATIVE,
            nullable=True,
            made_from=UNCERTAINTY_SUMMARY.paths("set_size"),
        ),
        share(
            "coverage",
            "Share of the conformal sets that hold the right option; null without `confidence`.",
            nullable=True,
            made_from=UNCERTAINTY_SUMMARY.paths("coverage"),
        ),
        measure(
            "uacc",
            "Uncertainty-aware accuracy of LLM-Uncertainty-Bench; it may exceed 1. "
            "Null without `confidence`.",
            range=NON_NEGATIVE,
            nullable=True,
            made_from=UNCERTAINTY_SUMMARY.paths("uacc"),
        ),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=_CORRECT,
)

MODEL_SIGNATURES = Table(
    "model_signatures",
    "one model in one region: how it departs from its ability and the region's difficulty",
    ("model", "region_id"),
    (
        _MODEL,
        _REGION,
        count("level", "Level of the region; each level is fitted by itself.", range=FROM_1),
        count("questions", "Questions of the region that the model answered.", unit="questions"),
        count("errors", "Errors among them.", unit="errors"),
        measure(
            "deviation",
            "How far the model's error rate there departs from its ability and the region's "
            "difficulty, shrunk toward 0; above 0 it is worse than expected.",
            unit="logits",
        ),
        measure(
            "standard_deviation",
            "Posterior standard deviation of `deviation`.",
            unit="logits",
            range=NON_NEGATIVE,
        ),
        measure(
            "excess",
            "The deviation as a difference of error rates.",
            range=FROM_MINUS_1_TO_1,
        ),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=_BY_REGION,
)

MODEL_PAIRS = Table(
    "model_pairs",
    "two models on the benchmark: how alike their errors are, and whether their gap varies",
    ("model_a", "model_b"),
    (
        _A_OF_PAIR,
        _B_OF_PAIR,
        count("questions", "Questions that both answered.", unit="questions"),
        share(
            "observed",
            "Share of them on which both are right or both are wrong; null if there are none.",
            nullable=True,
        ),
        share(
            "by_chance",
            "The share to expect if their errors were independent; null if there are no questions.",
            nullable=True,
        ),
        measure(
            "kappa",
            "Error consistency: 0 if they agree as by chance, 1 if they err on the same questions; "
            "null where chance agreement is certain.",
            range=FROM_MINUS_1_TO_1,
            nullable=True,
        ),
        count(
            "both_wrong",
            "Questions with at least three options on which both chose a wrong one.",
            unit="questions",
            made_from=_CHOICES,
        ),
        share(
            "same_wrong_option",
            "Share of them on which both chose the same wrong option; null if there are none.",
            nullable=True,
            made_from=_CHOICES,
        ),
        share(
            "same_by_chance",
            "The share to expect if wrong options were chosen evenly; null if there are none.",
            nullable=True,
            made_from=_CHOICES,
        ),
        measure(
            "difference",
            "Error rate of A less that of B; null if there are no questions.",
            range=FROM_MINUS_1_TO_1,
            nullable=True,
        ),
        measure(
            "difference_low",
            "Lower end of the 95 % confidence interval of `difference`, cluster-robust over "
            "regions; null if it is not defined.",
            nullable=True,
            made_from=_BY_REGION,
        ),
        measure(
            "difference_high",
            "Upper end of the 95 % confidence interval of `difference`, cluster-robust over "
            "regions; null if it is not defined.",
            nullable=True,
            made_from=_BY_REGION,
        ),
        p_value(
            "gate_p",
            "p value of the gap being the same in all regions of level 1, by permutation.",
            made_from=_BY_REGION,
        ),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=_CORRECT,
)

PAIR_AUTOCORRELATION = Table(
    "pair_autocorrelation",
    "two models at one scale: whether the difference of their errors depends on the topic",
    ("model_a", "model_b", "k"),
    (
        _A_OF_PAIR,
        _B_OF_PAIR,
        count(
            "k",
            "Scale: the number of nearest neighbours.",
            unit="questions",
            range=FROM_1,
            made_from=(SETTINGS,),
        ),
        measure(
            "moran",
            "Moran's I of A's errors less B's: above 0 if the models differ by topic. Null where "
            "all differences are equal.",
            nullable=True,
        ),
        measure(
            "z",
            "Standard score of `moran`, from the exact mean and variance over all permutations; "
            "null where all differences are equal.",
            unit="standard deviations",
            nullable=True,
        ),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=RESPONSES.paths("correct") + QUESTION_MAP.paths("neighbours"),
)

MODEL_COMPARISON = Table(
    "model_comparison",
    "two models in one region: whether one is worse here, and how the gap differs from overall",
    ("model_a", "model_b", "region_id"),
    (
        _A_OF_PAIR,
        _B_OF_PAIR,
        _REGION,
        count("level", "Level of the region; 1 is the coarsest.", range=FROM_1),
        count("questions", "Questions of the region that both answered.", unit="questions"),
        count("errors_a", "Errors of A among them.", unit="errors"),
        count("errors_b", "Errors of B among them.", unit="errors"),
        count("only_a_wrong", "Questions among them that only A gets wrong.", unit="questions"),
        count("only_b_wrong", "Questions among them that only B gets wrong.", unit="questions"),
        measure(
            "difference",
            "Error rate of A in the region less that of B.",
            range=FROM_MINUS_1_TO_1,
        ),
        measure(
            "low",
            "Lower end of the 95 % confidence interval of `difference` (Newcombe, paired).",
            range=FROM_MINUS_1_TO_1,
        ),
        measure(
            "high",
            "Upper end of the 95 % confidence interval of `difference` (Newcombe, paired).",
            range=FROM_MINUS_1_TO_1,
        ),
        measure(
            "overall_difference",
            "Error rate of A less that of B over all questions of the benchmark.",
            range=FROM_MINUS_1_TO_1,
            made_from=_CORRECT,
        ),
        p_value("p_a_worse", "p value of A being worse in the region (exact McNemar, one-sided)."),
        p_value("p_b_worse", "p value of B being worse in the region (exact McNemar, one-sided)."),
        p_value(
            "p_gap",
            "p value of the gap in the region being unlike the overall gap (exact, two-sided).",
        ),
        q_value(
            "q_worse",
            "Hierarchical q value of one model being worse in the region; null if the parent "
            "region did not stand out, so that this one was not tested.",
            nullable=True,
        ),
        q_value(
            "q_gap",
            "Hierarchical q value of `p_gap`; null if it was not tested.",
            nullable=True,
        ),
    ),
    kept_by=KeptBy.BENCHMARK,
    made_from=_BY_REGION,
)
