"""What an asset's summary is, and the counting and number formats that summaries share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.report.markdown import Share, words

if TYPE_CHECKING:
    import pandas as pd

AssetSummary = dict[str, str | Callable[[], str]]
"""Markdown by the name under which the UI shows it, or a function that makes it."""
Rows = Sequence[Mapping[str, Any]]
"""Rows of a table as mappings from column to value."""

TABLE, PICTURE = "at_a_glance", "picture"
"""Names under which the UI shows the table and the picture of a summary."""


def summarize_absence(why: str) -> AssetSummary:
    """Say why an asset has no rows.

    Parameters
    ----------
    why : str
        A sentence of this project's, not a third party's.
    """
    return {TABLE: words(why, 600)}


def counted(names: pd.Series[Any]) -> list[tuple[str, int]]:
    """Count equal names, most frequent first; missing ones are left out."""
    counts = names.dropna().value_counts()
    return by_number({str(name): int(number) for name, number in counts.items()})


def by_number(counts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the items of a mapping from name to number, largest number first, then by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def share_of(part: float, whole: float) -> Share:
    """Return a share, unknown if the whole is empty."""
    return Share(part / whole if whole else None)


def are_known(*numbers: float | None) -> bool:
    """Whether all numbers are finite."""
    return all(number is not None and np.isfinite(number) for number in numbers)


def formatted(value: float | None, form: str) -> str | None:
    """Return a number in a format; None if it is not known."""
    return f"{value:{form}}" if are_known(value) else None


def interval_text(low: float | None, high: float | None, form: str) -> str | None:
    """Return an interval in words; None if it is not known."""
    return f"{low:{form}} to {high:{form}}" if are_known(low, high) else None
