from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from sknetwork.clustering import get_modularity

from errclust_pipeline.analysis.clustering import (
    ClusteringSettings,
    cluster_errors,
    cluster_points,
)
from errclust_pipeline.analysis.clustering.clusters import _child_paths
from errclust_pipeline.analysis.clustering.communities import assortativity, nested_communities
from errclust_pipeline.analysis.clustering.points import DistinctPoints
from errclust_pipeline.tables import ERROR_CLUSTERS

FAST = ClusteringSettings(layout=False)


def topics(
    sizes: list[int], spread: float = 0.5, dimensions: int = 64, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors around random directions, and which one each is around."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(len(sizes), dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    noise = random.normal(size=(len(labels), dimensions)) * spread / np.sqrt(dimensions)
    vectors = centres[labels] + noise
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels


def table(vectors: np.ndarray, settings: ClusteringSettings = FAST) -> pd.DataFrame:
    names = [f"e{row:05d}" for row in range(len(vectors))]
    clusters = cluster_errors(names, [f"q{name}" for name in names], vectors, settings)
    rows = pa.Table.from_pandas(clusters, schema=ERROR_CLUSTERS.schema, preserve_index=False)
    assert rows.schema.names == ERROR_CLUSTERS.schema.names
    assert sorted(clusters.loc[clusters["level"] == 1, "example_id"]) == names
    assert not clusters.duplicated(["example_id", "level"]).any()
    return clusters


def first_level(clusters: pd.DataFrame) -> pd.Series:
    return clusters.loc[clusters["level"] == 1, "cluster_id"].reset_index(drop=True)


def test_separate_topics_are_found_and_numbered_by_size() -> None:
    vectors, labels = topics([20, 60, 40])
    clusters = table(vectors)
    assert first_level(clusters).tolist() == [{0: "3", 1: "1", 2: "2"}[label] for label in labels]
    assert clusters["level"].unique().tolist() == [1], "topics without parts are not divided"
    assert (clusters["strength"] > 0.9).all()
    assert clusters["x"].isna().all()


def test_small_sets_with_small_topics_are_divided_too() -> None:
    vectors, labels = topics([8, 8, 8, 8], spread=0.3)
    assert adjusted_rand_score(labels, first_level(table(vectors)).fillna("noise")) == 1.0


def test_topics_within_topics_are_nested() -> None:
    random = np.random.default_rng(1)
    centres = np.repeat(np.eye(64)[:4], 4, axis=0) + 0.6 * np.eye(64)[4:20]
    labels = np.repeat(np.arange(16), 40)
    vectors = centres[labels] + random.normal(size=(640, 64)) * 0.3 / 8
    # More neighbours than a part has members, so that parts of one topic hang together.
    clusters = table(vectors, ClusteringSettings(layout=False, neighbours=45, resolution=0.5))
    parts = clusters[clusters["level"] == 2].dropna(subset="cluster_id")
    parents = parts["cluster_id"].str.rpartition(".")[0]
    coarse = clusters[clusters["level"] == 1].set_index("example_id")["cluster_id"]
    assert (parents.to_numpy() == coarse[parts["example_id"]].to_numpy()).all()
    finest = clusters.groupby("example_id")["cluster_id"].last()
    assert adjusted_rand_score(labels // 4, coarse) == 1.0
    assert adjusted_rand_score(labels, finest) > 0.95


@pytest.mark.parametrize("n", [50, 300, 2000])
def test_a_cloud_without_structure_is_one_cluster(n: int) -> None:
    cloud = np.random.default_rng(n).normal(size=(n, 384))
    clusters = table(cloud)
    assert clusters["cluster_id"].dropna().unique().tolist() == ["1"]
    assert clusters["cluster_id"].isna().mean() < 0.02


def test_clusters_tell_nothing_of_labels_drawn_at_random() -> None:
    vectors, _ = topics([100] * 8)
    random = np.random.default_rng(5).integers(0, 8, size=800)
    labels = cluster_points(vectors, FAST)[:, 0]
    assert abs(adjusted_mutual_info_score(random, labels)) < 0.02


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(90)))
def test_the_order_of_the_rows_does_not_matter(order: list[int]) -> None:
    vectors, _ = topics([40, 30, 20], spread=1.2)
    names = np.array([f"e{row:03d}" for row in range(90)])
    straight = cluster_errors(names, names, vectors, FAST)
    permuted = cluster_errors(names[order], names[order], vectors[order], FAST)
    pd.testing.assert_frame_equal(straight, permuted)


