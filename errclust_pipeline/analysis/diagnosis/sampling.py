"""Which errors are diagnosed: a sample that covers the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.arbitrary_order import arbitrary_order


@dataclass(frozen=True)
class Sample:
    """Rows drawn from strata.

    Attributes
    ----------
    rows : int array
        In ascending order.
    weights : float64 array of the same length
        Errors that each row stands for: those of its stratum over those drawn from it. They add up
        to all errors of the strata that were drawn from.
    """

    rows: npt.NDArray[np.intp]
    weights: npt.NDArray[np.float64]


def stratified_sample(
    ids: Sequence[str], strata: Sequence[str | None], share: float, most: int
) -> Sample:
    """Draw errors in proportion to their strata, and at least one of each where there is room.

    Quotas are rounded by largest remainder. Inside a stratum, errors are taken in the order of a
    hash of their ids: the same every time, and those of a smaller sample are part of a larger one's
    as long as quotas grow.

    Parameters
    ----------
    ids : sequence of str, length n
    strata : sequence of str or None, length n
        None is a stratum like the others.
    share : float
        Share of the errors to draw, 0 to 1.
    most : int
        Errors at most.

    Raises
    ------
    ValueError
        If there are not as many strata as ids, or the share is not between 0 and 1.
    """
    if len(ids) != len(strata):
        raise ValueError(f"{len(ids)} ids but {len(strata)} strata: must be as many")
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}: must be between 0 and 1")
    wanted = min(int(np.ceil(share * len(ids) - 1e-9)), most)
    members: dict[str | None, list[int]] = {}
    for row in sorted(range(len(ids)), key=lambda row: arbitrary_order(ids[row])):
        members.setdefault(strata[row], []).append(row)
    names = sorted(members, key=lambda name: (-len(members[name]), name or ""))
    quotas = _quotas([len(members[name]) for name in names], wanted)
    drawn = [
        (row, len(members[name]) / quota)
        for name, quota in zip(names, quotas, strict=True)
        for row in members[name][:quota]
    ]
    drawn.sort()
    return Sample(
        np.array([row for row, _ in drawn], dtype=np.intp),
        np.array([weight for _, weight in drawn], dtype=np.float64),
    )


def _quotas(sizes: Sequence[int], wanted: int) -> list[int]:
    """Divide a number among strata, given largest first."""
    if not sizes or not wanted:
        return [0] * len(sizes)
    if wanted <= len(sizes):
        return [1] * wanted + [0] * (len(sizes) - wanted)
    exact = [size * wanted / sum(sizes) for size in sizes]
    quotas = [max(1, int(value)) for value in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda place: int(exact[place]) - exact[place])
    for place in by_remainder:
        if sum(quotas) < wanted and quotas[place] < exact[place]:
            quotas[place] += 1
    # Small strata that got their one may have taken it from the large ones.
    while sum(quotas) > wanted:
        quotas[max(range(len(quotas)), key=lambda place: quotas[place])] -= 1
    return quotas
