"""Are wrong answers in a benchmark's key found, and what do models' answers allow at best?

    errclust ingest ../shared/data/mmlu_pro && errclust run
    python benchmarks/planted_label_errors.py ../shared/data/mmlu_pro --root data

Of 2 % of the questions another option at random is made the key, anew for each of 5 seeds; the
models' answers stay as they are. Prints

1. the precision at recall .1 to .7 of `label_errors`, with neighbours on the map (of the root's
   embeddings) and without, and of others on the same: votes; the latent right answer by Dawid &
   Skene (1979), with one accuracy a model, and with a difficulty a question too, as in GLAD
   (Whitehill et al. 2009). And, as the bound of what answers allow, that of gradient boosting on
   every model's answer, their counts and the question's subject and source, cross-validated, which
   is told what planted keys look like. The benchmark's own wrong keys count as false alarms in all;
2. how often the benchmark's own keys are contradicted, beside planted ones: no order of questions
   by such evidence can have a higher precision than the place where the evidence is best;
3. the same precision once questions are left out whose own key most votes were against before;
4. the list of suspects without any planting: how many of the keys that the benchmark's authors
   corrected between the dates of the files are on it, being still the old ones; and what a language
   model (Claude, without sources at hand) said of random samples of suspects (`reviewed_keys.csv`).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit

from errclust_pipeline.analysis.errors import error_text, text_id
from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.analysis.selection import LabelErrors, answer_codes, label_errors
from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.sources import find_submissions, read_submission
from errclust_pipeline.warehouse.storage import Storage

RECALLS = (0.1, 0.3, 0.5, 0.7)
SEEDS = range(5)
SHARE = 0.02
FIRST, LAST = "Llama-2-7b", "jamba-1.5"
"""Models whose files have the oldest and the newest keys."""
VERDICTS = ("wrong key", "flawed question", "right key", "cannot tell")
_REVIEWED = Path(__file__).with_name("reviewed_keys.csv")
_NOT_ASKED, _NO_ANSWER = -2, -1

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Method = Callable[["Answers", Ints], Floats]
"""From answers and a key to how suspect each question is."""


@dataclass(frozen=True)
class Answers:
    """What models chose, shape (models, n), and what is known of the n questions."""

    names: list[str]
    chosen: Ints
    first_key: Ints
    key: Ints
    options: Ints
    kind: Ints
    texts: list[str]
    neighbours: npt.NDArray[np.int32] | None = None

    def codes(self, key: Ints) -> Ints:
        """Number the answers with a key."""
        right = np.where(self.chosen == _NOT_ASKED, np.nan, (self.chosen == key).astype(float))
        given = np.where(self.chosen < 0, None, self.chosen.astype(object))
        return answer_codes(right, given.tolist())

    def votes(self, weights: Floats | None = None) -> Floats:
        """Count the votes for each option, shape (n, options)."""
        found = np.zeros((len(self.key), int(self.options.max())))
        for model, own in enumerate(self.chosen):
            rows = np.flatnonzero(own >= 0)
            found[rows, own[rows]] += 1.0 if weights is None else weights[model]
        return found

    def accuracy(self, key: Ints) -> Floats:
        """Return each model's accuracy by a key."""
        asked = self.chosen != _NOT_ASKED
        return ((self.chosen == key) & asked).sum(axis=1) / asked.sum(axis=1)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of MMLU-Pro result files")
    parser.add_argument("--root", help="data root that holds the questions' embeddings")
    arguments = parser.parse_args()
    answers = read_answers(arguments.data)
    if arguments.root:
        answers = replace(answers, neighbours=neighbours_of(answers.texts, arguments.root))
    print(f"{len(answers.key):,} questions, {len(answers.chosen)} models, {SHARE:.0%} planted")
    print("1. precision at recall " + ", ".join(f"{at:g}" for at in RECALLS))
    methods: Mapping[str, Method] = {
        "label_errors": suspicion,
        "same, no map": lambda own, key: suspicion(replace(own, neighbours=None), key),
        "votes": by_votes,
        "Dawid & Skene": lambda own, key: by_latent_answer(own, key, np.zeros(1)),
        "GLAD": lambda own, key: by_latent_answer(own, key, np.linspace(-2.5, 2.5, 11)),
    }
    for name, method in methods.items():
        print_precisions(name, answers, [method(answers, plant(answers, s)[0]) for s in SEEDS])
    print_precisions("bound: gradient boosting", answers, boosted(answers))
    print_contradictions(answers)
    print_without_contradicted(answers)
    print_list(answers)


