"""Battles of a battle set as arrays, on the map of their prompts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import (
    Battles,
    Ratings,
    battles_of,
    fit_ratings,
    regional_ratings,
)
from errclust_pipeline.tables import BATTLES, PROMPT_MAP
from errclust_pipeline.vocabulary import JUDGE_KINDS
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd

FEWEST_JUDGES = 10
"""Clusters by judge are worse than none if there are fewer: they would claim too much."""

_COLUMNS = ("model_a", "model_b", "winner", "question_id", "judge", "judge_kind", "subject")


@dataclass(frozen=True)
class Verdicts:
    """Battles that one kind of judge decided.

    Attributes
    ----------
    battles : Battles
        Their prompts are positions on the map, so that near-duplicates are one.
    judges : int64 array, shape (n,)
        Who judged each, as a number; a judge that is not known is one by itself.
    rows : DataFrame, length n
        Rows of the table `battles`.
    """

    battles: Battles
    judges: npt.NDArray[np.int64]
    rows: pd.DataFrame

    def rate(self, **options: Any) -> Ratings:
        """Fit ratings with intervals clustered by prompt, and by judge if there are many."""
        battles = self.battles
        ways = [way for way, fewest in ((battles.prompts, 2), (self.judges, FEWEST_JUDGES))
                if len(np.unique(way)) >= fewest]  # fmt: skip
        return fit_ratings(battles, clusters=ways, **options)

    def between(self, model: str, other: str) -> Verdicts | None:
        """Return the battles of two models with each other; None if there is none."""
        chosen = self.rows["model_a"].isin([model, other]) & self.rows["model_b"].isin(
            [model, other]
        )
        if model == other or not chosen.any():
            return None
        rows = self.rows[chosen].reset_index(drop=True)
        battles = battles_of(*(rows[name].tolist() for name in ("model_a", "model_b", "winner")))
        where = np.flatnonzero(chosen.to_numpy())
        battles = dataclasses.replace(battles, prompts=self.battles.prompts[where])
        return Verdicts(battles, self.judges[where], rows)

    def wins_of(self, model: str) -> list[float]:
        """Return a model's score in each of its battles."""
        own = self.battles.number(model)
        first, second = self.battles.first == own, self.battles.second == own
        scores = np.where(first, self.battles.score, 1 - self.battles.score)
        return [float(score) for score in scores[first | second]]

    def subjects(self) -> list[str | None]:
        """Return the subject of each position of the map, by the source; None where it has none."""
        found: list[str | None] = [None] * (int(self.battles.prompts.max(initial=-1)) + 1)
        for position, subject in zip(
            self.battles.prompts.tolist(), self.rows["subject"].tolist(), strict=True
        ):
            if isinstance(subject, str) and found[position] is None:
                found[position] = subject
        return found


def read_prompt_map(store: Warehouse, battle_set: BattleSetPartition) -> QuestionMap:
    """Read the map of a battle set's prompts.

    Raises
    ------
    WarehouseError
        If it was not made yet.
    """
    return QuestionMap.from_table(store.read(PROMPT_MAP, battle_set).to_pandas())


def read_verdicts(
    store: Warehouse, battle_set: BattleSetPartition, prompts: QuestionMap, responses: bool = False
) -> dict[str, Verdicts]:
    """Read a battle set by kind of judge; kinds without a battle are left out.

    Parameters
    ----------
    prompts : QuestionMap
    responses : bool
        Whether to read the responses too.

    Raises
    ------
    WarehouseError
        If the battles were not read yet.
    """
    import pandas as pd

    columns = [*_COLUMNS, *(("response_a", "response_b") if responses else ())]
    rows = store.read(BATTLES, battle_set, columns=columns).to_pandas()
    found = {}
    for kind in JUDGE_KINDS:
        own = rows[rows["judge_kind"] == kind].reset_index(drop=True)
        if own.empty:
            continue
        names = ("model_a", "model_b", "winner")
        battles = battles_of(*(own[name].tolist() for name in names))
        on = np.array([prompts.position_of[one] for one in own["question_id"]], dtype=np.int64)
        judges = pd.factorize(own["judge"])[0].astype(np.int64)
        unknown = np.flatnonzero(judges < 0)
        judges[unknown] = judges.max(initial=-1) + 1 + np.arange(len(unknown))
        found[kind] = Verdicts(dataclasses.replace(battles, prompts=on), judges, own)
    return found


def compare_by_battles(
    own: Verdicts,
    prompts: QuestionMap,
    model: str,
    against: str,
    spread: float | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Rate two models by their battles with each other alone, overall and by region and subject.

    Parameters
    ----------
    own : Verdicts
        Of these two only, by `Verdicts.between`.
    prompts : QuestionMap
    spread : float, optional
        See `regional_ratings`: choosing one takes most of the time, and only shifts rest on it.

    Returns
    -------
    overall : dict
        `battles`, `prompts`, `wins`, `ties` and `win_rate` of `model`, the `difference` of their
        ratings in points with `low` and `high`, and whether that is `bounded`.
    regions : list of dict
        Rows of `regional_ratings(…).models` for `model`, with `region_id` and `level`.
    """
    overall = own.rate()
    gap = overall.difference(model, against)
    wins = own.wins_of(model)
    found = {
        "battles": len(own.battles),
        "prompts": len(np.unique(own.battles.prompts)),
        "wins": wins.count(1.0),
        "ties": wins.count(0.5),
        "win_rate": sum(wins) / len(wins),
        "difference": gap.estimate,
        "low": gap.low,
        "high": gap.high,
        "bounded": bool(overall.bounded.all()),
    }
    regions = []
    for level, names in enumerate([own.subjects(), *regions_at_levels(prompts)]):
        table = regional_ratings(own.battles, overall, names, spread=spread, permutations=0).models
        chosen = table[table["model"] == model].rename(columns={"region": "region_id"})
        regions += [
            {"level": level} | {str(name): value for name, value in row.items()}
            for row in chosen.to_dict("records")
        ]
    return found, regions


def regions_at_levels(prompts: QuestionMap) -> list[list[str | None]]:
    """Return, level by level, the region of each position of the map; None where it is in none."""
    labels, names = prompts.region_labels()
    return [
        [None if label < 0 else of_level[label] for label in labels[:, level].tolist()]
        for level, of_level in enumerate(names)
    ]
