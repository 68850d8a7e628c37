"""Small inputs of many formats with right values, where the folder with them is at hand.

Each input stands for a kind of fault; the tests of the readers hold inputs of the same kinds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from errclust_pipeline.sources import find_submissions
from errclust_pipeline.sources.formats.mapping import read_mapping
from errclust_pipeline_tests.sources.reading import Read

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not at hand")


def read(name: str, **options: Any) -> dict[str, Read]:
    """Read a case: what is read of each model."""
    return {one.model: Read(one) for one in find_submissions(CASES / name, options=options)}


def mean(found: Read) -> float:
    scores = [row["score"] for row in found.rows]
    return round(sum(scores) / len(scores), 3)


def right(found: Read) -> tuple[int, int]:
    return len(found.rows), sum(row["correct"] for row in found.rows)


def test_two_reasoning_efforts_are_two_submissions() -> None:
    found = read("06_effort")
    assert {model: mean(one) for model, one in found.items()} == {
        "openai/gpt-5": 0.45,
        "openai/gpt-5@reasoning_effort-high": 0.8,
    }


def test_logs_of_other_task_arguments_are_two_submissions() -> None:
    found = read("inspect/mc_args")
    assert list(found) == ["mockllm/model", "mockllm/model@shuffle"]
    assert [len(one.rows) for one in found.values()] == [8, 8]


def test_scores_of_ten_are_read_once_the_scale_is_given() -> None:
    [found] = read("inspect/scale_ten_json", scale=[0, 10]).values()
    assert len(found.rows) == 12
    assert {row["score"] for row in found.rows} == {0.2, 0.7}


def test_partial_credit_counts_in_the_mean_and_the_threshold_says_what_is_right() -> None:
    [found] = read("inspect/graded_json").values()
    assert (mean(found), right(found)) == (0.625, (12, 9))
    [strict] = read("inspect/graded_json", threshold=1.0).values()
    assert (mean(strict), right(strict)) == (0.625, (12, 6))


def test_a_test_run_of_deepeval_is_right_where_all_metrics_passed() -> None:
    found = read("deepeval")
    assert {model: right(one) for model, one in found.items()} == {"my-model": (8, 4)}
    lenient = read("deepeval", metric="Lenient")["my-model"]
    assert mean(lenient) == 0.625


@pytest.mark.parametrize("name", ["promptfoo.json", "promptfoo.jsonl", "promptfoo_rows.json"])
def test_promptfoo_is_right_where_the_test_passed(name: str) -> None:
    found = read(f"promptfoo/{name}")
    assert {model: right(one) for model, one in found.items()} == {
        "anthropic:x": (6, 3),
        "openai:gpt-5": (6, 3),
    }
    assert found["anthropic:x"].rows[1]["question"] == "What is 1+1?"
    assert found["anthropic:x"].rows[1]["subject"] == "sum"


def test_verifiers_is_right_where_the_reward_is() -> None:
    [found] = read("verifiers/verifiers_traces.jsonl").values()
    assert right(found) == (6, 3)
    older = read("verifiers/verifiers_old_results.jsonl", model="m")["m"]
    assert [row["question"] for row in older.rows] == [row["question"] for row in found.rows]
    assert right(older) == (6, 3)


def test_a_benchmark_given_wins_over_a_column_called_dataset() -> None:
    options = read_mapping(CASES / "11_alpaca_dataset_column" / "map.yaml")
    submissions = find_submissions(CASES / "11_alpaca_dataset_column" / "t.csv", options=options)
    assert {one.benchmark for one in submissions} == {"my_suite"}