def read_answers(folder: Path) -> Answers:
    """Read the files by the reader; a question is known by the id that the benchmark gives it."""
    of_model: dict[str, dict[str, Mapping[str, Any]]] = {}
    columns = [
        "example_id", "question", "choices", "gold", "gold_choice", "prediction",
        "predicted_choice", "prediction_guessed", "response", "subject", "metadata",
    ]  # fmt: skip
    for submission in find_submissions(folder):
        batches = (batch.responses.select(columns) for batch in read_submission(submission))
        rows = (row for batch in batches for row in batch.to_pylist())
        of_model[submission.model] = {row["example_id"]: row for row in rows}
    first, last = (
        next(own for model, own in of_model.items() if model.startswith(wanted))
        for wanted in (FIRST, LAST)
    )
    names = sorted(last, key=int)
    chosen = np.full((len(of_model), len(names)), _NOT_ASKED)
    for model, own in enumerate(of_model.values()):
        for place, name in enumerate(names):
            if name in own:
                choice, guessed = own[name]["predicted_choice"], own[name]["prediction_guessed"]
                chosen[model, place] = _NO_ANSWER if choice is None or guessed else choice
    # A key is another one only if the question is the same.
    stated = [
        first[name] if first[name]["choices"] == last[name]["choices"] else last[name]
        for name in names
    ]
    keys = [
        np.array([row["gold_choice"] for row in rows])
        for rows in (stated, [last[name] for name in names])
    ]
    options = np.array([len(last[name]["choices"]) for name in names])
    kinds = [f"{last[name]['subject']} {last[name]['metadata']}" for name in names]
    kind = np.unique(kinds, return_inverse=True)[1]
    given = np.where(chosen < options, chosen, _NO_ANSWER)
    texts = error_text(pd.DataFrame([last[name] for name in names]), "question").tolist()
    return Answers(names, given, *keys, options, kind, texts)


def neighbours_of(texts: list[str], root: str) -> npt.NDArray[np.int32]:
    """Return the nearest questions of each, by the root's embeddings."""
    store = EmbeddingStore(Storage(root), EmbeddingModel().identity)
    return cosine_neighbours(store.read([text_id(text) for text in texts]), 30)[0]


