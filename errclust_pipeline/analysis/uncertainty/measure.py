"""One model's uncertainty on the map of a benchmark's questions: every table of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import (
    GlobalStatistic,
    HighRegion,
    HotRegion,
    global_statistics,
    high_regions,
    hot_regions,
    local_averages,
    main_region,
    neighbour_weights,
    split_half,
    usable_scales,
)
from errclust_pipeline.analysis.spatial.region_table import describing_phrases
from errclust_pipeline.analysis.uncertainty.calibration import (
    calibration_error_by_chance,
    expected_calibration_error,
)
from errclust_pipeline.analysis.uncertainty.conformal import (
    DEFAULT_MISCOVERAGE,
    DEFAULT_REPEATS,
    ConformalMethod,
    RepeatedCalibration,
    repeated_calibration,
)
from errclust_pipeline.analysis.uncertainty.corners import confident_from, corners
from errclust_pipeline.analysis.uncertainty.options import (
    BoolVector,
    FloatVector,
    IntVector,
    OptionProbabilities,
    chosen_options,
)
from errclust_pipeline.analysis.uncertainty.regions import GradedAnswers, coverage_by_region
from errclust_pipeline.vocabulary import (
    CONFIDENT_WRONG,
    CONFIDENTLY_WRONG,
    CONFORMAL_FORMS,
    CONFORMAL_SCORES,
    MEAN,
    UNCERTAIN,
    UNCERTAIN_GIVEN_OPTIONS,
    UNCERTAINTY_BASES,
    ConformalForm,
    ConformalScore,
)

if TYPE_CHECKING:
    import pandas as pd

_SIZE_FORM: ConformalForm = "paper"
"""Form of the sets whose sizes are mapped. Textbook LAC sets are empty where a good model is least
sure, and textbook APS sets hold nearly all of few options. In the paper's form, where one score
makes sets of one size for all questions, as LAC does for a model right more often than is promised,
the other mostly does not: hence their mean."""
_PROMISE_FORM: ConformalForm = "textbook"
"""Form of the sets whose coverage is tested by region. Its promise holds for any number of
questions that calibrate it."""
_EXEMPLARS = 5

QUESTION_COLUMNS = (
    "question_id", "options", "confidence", "right", "corner", "set_size",
    *(f"{score}_{what}" for score in CONFORMAL_SCORES for what in ("set_size", "covered")),
    "k", "average", "z", "p_high", "q_high", "p_low", "q_low", "local_moran", "quadrant",
)  # fmt: skip
HOT_REGION_COLUMNS = (
    "basis", "rank", "region_id", "label", "key_phrases", "size", "value", "low", "high",
    "outside_value", "accuracy", "confidence", "set_size", "walk", "scale", "q",
    "replicated_halves", "held_out_excess", "question_ids", "exemplars",
)  # fmt: skip


_Calibrations = Mapping[tuple[ConformalScore, ConformalForm], RepeatedCalibration]


@dataclass(frozen=True)
class Uncertainty:
    """One model's uncertainty, as the tables hold it.

    Attributes
    ----------
    questions, summary, regions, hot_regions : pandas.DataFrame
        With the columns of `uncertainty`, `uncertainty_summary`, `uncertainty_by_region` and
        `uncertainty_hot_regions`.
    """

    questions: pd.DataFrame
    summary: pd.DataFrame
    regions: pd.DataFrame
    hot_regions: pd.DataFrame


@dataclass(frozen=True)
class OptionsOnMap:
    """How probable a model finds each option, on the described map of a benchmark.

    Attributes
    ----------
    options : OptionProbabilities
        Probabilities of n questions.
    positions : int64 array, shape (n,)
        The position of each on the map; no position occurs twice.
    questions : QuestionMap
    labels : mapping from region id to name
    phrases : sequence of sequence of str, one a position of the map
        Phrases of each question's text, by `labelling.phrases_of`.
    """

    options: OptionProbabilities
    positions: IntVector
    questions: QuestionMap
    labels: Mapping[str, str]
    phrases: Sequence[Sequence[str]]

    @cached_property
    def right(self) -> BoolVector:
        """Whether the likeliest option is the right one, shape (n,)."""
        right: BoolVector = chosen_options(self.options.probabilities) == self.options.gold
        return right

    @cached_property
    def confidence(self) -> FloatVector:
        """Probability of the likeliest option, shape (n,); rounding may lift it above 1."""
        confidence: FloatVector = np.nanmax(self.options.probabilities, axis=1)
        return confidence

    @cached_property
    def corner(self) -> npt.NDArray[np.str_]:
        """Confidence and correctness of each answer, one of `vocabulary.CORNERS`."""
        return corners(self.confidence, self.right)

    @cached_property
    def region_labels(self) -> tuple[IntVector, Sequence[Sequence[str]]]:
        """Number of each question's region at every level, shape (n, levels), and their names."""
        numbers, names = self.questions.region_labels()
        return numbers[self.positions].astype(np.int64), names

    def on_map(self, values: npt.ArrayLike) -> FloatVector:
        """Place one value a question on the map; NaN at positions without one."""
        placed = np.full(len(self.questions), np.nan)
        placed[self.positions] = values
        return placed


