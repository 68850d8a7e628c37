"""Which patterns are the rule in a place: their share there, tested against the model's others.

A place is a set of questions with a name. A pattern is found in a place if at least five errors and
a third of the place's errors show it, and two tests at a joint false discovery rate say so: it is
more frequent than among the model's other errors (hypergeometric), and more frequent than if the
place's given answers were dealt out at random among its questions (binomial, over rotations). The
second keeps apart "one too low" from small numbers, which often lie one apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.patterns.comparators import PATTERNS, Pair, Pattern
from errclust_pipeline.analysis.spatial.counts import benjamini_hochberg

FEWEST_ERRORS = 5
SMALLEST_SHARE = 1 / 3
FEWEST_RIGHT_ANSWERS = 3
_ROTATIONS = 20
_RATIO_TOLERANCE = 0.005


class Place(Protocol):
    """A named set of questions."""

    @property
    def kind(self) -> str:
        """What kind of place it is, e.g. ``subject``."""

    @property
    def id(self) -> str:
        """Its identifier among the places of its kind."""

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def question_ids(self) -> Sequence[str]:
        """The questions that lie in it."""


@dataclass(frozen=True)
class PlacePattern:
    """A pattern that is the rule in a place.

    Attributes
    ----------
    place : Place
    pattern : Pattern
    parameter : float or None
        The constant difference or ratio.
    count, errors : int
        Errors of the place that show the pattern, and all of them. Of a constant only those on
        which it was not found.
    share_elsewhere : float
        Share of the model's other errors that show it.
    q : float
        Of Benjamini & Hochberg, over all patterns and places.
    exemplars : tuple of int
        Positions of errors that show it.
    """

    place: Place
    pattern: Pattern
    parameter: float | None
    count: int
    errors: int
    share_elsewhere: float
    q: float
    exemplars: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """The finding in words, e.g. "page counts: one too low in 33 of 33 errors"."""
        return f"{self.place.name}: {self.pattern.phrase} in {self.count} of {self.errors} errors"


@dataclass(frozen=True)
class _Candidate:
    place: Place
    pattern: Pattern
    parameter: float | None
    rows: npt.NDArray[np.intp]
    counted: npt.NDArray[np.intp]
    hits: npt.NDArray[np.bool_]


def find_patterns(
    question_ids: Sequence[str], pairs: Sequence[Pair], places: Sequence[Place], fdr: float = 0.05
) -> list[PlacePattern]:
    """Find the patterns that are the rule in a place and not in the model's other errors.

    Parameters
    ----------
    question_ids : sequence of str, length n
        The question of each of the model's errors.
    pairs : sequence of Pair, length n
    places : sequence of Place
        They may overlap.
    fdr : float
        The false discovery rate (Benjamini & Hochberg 1995), over all patterns and places.

    Returns
    -------
    list of PlacePattern
        Strongest evidence first. Of a family, and of places that share most of the errors, only
        the strongest is listed.
    """
    if not pairs:
        return []
    order = np.argsort(np.asarray(question_ids), kind="stable")
    hits = {
        name: np.array([pattern.holds(pair) for pair in pairs])
        for name, pattern in PATTERNS.items()
    }
    position = {name: np.flatnonzero(column) for name, column in hits.items()}
    candidates: list[_Candidate] = []
    ids = np.asarray(question_ids)
    for place in places:
        rows = order[np.isin(ids[order], list(place.question_ids))]
        if not FEWEST_ERRORS <= len(rows) < len(pairs):
            continue
        candidates += [
            _Candidate(place, PATTERNS[name], None, rows, rows, hits[name])
            for name in PATTERNS
            if len(position[name])
        ]
        candidates += _constants(place, rows, pairs)
    p_values = np.array([_p_value(candidate, pairs) for candidate in candidates])
    if not len(p_values):
        return []
    q_values = benjamini_hochberg(p_values)
    # Among equals the pattern that stands first in its family is the more specific.
    ranked = sorted(np.flatnonzero(q_values <= fdr), key=lambda n: (p_values[n], n))
    return _without_repetition([(candidates[n], float(q_values[n])) for n in ranked])


def _constants(place: Place, rows: npt.NDArray[np.intp], pairs: Sequence[Pair]) -> list[_Candidate]:
    """Return the difference and ratio found on half of the errors, to be counted on the others."""
    # A fixed shuffle: neighbours in the order of ids may be variants of one question.
    shuffled = np.random.default_rng(0).permutation(rows)
    search, counted = shuffled[::2], shuffled[1::2]
    candidates = []
    kinds: tuple[tuple[str, Callable[[Pair], float | None], float], ...] = (
        ("difference", lambda pair: pair.difference, 0.0),
        ("ratio", lambda pair: pair.ratio, _RATIO_TOLERANCE),
    )
    for family, measure, tolerance in kinds:
        constant = _shared_constant([pairs[n] for n in search], measure, tolerance)
        if constant is None or constant in (0, 1, -1):
            continue
        phrase = (
            f"too {'high' if constant > 0 else 'low'} by {abs(constant):g}"
            if family == "difference"
            else f"{constant:.4g} times the right number"
        )

        def holds(
            pair: Pair,
            measure: Callable[[Pair], float | None] = measure,
            constant: float = constant,
            tolerance: float = tolerance,
        ) -> bool:
            value = measure(pair)
            return value is not None and abs(value - constant) <= max(
                tolerance * abs(constant), 1e-9
            )

        hits = np.array([holds(pair) for pair in pairs])
        pattern = Pattern(f"constant_{family}", "number", phrase, holds)
        candidates.append(_Candidate(place, pattern, constant, rows, counted, hits))
    return candidates


def _shared_constant(
    pairs: Sequence[Pair], measure: Callable[[Pair], float | None], tolerance: float
) -> float | None:
    """Return the most frequent value; None if fewer than 3 different right answers have it."""
    values = [(value, pair.right.folded) for pair in pairs if (value := measure(pair)) is not None]
    if not values:
        return None
    if not tolerance:
        mode = Counter(round(value, 9) for value, _ in values).most_common(1)[0][0]
        having = [(value, right) for value, right in values if round(value, 9) == mode]
    else:
        numbers = np.array([value for value, _ in values])
        near = np.abs(numbers[:, None] - numbers) <= tolerance * np.abs(numbers)
        centre = int(near.sum(axis=0).argmax())
        having = [pair for pair, is_near in zip(values, near[:, centre], strict=True) if is_near]
        mode = float(np.median([value for value, _ in having]))
    return mode if len({right for _, right in having}) >= FEWEST_RIGHT_ANSWERS else None


def _p_value(candidate: _Candidate, pairs: Sequence[Pair]) -> float:
    """Return the larger p value of the two tests; 1 where the pattern is rare in the place."""
    from scipy.stats import binom, hypergeom

    hits, rows = candidate.hits, candidate.counted
    count, size = int(hits[rows].sum()), len(rows)
    if count < FEWEST_ERRORS or count < SMALLEST_SHARE * size:
        return 1.0
    # The half on which a constant was found is no part of the test.
    found_on = len(candidate.rows) - size
    found_hits = int(hits[candidate.rows].sum()) - count
    elsewhere = float(
        hypergeom.sf(count - 1, len(hits) - found_on, int(hits.sum()) - found_hits, size)
    )
    if elsewhere > 0.05 or candidate.pattern.name == "no_answer":
        return elsewhere
    rotations = np.unique(np.linspace(1, size - 1, min(_ROTATIONS, size - 1)).astype(int))
    chance = [
        candidate.pattern.holds(
            Pair(pairs[rows[n]].gold, pairs[rows[(n + r) % size]].given, pairs[rows[n]].question)
        )
        for r in rotations
        for n in range(size)
    ]
    rate = (sum(chance) + 1) / (len(chance) + 2)
    return max(elsewhere, float(binom.sf(count - 1, size, rate)))


def _without_repetition(ranked: Sequence[tuple[_Candidate, float]]) -> list[PlacePattern]:
    kept: list[PlacePattern] = []
    explained: dict[str, set[int]] = {}
    for candidate, q in ranked:
        showing = [int(n) for n in candidate.counted if candidate.hits[n]]
        family = explained.setdefault(candidate.pattern.family, set())
        if 2 * len(family.intersection(showing)) >= len(showing):
            continue
        family.update(int(n) for n in candidate.rows if candidate.hits[n])
        outside = np.ones(len(candidate.hits), dtype=bool)
        outside[candidate.rows] = False
        kept.append(
            PlacePattern(
                candidate.place,
                candidate.pattern,
                candidate.parameter,
                len(showing),
                len(candidate.counted),
                float(candidate.hits[outside].mean()),
                q,
                tuple(showing[:5]),
            )
        )
    return kept
