"""Results of promptfoo, DeepEval, verifiers and lighteval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.parsing.archive import ZstdFile
from errclust_pipeline_tests.sources.reading import Read, write_lines


def read_all(path: Path, **options: Any) -> dict[str, Read]:
    return {one.model: Read(one) for one in find_submissions(path, options=options)}


def columns(found: Read, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in found.rows]


def promptfoo_row(number: int, provider: str = "openai:m", **fields: Any) -> dict[str, Any]:
    row = {
        "promptIdx": 0,
        "testIdx": number,
        "testCase": {
            "assert": [{"type": "equals", "value": f"{number + 1}"}],
            "metadata": {"category": "sums"},
        },
        "provider": {"id": provider, "label": ""},
        "prompt": {"raw": f"Be brief. What is {number} + 1?", "label": "plain"},
        "vars": {"question": f"What is {number} + 1?", "unused": "nowhere"},
        "response": {"output": f"It is {number + 1}"},
        "success": True,
        "score": 0.6,
        "failureReason": 0,
        "namedScores": {"style": 0.25},
        "gradingResult": {"pass": True, "score": 1, "reason": "fine"},
    }
    return row | fields


def promptfoo_file(folder: Path, rows: list[Any], description: str | None = "sums") -> Path:
    path = folder / "out.json"
    content = {
        "evalId": "e",
        "results": {"version": 3, "prompts": [{"raw": "x"}], "results": rows, "stats": {}},
        "config": {"description": description} if description else {},
    }
    path.write_text(json.dumps(content, indent=1))
    return path


def test_a_test_of_promptfoo_becomes_a_row_of_its_provider(tmp_path: Path) -> None:
    rows = [promptfoo_row(0), promptfoo_row(0, "local:x", success=False), promptfoo_row(1)]
    path = promptfoo_file(tmp_path, rows)
    assert {one.benchmark for one in find_submissions(tmp_path)} == {"sums"}
    found = read_all(path)
    assert columns(found["openai:m"], "example_id", "question", "gold", "score", "subject") == [
        ("0", "What is 0 + 1?", "1", 1.0, "sums"),
        ("1", "What is 1 + 1?", "2", 1.0, "sums"),
    ]
    assert columns(found["local:x"], "score") == [(0.0,)]
    assert found["local:x"].skipped == 2


def test_named_scores_of_promptfoo_can_decide(tmp_path: Path) -> None:
    path = promptfoo_file(tmp_path, [promptfoo_row(0)], None)
    assert columns(read_all(path, metric="style")["openai:m"], "score") == [(0.25,)]
    assert columns(read_all(path, metric="score")["openai:m"], "score") == [(0.6,)]
    with pytest.raises(SourceError, match="there are: score, style"):
        read_all(path, metric="facts")


def test_prompts_of_promptfoo_are_kept_apart_and_failures_are_rejected(tmp_path: Path) -> None:
    rows = [
        promptfoo_row(0),
        promptfoo_row(1, failureReason=2, error="no network"),
        promptfoo_row(0, promptIdx=1, prompt={"raw": "Think. What is 0 + 1?", "label": "think"}),
    ]
    found = read_all(promptfoo_file(tmp_path, rows))
    assert list(found) == ["openai:m", "openai:m@prompt-1_think"]
    assert found["openai:m"].reasons == ["sample_failed"]


def test_a_file_of_promptfoo_that_breaks_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = promptfoo_file(tmp_path, [promptfoo_row(number) for number in range(3)])
    path.write_text(path.read_text()[: path.read_text().rindex('"promptIdx"') + 20])
    found = read_all(path)["openai:m"]
    assert (len(found.rows), found.reasons) == (2, ["truncated_file"])


def deepeval_case(number: int, **fields: Any) -> dict[str, Any]:
    case = {
        "name": f"case {number}",
        "input": f"What is {number} + 1?",
        "actualOutput": "It is 1",
        "expectedOutput": f"{number + 1}",
        "success": number == 0,
        "metricsData": [
            {"name": "Relevancy", "threshold": 0.5, "success": True, "score": 0.75, "reason": "ok"}
        ],
        "metadata": {"topic": "sums"},
    }
    return case | fields


def deepeval_run(cases: list[Any], **fields: Any) -> dict[str, Any]:
    return {"testCases": cases, "hyperparameters": {"model": "m", "temperature": 0}} | fields


def test_a_case_of_deepeval_is_right_if_it_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "test_run_1.json"
    path.write_text(json.dumps(deepeval_run([deepeval_case(0), deepeval_case(1)])))
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.conditions) == ("deepeval", {"temperature": "0"})
    found = Read(submission)
    assert columns(found, "question", "gold", "score", "subject") == [
        ("What is 0 + 1?", "1", 1.0, "sums"),
        ("What is 1 + 1?", "2", 0.0, "sums"),
    ]
    assert columns(read_all(path, metric="Relevancy")["m"], "score") == [(0.75,)] * 2


def test_a_test_run_without_a_model_asks_for_it(tmp_path: Path) -> None:
    path = tmp_path / "test_run_1.json"
    path.write_text(json.dumps(deepeval_run([deepeval_case(0)], hyperparameters={})))
    with pytest.raises(SourceError, match="--model"):
        find_submissions(path)
    assert list(read_all(path, model="mine")) == ["mine"]


def episode(number: int, **trace: Any) -> dict[str, Any]:
    return {
        "id": f"e{number}",
        "env": {"id": "sums"},
        "traces": [
            {
                "id": f"t{number}",
                "task": {
                    "type": "T",
                    "data": {"idx": number, "prompt": f"What is {number} + 1?", "answer": "1"},
                },
                "agent": {"config": {"model": "m"}},
                "rewards": {
                    "right": {"score": 1.0, "weight": 0.75},
                    "form": {"score": 0.0, "weight": 0.25},
                },
                "metrics": {"length": 3.0},
                "root_reply": "1",
                "stop_condition": "done",
            }
            | trace
        ],
    }


def verifiers_result(number: int, **fields: Any) -> dict[str, Any]:
    row = {
        "example_id": number,
        "prompt": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"What is {number} + 1?"},
        ],
        "completion": [{"role": "assistant", "content": "1"}],
        "task": "default",
        "reward": 0.75,
        "answer": "1",
        "metrics": {"right": 1.0},
    }
    return row | fields


def test_the_reward_of_an_episode_is_the_weighted_sum(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "traces.jsonl", [episode(0), episode(1), episode(1)])
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("sums", "m")
    found = Read(submission)
    assert columns(found, "example_id", "question", "score", "response") == [
        ("0", "What is 0 + 1?", 0.75, "1"),
        ("1", "What is 1 + 1?", 0.75, "1"),
        ("1#2", "What is 1 + 1?", 0.75, "1"),
    ]
    assert columns(read_all(path, metric="form")["m"], "score") == [(0.0,)] * 3
    assert Read(submission).rows[0]["finish_reason"] == "done"


def test_an_episode_that_failed_is_rejected(tmp_path: Path) -> None:
    rows = [episode(0), episode(1, errors=["timeout"]), episode(2, rewards={})]
    [found] = read_all(write_lines(tmp_path / "traces.jsonl", rows)).values()
    assert found.reasons == ["sample_failed", "missing_score"]


def test_older_results_are_named_by_their_metadata_or_folder(tmp_path: Path) -> None:
    folder = tmp_path / "sums--org--m" / "abc"
    folder.mkdir(parents=True)
    path = write_lines(folder / "results.jsonl", [verifiers_result(0), verifiers_result(0)])
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("sums", "org/m")
    assert columns(Read(submission), "example_id", "question", "response", "score") == [
        ("0", "What is 0 + 1?", "1", 0.75),
        ("0#2", "What is 0 + 1?", "1", 0.75),
    ]
    (folder / "metadata.json").write_text(json.dumps({"env_id": "e", "model": "n"}))
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("e", "n")


def lighteval_file(folder: Path, rows: list[dict[str, Any]]) -> Path:
    time = "2026-01-01T10-00-00.123456"
    path = folder / "details" / "org" / "m" / time / f"details_suite|quiz|5_{time}.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_details_of_lighteval_are_read(tmp_path: Path) -> None:
    rows = [
        {
            "doc": {
                "query": f"Answer this.\n\nQuestion: is {number} odd?\nAnswer:",
                "choices": [" yes", " no"],
                "gold_index": [number % 2],
                "id": str(number),
            },
            "model_response": {"text": [], "logprobs": [-1.0, -2.0]},
            "metric": {"acc": number % 2, "acc_norm": 0},
        }
        for number in range(5)
    ]
    lighteval_file(tmp_path, rows)
    [submission] = find_submissions(tmp_path)
    assert (submission.benchmark, submission.model) == ("quiz", "org/m")
    assert submission.conditions == {"shots": "5"}
    assert "acc decides what is right. Other metrics: acc_norm" in submission.notes[0]
    found = Read(submission)
    assert columns(found, "question", "gold_choice", "predicted_choice", "score")[1] == (
        "Question: is 1 odd?", 1, 0, 1.0,
    )  # fmt: skip


def test_files_packed_by_zstandard_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl.zst"
    with ZstdFile(path, "w") as file:
        for number in range(3):
            row = {"input_text": f"q{number}", "model": "m", "score": 1}
            file.write(json.dumps(row).encode() + b"\n")
    assert len(read_all(path)["m"].rows) == 3
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(SourceError, match="damaged"):
        read_all(path)
