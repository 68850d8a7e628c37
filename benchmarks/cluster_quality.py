"""How well do clusters agree with groups that are known? Our defaults beside the alternatives.

By adjusted mutual information (AMI; 0 is chance, 1 is perfect), noise counted as a class of its
own:

* the questions of MMLU-Pro against the 91 sources (`src`) they were taken from;
* the errors of the demo's simulated models against the bugs that caused them;
* the errors of ReaLMistake against the categories that people gave them, several to some: each
  set of categories is a class. Beside it, neighbour purity: how much more often than by chance an
  error's nearest others have its categories too, with a permutation test.

ReaLMistake is scored within each task and model, as the pipeline clusters, and averaged over them,
weighted by errors (conditional AMI). Pooled, clusters that only tell the tasks apart would score
well, since the categories differ by task. Its zip is decrypted in memory, and only embeddings are
cached.

Run from the project's root::

    python benchmarks/cluster_quality.py --data ../shared/data --cache /tmp/errclust_cache
    python benchmarks/cluster_quality.py --slow     # UMAP + HDBSCAN as well
    ERRCLUST_BENCHMARK_EMBEDDER=static python benchmarks/cluster_quality.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_points
from errclust_pipeline.analysis.errors import error_text
from errclust_pipeline.analysis.knn_graph import cosine_neighbours, undirected_graph
from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, embedder_identity
from errclust_pipeline.sources import find_submissions, read_submission
from errclust_pipeline.sources.formats.realmistake import PASSWORD_VARIABLE

FloatMatrix = npt.NDArray[np.float32]
Clustering = Callable[[FloatMatrix], npt.NDArray[np.int32]]
DATA, CACHE = Path("../shared/data"), Path("/tmp/errclust_cache")
EMBEDDER_VARIABLE = "ERRCLUST_BENCHMARK_EMBEDDER"
OURS = ClusteringSettings(layout=False)
REALMISTAKE_PASSWORD = "open-realmistake"  # published in its README
REALMISTAKE_TEXTS = ("question", "response", "human_explanation")
NEIGHBOURS = (5, 10)
PERMUTATIONS = 999


def main() -> None:
    """Print all tables."""
    arguments = parser(__doc__).parse_args()
    questions = mmlu_pro(arguments.data, "Llama-2-7b-hf")
    embeddings = embed(error_text(questions).tolist(), arguments.cache)
    print(f"MMLU-Pro: {len(questions):,} questions, {questions['src'].nunique()} sources")
    rows = score_all(
        embeddings,
        {"src": questions["src"], "category": questions["subject"]},
        alternatives_on_questions(arguments.slow),
    )
    print_table(rows)

    errors = demo_errors(arguments.cache)
    print(f"\nDemo: {len(errors):,} errors; mean over models, then over models and benchmarks")
    print_table(score_demo(errors, ["model"], arguments.cache, arguments.slow))
    print()
    print_table(score_demo(errors, ["model", "benchmark"], arguments.cache, arguments.slow))

    mistakes = realmistake(arguments.data)
    mistakes = mistakes[mistakes["categories"].map(bool) & (mistakes["human_explanation"] != "")]
    print(f"\nReaLMistake: {len(mistakes):,} errors; mean over models, within each task")
    print_table(score_realmistake(mistakes, arguments.cache))


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return the arguments that both quality benchmarks take."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--data", type=Path, default=DATA, help="the shared data folder")
    arguments.add_argument("--cache", type=Path, default=CACHE, help="where embeddings are kept")
    arguments.add_argument("--slow", action="store_true", help="run UMAP + HDBSCAN as well")
    return arguments


def alternatives_on_questions(slow: bool) -> dict[str, Clustering]:
    """Return the methods to compare on a whole benchmark's questions."""
    methods: dict[str, Clustering] = {
        "ours": lambda vectors: cluster_points(vectors, OURS),
        "Louvain, 30-NN, resolution 1": plain_louvain(30, 1.0),
        "Louvain, 30-NN, resolution 3": plain_louvain(30, 3.0),
        "k-means, 30": k_means(30),
        "k-means, 91": k_means(91),
    }
    if slow:
        methods["UMAP + HDBSCAN"] = hdbscan
    return methods


def score_demo(
    errors: pd.DataFrame, by: list[str], cache: Path, slow: bool
) -> list[dict[str, Any]]:
    """Score methods on each model's errors; AMI with the bugs, averaged."""
    scores = []
    texts = errors["question"].tolist()
    vector_of = dict(zip(texts, embed(texts, cache), strict=True))
    for group, part in errors.groupby(by):
        embeddings = np.stack([vector_of[text] for text in part["question"]])
        bugs, families = part["bug"], part["subject"]
        methods: dict[str, Clustering] = {
            "ours": lambda vectors: cluster_points(vectors, OURS),
            "k-means, as many as bugs": k_means(bugs.nunique()),
            "subject as given": lambda _, families=families: codes(families)[:, None],
        }
        if slow:
            methods["UMAP + HDBSCAN"] = hdbscan
        scores += [{**row, "group": group} for row in score_all(embeddings, {"bug": bugs}, methods)]
    table = pd.DataFrame(scores)
    means = table.groupby(["method", "level"], sort=False).agg(
        clusters=("clusters", "mean"),
        noise=("noise", "mean"),
        bug=("bug", "mean"),
        lowest=("bug", "min"),
        seconds=("seconds", "mean"),
    )
    return means.reset_index().to_dict("records")


