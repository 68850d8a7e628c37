"""All that is said of one model's uncertainty on the map of a benchmark's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import (
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
    DEFAULT_ALPHA,
    DEFAULT_REPEATS,
    RepeatedCalibration,
    repeated_calibration,
)
from errclust_pipeline.analysis.uncertainty.corners import confident_from, corners
from errclust_pipeline.analysis.uncertainty.options import (
    FloatVector,
    IntVector,
    OptionProbabilities,
    chosen_options,
)
from errclust_pipeline.analysis.uncertainty.regions import coverage_by_region
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

SCALE = 30
"""Neighbours that local statistics and Moran's I look at."""

_SIZE_FORM: ConformalForm = "paper"
"""Of set sizes on the map. Textbook LAC sets are empty where a good model is least sure, and
textbook APS sets hold nearly all of few options. In the paper's form, where one score makes sets of
one size for all questions, as LAC does for a model right more often than is promised, the other
mostly does not: hence their mean."""
_PROMISE_FORM: ConformalForm = "textbook"
"""Of coverage by region: the promise holds for however few questions there are to calibrate by."""
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


def measure_uncertainty(
    options: OptionProbabilities,
    positions: IntVector,
    questions: QuestionMap,
    labels: Mapping[str, str],
    phrases: Sequence[Sequence[str]],
    alpha: float = DEFAULT_ALPHA,
    false_discovery_rate: float = 0.05,
    permutations: int = 99,
    repeats: int = DEFAULT_REPEATS,
    seed: int = 0,
) -> Uncertainty:
    """Make conformal sets, and ask where they grow and where they break their promise.

    Parameters
    ----------
    options : OptionProbabilities
        Of n questions, two at least.
    positions : int64 array, shape (n,)
        Where they are on the map, each once.
    questions : QuestionMap
    labels : mapping from region id to name
    phrases : sequence of sequence of str
        Of each question on the map, by `labelling.phrases_of`.
    alpha : float
        Share of questions whose set may miss the right option.
    false_discovery_rate : float
        Of hot regions.
    permutations : int
        For the p values of Moran's I.
    repeats : int
        Of split calibration, two at least.
    seed : int
    """
    import pandas as pd

    probabilities, gold, counts = options.probabilities, options.gold, options.options
    right = chosen_options(probabilities) == gold
    confidence = np.nanmax(probabilities, axis=1)
    corner = corners(confidence, right)
    numbers, names = questions.region_labels()
    here = numbers[positions].astype(np.int64)
    strata = here[:, 0] if here.shape[1] else np.zeros(len(gold), dtype=np.int64)
    calibrated = {
        (score, form): repeated_calibration(
            probabilities, gold, strata, alpha, score, form, repeats=repeats, seed=seed
        )
        for score in CONFORMAL_SCORES
        for form in CONFORMAL_FORMS
    }
    k = usable_scales(len(questions), questions.neighbours.shape[1], (SCALE,))[0]

    def on_map(values: Any) -> FloatVector:
        marks = np.full(len(questions), np.nan)
        marks[positions] = values
        return marks

    table = pd.DataFrame(
        {
            "question_id": [questions.question_ids[at] for at in positions.tolist()],
            "options": counts,
            "confidence": np.minimum(confidence, 1.0),
            "right": right,
            "corner": corner,
        }
    )
    for score in CONFORMAL_SCORES:
        table[f"{score}_set_size"] = calibrated[score, _SIZE_FORM].sizes
        table[f"{score}_covered"] = calibrated[score, _SIZE_FORM].covered
    table["set_size"] = table[[f"{score}_set_size" for score in CONFORMAL_SCORES]].mean(axis=1)
    share = on_map(table["set_size"] / counts)
    local = local_averages(share, questions.neighbours, k)
    around = local.to_frame().iloc[positions].drop(columns="draws").reset_index(drop=True)
    table = pd.concat([table, around], axis=1)[list(QUESTION_COLUMNS)]
    wrong = on_map((corner == CONFIDENT_WRONG).astype(np.float64))
    summary = _summary(
        options, right, confidence, calibrated, positions, questions, k, permutations, alpha
    )
    regions = _by_region(
        options, here, names, calibrated, right, confidence, corner, alpha, repeats, seed
    )
    places = _hot_regions(
        table, positions, wrong, share, questions, labels, phrases, false_discovery_rate
    )
    return Uncertainty(table, summary, regions, places)