@pytest.mark.parametrize(("n", "ids"), [(0, []), (1, [None]), (4, [None]), (5, ["1"])])
def test_few_errors_are_one_cluster_or_none(n: int, ids: list[str | None]) -> None:
    clusters = table(topics([5])[0][:n])
    assert (
        clusters["cluster_id"]
        .astype(object)
        .where(clusters["cluster_id"].notna(), None)
        .unique()
        .tolist()
        == ids
    )
    assert clusters["strength"].isna().tolist() == clusters["cluster_id"].isna().tolist()


def test_no_errors_may_come_without_dimensions() -> None:
    assert table(np.empty((0, 0), dtype=np.float32)).empty


def test_a_thousand_copies_lie_in_the_cluster_of_their_text() -> None:
    vectors, labels = topics([40, 40])
    copies = np.concatenate([np.repeat(vectors[:1], 1000, axis=0), vectors[1:]])
    ids = first_level(table(copies))
    assert ids[:1000].nunique() == 1
    assert (ids[1000:].reset_index(drop=True) == ids[0]).tolist() == (labels[1:] == 0).tolist()


def test_copies_of_some_texts_make_no_noise_of_those_beside_them() -> None:
    vectors, _ = topics([30, 30], spread=1.0)
    repeated = np.concatenate([np.repeat(vectors[:20], 50, axis=0), vectors[20:]])
    assert first_level(table(repeated)).notna().all()


def test_only_copies_are_one_cluster() -> None:
    clusters = table(np.ones((1000, 8)))
    assert clusters["cluster_id"].unique().tolist() == ["1"]
    assert clusters["strength"].unique().tolist() == [1.0]


def test_points_far_from_everything_are_noise() -> None:
    vectors, _ = topics([50, 50])
    strangers = np.random.default_rng(3).normal(size=(4, 64))
    clusters = table(np.concatenate([vectors, strangers]))
    ids = first_level(clusters)
    assert ids[100:].isna().all()
    assert ids[:100].notna().all()
    assert clusters["strength"].isna().sum() == 4


def test_a_topic_of_texts_that_are_less_alike_is_no_noise() -> None:
    tight, _ = topics([60, 60, 60], spread=0.2)
    loose, _ = topics([30], spread=0.9, seed=9)
    ids = first_level(table(np.concatenate([tight, loose])))
    assert ids[180:].tolist() == ["4"] * 30


def test_groups_below_the_smallest_size_are_noise() -> None:
    vectors, _ = topics([50, 50, 12])
    ids = first_level(table(vectors, ClusteringSettings(layout=False, minimum_size=20)))
    assert ids[:100].notna().all()
    assert ids[100:].isna().all()


def test_a_graph_in_separate_pieces_is_clustered() -> None:
    blocks = np.zeros((60, 40))
    blocks[:30, :20] = np.random.default_rng(0).random((30, 20))
    blocks[30:, 20:] = np.random.default_rng(1).random((30, 20))
    assert first_level(table(blocks)).tolist() == ["1"] * 30 + ["2"] * 30


def test_equal_sizes_are_numbered_by_the_first_example() -> None:
    labels = np.array([7, 3, 3, 7, -1, 5], dtype=np.int32)
    paths = _child_paths(np.full(6, "", dtype=object), labels)
    assert paths.tolist() == ["1", "2", "2", "1", None, "3"]
    paths = _child_paths(np.array(["1", "1", "1", "1", "1", "2"], dtype=object), labels)
    assert paths.tolist() == ["1.1", "1.2", "1.2", "1.1", None, "2.1"]


def test_strength_is_the_similarity_weighted_share_of_neighbours() -> None:
    vectors, _ = topics([12, 12], spread=0.9, dimensions=16)
    clusters = table(vectors, ClusteringSettings(layout=False, neighbours=13))
    ids = first_level(clusters)
    assert ids.nunique() == 2
    assert (clusters["strength"] < 1).any()
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    for row in range(24):
        nearest = np.argsort(-similarity[row])[:13]
        weights = np.clip(similarity[row, nearest], 0, None)
        share = weights[(ids[nearest] == ids[row]).to_numpy()].sum() / weights.sum()
        assert clusters["strength"][row] == pytest.approx(share, abs=1e-5)