def measure_uncertainty(
    model: OptionsOnMap,
    miscoverage: float = DEFAULT_MISCOVERAGE,
    fdr: float = 0.05,
    permutations: int = 99,
    repeats: int = DEFAULT_REPEATS,
    random_state: int = 0,
) -> Uncertainty:
    """Calibrate conformal sets, and test where they grow and where they break their promise.

    Parameters
    ----------
    model : OptionsOnMap
        The model's probabilities on at least two questions.
    miscoverage : float
        Share of conformal sets that may miss the right option.
    fdr : float
        False discovery rate of hot regions.
    permutations : int
        Number of random permutations for the p values of Moran's I.
    repeats : int
        Number of random splits that sets are calibrated on, two at least.
    random_state : int
        Seed of the splits.

    Returns
    -------
    Uncertainty
    """
    options, questions = model.options, model.questions
    here, _ = model.region_labels
    strata = here[:, 0] if here.shape[1] else np.zeros(len(model.positions), dtype=np.int64)
    calibrated = {
        (score, form): repeated_calibration(
            options.probabilities,
            options.gold,
            strata,
            ConformalMethod(miscoverage, score, form),
            repeats=repeats,
            random_state=random_state,
        )
        for score in CONFORMAL_SCORES
        for form in CONFORMAL_FORMS
    }
    k = usable_scales(len(questions), questions.neighbours.shape[1], (NEIGHBOURHOOD,))[0]
    table = _question_table(model, calibrated, k)
    summary = _summary(model, calibrated, k, permutations, miscoverage)
    return Uncertainty(
        table,
        summary,
        _by_region(model, calibrated, miscoverage, repeats, random_state),
        _hot_regions(model, table, fdr),
    )


def _question_table(model: OptionsOnMap, calibrated: _Calibrations, k: int) -> pd.DataFrame:
    import pandas as pd

    questions, counts = model.questions, model.options.options
    table = pd.DataFrame(
        {
            "question_id": [questions.question_ids[at] for at in model.positions.tolist()],
            "options": counts,
            "confidence": np.minimum(model.confidence, 1.0),
            "right": model.right,
            "corner": model.corner,
        }
    )
    for score in CONFORMAL_SCORES:
        table[f"{score}_set_size"] = calibrated[score, _SIZE_FORM].sizes
        table[f"{score}_covered"] = calibrated[score, _SIZE_FORM].covered
    table["set_size"] = table[[f"{score}_set_size" for score in CONFORMAL_SCORES]].mean(axis=1)
    local = local_averages(model.on_map(table["set_size"] / counts), questions.neighbours, k)
    around = local.to_frame().iloc[model.positions].drop(columns="draws").reset_index(drop=True)
    return pd.concat([table, around], axis=1)[list(QUESTION_COLUMNS)]


