"""Online Elo ratings: to reproduce the leaderboards that used them, and for nothing else.

They depend on the order of battles, have no intervals and remember the last battles best.
"""

from __future__ import annotations

import numpy as np

from errclust_pipeline.analysis.ratings.battles import Battles, FloatVector

K = 4.0
"""Points at stake in a battle, as in FastChat's `rating_systems.py`; chess has 10 to 40."""
BASE = 10.0
SCALE = 400.0
INITIAL = 1000.0


def online_elo(
    battles: Battles,
    k: float = K,
    base: float = BASE,
    scale: float = SCALE,
    initial: float = INITIAL,
) -> FloatVector:
    """Update ratings battle by battle, in the order given; a tie is half a win.

    Parameters
    ----------
    k : float
        Points at stake.
    base, scale : float
        `scale` points more mean odds of `base` to one.
    initial : float
        Every model's first rating.

    Returns
    -------
    float64 array, shape (models,)
    """
    ratings = [initial] * len(battles.models)
    rows = zip(battles.first.tolist(), battles.second.tolist(), battles.score.tolist(), strict=True)
    for first, second, score in rows:
        expected = 1 / (1 + base ** ((ratings[second] - ratings[first]) / scale))
        change = k * (score - expected)
        ratings[first] += change
        ratings[second] -= change
    return np.array(ratings)
