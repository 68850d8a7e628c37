"""Whether who wins depends on the topic: win rates, ratings and tests by region of the prompts.

The unit is the prompt. Battles on one prompt share whatever is odd about it, so that tests permute
prompts among regions, with all battles on them, and intervals are clustered by prompt.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.comparison.intervals import wilson_interval
from errclust_pipeline.analysis.ratings.battles import (
    Battles,
    FloatVector,
    IntVector,
)
from errclust_pipeline.analysis.ratings.bradley_terry import CENTRE, Ratings
from errclust_pipeline.analysis.ratings.likelihood import ELO, FloatMatrix, Problem
from errclust_pipeline.analysis.spatial.counts import benjamini_hochberg

if TYPE_CHECKING:
    import pandas as pd

SPREADS = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Points; how far ratings in a region may be from those overall, to choose from."""

_FOLDS = 5
_ROUNDING = 1e-12


@dataclass(frozen=True)
class RegionalRatings:
    """Ratings by region of the prompts.

    Attributes
    ----------
    spread : float
        Standard deviation, in points, that regional ratings are taken to have about the overall
        ones; 0 if none predicts battles on unseen prompts better than that.
    regions : pandas.DataFrame
        One row a region: `region`, `battles`, `prompts`, `models`; `likelihood_ratio` of ratings of
        its own against the overall ones, `degrees_of_freedom` and `p_independent`, its chi-square p
        (right only if battles are independent, one a prompt); `p`, by permutation of prompts, that
        wins do not depend on being in this region, and `q` (Benjamini-Hochberg over regions).
    models : pandas.DataFrame
        One row a region and model that fought there: `region`, `model`, `battles`, `prompts`;
        `win_rate` (ties half) with a 95 % interval `low`, `high`, clustered by prompt; what the
        overall ratings `expected` against the same opponents; `rating` there, shrunk toward the
        overall one by `spread`, with `standard_error`, and the `shift` between them, in points;
        `z` of winning more or less than expected, over permutations of prompts, its `p` (Student's
        with prompts - 1 degrees of freedom: cautious where they are few), and `q` over all rows.
    """

    spread: float
    regions: pd.DataFrame
    models: pd.DataFrame


def regional_ratings(
    battles: Battles,
    ratings: Ratings,
    region_of_prompt: Sequence[str | None],
    *,
    spread: float | None = None,
    permutations: int = 999,
    random_state: int = 0,
) -> RegionalRatings:
    """Rate models by region, and test whether wins depend on the region.

    Parameters
    ----------
    battles : Battles
    ratings : Ratings
        Ratings fitted to these battles, with a tie as half a win and without covariates.
    region_of_prompt : sequence of str or None, length prompts
        Region of each prompt, by the numbers in ``battles.prompts``. Battles on prompts in no
        region count only in the overall ratings.
    spread : float, optional
        In points, see `RegionalRatings`; chosen by cross-validation over prompts if not given.
    permutations : int
        For the p values; the smallest possible is ``1 / (permutations + 1)``. With 0, p is NaN.
    random_state : int
        Random state of the permutations and of the folds of the cross-validation.

    Raises
    ------
    ValueError
        If a prompt of the battles has no entry in ``region_of_prompt``, or the ratings have
        covariates or another model of ties.
    """
    if len(region_of_prompt) <= battles.prompts.max(initial=-1):
        raise ValueError(f"regions of {len(region_of_prompt)} prompts, but there are more prompts")
    if ratings.tie_log_odds is not None or ratings.coefficients:
        raise ValueError("regional ratings need overall ones with ties as half a win, nothing else")
    names = sorted({name for name in region_of_prompt if name is not None})
    number = {name: position for position, name in enumerate(names)}
    of_prompt = np.array([-1 if name is None else number[name] for name in region_of_prompt])
    # Only prompts that were fought on can be permuted.
    used, prompts = np.unique(battles.prompts, return_inverse=True)
    region = of_prompt[used]
    expected = ratings.expected(battles)
    if spread is None:
        spread = _choose_spread(battles, region[prompts], prompts, random_state)

    scores = _scores_by_prompt(battles, prompts, battles.score - expected)
    moments = _moments(scores)
    z = _standard_scores(scores, moments, region, len(names))
    reached = _reached_by_chance(scores, moments, region, z, permutations, random_state)
    p = (1 + reached) / (1 + permutations) if permutations else np.full(len(names), np.nan)
    cells = _cells(battles, prompts, region[prompts], expected, len(names))
    inside = _positions(region[prompts], len(names))
    shifts, errors = _regional_shifts(battles, ratings, prompts, inside, spread)
    return RegionalRatings(
        spread,
        _region_rows(battles, ratings, names, inside, cells, p),
        _model_rows(cells.frame(names, battles.models), ratings, shifts, errors, z),
    )


