"""Are the local tests exact, and do they hold under the null? Beside PySAL's esda.

    python benchmarks/local_statistics.py

1. Equality with esda on random graphs: local and global Moran's I, Gi*, join counts.
2. Exact p values against 9,999 permutations of the marks.
3. Under the null: 600 simulated maps (5,000 points, 30 neighbours) at each base rate; the share of
   maps with any discovery at q < .05, of the local test, of the hot regions' walk test, and of
   esda.Moran_Local with 999 permutations and Benjamini-Hochberg on the same maps (20 of them).
4. Under the null beyond difficulty: 3 to 8 models that differ in ability only, questions whose
   difficulty is strongly topical; the share of maps with any hot region of the first model.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.analysis.spatial import (
    benjamini_hochberg,
    expected_errors,
    global_statistics,
    graph_kernel,
    hot_regions,
    local_hot_spots,
    walk_test,
)

RATES = (0.1, 0.5, 0.8)


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=600)
    parser.add_argument("--esda-maps", type=int, default=20)
    parser.add_argument("--difficulty-maps", type=int, default=200)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print_equality()
    print_permutations()
    print_null(arguments.maps, arguments.esda_maps)
    print_null_beyond_difficulty(arguments.difficulty_maps)


def weights(neighbours: npt.NDArray[np.int32], transform: str):
    """Return PySAL's weights of a directed neighbour graph."""
    from libpysal.weights import W

    made = W({row: list(map(int, others)) for row, others in enumerate(neighbours)})
    made.transform = transform
    return made


def print_equality() -> None:
    """Print the largest differences from esda over random graphs."""
    import esda

    worst = dict.fromkeys(("Moran's I", "its z", "local I", "Gi* z", "local joins", "BB"), 0.0)
    for seed in range(10):
        generator = np.random.default_rng(seed)
        n, k = 500, 12
        neighbours = np.stack(
            [generator.permutation(np.delete(np.arange(n), row))[:k] for row in range(n)]
        ).astype(np.int32)
        marks = (generator.random(n) < RATES[seed % 3]).astype(float)
        mine, overall = (
            local_hot_spots(marks, neighbours, k),
            global_statistics(marks, neighbours, (k,))[0],
        )
        binary, rows = weights(neighbours, "b"), weights(neighbours, "r")
        moran = esda.Moran(marks, rows, permutations=0)
        joins = esda.Join_Counts_Local(connectivity=binary).fit(marks, permutations=0)
        getis = esda.G_Local(marks, binary, transform="B", star=True, permutations=0)
        differences = {
            "Moran's I": overall.moran - moran.I,
            "its z": overall.z - moran.z_rand,
            "local I": mine.local_moran - esda.Moran_Local(marks, rows, permutations=0).Is,
            "Gi* z": mine.gi_star - getis.Zs,
            "local joins": mine.errors * marks - joins.LJC,
            "BB": overall.joins_both - esda.Join_Counts(marks, binary, permutations=0).bb,
        }
        for name, difference in differences.items():
            worst[name] = max(worst[name], float(np.abs(difference).max()))
    print("largest difference from esda on 10 random graphs of 500 points, 12 neighbours")
    for name, difference in worst.items():
        print(f"  {name:<14}{difference:.1e}")


def print_permutations() -> None:
    """Print how far exact p values are from those of 9,999 permutations."""
    neighbours, generator = null_map(1000), np.random.default_rng(1)
    marks = (generator.random(1000) < 0.3).astype(float)
    mine = local_hot_spots(marks, neighbours, 30)
    # Given a question's own mark, those of all others are shuffled. As in esda, the same shuffled
    # places serve every question, each of which leaves itself out.
    places = np.stack([generator.permutation(999)[:30] for _ in range(9999)])
    reached = np.empty(1000)
    for row in range(1000):
        drawn = np.delete(marks, row)[places].sum(axis=1)
        reached[row] = (1 + (drawn >= mine.errors[row]).sum()) / 10000
    print("exact p against 9,999 conditional permutations, 1,000 points")
    print(f"  largest difference {np.abs(mine.p_hot - reached).max():.4f}", end="; ")
    print(f"Monte-Carlo error at p = .5 is {0.5 / np.sqrt(9999):.4f} (one standard error)")


def null_map(n: int) -> npt.NDArray[np.int32]:
    """Return 30 neighbours of n points at random in 8 dimensions."""
    return cosine_neighbours(np.random.default_rng(0).normal(size=(n, 8)), 30)[0]


def print_null(maps: int, esda_maps: int) -> None:
    """Print the share of maps without structure on which anything is discovered."""
    import esda

    neighbours = null_map(5000)
    kernel = graph_kernel(neighbours)
    rows = weights(neighbours, "r")
    bound = 0.05 + np.sqrt(0.05 * 0.95 / maps)
    print(f"share of {maps} maps without structure with any discovery; bound {bound:.3f}")
    print(f"  {'base rate':>9}{'local test':>12}{'walk test':>12}{'esda, BH':>12}")
    for rate in RATES:
        local = walks = theirs = 0
        for seed in range(maps):
            marks = (np.random.default_rng(seed).random(5000) < rate).astype(float)
            local += bool((local_hot_spots(marks, neighbours, 30).q_hot < 0.05).any())
            walks += bool((walk_test(marks, kernel).q < 0.05).any())
            if seed < esda_maps:
                found = esda.Moran_Local(marks, rows, permutations=999, seed=seed, n_jobs=1)
                theirs += bool((benjamini_hochberg(found.p_sim) < 0.05).any())
        print(f"  {rate:>9}{local / maps:>12.3f}{walks / maps:>12.3f}", end="")
        print(f"{theirs / esda_maps:>12.3f}" if esda_maps else f"{'-':>12}")


def print_null_beyond_difficulty(maps: int) -> None:
    """Print how often difficulty that is told from few models passes for a weakness."""
    generator = np.random.default_rng(0)
    topics = np.repeat(np.arange(40), 75)
    centres = 3 * generator.normal(size=(40, 8))
    places = centres[topics] + generator.normal(size=(len(topics), 8))
    neighbours, similarities = cosine_neighbours(places, 60)
    kernel = graph_kernel(neighbours, similarities)
    print(f"share of {maps} maps where models differ in ability only, but a hot region is found")
    print(f"  {'models':>9}{'by errors':>12}{'beyond difficulty':>20}")
    for models in (3, 4, 5, 8):
        raw = beyond = 0
        for seed in range(maps):
            draw = np.random.default_rng(seed)
            difficulty = 1.5 * draw.normal(size=40)[topics] + draw.normal(size=len(topics))
            logits = difficulty - draw.normal(scale=0.5, size=(models, 1))
            errors = (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
            raw += bool(hot_regions(errors[0], kernel))
            beyond += bool(hot_regions(errors[0], kernel, expected_errors(errors, 0, neighbours)))
        print(f"  {models:>9}{raw / maps:>12.2f}{beyond / maps:>20.2f}")


if __name__ == "__main__":
    main()
