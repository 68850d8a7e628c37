"""The table of a model's autocorrelation: Moran's I and join counts of its marks, by scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.spatial.autocorrelation import global_statistics, neighbour_weights
from errclust_pipeline.analysis.spatial.hubness import Hubness, hubness

if TYPE_CHECKING:
    from errclust_pipeline.analysis.question_map import QuestionMap


def autocorrelation_records(
    marks: Mapping[str, npt.NDArray[np.float64]],
    questions: QuestionMap,
    scales: Sequence[int],
    permutations: int,
) -> list[dict[str, Any]]:
    """Measure whether marks concentrate on the map, with the hubness of the map at each scale.

    Parameters
    ----------
    marks : mapping from str to float64 array, shape (n,)
        Marks by name, e.g. ``errors``; NaN in the same places of each, where there is no answer.
    questions : QuestionMap
        The map of the n questions.
    scales : sequence of int
        Numbers of neighbours, ascending.
    permutations : int
        Number of permutations for the p values; see `global_statistics`.

    Returns
    -------
    list of dict
        For each mark and scale, the fields of `GlobalStatistic` and of `Hubness`. A statistic is
        NaN where it is not defined, as for marks that are all the same.
    """
    first = next(iter(marks.values()))
    weights = neighbour_weights(~np.isnan(first), questions.neighbours, scales, questions.mutual)
    hubs = {k: hubness(questions.neighbours, k) for k in scales}
    return [
        {"mark": name, **dataclasses.asdict(statistic), **_hub_columns(hubs[statistic.k])}
        for name, values in marks.items()
        for statistic in global_statistics(
            values, questions.neighbours, scales, permutations, weights=weights
        )
    ]


def _hub_columns(hubs: Hubness) -> dict[str, Any]:
    return {
        "in_degree_skewness": hubs.skewness,
        "largest_in_degree": hubs.largest_in_degree,
        "orphans": hubs.orphans,
    }
