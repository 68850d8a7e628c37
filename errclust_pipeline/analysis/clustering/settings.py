"""What can be set about clustering, and the rules that follow the number of points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

ClusteringMethod = Literal["louvain", "hdbscan"]

_FEWEST_NEIGHBOURS = 5
_SMALLEST_CLUSTER = 5
_ERRORS_PER_SMALLEST_SIZE = 1000
_SMALLEST_CLUSTERS_TO_DIVIDE = 8


@dataclass(frozen=True)
class ClusteringSettings:
    """Settings of `cluster_errors` and `cluster_points`.

    The defaults hold for any number of points: what has to follow it is left at None and worked
    out by `neighbour_count` and `smallest_cluster`.

    Attributes
    ----------
    method : "louvain" or "hdbscan"
        Nested communities of the nearest-neighbour graph, or one level of density clusters.
    neighbours : int, optional
        Neighbours of a point in the graph; None for the rule.
    resolution : float
        Louvain's resolution: larger makes more and smaller communities.
    levels : int
        Levels at most; HDBSCAN makes one.
    minimum_size : int, optional
        Errors that make a cluster; smaller groups are noise. None for the rule.
    minimum_assortativity : float
        A cluster is divided only where the assortativity of the division
        (`communities.assortativity`) reaches this. Gaussian clouds with the covariance of real
        embeddings reach at most 0.50, whatever their number; the errors of eight real models on
        MMLU-Pro 0.79 to 0.83, those of the demo's models 0.78 to 0.97.
    minimum_relative_similarity : float
        A point is noise if its mean similarity to its neighbours is less than this times theirs
        to their own. At 0.67 that holds of 1 % of the questions of MMLU-Pro, of two thirds of the
        demo's isolated slips and of 0.4 % of the errors that its bugs cause.
    random_state : int
        Seed of every random choice.
    layout : bool
        Whether to compute 2-D positions for display.
    """

    method: ClusteringMethod = "louvain"
    neighbours: int | None = None
    resolution: float = 1.0
    levels: int = 3
    minimum_size: int | None = None
    minimum_assortativity: float = 0.55
    minimum_relative_similarity: float = 0.67
    random_state: int = 0
    layout: bool = True

    def __post_init__(self) -> None:
        if self.method not in ("louvain", "hdbscan"):
            raise ValueError(f"method must be louvain or hdbscan, got {self.method!r}")
        for name in ("neighbours", "levels", "minimum_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not self.resolution > 0:
            raise ValueError(f"resolution must be positive, got {self.resolution}")
        for name in ("minimum_assortativity", "minimum_relative_similarity"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {value}")

    def neighbour_count(self, n: int) -> int:
        """Return the neighbours of a point in a graph of n points.

        The rule is 2 log2(n) and at least 5: a nearest-neighbour graph keeps a cluster in one
        piece when k grows with log n (Brito et al. 1997, Statistics & Probability Letters 35;
        von Luxburg 2007, A tutorial on spectral clustering, 8.1).
        """
        if self.neighbours is not None:
            return self.neighbours
        return max(_FEWEST_NEIGHBOURS, math.ceil(2 * math.log2(max(n, 1))))

    def smallest_cluster(self, n: int) -> int:
        """Return the errors that make a cluster among n: one in a thousand, and at least 5."""
        if self.minimum_size is not None:
            return self.minimum_size
        return max(_SMALLEST_CLUSTER, math.ceil(n / _ERRORS_PER_SMALLEST_SIZE))

    def smallest_divisible(self, n: int) -> int:
        """Return the errors a cluster needs to be divided further: eight smallest clusters."""
        return _SMALLEST_CLUSTERS_TO_DIVIDE * self.smallest_cluster(n)
