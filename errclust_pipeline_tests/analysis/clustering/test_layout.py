from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_errors, cluster_points
from errclust_pipeline.analysis.clustering.layout import layout, principal_components
from errclust_pipeline.analysis.clustering.points import distinct_points
from errclust_pipeline_tests.analysis.clustering.test_clusters import topics


def test_principal_components_are_those_of_scikit_learn_up_to_sign() -> None:
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    ours = principal_components(vectors, 2)
    theirs = PCA(2).fit_transform(vectors)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-4)


@pytest.mark.parametrize("n", [0, 1, 2, 49])
def test_few_points_are_laid_out_on_their_principal_components(n: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)
    points = distinct_points(vectors, 5)
    np.testing.assert_array_equal(layout(points, seed=0), principal_components(points.vectors, 2))


def test_the_layout_is_repeatable_and_keeps_neighbours_together() -> None:
    vectors, labels = topics([60, 60])
    points = distinct_points(vectors, 15)
    positions = layout(points, seed=0)
    np.testing.assert_array_equal(positions, layout(points, seed=0))
    assert positions.shape == (120, 2)
    assert np.isfinite(positions).all()
    centres = np.stack([positions[labels == label].mean(axis=0) for label in (0, 1)])
    nearer = ((positions[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearer == labels).all()


def test_copies_share_one_position_and_positions_repeat_by_level() -> None:
    vectors, _ = topics([30, 30])
    copied = np.concatenate([vectors, vectors[:1]])
    names = [f"e{row:02d}" for row in range(61)]
    clusters = cluster_errors(names, names, copied, ClusteringSettings())
    first, last = (clusters[clusters["example_id"] == name] for name in ("e00", "e60"))
    assert first[["x", "y"]].to_numpy().tolist() == last[["x", "y"]].to_numpy().tolist()
    assert clusters[["x", "y"]].notna().all(axis=None)
    assert (clusters.groupby("example_id")[["x", "y"]].nunique() == 1).all(axis=None)


def test_density_clusters_are_an_alternative_of_one_level() -> None:
    vectors, labels = topics([60, 60])
    levels = cluster_points(vectors, ClusteringSettings(method="hdbscan", layout=False))
    assert levels.shape == (120, 1)
    for label in (0, 1):
        assert len(set(levels[labels == label, 0]) - {-1}) == 1
    assert len(set(levels[:, 0]) - {-1}) == 2


@pytest.mark.parametrize(("n", "expected"), [(0, []), (3, [-1]), (6, [0])])
def test_density_clusters_of_few_points(n: int, expected: list[int]) -> None:
    settings = ClusteringSettings(method="hdbscan", layout=False)
    vectors = np.random.default_rng(0).normal(size=(n, 8))
    assert np.unique(cluster_points(vectors, settings)).tolist() == expected
