import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from errclust_pipeline.sources import SourceError, find_submissions, read_submission
from errclust_pipeline.sources.formats.mmlu_pro import is_guessed
from errclust_pipeline_tests.sources.reading import Read, write_zip


def row(number: int, pred: Any = "B", **changes: Any) -> dict[str, Any]:
    return {
        "question_id": number,
        "question": f"Question {number}?",
        "options": ["one", "two", "three"],
        "answer": "B",
        "answer_index": 1,
        "cot_content": "",
        "category": "maths",
        "src": "ori_mmlu-algebra",
        "pred": pred,
        "generated_text": f"The answer is ({pred}).",
    } | changes


def write(folder: Path, rows: list[Any], model: str = "Some-Model") -> Path:
    name = f"model_outputs_{model}_5shots"
    return write_zip(folder / f"{name}.zip", {f"{name}.json": json.dumps(rows).encode()})


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, reader="mmlu_pro", options=options)
    return Read(submission)


def test_a_row_becomes_a_response(tmp_path: Path) -> None:
    path = write(tmp_path, [row(7, "C")])
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("mmlu_pro", "Some-Model")
    [response] = Read(submission).rows
    expected = {
        "example_id": "7",
        "subject": "maths",
        "question": "Question 7?",
        "choices": ["one", "two", "three"],
        "gold": "two",
        "gold_choice": 1,
        "response": "The answer is (C).",
        "prediction": "three",
        "predicted_choice": 2,
        "prediction_guessed": False,
        "score": 0.0,
        "correct": False,
        "metadata": '{"src": "ori_mmlu-algebra"}',
        "model_name": "Some-Model",
        "position": 0,
    }
    assert {name: response[name] for name in expected} == expected


def test_a_prediction_that_stands_nowhere_in_the_response_is_guessed(tmp_path: Path) -> None:
    rows = [
        row(1, "B", generated_text="no idea at all"),
        row(2, None, generated_text="no idea at all"),
        row(3, "B", generated_text=None, model_outputs="Answer: B"),
        row(4, "C", generated_text="so it must be C"),
        row(5, "J"),
    ]
    found = read(write(tmp_path, rows)).rows
    assert [one["prediction_guessed"] for one in found] == [True, False, False, False, False]
    assert [one["correct"] for one in found] == [True, False, True, False, False]
    assert found[1]["prediction"] is None
    # A letter beyond the options is no choice.
    assert (found[4]["prediction"], found[4]["predicted_choice"]) == ("J", None)


def test_looking_for_an_answer_takes_linear_time_on_a_looping_response() -> None:
    started = time.perf_counter()
    assert is_guessed("answer is (x) answer: y " * 50_000)
    assert not is_guessed("A" * 500_000 + " B")
    assert time.perf_counter() - started < 1


def test_unusable_rows_are_rejected_and_all_rows_are_accounted_for(tmp_path: Path) -> None:
    rows = [
        row(1),
        "other",
        {"question_id": 2},
        row(3, answer=None),
        row(1),
        row(4, question=["not", "text"], options={"a": 1}, category=5, src=["x"], answer_index=1e9),
        row(5, question="lone \ud800 surrogate"),
        row(6, pred=3, generated_text=12, answer_index=2**40, options=None),
        None,
        row("7"),
    ]
    found = read(write(tmp_path, rows))
    assert found.reasons == [
        "not_an_object",
        "missing_field",
        "missing_gold",
        "duplicate_id",
        "not_an_object",
    ]
    assert [one["example_id"] for one in found.rows] == ["1", "4", "5", "6", "7"]
    assert found.rows[2]["question"] == "lone \ufffd surrogate"
    assert found.total == len(rows)
    assert [reject["position"] for reject in found.rejects] == [1, 2, 3, 4, 8]


def test_a_truncated_list_keeps_the_rows_before_the_break(tmp_path: Path) -> None:
    content = json.dumps([row(1), row(2), row(3)])[:-50]
    path = tmp_path / "model_outputs_x_5shots.json"
    path.write_text(content)
    found = read(path)
    assert len(found.rows) == 2
    assert found.reasons == ["truncated_file"]