def score_realmistake(errors: pd.DataFrame, cache: Path) -> list[dict[str, Any]]:
    """Score each text by which the errors may be clustered, within each task and over all."""
    rows = []
    for text in REALMISTAKE_TEXTS:
        cells = {
            cell: (embed(part[text].tolist(), cache), part["categories"])
            for cell, part in errors.groupby(["task", "model"])
        }
        for task in sorted(errors["task"].unique()):
            rows.append(
                {"text": text, "task": task}
                | _within([cells[cell] for cell in cells if cell[0] == task])
            )
        rows.append({"text": text, "task": "(mean within tasks)"} | _within([*cells.values()]))
    return rows


def _within(cells: list[tuple[FloatMatrix, pd.Series[Any]]]) -> dict[str, Any]:
    """Score errors cell by cell; the mean over the cells, weighted by errors."""
    sizes = [len(categories) for _, categories in cells]
    scored = []
    for embeddings, categories in cells:
        classes = categories.map(" + ".join)
        methods: dict[str, Clustering] = {
            "ours": lambda vectors: cluster_points(vectors, OURS)[:, :1],
            "k-means": k_means(classes.nunique()),
        }
        table = score_all(embeddings, {"AMI": classes}, methods)
        scored.append([row["AMI"] for row in table] + [table[0]["clusters"]])
    ours, by_k_means, clusters = np.average(scored, axis=0, weights=sizes)
    row: dict[str, Any] = {
        "errors": sum(sizes),
        "clusters": clusters,
        "AMI": ours,
        "AMI, k-means": by_k_means,
    }
    for k in NEIGHBOURS:
        row[f"purity lift, {k}"], row[f"p, {k}"] = purity_lift(cells, k)
    return row


def purity_lift(cells: list[tuple[FloatMatrix, pd.Series[Any]]], k: int) -> tuple[float, float]:
    """Compare how often neighbours share a category with what is to be expected by chance.

    Over all errors and each of their categories: the share of the error's k nearest others in its
    cell that have the category too, divided by that share among all others in the cell.

    Returns
    -------
    tuple of float
        The ratio, 1 by chance, and its p value: the categories are shuffled among the errors of
        each cell.
    """
    random = np.random.default_rng(0)
    observed, expected = 0.0, 0.0
    shuffled = np.zeros(PERMUTATIONS)
    for embeddings, categories in cells:
        neighbours, _ = cosine_neighbours(embeddings, k)
        names = sorted({name for one in categories for name in one})
        has = np.array([[name in one for name in names] for one in categories], dtype=float)

        def shared(
            marks: npt.NDArray[np.float64], neighbours: npt.NDArray[np.int32] = neighbours
        ) -> float:
            return float((marks * marks[neighbours].mean(axis=1)).sum())

        members = has.sum(axis=0)
        observed += shared(has)
        expected += float((members * (members - 1) / (len(has) - 1)).sum())
        shuffled += [shared(has[random.permutation(len(has))]) for _ in range(PERMUTATIONS)]
    reached = int((shuffled >= observed - 1e-9).sum())
    return observed / expected, (1 + reached) / (1 + PERMUTATIONS)


def score_all(
    embeddings: FloatMatrix, truths: dict[str, pd.Series[str]], methods: dict[str, Clustering]
) -> list[dict[str, Any]]:
    """Return a row for each method and level: clusters, noise, AMI with each truth, seconds."""
    from sklearn.metrics import adjusted_mutual_info_score

    rows = []
    for name, cluster in methods.items():
        started = time.perf_counter()
        levels = cluster(embeddings)
        seconds = time.perf_counter() - started
        for level, labels in enumerate(levels.T, 1):
            row: dict[str, Any] = {
                "method": name,
                "level": level,
                "clusters": len(np.unique(labels[labels >= 0])),
                "noise": float((labels < 0).mean()),
            }
            for truth, values in truths.items():
                row[truth] = adjusted_mutual_info_score(codes(values), labels)
            rows.append({**row, "seconds": seconds})
    return rows


def plain_louvain(k: int, resolution: float) -> Clustering:
    """Return Louvain without levels, noise or collapsing of duplicates."""

    def cluster(embeddings: FloatMatrix) -> npt.NDArray[np.int32]:
        from sknetwork.clustering import Louvain

        graph = undirected_graph(*cosine_neighbours(embeddings, k))
        labels = Louvain(resolution=resolution, random_state=0).fit_predict(graph)
        return labels.astype(np.int32)[:, None]

    return cluster


