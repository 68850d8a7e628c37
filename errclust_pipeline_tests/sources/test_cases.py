"""Small inputs of many formats with right values, where the folder with them is at hand.

Each input stands for a kind of fault; the tests of the readers hold inputs of the same kinds.
"""

from __future__ import annotations

import json
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


# ---- lm-evaluation-harness -----------------------------------------------------------------------


def counted(name: str, metric: str, *, higher_is_better: bool = True) -> list[tuple[int, float]]:
    """Count rows and right ones of a folder's samples files, by independent code."""
    counts = []
    for path in sorted((CASES / name).rglob("*.jsonl")):
        text = path.read_text()
        lines = text.split("\n") if not text.startswith("[") else []
        rows = [json.loads(line) for line in lines if line] or json.loads(text)
        seen = {row["doc_id"]: row for row in reversed(rows)}.values()
        right = sum((row[metric] >= 0.5) == higher_is_better for row in seen)
        counts.append((len(seen), right))
    return counts


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("01_blimp", "acc"),
        ("02_anli", "acc"),
        ("04_fewshot", "acc"),
        ("nan", "acc"),
        ("u2028", "exact_match"),
        ("he", "pass@1"),
        ("mm", "acc"),
        ("lm_eval_output_path_file", "acc"),
    ],
)
def test_rows_and_right_ones_are_what_a_count_of_the_file_gives(name: str, metric: str) -> None:
    assert [right(one) for one in read(name).values()] == counted(name, metric)


def test_each_premise_and_hypothesis_is_a_question_of_its_own() -> None:
    found = read("02_anli")["lab/m1"]
    assert len({row["question_id"] for row in found.rows}) == len(found.rows)
    never = [row["correct"] for row in found.rows if " never " in row["question"]]
    assert sum(never) < 0.5 * len(never)


def test_a_run_with_examples_and_one_without_share_their_questions() -> None:
    with_shots, without = read("04_fewshot").values()
    ids = [row["question_id"] for row in with_shots.rows]
    assert ids == [row["question_id"] for row in without.rows]
    assert not any("\n\n" in row["question"] for row in with_shots.rows)


def test_toxic_continuations_are_the_errors() -> None:
    [found] = read("03_tox").values()
    assert mean(found) == 0.683
    [submission] = find_submissions(CASES / "03_tox")
    assert any("the lower the metric score, the better" in note for note in submission.notes)


def test_an_old_run_is_read_with_all_of_its_tasks() -> None:
    found = find_submissions(CASES / "07_old_lm_eval")
    assert [(one.model, one.benchmark) for one in found] == [
        ("mistralai/Mistral-7B-v0.1", "arc_challenge"),
        ("mistralai/Mistral-7B-v0.1", "arc_easy"),
    ]
    assert [right(Read(one)) for one in found] == counted("07_old_lm_eval", "acc_norm")


def test_the_filter_that_decides_is_said_with_the_others() -> None:
    [submission] = find_submissions(CASES / "maj")
    [note] = submission.notes
    assert "score-first decides" in note
    assert "maj@4" in note
    assert len(Read(submission).rows) == 20


def test_a_limited_run_replaces_no_full_one() -> None:
    [submission] = find_submissions(CASES / "lm_eval_limit_after_full")
    assert right(Read(submission)) == (8, 4)
    assert any("limited to 3 questions" in note for note in submission.notes)


def test_programs_are_read_as_text_and_options_given_as_the_text_of_a_list() -> None:
    [programs] = read("he").values()
    assert programs.rows[0]["prediction"].startswith("def f0(xs):")
    [images] = read("mm").values()
    assert images.rows[0]["choices"] == ["heart", "lung", "liver", "kidney"]
