"""Training examples chosen for a model's demand, with what to judge the choice by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import cosine_neighbours_among
from errclust_pipeline.analysis.selection.baselines import baseline_coverage
from errclust_pipeline.analysis.selection.coverage import (
    Selection,
    candidate_groups,
    group_caps,
    select,
    similarity_graph,
    suggested_budget,
)
from errclust_pipeline.analysis.selection.model_demand import ModelDemand
from errclust_pipeline.analysis.selection.reasons import pick_table

if TYPE_CHECKING:
    import pandas as pd

_STEPS_OF_THE_CURVE = 12


@dataclass(frozen=True)
class ChosenCandidates:
    """A selection of candidates for a model's demand.

    Attributes
    ----------
    selection : Selection
    picks : DataFrame
        One row a pick, by `pick_table`.
    baselines : mapping from name to float
        Share of the demand that as many picks of other methods cover.
    suggested : int
        Number of picks that cover nine tenths of what all candidates together do.
    curve : list of (int, float)
        Numbers of picks up to `suggested` and the share that they cover, without caps on regions.
    nearness : float or None
        Mean cosine similarity of the errors, by their weight, to the candidate nearest to each: how
        much all candidates together can do. None without demand or candidates.
    """

    selection: Selection
    picks: pd.DataFrame
    baselines: Mapping[str, float]
    suggested: int
    curve: list[tuple[int, float]]
    nearness: float | None

    @property
    def coverage(self) -> float:
        """Share of the attainable demand that the picks cover."""
        return float(self.selection.coverage[-1]) if len(self.selection.picks) else 0.0


def choose_candidates(
    model: ModelDemand,
    question_vectors: npt.NDArray[np.float32],
    candidate_ids: Sequence[str],
    candidate_vectors: npt.NDArray[np.float32],
    budget: int,
    labels: Mapping[str, str],
) -> ChosenCandidates:
    """Select candidates that cover a model's demand, and measure baselines beside them.

    Parameters
    ----------
    model : ModelDemand
    question_vectors : float32 array, shape (n, dimensions)
        Embeddings of ``model.questions``.
    candidate_ids : sequence of str, length v
    candidate_vectors : float32 array, shape (v, dimensions)
    budget : int
        Maximum number of picks.
    labels : mapping from region id to name

    Returns
    -------
    ChosenCandidates
    """
    rows = model.rows
    weights = model.demand.weight[rows]
    if not len(rows) or not len(candidate_ids):
        from scipy import sparse

        empty = sparse.csr_matrix((len(rows), len(candidate_ids)))
        nothing = select(empty, weights, budget)
        picks = pick_table(nothing, (), np.empty((0, 1)), model.questions, rows, labels)
        return ChosenCandidates(nothing, picks, {}, 0, [], None)
    graph = similarity_graph(question_vectors[rows], candidate_vectors)
    groups = candidate_groups(graph, model.groups[rows])
    total = float(weights.sum())
    shares = {
        group: float(weights[model.groups[rows] == group].sum()) / total
        for group in np.unique(model.groups[rows]).tolist()
    }
    selection = select(graph, weights, budget, groups, group_caps(groups, shares, budget))
    nearest = cosine_neighbours_among(question_vectors, candidate_vectors, 1)[0][:, 0]
    baselines = baseline_coverage(
        graph, weights, nearest, model.questions.errors, model.demand.local_rate, budget
    )
    suggested, curve = suggested_budget(graph, weights)
    steps = np.unique(np.geomspace(1, max(suggested, 1), _STEPS_OF_THE_CURVE).round().astype(int))
    return ChosenCandidates(
        selection,
        pick_table(selection, candidate_ids, candidate_vectors, model.questions, rows, labels),
        baselines,
        suggested,
        [(int(step), float(curve[step - 1])) for step in steps if step <= len(curve)],
        selection.attainable / total,
    )
