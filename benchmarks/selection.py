"""Does selecting training examples cover what a model needs, how fast, and does it help?

    errclust ingest ../shared/data/mmlu_pro && errclust run
    python benchmarks/selection.py --root data

Prints

1. the share of the weighted demand that a selection covers at B = 100, 500, 2,000, with baselines,
   for models of the root's benchmark; candidates are the model's own errors (all of them: this is a
   measurement, no training);
2. the time of a selection, and how it grows;
3. whether it helps the demo's simulated solvers: each error that a bug causes is mended with
   probability 1 - exp(-n / 5), n being the examples picked that the bug would get wrong. So what is
   measured is whether the right examples are found, not how a language model learns;
4. whether it helps a real, if small, learner: a ridge classifier on frozen embeddings that tells
   the subjects of MMLU-Pro's questions, trained on 400 examples of a biased choice of subjects and
   then on B picks more. Its hot places are the fifth with most errors around; those of 3 have
   twice the mean rate.

In 3 and 4 questions are split into those whose errors guide the selection and those that accuracy
is measured on, anew for each of 10 seeds; the picks come from a pool apart from both. Intervals are
95 % t intervals over seeds of the paired difference to sampling like the benchmark. Questions that
have no embedding in the root's store yet are embedded (parts 1 and 4 take only stored ones).
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.stats import t

from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.analysis.knn_graph import cosine_neighbours, cosine_neighbours_among
from errclust_pipeline.analysis.selection import (
    DENSEST_FIRST,
    LIKE_THE_BENCHMARK,
    RANDOM,
    RANDOM_ERRORS,
    answer_codes,
    baseline_coverage,
    baseline_picks,
    contaminated,
    demand_weights,
    label_errors,
    select,
    similarity_graph,
    suggested_budget,
)
from errclust_pipeline.analysis.spatial import adjusted_tests, expected_errors
from errclust_pipeline.demo.bugs import NO_BUGS
from errclust_pipeline.demo.families import write_questions
from errclust_pipeline.demo.models import MODELS, respond
from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.tables import RESPONSES
from errclust_pipeline.warehouse.keys import Partition
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.warehouse import Warehouse

OURS = "this selection"
POLICIES = (OURS, LIKE_THE_BENCHMARK, RANDOM, RANDOM_ERRORS, DENSEST_FIRST)
SEEDS = 10
_MENDED_BY = 5.0
_NEIGHBOURS = 100
_HOT_SCALE = 30
Vectors = npt.NDArray[np.float32]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="data", help="data root with mmlu_pro in it")
    parser.add_argument("--benchmark", default="mmlu_pro")
    parser.add_argument("--parts", default="1234")
    parser.add_argument("--models", type=int, default=4, help="models of part 1")
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "1": lambda: print_coverage(arguments.root, arguments.benchmark, arguments.models),
        "2": print_time,
        "3": lambda: print_help_for_solvers(arguments.root),
        "4": lambda: print_help_for_classifier(arguments.root, arguments.benchmark),
    }
    for part in arguments.parts:
        started = time.perf_counter()
        parts[part]()
        print(f"(part {part}: {time.perf_counter() - started:.0f} s)\n", flush=True)


def demand_of(
    errors: npt.NDArray[np.float64],
    others: npt.NDArray[np.float64],
    neighbours: npt.NDArray[np.int32],
    label_error_probability: npt.NDArray[np.float64] | None = None,
) -> Any:
    """Weigh a model's errors; NaN where an error may not guide. `others` has shape (models, n)."""
    expected = expected_errors(np.vstack([errors, others]), 0, neighbours)
    (test,) = adjusted_tests(errors, expected, neighbours, (_HOT_SCALE,))
    asked = (~np.isnan(others)).sum(axis=0)
    right = np.divide(
        np.nansum(1 - others, axis=0), asked, out=np.full(len(errors), np.nan), where=asked > 0
    )
    return demand_weights(errors, neighbours, right, test.q_hot, label_error_probability)


