"""Names of nested regions that stay the same when the map grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np
import numpy.typing as npt

_SAME_REGION = 0.5
"""Jaccard index from which on a region is the same as before: more than half is shared, so no two
regions can both be it."""


def region_paths(
    labels: npt.NDArray[np.int32],
    question_ids: Sequence[str],
    previous: Mapping[str, str | None] | None = None,
) -> list[str | None]:
    """Name every question's smallest region by its path, e.g. ``2.1``.

    A region that was there before keeps its name: among the parts of one region, old and new ones
    are matched one to one so that the sum of their Jaccard indices, over the questions that were
    on the map before, is largest (Hungarian method), and a pair counts if the index is above one
    half. New regions get the numbers above the highest there was, the largest first, so that a
    region which vanished leaves its name to none that follows it; without an earlier map that
    makes ``1`` the largest region and ``2.1`` the largest part of the second.

    Parameters
    ----------
    labels : int32 array, shape (n, levels)
        Nested labels, coarsest level first, -1 for none; a region not divided further keeps one
        label of its own at the deeper levels.
    question_ids : sequence of str, length n
    previous : mapping from question id to path, optional
        The names on the map as it was before.

    Returns
    -------
    list of str or None, length n
        None where a question belongs to no region.
    """
    paths: list[str | None] = [None] * len(question_ids)
    old_rows: dict[str, list[int]] = {}
    for row, question_id in enumerate(question_ids):
        path = (previous or {}).get(question_id)
        parts = path.split(".") if path else []
        for depth in range(1, len(parts) + 1):
            old_rows.setdefault(".".join(parts[:depth]), []).append(row)
    _name_parts(np.arange(len(question_ids)), labels, 0, "", old_rows, paths)
    return paths


def _name_parts(
    rows: npt.NDArray[np.intp],
    labels: npt.NDArray[np.int32],
    level: int,
    parent: str,
    old_rows: Mapping[str, Sequence[int]],
    paths: list[str | None],
) -> None:
    if level == labels.shape[1] or not len(rows):
        return
    here = labels[rows, level]
    found, first, sizes = np.unique(here, return_index=True, return_counts=True)
    order = [which for which in np.lexsort((first, -sizes)) if found[which] >= 0]
    if level and len(order) < 2:
        # Not divided here: it goes on under its own name.
        _name_parts(rows[here >= 0], labels, level + 1, parent, old_rows, paths)
        return
    groups = [rows[here == found[which]] for which in order]
    for name, group in zip(_names(groups, parent, old_rows), groups, strict=True):
        for row in group:
            paths[int(row)] = name
        _name_parts(group, labels, level + 1, name, old_rows, paths)


def _names(
    groups: Sequence[npt.NDArray[np.intp]], parent: str, old_rows: Mapping[str, Sequence[int]]
) -> list[str]:
    depth = parent.count(".") + 2 if parent else 1
    prefix = f"{parent}." if parent else ""
    old = [name for name in old_rows if name.startswith(prefix) and name.count(".") + 1 == depth]
    kept = _matches(groups, [old_rows[name] for name in old])
    names: list[str | None] = [
        old[kept[position]] if position in kept else None for position in range(len(groups))
    ]
    numbers = count(1 + max((int(name.rpartition(".")[2]) for name in old), default=0))
    return [name if name is not None else f"{prefix}{next(numbers)}" for name in names]


def _matches(
    groups: Sequence[npt.NDArray[np.intp]], old: Sequence[Sequence[int]]
) -> dict[int, int]:
    """Match new groups with old ones; return position of the old one by that of the new one."""
    if not old:
        return {}
    from scipy.optimize import linear_sum_assignment

    sets, old_sets = [set(map(int, group)) for group in groups], [set(rows) for rows in old]
    # Only questions that were there before count: a region that grew is still itself.
    known = set().union(*old_sets)
    jaccard = np.array(
        [[len(new & before) / len(new & known | before) for before in old_sets] for new in sets]
    )
    pairs = zip(*linear_sum_assignment(-jaccard), strict=True)
    return {int(new): int(before) for new, before in pairs if jaccard[new, before] > _SAME_REGION}
