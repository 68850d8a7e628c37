"""Every table's columns, types and meaning.

The partition columns are not listed: ``benchmark`` and, in tables of a model's results, ``model``
stand in the hive path (``benchmark=…/model=…``), and every view shows them as text columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from errclust_pipeline.vocabulary import CAUSES, CORNERS, FAILURE_FORMS, JUDGE_KINDS, WINNERS


@dataclass(frozen=True)
class Table:
    """One table: its name, what one row is, the columns that identify a row, and its schema."""

    name: str
    grain: str
    key: tuple[str, ...]
    schema: pa.Schema
    by_model: bool = True
    """Whether it is kept by benchmark and model, or by benchmark alone."""


def _column(name: str, type_: pa.DataType, description: str, nullable: bool = True) -> pa.Field:
    return pa.field(name, type_, nullable=nullable, metadata={"description": description})


def _key(name: str, type_: pa.DataType, description: str) -> pa.Field:
    return _column(name, type_, description, nullable=False)


_EXAMPLE_ID = _key("example_id", pa.string(), "the source's own id of the question, unique here")
_QUESTION_ID = _key(
    "question_id", pa.string(), "hash of the question's normalised text and choices"
)

RESPONSES = Table(
    "responses",
    "one scored response of the model to one question of the benchmark",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _column("subject", pa.string(), "category inside the benchmark"),
            _key("question", pa.string(), "the question as the benchmark states it"),
            _column("choices", pa.list_(pa.string()), "the options, in order; null if open"),
            _column("gold", pa.string(), "the right answer as text"),
            _column("gold_choice", pa.int32(), "position of the right option, from 0"),
            _column("response", pa.string(), "what the model wrote; null if only scored"),
            _column("prediction", pa.string(), "the answer extracted from the response"),
            _column("predicted_choice", pa.int32(), "position of the option chosen, from 0"),
            _column(
                "prediction_guessed",
                pa.bool_(),
                "true if the source filled the prediction in because none stood in the response",
            ),
            _key(
                "extraction_recorded",
                pa.bool_(),
                "whether the source says which answers it extracted; else a null says nothing",
            ),
            _key("score", pa.float64(), "the deciding metric's value, 0 (wrong) to 1 (right)"),
            _key("correct", pa.bool_(), "whether the score reaches the submission's threshold"),
            _key("metric", pa.string(), "the metric that decided"),
            _column("filter", pa.string(), "the answer filter that decided, if several"),
            _column(
                "choice_log_likelihoods",
                pa.list_(pa.float64()),
                "log-likelihood of each option, where the model was scored by them",
            ),
            _column(
                "choice_lengths",
                pa.list_(pa.int32()),
                "characters of what these are of, e.g. 1 for the option's letter; null if not "
                "known",
            ),
            _column("finish_reason", pa.string(), "why generation stopped, e.g. stop or length"),
            _column("metadata", pa.string(), "what else the source says of the row, a JSON object"),
            _key("model_name", pa.string(), "the model's true name, before encoding"),
            _key("benchmark_name", pa.string(), "the benchmark's true name, before encoding"),
            _key("source", pa.string(), "the file the row was read from"),
            _key("position", pa.int64(), "the row's position in that file, from 0"),
            _key(
                "revision",
                pa.string(),
                "the submission's content hash, or commit on the hub",
            ),
        ]
    ),
)

REJECTS = Table(
    "rejects",
    "one row of a result file that could not be used",
    ("source", "position"),
    pa.schema(
        [
            _key("source", pa.string(), "the file"),
            _key("position", pa.int64(), "the row's position in the file, from 0"),
            _key("reason", pa.string(), "a short code, the same for rows of the same fault"),
            _key("detail", pa.string(), "what was wrong and what was expected"),
            _column("excerpt", pa.string(), "the row's first characters"),
            _key(
                "revision",
                pa.string(),
                "the submission's content hash, or commit on the hub",
            ),
        ]
    ),
)

ERRORS = Table(
    "errors",
    "one response scored below the threshold",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _column("subject", pa.string(), "category inside the benchmark"),
            _key("failure_form", pa.string(), "how it fails: " + ", ".join(FAILURE_FORMS)),
            _key("question", pa.string(), "the question"),
            _column("gold", pa.string(), "the right answer as text"),
            _column("prediction", pa.string(), "the answer extracted from the response"),
            _column("response_tail", pa.string(), "the response's last characters"),
            _key("score", pa.float64(), "the deciding metric's value"),
            _key("text", pa.string(), "the text that is embedded"),
            _key("text_id", pa.string(), "hash of that text"),
        ]
    ),
)

ERROR_EMBEDDINGS = Table(
    "error_embeddings",
    "one error's embedding",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _key("text_id", pa.string(), "hash of the embedded text"),
            _key("embedding", pa.list_(pa.float32()), "unit-length vector"),
        ]
    ),
)

ERROR_CLUSTERS = Table(
    "error_clusters",
    "one error's cluster at one level; every error has exactly one row at level 1",
    ("example_id", "level"),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _key("level", pa.int32(), "1 is the coarsest; deeper only where a cluster splits"),
            _column("cluster_id", pa.string(), "the cluster, e.g. 2 or 2.1; null is noise"),
            _column(
                "strength",
                pa.float32(),
                "share of its neighbourhood in its cluster, 0 to 1; null for noise",
            ),
            _column("x", pa.float32(), "2-D position, for display only"),
            _column("y", pa.float32(), "2-D position, for display only"),
        ]
    ),
)

_EXEMPLAR = pa.struct(
    [
        pa.field("example_id", pa.string()),
        pa.field("role", pa.string()),
        pa.field("question", pa.string()),
        pa.field("gold", pa.string()),
        pa.field("prediction", pa.string()),
        pa.field("failure_form", pa.string()),
    ]
)

CLUSTER_LABELS = Table(
    "cluster_labels",
    "one cluster of one model's errors, named",
    ("cluster_id",),
    pa.schema(
        [
            _key("cluster_id", pa.string(), "path of the cluster, e.g. 2 or 2.1"),
            _key("level", pa.int32(), "1 is the coarsest"),
            _column("parent_id", pa.string(), "the cluster it is part of; null at level 1"),
            _key("size", pa.int64(), "errors in the cluster"),
            _key("share_of_errors", pa.float64(), "size over all errors of the model here, 0 to 1"),
            _key("label", pa.string(), "the cluster's name"),
            _column("description", pa.string(), "one sentence more"),
            _key("key_phrases", pa.list_(pa.string()), "phrases frequent here and rare elsewhere"),
            _key("written_by", pa.string(), "key_phrases, or the language model's name"),
            _column(
                "cause",
                pa.string(),
                "why the answers are probably wrong, as the language model suspects: "
                + ", ".join(CAUSES),
            ),
            _column("shares_one_thing", pa.bool_(), "whether it finds that the members do"),
            _column(
                "faithfulness",
                pa.float64(),
                "balanced accuracy at telling unseen members from others, by the embedding's "
                "similarity to the label; 0.5 says nothing; null if there are too few",
            ),
            _column("faithfulness_low", pa.float64(), "95 % interval: lower end"),
            _column("faithfulness_high", pa.float64(), "upper end"),
            _column(
                "judged_faithfulness",
                pa.float64(),
                "the same, by a language model that is shown the label and the errors",
            ),
            _column("judged_faithfulness_low", pa.float64(), "95 % interval: lower end"),
            _column("judged_faithfulness_high", pa.float64(), "upper end"),
            _column(
                "is_faithful",
                pa.bool_(),
                "whether one of the tests shows that the label tells members from others, its "
                "interval being above 0.5, and none the contrary, and no cluster beside it fits "
                "the label better; null if not tested",
            ),
            _column(
                "distinctiveness",
                pa.float64(),
                "share of the label's words that are not true of the clusters beside it too",
            ),
            _column(
                "problem",
                pa.string(),
                "why the language model's own label does not stand, or why the label is unfaithful",
            ),
            _column("reused_from", pa.string(), "model|cluster whose label this is"),
            _key("main_failure_form", pa.string(), "the most frequent failure form of the members"),
            _key("main_failure_form_share", pa.float64(), "its share of the members, 0 to 1"),
            _column("main_subject", pa.string(), "the most frequent subject of the members"),
            _key("mean_similarity", pa.float64(), "mean cosine of the members to their centroid"),
            _key("exemplars", pa.list_(_EXEMPLAR), "the most central and the most diverse members"),
        ]
    ),
)

ERROR_DIAGNOSES = Table(
    "error_diagnoses",
    "one error of a sample, diagnosed by a language model: why the response is wrong",
    ("example_id",),
    pa.schema(
        [
            _EXAMPLE_ID,
            _QUESTION_ID,
            _column("region_id", pa.string(), "the level-1 region of the map it was sampled from"),
            _key("weight", pa.float64(), "errors of the region that it stands for"),
            _column("cause", pa.string(), "one of: " + ", ".join(CAUSES)),
            _column("diagnosis", pa.string(), "what kind of mistake it is, in general terms"),
            _column("missing", pa.string(), "the skill or the fact that would have prevented it"),
            _column("first_wrong_step", pa.string(), "the first thing in it that is wrong"),
            _column("compared_with", pa.string(), "the model whose right response was shown"),
            _column("text", pa.string(), "the text that is embedded"),
            _column("text_id", pa.string(), "hash of that text"),
            _key("written_by", pa.string(), "the language model's name"),
            _column("problem", pa.string(), "why there is no diagnosis"),
        ]
    ),
)

DIAGNOSIS_CLUSTERS = Table(
    "diagnosis_clusters",
    "one diagnosed error's cluster at one level, by why the response is wrong",
    ERROR_CLUSTERS.key,
    ERROR_CLUSTERS.schema,
)

DIAGNOSIS_LABELS = Table(
    "diagnosis_labels",
    "one cluster of diagnoses, named",
    CLUSTER_LABELS.key,
    CLUSTER_LABELS.schema,
)

_POSITIONS = pa.list_(pa.int32())
_QUESTION = _key("question_id", pa.string(), "hash of the question's normalised text and choices")

QUESTIONS = Table(
    "questions",
    "one distinct question of the benchmark, whichever models were asked it",
    ("question_id",),
    pa.schema(
        [
            _QUESTION,
            _column("subject", pa.string(), "category inside the benchmark"),
            _key("question", pa.string(), "the question as the benchmark states it"),
            _column("choices", pa.list_(pa.string()), "the options, in order; null if open"),
            _column("gold", pa.string(), "the right answer as text"),
            _key("text", pa.string(), "the text that is embedded: question and choices"),
            _key("text_id", pa.string(), "hash of that text"),
        ]
    ),
    by_model=False,
)

QUESTION_MAP = Table(
    "question_map",
    "one question's place on the benchmark's map",
    ("question_id",),
    pa.schema(
        [
            _QUESTION,
            _key("position", pa.int32(), "number of the point it is, or that stands for it"),
            _key("stands_for_itself", pa.bool_(), "false for a near-duplicate of another question"),
            _key("near_duplicates", pa.int32(), "other questions collapsed into the same point"),
            _column("region_id", pa.string(), "its smallest region, e.g. 2 or 2.1; null if none"),
            _key("in_degree", pa.int32(), "questions that have it among their 30 nearest"),
            _column("neighbours", _POSITIONS, "positions of the nearest other points; directed"),
            _column("similarities", pa.list_(pa.float32()), "their cosine similarities"),
            _column("walk_own_weights", pa.list_(pa.float64()), "see GraphKernel.own_weight"),
            _column("walk_squares", pa.list_(pa.float64()), "see GraphKernel.squares"),
            _column("walk_cubes", pa.list_(pa.float64()), "see GraphKernel.cubes"),
            _column("x", pa.float32(), "2-D position, for display only"),
            _column("y", pa.float32(), "2-D position, for display only"),
        ]
    ),
    by_model=False,
)

_EXEMPLAR_QUESTION = pa.struct(
    [
        pa.field("question_id", pa.string()),
        pa.field("question", pa.string()),
        pa.field("role", pa.string()),
    ]
)

REGION_LABELS = Table(
    "region_labels",
    "one region of the benchmark's map, named",
    ("region_id",),
    pa.schema(
        [
            _key("region_id", pa.string(), "path of the region, e.g. 2 or 2.1; stays the same"),
            _key("level", pa.int32(), "1 is the coarsest"),
            _column("parent_id", pa.string(), "the region it is part of; null at level 1"),
            _key("size", pa.int64(), "questions, near-duplicates counted"),
            _key("share_of_questions", pa.float64(), "size over all questions, 0 to 1"),
            _key("label", pa.string(), "the region's name"),
            _column("description", pa.string(), "one sentence more"),
            _key("key_phrases", pa.list_(pa.string()), "phrases frequent here and rare elsewhere"),
            _key("written_by", pa.string(), "key_phrases, or the language model's name"),
            _column("main_subject", pa.string(), "the most frequent subject of its questions"),
            _key("mean_similarity", pa.float64(), "mean cosine of the questions to their centroid"),
            _key("exemplars", pa.list_(_EXEMPLAR_QUESTION), "most central and most diverse ones"),
        ]
    ),
    by_model=False,
)

_Q = "Benjamini-Hochberg q value of the same"

HOT_SPOTS = Table(
    "hot_spots",
    "one question at one scale: are errors more or fewer around it than chance has it?",
    ("question_id", "k"),
    pa.schema(
        [
            _QUESTION,
            _key("k", pa.int32(), "neighbours looked at"),
            _key("error", pa.bool_(), "whether the model is wrong on the question itself"),
            _key("errors", pa.int32(), "errors among the neighbours"),
            _key("draws", pa.int32(), "neighbours that the model answered"),
            _column("smoothed_rate", pa.float64(), "error rate around, shrunk; for display"),
            _key("p_hot", pa.float64(), "exact p of as many errors around or more"),
            _key("q_hot", pa.float64(), _Q),
            _key("p_cold", pa.float64(), "exact p of as few errors around or fewer"),
            _key("q_cold", pa.float64(), _Q),
            _column("local_moran", pa.float64(), "local Moran's I, as PySAL scales it"),
            _column("gi_star", pa.float64(), "z score of Getis-Ord Gi*"),
            _key("quadrant", pa.int8(), "1 HH, 2 LH, 3 LL, 4 HL, as in PySAL"),
            _column(
                "expected_error", pa.float64(), "its probability by difficulty; null if unknown"
            ),
            _column("adjusted_expected", pa.float64(), "errors around that difficulty explains"),
            _column("adjusted_p_hot", pa.float64(), "exact p of as many errors beyond difficulty"),
            _column("adjusted_q_hot", pa.float64(), _Q),
            _column("adjusted_p_cold", pa.float64(), "exact p of as few errors beyond difficulty"),
            _column("adjusted_q_cold", pa.float64(), _Q),
        ]
    ),
)

HOT_REGIONS = Table(
    "hot_regions",
    "one place where the model's errors concentrate",
    ("basis", "rank"),
    pa.schema(
        [
            _key("basis", pa.string(), "errors, or beyond_difficulty: more than is hard for all"),
            _key("rank", pa.int32(), "1 has the smallest q"),
            _column("region_id", pa.string(), "the region of the map that most of it lies in"),
            _column("label", pa.string(), "that region's name"),
            _key("key_phrases", pa.list_(pa.string()), "what sets its own questions apart"),
            _key("size", pa.int32(), "questions"),
            _key("errors", pa.int32(), "of them wrong"),
            _key("rate", pa.float64(), "error rate, 0 to 1"),
            _key("low", pa.float64(), "95 % Clopper-Pearson interval of the rate: lower end"),
            _key("high", pa.float64(), "upper end"),
            _key("core", pa.int32(), "of it, those whose surroundings are significant"),
            _key("outside_rate", pa.float64(), "error rate of all other questions"),
            _key(
                "expected", pa.float64(), "errors to expect at the overall rate, or by difficulty"
            ),
            _key(
                "log_likelihood_ratio",
                pa.float64(),
                "of more errors inside, the place grown for it",
            ),
            _key(
                "walk",
                pa.int32(),
                "shortest walk at which half of the core stands out",
            ),
            _key("scale", pa.int32(), "questions that such a walk averages over, about"),
            _key("q", pa.float64(), "of a typical question of its core, over all scales"),
            _key(
                "replicated_halves", pa.int32(), "0 to 2: halves of the questions that confirm it"
            ),
            _column("held_out_excess", pa.float64(), "excess rate where it was not looked for"),
            _key(
                "hot_share_by_k",
                pa.list_(pa.float64()),
                "share of it hot at each k of hot_spots",
            ),
            _column(
                "visible_excess", pa.float64(), "a smaller excess would mostly not be seen there"
            ),
            _column("failure_form", pa.string(), "form more frequent here than in other errors"),
            _column("failure_form_share", pa.float64(), "its share of the errors here"),
            _column("failure_form_share_elsewhere", pa.float64(), "its share of the other errors"),
            _column("failure_form_q", pa.float64(), "q value of that difference"),
            _column("scan_p", pa.float64(), "p of the scan statistic's zone here; null if none"),
            _key("question_ids", pa.list_(pa.string()), "its questions"),
            _key("exemplars", pa.list_(pa.string()), "ids of wrong ones at its heart"),
        ]
    ),
)

AUTOCORRELATION = Table(
    "autocorrelation",
    "one mark at one scale: do errors concentrate at all?",
    ("mark", "k"),
    pa.schema(
        [
            _key("mark", pa.string(), "errors, or residual: errors less what difficulty explains"),
            _key("k", pa.int32(), "neighbours"),
            _key("questions", pa.int32(), "with a mark"),
            _column("moran", pa.float64(), "Moran's I; null where all marks are alike"),
            _column("expected", pa.float64(), "its mean by chance"),
            _column("z", pa.float64(), "standard scores from that, by exact permutation moments"),
            _column("p", pa.float64(), "share of permutations with as large an I, one-sided"),
            _key("permutations", pa.int32(), "counted for p"),
            _column("joins_both", pa.float64(), "join count BB; null for residuals"),
            _column("joins_neither", pa.float64(), "join count WW"),
            _column("joins_one", pa.float64(), "join count BW"),
            _key("in_degree_skewness", pa.float64(), "hubness of the graph at this k"),
            _key("largest_in_degree", pa.int32(), "of the largest hub"),
            _key("orphans", pa.float64(), "share of questions that are nobody's neighbour"),
            _key("artefacts_left_out", pa.bool_(), "whether unreadable responses were left out"),
            _key("models_for_difficulty", pa.int32(), "models on the benchmark; residuals need 3"),
        ]
    ),
)

UNCERTAINTY = Table(
    "uncertainty",
    "one question of which the model's log-likelihoods of the options are known: how sure it is",
    ("question_id",),
    pa.schema(
        [
            _QUESTION,
            _key("options", pa.int32(), "that it has"),
            _key("confidence", pa.float64(), "probability of the option it chose, 0 to 1"),
            _key("right", pa.bool_(), "whether that is the right one"),
            _key(
                "corner",
                pa.string(),
                "of confidence and correctness: " + ", ".join(CORNERS) + "; confident from the "
                "model's median on",
            ),
            _key("set_size", pa.float64(), "options in its conformal set, mean of LAC and APS"),
            _key("lac_set_size", pa.float64(), "in its LAC set, paper's form, mean over repeats"),
            _key("lac_covered", pa.float64(), "share of repeats in which that held the right one"),
            _key("aps_set_size", pa.float64(), "in its APS set, paper's form, mean over repeats"),
            _key("aps_covered", pa.float64(), "share of repeats in which that held the right one"),
            _key("k", pa.int32(), "neighbours looked at; the next are of set size over options"),
            _column("average", pa.float64(), "the neighbours' mean"),
            _column("z", pa.float64(), "its standard score under conditional permutation, Gi"),
            _column("p_high", pa.float64(), "of as large sets around, were they anywhere"),
            _column("q_high", pa.float64(), _Q),
            _column("p_low", pa.float64(), "of as small sets around"),
            _column("q_low", pa.float64(), _Q),
            _column("local_moran", pa.float64(), "local Moran's I, as PySAL scales it"),
            _key("quadrant", pa.int8(), "1 HH, 2 LH, 3 LL, 4 HL, as in PySAL"),
        ]
    ),
)

_SCORE = _key(
    "score", pa.string(), "how badly an option fits: lac (1 - p) or aps (cumulative probability)"
)

UNCERTAINTY_SUMMARY = Table(
    "uncertainty_summary",
    "conformal sets of one score and form on all questions of which log-likelihoods are known",
    ("score", "form"),
    pa.schema(
        [
            _key("score", pa.string(), "lac, aps, or the mean of both"),
            _key("form", pa.string(), "textbook, or paper: that of LLM-Uncertainty-Bench"),
            _key("alpha", pa.float64(), "share of sets that may miss the right option"),
            _key("questions", pa.int32(), "points of the map that could be used"),
            _key("left_out", pa.int32(), "responses that could not"),
            _key(
                "compared_by_length",
                pa.int32(),
                "questions whose log-likelihoods were divided by the options' lengths",
            ),
            _key("fewest_options", pa.int32(), "of a question"),
            _key("most_options", pa.int32(), "of a question"),
            _key("accuracy", pa.float64(), "share of questions whose likeliest option is right"),
            _key("confidence", pa.float64(), "mean probability of the likeliest option"),
            _key("confident_from", pa.float64(), "median of the same"),
            _key("calibration_error", pa.float64(), "expected calibration error, ten equal bins"),
            _key(
                "calibration_error_by_chance",
                pa.float64(),
                "95th percentile of the same were each answer right as often as it is said to be",
            ),
            _key("set_size", pa.float64(), "mean over questions and repeats"),
            _key("coverage", pa.float64(), "share of sets that hold the right option"),
            _column("coverage_spread", pa.float64(), "standard deviation of that over repeats"),
            _column("uacc", pa.float64(), "accuracy * sqrt(options) / set size; may exceed 1"),
            _key("k", pa.int32(), "neighbours, for the next"),
            _column("moran", pa.float64(), "Moran's I of set size over options"),
            _column("moran_z", pa.float64(), "its standard score, by exact permutation moments"),
            _column("moran_p", pa.float64(), "share of permutations with as large an I, one-sided"),
            _column(
                "adjusted_moran",
                pa.float64(),
                "Moran's I of the same less its mean over questions of as many options, over its "
                "standard deviation there",
            ),
            _column(
                "adjusted_moran_z",
                pa.float64(),
                "its standard score, by exact moments of permutations within numbers of options",
            ),
            _column("adjusted_moran_p", pa.float64(), "share of such permutations, one-sided"),
        ]
    ),
)

UNCERTAINTY_BY_REGION = Table(
    "uncertainty_by_region",
    "one region of the map: do sets calibrated on all questions keep their promise there?",
    ("score", "region_id"),
    pa.schema(
        [
            _SCORE,
            _key("region_id", pa.string(), "a region of the map"),
            _key("level", pa.int32(), "its level, tested by itself"),
            _key("questions", pa.int32(), "that could be used there"),
            _key("accuracy", pa.float64(), "share of them right"),
            _key("confidence", pa.float64(), "mean probability of the option chosen"),
            _key("confidently_wrong", pa.float64(), "share of them wrong, and confident"),
            _key("set_size", pa.float64(), "mean over them and repeats, textbook form"),
            _key("coverage", pa.float64(), "share of sets that hold the right option"),
            _key("low", pa.float64(), "95 % Clopper-Pearson interval of it: lower end"),
            _key("high", pa.float64(), "upper end"),
            _key("p", pa.float64(), "of as few covered, were the promise kept (beta-binomial)"),
            _key("q", pa.float64(), "Benjamini-Hochberg q value of that, over the level"),
            _key("mondrian_set_size", pa.float64(), "were sets calibrated within the region"),
            _key("mondrian_coverage", pa.float64(), "of those sets"),
        ]
    ),
)

UNCERTAINTY_HOT_REGIONS = Table(
    "uncertainty_hot_regions",
    "one place where the model is confidently wrong, or unsure, more than elsewhere",
    ("basis", "rank"),
    pa.schema(
        [
            _key(
                "basis",
                pa.string(),
                "confidently_wrong; uncertain: large sets; uncertain_given_options: larger than "
                "those of questions of as many options",
            ),
            _key("rank", pa.int32(), "1 has the smallest q"),
            _column("region_id", pa.string(), "the region of the map that most of it lies in"),
            _column("label", pa.string(), "that region's name"),
            _key("key_phrases", pa.list_(pa.string()), "what sets its own questions apart"),
            _key("size", pa.int32(), "questions"),
            _key(
                "value",
                pa.float64(),
                "share confidently wrong, or mean set size over options, or the latter less its "
                "mean over questions of as many options",
            ),
            _key("low", pa.float64(), "95 % interval of it: lower end"),
            _key("high", pa.float64(), "upper end"),
            _column("outside_value", pa.float64(), "the same of all other questions"),
            _key("accuracy", pa.float64(), "share right there"),
            _key("confidence", pa.float64(), "mean probability of the option chosen there"),
            _key("set_size", pa.float64(), "mean set size there, of LAC and APS"),
            _key("walk", pa.int32(), "shortest walk at which half of it stands out"),
            _key("scale", pa.int32(), "questions that such a walk averages over, about"),
            _key("q", pa.float64(), "of a typical question of it, over all scales"),
            _column("replicated_halves", pa.int32(), "0 to 2: halves of the questions confirming"),
            _column("held_out_excess", pa.float64(), "excess where it was not looked for"),
            _key("question_ids", pa.list_(pa.string()), "its questions"),
            _key("exemplars", pa.list_(pa.string()), "most confident mistakes, or least sure ones"),
        ]
    ),
)

_MODEL = _key("model", pa.string(), "the model's key")

LEADERBOARD = Table(
    "leaderboard",
    "one model's overall result on the benchmark",
    ("model",),
    pa.schema(
        [
            _MODEL,
            _key("questions", pa.int32(), "points of the map that it answered"),
            _column("accuracy", pa.float64(), "share right of those points"),
            _column(
                "response_accuracy",
                pa.float64(),
                "share right of all responses, repeated questions and all: what others print",
            ),
            _column("low", pa.float64(), "95 % interval, cluster-robust over regions: lower end"),
            _column("high", pa.float64(), "upper end"),
            _column("standard_error", pa.float64(), "clustered"),
            _column("design_effect", pa.float64(), "clustered over independent variance"),
            _column(
                "accuracy_without_artefacts", pa.float64(), "over responses that had an answer"
            ),
            _key("artefacts", pa.float64(), "share of responses nothing could be read off"),
            *(
                _key(form, pa.float64(), f"share of responses: {form}")
                for form in ("empty", "no_answer", "refusal", "repetition", "truncated")
            ),
            _column(
                "confidence",
                pa.float64(),
                "mean probability of the likeliest option; null, as the next, where the model's "
                "log-likelihoods of the options are not known",
            ),
            _column("calibration_error", pa.float64(), "expected calibration error, ten bins"),
            _column("set_size", pa.float64(), "of conformal sets, mean of LAC and APS"),
            _column("coverage", pa.float64(), "share of them that hold the right option"),
            _column("uacc", pa.float64(), "uncertainty-aware accuracy, of LLM-Uncertainty-Bench"),
        ]
    ),
    by_model=False,
)

MODEL_SIGNATURES = Table(
    "model_signatures",
    "one model in one region: how it departs from its ability and the region's difficulty",
    ("model", "region_id"),
    pa.schema(
        [
            _MODEL,
            _key("region_id", pa.string(), "a region of the map"),
            _key("level", pa.int32(), "its level; each level is a fit of its own"),
            _key("questions", pa.int32(), "that the model answered there"),
            _key("errors", pa.int32(), "of them wrong"),
            _key(
                "deviation", pa.float64(), "in logits of the error rate, shrunk; above 0 is worse"
            ),
            _key("standard_deviation", pa.float64(), "of the deviation"),
            _key("excess", pa.float64(), "the deviation in points of error rate"),
        ]
    ),
    by_model=False,
)

MODEL_PAIRS = Table(
    "model_pairs",
    "two models on the benchmark: how alike their errors are, and whether their gap varies",
    ("model_a", "model_b"),
    pa.schema(
        [
            _key("model_a", pa.string(), "the more accurate of the two"),
            _key("model_b", pa.string(), "the other"),
            _key("questions", pa.int32(), "that both answered"),
            _column("observed", pa.float64(), "share on which both are right or both wrong"),
            _column("by_chance", pa.float64(), "the same were errors independent"),
            _column("kappa", pa.float64(), "error consistency: 0 is chance, 1 the same errors"),
            _key("both_wrong", pa.int32(), "questions where both chose a wrong option"),
            _column("same_wrong_option", pa.float64(), "share of them with the same option"),
            _column("same_by_chance", pa.float64(), "the same were wrong options chosen evenly"),
            _column("difference", pa.float64(), "A's error rate less B's"),
            _column("difference_low", pa.float64(), "95 % interval, cluster-robust: lower end"),
            _column("difference_high", pa.float64(), "upper end"),
            _key("gate_p", pa.float64(), "p of the gap being the same in all level-1 regions"),
        ]
    ),
    by_model=False,
)

PAIR_AUTOCORRELATION = Table(
    "pair_autocorrelation",
    "two models at one scale: is the difference of their errors topical?",
    ("model_a", "model_b", "k"),
    pa.schema(
        [
            _key("model_a", pa.string(), "the more accurate of the two"),
            _key("model_b", pa.string(), "the other"),
            _key("k", pa.int32(), "neighbours"),
            _column("moran", pa.float64(), "Moran's I of A's errors less B's"),
            _column("z", pa.float64(), "its standard score, by exact permutation moments"),
        ]
    ),
    by_model=False,
)

MODEL_COMPARISON = Table(
    "model_comparison",
    "two models in one region: is one worse here, and is the gap unlike the overall gap?",
    ("model_a", "model_b", "region_id"),
    pa.schema(
        [
            _key("model_a", pa.string(), "the more accurate of the two"),
            _key("model_b", pa.string(), "the other"),
            _key("region_id", pa.string(), "a region of the map"),
            _key("level", pa.int32(), "its level"),
            _key("questions", pa.int32(), "that both answered there"),
            _key("errors_a", pa.int32(), "of model A"),
            _key("errors_b", pa.int32(), "of model B"),
            _key("only_a_wrong", pa.int32(), "questions only A gets wrong"),
            _key("only_b_wrong", pa.int32(), "questions only B gets wrong"),
            _key("difference", pa.float64(), "A's error rate less B's"),
            _key("low", pa.float64(), "95 % interval (Newcombe, paired): lower end"),
            _key("high", pa.float64(), "upper end"),
            _key("overall_difference", pa.float64(), "the same over all questions"),
            _key("p_a_worse", pa.float64(), "exact McNemar, one-sided"),
            _key("p_b_worse", pa.float64(), "exact McNemar, one-sided"),
            _key("p_gap", pa.float64(), "exact: the gap here is the overall gap, two-sided"),
            _column("q_worse", pa.float64(), "hierarchical q value of one being worse"),
            _column("q_gap", pa.float64(), "hierarchical q value of the gap; null if not tested"),
        ]
    ),
    by_model=False,
)

TRAINING_CANDIDATES = Table(
    "training_candidates",
    "one error of the development split that training examples should be like",
    ("rank",),
    pa.schema(
        [
            _key("rank", pa.int32(), "order of the picks, from 1"),
            _key("question_id", pa.string(), "its question, itself never training data"),
            _key("question", pa.string(), "the question's text"),
            _column("region_id", pa.string(), "region that most of what it covers lies in"),
            _column("label", pa.string(), "that region's name"),
            _key("gain", pa.float64(), "share of the demand that it covers beyond earlier picks"),
            _key("coverage", pa.float64(), "share of the demand covered up to here"),
            _key("newly_covered", pa.int32(), "errors that it covers better than earlier picks"),
            _key("newly_covered_ids", pa.list_(pa.string()), "the first of them, most gain first"),
            _column("error_rate", pa.float64(), "the model's in that region"),
            _column("others_error_rate", pa.float64(), "that of the other models"),
            _key("hot_share", pa.float64(), "share of what it covers in hot places"),
            _column("failure_form", pa.string(), "most frequent form of what it covers"),
            _column("nearest_pick", pa.int32(), "rank of the most similar earlier pick"),
            _column("nearest_pick_similarity", pa.float64(), "cosine similarity to it"),
            _key("weight", pa.float64(), "demand at the question, the product of the next five"),
            _key("local_rate", pa.float64(), "the model's error rate around it, shrunk"),
            _column("others_right", pa.float64(), "share of other models that are right on it"),
            _key("hot", pa.float64(), "2 if errors exceed what difficulty explains, else 1"),
            _key("reach", pa.float64(), "how many questions it is near to; 1 is average"),
            _key("trust", pa.float64(), "0.1 if the key is suspected to be wrong, else 1"),
            _key("reason", pa.string(), "all this in a sentence"),
        ]
    ),
)

SUSPECTED_FAULTS = Table(
    "suspected_faults",
    "one error of the model on a question whose key may be wrong, for review",
    ("question_id",),
    pa.schema(
        [
            _QUESTION,
            _key(
                "probability",
                pa.float64(),
                "that another answer is right, 0.5 to 1, if as many keys are wrong as can be",
            ),
            _key(
                "likelihood_ratio",
                pa.float64(),
                "how many times as usual such answers are where a key is wrong as in all",
            ),
            _column("gold", pa.string(), "the key's answer"),
            _key("other_answer", pa.string(), "the answer that models agree on"),
            _key("agreeing", pa.int32(), "models that gave it"),
            _key("wrong", pa.int32(), "models whose answer is not the key's"),
            _key("answered", pa.int32(), "models that were asked"),
            _key("reason", pa.string(), "all this in a sentence"),
        ]
    ),
)

BATTLES = Table(
    "battles",
    "one verdict of one judge on two models' responses to one prompt",
    ("battle_id",),
    pa.schema(
        [
            _key("battle_id", pa.string(), "of the verdict, unique in the battle set"),
            _key("question_id", pa.string(), "hash of the normalised prompt"),
            _column("subject", pa.string(), "category of the prompt inside the battle set"),
            _key(
                "prompt",
                pa.string(),
                "the user's messages up to the turn that is judged, with blank lines between",
            ),
            _column("response_a", pa.string(), "what model A answered to them; null if not known"),
            _column("response_b", pa.string(), "what model B answered"),
            _key("model_a", pa.string(), "the model shown first, by its true name"),
            _key("model_b", pa.string(), "the other, never the same"),
            _key("winner", pa.string(), "the verdict: " + ", ".join(WINNERS)),
            _column("judge", pa.string(), "who judged, by the source's id; null if not known"),
            _key("judge_kind", pa.string(), "what the judge is: " + " or ".join(JUDGE_KINDS)),
            _key("turn", pa.int32(), "the user's message up to which is judged, from 1"),
            _column("language", pa.string(), "of the prompt, as the source names it"),
            _column("time", pa.timestamp("us"), "when it was judged, UTC"),
            _column("metadata", pa.string(), "what else the source says of it, a JSON object"),
            _key("battle_set_name", pa.string(), "the battle set's true name, before encoding"),
            _key("source", pa.string(), "the file the verdict was read from"),
            _key("position", pa.int64(), "its row's position in that file, from 0"),
            _key("revision", pa.string(), "content fingerprint of what was ingested"),
        ]
    ),
    by_model=False,
)

BATTLE_REJECTS = Table(
    "battle_rejects",
    "one verdict, or a whole row of a file of battles, that could not be used",
    ("source", "position", "judge"),
    pa.schema(
        [
            *(column for column in REJECTS.schema if column.name != "revision"),
            _column("judge", pa.string(), "whose verdict, in a row that holds several"),
            REJECTS.schema.field("revision"),
        ]
    ),
    by_model=False,
)

PROMPT_MAP = Table(
    "prompt_map",
    "one prompt's place on the map of the battle set's prompts",
    QUESTION_MAP.key,
    QUESTION_MAP.schema,
    by_model=False,
)

PROMPT_REGIONS = Table(
    "prompt_regions",
    "one region of the map of the battle set's prompts, named",
    REGION_LABELS.key,
    REGION_LABELS.schema,
    by_model=False,
)

_JUDGED_BY = _key("judge_kind", pa.string(), "whose verdicts: " + " or ".join(JUDGE_KINDS))

RATINGS = Table(
    "ratings",
    "one model of the battle set, rated by one kind of judge",
    ("judge_kind", "model"),
    pa.schema(
        [
            _JUDGED_BY,
            _key("model", pa.string(), "its true name"),
            _key("battles", pa.int64(), "that it fought"),
            _key("win_rate", pa.float64(), "share won, ties half; depends on whom it met"),
            _key("rating", pa.float64(), "Bradley-Terry on the Elo scale, a tie being half a win"),
            _key("standard_error", pa.float64(), "by prompt, and judge if there are many"),
            _column("low", pa.float64(), "95 % interval: lower end; null for a single prompt"),
            _column("high", pa.float64(), "upper end"),
            _key("clusters", pa.int64(), "prompts or judges that the interval rests on"),
            _key("component", pa.int32(), "ratings compare only models with the same number"),
            _key("bounded", pa.bool_(), "false if it never lost, or never won"),
            _column("style_rating", pa.float64(), "rating were all of one style"),
            _key("k", pa.int32(), "neighbours of a prompt, for the next"),
            _column(
                "moran",
                pa.float64(),
                "Moran's I over prompts of its score less what ratings expect: above 0, whether "
                "it wins depends on the topic",
            ),
            _column("moran_z", pa.float64(), "its standard score, by exact permutation moments"),
        ]
    ),
    by_model=False,
)

BATTLE_REGIONS = Table(
    "battle_regions",
    "one region or subject of the prompts, by one kind of judge: are models as good as elsewhere?",
    ("judge_kind", "level", "region_id"),
    pa.schema(
        [
            _JUDGED_BY,
            _key("region_id", pa.string(), "a region of prompt_map, or a subject"),
            _key("level", pa.int32(), "its level, tested by itself; 0: subjects by the source"),
            _key("battles", pa.int64(), "there"),
            _key("prompts", pa.int64(), "there, near-duplicates counted once"),
            _key("models", pa.int64(), "that fought there"),
            _key("likelihood_ratio", pa.float64(), "of ratings of its own, against overall ones"),
            _key("degrees_of_freedom", pa.int64(), "of that"),
            _column("p_independent", pa.float64(), "its p if all battles were independent"),
            _key("p", pa.float64(), "by permutation of prompts: wins do not depend on the region"),
            _key("q", pa.float64(), "Benjamini-Hochberg q value of that, over the level's regions"),
            _key("spread", pa.float64(), "of regional about overall ratings at this level, points"),
        ]
    ),
    by_model=False,
)

REGIONAL_RATINGS = Table(
    "regional_ratings",
    "one model in one region or subject of the prompts, by one kind of judge",
    ("judge_kind", "level", "region_id", "model"),
    pa.schema(
        [
            _JUDGED_BY,
            _key("region_id", pa.string(), "a region of prompt_map, or a subject"),
            _key("level", pa.int32(), "its level; 0: subjects by the source"),
            _key("model", pa.string(), "the model's true name"),
            _key("battles", pa.int64(), "that it fought there"),
            _key("prompts", pa.int64(), "on which"),
            _key("win_rate", pa.float64(), "share won, a tie being half"),
            _key("low", pa.float64(), "95 % interval, clustered by prompt: lower end"),
            _key("high", pa.float64(), "upper end"),
            _key("expected", pa.float64(), "the same by overall ratings against whom it met there"),
            _key("rating", pa.float64(), "there, shrunk toward the overall one"),
            _key("shift", pa.float64(), "the rating there less the overall one"),
            _key("standard_error", pa.float64(), "of the shift"),
            _key("z", pa.float64(), "of winning more than expected, over permutations of prompts"),
            _key("p", pa.float64(), "two-sided, cautious where prompts are few"),
            _key("q", pa.float64(), "Benjamini-Hochberg q value, over the level's rows"),
        ]
    ),
    by_model=False,
)

BATTLE_TABLES = (
    BATTLES, BATTLE_REJECTS, PROMPT_MAP, PROMPT_REGIONS, RATINGS, BATTLE_REGIONS, REGIONAL_RATINGS,
)  # fmt: skip
"""Those of battle sets."""

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        RESPONSES,
        REJECTS,
        ERRORS,
        ERROR_EMBEDDINGS,
        ERROR_CLUSTERS,
        CLUSTER_LABELS,
        ERROR_DIAGNOSES,
        DIAGNOSIS_CLUSTERS,
        DIAGNOSIS_LABELS,
        QUESTIONS,
        QUESTION_MAP,
        REGION_LABELS,
        HOT_SPOTS,
        HOT_REGIONS,
        AUTOCORRELATION,
        UNCERTAINTY,
        UNCERTAINTY_SUMMARY,
        UNCERTAINTY_BY_REGION,
        UNCERTAINTY_HOT_REGIONS,
        LEADERBOARD,
        MODEL_SIGNATURES,
        MODEL_PAIRS,
        PAIR_AUTOCORRELATION,
        MODEL_COMPARISON,
        TRAINING_CANDIDATES,
        SUSPECTED_FAULTS,
        *BATTLE_TABLES,
    )
}