def _summary(
    options: OptionProbabilities,
    right: Any,
    confidence: FloatVector,
    calibrated: Mapping[tuple[ConformalScore, ConformalForm], RepeatedCalibration],
    positions: IntVector,
    questions: QuestionMap,
    k: int,
    permutations: int,
    alpha: float,
) -> pd.DataFrame:
    import pandas as pd

    counts = options.options
    same = {
        "alpha": alpha,
        "questions": len(right),
        "left_out": sum(options.left_out.values()),
        "compared_by_length": int(options.by_length.sum()),
        "fewest_options": int(counts.min()),
        "most_options": int(counts.max()),
        "accuracy": float(right.mean()),
        "confidence": float(np.minimum(confidence, 1.0).mean()),
        "confident_from": confident_from(confidence),
        "calibration_error": expected_calibration_error(np.minimum(confidence, 1.0), right),
        "calibration_error_by_chance": calibration_error_by_chance(np.minimum(confidence, 1.0)),
        "k": k,
    }
    known = np.zeros(len(questions), dtype=np.bool_)
    known[positions] = True
    weights = neighbour_weights(known, questions.neighbours, (k,), questions.mutual)
    options_of = np.zeros(len(questions), dtype=np.int64)
    options_of[positions] = counts
    rows = []
    for form in CONFORMAL_FORMS:
        for score in (*CONFORMAL_SCORES, MEAN):
            found = [calibrated[one, form] for one in CONFORMAL_SCORES if score in (one, MEAN)]
            coverage = np.mean([one.coverage for one in found], axis=0)
            share = np.full(len(questions), np.nan)
            share[positions] = np.mean([one.sizes for one in found], axis=0) / counts
            (moran,) = global_statistics(
                share, questions.neighbours, (k,), permutations, weights=weights
            )
            adjusted = moran
            if np.ptp(counts):
                standard = np.full_like(share, np.nan)
                standard[positions] = _given_options(share[positions], counts)[1]
                (adjusted,) = global_statistics(
                    standard,
                    questions.neighbours,
                    (k,),
                    permutations,
                    weights=weights,
                    strata=options_of,
                )
            rows.append(
                {
                    "score": score,
                    "form": form,
                    **same,
                    "set_size": float(np.mean([one.set_size for one in found])),
                    "coverage": float(coverage.mean()),
                    "coverage_spread": float(coverage.std(ddof=1)),
                    # Of ratios, as there: a ratio of means is another number.
                    "uacc": float(np.mean([one.uacc for one in found])),
                    "moran": moran.moran,
                    "moran_z": moran.z,
                    "moran_p": moran.p,
                    # Of few options a larger share is in the set, and topics differ in them.
                    "adjusted_moran": adjusted.moran,
                    "adjusted_moran_z": adjusted.z,
                    "adjusted_moran_p": adjusted.p,
                }
            )
    return pd.DataFrame(rows)


def _by_region(
    options: OptionProbabilities,
    here: IntVector,
    names: Sequence[Sequence[str]],
    calibrated: Mapping[tuple[ConformalScore, ConformalForm], RepeatedCalibration],
    right: Any,
    confidence: FloatVector,
    corner: Any,
    alpha: float,
    repeats: int,
    seed: int,
) -> pd.DataFrame:
    import pandas as pd

    frames = []
    for score in CONFORMAL_SCORES:
        within = [
            repeated_calibration(
                options.probabilities, options.gold, here[:, level], alpha, score, _PROMISE_FORM,
                groups=here[:, level], repeats=repeats, seed=seed,
            )
            for level in range(here.shape[1])
        ]  # fmt: skip
        found = coverage_by_region(
            list(here.T), names, calibrated[score, _PROMISE_FORM], within, right,
            np.minimum(confidence, 1.0), corner == CONFIDENT_WRONG, alpha,
        )  # fmt: skip
        found.insert(0, "score", score)
        frames.append(found)
    return pd.concat(frames, ignore_index=True)


