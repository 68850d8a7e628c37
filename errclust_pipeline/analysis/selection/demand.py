"""How much a fine-tune would profit from examples like each of a model's errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import NEIGHBOURHOOD
from errclust_pipeline.analysis.spatial.counts import neighbour_sums
from errclust_pipeline.analysis.spatial.local import smoothed_rates

FloatVector = npt.NDArray[np.float64]

HOT_BELOW = 0.1
"""q value below which a question lies in a hot place."""

_IF_NOBODY_CAN = 0.25
_IF_HOT = 2.0
_LEAST_REACH, _MOST_REACH = 0.25, 2.0
_IF_SUSPECTED = 0.1
_SUSPECTED_FROM = 0.5
_UNKNOWN_SHARE = 0.5


@dataclass(frozen=True)
class Demand:
    """The demand at every question and the factors it is the product of; arrays of shape (n,).

    Attributes
    ----------
    weight : array
        0 where the model is right or was not asked.
    local_rate : array, 0 to 1
        The model's error rate around the question, shrunk toward its mean.
    others_right : array, 0 to 1
        Share of the other models that are right: the error can be mended. NaN without others.
    fixable : array, 0.25 to 1
        The factor made of that.
    hot : array, 1 or 2
        2 where the model errs more than difficulty explains.
    reach : array, 0.25 to 2
        How many questions have this one among their neighbours: 1 for as many as on average.
    trust : array, 0.1 or 1
        0.1 where the benchmark itself is suspected to be wrong.
    """

    weight: FloatVector
    local_rate: FloatVector
    others_right: FloatVector
    fixable: FloatVector
    hot: FloatVector
    reach: FloatVector
    trust: FloatVector


def demand_weights(
    errors: npt.ArrayLike,
    neighbours: npt.NDArray[np.int32],
    others_right: npt.ArrayLike | None = None,
    hot_q: npt.ArrayLike | None = None,
    label_error_probability: npt.ArrayLike | None = None,
    k: int = NEIGHBOURHOOD,
) -> Demand:
    """Weigh each of a model's errors by how much a fine-tune would gain from examples like it.

    The weight is ``error * local rate * (1/4 + 3/4 others right) * (2 if hot) * reach``, and a
    tenth of that where the answer key is suspected to be wrong. Each factor has its reason:

    * the local rate: a place where the model errs often has more to mend than a single slip;
    * the others that are right: what other models can do can be learnt;
    * hot: there the model is worse than the questions' difficulty explains;
    * reach, ``log(1 + in-degree) / log(1 + k)`` cut to between 1/4 and 2: a question that is among
      the nearest neighbours of many others stands for them too; the logarithm keeps hubs, which
      embeddings of many dimensions have, from taking all the weight;
    * the suspected key: training toward a wrong key does harm.

    Parameters
    ----------
    errors : array, shape (n,)
        1 error, 0 none, NaN left out.
    neighbours : int32 array, shape (n, k_max)
        On the map, nearest first.
    others_right : array, shape (n,), optional
        Share of the other models that are right, NaN where there are none; half counts then.
    hot_q : array, shape (n,), optional
        q value of more errors around than difficulty explains.
    label_error_probability : array, shape (n,), optional
        Probabilities from `label_errors`. A question is suspected from one half on.
    k : int
        Neighbours that count, at most ``k_max``.

    Raises
    ------
    ValueError
        If lengths differ.
    """
    own = np.asarray(errors, dtype=np.float64)
    n = len(own)
    right = _vector("others_right", others_right, n, np.nan)
    q = _vector("hot_q", hot_q, n, np.nan)
    suspicion = _vector("label_error_probability", label_error_probability, n, 0.0)
    if len(neighbours) != n:
        raise ValueError(f"{n} errors but neighbours of {len(neighbours)} questions")
    k = min(k, neighbours.shape[1])
    sums, draws = neighbour_sums(own, neighbours, (k,))
    local = smoothed_rates(np.where(np.isnan(own), np.nan, sums[0]), draws[0])
    mean = float(np.nanmean(own)) if (~np.isnan(own)).any() else 0.0
    local = np.where(np.isnan(local), mean, local)
    fixable = _IF_NOBODY_CAN + (1 - _IF_NOBODY_CAN) * np.where(
        np.isnan(right), _UNKNOWN_SHARE, right
    )
    hot = np.where(q < HOT_BELOW, _IF_HOT, 1.0)
    in_degree = np.bincount(neighbours[:, :k].ravel(), minlength=n)
    reach = np.log1p(in_degree) / np.log1p(k) if k else np.ones(n)
    reach = np.clip(reach, _LEAST_REACH, _MOST_REACH)
    trust = np.where(suspicion >= _SUSPECTED_FROM, _IF_SUSPECTED, 1.0)
    weight = np.where(own == 1, local * fixable * hot * reach * trust, 0.0)
    return Demand(weight, local, right, fixable, hot, reach, trust)


def _vector(name: str, values: npt.ArrayLike | None, n: int, missing: float) -> FloatVector:
    if values is None:
        return np.full(n, missing)
    vector = np.asarray(values, dtype=np.float64)
    if vector.shape != (n,):
        raise ValueError(f"{name} has shape {vector.shape}: expected ({n},)")
    return vector