def print_coverage(root: str, benchmark: str, most: int) -> None:
    """Part 1."""
    store = Warehouse(root)
    partitions = store.submissions_in(RESPONSES, benchmark)
    texts, matrix, chosen, options = read_results(store, partitions)
    ids = list(texts)
    embeddings, known = stored_vectors(store, [texts[name] for name in ids])
    matrix, options = matrix[:, known], options[known]
    chosen = [[one[row] for row in known] for one in chosen]
    neighbours, _ = cosine_neighbours(embeddings, _NEIGHBOURS)
    suspects = label_errors(answer_codes(1 - matrix, chosen), options, neighbours)
    print(f"1. {benchmark}: {len(known):,} of {len(ids):,} questions have embeddings")
    print(f"{len(suspects.review_order()):,} questions have a suspected key")
    order = np.argsort(np.nanmean(matrix, axis=1))
    for model in order[np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int)]:
        demand = demand_of(
            matrix[model], np.delete(matrix, model, axis=0), neighbours, suspects.probability
        )
        rows = np.flatnonzero(demand.weight > 0)
        graph = similarity_graph(embeddings[rows], embeddings[rows])
        nearest = cosine_neighbours_among(embeddings, embeddings[rows], 1)[0][:, 0]
        suggested, _ = suggested_budget(graph, demand.weight[rows])
        print(f"{partitions[model].model}: {len(rows):,} errors; .9 at B = {suggested:,}")
        for budget in (100, 500, 2000):
            found = select(graph, demand.weight[rows], budget)
            shares = baseline_coverage(
                graph, demand.weight[rows], nearest, matrix[model], demand.local_rate, budget
            )
            shown = "  ".join(f"{name} {share:.3f}" for name, share in shares.items())
            print(f"  B {budget:>5,}  {OURS} {found.coverage[-1]:.3f}  {shown}", flush=True)


def read_results(
    store: Warehouse, partitions: Sequence[Partition]
) -> tuple[dict[str, str], npt.NDArray[np.float64], list[list[Any]], npt.NDArray[np.float64]]:
    """Return the embedded text of each question, errors (models, n), answers, and options."""
    from errclust_pipeline.analysis.question_map.questions import questions_of

    frames = [store.read(RESPONSES, one).to_pandas() for one in partitions]
    texts: dict[str, str] = {}
    counts: dict[str, float] = {}
    for frame in frames:
        for row in questions_of(frame).to_dict("records"):
            texts.setdefault(row["question_id"], row["text"])
            choices = row["choices"]
            counts.setdefault(
                row["question_id"], float(len(choices)) if choices is not None else np.nan
            )
    position = {name: number for number, name in enumerate(texts)}
    matrix = np.full((len(frames), len(position)), np.nan)
    chosen: list[list[Any]] = [[None] * len(position) for _ in frames]
    for number, frame in enumerate(frames):
        for name, correct, choice, guessed in zip(
            frame["question_id"],
            frame["correct"],
            frame["predicted_choice"],
            frame["prediction_guessed"],
            strict=True,
        ):
            matrix[number, position[name]] = float(not correct)
            if choice == choice and guessed is not True:
                chosen[number][position[name]] = choice
    return texts, matrix, chosen, np.array(list(counts.values()))


def stored_vectors(store: Warehouse, texts: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.int64]]:
    """Return the vectors that the root's store has, and of which texts."""
    embeddings = EmbeddingStore(store.storage, EmbeddingModel().identity)
    ids = [text_id(text) for text in texts]
    missing = set(embeddings.missing(ids))
    rows = np.array([row for row, one in enumerate(ids) if one not in missing], dtype=np.int64)
    return embeddings.read([ids[row] for row in rows]), rows


def print_time() -> None:
    """Part 2: on random graphs of 30 neighbours, which cost more than real ones."""
    print("2. seconds (of the processor) of a selection at B = 500, B = 2,000; gains evaluated")
    for n in (3500, 7000, 14000, 28000, 56000):
        generator = np.random.default_rng(0)
        columns = (np.arange(n)[:, None] + generator.integers(-300, 300, (n, 30))) % n
        graph = sparse.csr_matrix(
            (generator.random(n * 30), (np.repeat(np.arange(n), 30), columns.ravel())),
            shape=(n, n),
        )
        shown = []
        for budget in (500, 2000):
            started, began = time.perf_counter(), time.process_time()
            found = select(graph, np.ones(n), budget)
            seconds = time.perf_counter() - started, time.process_time() - began
            shown.append(f"{seconds[0]:.2f} s ({seconds[1]:.2f}), {found.evaluations:,}")
        print(f"  n {n:>6,}: {'   '.join(shown)}", flush=True)


