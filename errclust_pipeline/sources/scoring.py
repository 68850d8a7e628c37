"""How scores are read: their scale, their direction, the threshold, and scores that are missing.

Readers hand on the score that a file states. This module turns it into a score from 0 (worst) to 1
(best), for every format alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.errors import SourceError

DEFAULT_THRESHOLD = 0.5
"""A response with a score below this is an error, unless the submission says otherwise."""

WRONG, LEAVE_OUT = "wrong", "leave_out"
NULL_SCORES = (WRONG, LEAVE_OUT)
"""What becomes of a response whose verdict is null: no answer, and so wrong; or left out."""

SCORING_OPTIONS = frozenset({"threshold", "scale", "higher_is_better", "null_scores"})
"""Options that every reader of results takes."""


@dataclass(frozen=True)
class Scoring:
    """How a submission's scores are read.

    Attributes
    ----------
    low, high : float
        The lowest and highest score possible.
    higher_is_better : bool
        Whether the highest score is the best one.
    threshold : float
        From this score on, of 0 to 1, a response counts as right.
    null_scores : {"wrong", "leave_out"}
        What a response without a verdict counts as.
    """

    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    threshold: float = DEFAULT_THRESHOLD
    null_scores: str = WRONG

    @classmethod
    def of_options(cls, options: Mapping[str, Any]) -> Scoring:
        """Read the options of a submission.

        Raises
        ------
        SourceError
            If a value cannot be used.
        """
        low, high = _scale(options.get("scale"))
        threshold = options.get("threshold", DEFAULT_THRESHOLD)
        is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
        if not is_number or not 0 < threshold <= 1:
            raise SourceError(
                f"option threshold is {threshold!r}: a score below it is an error, so it must be "
                "above 0 and at most 1 (of scores from 0 to 1, after option scale is applied)"
            )
        higher = options.get("higher_is_better", True)
        if not isinstance(higher, bool):
            raise SourceError(f"option higher_is_better is {higher!r}, expected true or false")
        null_scores = options.get("null_scores", WRONG)
        if null_scores not in NULL_SCORES:
            raise SourceError(
                f"option null_scores is {null_scores!r}, expected one of {', '.join(NULL_SCORES)}"
            )
        return cls(low, high, higher, float(threshold), null_scores)

    @property
    def is_plain(self) -> bool:
        """Whether scores from 0 to 1 are taken as they are."""
        return (self.low, self.high, self.higher_is_better) == (0.0, 1.0, True)

    def share(self, score: Any) -> float | None:
        """Return a score as a share of the best one, 0 to 1; None if it is outside the scale."""
        if not isinstance(score, int | float) or not self.low <= score <= self.high:
            return None
        share = (float(score) - self.low) / (self.high - self.low)
        return share if self.higher_is_better else 1.0 - share

    def shares(self, scores: pa.Array | None) -> pa.Array | None:
        """Return the shares of many scores; None if one is null or outside the scale."""
        if scores is None or scores.null_count:
            return None
        values = scores.to_numpy(zero_copy_only=False)
        if not np.all((values >= self.low) & (values <= self.high)):
            return None
        if self.is_plain:
            return scores
        shares = (values - self.low) / (self.high - self.low)
        return pa.array(shares if self.higher_is_better else 1.0 - shares, pa.float64())

    def are_right(self, shares: Any) -> Any:
        """Return which scores, from 0 to 1, count as right."""
        return pc.greater_equal(shares, self.threshold)

    def of_share(self, share: float) -> float:
        """Return the score that stands for a share of the best one, e.g. of a letter grade."""
        part = share if self.higher_is_better else 1.0 - share
        return self.low + part * (self.high - self.low)

    def what_is_expected(self) -> str:
        """Say which scores can be used."""
        return f"a number from {self.low:g} to {self.high:g}"


def parse_scale(text: str) -> list[float]:
    """Read a scale as LOW:HIGH, e.g. ``0:10``.

    Raises
    ------
    SourceError
        If it is none.
    """
    return list(_scale(text))


def _scale(scale: Any) -> tuple[float, float]:
    if scale is None:
        return 0.0, 1.0
    ends: Any = scale
    if isinstance(scale, str):
        with suppress(ValueError):
            ends = [float(end) for end in scale.split(":")]
    if isinstance(ends, list | tuple) and len(ends) == 2:
        low, high = ends
        are_numbers = all(
            isinstance(end, int | float) and not isinstance(end, bool) for end in ends
        )
        if are_numbers and float("-inf") < low < high < float("inf"):
            return float(low), float(high)
    raise SourceError(
        f"option scale is {scale!r}, expected the lowest and the highest score, as LOW:HIGH, "
        "e.g. 0:10"
    )
