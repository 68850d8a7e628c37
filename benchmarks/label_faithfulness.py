"""Does the faithfulness score rank right labels above wrong ones, and how good are key phrases?

No language model: labels are tested by the embedding's similarity, as every label is. For groups
of errors whose truth is known (the bugs planted into the demo's models; ReaLMistake's categories of
mistakes, its errors embedded by people's explanations) and for the pipeline's own clusters (of the
demo, and of real models on MMLU-Pro), each group gets

* its own label: key phrases, and for the bugs also their names;
* the label of another group drawn at random, and that of the nearest one, both deliberately wrong.

Printed: the mean faithfulness, how often a label passes (its interval lies above a half, and no
other group fits it better), and the AUC with which faithfulness ranks right labels above wrong
ones, with a bootstrap interval over groups; then groups drawn at random, whose labels cannot be
true of anything. Half of each group is set aside for the test, as in the pipeline; ``seen`` says
how often labels of random groups pass whose phrases are counted in all, the tested ones too.

Run from the project's root (of ReaLMistake, decrypted in memory, only embeddings are cached)::

    python benchmarks/label_faithfulness.py --data ../shared/data --cache /tmp/errclust_cache
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cluster_quality import (
    OURS,
    demo_errors,
    embed,
    mmlu_pro,
    parser,
    print_table,
    realmistake,
)
from sklearn.metrics import roc_auc_score

from errclust_pipeline.analysis.clustering import cluster_points
from errclust_pipeline.analysis.labelling import (
    Faithfulness,
    faithfulness_by_similarity,
    fits_another_better,
    key_phrases,
    phrases_of,
    set_aside,
    unseen,
)

FEWEST_MEMBERS = 12
RANDOM_GROUPS = 500


@dataclass(frozen=True)
class Groups:
    """Errors of one model on one benchmark, or of one task, in groups."""

    texts: list[str]
    vectors: np.ndarray[Any, np.dtype[np.float32]]
    members: dict[str, np.ndarray[Any, np.dtype[np.intp]]]
    names: dict[str, str] | None = None

    @cached_property
    def aside(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which errors labels are tested on and not written from."""
        grouped = np.concatenate(list(self.members.values()))
        rest = np.setdiff1d(np.arange(len(self.texts)), grouped)
        return set_aside([*self.members.values(), rest], self.texts)


def main() -> None:
    """Print a row for each kind of group and label."""
    options = parser(__doc__).parse_args()
    kinds = {
        "planted bugs": planted_bugs(options.cache),
        "demo, clusters": demo_clusters(options.cache),
        "ReaLMistake, explanations": mistakes(options.data, options.cache),
        "MMLU-Pro, clusters": mmlu_pro_clusters(options.data, options.cache),
    }
    rows = []
    for kind, groups in kinds.items():
        rows.append(score(kind, "key phrases", groups, [labels_of(one, 3) for one in groups]))
        if all(one.names for one in groups):
            rows.append(score(kind, "names", groups, [dict(one.names or {}) for one in groups]))
        rows.append(null(kind, groups))
    print_table(rows)


def labels_of(groups: Groups, phrases: int, from_all: bool = False) -> dict[str, str]:
    """Return each group's label: its best key phrases."""
    texts = {
        name: [phrases_of(groups.texts[row]) for row in rows if from_all or not groups.aside[row]]
        for name, rows in groups.members.items()
    }
    found = key_phrases(texts)
    return {name: ", ".join(one.phrases[:phrases]) or "unnamed" for name, one in found.items()}


def score(
    kind: str, label: str, groups: Sequence[Groups], labels: Sequence[dict[str, str]]
) -> dict[str, Any]:
    """Test each group's own label, another's and the nearest one's."""
    draws = np.random.default_rng(0)
    right, far, near = [], [], []
    for one, own in zip(groups, labels, strict=True):
        names = list(one.members)
        vectors = dict(zip(names, _embedded([own[name] for name in names]), strict=True))
        centroids = np.stack([one.vectors[one.members[name]].mean(axis=0) for name in names])
        nearest = centroids @ centroids.T
        np.fill_diagonal(nearest, -np.inf)
        for place, name in enumerate(names):
            others = [other for other in names if other != name]
            tests = [
                _tested(one, name, vectors[other])
                for other in (name, str(draws.choice(others)), names[int(nearest[place].argmax())])
            ]
            for found, into in zip(tests, (right, far, near), strict=True):
                into.append(found)
    accuracies = [np.array([found.accuracy for found, _ in part]) for part in (right, far, near)]
    passed = [np.mean([has_passed for _, has_passed in part]) for part in (right, far, near)]
    auc, low, high = _auc(accuracies[0], accuracies[1])
    return {
        "groups": kind,
        "label": label,
        "n": len(right),
        "right": accuracies[0].mean(),
        "pass": passed[0],
        "random": accuracies[1].mean(),
        "pass ": passed[1],
        "AUC": auc,
        "low": low,
        "high": high,
        "nearest": accuracies[2].mean(),
        "pass  ": passed[2],
        "AUC ": _auc(accuracies[0], accuracies[2])[0],
    }