def _hot_regions(
    table: pd.DataFrame,
    positions: IntVector,
    wrong: FloatVector,
    share: FloatVector,
    questions: QuestionMap,
    labels: Mapping[str, str],
    phrases: Sequence[Sequence[str]],
    alpha: float,
) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    if questions.kernel is None:
        return pd.DataFrame(columns=list(HOT_REGION_COLUMNS))
    row_of = np.full(len(questions), -1)
    row_of[positions] = np.arange(len(positions))
    mistaken = hot_regions(wrong, questions.kernel, alpha=alpha)
    replications = split_half(mistaken, wrong, questions.kernel)
    unsure = high_regions(share, questions.kernel, alpha)
    excess, standard = np.full_like(share, np.nan), np.full_like(share, np.nan)
    excess[positions], standard[positions] = _given_options(share[positions], table["options"])
    beyond = (
        high_regions(standard, questions.kernel, alpha) if table["options"].nunique() > 1 else []
    )
    found: list[tuple[str, HotRegion | HighRegion, dict[str, Any]]] = [
        (
            CONFIDENTLY_WRONG,
            region,
            {
                "value": region.rate,
                "outside_value": region.outside_rate,
                "replicated_halves": replication.halves,
                "held_out_excess": replication.excess,
            },
        )
        for region, replication in zip(mistaken, replications, strict=True)
    ]
    found += [
        (UNCERTAIN, region, {"value": region.mean, "outside_value": region.outside_mean})
        for region in unsure
    ]
    for one in beyond:
        own_excess = excess[one.members]
        mean = float(own_excess.mean())
        half = 1.96 * float(own_excess.std(ddof=1) / np.sqrt(one.size))
        outside = float(np.nanmean(np.delete(excess, one.members)))
        shown = {"value": mean, "low": mean - half, "high": mean + half, "outside_value": outside}
        found.append((UNCERTAIN_GIVEN_OPTIONS, one, shown))
    described = [
        *describing_phrases(mistaken, phrases),
        *describing_phrases(unsure, phrases),
        *describing_phrases(beyond, phrases),
    ]
    ranks = dict.fromkeys(UNCERTAINTY_BASES, 0)
    for (basis, region, own), of_region in zip(found, described, strict=True):
        ranks[basis] += 1
        inside = table.iloc[row_of[region.members]]
        region_id = main_region([questions.region_ids[at] for at in region.members.tolist()])
        if basis == CONFIDENTLY_WRONG:
            telling = inside[inside["corner"] == CONFIDENT_WRONG].sort_values(
                "confidence", ascending=False, kind="stable"
            )
        else:
            telling = inside.sort_values("confidence", kind="stable")
        rows.append(
            {
                "basis": basis,
                "rank": ranks[basis],
                "region_id": region_id,
                "label": labels.get(region_id or ""),
                "key_phrases": of_region,
                "size": region.size,
                "low": region.low,
                "high": region.high,
                # Of set sizes given the options, which are tested in standard deviations, its own.
                **own,
                "accuracy": float(inside["right"].mean()),
                "confidence": float(inside["confidence"].mean()),
                "set_size": float(inside["set_size"].mean()),
                "walk": region.walk,
                "scale": region.scale,
                "q": region.q,
                "question_ids": inside["question_id"].tolist(),
                "exemplars": telling["question_id"].tolist()[:_EXEMPLARS],
            }
        )
    return pd.DataFrame(rows, columns=list(HOT_REGION_COLUMNS))


def _given_options(share: FloatVector, options: Any) -> tuple[FloatVector, FloatVector]:
    """Return set sizes less their mean over questions of as many options, plain and standardised.

    Standardised, because their spread differs too: of two options a set holds one or both.
    """
    import pandas as pd

    groups = pd.Series(share).groupby(np.asarray(options))
    excess = share - groups.transform("mean").to_numpy()
    spread = groups.transform("std", ddof=0).to_numpy()
    return excess, np.divide(excess, spread, out=np.zeros(len(share)), where=spread > 1e-9)
