"""Whether two models fail on the same questions, and in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Agreement:
    """How alike two models' errors are.

    Attributes
    ----------
    questions : int
        That both answered.
    observed : float
        Share on which both are right or both wrong.
    by_chance : float
        The same were their errors independent.
    kappa : float
        Error consistency, ``(observed - by_chance) / (1 - by_chance)``: 0 is chance, 1 the same
        errors (Geirhos et al. 2020, NeurIPS). NaN where chance is certain.
    both_wrong : int
        Questions on which both are wrong and both chose an option.
    same_wrong_option : float
        Share of these on which they chose the same one; NaN if there are none.
    same_by_chance : float
        The same were wrong options chosen evenly: the mean of 1 / (options - 1).
    """

    questions: int
    observed: float
    by_chance: float
    kappa: float
    both_wrong: int
    same_wrong_option: float
    same_by_chance: float


def agreement(
    errors_a: npt.ArrayLike,
    errors_b: npt.ArrayLike,
    choices_a: Sequence[int | None] | None = None,
    choices_b: Sequence[int | None] | None = None,
    options: Sequence[int | None] | None = None,
) -> Agreement:
    """Compare two models' errors question by question.

    Parameters
    ----------
    errors_a, errors_b : arrays, shape (n,)
        1 error, 0 none, NaN left out.
    choices_a, choices_b : sequence of int or None, length n, optional
        The option each chose, from 0.
    options : sequence of int or None, length n, optional
        How many options the question has.

    Examples
    --------
    On four questions, B is wrong where A is, and once more.

    >>> alike = agreement([1, 0, 0, 0], [1, 1, 0, 0])
    >>> alike.observed, alike.by_chance, alike.kappa
    (0.75, 0.5, 0.5)
    """
    a, b = np.asarray(errors_a, dtype=np.float64), np.asarray(errors_b, dtype=np.float64)
    both = ~np.isnan(a) & ~np.isnan(b)
    n = int(both.sum())
    if n == 0:
        return Agreement(0, *(np.nan,) * 3, 0, np.nan, np.nan)
    rate_a, rate_b = float(a[both].mean()), float(b[both].mean())
    observed = float((a[both] == b[both]).mean())
    by_chance = rate_a * rate_b + (1 - rate_a) * (1 - rate_b)
    kappa = (observed - by_chance) / (1 - by_chance) if by_chance < 1 else np.nan
    same, chance = [], []
    if choices_a is not None and choices_b is not None:
        for row in np.flatnonzero(both & (a == 1) & (b == 1)).tolist():
            one, two = choices_a[row], choices_b[row]
            count = options[row] if options is not None else None
            if one is None or two is None or count is None or count < 3:
                # With two options there is one wrong one, and agreeing on it means nothing.
                continue
            same.append(one == two)
            chance.append(1 / (count - 1))
    return Agreement(
        n,
        observed,
        by_chance,
        float(kappa),
        len(same),
        float(np.mean(same)) if same else np.nan,
        float(np.mean(chance)) if chance else np.nan,
    )
