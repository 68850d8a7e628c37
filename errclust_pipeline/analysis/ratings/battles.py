"""Battles as arrays: who met whom, on which prompt, and who won."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

IntVector = npt.NDArray[np.int64]
FloatVector = npt.NDArray[np.float64]
BoolVector = npt.NDArray[np.bool_]

SCORES = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5, "tie_bothbad": 0.5}
"""What a verdict is worth to model A."""


MODELS_COUNTED_AT_ONCE = 1_000
"""With more models than these, a matrix of all pairs would not be small."""


class NotComparableError(ValueError):
    """Two models that no chain of battles connects."""


@dataclass(frozen=True)
class Battles:
    """Battles among models, each by number.

    Attributes
    ----------
    models : tuple of str
        Their names, sorted.
    first, second : int64 arrays, shape (n,)
        Models A and B of each battle, as positions in `models`.
    score : float64 array, shape (n,)
        1 if A won, 0 if B won, 0.5 for a tie.
    prompts : int64 array, shape (n,)
        The prompt that each battle is on, numbered from 0.
    """

    models: tuple[str, ...]
    first: IntVector
    second: IntVector
    score: FloatVector
    prompts: IntVector

    def __len__(self) -> int:
        return len(self.score)

    def where(self, chosen: BoolVector | IntVector) -> Battles:
        """Return some of the battles, by a mask or by positions; models keep their numbers."""
        return Battles(
            self.models,
            self.first[chosen],
            self.second[chosen],
            self.score[chosen],
            self.prompts[chosen],
        )

    def number(self, model: str) -> int:
        """Return a model's position.

        Raises
        ------
        ValueError
            If it fought no battle.
        """
        if model not in self.models:
            raise ValueError(f"{model} fought no battle; these did: {', '.join(self.models[:10])}")
        return self.models.index(model)


def battles_of(
    model_a: Sequence[str],
    model_b: Sequence[str],
    winner: Sequence[str],
    prompts: Sequence[Any] | None = None,
) -> Battles:
    """Make battles of columns of the table `battles`.

    Parameters
    ----------
    model_a, model_b : sequences of str, length n
    winner : sequence of str, length n
        ``model_a``, ``model_b``, ``tie`` or ``tie_bothbad``.
    prompts : sequence, length n, optional
        What tells prompts apart, such as ``question_id``; each battle is on its own if not given.

    Raises
    ------
    ValueError
        If lengths differ, a winner is none of these, or a model meets itself.
    """
    import pandas as pd

    n = len(winner)
    if len(model_a) != n or len(model_b) != n or (prompts is not None and len(prompts) != n):
        raise ValueError("model_a, model_b, winner and prompts must be of one length")
    score = np.asarray(pd.Series(winner, dtype=object).map(SCORES), dtype=np.float64)
    if np.isnan(score).any():
        unknown = pd.Series(winner, dtype=object)[np.isnan(score)].iloc[0]
        raise ValueError(f"a winner is {unknown!r}, expected one of {', '.join(SCORES)}")
    both = pd.Series([*model_a, *model_b], dtype=object)
    numbers, names = pd.factorize(both, sort=True)
    first, second = numbers[:n].astype(np.int64), numbers[n:].astype(np.int64)
    if (first == second).any():
        own = names[first[first == second][0]]
        raise ValueError(f"{own} meets itself: leave such battles out")
    named = range(n) if prompts is None else prompts
    on = np.asarray(pd.factorize(pd.Series(named, dtype=object))[0], dtype=np.int64)
    return Battles(tuple(map(str, names)), first, second, score, on)


def components(battles: Battles) -> IntVector:
    """Return the group of each model: battles connect models of one group and no others.

    Groups are numbered by size, the largest 0; a model without battles is a group by itself.
    """
    return _numbered_by_size(_connected(battles, directed=False))


def groups_beating_each_other(battles: Battles) -> IntVector:
    """Return groups of models within which everyone lost or tied, if by a chain, to everyone.

    Between two groups, one never lost to the other, so that their difference has no largest
    likelihood (Ford 1957, American Mathematical Monthly 64). Numbered by size, the largest 0.
    """
    return _numbered_by_size(_connected(battles, directed=True))


def _connected(battles: Battles, directed: bool) -> IntVector:
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n = len(battles.models)
    beats, beaten = battles.score > 0, battles.score < 1
    won = battles.first[beats] * n + battles.second[beats]
    lost = battles.second[beaten] * n + battles.first[beaten]
    rows, columns = np.divmod(np.union1d(_distinct(won, n), _distinct(lost, n)), n)
    graph = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    labels = connected_components(graph, directed=directed, connection="strong")[1]
    return np.asarray(labels, dtype=np.int64)


def _distinct(pairs: IntVector, models: int) -> IntVector:
    """Return the pairs there are, each once; counted, where there are few, rather than sorted."""
    if models <= MODELS_COUNTED_AT_ONCE:
        return np.flatnonzero(np.bincount(pairs, minlength=models**2))
    return np.unique(pairs)


def _numbered_by_size(labels: IntVector) -> IntVector:
    sizes = np.bincount(labels)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank[labels]
