"""Our clusters beside those of other packages, on the same embeddings of MMLU-Pro's questions.

BERTopic's default pipeline (UMAP, HDBSCAN, class-based TF-IDF), EVoC, fast_hdbscan on UMAP, and
k-means with as many clusters as there are sources. Each runs in a process of its own, once for each
seed. Printed: the median seconds; the peak memory beyond what the process had before; the adjusted
mutual information (AMI) with the questions' sources, noise a class of its own; the share of noise;
and how stable it is, the mean adjusted Rand index (ARI) between seeds.

Ours is scored at its finest level, and also with UMAP's picture, which the others need for
clustering and we only to look at. What is imported or compiled on first use does not count: each
clusters a tenth of the questions before.

    pip install -e ".[benchmarks]"
    python benchmarks/cluster_peers.py --data ../shared/data --cache /tmp/errclust_cache
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from cluster_quality import codes, embed, mmlu_pro, parser, print_table
from memory import peak_mebibytes
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from errclust_pipeline.analysis.errors import error_text

Labels = npt.NDArray[np.int32]
FloatMatrix = npt.NDArray[np.float32]
SEEDS = 5


def main() -> None:
    """Print a row for each package."""
    arguments = parser(__doc__)
    arguments.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], Path(given.one[1]), int(given.one[2]))))
        return
    questions = mmlu_pro(given.data, "Llama-2-7b-hf").drop_duplicates("question")
    texts = error_text(questions).tolist()
    sources = codes(questions["src"])
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "embeddings.npy", embed(texts, given.cache))
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        print(f"{len(texts):,} questions, {len(np.unique(sources))} sources, {SEEDS} seeds")
        rows = []
        for name in PACKAGES:
            runs = [in_a_process(name, folder, seed) for seed in range(SEEDS)]
            rows.append(scored(name, runs, sources))
            print_table(rows[-1:])
    print()
    print_table(rows)


def in_a_process(name: str, folder: str, seed: int) -> dict:
    """Run a package once and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--one", name, folder, str(seed)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, folder: Path, seed: int) -> dict:
    """Return a package's labels, its seconds and its memory in MiB."""
    embeddings: FloatMatrix = np.load(folder / "embeddings.npy")
    texts = json.loads((folder / "texts.json").read_text())
    cluster = PACKAGES[name]
    some = slice(0, len(texts), 10)
    cluster(embeddings[some], texts[some], seed)
    before = peak_mebibytes()
    started = time.perf_counter()
    labels = cluster(embeddings, texts, seed)
    seconds = time.perf_counter() - started
    return {"labels": labels.tolist(), "seconds": seconds, "memory": peak_mebibytes() - before}


def scored(name: str, runs: list[dict], sources: Labels) -> dict:
    """Return a package's row."""
    labels = [np.array(run["labels"]) for run in runs]
    pairs = itertools.combinations(labels, 2)
    return {
        "package": name,
        "clusters": np.mean([len(np.unique(one[one >= 0])) for one in labels]),
        "seconds": np.median([run["seconds"] for run in runs]),
        "MiB more": np.median([run["memory"] for run in runs]),
        "AMI": np.mean([adjusted_mutual_info_score(sources, one) for one in labels]),
        "noise": np.mean([(one < 0).mean() for one in labels]),
        "ARI of seeds": np.mean([adjusted_rand_score(one, other) for one, other in pairs]),
    }


def ours(embeddings: FloatMatrix, _: list[str], seed: int) -> Labels:
    """Cluster as the pipeline does."""
    from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_points

    return cluster_points(embeddings, ClusteringSettings(layout=False, seed=seed))[:, -1]


def ours_with_a_picture(embeddings: FloatMatrix, _: list[str], seed: int) -> Labels:
    """Cluster as the pipeline does, and lay the points out in two dimensions."""
    from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_errors

    ids = [str(row) for row in range(len(embeddings))]
    table = cluster_errors(ids, ids, embeddings, ClusteringSettings(seed=seed))
    finest = table.sort_values("level").drop_duplicates("example_id", keep="last")
    finest = finest.set_index("example_id").loc[ids, "cluster_id"]
    return pd.factorize(finest)[0].astype(np.int32)


def bertopic(embeddings: FloatMatrix, texts: list[str], seed: int) -> Labels:
    """Cluster by BERTopic's defaults; its UMAP takes the seed."""
    from bertopic import BERTopic
    from umap import UMAP

    projection = UMAP(
        n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed
    )
    topics, _ = BERTopic(umap_model=projection).fit_transform(texts, embeddings)
    return np.array(topics, dtype=np.int32)


def evoc(embeddings: FloatMatrix, _: list[str], seed: int) -> Labels:
    """Cluster by EVoC's defaults."""
    from evoc import EVoC

    return EVoC(random_state=seed).fit_predict(embeddings).astype(np.int32)


def fast_hdbscan(embeddings: FloatMatrix, _: list[str], seed: int) -> Labels:
    """Cluster by fast_hdbscan on UMAP in five dimensions."""
    from fast_hdbscan import HDBSCAN
    from umap import UMAP

    projected = UMAP(
        n_components=5, min_dist=0.0, metric="cosine", random_state=seed
    ).fit_transform(embeddings)
    return HDBSCAN(min_cluster_size=30).fit_predict(projected).astype(np.int32)


def k_means(embeddings: FloatMatrix, _: list[str], seed: int) -> Labels:
    """Cluster by k-means with as many clusters as MMLU-Pro has sources."""
    from sklearn.cluster import KMeans

    return KMeans(91, n_init=3, random_state=seed).fit_predict(embeddings).astype(np.int32)


PACKAGES: dict[str, Callable[[FloatMatrix, list[str], int], Labels]] = {
    "ours": ours,
    "ours, with a picture": ours_with_a_picture,
    "BERTopic": bertopic,
    "EVoC": evoc,
    "fast_hdbscan on UMAP": fast_hdbscan,
    "k-means, 91": k_means,
}


if __name__ == "__main__":
    main()
