"""Do conformal sets keep their promise, are places found where there are none, and what it costs.

    python benchmarks/uncertainty.py

1. Coverage and set size of both scores and forms over 200 simulated benchmarks (2,000 questions of
   2 to 10 options, half to calibrate by), at alpha .1: what is promised is .9.
2. Under the null: maps on which neither confidence nor correctness depends on the topic; the share
   with any region where the promise is said to fail, any place confidently wrong, any unsure place.
   Then the same where topics differ in their number of options, from 2 to 10: how often Moran's I
   of set sizes is above 1.645 standard deviations, and a place is said to be unsure, each by set
   sizes as they are and given the number of options.
3. With one topic of twelve in which the model is sure and mostly wrong: how much of it is found.
4. Seconds and memory of `measure_uncertainty` for one model on 12,000 questions of ten options.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from memory import peak_mebibytes
from scipy.special import softmax

from errclust_pipeline.analysis.question_map import QuestionMap, build_question_map
from errclust_pipeline.analysis.uncertainty import (
    OptionProbabilities,
    OptionsOnMap,
    Uncertainty,
    conformal_sets,
    measure_uncertainty,
)
from errclust_pipeline.vocabulary import (
    CONFIDENTLY_WRONG,
    CONFORMAL_FORMS,
    CONFORMAL_SCORES,
    UNCERTAIN,
    UNCERTAIN_GIVEN_OPTIONS,
)

TOPICS = 12


def main() -> None:
    """Print the four results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--maps", type=int, default=100)
    parser.add_argument("--questions", type=int, default=12_000)
    arguments = parser.parse_args()
    print_coverage(arguments.repetitions)
    questions, topic = make_map(1200)
    print_null(questions, topic, arguments.maps)
    print_planted(questions, topic, max(arguments.maps // 5, 1))
    print_cost(arguments.questions)


def simulated(
    topic: np.ndarray,
    seed: int,
    options: tuple[int, ...] = (4,),
    deceived: int | None = None,
    by_topic: bool = False,
) -> OptionProbabilities:
    """Return what a model says: right on some 70 %; where it is deceived on 15 %, and sure.

    The number of options is drawn for each question, or in turn for each topic.
    """
    generator = np.random.default_rng(seed)
    n = len(topic)
    counts = np.array(options)[topic % len(options)] if by_topic else generator.choice(options, n)
    gold = generator.integers(0, counts)
    logits = generator.normal(size=(n, max(options)))
    there = topic == deceived
    fooled = there & (generator.random(n) < 0.85)
    favourite = np.where(fooled, (gold + 1) % counts, gold)
    logits[np.arange(n), favourite] += np.where(there, 4.0, 1.5)
    missing = np.arange(max(options)) >= counts[:, None]
    logits[missing] = -np.inf
    probabilities = softmax(logits, axis=1)
    probabilities[missing] = np.nan
    return OptionProbabilities(np.arange(n), probabilities, gold, np.zeros(n, dtype=bool), {})


def make_map(n: int) -> tuple[QuestionMap, np.ndarray]:
    """Return a map of questions in topics of equal size, and the topic of each."""
    generator = np.random.default_rng(0)
    topic = np.arange(n) % TOPICS
    vectors = generator.normal(size=(TOPICS, 64))[topic] + 1.2 * generator.normal(size=(n, 64))
    ids = [f"{number:06d}" for number in range(n)]
    return QuestionMap.from_table(build_question_map(ids, ids, vectors)), topic


def measured(questions: QuestionMap, options: OptionProbabilities) -> Uncertainty:
    """Measure a model that answered all questions."""
    phrases = [("question",)] * len(questions)
    on_map = OptionsOnMap(options, np.arange(len(questions)), questions, {}, phrases)
    return measure_uncertainty(on_map)


def print_coverage(repetitions: int) -> None:
    """Print coverage and set size over simulated benchmarks."""
    print("score  form      covered  standard error  set size")
    half = np.arange(2000) < 1000
    for score in CONFORMAL_SCORES:
        for form in CONFORMAL_FORMS:
            found = []
            for seed in range(repetitions):
                one = simulated(np.zeros(2000), seed, (2, 3, 4, 10))
                sets = conformal_sets(one.probabilities, one.gold, half, 0.1, score, form)
                found.append((sets.coverage, sets.set_size))
            coverage, size = np.array(found).T
            error = coverage.std(ddof=1) / np.sqrt(repetitions)
            print(f"{score:<6} {form:<9} {coverage.mean():7.4f}  {error:14.4f}  {size.mean():8.2f}")


def print_null(questions: QuestionMap, topic: np.ndarray, maps: int) -> None:
    """Print how often something is found on maps without anything."""
    counts = {CONFIDENTLY_WRONG: 0, UNCERTAIN: 0, "promise said to fail": 0}
    for seed in range(maps):
        found = measured(questions, simulated(topic, seed))
        for basis in (CONFIDENTLY_WRONG, UNCERTAIN):
            counts[basis] += bool((found.hot_regions["basis"] == basis).any())
        counts["promise said to fail"] += bool((found.regions["q"] < 0.05).any())
    print(f"\nof {maps} maps without structure, those with any of it:")
    for what, count in counts.items():
        print(f"  {what:<22} {count}")
    above = {"moran_z": 0, "adjusted_moran_z": 0, UNCERTAIN: 0, UNCERTAIN_GIVEN_OPTIONS: 0}
    for seed in range(maps):
        found = measured(questions, simulated(topic, seed, (2, 3, 4, 10), by_topic=True))
        summary = found.summary.set_index(["score", "form"]).loc[("mean", "paper")]
        for column in ("moran_z", "adjusted_moran_z"):
            above[column] += bool(summary[column] > 1.645)
        for basis in (UNCERTAIN, UNCERTAIN_GIVEN_OPTIONS):
            above[basis] += bool((found.hot_regions["basis"] == basis).any())
    print(f"\nof {maps} maps on which topics differ in their number of options only:")
    for what, count in above.items():
        print(f"  {what:<24} {count}")


def print_planted(questions: QuestionMap, topic: np.ndarray, maps: int) -> None:
    """Print how much is found of a topic in which the model is confidently wrong."""
    precision, recall, failing = [], [], 0
    names = np.array(questions.question_ids)
    for seed in range(maps):
        found = measured(questions, simulated(topic, seed, deceived=3))
        rows = found.hot_regions[found.hot_regions["basis"] == CONFIDENTLY_WRONG]
        inside = np.isin(names, rows["question_ids"].explode().to_numpy(dtype=str))
        precision.append((topic[inside] == 3).mean() if inside.any() else 0.0)
        recall.append(inside[topic == 3].mean())
        failing += bool((found.regions["q"] < 0.05).any())
    print(
        f"\nof {maps} maps with one such topic: precision {np.mean(precision):.2f}, recall "
        f"{np.mean(recall):.2f}; the promise is said to fail somewhere on {failing}"
    )


def print_cost(n: int) -> None:
    """Print what one model costs on a large benchmark."""
    questions, topic = make_map(n)
    options = simulated(topic, 0, (10,))
    start, used = time.perf_counter(), time.process_time()
    measured(questions, options)
    peak = peak_mebibytes()
    print(
        f"\n{n:,} questions of ten options: {time.perf_counter() - start:.1f} s "
        f"({time.process_time() - used:.1f} s of processor), peak memory of all here {peak:.0f} MiB"
    )


if __name__ == "__main__":
    main()