def test_a_plain_file_with_another_name_is_known_by_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "my results.json"
    path.write_text(json.dumps([row(1)]))
    [submission] = find_submissions(path)
    assert (submission.reader, submission.model) == ("mmlu_pro", "my results")
    [renamed] = find_submissions(path, options={"model": "org/é|x" * 50})
    assert Read(renamed).rows[0]["model_name"] == "org/é|x" * 50


@pytest.mark.parametrize("content", [b"", b"[]", b"[1, 2]", b'[{"a": 1}]', b"\xff\xfe[\x00"])
def test_a_file_of_the_right_name_but_wrong_content_is_an_error(
    tmp_path: Path, content: bytes
) -> None:
    path = write_zip(tmp_path / "model_outputs_x_5shots.zip", {"a.json": content})
    with pytest.raises(SourceError, match=r"model_outputs_x_5shots\.zip"):
        find_submissions(path)


def test_a_file_without_any_usable_row_is_an_error_that_says_why(tmp_path: Path) -> None:
    path = write(tmp_path, [row(1, answer=None), row(2, answer=3)])
    [submission] = find_submissions(path)
    with pytest.raises(SourceError, match=r"none of its 2 rows.*missing_gold 2x.*row 0"):
        Read(submission)


def test_a_folder_gives_one_submission_a_file(tmp_path: Path) -> None:
    write(tmp_path, [row(1)], "a")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", [row(1)], "b")
    assert [one.model for one in find_submissions(tmp_path)] == ["a", "b"]
    with pytest.raises(SourceError, match="names only one"):
        find_submissions(tmp_path, options={"model": "c"})


PEAK_OF_READING = """
import sys, tracemalloc
from pathlib import Path
from errclust_pipeline.sources import find_submissions, read_submission

[submission] = find_submissions(Path(sys.argv[1]))
tracemalloc.start()
for batch in read_submission(submission, 200):
    del batch
print(tracemalloc.get_traced_memory()[1])
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    sizes = []
    # The smaller one is longer than the parts that a file is read in.
    for rows in (4_000, 16_000):
        path = tmp_path / f"model_outputs_m{rows}_5shots.json"
        path.write_text(json.dumps([row(n, generated_text="word " * 500) for n in range(rows)]))
        # In a process of its own: what threads of other tests allocate would count as well.
        command = [sys.executable, "-c", PEAK_OF_READING, str(path)]
        sizes.append(int(subprocess.run(command, capture_output=True, check=True).stdout))
    # The ids seen, for finding duplicates, are all that is kept: about 100 bytes a row.
    assert sizes[1] - sizes[0] < 12_000 * 300


REAL = {
    "DeepSeek-Coder-V2": (10_351, 3_765, 43, 52),
    "Llama-2-7b-hf": (12_032, 9_825, 0, 0),
    "Meta-Llama-3_1-8B-Instruct": (12_032, 6_715, 0, 692),
    "Mistral-7B-Instruct-v0.2": (12_032, 8_572, 0, 0),
    "Qwen1.5-110B": (12_032, 6_112, 0, 0),
    "gemini-1.5-pro-002": (12_020, 3_576, 0, 0),
    "jamba-1.5-large": (12_032, 6_081, 0, 0),
    "mathstral-7B": (12_032, 6_979, 0, 242),
}


@pytest.mark.parametrize("model", REAL)
def test_real_files_give_their_known_counts(real_mmlu_pro: Path, model: str) -> None:
    [submission] = find_submissions(real_mmlu_pro / f"model_outputs_{model}_5shots.zip")
    assert submission.model == model
    usable = wrong = rejected = guessed = 0
    for batch in read_submission(submission):
        usable += batch.responses.num_rows
        wrong += batch.responses.num_rows - batch.responses["correct"].true_count
        guessed += batch.responses["prediction_guessed"].true_count
        rejected += batch.rejects.num_rows
        assert batch.skipped == 0
    assert (usable, wrong, rejected, guessed) == REAL[model]