def _summary(
    model: OptionsOnMap, calibrated: _Calibrations, k: int, permutations: int, miscoverage: float
) -> pd.DataFrame:
    import pandas as pd

    options, questions, counts = model.options, model.questions, model.options.options
    confidence = np.minimum(model.confidence, 1.0)
    same = {
        "alpha": miscoverage,
        "questions": len(model.right),
        "left_out": sum(options.left_out.values()),
        "compared_by_length": int(options.by_length.sum()),
        "fewest_options": int(counts.min()),
        "most_options": int(counts.max()),
        "accuracy": float(model.right.mean()),
        "confidence": float(confidence.mean()),
        "confident_from": confident_from(model.confidence),
        "calibration_error": expected_calibration_error(confidence, model.right),
        "calibration_error_by_chance": calibration_error_by_chance(confidence),
        "k": k,
    }
    known = ~np.isnan(model.on_map(np.zeros(len(counts))))
    weights = neighbour_weights(known, questions.neighbours, (k,), questions.mutual)
    options_of = np.zeros(len(questions), dtype=np.int64)
    options_of[model.positions] = counts

    def moran_of(marks: FloatVector, strata: IntVector | None = None) -> GlobalStatistic:
        (statistic,) = global_statistics(
            marks, questions.neighbours, (k,), permutations, weights=weights, strata=strata
        )
        return statistic

    rows = []
    for form in CONFORMAL_FORMS:
        for score in (*CONFORMAL_SCORES, MEAN):
            averaged = [calibrated[one, form] for one in CONFORMAL_SCORES if score in (one, MEAN)]
            coverage = np.mean([calibration.coverage for calibration in averaged], axis=0)
            share = np.mean([calibration.sizes for calibration in averaged], axis=0) / counts
            moran = adjusted = moran_of(model.on_map(share))
            if np.ptp(counts):
                # With fewer options a larger share of them is in the set, and topics differ in
                # their numbers of options.
                standard = _given_options(share, counts)[1]
                adjusted = moran_of(model.on_map(standard), options_of)
            rows.append(
                {
                    "score": score,
                    "form": form,
                    **same,
                    "set_size": float(np.mean([one.set_size for one in averaged])),
                    "coverage": float(coverage.mean()),
                    "coverage_spread": float(coverage.std(ddof=1)),
                    # The mean of ratios, as in the paper; a ratio of means is another number.
                    "uacc": float(np.mean([one.uacc for one in averaged])),
                    "moran": moran.moran,
                    "moran_z": moran.z,
                    "moran_p": moran.p,
                    "adjusted_moran": adjusted.moran,
                    "adjusted_moran_z": adjusted.z,
                    "adjusted_moran_p": adjusted.p,
                }
            )
    return pd.DataFrame(rows)


def _by_region(
    model: OptionsOnMap,
    calibrated: _Calibrations,
    miscoverage: float,
    repeats: int,
    random_state: int,
) -> pd.DataFrame:
    import pandas as pd

    here, names = model.region_labels
    answers = GradedAnswers(
        model.right, np.minimum(model.confidence, 1.0), model.corner == CONFIDENT_WRONG
    )
    frames = []
    for score in CONFORMAL_SCORES:
        within = [
            repeated_calibration(
                model.options.probabilities,
                model.options.gold,
                here[:, level],
                ConformalMethod(miscoverage, score, _PROMISE_FORM),
                groups=here[:, level],
                repeats=repeats,
                random_state=random_state,
            )
            for level in range(here.shape[1])
        ]
        overall = calibrated[score, _PROMISE_FORM]
        table = coverage_by_region(list(here.T), names, overall, within, answers, miscoverage)
        table.insert(0, "score", score)
        frames.append(table)
    return pd.concat(frames, ignore_index=True)


