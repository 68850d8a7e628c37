"""What does another model cost as a leaderboard grows? The 2nd, 8th, 50th and 200th submission.

    python benchmarks/growing_leaderboard.py

A simulated leaderboard: 300 questions that all models share, each model wrong on its own part of
them, every tenth submission with a few questions that are new. Printed are the seconds and the
texts embedded for a submission to be fully computed when it is the nth. The other submissions are
read, but their own clusters and statistics are not computed: those cost what they cost.

Cost: a model's own stages do not grow with the number of models, but for the difficulty of
questions, which is told from at most 64 of them; the comparison grows with the pairs, 500 at most.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

import dagster as dg
import numpy as np

from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.tables import QUESTION_MAP
from errclust_pipeline.warehouse.keys import BenchmarkPartition, Partition
from errclust_pipeline.warehouse.warehouse import Warehouse

MEASURED = (2, 8, 50, 200)
TOPICS = ("loan interest", "river lengths", "chess openings", "gas pressure", "verb tenses")


def main() -> None:
    """Print one row for each measured submission."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", default="all-MiniLM-L6-v2", help="or hashing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "root"
        root.mkdir()
        (root / "errclust.toml").write_text(f'[embedding]\nmodel = "{arguments.embedder}"\n')
        warehouse, definitions = Warehouse(str(root)), build_defs(str(root))
        columns = ("model", "own stages", "questions, map", "comparisons", "embedded")
        print("".join(f"{name:>16}" for name in columns) + "  map kept")
        with open_instance(warehouse.storage) as instance:
            add_until = 1
            for number in MEASURED:
                others = [submission(warehouse, root, n) for n in range(add_until, number)]
                add_until = number + 1
                read = [runs.PlannedRun(one, ("raw_results", "error_table")) for one in others]
                check(list(runs.execute(definitions, instance, read)))
                shared = ["map_questions", "compare_models"]
                made = runs.execute_all(warehouse, definitions, instance, others, phases=shared)
                check(list(made))
                print_submission(warehouse, definitions, instance, root, number)


def print_submission(warehouse, definitions, instance, root: Path, number: int) -> None:
    """Compute a submission fully and print what it took."""
    before = warehouse.provenance(QUESTION_MAP, BenchmarkPartition("leaderboard"))
    partition = submission(warehouse, root, number)
    seconds, embedded = {}, 0
    phases = {
        "own": ["label_error_clusters", "find_hot_spots"],
        "map": ["map_questions"],
        "compared": ["compare_models"],
    }
    for phase in ("label_error_clusters", "map_questions", "find_hot_spots", "compare_models"):
        started = time.monotonic()
        done = list(runs.execute_all(warehouse, definitions, instance, [partition], phases=[phase]))
        check(done)
        what = next(name for name, members in phases.items() if phase in members)
        seconds[what] = seconds.get(what, 0.0) + time.monotonic() - started
        for run in done:
            embedded += embedded_in(instance, run.run_id)
    kept = before is not None and before == warehouse.provenance(
        QUESTION_MAP, BenchmarkPartition("leaderboard")
    )
    print(
        f"{number:>16}{seconds['own']:>16.1f}{seconds['map']:>16.1f}{seconds['compared']:>16.1f}"
        f"{embedded:>16}  {'yes' if kept else 'no'}",
        flush=True,
    )


def embedded_in(instance, run_id: str) -> int:
    """Return how many texts a run embedded."""
    texts = 0
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        metadata = entry.dagster_event.step_materialization_data.materialization.metadata
        texts += metadata["embedded_now"].value if "embedded_now" in metadata else 0
    return texts


def submission(warehouse: Warehouse, root: Path, number: int) -> Partition:
    """Write and record the results of the nth model."""
    generator = np.random.default_rng(number)
    questions = [
        f"Question {n} on {TOPICS[n % 5]}: which of item {n // 5} holds?" for n in range(300)
    ]
    if number % 10 == 1:
        questions += [f"New question {n} of round {number} on {TOPICS[n % 5]}?" for n in range(5)]
    weak = TOPICS[number % 5]
    path = root / f"{number}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["example_id", "input_text", "output_text", "score"])
        for n, question in enumerate(questions):
            right = generator.random() < (0.3 if weak in question else 0.7)
            writer.writerow([n, question, "an answer", int(right)])
    options = {"model": f"org/model-{number}", "benchmark": "leaderboard"}
    return ingest(warehouse, [path], options=options)[0].partition


def check(finished: list[runs.FinishedRun]) -> None:
    """Stop if a run failed."""
    failures = [one.failure for one in finished if one.failure]
    if failures:
        raise SystemExit(failures[0])


if __name__ == "__main__":
    main()