def picks_of(
    policy: str,
    demand: Any,
    errors: npt.NDArray[np.float64],
    guiding: npt.NDArray[np.int64],
    vectors: Vectors,
    pool: Vectors,
    budget: int,
    seed: int,
) -> npt.NDArray[np.int64]:
    """Pick from a pool by a policy that sees the guiding questions only."""
    if policy == OURS:
        rows = np.flatnonzero(demand.weight > 0)
        return select(similarity_graph(vectors[rows], pool), demand.weight[rows], budget).picks
    nearest = cosine_neighbours_among(vectors[guiding], pool, 1)[0][:, 0]
    return baseline_picks(
        policy, nearest, len(pool), errors[guiding], demand.local_rate[guiding], budget, seed
    )


def report(results: dict[tuple[str, int], list[tuple[float, float]]], before: Any) -> None:
    """Print accuracies after training, in all and in formerly hot places, by policy."""
    overall, hot = np.mean(before, axis=0)
    print(f"  before: {overall:.3f}, in hot places {hot:.3f}")
    for budget in sorted({budget for _, budget in results}):
        like = np.array(results[LIKE_THE_BENCHMARK, budget])
        for policy in POLICIES:
            own = np.array(results[policy, budget])
            text = f"  B {budget:>4}  {policy:<40}"
            for column, name in enumerate(("all", "hot")):
                gap = own[:, column] - like[:, column]
                half = t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
                text += f"  {name} {own[:, column].mean():.3f}"
                if policy != LIKE_THE_BENCHMARK:
                    text += f" ({gap.mean():+.3f} ± {half:.3f})"
            print(text, flush=True)