def _regional_shifts(
    battles: Battles,
    ratings: Ratings,
    prompts: IntVector,
    inside: Sequence[IntVector],
    spread: float,
) -> tuple[FloatMatrix, FloatMatrix]:
    """Return `_shifts` of every region, given the positions of its battles.

    Returns
    -------
    shifts, errors : float64 arrays, shape (regions, models)
    """
    strength = np.where(np.isnan(ratings.rating), 0.0, (ratings.rating - CENTRE) / ELO)
    shifts = np.zeros((len(inside), len(battles.models)))
    errors = np.zeros_like(shifts)
    for position, rows in enumerate(inside):
        if len(rows):
            shifts[position], errors[position] = _shifts(
                battles.where(rows), prompts[rows], strength, spread
            )
    return shifts, errors


def _region_rows(
    battles: Battles,
    ratings: Ratings,
    names: Sequence[str],
    inside: Sequence[IntVector],
    cells: _Cells,
    p: FloatVector,
) -> pd.DataFrame:
    """Return one row per region that has battles, with its tests; see `RegionalRatings`."""
    import pandas as pd

    rows = []
    for position, in_region in enumerate(inside):
        if not len(in_region):
            continue
        ratio, freedom = _likelihood_ratio(battles, in_region, ratings)
        rows.append(
            {
                "region": names[position],
                "battles": len(in_region),
                "prompts": len(np.unique(battles.prompts[in_region])),
                "models": int((cells.battles[position] > 0).sum()),
                "likelihood_ratio": ratio,
                "degrees_of_freedom": freedom,
                "p_independent": _chi_square_tail(ratio, freedom),
                "p": p[position],
            }
        )
    regions = pd.DataFrame(rows)
    if len(regions):
        regions["q"] = benjamini_hochberg(regions["p"].to_numpy(dtype=np.float64))
    return regions


def _model_rows(
    models: pd.DataFrame,
    ratings: Ratings,
    shifts: FloatMatrix,
    errors: FloatMatrix,
    z: FloatMatrix,
) -> pd.DataFrame:
    """Add ratings and tests to the rows of `_Cells.frame`; see `RegionalRatings`."""
    at = models.pop("region_number").to_numpy(), models.pop("model_number").to_numpy()
    models["rating"] = (ratings.rating + ELO * shifts)[at] if len(shifts) else []
    models["standard_error"] = ELO * errors[at]
    models["shift"] = ELO * shifts[at]
    models["z"] = z[at]
    models["p"] = _tails(z[at], models["prompts"].to_numpy())
    models["q"] = benjamini_hochberg(models["p"].to_numpy(dtype=np.float64))
    return models


def residual_by_prompt(
    battles: Battles, ratings: Ratings, model: str, against: str | None = None
) -> FloatVector:
    """Return by how much a model did better than expected on each prompt: a mark for the map.

    Moran's I of these marks (`analysis.spatial.global_statistics`) says whether the model's wins
    depend on the topic beyond whom it met there.

    Parameters
    ----------
    model : str
    against : str, optional
        Only battles against this one.

    Returns
    -------
    float64 array, shape (prompts,)
        Mean of score less expected score over its battles on the prompt, by the numbers in
        ``battles.prompts``; NaN where it has none.
    """
    own = battles.number(model)
    sign = (battles.first == own).astype(np.int64) - (battles.second == own)
    if against is not None:
        other = battles.number(against)
        sign[(battles.first != other) & (battles.second != other)] = 0
    surprise = sign * (battles.score - ratings.expected(battles))
    count = int(battles.prompts.max(initial=-1)) + 1
    fought = np.bincount(battles.prompts, sign != 0, count)
    sums = np.bincount(battles.prompts, surprise, count)
    marks: FloatVector = np.divide(sums, fought, out=np.full(count, np.nan), where=fought > 0)
    return marks


