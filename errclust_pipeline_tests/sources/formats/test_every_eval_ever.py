import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline_tests.sources.reading import Read, result_or_refusal, write_lines
from errclust_pipeline_tests.sources.test_any_rows import changed


def instance(number: int, correct: bool = True, **changes: Any) -> dict[str, Any]:
    return {
        "schema_version": "0.2.1",
        "evaluation_id": "quiz/org__m/1",
        "model_id": "org/m",
        "evaluation_name": "quiz",
        "sample_id": f"s{number}",
        "sample_hash": None,
        "interaction_type": "single_turn",
        "input": {
            "raw": f"question {number}",
            "formatted": None,
            "reference": ["blue"],
            "choices": ["red", "blue"],
        },
        "output": {"raw": ["I say red"], "reasoning_trace": None},
        "messages": None,
        "answer_attribution": [
            {"turn_idx": 0, "extracted_value": "hm", "is_terminal": False},
            {"turn_idx": 0, "extracted_value": "red", "is_terminal": True},
            {"turn_idx": 0, "extracted_value": "late", "is_terminal": False},
        ],
        "evaluation": {"score": 7.5, "is_correct": correct},
        "error": None,
        "metadata": {"subject": "colours"},
    } | changes


def write(folder: Path, rows: list[Any]) -> Path:
    return write_lines(folder / "abc_samples.jsonl", rows)


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, options=options)
    assert submission.reader == "every_eval_ever"
    return Read(submission)


def test_an_instance_becomes_a_row_and_is_right_as_it_says(tmp_path: Path) -> None:
    path = write(tmp_path, [instance(1), instance(2, correct=False)])
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("quiz", "org/m")
    found = Read(submission)
    assert [row["score"] for row in found.rows] == [1.0, 0.0]
    expected = {
        "example_id": "s1",
        "question": "question 1",
        "choices": ["red", "blue"],
        "gold": "blue",
        "gold_choice": 1,
        "prediction": "red",
        "predicted_choice": 0,
        "extraction_recorded": True,
        "response": "I say red",
        "subject": "colours",
        "metric": "is_correct",
        "metadata": '{"score": 7.5, "subject": "colours"}',
    }
    assert {name: found.rows[0][name] for name in expected} == expected


def test_the_first_version_of_the_schema_reads_the_same(tmp_path: Path) -> None:
    old = instance(1, output={"raw": "I say red"}, schema_version="0.0.1")
    old["input"]["reference"] = "blue"
    [row] = read(write(tmp_path, [old])).rows
    assert (row["gold"], row["response"]) == ("blue", "I say red")


@pytest.mark.parametrize("name", ["messages", "interactions"])
def test_of_a_conversation_the_last_answer_is_the_response(tmp_path: Path, name: str) -> None:
    turns = [
        {"turn_idx": 0, "role": "assistant", "content": "first"},
        {"turn_idx": 1, "role": "assistant", "content": None, "reasoning_trace": "hm"},
        {"turn_idx": 2, "role": "tool", "content": "42"},
    ]
    talk = instance(1, interaction_type="agentic", output=None, answer_attribution=[])
    del talk["messages"]
    [row] = read(write(tmp_path, [talk | {name: turns}])).rows
    assert (row["response"], row["prediction"], row["extraction_recorded"]) == ("hm", None, False)


def test_evaluations_and_models_of_one_file_are_told_apart(tmp_path: Path) -> None:
    rows = [instance(1), instance(1, model_id="other"), instance(1, evaluation_name="exam"), "x"]
    found = find_submissions(write(tmp_path, rows))
    assert [(one.benchmark, one.model) for one in found] == [
        ("quiz", "org/m"),
        ("quiz", "other"),
        ("exam", "org/m"),
    ]
    for one in found:
        result = Read(one)
        assert (len(result.rows), result.reasons, result.skipped) == (1, ["not_an_object"], 2)
    with pytest.raises(SourceError, match="2 models, and option model names only one"):
        find_submissions(write(tmp_path, rows), options={"model": "m"})
    assert read(write(tmp_path, rows[:1]), model="m").rows[0]["model_name"] == "m"


def test_a_null_verdict_is_wrong_or_left_out(tmp_path: Path) -> None:
    rows = [instance(0), instance(1, evaluation={"is_correct": None})]
    path = write(tmp_path, rows)
    assert [row["score"] for row in read(path).rows] == [1.0, 0.0]
    left = read(path, null_scores="leave_out")
    assert (len(left.rows), left.skipped) == (1, 1)


def test_instances_that_cannot_be_used_are_rejected(tmp_path: Path) -> None:
    rows = [
        instance(0),
        instance(1, evaluation={"score": 1}),
        instance(2, evaluation=None),
        instance(3, input={"raw": "  "}),
        instance(4, model_id=""),
        instance(5, sample_id=None),
        instance(0),
    ]
    found = read(write(tmp_path, rows))
    assert found.reasons == [
        "missing_score",
        "missing_field",
        "missing_question",
        "missing_name",
        "missing_id",
        "duplicate_id",
    ]


def test_another_file_is_not_taken_for_one(tmp_path: Path) -> None:
    write_lines(tmp_path / "other.jsonl", [{"sample_id": 1}])
    write(tmp_path, [instance(1)])
    assert [Path(one.files[0]).name for one in find_submissions(tmp_path)] == ["abc_samples.jsonl"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_file_ends_in_a_traceback(data: st.DataObject) -> None:
    rows = data.draw(st.lists(changed(instance(1)), max_size=5))
    lines = [json.dumps(row).encode() for row in [instance(0), *rows]]
    nested = b'{"input": ' + b"[" * 100_000
    content = b"\n".join([*lines, nested])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(content)
        found = [Read(one) for one in find_submissions(path)[:1]]
        assert found[0].total == len(lines) + 1
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        cut = result_or_refusal(lambda: [Read(one) for one in find_submissions(path)])
        assert not isinstance(cut, SourceError) or str(path) in str(cut)


def test_worked_examples_are_no_part_of_the_question(tmp_path: Path) -> None:
    items = [f"Question: What is {number} + 1?\nA. {number}\nB. more" for number in range(8)]
    shots = "".join(f"Question: What is -{n}?\nAnswer: {n}\n\n" for n in range(5))
    questions = {}
    for name, before in (("zero", ""), ("five", "Answer these.\n\n" + shots)):
        rows = [
            instance(number, input={"raw": f"{before}{item}\nAnswer:"})
            for number, item in enumerate(items)
        ]
        folder = tmp_path / name
        folder.mkdir()
        questions[name] = [
            (row["question"], row["question_id"]) for row in read(write(folder, rows)).rows
        ]
    assert [question for question, _ in questions["five"]] == items
    assert questions["five"] == questions["zero"]
