"""Time and memory of the spatial statistics, beside esda.Moran_Local with 999 permutations.

    errclust ingest ../shared/data/mmlu_pro && errclust run
    python benchmarks/spatial_speed.py --root data

All statistics of one model are computed after the map exists, at four scales; each time is the best
of three. Cost: the local test
grows with n k; the adjusted test with n k^2; Moran's I with n k permutations; memory with n k.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings

import numpy as np

from errclust_pipeline.analysis.spatial import (
    adjusted_tests,
    expected_errors,
    global_statistics,
    hot_regions,
    local_hot_spots,
    local_hot_spots_at_scales,
    neighbour_weights,
    scan,
    split_half,
    usable_scales,
)
from errclust_pipeline.views.marks import read_error_matrix, read_map, read_marks
from errclust_pipeline.warehouse.keys import SubmissionPartition


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data", help="data root with mmlu_pro in it")
    parser.add_argument("--model", default="Qwen1.5-110B")
    parser.add_argument("--points", type=int, default=1_000_000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print_one_model(arguments.root, arguments.model)
    print_points(arguments.points)


def print_one_model(root: str, model: str) -> None:
    """Time every statistic of one real model."""
    from errclust_pipeline.warehouse.warehouse import Warehouse

    store, partition = Warehouse(root), SubmissionPartition("mmlu_pro", model)
    questions = read_map(store, "mmlu_pro")
    own = read_marks(store, partition, questions)
    matrix = read_error_matrix(store, partition, questions, own)
    expected = expected_errors(matrix, 0, questions.neighbours)
    marks, neighbours, kernel = own.errors, questions.neighbours, questions.kernel
    assert kernel is not None
    scales = usable_scales(len(questions), neighbours.shape[1])
    local_hot_spots(marks[:50], neighbours[:50, :1] * 0, 1)  # scipy.stats is imported here.
    residual = marks - expected
    regions = hot_regions(marks, kernel)
    weights = neighbour_weights(~np.isnan(marks), neighbours, scales, questions.mutual)
    steps = {
        "local test": lambda: local_hot_spots_at_scales(marks, neighbours, scales),
        "expected by difficulty": lambda: expected_errors(matrix, 0, neighbours),
        "adjusted test": lambda: adjusted_tests(marks, expected, neighbours, scales),
        "weights": lambda: neighbour_weights(
            ~np.isnan(marks), neighbours, scales, questions.mutual
        ),
        "Moran's I, join counts (99 permutations)": lambda: global_statistics(
            marks, neighbours, scales, weights=weights
        ),
        "Moran's I of the residual (99 permutations)": lambda: global_statistics(
            residual, neighbours, scales, weights=weights
        ),
        "hot regions, raw and adjusted": lambda: (
            hot_regions(marks, kernel),
            hot_regions(marks, kernel, expected),
        ),
        "split halves, raw and adjusted": lambda: (
            split_half(regions, marks, kernel),
            split_half(regions, marks, kernel, expected),
        ),
        "scan statistic (99 permutations)": lambda: scan(marks, neighbours),
    }
    print(f"{len(questions):,} questions, scales {scales}, seconds")
    total = 0.0
    for name, step in steps.items():
        total += timed(name, step)
    print(f"  {'all of these':<46}{total:>8.2f}")
    timed("esda.Moran_Local, k = 30 alone (999)", esda_call(marks, neighbours[:, :30]))


def print_points(n: int) -> None:
    """Time the local test on many points."""
    generator = np.random.default_rng(0)
    # Thirty others, at random distances in a ring: no repeats, and memory is reached all over.
    jumps = np.sort(generator.choice(np.arange(1, n // 10), 30, replace=False)).astype(np.int32)
    neighbours = (np.arange(n, dtype=np.int32)[:, None] + jumps) % n
    marks = (generator.random(n) < 0.3).astype(float)
    print(f"{n:,} points, k = 30, seconds")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    timed("local test", lambda: local_hot_spots(marks, neighbours, 30))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"  {'memory beyond marks and neighbours':<46}{(after - before) / 1024:>8.0f} MiB")
    small = n // 10
    timed(f"local test of {small:,} points", lambda: local_hot_spots(
        marks[:small], neighbours[:small] % small, 30
    ))  # fmt: skip
    timed(f"esda.Moran_Local of {small:,} points (999)", esda_call(
        marks[:small], neighbours[:small] % small
    ))  # fmt: skip


def esda_call(marks, neighbours):
    """Return a call of esda, its weights made beforehand and its functions compiled."""
    import esda
    from libpysal.graph import Graph

    # esda has no notion of a mark left out: those are set to the mean.
    marks = np.where(np.isnan(marks), np.nanmean(marks), marks)
    n, k = len(marks), neighbours.shape[1]
    graph = Graph.from_arrays(np.repeat(np.arange(n), k), neighbours.ravel(), np.ones(n * k))
    rows = graph.transform("r")

    def call(permutations: int = 999) -> None:
        esda.Moran_Local(
            marks, rows, permutations=permutations, n_jobs=1, keep_simulations=False, seed=0
        )

    call(9)
    return call


def timed(name, step) -> float:
    """Print and return the seconds of a step, the best of three."""
    seconds = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        step()
        seconds = min(seconds, time.perf_counter() - started)
    print(f"  {name:<46}{seconds:>8.2f}", flush=True)
    return seconds


if __name__ == "__main__":
    main()
