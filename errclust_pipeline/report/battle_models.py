"""What the report of a battle set shows of its models: ratings, and wins on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import JudgedBattles, Ratings, residual_by_prompt
from errclust_pipeline.analysis.spatial import local_averages, neighbourhood_size
from errclust_pipeline.report.columns import camel, in_steps, packed, placed

if TYPE_CHECKING:
    import pandas as pd


def model_contents(
    model: str,
    ratings: pd.DataFrame,
    judged: Mapping[str, JudgedBattles],
    fitted: Mapping[str, Ratings],
    prompts: QuestionMap,
    fdr: float,
) -> dict[str, Any]:
    """Return a model's ratings and its wins on the map, by kind of judges.

    Parameters
    ----------
    ratings : DataFrame
        Rows of the table `ratings`.
    judged, fitted : mapping from kind of judges
        The battles, and the ratings fitted to them.
    fdr : float
        False discovery rate of hot and cold prompts.
    """
    return {
        "model": model,
        "ratings": {
            str(row["judge_kind"]): camel(cast("dict[str, Any]", row))
            for row in ratings[ratings["model"] == model].to_dict("records")
        },
        "maps": {
            kind: _wins_on_map(battles, fitted[kind], prompts, model, fdr)
            for kind, battles in judged.items()
            if model in battles.battles.models
        },
    }


def _wins_on_map(
    judged: JudgedBattles, ratings: Ratings, prompts: QuestionMap, model: str, fdr: float
) -> dict[str, Any]:
    """Return a model's wins as packed columns over the map's points.

    `won` is the share of the model's battles on the prompt that it won, in steps of 1/250; `around`
    is the mean of that over the prompt's `k` neighbours. `beyond` is the neighbours' mean of the
    share less the share that ratings predict, from -0.5 to 0.5, and `hot` is 1 where that is
    significantly high, -1 where it is low and 0 elsewhere. If the map is too small for
    neighbourhoods, `k` is 0 and there is only `won`.
    """
    points = len(prompts)
    at = np.arange(points)
    won = _win_rates(judged, model, points)
    columns: dict[str, Any] = {"won": in_steps(won, at, points), "k": 0}
    k = neighbourhood_size(points, prompts.neighbours.shape[1])
    if not k:
        return columns
    residuals = np.full(points, np.nan)
    known = residual_by_prompt(judged.battles, ratings, model)
    residuals[: len(known)] = known
    local = local_averages(residuals, prompts.neighbours, k)
    hot = (local.q_high < fdr).astype(int) - (local.q_low < fdr)
    return columns | {
        "k": k,
        "around": in_steps(local_averages(won, prompts.neighbours, k).average, at, points),
        "beyond": in_steps(local.average, at, points, -0.5),
        "hot": placed(hot, at, points, np.int8, 0),
    }


def _win_rates(judged: JudgedBattles, model: str, points: int) -> npt.NDArray[np.float64]:
    """Return the share of a model's battles on each prompt that it won; NaN if it has none."""
    battles = judged.battles
    number = battles.number(model)
    is_own = (battles.first == number) | (battles.second == number)
    score = np.where(battles.first == number, battles.score, 1 - battles.score)
    counts = np.bincount(battles.prompts[is_own], minlength=points)
    sums = np.bincount(battles.prompts[is_own], score[is_own], points)
    rates = np.full(points, np.nan)
    np.divide(sums, counts, out=rates, where=counts > 0)
    return rates


def half_intervals(ratings: Ratings, models: Sequence[str]) -> str:
    """Return half the width of the 95 % interval of each two models' difference in rating.

    Returns
    -------
    str
        A packed float32 matrix over `models`; NaN where two models cannot be compared.
    """
    widths = np.full((len(models), len(models)), np.nan)
    at = np.array([models.index(name) for name in ratings.models])
    variance = np.diag(ratings.covariance)
    variance_of_difference = variance[:, None] + variance[None, :] - 2 * ratings.covariance
    half = ratings.quantile * np.sqrt(np.clip(variance_of_difference, 0, None))
    half[ratings.component[:, None] != ratings.component[None, :]] = np.nan
    widths[np.ix_(at, at)] = half
    return packed(widths, np.float32)
