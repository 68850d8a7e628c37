"""Do real models' errors concentrate, beyond difficulty too, and where for one model only?

    errclust ingest ../shared/data/mmlu_pro && errclust run
    python benchmarks/real_models.py --root data

Reads what the pipeline wrote and prints

1. Moran's I of every model's errors and of what difficulty leaves unexplained, with z, at each k,
   and the mean of the same for the differences of pairs of models;
2. hot regions that are hot for one model only: most of their questions lie in no other model's.
"""

from __future__ import annotations

import argparse

import pandas as pd

from errclust_pipeline.tables import AUTOCORRELATION, LEADERBOARD, PAIR_AUTOCORRELATION
from errclust_pipeline.views.marks import read_hot_regions
from errclust_pipeline.warehouse.keys import BenchmarkPartition, Partition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data", help="data root that the job has run on")
    parser.add_argument("--benchmark", default="mmlu_pro")
    arguments = parser.parse_args()
    store = Warehouse(arguments.root)
    benchmark = BenchmarkPartition(arguments.benchmark)
    board = store.read(LEADERBOARD, benchmark).to_pandas()
    print("Moran's I (z); residual: errors less what difficulty explains")
    print_autocorrelation(store, arguments.benchmark, board)
    print("\ndifferences of pairs: Moran's I and z")
    pairs = store.read(PAIR_AUTOCORRELATION, benchmark).to_pandas()
    summary = pairs.groupby("k")[["moran", "z"]].agg(["min", "mean", "max"])
    print(summary.to_string(float_format=lambda value: f"{value:.3f}"))
    print("\nhot for one model only (of its hot regions, by what; k of n are shared with none)")
    for model in board["model"]:
        print_own(store, SubmissionPartition(arguments.benchmark, model))


def print_autocorrelation(store: Warehouse, benchmark: str, board: pd.DataFrame) -> None:
    """Print a row for each model and mark, a column for each scale."""
    rows = []
    for model, accuracy in zip(board["model"], board["accuracy"], strict=True):
        found = store.read(AUTOCORRELATION, SubmissionPartition(benchmark, model)).to_pandas()
        for mark, part in found.groupby("mark"):
            rows.append(
                {"model": model, "accuracy": f"{accuracy:.1%}", "of": mark}
                | {
                    f"k = {row.k}": f"{row.moran:.3f} ({row.z:.0f})"
                    for row in part.sort_values("k").itertuples()
                }
            )
    print(pd.DataFrame(rows).to_string(index=False))


def print_own(store: Warehouse, partition: Partition) -> None:
    """Print the hot regions that a model shares with no other."""
    regions = read_hot_regions(store, partition)
    for basis in ("errors", "beyond_difficulty"):
        of_basis = [row for row in regions if row["basis"] == basis]
        own = [row for row in of_basis if not row["hot_for_others"]]
        print(f"{partition.model}, {basis}: {len(own)} of {len(of_basis)}")
        for row in own:
            by_difficulty = f", by difficulty {row['expected'] / row['size']:.0%}"
            print(
                f"    {', '.join(row['key_phrases'][:4]):<60} {row['size']:>5} questions, wrong "
                f"{row['rate']:.0%}, elsewhere {row['outside_rate']:.0%}"
                f"{by_difficulty if basis != 'errors' else ''}, "
                f"confirmed by {row['replicated_halves']}/2"
            )


if __name__ == "__main__":
    main()
