"""Battles of one kind of judge on the map of their prompts, and two models compared by them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings.battles import Battles, battles_of
from errclust_pipeline.analysis.ratings.bradley_terry import Ratings, fit_ratings
from errclust_pipeline.analysis.ratings.regions import regional_ratings

if TYPE_CHECKING:
    import pandas as pd

FEWEST_PROMPTS_TO_CLUSTER_BY = 2
FEWEST_JUDGES_TO_CLUSTER_BY = 10
"""Minimum number of judges for intervals that are clustered by judge: with fewer, the clustered
variance is estimated from so few units that intervals come out too narrow."""

_BATTLE_COLUMNS = ("model_a", "model_b", "winner")


@dataclass(frozen=True)
class JudgedBattles:
    """Battles that one kind of judge decided.

    Attributes
    ----------
    battles : Battles
        With positions on the map as prompts, so that near-duplicates are one prompt.
    judges : int64 array, shape (n,)
        Number of the judge of each battle. Every unknown judge has a number of its own.
    rows : DataFrame, length n
        Rows of the table `battles`.
    """

    battles: Battles
    judges: npt.NDArray[np.int64]
    rows: pd.DataFrame

    @classmethod
    def from_rows(cls, rows: pd.DataFrame, prompts: QuestionMap) -> JudgedBattles:
        """Place rows of the table `battles` on the map of their prompts.

        Raises
        ------
        KeyError
            If a prompt is not on the map.
        """
        import pandas as pd

        battles = battles_of(*(rows[name].tolist() for name in _BATTLE_COLUMNS))
        positions = [prompts.position_of[question_id] for question_id in rows["question_id"]]
        judges = pd.factorize(rows["judge"])[0].astype(np.int64)
        unknown = np.flatnonzero(judges < 0)
        judges[unknown] = judges.max(initial=-1) + 1 + np.arange(len(unknown))
        on_map = dataclasses.replace(battles, prompts=np.array(positions, dtype=np.int64))
        return cls(on_map, judges, rows)

    def rate(self, **options: Any) -> Ratings:
        """Fit ratings with intervals clustered by prompt and, if judges are many, by judge.

        Parameters
        ----------
        **options
            Passed on to `fit_ratings`.
        """
        clusters = [
            labels
            for labels, fewest in (
                (self.battles.prompts, FEWEST_PROMPTS_TO_CLUSTER_BY),
                (self.judges, FEWEST_JUDGES_TO_CLUSTER_BY),
            )
            if len(np.unique(labels)) >= fewest
        ]
        return fit_ratings(self.battles, clusters=clusters, **options)

    def between(self, model: str, other: str) -> JudgedBattles | None:
        """Return the battles of two models with each other; None if there are none."""
        names = [model, other]
        is_between = self.rows["model_a"].isin(names) & self.rows["model_b"].isin(names)
        if model == other or not is_between.any():
            return None
        rows = self.rows[is_between].reset_index(drop=True)
        battles = battles_of(*(rows[name].tolist() for name in _BATTLE_COLUMNS))
        positions = np.flatnonzero(is_between.to_numpy())
        battles = dataclasses.replace(battles, prompts=self.battles.prompts[positions])
        return JudgedBattles(battles, self.judges[positions], rows)

    def scores_of(self, model: str) -> list[float]:
        """Return a model's score in each of its battles: 1 won, 0.5 a tie, 0 lost."""
        number = self.battles.number(model)
        is_first, is_second = self.battles.first == number, self.battles.second == number
        scores = np.where(is_first, self.battles.score, 1 - self.battles.score)
        return [float(score) for score in scores[is_first | is_second]]

    def subjects(self) -> list[str | None]:
        """Return the subject of each position of the map, by the source; None where it has none."""
        prompts = self.battles.prompts
        subjects: list[str | None] = [None] * (int(prompts.max(initial=-1)) + 1)
        for position, subject in zip(prompts.tolist(), self.rows["subject"].tolist(), strict=True):
            if isinstance(subject, str) and subjects[position] is None:
                subjects[position] = subject
        return subjects


def compare_by_battles(
    battles: JudgedBattles,
    prompts: QuestionMap,
    model: str,
    against: str,
    spread: float | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Rate two models by their battles with each other alone: overall, by region and by subject.

    Parameters
    ----------
    battles : JudgedBattles
        The battles of these two models only, by `JudgedBattles.between`.
    prompts : QuestionMap
    model, against : str
    spread : float, optional
        Standard deviation of regional about overall ratings, see `regional_ratings`; chosen by
        cross-validation if not given, which takes most of the time. Only shifts depend on it.

    Returns
    -------
    overall : dict
        `battles`, `prompts`, `wins`, `ties` and `win_rate` of `model`; the `difference` of their
        ratings in Elo points with its 95 % interval `low` and `high`; and `bounded`, which is false
        if one of them won every battle.
    regions : list of dict
        Rows of ``regional_ratings(…).models`` for `model`, with `region_id` and `level`; level 0
        stands for the source's subjects.
    """
    ratings = battles.rate()
    gap = ratings.difference(model, against)
    scores = battles.scores_of(model)
    overall = {
        "battles": len(battles.battles),
        "prompts": len(np.unique(battles.battles.prompts)),
        "wins": scores.count(1.0),
        "ties": scores.count(0.5),
        "win_rate": sum(scores) / len(scores),
        "difference": gap.estimate,
        "low": gap.low,
        "high": gap.high,
        "bounded": bool(ratings.bounded.all()),
    }
    regions = []
    for level, names in enumerate([battles.subjects(), *regions_at_levels(prompts)]):
        table = regional_ratings(
            battles.battles, ratings, names, spread=spread, permutations=0
        ).models
        of_model = table[table["model"] == model].rename(columns={"region": "region_id"})
        regions += [
            {"level": level} | {str(name): value for name, value in row.items()}
            for row in of_model.to_dict("records")
        ]
    return overall, regions


def regions_at_levels(prompts: QuestionMap) -> list[list[str | None]]:
    """Return, level by level, the region of each position of the map; None where it is in none."""
    labels, names = prompts.region_labels()
    return [
        [None if label < 0 else names_of_level[label] for label in labels[:, level].tolist()]
        for level, names_of_level in enumerate(names)
    ]