def _hot_regions(model: OptionsOnMap, table: pd.DataFrame, fdr: float) -> pd.DataFrame:
    """Return the places where confident mistakes, or large sets, concentrate."""
    import pandas as pd

    places = list(_places(model, table, fdr))
    row_of = np.full(len(model.questions), -1)
    row_of[model.positions] = np.arange(len(model.positions))
    ranks = dict.fromkeys(UNCERTAINTY_BASES, 0)
    rows: list[dict[str, Any]] = []
    for place in places:
        region = place.region
        ranks[place.basis] += 1
        inside = table.iloc[row_of[region.members]]
        regions = [model.questions.region_ids[at] for at in region.members.tolist()]
        region_id = main_region(regions)
        if place.basis == CONFIDENTLY_WRONG:
            exemplars = inside[inside["corner"] == CONFIDENT_WRONG].sort_values(
                "confidence", ascending=False, kind="stable"
            )
        else:
            exemplars = inside.sort_values("confidence", kind="stable")
        rows.append(
            {
                "basis": place.basis,
                "rank": ranks[place.basis],
                "region_id": region_id,
                "label": model.labels.get(region_id or ""),
                "key_phrases": place.key_phrases,
                "size": region.size,
                "low": region.low,
                "high": region.high,
                **place.values,
                "accuracy": float(inside["right"].mean()),
                "confidence": float(inside["confidence"].mean()),
                "set_size": float(inside["set_size"].mean()),
                "walk": region.walk,
                "scale": region.scale,
                "q": region.q,
                "question_ids": inside["question_id"].tolist(),
                "exemplars": exemplars["question_id"].tolist()[:_EXEMPLARS],
            }
        )
    return pd.DataFrame(rows, columns=list(HOT_REGION_COLUMNS))


@dataclass(frozen=True)
class _Place:
    """A place by one basis, with the columns of the table that depend on the basis."""

    basis: str
    region: HotRegion | HighRegion
    key_phrases: list[str]
    values: Mapping[str, Any]


def _places(model: OptionsOnMap, table: pd.DataFrame, fdr: float) -> Iterator[_Place]:
    """Find the places of each basis, basis by basis."""
    kernel = model.questions.kernel
    if kernel is None:
        return
    wrong = model.on_map((model.corner == CONFIDENT_WRONG).astype(np.float64))
    mistaken = hot_regions(wrong, kernel, fdr=fdr)
    replications = split_half(mistaken, wrong, kernel)
    phrases = describing_phrases(mistaken, model.phrases)
    for region, replication, words in zip(mistaken, replications, phrases, strict=True):
        values = {
            "value": region.rate,
            "outside_value": region.outside_rate,
            "replicated_halves": replication.halves,
            "held_out_excess": replication.excess,
        }
        yield _Place(CONFIDENTLY_WRONG, region, words, values)
    share = model.on_map(table["set_size"] / table["options"])
    unsure = high_regions(share, kernel, fdr)
    for high_region, words in zip(unsure, describing_phrases(unsure, model.phrases), strict=True):
        values = {"value": high_region.mean, "outside_value": high_region.outside_mean}
        yield _Place(UNCERTAIN, high_region, words, values)
    if table["options"].nunique() < 2:
        return
    # Tested in standard deviations, but reported as a difference of shares.
    excesses, standard = _given_options(share[model.positions], table["options"])
    excess = model.on_map(excesses)
    beyond = high_regions(model.on_map(standard), kernel, fdr)
    for high_region, words in zip(beyond, describing_phrases(beyond, model.phrases), strict=True):
        own_excess = excess[high_region.members]
        mean = float(own_excess.mean())
        half = 1.96 * float(own_excess.std(ddof=1) / np.sqrt(high_region.size))
        outside = float(np.nanmean(np.delete(excess, high_region.members)))
        values = {"value": mean, "low": mean - half, "high": mean + half, "outside_value": outside}
        yield _Place(UNCERTAIN_GIVEN_OPTIONS, high_region, words, values)


def _given_options(share: FloatVector, options: Any) -> tuple[FloatVector, FloatVector]:
    """Return set sizes less their mean over questions of as many options, plain and standardised.

    Standardised, because their spread differs too: of two options a set holds one or both.
    """
    import pandas as pd

    groups = pd.Series(share).groupby(np.asarray(options))
    excess = share - groups.transform("mean").to_numpy()
    spread = groups.transform("std", ddof=0).to_numpy()
    return excess, np.divide(excess, spread, out=np.zeros(len(share)), where=spread > 1e-9)
