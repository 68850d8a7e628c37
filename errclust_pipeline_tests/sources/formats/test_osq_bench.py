import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, Submission, find_submissions
from errclust_pipeline_tests.sources.reading import Read, write_lines


def row(number: int, verdict: Any = "Correct", **changes: Any) -> dict[str, Any]:
    return {
        "question": f"What is number {number}?",
        "gold_answer": f"number {number}",
        "os_answer": f"It is number {number}.",
        "os_eval": verdict,
        "mcq_answer": "C",
        "mcq_eval": True,
        "dataset": "ARC",
    } | changes


def write(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return path


def test_a_judged_answer_becomes_a_response(tmp_path: Path) -> None:
    path = write(tmp_path / "Large" / "GPT4" / "ARC.json", [row(0), row(1, "Incorrect")])
    [submission] = find_submissions(path)
    assert submission.reader == "osq_bench"
    assert (submission.benchmark, submission.model) == ("osq_arc", "GPT4")
    rows = Read(submission).rows
    expected = {
        "example_id": "1",
        "question": "What is number 1?",
        "choices": None,
        "gold": "number 1",
        "response": "It is number 1.",
        "prediction": None,
        "extraction_recorded": False,
        "score": 0.0,
        "correct": False,
        "metric": "os_eval",
        "metadata": '{"mcq_answer": "C", "mcq_eval": true}',
        "position": 1,
    }
    assert {name: rows[1][name] for name in expected} == expected
    assert rows[0]["correct"]


def test_what_the_leaderboards_script_writes_is_read(tmp_path: Path) -> None:
    # Without the multiple-choice fields, and the set is said by the file's name only.
    kept = ("question", "gold_answer", "os_answer", "os_eval")
    rows = [{name: row(number)[name] for name in kept} for number in range(3)]
    path = write(tmp_path / "evaluations" / "my-model" / "MedMCQA.json", rows)
    [submission] = find_submissions(path)
    assert (submission.benchmark, submission.model) == ("osq_medmcqa", "my-model")
    read = Read(submission)
    assert len(read.rows) == 3
    assert read.rows[0]["metadata"] is None


def test_the_hubs_parquet_files_hold_several_sets(tmp_path: Path) -> None:
    rows = [row(n, "Correct" if n % 3 else "Incorrect", dataset="ARC" if n % 2 else "piqa")
            for n in range(10)]  # fmt: skip
    path = tmp_path / "gpt4" / "train" / "0000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    for given_path in (path, tmp_path):
        piqa, arc = find_submissions(given_path)
        assert [(one.benchmark, one.model) for one in (piqa, arc)] == [
            ("osq_piqa", "gpt4"),
            ("osq_arc", "gpt4"),
        ]
        read = Read(arc)
        assert (len(read.rows), read.skipped, read.total) == (5, 5, 10)
        assert [one["example_id"] for one in read.rows] == ["1", "3", "5", "7", "9"]
    restored = Submission.from_json(piqa.to_json())
    assert Read(restored).rows == Read(piqa).rows
    with pytest.raises(SourceError, match="2 benchmarks"):
        find_submissions(path, options={"benchmark": "x"})
    assert {one.model for one in find_submissions(path, options={"model": "x"})} == {"x"}


def test_a_tree_gives_the_judged_files_and_not_the_questions(tmp_path: Path) -> None:
    for model in ("GPT4", "llama3"):
        for name in ("ARC", "race"):
            write(tmp_path / "Large" / model / f"{name}.json", [row(0, dataset=name)])
    asked = {"question": "?", "options": [{"label": "A", "text": "x"}], "answerKey": "A"}
    write(tmp_path / "questions" / "ARC.json", [asked])
    write(tmp_path / "notes.json", [row(0)])
    write(tmp_path / "Large" / "broken" / "MMLU.json", []).write_text("[{")
    found = find_submissions(tmp_path)
    assert sorted((one.benchmark, one.model) for one in found) == [
        ("osq_arc", "GPT4"),
        ("osq_arc", "llama3"),
        ("osq_race", "GPT4"),
        ("osq_race", "llama3"),
    ]
    with pytest.raises(SourceError, match="2 models"):
        find_submissions(tmp_path, options={"model": "x"})


@pytest.mark.parametrize(
    ("verdict", "correct"),
    [
        ("Correct", True),
        ("correct.", True),
        ("GRADE: Correct", True),
        ("**Incorrect**", False),
        (" Incorrect\n", False),
    ],
)
def test_the_judges_verdict_is_read_with_what_stands_around_it(
    tmp_path: Path, verdict: str, correct: bool
) -> None:
    path = write(tmp_path / "m" / "ARC.json", [row(0, verdict)])
    assert Read(find_submissions(path)[0]).rows[0]["correct"] is correct


def test_what_is_no_verdict_is_rejected_and_not_guessed(tmp_path: Path) -> None:
    rows = [
        row(0),
        row(1, None),
        row(2, "Cannot be answered"),
        row(3, "Correct, but not complete: Incorrect"),
        row(4, "Partially correct"),
        row(5, True),
        row(6, question=" "),
        row(7, os_answer=None, gold_answer=3),
        "stray",
        row(8, "Correct" * 10_000),
    ]
    read = Read(find_submissions(write(tmp_path / "m" / "ARC.json", rows))[0])
    assert read.reasons == [
        "not_judged",
        "not_judged",
        "unreadable_verdict",
        "unreadable_verdict",
        "unreadable_verdict",
        "missing_question",
        "not_an_object",
        "unreadable_verdict",
    ]
    assert [(one["response"], one["gold"]) for one in read.rows] == [
        ("It is number 0.", "number 0"),
        ("", "3"),
    ]
    assert read.total == len(rows)


def test_a_file_with_another_name_is_known_by_its_rows(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "answers.jsonl", [row(0)])
    [submission] = find_submissions(path, options={"model": "org/model"})
    assert (submission.reader, submission.model) == ("osq_bench", "org/model")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "Correct", "incorrect", "ARC", "piqa", "\ud800", "x" * 3_000]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "dataset"]), inner, max_size=2)
    ),
    max_leaves=6,
)
ROWS = st.builds(
    lambda new, gone: {name: value for name, value in (row(1) | new).items() if name not in gone},
    st.dictionaries(st.sampled_from(list(row(0))), VALUES, max_size=4),
    st.sets(st.sampled_from(list(row(0))), max_size=2),
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(ROWS | VALUES, max_size=6), cut=st.integers(0, 300), whole=st.booleans())
@example(rows=[row(1, dataset="\ud800")], cut=0, whole=True)
def test_whatever_the_file_it_ends_in_rows_rejects_or_one_error(
    rows: list[Any], cut: int, whole: bool
) -> None:
    content = json.dumps([row(0), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model", "ARC.json")
        path.parent.mkdir()
        path.write_text(content if whole else content[: len(content) - cut])
        with contextlib.suppress(SourceError):
            for submission in find_submissions(path, reader="osq_bench"):
                with contextlib.suppress(SourceError):
                    read = Read(submission)
                    if whole:
                        assert read.total == len(rows) + 1


@pytest.mark.parametrize("damage", ["truncated", "other"])
def test_a_damaged_parquet_file_is_one_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "m" / "0000.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist([row(0)]), path)
    [submission] = find_submissions(path)
    content = path.read_bytes()
    path.write_bytes(content[:-20] if damage == "truncated" else b"text")
    with pytest.raises(SourceError, match=r"0000\.parquet"):
        Read(submission)
    with pytest.raises(SourceError, match=r"0000\.parquet"):
        find_submissions(path)
