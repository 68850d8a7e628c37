"""How much work is done, counted in calls of functions: the same number on every machine.

Seconds are measured in `benchmarks/`; here the numbers guard what makes them small.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from errclust_pipeline.analysis.knn_graph import cosine_neighbours
from errclust_pipeline.analysis.spatial import local_hot_spots
from errclust_pipeline.embedding.embedder import HashingEmbedder
from errclust_pipeline.sources import find_submissions, read_submission

ROWS = 600
COLUMNS = {"question": "text", "gold": "label", "prediction": "predicted"}


def calls_of(work: Callable[[], object]) -> int:
    """Count the functions that a piece of work calls, Python's and those it calls in C."""
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def calls_a_row(work: Callable[[int], Callable[[], object]]) -> float:
    """Count the calls that each row adds, whatever reading a file takes anyway."""
    small, large = work(ROWS), work(2 * ROWS)
    small()
    return (calls_of(large) - calls_of(small)) / ROWS


def reading(path: Path, **options: object) -> Callable[[], object]:
    (submission,) = find_submissions(path, options=options)
    return lambda: [batch.responses.num_rows for batch in read_submission(submission)]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_tables_are_read_without_a_loop_over_rows(tmp_path, ending):
    def work(rows: int) -> Callable[[], object]:
        path = tmp_path / f"reviews_{rows}.{ending}"
        table = pd.DataFrame(
            {
                "text": [f"a film, number {row}" for row in range(rows)],
                "label": ["good", "bad", "good"] * (rows // 3),
                "predicted": ["good"] * rows,
            }
        )
        if ending == "csv":
            table.to_csv(path, index=False)
        elif ending == "jsonl":
            table.to_json(path, orient="records", lines=True)
        else:
            table.to_parquet(path)
        return reading(path, model="my-org/my-model", benchmark="reviews", columns=COLUMNS)

    assert calls_a_row(work) < 3


def test_a_harness_sample_takes_few_calls(tmp_path):
    def work(rows: int) -> Callable[[], object]:
        folder = tmp_path / str(rows) / "my-org__my-model"
        folder.mkdir(parents=True)
        path = folder / "samples_trivia_2026-01-02T03-04-05.000000.jsonl"
        path.write_text(
            "".join(
                json.dumps(
                    {
                        "doc_id": row,
                        "doc": {"question": f"What is {row} plus 1?", "answer": str(row + 1)},
                        "target": str(row + 1),
                        "arguments": [[f"What is {row} plus 1?"]],
                        "resps": [[str(row)]],
                        "filtered_resps": [str(row)],
                        "exact_match": 0.0,
                    }
                )
                + "\n"
                for row in range(rows)
            )
        )
        return reading(path)

    assert calls_a_row(work) < 200


def test_neighbours_and_statistics_work_on_whole_blocks():
    def work(rows: int) -> Callable[[], object]:
        texts = [f"word{row} word{row % 7} word{row % 11}" for row in range(rows)]
        vectors = HashingEmbedder().embed(texts, lambda _: None)
        neighbours, _ = cosine_neighbours(vectors, 20, block_rows=3 * ROWS)
        marks = np.arange(rows) % 3 == 0
        return lambda: (
            cosine_neighbours(vectors, 20, block_rows=3 * ROWS),
            local_hot_spots(marks.astype(float), neighbours, 20),
        )

    assert calls_a_row(work) < 0.5
