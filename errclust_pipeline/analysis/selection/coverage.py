"""Which candidates together cover the most demand: weighted facility location.

Candidates v cover demand points i by similarity s(i, v), of which only the largest few of each
demand point are kept. A selection S covers ``f(S) = sum_i w_i max over v in S of s(i, v)``. f is
monotone and submodular, so the greedy selection covers at least 1 - 1/e of what the best of the
same size does (Nemhauser, Wolsey & Fisher 1978, Mathematical Programming 14), and at least half
with caps on groups (Fisher, Nemhauser & Wolsey 1978). Lazy evaluation (Minoux 1978) gives the same
selection in a fraction of the time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import cosine_neighbours_among

FloatVector = npt.NDArray[np.float64]
IntVector = npt.NDArray[np.int64]

SHARE_BEYOND_PROPORTION = 1.5
_BOUND_SLACK = 1 + 1e-9


def similarity_graph(demand: npt.ArrayLike, candidates: npt.ArrayLike, k: int = 30) -> Any:
    """Return how similar each demand point is to its k nearest candidates.

    Time grows with the product of both numbers, memory with ``demand * k``.

    Parameters
    ----------
    demand : array, shape (m, dimensions)
    candidates : array, shape (v, dimensions)
    k : int
        Candidates kept of each demand point.

    Returns
    -------
    scipy.sparse.csr_matrix, float64, shape (m, v)
        Cosine similarities above 0.

    Raises
    ------
    ValueError
        As `cosine_neighbours_among`.
    """
    from scipy import sparse

    indices, similarities = cosine_neighbours_among(demand, candidates, k)
    m, kept = indices.shape
    values = similarities.ravel().astype(np.float64)
    rows = np.repeat(np.arange(m), kept)
    positive = values > 0
    graph = sparse.csr_matrix(
        (values[positive], (rows[positive], indices.ravel()[positive])),
        shape=(m, len(np.asarray(candidates))),
    )
    graph.sort_indices()
    return graph


@dataclass(frozen=True)
class Selection:
    """Picks in the order they were made.

    Attributes
    ----------
    picks : int array, shape (b,)
        Candidates; fewer than the budget if no other adds anything, or caps forbid it.
    gains : float array, shape (b,)
        What each adds to f.
    attainable : float
        f of all candidates.
    newly_covered : tuple of int array
        For each pick the demand points that it covers better than the picks before, most gain
        first.
    evaluations : int
        How many gains were computed.
    """

    picks: IntVector
    gains: FloatVector
    attainable: float
    newly_covered: tuple[IntVector, ...]
    evaluations: int

    @property
    def coverage(self) -> FloatVector:
        """Share of what is attainable that the first 1, 2, … picks cover, shape (b,)."""
        covered: FloatVector = np.cumsum(self.gains) / (self.attainable or 1.0)
        return covered


def select(
    similarities: Any,
    weights: npt.ArrayLike,
    budget: int,
    groups: npt.ArrayLike | None = None,
    caps: Mapping[int, int] | None = None,
    until: float = 1.0,
) -> Selection:
    """Select candidates greedily, each the one that adds most to the demand covered so far.

    Lazy evaluation: a gain can only shrink as more is selected, so an earlier gain is an upper
    bound, and a candidate is evaluated again only while its bound is the largest. Every gain by
    which a candidate is picked is exact. Of candidates with equal gains the first is picked, so
    the selection is the same on every run.

    Parameters
    ----------
    similarities : scipy.sparse matrix, shape (m, v)
        Similarity of each demand point to each candidate, not negative.
    weights : array, shape (m,)
        Demand at each point, not negative.
    budget : int
        Maximum number of picks.
    groups : int array, shape (v,), optional
        Group of each candidate, for the caps.
    caps : mapping from group to int, optional
        Maximum number of picks of each group; a group that is not named has no cap.
    until : float
        Stop when this share of the attainable demand is covered.

    Raises
    ------
    ValueError
        If shapes do not fit, a number is negative or not finite, or the budget is below 1.

    Examples
    --------
    The third candidate covers both demand points well; the second then adds most.

    >>> import numpy as np
    >>> from scipy import sparse
    >>> similarities = sparse.csr_matrix([[1.0, 0.0, 0.75], [0.0, 1.0, 0.75]])
    >>> selection = select(similarities, np.array([1.0, 2.0]), budget=2)
    >>> selection.picks.tolist(), selection.gains.tolist()
    ([2, 1], [2.25, 0.5])
    """
    demand, of_group = _checked(similarities, weights, budget, groups)
    attainable = float((demand * _largest_in_rows(similarities.tocsr())).sum())
    covering = _Covering(similarities, demand)
    left = dict(caps or {})
    heap = [(-bound, v) for v, bound in enumerate(covering.upper_bounds().tolist()) if bound > 0]
    heapq.heapify(heap)
    exact_at = np.full(len(of_group), -1)
    picks: list[int] = []
    gains: list[float] = []
    newly: list[IntVector] = []
    evaluations, covered = 0, 0.0
    while heap and len(picks) < budget and covered < until * attainable:
        bound, v = heapq.heappop(heap)
        group = int(of_group[v])
        if left.get(group, 1) <= 0:
            continue
        if exact_at[v] != len(picks):
            evaluations += 1
            exact_at[v] = len(picks)
            gain = float(covering.added(v).sum())
            if gain > 0:
                heapq.heappush(heap, (-gain, v))
            continue
        newly.append(covering.cover(v))
        picks.append(v)
        gains.append(-bound)
        covered -= bound
        if group in left:
            left[group] -= 1
    return Selection(
        np.array(picks, np.int64), np.array(gains), attainable, tuple(newly), evaluations
    )


def _checked(
    similarities: Any, weights: npt.ArrayLike, budget: int, groups: npt.ArrayLike | None
) -> tuple[FloatVector, IntVector]:
    """Return the demand at each point and the group of each candidate, 0 where there are none."""
    demand = np.asarray(weights, dtype=np.float64)
    m, candidates = similarities.shape
    if demand.shape != (m,):
        raise ValueError(f"{demand.shape} weights for {m} demand points")
    if budget < 1:
        raise ValueError(f"budget must be at least 1, got {budget}")
    negative = (similarities.tocsc().data < 0).any()
    if not (np.isfinite(demand) & (demand >= 0)).all() or negative:
        raise ValueError("weights and similarities must be finite and not negative")
    of_group = np.zeros(candidates, np.int64) if groups is None else np.asarray(groups, np.int64)
    if of_group.shape != (candidates,):
        raise ValueError(f"{of_group.shape} groups for {candidates} candidates")
    return demand, of_group


class _Covering:
    """How well the candidates picked so far cover each demand point."""

    def __init__(self, similarities: Any, demand: FloatVector) -> None:
        columns = similarities.tocsc()
        columns.sort_indices()
        self._starts, self._rows, self._values = columns.indptr, columns.indices, columns.data
        self._demand = demand
        self._best = np.zeros(len(demand))

    def upper_bounds(self) -> FloatVector:
        """Return an upper bound of each candidate's gain before any is picked, shape (v,)."""
        candidates = len(self._starts) - 1
        bounds = np.bincount(
            np.repeat(np.arange(candidates), np.diff(self._starts)),
            weights=self._demand[self._rows] * self._values,
            minlength=candidates,
        )
        # Rounded differently from `added`, whose terms are summed in another order; the slack
        # keeps it an upper bound.
        return np.asarray(bounds * _BOUND_SLACK, dtype=np.float64)

    def added(self, candidate: int) -> FloatVector:
        """Return what a candidate would add at each of its demand points."""
        where, own = self._column(candidate)
        gain: FloatVector = self._demand[where] * np.maximum(own - self._best[where], 0)
        return gain

    def cover(self, candidate: int) -> IntVector:
        """Pick a candidate; return the demand points it covers better, most gain first."""
        where, own = self._column(candidate)
        added = self.added(candidate)
        better = np.flatnonzero(added > 0)
        self._best[where] = np.maximum(self._best[where], own)
        newly: IntVector = where[better[np.argsort(-added[better], kind="stable")]]
        return newly.astype(np.int64)

    def _column(self, candidate: int) -> tuple[IntVector, FloatVector]:
        part = slice(self._starts[candidate], self._starts[candidate + 1])
        return self._rows[part], self._values[part]


