"""Are planted weaknesses found where they are? Our hot regions beside the alternatives.

On the real questions of MMLU-Pro, ten sources (`src`) of 40 to 400 questions are chosen at random.
A simulated model answers rightly with probability 0.7, and with 0.7 d in the planted sources.
Scored as EvalTree (Zeng et al. 2025, COLM) scores weakness profiles: recall is the share of a
planted group's questions that lie in reported regions, averaged over groups; precision is the share
of a region's questions that lie in planted groups, averaged over regions; F is their harmonic mean,
averaged over repetitions.

    errclust ingest ../shared/data/mmlu_pro && errclust run
    python benchmarks/planted_weaknesses.py --root data

Settings of ours were chosen on the seeds from 1000 on (--first-seed 1000); the seeds from 0 on,
printed by default, were not looked at before. Baselines get the best of their thresholds, chosen on
the very repetitions printed.

* capability tree: recursive k-means (2 to 10 children by silhouette), a node is a weakness if the
  upper end of the Clopper-Pearson interval of its accuracy is below a threshold and so are its
  larger children's; else its children are looked at.
* smoothed Gi*: marks averaged over steps of a directed 15-NN graph, z by permutation moments, BH at
  .05, significant questions split into Louvain communities.
* neighbour vote: the ceiling in the embedding; questions of whose nearest neighbours more than some
  share are planted, from noise-free marks, at the best number of neighbours and the best share. A
  majority of 10 is printed as well.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import undirected_graph
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial import benjamini_hochberg, hot_regions
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.settings import load_settings
from errclust_pipeline.tables import QUESTIONS, RESPONSES
from errclust_pipeline.views.marks import read_map
from errclust_pipeline.warehouse.keys import BenchmarkPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

Members = list[npt.NDArray[np.intp]]
Found = Callable[[npt.NDArray[np.float64]], Members]
TARGETS = {0.2: 0.60, 0.4: 0.50, 0.5: 0.45}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data", help="data root with mmlu_pro in it")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    arguments = parser.parse_args()
    store = Warehouse(arguments.root)
    questions = read_map(store, "mmlu_pro")
    sources = sources_of(store, questions)
    vectors = embeddings_of(store, questions)
    names, sizes = np.unique(sources, return_counts=True)
    candidates = names[(sizes >= 40) & (sizes <= 400)]
    print(f"{len(questions):,} questions, {len(candidates)} sources of 40 to 400")

    tree = CapabilityTree(vectors)
    methods: dict[str, dict[str, Found]] = {
        "hot regions (ours, defaults)": {
            "": lambda marks: [one.members for one in hot_regions(marks, questions.kernel)]
        },
        "capability tree": {
            f"{threshold:.2f}": lambda marks, t=threshold: tree.weaknesses(marks, t)
            for threshold in np.arange(0.2, 0.75, 0.05)
        },
        "smoothed Gi*": {
            f"{steps} steps": SmoothedGi(questions.neighbours, steps) for steps in (2, 3, 4)
        },
    }
    print(f"{'':<44}" + "".join(f"   d = {d}: recall precision F (sd)" for d in TARGETS))
    for name, variants in methods.items():
        best: dict[float, tuple[str, npt.NDArray[np.float64], float]] = {}
        seconds = 0.0
        for d in TARGETS:
            for variant, method in variants.items():
                started = time.perf_counter()
                scores = [
                    score(sources, *planted(sources, candidates, d, seed), method)
                    for seed in range(
                        arguments.first_seed, arguments.first_seed + arguments.repetitions
                    )
                ]
                seconds += time.perf_counter() - started
                mean = np.mean(scores, axis=0)
                if d not in best or mean[2] > best[d][1][2]:
                    best[d] = (variant, mean, float(np.std([one[2] for one in scores])))
        shown = "".join(
            f"   {mean[0]:.2f} {mean[1]:.2f} {mean[2]:.3f} ({spread:.3f}) {variant:<8}"
            for variant, mean, spread in best.values()
        )
        each = seconds / arguments.repetitions / len(TARGETS) / len(variants)
        print(f"{name:<30}{each:>10.2f} s each{shown}")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.repetitions)
    votes = {
        (k, share): np.mean(
            [
                score(
                    sources,
                    *planted(sources, candidates, 0.5, seed),
                    lambda _, seed=seed, k=k, share=share: neighbour_vote(
                        questions.neighbours, planted(sources, candidates, 0.5, seed)[1], k, share
                    ),
                )
                for seed in seeds
            ],
            axis=0,
        )
        for k in (3, 5, 10, 15, 30)
        for share in (0.3, 0.4, 0.5)
    }
    best_vote = max(votes, key=lambda vote: votes[vote][2])
    for name, vote in (("best vote", best_vote), ("majority of 10", (10, 0.5))):
        recall, precision, f = votes[vote]
        print(
            f"noise-free, {name} (more than {vote[1]:.0%} of {vote[0]} neighbours): "
            f"{recall:.2f} {precision:.2f} {f:.3f}"
        )
    print("targets: " + ", ".join(f"F {target} at d {d}" for d, target in TARGETS.items()))


def planted(
    sources: npt.NDArray[Any], candidates: npt.NDArray[Any], d: float, seed: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return the planted groups, which questions they hold, and the simulated errors."""
    generator = np.random.default_rng(seed)
    groups = generator.choice(candidates, 10, replace=False)
    inside = np.isin(sources, groups)
    right = generator.random(len(sources)) < np.where(inside, 0.7 * d, 0.7)
    return groups, inside, (~right).astype(np.float64)


