"""Our clusters beside those of other packages, on the same embeddings of MMLU-Pro's questions.

BERTopic's default pipeline (UMAP, HDBSCAN, class-based TF-IDF), EVoC, fast_hdbscan on UMAP, and
k-means, which is told how many clusters there are: as many as sources, or as ours are. Each runs
five times, in a process of its own. Printed: the median seconds; the peak memory beyond what the
process had before; the adjusted mutual information (AMI) with the questions' sources, noise a class
of its own; and the share of noise. How stable it is, the adjusted Rand index (ARI) between two runs
tells, on average: of the five; and of three on random samples of nine tenths of the questions,
compared on those that both have. The latter says more of ours, where the seed decides nothing.

Ours and k-means take another seed each time. The others are left without one, as by default: UMAP
and EVoC use one thread if given a seed, and would look slower than they are. All that is found at
once is scored: our three levels; EVoC's own choice among its layers, and its finest one. Ours also
runs with UMAP's picture, which others need for clustering and we only to look at. What is imported
or compiled on first use does not count: each clusters a tenth of the questions before.

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
Parts = dict[str, Labels]
Package = Callable[[FloatMatrix, list[str], int], Parts]
RUNS, SAMPLES, SAMPLED = 5, 3, 0.9


def main() -> None:
    """Print a row for each package."""
    arguments = parser(__doc__)
    arguments.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        name, folder, seed, of = given.one
        print(json.dumps(measure(name, Path(folder), int(seed), of == "sample")))
        return
    questions = mmlu_pro(given.data, "Llama-2-7b-hf").drop_duplicates("question")
    texts = error_text(questions).tolist()
    sources = codes(questions["src"])
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "embeddings.npy", embed(texts, given.cache))
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        print(f"{len(texts):,} questions, {len(np.unique(sources))} sources, {RUNS} runs")
        rows = []
        for name in PACKAGES:
            runs = [in_a_process(name, folder, seed) for seed in range(RUNS)]
            samples = [in_a_process(name, folder, seed, "sample") for seed in range(SAMPLES)]
            for part in runs[0]["labels"]:
                rows.append(scored(f"{name}{part}", part, runs, samples, sources))
    print_table(rows)


def in_a_process(name: str, folder: str, seed: int, of: str = "all") -> dict:
    """Run a package once and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--one", name, folder, str(seed), of],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, folder: Path, seed: int, sampled: bool) -> dict:
    """Return a package's labels, of which rows they are, its seconds and its memory in MiB."""
    embeddings: FloatMatrix = np.load(folder / "embeddings.npy")
    texts = json.loads((folder / "texts.json").read_text())
    rows = np.arange(len(texts))
    if sampled:
        rows = np.random.default_rng(seed).permutation(rows)[: int(SAMPLED * len(rows))]
        embeddings, texts = embeddings[rows], [texts[row] for row in rows]
    cluster = PACKAGES[name]
    some = slice(0, len(texts), 10)
    cluster(embeddings[some], texts[some], seed)
    before = peak_mebibytes()
    started = time.perf_counter()
    labels = cluster(embeddings, texts, seed)
    seconds = time.perf_counter() - started
    return {
        "labels": {part: one.tolist() for part, one in labels.items()},
        "rows": rows.tolist(),
        "seconds": seconds,
        "memory": peak_mebibytes() - before,
    }


def scored(name: str, part: str, runs: list[dict], samples: list[dict], sources: Labels) -> dict:
    """Return the row of a package, or of a part of what it finds."""
    labels = [np.array(run["labels"][part]) for run in runs]
    return {
        "package": name,
        "clusters": np.mean([len(np.unique(one[one >= 0])) for one in labels]),
        "seconds": np.median([run["seconds"] for run in runs]),
        "MiB more": np.median([run["memory"] for run in runs]),
        "AMI": np.mean([adjusted_mutual_info_score(sources, one) for one in labels]),
        "noise": np.mean([(one < 0).mean() for one in labels]),
        "ARI of runs": agreement(part, runs),
        "of samples": agreement(part, samples),
    }


def agreement(part: str, runs: list[dict]) -> float:
    """Return the mean adjusted Rand index of pairs of runs, on the rows that both have."""
    scores = []
    for pair in itertools.combinations(runs, 2):
        _, *places = np.intersect1d(*(run["rows"] for run in pair), return_indices=True)
        common = [np.array(run["labels"][part])[at] for run, at in zip(pair, places, strict=True)]
        scores.append(adjusted_rand_score(*common))
    return float(np.mean(scores))


def ours(embeddings: FloatMatrix, _: list[str], seed: int) -> Parts:
    """Cluster as the pipeline does."""
    from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_points

    levels = cluster_points(embeddings, ClusteringSettings(layout=False, random_state=seed)).T
    return {f", level {number}": labels for number, labels in enumerate(levels, 1)}


def ours_with_a_picture(embeddings: FloatMatrix, _: list[str], seed: int) -> Parts:
    """Cluster as the pipeline does, and lay the points out in two dimensions."""
    from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_errors

    ids = [str(row) for row in range(len(embeddings))]
    table = cluster_errors(ids, ids, embeddings, ClusteringSettings(random_state=seed))
    finest = table.sort_values("level").drop_duplicates("example_id", keep="last")
    finest = finest.set_index("example_id").loc[ids, "cluster_id"]
    return {"": pd.factorize(finest)[0].astype(np.int32)}


def bertopic(embeddings: FloatMatrix, texts: list[str], _: int) -> Parts:
    """Cluster by BERTopic's defaults."""
    from bertopic import BERTopic

    topics, _probabilities = BERTopic().fit_transform(texts, embeddings)
    return {"": np.array(topics, dtype=np.int32)}


def evoc(embeddings: FloatMatrix, _texts: list[str], _: int) -> Parts:
    """Cluster by EVoC's defaults."""
    from evoc import EVoC

    found = EVoC()
    return {"": found.fit_predict(embeddings), ", finest": found.cluster_layers_[0]}


def fast_hdbscan(embeddings: FloatMatrix, _texts: list[str], _: int) -> Parts:
    """Cluster by fast_hdbscan on UMAP in five dimensions."""
    from fast_hdbscan import HDBSCAN
    from umap import UMAP

    projected = UMAP(n_components=5, min_dist=0.0, metric="cosine").fit_transform(embeddings)
    return {"": HDBSCAN(min_cluster_size=30).fit_predict(projected)}


def k_means(count: int) -> Package:
    """Cluster by k-means with so many clusters."""
    from sklearn.cluster import KMeans

    return lambda embeddings, _, seed: {
        "": KMeans(count, n_init=3, random_state=seed).fit_predict(embeddings)
    }


PACKAGES: dict[str, Package] = {
    "ours": ours,
    "ours, with a picture": ours_with_a_picture,
    "BERTopic": bertopic,
    "EVoC": evoc,
    "fast_hdbscan on UMAP": fast_hdbscan,
    "k-means, 91": k_means(91),
    "k-means, 200": k_means(200),
}


if __name__ == "__main__":
    main()