def plant(answers: Answers, seed: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the key with some made another option, and which those are."""
    generator = np.random.default_rng(seed)
    planted = np.zeros(len(answers.key), bool)
    planted[generator.choice(len(planted), int(len(planted) * SHARE), replace=False)] = True
    return np.where(planted, another(answers, generator), answers.key), planted


def another(answers: Answers, generator: np.random.Generator) -> Ints:
    """Return another option for each question, each as likely."""
    step = 1 + generator.integers(0, 2520, len(answers.key)) % (answers.options - 1)
    return (answers.key + step) % answers.options


def print_precisions(
    name: str,
    answers: Answers,
    scores: list[Floats],
    left_out: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Print the mean over seeds of the precision at each recall."""
    found = []
    for seed, score in zip(SEEDS, scores, strict=True):
        planted = plant(answers, seed)[1]
        if left_out is not None:
            score, planted = score[~left_out], planted[~left_out]
        hits = np.cumsum(planted[np.argsort(-score, kind="stable")])
        places = [int(np.searchsorted(hits, at * planted.sum())) for at in RECALLS]
        found.append([hits[place] / (place + 1) for place in places])
    print(f"  {name:<26}" + "".join(f"  {one:.3f}" for one in np.mean(found, axis=0)), flush=True)


def suspicion(answers: Answers, key: Ints) -> Floats:
    """The pipeline's."""
    return suspects(answers, key).likelihood_ratio


def suspects(answers: Answers, key: Ints) -> LabelErrors:
    """Judge a key by the pipeline's method."""
    return label_errors(answers.codes(key), answers.options.astype(float), answers.neighbours)


def by_votes(answers: Answers, key: Ints) -> Floats:
    """The votes for the most favoured other answer less those for the key's."""
    votes = answers.votes()
    own = votes[np.arange(len(key)), key].copy()
    votes[np.arange(len(key)), key] = 0
    return votes.max(axis=1) - own


def by_latent_answer(answers: Answers, key: Ints, easiness: Floats, prior: float = SHARE) -> Floats:
    """The log odds that another option is right, by expectation maximisation.

    A model is right with probability ``expit(ability * exp(easiness))``, else it takes any other
    option alike; easiness is standard normal, on a grid.
    """
    n, most = len(key), int(answers.options.max())
    rows = np.arange(n)
    log_easiness = -(easiness**2) / 2
    log_prior = np.full((n, most), -np.inf)
    there = np.arange(most) < answers.options[:, None]
    log_prior[there] = np.repeat(np.log(prior / (answers.options - 1)), answers.options)
    log_prior[rows, key] = np.log1p(-prior)
    accuracy = answers.accuracy(key)
    ability = np.log(accuracy / (1 - accuracy))
    posterior = np.empty(0)
    for _ in range(15):
        joint = log_prior + log_easiness[:, None, None]
        for model, own in enumerate(answers.chosen):
            right = np.clip(expit(ability[model] * np.exp(easiness)), 1e-4, 1 - 1e-4)[:, None]
            answered = np.flatnonzero(own >= 0)
            other = np.log1p(-right) - np.log(answers.options[answered] - 1)
            joint[:, answered] += other[..., None]
            joint[:, answered, own[answered]] += np.log(right) - other
            joint[:, own == _NO_ANSWER] += np.log1p(-right)[..., None]
        posterior = np.exp(joint - joint.max(axis=(0, 2), keepdims=True))
        posterior /= posterior.sum(axis=(0, 2), keepdims=True)
        for model, own in enumerate(answers.chosen):
            asked, answered = own != _NOT_ASKED, np.flatnonzero(own >= 0)
            trials = posterior[:, asked].sum(axis=(1, 2))
            right = posterior[:, answered, own[answered]].sum(axis=1)
            for _ in range(20):
                p = expit(ability[model] * np.exp(easiness))
                slope = ((right - trials * p) * np.exp(easiness)).sum()
                bend = (trials * p * (1 - p) * np.exp(2 * easiness)).sum()
                ability[model] += np.clip(slope / bend, -0.5, 0.5)
    of_key = posterior.sum(axis=0)[rows, key]
    return np.log1p(-np.minimum(of_key, 1 - 1e-12)) - np.log(np.maximum(of_key, 1e-300))


def boosted(answers: Answers, plantings: int = 5, folds: int = 5) -> list[Floats]:
    """Score the keys of all seeds, each question by a model that was fitted without it."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    n = len(answers.key)
    generator = np.random.default_rng(99)
    fold = generator.permutation(n) % folds
    others = [another(answers, generator) for _ in range(plantings)]
    own = features_of(answers, answers.key)
    planted = [features_of(answers, key) for key in others]
    asked = [features_of(answers, plant(answers, seed)[0]) for seed in SEEDS]
    scores = [np.zeros(n) for _ in SEEDS]
    for one in range(folds):
        rows, held_out = fold != one, fold == one
        features = np.vstack([own[rows], *(part[rows] for part in planted)])
        is_planted = np.arange(len(features)) >= rows.sum()
        fitted = HistGradientBoostingClassifier(
            max_iter=300, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=100,
            l2_regularization=5.0, random_state=0,
        ).fit(features, is_planted)  # fmt: skip
        for score, part in zip(scores, asked, strict=True):
            score[held_out] = fitted.decision_function(part[held_out])
    return scores


def features_of(answers: Answers, key: Ints) -> Floats:
    """All that the models say of a key: each one's answer, counts, and the kind of question."""
    rows = np.arange(len(key))
    accuracy = answers.accuracy(answers.key)
    parts = []
    for weights in (None, np.log(accuracy / (1 - accuracy)) + 3):
        votes = answers.votes(weights)
        own = votes[rows, key].copy()
        votes[rows, key] = -1
        ranked = np.sort(votes, axis=1)[:, ::-1]
        parts += [own, ranked[:, 0], ranked[:, 1], (votes > 0).sum(axis=1)]
        top = votes.argmax(axis=1)
    said = np.select(
        [answers.chosen < 0, answers.chosen == key, answers.chosen == top],
        [answers.chosen, 0, 1],
        2,
    )
    return np.column_stack([*said, *parts, answers.options, answers.kind])


def print_contradictions(answers: Answers) -> None:
    """Part 2."""
    print("2. none gives the key's answer; that many agree on one other: own keys, planted ones")
    votes, rows = answers.votes(), np.arange(len(answers.key))
    own = votes[rows, answers.key]
    rest = votes.copy()
    rest[rows, answers.key] = 0
    for agreeing in range(len(answers.chosen), 3, -1):
        contradicted = int(((own == 0) & (rest.max(axis=1) == agreeing)).sum())
        planted = 0.0
        for option in range(votes.shape[1]):
            there = (option < answers.options) & (option != answers.key)
            others = votes.copy()
            others[:, option] = 0
            met = there & (votes[:, option] == 0) & (others.max(axis=1) == agreeing)
            planted += float((met / (answers.options - 1)).sum()) * SHARE
        share = planted / (planted + contradicted)
        print(
            f"  {agreeing} agree: {contradicted} own, {planted:.1f} planted: precision {share:.2f}"
        )


def print_without_contradicted(answers: Answers) -> None:
    """Part 3."""
    against = by_votes(answers, answers.key)
    for margin in (4, 2):
        left_out = against >= margin
        print(
            f"3. without the {left_out.sum():,} questions whose own key has {margin} votes fewer "
            "than another option"
        )
        scores = [suspicion(answers, plant(answers, seed)[0]) for seed in SEEDS]
        print_precisions("label_errors", answers, scores, left_out)


def print_list(answers: Answers) -> None:
    """Part 4."""
    corrected = answers.first_key != answers.key
    found = suspects(answers, answers.first_key)
    review = found.review_order()
    print(
        f"4. {len(review):,} suspects (at most {found.share:.1%} of keys are wrong): on the list "
        f"are {corrected[review].sum()} of {corrected.sum()} keys that were corrected later"
    )
    with _REVIEWED.open(newline="") as file:
        reviewed = list(csv.DictReader(file))
    listed = {answers.names[row] for row in review.tolist()}
    for stratum in dict.fromkeys(row["stratum"] for row in reviewed):
        own = [
            row for row in reviewed if row["stratum"] == stratum and row["question_id"] in listed
        ]
        counts = [sum(row["verdict"] == verdict for row in own) for verdict in VERDICTS]
        said = ", ".join(f"{count} {name}" for count, name in zip(counts, VERDICTS, strict=True))
        print(f"  {stratum}: of {len(own)} reviewed, {said}")


if __name__ == "__main__":
    main()