def null(kind: str, groups: Sequence[Groups]) -> dict[str, Any]:
    """Test labels of groups that were drawn at random, of the sizes of the real ones."""
    draws = np.random.default_rng(1)
    accuracies: list[float] = []
    passed: dict[bool, list[bool]] = {False: [], True: []}
    while len(accuracies) < RANDOM_GROUPS:
        for one in groups:
            shuffled = draws.permutation(len(one.texts))
            ends = np.cumsum([len(rows) for rows in one.members.values()])
            members = {
                str(place): np.sort(part)
                for place, part in enumerate(np.split(shuffled, ends)[:-1])
            }
            random = Groups(one.texts, one.vectors, members)
            for from_all in (False, True):
                own = labels_of(random, 3, from_all)
                vectors = _embedded([own[name] for name in members])
                for name, vector in zip(members, vectors, strict=True):
                    found, has_passed = _tested(random, name, vector)
                    passed[from_all].append(has_passed)
                    if not from_all:
                        accuracies.append(found.accuracy)
    return {
        "groups": kind,
        "label": "of random groups",
        "n": len(accuracies),
        "right": np.mean(accuracies),
        "pass": np.mean(passed[False]),
        "seen": np.mean(passed[True]),
    }


def _tested(groups: Groups, name: str, label: np.ndarray[Any, Any]) -> tuple[Faithfulness, bool]:
    """Return a label's faithfulness, and whether it passes."""
    similar = groups.vectors @ label
    samples = {
        other: unseen(groups.vectors, rows, groups.aside) for other, rows in groups.members.items()
    }
    own = samples.pop(name)
    found = faithfulness_by_similarity(similar[own.members], similar[own.others])
    if found is None:
        raise ValueError(f"{name} is too small to be tested")
    others = [similar[sample.members] for sample in samples.values()]
    return found, found.low > 0.5 and not fits_another_better(similar[own.members], others)


def _auc(right: Any, wrong: Any) -> tuple[float, float, float]:
    def auc(rows: Any) -> float:
        marks = np.repeat([1, 0], len(rows))
        return float(roc_auc_score(marks, np.concatenate([right[rows], wrong[rows]])))

    draws, everyone = np.random.default_rng(2), np.arange(len(right))
    resampled = [auc(draws.choice(everyone, len(everyone))) for _ in range(500)]
    return auc(everyone), *np.quantile(resampled, [0.025, 0.975]).tolist()


def _embedded(texts: list[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
    from errclust_pipeline.embedding.embedder import load_embedder
    from errclust_pipeline.embedding.names import EMBEDDED_MODEL

    return load_embedder(EMBEDDED_MODEL, None).embed(texts, lambda _: None)


def planted_bugs(cache: Path) -> list[Groups]:
    """The demo's errors, by the bug that caused them; isolated mistakes belong to none."""
    found = []
    for _, part in demo_errors(cache).groupby(["model", "benchmark"]):
        texts = part["question"].tolist()
        bugs = part["bug"].to_numpy()
        members = _grouped([None if bug == "slip" else bug for bug in bugs])
        names = {bug: bug.replace("_", " ") for bug in members}
        found.append(Groups(texts, embed(texts, cache), members, names))
    return [one for one in found if len(one.members) > 1]


def demo_clusters(cache: Path) -> list[Groups]:
    """The demo's errors, clustered as the pipeline does."""
    found = []
    for _, part in demo_errors(cache).groupby(["model", "benchmark"]):
        found.append(_clustered(part["question"].tolist(), cache))
    return [one for one in found if len(one.members) > 1]


def mmlu_pro_clusters(data: Path, cache: Path, errors: int = 2500) -> list[Groups]:
    """Errors of real models, clustered as the pipeline does."""
    found = []
    for model in ("Mistral-7B-Instruct-v0.2", "Qwen1.5-110B"):
        responses = mmlu_pro(data, model)
        wrong = responses[~responses["correct"]].sample(errors, random_state=0)
        found.append(_clustered(wrong["question"].tolist(), cache))
    return found


def _clustered(texts: list[str], cache: Path) -> Groups:
    vectors = embed(texts, cache)
    first = cluster_points(vectors, OURS)[:, 0]
    return Groups(texts, vectors, _grouped([None if one < 0 else str(one) for one in first]))


def mistakes(data: Path, cache: Path) -> list[Groups]:
    """ReaLMistake's errors of a task by category of mistake, embedded by people's explanations."""
    groups = []
    for _, errors in realmistake(data).groupby("task", sort=False):
        texts = errors["human_explanation"].tolist()
        # An error of several categories would be a member and another at once.
        members = _grouped([one[0] if len(one) == 1 else None for one in errors["categories"]])
        names = {category: category for category in members}
        groups.append(Groups(texts, embed(texts, cache), members, names))
    return [one for one in groups if len(one.members) > 1]


def _grouped(names: Sequence[str | None]) -> dict[str, np.ndarray[Any, np.dtype[np.intp]]]:
    rows = pd.Series(np.arange(len(names))).groupby(pd.Series(list(names), dtype="object"))
    return {str(name): part.to_numpy(np.intp) for name, part in rows if len(part) >= FEWEST_MEMBERS}


if __name__ == "__main__":
    main()
