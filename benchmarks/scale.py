"""How do time and memory grow with the number of errors, up to a million?

Embeddings of MMLU-Pro's questions, drawn with replacement and moved by noise half as long as they
are, stand for that many errors of one model on one benchmark, which is the most that any stage
holds at once. Each size has a process of its own, whose peak memory is printed. Half of the points
are marked as errors for the statistics; those are at one scale, k = 30.

The exponent is that of ``seconds ~ errors ** exponent``, between the two largest sizes.

    python benchmarks/scale.py ../shared/data/mmlu_pro --sizes 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from memory import peak_mebibytes

NEIGHBOURS = 30
NOISE = 0.5


def main() -> None:
    """Print seconds by stage and size, their exponents and the peak memory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="result files, e.g. ../shared/data/mmlu_pro")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(stages(np.load(arguments.one), arguments.sizes[0])))
        return
    from embedding import question_texts, reference

    with tempfile.TemporaryDirectory() as folder:
        embeddings = Path(folder) / "embeddings.npy"
        np.save(embeddings, reference(question_texts(arguments.results)[:4_000]))
        results = arguments.results
        columns = {f"{size:,}": in_a_process(embeddings, results, size) for size in arguments.sizes}
    table = pd.DataFrame(columns)
    if len(arguments.sizes) > 1:
        *_, smaller, larger = arguments.sizes
        growth = np.log(table.iloc[:, -1] / table.iloc[:, -2]) / np.log(larger / smaller)
        table["exponent"] = growth.round(2)
    print(table.to_string(float_format=lambda value: f"{value:,.1f}"))


def in_a_process(embeddings: Path, results: Path, size: int) -> dict[str, float]:
    """Run one size and return what it printed."""
    done = subprocess.run(
        [
            sys.executable, __file__, str(results),
            "--sizes", str(size), "--one", str(embeddings),
        ],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def stages(embeddings: np.ndarray, size: int) -> dict[str, float]:
    """Return the seconds of each stage on `size` errors, and the peak memory in MiB."""
    from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_errors
    from errclust_pipeline.analysis.knn_graph import nearest_neighbours
    from errclust_pipeline.analysis.spatial import global_statistics, local_hot_spots
    from errclust_pipeline.tables import ERROR_CLUSTERS
    from errclust_pipeline.warehouse.keys import SubmissionPartition
    from errclust_pipeline.warehouse.provenance import Provenance
    from errclust_pipeline.warehouse.warehouse import Warehouse

    seconds: dict[str, float] = {}

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[stage] = time.perf_counter() - started

    random = np.random.default_rng(0)
    vectors = embeddings[random.integers(0, len(embeddings), size)]
    scale = NOISE / np.sqrt(vectors.shape[1])
    vectors = vectors + scale * random.standard_normal(vectors.shape, dtype=np.float32)
    marks = (random.random(size) < 0.5).astype(float)
    ids = [f"{row:032x}" for row in range(size)]
    with timed("clusters of errors, with their graph"):
        clusters = cluster_errors(ids, ids, vectors, ClusteringSettings(layout=False))
    with timed(f"graph of questions, {NEIGHBOURS} neighbours"):
        neighbours, _ = nearest_neighbours(vectors, NEIGHBOURS)
    with timed("local test"):
        local_hot_spots(marks, neighbours, NEIGHBOURS)
    with timed("Moran's I, 99 permutations"):
        global_statistics(marks, neighbours, [NEIGHBOURS])
    with tempfile.TemporaryDirectory() as root, timed("table written and read"):
        import pyarrow as pa

        store, partition = Warehouse(root), SubmissionPartition("benchmark", "model")
        rows = pa.Table.from_pandas(clusters, schema=ERROR_CLUSTERS.schema, preserve_index=False)
        store.write(ERROR_CLUSTERS, partition, rows, Provenance("error_clusters", "1", "of these"))
        store.read(ERROR_CLUSTERS, partition)
    return {
        **seconds,
        "all": sum(seconds.values()),
        "peak memory, MiB": peak_mebibytes(),
    }


if __name__ == "__main__":
    main()