@dataclass(frozen=True)
class _Cells:
    """What happened to each model in each region; arrays of shape (regions, models)."""

    battles: IntVector
    prompts: IntVector
    win_rate: FloatMatrix
    expected: FloatMatrix
    standard_error: FloatMatrix

    def frame(self, names: Sequence[str], models: Sequence[str]) -> pd.DataFrame:
        import pandas as pd
        from scipy.stats import t

        region, model = np.nonzero(self.battles)
        prompts = self.prompts[region, model]
        rate, error = self.win_rate[region, model], self.standard_error[region, model]
        # As many independent battles as would give the clustered error; where there is none to
        # see, all battles having ended alike, as many as prompts.
        variance = rate * (1 - rate)
        size = np.divide(variance, error**2, out=prompts.astype(float), where=error > 0)
        quantile = t.ppf(0.975, np.maximum(prompts - 1, 1))
        ends = [
            wilson_interval(share * n, n, float(width)) if several > 1 else (0.0, 1.0)
            for share, n, width, several in zip(rate, size, quantile, prompts, strict=True)
        ]
        return pd.DataFrame(
            {
                "region_number": region,
                "model_number": model,
                "region": [names[one] for one in region.tolist()],
                "model": [models[one] for one in model.tolist()],
                "battles": self.battles[region, model],
                "prompts": prompts,
                "win_rate": rate,
                "low": [low for low, _ in ends],
                "high": [high for _, high in ends],
                "expected": self.expected[region, model],
            }
        )


def _cells(
    battles: Battles, prompts: IntVector, region: IntVector, expected: FloatVector, regions: int
) -> _Cells:
    models = len(battles.models)
    inside = region >= 0
    cell = np.concatenate(
        [(region * models + side)[inside] for side in (battles.first, battles.second)]
    )
    score, foreseen = (
        np.concatenate([values[inside], 1 - values[inside]]) for values in (battles.score, expected)
    )
    on = np.tile(prompts[inside], 2)
    size = regions * models
    fought = np.bincount(cell, minlength=size)
    several = np.maximum(fought, 1)
    rate = np.bincount(cell, score, size) / several
    together, where = np.unique(cell * (prompts.max(initial=0) + 1) + on, return_inverse=True)
    of_cell = together // (prompts.max(initial=0) + 1)
    sums = np.bincount(where, score - rate[cell], len(together))
    clusters = np.bincount(of_cell, minlength=size)
    squares = np.bincount(of_cell, sums**2, size) * clusters / np.maximum(clusters - 1, 1)
    shape = regions, models
    return _Cells(
        fought.reshape(shape),
        clusters.reshape(shape),
        rate.reshape(shape),
        (np.bincount(cell, foreseen, size) / several).reshape(shape),
        (np.sqrt(squares) / several).reshape(shape),
    )


def _scores_by_prompt(battles: Battles, prompts: IntVector, surprise: FloatVector) -> Any:
    """Return by how much each model did better than expected on each prompt, summed; sparse."""
    from scipy import sparse

    entries = np.concatenate([surprise, -surprise])
    where = np.tile(prompts, 2), np.concatenate([battles.first, battles.second])
    shape = int(prompts.max(initial=-1)) + 1, len(battles.models)
    return sparse.csr_array(sparse.coo_array((entries, where), shape=shape))


def _moments(scores: Any) -> tuple[FloatVector, FloatVector]:
    """Return the mean and variance over prompts of each model's scores."""
    count = scores.shape[0]
    mean = np.asarray(scores.sum(axis=0)).ravel() / count
    return mean, np.asarray((scores * scores).sum(axis=0)).ravel() / count - mean**2


def _standard_scores(
    scores: Any, moments: tuple[FloatVector, FloatVector], region: IntVector, regions: int
) -> FloatMatrix:
    """Return z of each region's and model's sum, over all permutations of prompts.

    The sum over n of N prompts drawn at random has a known mean and variance.
    """
    count, models = scores.shape
    mean, variance = moments
    inside = np.bincount(region[region >= 0], minlength=regions).astype(np.float64)
    drawn = inside * (count - inside) / max(count - 1, 1)
    deviation = np.sqrt(np.clip(np.outer(drawn, variance), 0, None))
    sums = _region_sums(scores, region, regions) - np.outer(inside, mean)
    z = np.zeros((regions, models))
    np.divide(sums, deviation, out=z, where=deviation > _ROUNDING)
    return z


def _region_sums(scores: Any, region: IntVector, regions: int) -> FloatMatrix:
    from scipy import sparse

    inside = np.flatnonzero(region >= 0)
    entries = np.ones(len(inside)), (region[inside], inside)
    member = sparse.csr_array(sparse.coo_array(entries, shape=(regions, scores.shape[0])))
    return np.asarray((member @ scores).todense())


