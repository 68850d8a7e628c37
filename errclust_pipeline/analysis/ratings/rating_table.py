"""The table of models' ratings: Bradley-Terry, at equal style, and concentration on the map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings.bradley_terry import Ratings
from errclust_pipeline.analysis.ratings.judged_battles import JudgedBattles
from errclust_pipeline.analysis.ratings.regions import residual_by_prompt
from errclust_pipeline.analysis.ratings.style import FEATURES, style_differences
from errclust_pipeline.analysis.spatial import (
    global_statistics,
    mutual_neighbours,
    neighbour_weights,
    neighbourhood_size,
)

if TYPE_CHECKING:
    import pandas as pd

StyleEffects = dict[str, dict[str, float]]
"""Maps each feature of style to its coefficient: ``estimate``, ``low`` and ``high``, in logits."""


def rating_table(
    judged: JudgedBattles, ratings: Ratings, prompts: QuestionMap
) -> tuple[pd.DataFrame, StyleEffects]:
    """Return one row for each model, and what style is worth to these judges.

    Parameters
    ----------
    judged : JudgedBattles
        The battles that one kind of judge decided.
    ratings : Ratings
        Fitted to these battles.
    prompts : QuestionMap
        The map of their prompts.

    Returns
    -------
    DataFrame
        The model with the highest rating first. ``moran`` and ``moran_z`` say whether the model's
        wins and losses, beyond what its rating explains, concentrate on the map: Moran's I over the
        ``k`` nearest prompts; NaN if the map is too small for a neighbourhood. ``style_rating`` is
        None where responses are not known.
    dict
        See `StyleEffects`; empty where responses are not known.
    """
    import pandas as pd

    battles = judged.battles
    wins = np.bincount(battles.first, battles.score, len(ratings.models))
    wins += np.bincount(battles.second, 1 - battles.score, len(ratings.models))
    k = neighbourhood_size(len(prompts), prompts.neighbours.shape[1])
    moran, moran_z = _concentration(judged, ratings, prompts, k)
    style_rating, style_effects = _at_equal_style(judged)
    table = pd.DataFrame(
        {
            "model": ratings.models,
            "battles": ratings.battles,
            "win_rate": wins / ratings.battles,
            "rating": ratings.rating,
            "standard_error": ratings.standard_errors,
            "low": ratings.low,
            "high": ratings.high,
            "clusters": ratings.clusters,
            "component": ratings.component,
            "bounded": ratings.bounded,
            "style_rating": style_rating,
            "k": k,
            "moran": moran,
            "moran_z": moran_z,
        }
    )
    return table.sort_values("rating", ascending=False), style_effects


def _concentration(
    judged: JudgedBattles, ratings: Ratings, prompts: QuestionMap, k: int
) -> tuple[list[float], list[float]]:
    """Return Moran's I of each model's residuals, and its z score; NaN if `k` is 0."""
    if not k:
        undefined = [np.nan] * len(ratings.models)
        return undefined, undefined
    mutual = mutual_neighbours(prompts.neighbours[:, :k])
    statistics = []
    for model in ratings.models:
        marks = np.full(len(prompts), np.nan)
        residual = residual_by_prompt(judged.battles, ratings, model)
        marks[: len(residual)] = residual
        weights = neighbour_weights(~np.isnan(marks), prompts.neighbours, [k], mutual)
        statistics += global_statistics(
            marks, prompts.neighbours, [k], permutations=0, weights=weights
        )
    return [statistic.moran for statistic in statistics], [statistic.z for statistic in statistics]


def _at_equal_style(
    judged: JudgedBattles,
) -> tuple[npt.NDArray[np.float64] | None, StyleEffects]:
    """Rate models as if all of them wrote in the same style."""
    responses: Any = judged.rows[["response_a", "response_b"]]
    if responses.isna().any(axis=None):
        return None, {}
    differences = style_differences(*(responses[side].tolist() for side in responses))
    ratings = judged.rate(covariates=differences, names=FEATURES)
    effects = {
        coefficient.name: {
            "estimate": coefficient.estimate,
            "low": coefficient.low,
            "high": coefficient.high,
        }
        for coefficient in ratings.coefficients
        if not np.isnan(coefficient.estimate)
    }
    return ratings.rating, effects