def score(
    sources: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    inside: npt.NDArray[np.bool_],
    errors: npt.NDArray[np.float64],
    method: Found,
) -> tuple[float, float, float]:
    """Return recall, precision and F of what a method reports."""
    found = method(errors)
    covered = np.zeros(len(sources), dtype=np.bool_)
    for members in found:
        covered[members] = True
    recall = float(np.mean([covered[sources == group].mean() for group in groups]))
    precision = float(np.mean([inside[members].mean() for members in found])) if found else 0.0
    both = recall + precision
    return recall, precision, 2 * recall * precision / both if both else 0.0


def neighbour_vote(
    neighbours: npt.NDArray[np.int32], inside: npt.NDArray[np.bool_], k: int, share: float
) -> Members:
    """Return the communities of questions of whose k neighbours more than a share are planted."""
    return communities(neighbours, inside[neighbours[:, :k]].mean(axis=1) > share)


def communities(neighbours: npt.NDArray[np.int32], chosen: npt.NDArray[np.bool_]) -> Members:
    """Split chosen questions into Louvain communities of at least 10."""
    from sknetwork.clustering import Louvain

    rows = np.flatnonzero(chosen)
    nearest = neighbours[:, :15]
    graph = undirected_graph(nearest, np.ones(nearest.shape, dtype=np.float32))[rows][:, rows]
    if graph.nnz == 0:
        return []
    labels = Louvain(random_state=0).fit_predict(graph)
    return [rows[labels == label] for label in np.unique(labels) if (labels == label).sum() >= 10]


class SmoothedGi:
    """Marks averaged over steps of the directed 15-NN graph, with itself, tested by a z score."""

    def __init__(self, neighbours: npt.NDArray[np.int32], steps: int) -> None:
        from scipy import sparse

        self._neighbours = neighbours
        n = len(neighbours)
        rows = np.repeat(np.arange(n), 15)
        one = sparse.csr_matrix((np.ones(n * 15), (rows, neighbours[:, :15].ravel())), shape=(n, n))
        one = ((one + sparse.eye(n)) / 16).tocsr()
        self._weights = one
        for _ in range(steps - 1):
            self._weights = self._weights @ one
        self._squares = np.asarray(self._weights.multiply(self._weights).sum(axis=1)).ravel()

    def __call__(self, marks: npt.NDArray[np.float64]) -> Members:
        """Return the communities of significant questions."""
        from scipy.stats import norm

        n = len(marks)
        spread = np.sqrt(marks.var() * (self._squares - 1 / n) * n / (n - 1))
        z = (self._weights @ marks - marks.mean()) / spread
        return communities(self._neighbours, benjamini_hochberg(norm.sf(z)) < 0.05)


class CapabilityTree:
    """A tree of questions in EvalTree's manner, made once for the embeddings."""

    def __init__(self, vectors: npt.NDArray[np.float32], smallest: int = 20) -> None:
        self._smallest = smallest
        self._children: list[list[int]] = []
        self._members: Members = []
        self._grow(vectors, np.arange(len(vectors)))

    def _grow(self, vectors: npt.NDArray[np.float32], members: npt.NDArray[np.intp]) -> int:
        from sklearn.cluster import KMeans
        from sklearn.metrics import silhouette_score

        node = len(self._members)
        self._members.append(members)
        self._children.append([])
        if len(members) < 2 * self._smallest:
            return node
        best, labels = 0.0, None
        for k in range(2, min(10, len(members) // 5) + 1):
            found = KMeans(k, n_init=1, random_state=0).fit_predict(vectors[members])
            value = silhouette_score(
                vectors[members], found, metric="cosine",
                sample_size=min(len(members), 2000), random_state=0,
            )  # fmt: skip
            if value > best:
                best, labels = float(value), found
        if labels is not None:
            for label in np.unique(labels):
                child = self._grow(vectors, members[labels == label])
                self._children[node].append(child)
        return node

    def weaknesses(self, errors: npt.NDArray[np.float64], threshold: float) -> Members:
        """Return the nodes whose accuracy is surely below a threshold, highest ones first."""
        from scipy.stats import beta

        right = np.array([(1 - errors[members]).sum() for members in self._members])
        size = np.array([len(members) for members in self._members])
        upper = np.where(
            right < size, beta.ppf(0.975, right + 1, np.maximum(size - right, 1e-9)), 1
        )
        found: Members = []

        def visit(node: int) -> None:
            large = [child for child in self._children[node] if size[child] >= self._smallest]
            if size[node] >= 5 and upper[node] < threshold and (upper[large] < threshold).all():
                found.append(self._members[node])
                return
            for child in self._children[node]:
                visit(child)

        visit(0)
        return found


def sources_of(store: Warehouse, questions: QuestionMap) -> npt.NDArray[Any]:
    """Return the `src` of each question, from what the result files say of their rows."""
    found: dict[str, str] = {}
    for partition in store.submissions_in(RESPONSES):
        if partition.benchmark == "mmlu_pro":
            rows: Sequence[Any] = store.read(
                RESPONSES, partition, columns=["question_id", "metadata"]
            ).to_pylist()
            for row in rows:
                found.setdefault(row["question_id"], json.loads(row["metadata"])["src"])
    return np.array([found[name] for name in questions.question_ids])


def embeddings_of(store: Warehouse, questions: QuestionMap) -> npt.NDArray[np.float32]:
    """Return the embedding of each question, from the store that the map was made from."""
    rows = store.read(QUESTIONS, BenchmarkPartition("mmlu_pro"), columns=["question_id", "text_id"])
    text_of = dict(zip(rows[0].to_pylist(), rows[1].to_pylist(), strict=True))
    identity = load_settings(store.storage).embedding.identity
    return EmbeddingStore(store.storage, identity).read(
        [text_of[name] for name in questions.question_ids]
    )


if __name__ == "__main__":
    main()