def k_means(k: int) -> Clustering:
    """Return k-means on the unit vectors."""

    def cluster(embeddings: FloatMatrix) -> npt.NDArray[np.int32]:
        from sklearn.cluster import KMeans

        labels = KMeans(k, n_init=3, random_state=0).fit_predict(embeddings)
        return labels.astype(np.int32)[:, None]

    return cluster


def hdbscan(embeddings: FloatMatrix) -> npt.NDArray[np.int32]:
    """Cluster by this project's alternative method."""
    return cluster_points(embeddings, ClusteringSettings(method="hdbscan", layout=False))


def codes(values: pd.Series[str]) -> npt.NDArray[np.int32]:
    """Return a number for each distinct value."""
    return pd.factorize(values)[0].astype(np.int32)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows, numbers to three places."""
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))


def mmlu_pro(data: Path, model: str) -> pd.DataFrame:
    """Read a model's responses to MMLU-Pro in the columns of `responses`, and `src`."""
    with zipfile.ZipFile(data / "mmlu_pro" / f"model_outputs_{model}_5shots.zip") as archive:
        rows = [
            row for row in json.loads(archive.read(archive.namelist()[0])) if isinstance(row, dict)
        ]
    return pd.DataFrame(
        {
            "example_id": str(row["question_id"]),
            "question_id": str(row["question_id"]),
            "subject": row["category"],
            "src": row["src"],
            "question": row["question"],
            "choices": row["options"],
            "gold": row["options"][row["answer_index"]],
            "response": row.get("generated_text") or row.get("model_outputs"),
            "prediction": _option(row),
            "prediction_guessed": False,
            "finish_reason": None,
            "score": float(row["pred"] == row["answer"]),
            "correct": row["pred"] == row["answer"],
        }
        for row in rows
    )


def _option(row: dict[str, Any]) -> str | None:
    """Return the text of the option that was chosen."""
    if row["pred"] is None:
        return None
    position = ord(row["pred"][0]) - ord("A")
    return row["options"][position] if 0 <= position < len(row["options"]) else row["pred"]


def realmistake(data: Path) -> pd.DataFrame:
    """Read ReaLMistake's errors: task, model, texts and categories of each; some have none."""
    os.environ.setdefault(PASSWORD_VARIABLE, REALMISTAKE_PASSWORD)
    rows = []
    for submission in find_submissions(data / "realmistake" / "data.zip"):
        for batch in read_submission(submission):
            for row in batch.responses.to_pylist():
                kept = json.loads(row["metadata"])
                if not row["correct"]:
                    rows.append(
                        {
                            "task": submission.benchmark.removeprefix("realmistake_"),
                            "model": submission.model,
                            "question": row["question"],
                            "response": row["response"],
                            "human_explanation": kept.get("human_explanation", ""),
                            "categories": tuple(sorted(kept["error_categories"])),
                        }
                    )
    return pd.DataFrame(rows)


def demo_errors(cache: Path) -> pd.DataFrame:
    """Write the demo leaderboard and return its errors, each with the bug that caused it."""
    from errclust_pipeline.demo import write_demo_leaderboard

    demo = write_demo_leaderboard(cache / "demo")
    rows = []
    for path in sorted(demo.submissions.glob("*/samples_*.jsonl")):
        for line in path.read_text().splitlines():
            sample = json.loads(line)
            if sample["filter"] not in ("strict-match", "none"):
                continue
            prediction = sample["filtered_resps"][0]
            rows.append(
                {
                    "model": path.parent.name.replace("__", "/"),
                    "benchmark": "_".join(path.name.split("_")[1:3]),
                    "doc_id": sample["doc_id"],
                    "subject": sample["doc"]["category"],
                    "question": sample["doc"]["question"],
                    "gold": sample["target"],
                    "response": sample["resps"][0][0],
                    "prediction": None if prediction == "[invalid]" else prediction,
                }
            )
    truth = pd.read_parquet(demo.ground_truth)
    merged = pd.DataFrame(rows).merge(truth, on=["model", "benchmark", "doc_id"], validate="1:1")
    return merged[~merged["correct"]].reset_index(drop=True)


def embed(texts: list[str], cache: Path) -> FloatMatrix:
    """Embed texts into unit vectors; what was embedded before is looked up."""
    model = os.environ.get(EMBEDDER_VARIABLE, EMBEDDED_MODEL)
    identity = embedder_identity(model, None)
    distinct = sorted(set(texts))
    key = hashlib.blake2b("\0".join((identity, *distinct)).encode(), digest_size=16).hexdigest()
    path = cache / f"{key}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        embedder = EmbeddingModel(model=model).load(distinct, print)
        np.savez(path, embeddings=embedder.embed(distinct, lambda _: None))
    row_of = {text: row for row, text in enumerate(distinct)}
    embeddings: FloatMatrix = np.load(path)["embeddings"][[row_of[text] for text in texts]]
    return embeddings


if __name__ == "__main__":
    main()