def covered_share(
    similarities: Any, weights: npt.ArrayLike, picks: Sequence[int] | IntVector
) -> float:
    """Return the share of the attainable demand that any picks cover."""
    demand = np.asarray(weights, dtype=np.float64)
    everything = similarities.tocsr()
    attainable = float((demand * _largest_in_rows(everything)).sum())
    chosen = everything[:, np.unique(np.asarray(picks, np.int64))]
    covered = float((demand * _largest_in_rows(chosen)).sum())
    return covered / attainable if attainable else 0.0


def group_caps(groups: npt.ArrayLike, shares: Mapping[int, float], budget: int) -> dict[int, int]:
    """Return how many picks each group may have: one and a half times its share of the demand.

    ``max(1, ceil(budget * share * 1.5))``, so that one place does not use up the budget.

    Parameters
    ----------
    groups : int array, shape (v,)
        Group of each candidate.
    shares : mapping from group to float
        Its share of the demand; one that is not named has none.
    budget : int
    """
    return {
        group: max(1, math.ceil(budget * shares.get(group, 0.0) * SHARE_BEYOND_PROPORTION))
        for group in np.unique(np.asarray(groups, np.int64)).tolist()
    }


def candidate_groups(similarities: Any, groups: npt.ArrayLike) -> IntVector:
    """Return for each candidate the group of the demand point that it is most similar to.

    Parameters
    ----------
    similarities : scipy.sparse matrix, shape (m, v)
    groups : int array, shape (m,)
        Group of each demand point.

    Returns
    -------
    int64 array, shape (v,)
        -1 for a candidate that is no demand point's neighbour.
    """
    columns = similarities.tocsc()
    columns.sort_indices()
    of_demand = np.asarray(groups, np.int64)
    found = np.full(columns.shape[1], -1, np.int64)
    for v in np.flatnonzero(np.diff(columns.indptr)).tolist():
        part = slice(columns.indptr[v], columns.indptr[v + 1])
        found[v] = of_demand[columns.indices[part][int(np.argmax(columns.data[part]))]]
    return found


def suggested_budget(
    similarities: Any, weights: npt.ArrayLike, share: float = 0.9
) -> tuple[int, FloatVector]:
    """Return the smallest budget that covers a share of the attainable, and the curve up to it.

    Parameters
    ----------
    similarities : scipy.sparse matrix, shape (m, v)
    weights : array, shape (m,)
    share : float
        0 to 1.

    Returns
    -------
    budget : int
    curve : float64 array, shape (budget,)
        Coverage by the first 1, 2, … picks, without caps.
    """
    found = select(similarities, weights, max(similarities.shape[1], 1), until=share)
    return len(found.picks), found.coverage


def _largest_in_rows(matrix: Any) -> FloatVector:
    if not matrix.shape[1]:
        return np.zeros(matrix.shape[0])
    return np.asarray(matrix.max(axis=1).todense(), dtype=np.float64).ravel()
