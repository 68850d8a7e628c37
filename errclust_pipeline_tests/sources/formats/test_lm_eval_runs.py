"""Runs of lm-evaluation-harness: conditions, direction of a metric, and runs without one."""

import json
from pathlib import Path
from typing import Any

from errclust_pipeline.sources import find_submissions
from errclust_pipeline_tests.sources.formats.test_lm_eval import generated, samples
from errclust_pipeline_tests.sources.reading import Read

TIMES = ("2025-01-28T10-22-20.980995", "2025-02-28T10-22-20.980995")


def run(folder: Path, time: str, rows: list[dict[str, Any]], **stated: Any) -> None:
    """Write a run of task ``sums`` by org/model: its samples, and what its results file states."""
    samples(folder, "sums", rows, time)
    results = {
        "results": {"sums": {"alias": "sums"}},
        "config": {"model": "hf", "model_args": "pretrained=org/model"},
        "model_name": "org/model",
    }
    (folder / f"results_{time}.json").write_text(json.dumps(results | stated))


def test_runs_with_other_numbers_of_shots_are_two_submissions_of_the_same_questions(
    tmp_path: Path,
) -> None:
    for time, shots in zip(TIMES, (0, 5), strict=True):
        run(tmp_path, time, [generated(n) for n in range(6)], **{"n-shot": {"sums": shots}})
    submissions = find_submissions(tmp_path)
    assert {one.model for one in submissions} == {"org/model", "org/model@5-shot"}
    first, second = ({row["question_id"] for row in Read(one).rows} for one in submissions)
    assert len(first) == 6
    assert first == second


def test_of_two_runs_with_the_same_conditions_the_newer_counts(tmp_path: Path) -> None:
    for time, score in zip(TIMES, (0.0, 1.0), strict=True):
        rows = [generated(n, exact_match=score) for n in range(6)]
        run(tmp_path, time, rows, **{"n-shot": {"sums": 5}})
    [submission] = find_submissions(tmp_path)
    assert [row["score"] for row in Read(submission).rows] == [1.0] * 6


def test_a_newer_run_of_fewer_questions_does_not_replace_a_full_one(tmp_path: Path) -> None:
    run(tmp_path, TIMES[0], [generated(n) for n in range(6)])
    limited = {"n-samples": {"sums": {"original": 6, "effective": 2}}}
    run(tmp_path, TIMES[1], [generated(n) for n in range(2)], **limited)
    plain = [one for one in find_submissions(tmp_path) if one.model == "org/model"]
    assert [len(Read(one).rows) for one in plain] == [6]


def test_a_metric_whose_lower_values_are_better_is_turned_round(tmp_path: Path) -> None:
    rows = [generated(n, exact_match=float(n == 0)) for n in range(6)]
    run(tmp_path, TIMES[0], rows, higher_is_better={"sums": {"exact_match": False}})
    [submission] = find_submissions(tmp_path)
    assert [row["score"] for row in Read(submission).rows] == [0.0, *[1.0] * 5]


def test_responses_without_a_metric_are_kept_as_errors_to_be_grouped(tmp_path: Path) -> None:
    rows = [generated(n, metrics=["bypass"], bypass=999) for n in range(6)]
    for row in rows:
        del row["exact_match"]
    run(tmp_path, TIMES[0], rows)
    [submission] = find_submissions(tmp_path)
    read = Read(submission).rows
    assert [row["response"] for row in read] == ["I think it is 5."] * 6
    assert {row["correct"] for row in read} == {False}
