from __future__ import annotations

import numpy as np
import pytest

from errclust_pipeline.analysis.labelling import exemplars
from errclust_pipeline.analysis.labelling.exemplars import centroid_similarity


def at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_central_members_are_nearest_to_the_mean_and_diverse_ones_farthest_first() -> None:
    # The mean points at 7 degrees. From 10, -40 is farthest; then, from 10 and -40, 50.
    assert exemplars(at(0, 10, -40, 50, 2, 20), central=1, diverse=2) == ([1], [2, 3])


def test_farthest_first_covers_within_twice_the_best_radius() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(12, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distance = np.sqrt(np.clip(2 - 2 * vectors @ vectors.T, 0, None))
    central, diverse = exemplars(vectors, central=1, diverse=2)
    picked = distance[:, central + diverse].min(axis=1).max()
    best = min(
        distance[:, [a, b, c]].min(axis=1).max()
        for a in range(12)
        for b in range(12)
        for c in range(12)
    )
    assert picked <= 2 * best


def test_copies_are_passed_over() -> None:
    central, diverse = exemplars(np.repeat(at(0, 30), 10, axis=0), central=3, diverse=3)
    assert sorted(central + diverse) == [0, 10]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_no_member_is_picked_twice(n: int) -> None:
    central, diverse = exemplars(at(*range(0, 10 * n, 10)))
    assert sorted(central + diverse) == list(range(n))


def test_similarity_to_the_centroid() -> None:
    np.testing.assert_allclose(centroid_similarity(at(-60, 60)), [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(centroid_similarity(np.ones((3, 2))), 1, atol=1e-6)
