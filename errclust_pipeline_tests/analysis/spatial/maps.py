"""Maps for tests: points in a few clusters, their neighbours, and errors planted in some."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from errclust_pipeline.analysis.knn_graph import cosine_neighbours


@lru_cache(maxsize=8)
def clustered_map(n=1200, clusters=12, k=100, seed=0):
    """Neighbours of n points in equal clusters, and the cluster of each."""
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(clusters, 16))
    cluster = np.arange(n) % clusters
    vectors = centres[cluster] + 0.6 * generator.normal(size=(n, 16))
    return cosine_neighbours(vectors, k)[0], cluster


def random_neighbours(n, k, seed=0):
    """A directed graph in which everyone has k neighbours at random."""
    generator = np.random.default_rng(seed)
    rows = [generator.permutation(np.delete(np.arange(n), row))[:k] for row in range(n)]
    return np.array(rows, dtype=np.int32)


def errors_at(rate, n, seed=0):
    return (np.random.default_rng(seed).random(n) < rate).astype(float)


def planted(cluster, where, inside, outside, seed=0):
    """Errors at one rate in some clusters and another elsewhere."""
    rates = np.where(np.isin(cluster, where), inside, outside)
    return (np.random.default_rng(seed).random(len(cluster)) < rates).astype(float)
