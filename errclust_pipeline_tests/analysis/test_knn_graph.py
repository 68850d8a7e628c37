from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from errclust_pipeline.analysis.knn_graph import (
    cosine_neighbours,
    hubness_corrected,
    undirected_graph,
    unit_vectors,
)


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)


def test_neighbours_are_those_that_scikit_learn_finds(vectors: np.ndarray) -> None:
    indices, similarities = cosine_neighbours(vectors, 7, block_rows=64)
    distances, expected = (
        NearestNeighbors(n_neighbors=8, metric="cosine", algorithm="brute")
        .fit(vectors)
        .kneighbors(vectors)
    )
    np.testing.assert_array_equal(indices, expected[:, 1:])
    np.testing.assert_allclose(similarities, 1 - distances[:, 1:], atol=2e-6)
    assert indices.dtype == np.int32
    assert similarities.dtype == np.float32


@pytest.mark.parametrize("block_rows", [1, 7, 299, 300, 10_000])
def test_neighbours_do_not_depend_on_the_block(vectors: np.ndarray, block_rows: int) -> None:
    expected, _ = cosine_neighbours(vectors, 5)
    indices, _ = cosine_neighbours(vectors, 5, block_rows=block_rows)
    np.testing.assert_array_equal(indices, expected)


def test_duplicates_are_neighbours_but_never_the_vector_itself(vectors: np.ndarray) -> None:
    repeated = np.concatenate([np.repeat(vectors[:1], 50, axis=0), vectors[1:20]])
    indices, similarities = cosine_neighbours(repeated, 10)
    assert not (indices == np.arange(len(repeated))[:, None]).any()
    assert indices[0].tolist() == list(range(1, 11)), "equal ones in order of their index"
    assert indices[49].tolist() == list(range(10))
    np.testing.assert_array_equal(similarities[:50], 1)


@pytest.mark.parametrize(("n", "k", "columns"), [(0, 3, 0), (1, 3, 0), (2, 3, 1), (4, 3, 3)])
def test_there_are_at_most_as_many_neighbours_as_others(n: int, k: int, columns: int) -> None:
    indices, similarities = cosine_neighbours(np.eye(4)[:n], k)
    assert indices.shape == similarities.shape == (n, columns)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_vector_without_direction_is_refused(vectors: np.ndarray, bad: float) -> None:
    vectors[3] = bad
    with pytest.raises(ValueError, match=r"1 of 300 .* first in row 3"):
        cosine_neighbours(vectors, 5)


def test_other_than_a_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        unit_vectors([1.0, 2.0])


@pytest.mark.parametrize("arguments", [(0, 10), (3, 0)])
def test_counts_must_be_positive(vectors: np.ndarray, arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        cosine_neighbours(vectors, *arguments)


def test_the_graph_is_the_union_of_both_directions_with_the_larger_weight() -> None:
    indices = np.array([[1], [2], [1]], dtype=np.int32)
    weights = np.array([[0.5], [0.25], [0.75]], dtype=np.float32)
    graph = undirected_graph(indices, weights)
    np.testing.assert_array_equal(graph.toarray(), [[0, 0.5, 0], [0.5, 0, 0.75], [0, 0.75, 0]])


def test_edges_of_no_similarity_are_left_out() -> None:
    indices = np.array([[1], [0]], dtype=np.int32)
    assert undirected_graph(indices, np.array([[-0.1], [0.0]], dtype=np.float32)).nnz == 0


@pytest.mark.parametrize("k", [1, 5, 28, 200, 398, 399])
@pytest.mark.parametrize("n", [400, 401, 431])
def test_of_many_equal_similarities_the_leftmost_are_kept(n: int, k: int) -> None:
    lattice = np.random.default_rng(n).integers(-1, 2, size=(n, 3)) + np.array([0.0, 0.0, 3.0])
    indices, similarities = cosine_neighbours(lattice, k, block_rows=64)
    unit = unit_vectors(lattice)
    steps = np.rint(unit @ unit.T * np.float32(2**20))
    np.fill_diagonal(steps, -np.inf)
    expected = np.argsort(-steps, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(
        similarities, np.clip(np.take_along_axis(steps, expected, axis=1) / 2**20, -1, 1)
    )


def test_a_hub_gives_way_to_neighbours_whose_surroundings_are_sparser() -> None:
    neighbours = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]], dtype=np.int32)
    similarities = np.array(
        [[0.9, 0.85, 0.8], [0.9, 0.9, 0.9], [0.85, 0.4, 0.25], [0.3, 0.2, 0.1]], dtype=np.float32
    )
    # Mean similarities to the nearest: 0.85, 0.9, 0.5, 0.2. So of the first: 1.8 - 0.9, 1.7 - 0.5
    # and 1.6 - 0.2.
    indices, kept = hubness_corrected(neighbours, similarities, 2)
    assert indices[0].tolist() == [3, 2]
    np.testing.assert_array_equal(kept[0], similarities[0, [2, 1]])


def test_the_correction_refuses_what_does_not_fit_together() -> None:
    neighbours = np.array([[1], [0]], dtype=np.int32)
    with pytest.raises(ValueError, match="1\\) neighbours but"):
        hubness_corrected(neighbours, np.ones((2, 2), dtype=np.float32), 1)
    with pytest.raises(ValueError, match="positive"):
        hubness_corrected(neighbours, np.ones((2, 1), dtype=np.float32), 0)
