"""How fast does each way of embedding go, and how near are its vectors to the reference's?

The reference is plain `SentenceTransformer.encode`: float32, batches of 32. All embed the same
questions of MMLU-Pro with their choices, as the pipeline does, in turns, so that what else the
machine does hits all alike; printed is the median ratio to the reference in the same round.
``overlap`` is the share of the 30 nearest questions that are the same as with the reference,
``AMI`` how well clusters agree with the questions' sources.

    python benchmarks/embedding.py ../shared/data/mmlu_pro              # a sample of 1,500
    python benchmarks/embedding.py ../shared/data/mmlu_pro --most 0     # all
"""

from __future__ import annotations

import argparse
import functools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import numpy.typing as npt
import pandas as pd
from cluster_quality import mmlu_pro
from sklearn.metrics import adjusted_mutual_info_score

from errclust_pipeline.analysis.clustering import ClusteringSettings, cluster_points
from errclust_pipeline.analysis.errors import error_text
from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.embedding import backends as embedding_backends
from errclust_pipeline.embedding.embedder import embedded_model_folder, load_embedder
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, HASHING, STATIC, Backend

FloatMatrix = npt.NDArray[np.float32]
NEIGHBOURS = 30


def main() -> None:
    """Print a row for each way of embedding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="result files, e.g. ../shared/data/mmlu_pro")
    parser.add_argument("--most", type=int, default=1_500, help="questions; 0 for all")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    texts, sources = questions(arguments.results, arguments.most)
    print(f"{len(texts):,} questions, {len(set(sources))} sources")

    ways: dict[str, Callable[[Sequence[str]], FloatMatrix]] = {"reference": reference}
    for backend in ("torch", "torch-half", "openvino", "openvino-int8"):
        if embedding_backends.is_installed(backend):
            ways[backend] = embed_by(EMBEDDED_MODEL, backend)
    ways[STATIC] = embed_by(STATIC, "torch")
    ways[HASHING] = embed_by(HASHING, "torch")

    vectors: dict[str, FloatMatrix] = {}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(texts[:64])
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            vectors[name] = way(texts)
            seconds[name].append(time.perf_counter() - started)
    rows = [row(name, texts, sources, vectors, seconds) for name in ways]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:,.4f}"))


def row(
    name: str,
    texts: Sequence[str],
    sources: Sequence[str],
    vectors: dict[str, FloatMatrix],
    seconds: dict[str, list[float]],
) -> dict[str, object]:
    """Return what was measured of one way of embedding."""
    ratios = np.array(seconds["reference"]) / np.array(seconds[name])
    found, true = vectors[name], vectors["reference"]
    measured: dict[str, object] = {
        "embedder": name,
        "texts/s": f"{len(texts) / min(seconds[name]):,.0f}",
        "times the reference": f"{np.median(ratios):,.2f}",
    }
    cosines = (found * true).sum(axis=1) if found.shape == true.shape else np.full(1, np.nan)
    if name not in (STATIC, HASHING):
        measured |= {"mean cosine": cosines.mean(), "worst": cosines.min()}
    labels = cluster_points(found, ClusteringSettings(layout=False))[:, -1]
    return measured | {
        "overlap": overlap(found, true),
        "AMI": adjusted_mutual_info_score(sources, labels),
    }


def overlap(found: FloatMatrix, true: FloatMatrix) -> float:
    """Return the share of the nearest neighbours that two embeddings have in common."""
    nearest = [cosine_neighbours(vectors, NEIGHBOURS)[0] for vectors in (found, true)]
    shared = [len(np.intersect1d(ours, theirs)) for ours, theirs in zip(*nearest, strict=True)]
    return float(np.mean(shared)) / NEIGHBOURS


def reference(texts: Sequence[str]) -> FloatMatrix:
    """Embed as anyone would."""
    vectors: FloatMatrix = reference_model().encode(
        list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors


@functools.cache
def reference_model() -> Any:
    """Load the model, once."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(embedded_model_folder()), device="cpu")


def embed_by(model: str, backend: Backend) -> Callable[[Sequence[str]], FloatMatrix]:
    """Return how this project embeds, by one of its ways."""
    embedder = load_embedder.__wrapped__(model, None, backend)
    return lambda texts: embedder.embed(texts, lambda _: None)


def question_texts(results: Path) -> list[str]:
    """Return the distinct questions of MMLU-Pro with their choices, in the first file's order."""
    return questions(results, 0)[0]


def questions(results: Path, most: int) -> tuple[list[str], list[str]]:
    """Return texts of MMLU-Pro's questions and their sources; a random sample of them, or all."""
    responses = mmlu_pro(results.parent, "Llama-2-7b-hf").drop_duplicates("question")
    source_of = dict(zip(error_text(responses), responses["src"], strict=True))
    texts = list(source_of)
    if most and most < len(texts):
        picked = np.random.default_rng(0).choice(len(texts), most, replace=False)
        texts = [texts[index] for index in picked]
    return texts, [source_of[text] for text in texts]


if __name__ == "__main__":
    main()
