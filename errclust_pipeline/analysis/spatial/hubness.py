"""Whether a few questions are everybody's neighbours, and their marks count for too much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Hubness:
    """How unevenly neighbours are chosen at one scale (Radovanović et al. 2010, JMLR 11).

    ``skewness`` is that of the in-degrees: 0 if even, above 1 if hubs are many. ``orphans`` is the
    share of questions that are nobody's neighbour.
    """

    k: int
    skewness: float
    largest_in_degree: int
    orphans: float


def hubness(neighbours: npt.NDArray[np.int32], k: int) -> Hubness:
    """Describe the in-degrees of the graph of k nearest neighbours.

    Parameters
    ----------
    neighbours : int32 array, shape (n, k_max)
        Nearest first, without the question itself.
    k : int
        At most ``k_max``.

    Examples
    --------
    Everyone's nearest neighbour is question 0, whose own is question 1.

    >>> import numpy as np
    >>> star = hubness(np.array([[1], [0], [0], [0]], dtype=np.int32), k=1)
    >>> star.largest_in_degree, star.orphans
    (3, 0.5)
    """
    n = len(neighbours)
    degrees = np.bincount(neighbours[:, :k].ravel(), minlength=n).astype(np.float64)
    spread = float(degrees.std()) if n else 0.0
    skewness = float((((degrees - degrees.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
    return Hubness(
        k=k,
        skewness=skewness,
        largest_in_degree=int(degrees.max(initial=0)),
        orphans=float((degrees == 0).mean()) if n else 0.0,
    )