def _reached_by_chance(
    scores: Any,
    moments: tuple[FloatVector, FloatVector],
    region: IntVector,
    z: FloatMatrix,
    permutations: int,
    random_state: int,
) -> IntVector:
    """Count the permutations in which a region's sum of squared z is as large as it is."""
    observed = (z**2).sum(axis=1)
    draw = np.random.default_rng(random_state)
    reached = np.zeros(len(z), dtype=np.int64)
    for _ in range(permutations):
        other = _standard_scores(scores, moments, draw.permutation(region), len(z))
        # A hair below, so that rounding does not decide ties.
        reached += (other**2).sum(axis=1) >= observed * (1 - _ROUNDING)
    return reached


def _positions(region: IntVector, regions: int) -> list[IntVector]:
    """Return the positions of each region's battles."""
    order = np.argsort(region, kind="stable")
    edges = np.searchsorted(region[order], np.arange(regions + 1))
    return [order[start:end] for start, end in itertools.pairwise(edges.tolist())]


def _likelihood_ratio(battles: Battles, inside: IntVector, ratings: Ratings) -> tuple[float, int]:
    """Return twice the gain in log likelihood of ratings of its own, and how many more they are."""
    outside = np.ones(len(battles), dtype=bool)
    outside[inside] = False
    if not outside.any():
        return 0.0, 0
    gain, freedom = -ratings.log_likelihood, -_free(ratings.component)
    for part in (battles.where(inside), battles.where(outside)):
        problem = Problem.of(part, "half")
        gain += problem.maximise(part).log_likelihood
        freedom += _free(problem.component)
    return max(2 * gain, 0.0), freedom


def _free(component: IntVector) -> int:
    """Return how many differences of strengths battles determine."""
    return len(component) - int(component.max()) - 1


def _shifts(
    battles: Battles, prompts: IntVector, strength: FloatVector, spread: float
) -> tuple[FloatVector, FloatVector]:
    """Return how far each strength is from the overall one here, in log odds, and its error."""
    models = len(battles.models)
    if spread <= 0 or not len(battles):
        return np.zeros(models), np.zeros(models)
    problem = _regional_problem(models, strength, spread)
    fit = problem.maximise(battles)
    on = np.unique(prompts, return_inverse=True)[1]
    ways = [on] if len(np.unique(on)) > 1 else []
    covariance, _, _ = problem.sandwich(battles, fit, ways)
    return fit.strength, np.sqrt(np.clip(np.diag(covariance), 0, None))


def _regional_problem(models: int, strength: FloatVector, spread: float) -> Problem:
    everyone = np.zeros(models, dtype=np.int64)
    prior = np.full(models, (ELO / spread) ** 2)
    return Problem(everyone, np.ones(models, dtype=bool), prior, False, strength)


def _choose_spread(
    battles: Battles, region: IntVector, prompts: IntVector, random_state: int
) -> float:
    """Return the spread whose regional ratings foretell battles on unseen prompts best."""
    count = int(prompts.max(initial=-1)) + 1
    fold = (np.random.default_rng(random_state).permutation(count) % _FOLDS)[prompts]
    gains = np.zeros(len(SPREADS))
    inside = _positions(region, int(region.max(initial=-1)) + 1)
    for one in range(_FOLDS):
        train, test = battles.where(fold != one), battles.where(fold == one)
        if not len(train) or not len(test):
            continue
        strength = Problem.of(train, "half").maximise(train).strength
        for here in inside:
            known, unseen = here[fold[here] != one], here[fold[here] == one]
            own, others = battles.where(known), battles.where(unseen)
            for position, spread in enumerate(SPREADS):
                shifts: FloatVector = np.zeros(len(strength))
                if spread and len(own):
                    shifts = (
                        _regional_problem(len(strength), strength, spread).maximise(own).strength
                    )
                gains[position] += _log_likelihood(others, strength + shifts)
    return SPREADS[int(np.argmax(gains))]


def _log_likelihood(battles: Battles, strength: FloatVector) -> float:
    log_odds = strength[battles.first] - strength[battles.second]
    return float((battles.score * log_odds - np.logaddexp(0, log_odds)).sum())


def _chi_square_tail(statistic: float, freedom: int) -> float:
    from scipy.stats import chi2

    return float(chi2.sf(statistic, freedom)) if freedom > 0 else float("nan")


def _tails(z: FloatVector, prompts: IntVector) -> FloatVector:
    """Return two-sided p of standard scores that rest on so many prompts.

    Sums over few prompts have longer tails than a normal distribution: with regions of 4 prompts it
    would find something in a quarter of maps without an effect, Student's t in none.
    """
    from scipy.stats import t

    return np.asarray(2 * t.sf(np.abs(z), np.maximum(prompts - 1, 1)))