def test_levels_refine_each_other_and_noise_stays_noise() -> None:
    vectors, _ = topics([60] * 12, spread=1.4)
    levels = cluster_points(vectors, ClusteringSettings(layout=False, minimum_assortativity=0.0))
    assert levels.shape == (720, 3)
    for coarse, fine in zip(levels.T[:-1], levels.T[1:], strict=True):
        assert (fine[coarse == -1] == -1).all()
        for label in range(fine.max() + 1):
            assert len(set(coarse[fine == label])) == 1


def test_mismatched_or_repeated_input_is_refused() -> None:
    with pytest.raises(ValueError, match="2 example ids, 1 question ids and 3 embeddings"):
        cluster_errors(["a", "b"], ["q"], np.eye(3), FAST)
    with pytest.raises(ValueError, match="unique"):
        cluster_errors(["a", "a"], ["q", "q"], np.eye(2), FAST)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "k-means"}, "method"),
        ({"neighbours": 0}, "neighbours"),
        ({"levels": 0}, "levels"),
        ({"minimum_size": 0}, "minimum_size"),
        ({"resolution": 0.0}, "resolution"),
        ({"resolution": float("nan")}, "resolution"),
        ({"minimum_assortativity": 1.5}, "minimum_assortativity"),
        ({"minimum_relative_similarity": -1.0}, "minimum_relative_similarity"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClusteringSettings(**settings)


@pytest.mark.parametrize(
    ("n", "neighbours", "smallest"), [(0, 5, 5), (1, 5, 5), (200, 16, 5), (12_032, 28, 13)]
)
def test_the_rules_follow_the_number_of_points(n: int, neighbours: int, smallest: int) -> None:
    assert FAST.neighbour_count(n) == neighbours
    assert FAST.smallest_cluster(n) == smallest
    assert FAST.smallest_divisible(n) == 8 * smallest


def test_loading_the_library_loads_nothing_heavy() -> None:
    code = (
        "import sys, errclust_pipeline.analysis.clustering, errclust_pipeline.analysis.labelling,"
        " errclust_pipeline.analysis.errors, errclust_pipeline.analysis.knn_graph;"
        "print({'torch', 'umap', 'sklearn', 'sknetwork', 'numba', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_assortativity_as_computed_by_hand_and_from_modularity() -> None:
    # Two triangles joined by one edge: 12 of 14 ends inside, half of the ends on each side.
    edges = [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 3)]
    matrix = np.zeros((6, 6))
    for one, two in edges:
        matrix[one, two] = matrix[two, one] = 1
    labels = np.array([0, 0, 0, 1, 1, 1], dtype=np.int32)
    graph = sparse.csr_matrix(matrix)
    assert assortativity(graph, labels) == pytest.approx((12 / 14 - 0.5) / 0.5)
    assert assortativity(graph, np.zeros(6, dtype=np.int32)) == 0
    modularity = get_modularity(graph, labels)
    assert assortativity(graph, labels) == pytest.approx(modularity / (1 - 0.5))


@pytest.mark.parametrize("sizes", [[30, 30], [90, 10], [10] * 9])
def test_assortativity_of_separate_pieces_is_one_however_many_and_large(sizes: list[int]) -> None:
    blocks = [np.ones((size, size)) for size in sizes]
    labels = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    assert assortativity(sparse.block_diag(blocks).tocsr(), labels) == pytest.approx(1)


def test_communities_are_those_of_the_links_and_not_of_the_nearest() -> None:
    random = np.random.default_rng(0)
    groups = np.repeat([0, 1], 40)
    similar = np.full((80, 10), 0.9, dtype=np.float32)
    within = [random.choice(np.flatnonzero(groups == group), 10) for group in groups]
    points = DistinctPoints(
        vectors=np.zeros((80, 2), dtype=np.float32),
        point_of=np.arange(80, dtype=np.int32),
        copies=np.ones(80, dtype=np.int32),
        neighbours=random.integers(0, 80, size=(80, 10), dtype=np.int32),
        similarities=similar,
        linked=np.array(within, dtype=np.int32),
        link_similarities=similar,
    )
    found = nested_communities(points, FAST)[:, 0]
    assert adjusted_rand_score(groups, found) == 1
