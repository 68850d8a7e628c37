"""How near is finding exact neighbours to the least it must do? And the approximate ones?

The least is the bare product of all pairs and a partial order, in blocks, as NumPy does them. Both
work on MMLU-Pro's questions, k = 300, in turns; printed are medians and the median ratio. For the
approximate search, copies of the embeddings moved by noise stand for more questions; its recall is
counted on 500 of them.

    python benchmarks/nearest_neighbours.py ../shared/data/mmlu_pro
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from embedding import embed_by, question_texts

from errclust_pipeline.analysis.knn_graph import (
    FloatMatrix,
    cosine_neighbours,
    cosine_neighbours_among,
    nearest_neighbours,
)
from errclust_pipeline.embedding.names import EMBEDDED_MODEL

NEIGHBOURS, BLOCK_ROWS, ROUNDS = 300, 1_024, 5


def main() -> None:
    """Print seconds, the ratio and the recall."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="result files, e.g. ../shared/data/mmlu_pro")
    parser.add_argument("--approximate", type=int, default=20_000, help="questions")
    arguments = parser.parse_args()
    vectors = embed_by(EMBEDDED_MODEL, "openvino")(question_texts(arguments.results))
    ways = {"product and partial order": bare, "cosine_neighbours": ours}
    seconds = {name: [timed(way, vectors) for _ in range(1)] for name, way in ways.items()}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            seconds[name].append(timed(way, vectors))
    print(f"{len(vectors):,} questions, {NEIGHBOURS} neighbours")
    for name, measured in seconds.items():
        print(f"  {name:<28}{np.median(measured[1:]):>8.2f} s")
    ratios = np.array(seconds["cosine_neighbours"][1:]) / seconds["product and partial order"][1:]
    print(f"  {'ratio':<28}{np.median(ratios):>8.2f}")

    random = np.random.default_rng(0)
    many = vectors[random.integers(0, len(vectors), arguments.approximate)]
    many = many + 0.5 / np.sqrt(many.shape[1]) * random.standard_normal(many.shape, np.float32)
    started = time.perf_counter()
    found, _ = nearest_neighbours(many, 30, exact_up_to=0)
    approximate = time.perf_counter() - started
    some = random.choice(len(many), 500, replace=False)
    true = cosine_neighbours_among(many[some], many, 31)[0][:, 1:]
    recall = np.mean([len(np.intersect1d(*pair)) for pair in zip(found[some], true, strict=True)])
    print(f"{len(many):,} questions, 30 neighbours, approximately")
    print(f"  {'nearest_neighbours':<28}{approximate:>8.2f} s")
    print(
        f"  {'cosine_neighbours':<28}{timed(lambda one: cosine_neighbours(one, 30), many):>8.2f} s"
    )
    print(f"  {'recall':<28}{recall / 30:>8.3f}")


def bare(vectors: FloatMatrix) -> None:
    """Do the least."""
    for start in range(0, len(vectors), BLOCK_ROWS):
        similarities = vectors[start : start + BLOCK_ROWS] @ vectors.T
        nearest = np.argpartition(similarities, len(vectors) - NEIGHBOURS, axis=1)[:, -NEIGHBOURS:]
        np.take_along_axis(similarities, nearest, axis=1)


def ours(vectors: FloatMatrix) -> None:
    """Find neighbours as the pipeline does."""
    cosine_neighbours(vectors, NEIGHBOURS, BLOCK_ROWS)


def timed(way: Callable[[FloatMatrix], object], vectors: FloatMatrix) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    way(vectors)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
