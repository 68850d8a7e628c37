"""Every model's signature: where it is weaker than its ability and the place explain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatMatrix = npt.NDArray[np.float64]

_ITERATIONS = 500
_TOLERANCE = 1e-7
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Signatures:
    """A fitted model of errors by model and region, in logits of the error rate.

    Attributes
    ----------
    weakness : float64 array, shape (models,)
        Weakness of each model over all regions.
    difficulty : float64 array, shape (regions,)
        Difficulty of each region for all models; its mean is 0.
    deviation : float64 array, shape (models, regions)
        What is left, shrunk toward 0 where few questions speak for it: above 0, the model is worse
        here than its weakness and the region's difficulty explain.
    standard_deviation : float64 array, shape (models, regions)
        Standard deviation of the deviation (Laplace approximation). It includes the uncertainty of
        the region's difficulty: with few models, one model that is weak can hardly be told from
        all others being strong.
    spread : float
        Estimated standard deviation of deviations over models and regions, tau.
    """

    weakness: npt.NDArray[np.float64]
    difficulty: npt.NDArray[np.float64]
    deviation: FloatMatrix
    standard_deviation: FloatMatrix
    spread: float

    @property
    def excess(self) -> FloatMatrix:
        """The deviation in points of error rate, shape (models, regions)."""
        from scipy.special import expit

        base = self.weakness[:, None] + self.difficulty[None, :]
        points: FloatMatrix = expit(base + self.deviation) - expit(base)
        return points


def fit_signatures(
    errors: npt.ArrayLike, questions: npt.ArrayLike, spread: float | None = None
) -> Signatures:
    """Fit ``logit(p) = weakness + difficulty + deviation`` with deviations pooled toward 0.

    Deviations are normal with mean 0 and a variance that all share, estimated by empirical Bayes:
    EM steps with a Laplace approximation (Breslow & Clayton 1993, JASA 88) in which difficulties
    are as uncertain as they are, which makes it restricted maximum likelihood. So a region of ten
    questions makes no headline.

    Parameters
    ----------
    errors, questions : arrays, shape (models, regions)
        Wrong answers and answers in each region.
    spread : float, optional
        The deviations' standard deviation; estimated if not given.

    Raises
    ------
    ValueError
        If shapes differ, or errors exceed questions.
    """
    from scipy.special import expit

    wrong, total = np.asarray(errors, dtype=np.float64), np.asarray(questions, dtype=np.float64)
    if wrong.shape != total.shape or wrong.ndim != 2 or (wrong > total).any() or (wrong < 0).any():
        raise ValueError("errors and questions must be matrices alike, errors at most questions")
    weakness, difficulty = np.zeros(wrong.shape[0]), np.zeros(wrong.shape[1])
    deviation = np.zeros(wrong.shape)
    variance = spread**2 if spread is not None else 0.1
    for _ in range(_ITERATIONS):
        before = deviation.copy(), weakness.copy(), variance
        for _ in range(5):
            p = expit(weakness[:, None] + difficulty + deviation)
            gain, slope = wrong - total * p, total * p * (1 - p)
            deviation += np.clip((gain - deviation / variance) / (slope + 1 / variance), -1, 1)
            p = expit(weakness[:, None] + difficulty + deviation)
            gain, slope = wrong - total * p, total * p * (1 - p)
            weakness += np.clip(gain.sum(axis=1) / (slope.sum(axis=1) + 1e-9), -1, 1)
            p = expit(weakness[:, None] + difficulty + deviation)
            gain, slope = wrong - total * p, total * p * (1 - p)
            difficulty += np.clip(gain.sum(axis=0) / (slope.sum(axis=0) + 1e-9), -1, 1)
            weakness += difficulty.mean() if len(difficulty) else 0.0
            difficulty -= difficulty.mean() if len(difficulty) else 0.0
        p = expit(weakness[:, None] + difficulty + deviation)
        posterior = _posterior_variance(total * p * (1 - p), variance)
        if spread is None and deviation.size:
            # Where the data want no spread at all EM only creeps toward 0: it stops at a floor.
            variance = max(float((deviation**2 + posterior).mean()), _LEAST_VARIANCE)
        change = max(
            float(np.abs(deviation - before[0]).max(initial=0)),
            float(np.abs(weakness - before[1]).max(initial=0)),
            abs(variance - before[2]),
        )
        if change < _TOLERANCE:
            break
    return Signatures(weakness, difficulty, deviation, np.sqrt(posterior), float(np.sqrt(variance)))


def _posterior_variance(slope: FloatMatrix, variance: float) -> FloatMatrix:
    """Return the variance of each deviation, over the region's difficulty as well.

    In a region with difficulty d and deviations u the Hessian is an arrow: ``slope + 1 / variance``
    on the diagonal of the u, their slopes beside d. Its inverse has a closed form.
    """
    given = 1 / (slope + 1 / variance)
    # What is left to know the difficulty from, the deviations being free.
    information = (slope - slope**2 * given).sum(axis=0)
    of_difficulty = np.divide(
        1.0, information, out=np.zeros_like(information), where=information > 0
    )
    posterior: FloatMatrix = given + (slope * given) ** 2 * of_difficulty
    return posterior
