"""Version 2's details: outputs of lm-evaluation-harness 0.4.3, read by the reader for these."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import find_submissions
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.helpers.leaderboards import (
    EARLY_TIME,
    TASKS,
    TIME,
    details_v2,
    is_right,
    sample,
)
from errclust_pipeline_tests.sources.reading import Read, read_or_error
from errclust_pipeline_tests.sources.test_any_rows import changed

METRICS = {
    "leaderboard_bbh": "acc_norm",
    "leaderboard_gpqa": "acc_norm",
    "leaderboard_musr": "acc_norm",
    "leaderboard_math": "exact_match",
    "leaderboard_ifeval": "prompt_level_strict_acc",
    "leaderboard_mmlu_pro": "acc",
}
EXAMPLES = (
    "leaderboard_bbh_snarks", "leaderboard_gpqa_main", "leaderboard_musr_team_allocation",
    "leaderboard_math_algebra_hard", "leaderboard_ifeval", "leaderboard_mmlu_pro",
)  # fmt: skip


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


@pytest.mark.parametrize("as_list", [False, True], ids=["jsonl", "json"])
def test_every_task_is_read_by_the_metric_that_ranked(tmp_path: Path, as_list: bool) -> None:
    write(tmp_path, details_v2("org/model", as_list=as_list))
    submissions = find_submissions(tmp_path)
    assert sorted(one.benchmark for one in submissions) == sorted(TASKS)
    assert {(one.model, one.reader) for one in submissions} == {("org/model", "lm_eval")}
    for submission in submissions:
        result = Read(submission)
        metric = next(m for start, m in METRICS.items() if submission.benchmark.startswith(start))
        assert not result.rejects
        assert [row["correct"] for row in result.rows] == [is_right(n) for n in range(6)]
        assert {row["metric"] for row in result.rows} == {metric}


def rows_of(tmp_path: Path, task: str) -> list[dict[str, Any]]:
    write(tmp_path, details_v2("org/model", [task]))
    [submission] = find_submissions(tmp_path)
    return Read(submission).rows


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (
            "leaderboard_bbh_snarks",
            {
                "question": "Which of these is case 1?",
                "choices": ["(A)", "(B)"],
                "gold": "(B)",
                "prediction": "(A)",
            },
        ),
        (
            "leaderboard_gpqa_main",
            {
                "question": "What follows from experiment 1?",
                "choices": [f"outcome 1 {letter}" for letter in "ABCD"],
                "gold": "outcome 1 B",
                "prediction": "outcome 1 C",
                "subject": "Organic Chemistry",
            },
        ),
        (
            "leaderboard_musr_team_allocation",
            {
                "question": "It was night 1 in the old house, and someone was missing.\n\n"
                "Who is the most likely murderer?",
                "choices": ["Ada", "Grace"],
                "gold": "Grace",
                "prediction": "Ada",
            },
        ),
        (
            "leaderboard_mmlu_pro",
            {
                "choices": [f"rule 1 {letter}" for letter in "ABCDEFGHIJ"],
                "gold": "rule 1 B",
                "prediction": "rule 1 C",
                "subject": "law",
            },
        ),
        (
            "leaderboard_math_algebra_hard",
            {
                "question": "What is $1 + 1$?",
                "choices": None,
                "gold": "2",
                "response": "The final answer is $-1$.",
                "prediction": "-1",
            },
        ),
        (
            "leaderboard_ifeval",
            {
                "question": "Write 11 words without a comma, all in capitals.",
                "response": "SOME WORDS",
                "score": 0.0,
            },
        ),
    ],
)
def test_what_is_kept_of_a_row(tmp_path: Path, task: str, expected: dict[str, Any]) -> None:
    row = rows_of(tmp_path, task)[1]
    assert {name: row[name] for name in expected} == expected


def test_a_local_run_and_the_leaderboards_of_a_model_are_one_submission(tmp_path: Path) -> None:
    task = "leaderboard_bbh_snarks"
    local = write(tmp_path / "local", details_v2("org/model_1.5", [task]))
    fetched = details_v2("org/model_1.5", [task], time=EARLY_TIME, with_results=False)
    of_both = [
        SubmissionPartition.of_names(one.benchmark, one.model)
        for folder in (local, write(tmp_path / "fetched", fetched))
        for one in find_submissions(folder)
    ]
    assert of_both == [SubmissionPartition(task, "org__model_1.5")] * 2


@pytest.mark.parametrize("task", EXAMPLES)
@pytest.mark.parametrize("as_list", [False, True], ids=["jsonl", "json"])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_in_a_file_ends_in_rows_rejects_or_one_error(
    task: str, as_list: bool, data: st.DataObject
) -> None:
    good = sample(task, 0)
    rows = [good, *data.draw(st.lists(changed(good), max_size=5))]
    lines = [json.dumps(row) for row in rows]
    content = f"[{','.join(lines)}]" if as_list else "\n".join(lines) + "\n"
    keep = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"samples_{task}_{TIME}.json{'' if as_list else 'l'}")
        path.write_text(content[:keep])
        [submission] = find_submissions(path)
        result, error = read_or_error(submission)
    if keep == len(content):
        assert result is not None
        assert result.total == len(rows)
    assert result is not None or str(path) in error