def print_help_for_solvers(root: str) -> None:
    """Part 3."""
    asked = write_questions("demo_numbers", 0)
    offered = write_questions("demo_numbers", 1) + write_questions("demo_numbers", 2)
    storage, embedder = Storage(root), EmbeddingModel()
    texts = {text_id(one.text): one.text for one in [*asked, *offered]}
    ids = [text_id(one.text) for one in [*asked, *offered]]
    everything, _ = embed_texts(storage, embedder, ids, texts, print)
    vectors, pool = everything[: len(asked)], everything[len(asked) :]
    refused = contaminated(
        [one.text for one in offered], [one.text for one in asked], pool, vectors
    )
    kept = np.array([row for row, reason in enumerate(refused) if reason is None])
    neighbours, _ = cosine_neighbours(vectors, _NEIGHBOURS)
    causes = [[respond(model, one, 0).bug for one in asked] for model in MODELS]
    errors = np.array([[float(cause is not None) for cause in own] for own in causes])
    print(f"3. demo_numbers: {len(asked)} questions, {len(MODELS)} solvers, pool {len(kept):,}")
    results: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    before: list[tuple[float, float]] = []
    for seed in range(SEEDS):
        generator = np.random.default_rng(seed)
        is_guiding = generator.permutation(len(asked)) < len(asked) // 2
        own_pool = np.sort(generator.permutation(kept)[: len(kept) * 2 // 3])
        collected: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
        start: list[tuple[float, float]] = []
        for number, model in enumerate(MODELS):
            marks = np.where(is_guiding, errors[number], np.nan)
            demand = demand_of(marks, np.delete(errors, number, axis=0), neighbours)
            guiding = np.flatnonzero(is_guiding)
            hot = ~is_guiding & (rate_around(marks, neighbours) > 2 * np.nanmean(marks))
            teaches = {
                bug: np.array(
                    [
                        offered[row].problem.solve({bug}).answer
                        != offered[row].problem.solve(NO_BUGS).answer
                        for row in own_pool
                    ]
                )
                for bug in model.bugs
            }
            start.append((1 - errors[number][~is_guiding].mean(), 1 - errors[number][hot].mean()))
            for budget in (25, 50, 100):
                for policy in POLICIES:
                    picks = picks_of(
                        policy, demand, marks, guiding, vectors, pool[own_pool], budget, seed
                    )
                    left = {
                        str(bug): np.exp(-teaches[bug][picks].sum() / _MENDED_BY)
                        for bug in model.bugs
                    }
                    wrong = np.array(
                        [
                            0.0 if cause is None else left.get(str(cause), 1.0)
                            for cause in causes[number]
                        ]
                    )
                    collected[policy, budget].append(
                        (1 - wrong[~is_guiding].mean(), 1 - wrong[hot].mean())
                    )
        before.append(tuple(np.mean(start, axis=0)))
        for key, found in collected.items():
            results[key].append(tuple(np.mean(found, axis=0)))
    report(results, before)


def rate_around(
    marks: npt.NDArray[np.float64], neighbours: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """Return the error rate of the guiding ones among each question's nearest."""
    near = marks[neighbours[:, :_HOT_SCALE]]
    known = (~np.isnan(near)).sum(axis=1)
    return np.nansum(near, axis=1) / np.maximum(known, 1)


def print_help_for_classifier(root: str, benchmark: str) -> None:
    """Part 4."""
    from sklearn.linear_model import RidgeClassifier

    store = Warehouse(root)
    partition = store.submissions_in(RESPONSES, benchmark)[0]
    rows = store.read(RESPONSES, partition).to_pandas()
    from errclust_pipeline.analysis.question_map.questions import questions_of

    questions = questions_of(rows)
    embeddings, known = stored_vectors(store, questions["text"].tolist())
    names, subject = np.unique(questions["subject"].to_numpy()[known], return_inverse=True)
    n = len(known)
    if n < 3000:
        raise SourceError(f"{root} has embeddings of {n:,} questions: run the main job on it first")
    print(f"4. {n:,} questions of {len(names)} subjects")
    results: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
    before: list[tuple[float, float]] = []

    def train(of: npt.NDArray[np.int64]) -> Any:
        return RidgeClassifier(alpha=1.0).fit(embeddings[of], subject[of])

    for seed in range(SEEDS):
        generator = np.random.default_rng(seed)
        order = generator.permutation(n)
        pool, guiding, held_out = np.split(order, [int(0.4 * n), int(0.7 * n)])
        students, base = [], []
        for _ in range(4):
            liking = generator.dirichlet(np.full(len(names), 0.5)) + 1e-3
            weight = liking[subject[pool]]
            base.append(generator.choice(pool, 400, replace=False, p=weight / weight.sum()))
            students.append(train(base[-1]))
        everyone = np.concatenate([guiding, held_out])
        is_guiding = np.arange(len(everyone)) < len(guiding)
        errors = np.array([one.predict(embeddings[everyone]) != subject[everyone]
                           for one in students]).astype(float)  # fmt: skip
        neighbours, _ = cosine_neighbours(embeddings[everyone], _NEIGHBOURS)
        marks = np.where(is_guiding, errors[0], np.nan)
        demand = demand_of(marks, errors[1:], neighbours)
        around = rate_around(marks, neighbours)
        # It errs so much that hardly a place has twice its rate: the worst fifth instead.
        hot = ~is_guiding & (around >= np.quantile(around[~is_guiding], 0.8))
        before.append((1 - errors[0][~is_guiding].mean(), 1 - errors[0][hot].mean()))
        rest = np.setdiff1d(pool, base[0])
        for budget in (100, 300):
            for policy in POLICIES:
                picks = picks_of(
                    policy, demand, marks, np.flatnonzero(is_guiding), embeddings[everyone],
                    embeddings[rest], budget, seed,
                )  # fmt: skip
                student = train(np.concatenate([base[0], rest[picks]]))
                right = student.predict(embeddings[everyone]) == subject[everyone]
                results[policy, budget].append((right[~is_guiding].mean(), right[hot].mean()))
    report(results, before)


if __name__ == "__main__":
    main()
