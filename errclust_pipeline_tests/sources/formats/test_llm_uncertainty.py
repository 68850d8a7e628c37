import contextlib
import itertools
import json
import os
import pickle
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from errclust_pipeline.sources import SourceError, Submission, find_submissions
from errclust_pipeline.sources.formats.llm_uncertainty import DEMONSTRATIONS
from errclust_pipeline_tests.sources.reading import Read

PICKLE = "Org-7b-hf_mmlu_10k_base_icl1.pkl"
OPTIONS = "ABCDEF"


def question(number: int, answer: str = "B", **changes: Any) -> dict[str, Any]:
    return {
        "source": "MMLU",
        "id": number,
        "question": f"Question {number}?",
        "context": None,
        "choices": {
            **{label: f"{label.lower()} {number}" for label in "ABCD"},
            "E": "I don't know",
            "F": "None of the above",
        },
        "answer": answer,
        "answer_type": "label",
    } | changes


def logits(number: int, values: Any = (0, 2, 1, 0, -1, -3), **changes: Any) -> dict[str, Any]:
    return {"id": number, "logits_options": np.array(values, "f4")} | changes


def write(
    folder: Path,
    entries: Any,
    questions: list[Any],
    name: str = PICKLE,
    where: str = "outputs_base",
) -> Path:
    """Write a pickle and its questions as they lie in the authors' repository."""
    path = folder / where / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(entries))
    task = next(task for task in ("mmlu_10k", "halu_dialogue") if task in name)
    data = folder / "data" / f"{task}.json"
    data.parent.mkdir(exist_ok=True)
    data.write_text(json.dumps(questions))
    return path


def padded(entries: list[Any]) -> list[Any]:
    """Entries from position 10 on, after those that include the demonstrations."""
    return [logits(-number) for number in range(1, 11)] + entries


def padding() -> list[Any]:
    return [question(-number) for number in range(1, 11)]


def test_the_largest_logit_is_the_choice(tmp_path: Path) -> None:
    values = [0.5, 2.0, 1.0, 0.0, -1.0, -3.0]
    path = write(tmp_path, [logits(0, values)], [question(0, "C", context="A passage.")])
    [submission] = find_submissions(path)
    assert submission.benchmark == "llm_uncertainty_mmlu_10k_base_icl1"
    assert submission.model == "Org-7b-hf"
    [row] = Read(submission).rows
    expected = {
        "example_id": "0",
        "question": "A passage.\n\nQuestion 0?",
        "choices": ["a 0", "b 0", "c 0", "d 0", "I don't know", "None of the above"],
        "gold": "c 0",
        "gold_choice": 2,
        "response": None,
        "prediction": "b 0",
        "predicted_choice": 1,
        "extraction_recorded": True,
        "score": 0.0,
        "correct": False,
        "metric": "acc",
        "choice_lengths": [1, 1, 1, 1, 1, 1],
        "metadata": '{"source": "MMLU", "answer_type": "label"}',
        "position": 0,
    }
    assert {name: row[name] for name in expected} == expected


def test_log_likelihoods_are_the_log_softmax_over_the_options(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(scale=30, size=(40, 6)).astype("f4")
    entries = [logits(number, row) for number, row in enumerate(values)]
    path = write(tmp_path, entries, [question(number) for number in range(40)])
    rows = Read(find_submissions(path)[0]).rows
    kept = [number for number in range(40) if number not in DEMONSTRATIONS]
    found = np.array([row["choice_log_likelihoods"] for row in rows])
    np.testing.assert_allclose(found, log_softmax(values[kept].astype("f8"), axis=1), rtol=1e-12)
    # What conformal prediction takes is their exponential.
    np.testing.assert_allclose(np.exp(found), softmax(values[kept].astype("f8"), axis=1))


def test_demonstrations_are_passed_over_as_the_authors_do(tmp_path: Path) -> None:
    entries = [logits(number) for number in range(12)]
    path = write(tmp_path, entries, [question(number) for number in range(12)])
    read = Read(find_submissions(path)[0])
    assert [row["example_id"] for row in read.rows] == ["0", "2", "4", "6", "8", "10", "11"]
    assert (read.skipped, read.total) == (5, 12)


def test_questions_are_matched_by_id_and_not_by_place(tmp_path: Path) -> None:
    entries = padded([logits(3), logits(5, (9, 0, 0, 0, 0, 0))])
    questions = [question(5, "A"), *padding(), question(4, "F"), question(3, "B")]
    read = Read(find_submissions(write(tmp_path, entries, questions))[0])
    found = {row["example_id"]: (row["position"], row["correct"]) for row in read.rows}
    assert found["3"] == (10, True)
    assert found["5"] == (11, True)


def test_prompts_are_benchmarks_and_folders_of_templates_too(tmp_path: Path) -> None:
    for where, prompt in itertools.product(
        ("outputs_base", "outputs_chat_v1"), ("base_icl1", "task_icl0_cot")
    ):
        name = f"Org_x-7b_halu_dialogue_{prompt}.pkl"
        write(tmp_path, [logits(0)], [question(0)], name, where)
    found = find_submissions(tmp_path)
    assert {one.model for one in found} == {"Org_x-7b"}
    assert sorted(one.benchmark for one in found) == [
        "llm_uncertainty_halu_dialogue_base_icl1",
        "llm_uncertainty_halu_dialogue_base_icl1_chat_v1",
        "llm_uncertainty_halu_dialogue_task_icl0_cot",
        "llm_uncertainty_halu_dialogue_task_icl0_cot_chat_v1",
    ]
    with pytest.raises(SourceError, match="names only one"):
        find_submissions(tmp_path, options={"model": "x"})


def test_both_files_are_part_of_the_revision(tmp_path: Path) -> None:
    path = write(tmp_path, [logits(0)], [question(0)])
    [before] = find_submissions(path)
    write(tmp_path, [logits(0)], [question(0, "C")])
    [after] = find_submissions(path)
    assert before.revision != after.revision
    assert [Path(file).name for file in after.files] == [PICKLE, "mmlu_10k.json"]
    assert Read(Submission.from_json(after.to_json())).rows == Read(after).rows


def test_missing_questions_are_told_with_where_to_put_them(tmp_path: Path) -> None:
    path = write(tmp_path, [logits(0)], [question(0)])
    (tmp_path / "data" / "mmlu_10k.json").unlink()
    with pytest.raises(SourceError, match=r"mmlu_10k\.json.*README"):
        find_submissions(path)
    for place in (path.parent, path.parent / "data", tmp_path):
        place.mkdir(exist_ok=True)
        beside = place / "mmlu_10k.json"
        beside.write_text(json.dumps([question(0)]))
        assert find_submissions(path)[0].files[1] == str(beside)
        beside.unlink()


def test_unusable_rows_are_rejected_and_all_rows_are_accounted_for(tmp_path: Path) -> None:
    entries = padded(
        [
            logits(0),
            "other",
            logits(1, ()),
            logits(2, (1, 2)),
            logits(3, [[1] * 6]),
            logits(4, [np.nan] * 6),
            logits(0),
            {"id": 5, "logits_options": [1, 2, 3]},
            {"logits_options": np.zeros(6)},
            logits(6),
            logits(7),
            logits(8),
            logits(9),
            logits(10),
        ]
    )
    questions: list[Any] = [
        *padding(),
        question(0),
        question(4),
        question(7, "Z"),
        question(8, choices={"A": "x"}),
        question(9, question=""),
        question(10, choices={label: {"text": label} for label in OPTIONS}, answer=["A"]),
        "stray",
    ]
    read = Read(find_submissions(write(tmp_path, entries, questions))[0])
    assert read.reasons == [
        "not_an_object",
        "unreadable_logits",
        "unreadable_logits",
        "unreadable_logits",
        "duplicate_id",
        "unreadable_logits",
        "missing_id",
        "unreadable_logits",
        "missing_gold",
        "unreadable_choices",
        "missing_question",
        "missing_gold",
        "unknown_question",
    ]
    assert read.total == len(entries)


def test_a_pickle_that_runs_code_is_refused_when_it_is_read(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'mark'}",)

    path = write(tmp_path, [logits(0), Attack()], [question(0)])
    [submission] = find_submissions(path)
    with pytest.raises(SourceError, match=r"asks for .*system"):
        Read(submission)
    assert not (tmp_path / "mark").exists()


def test_rows_that_share_one_large_array_take_no_time(tmp_path: Path) -> None:
    shared = np.zeros(1_000_000, "f4")
    entries = [{"id": number, "logits_options": shared} for number in range(3_000)]
    path = write(tmp_path, [logits(-1), *entries], [question(-1)])
    started = time.perf_counter()
    read = Read(find_submissions(path)[0])
    assert read.reasons == ["unreadable_logits"] * 3_000
    assert time.perf_counter() - started < 3


@pytest.mark.parametrize("content", [{"id": 1}, None, "text", [], [1, 2]])
def test_a_pickle_of_something_else_is_told(tmp_path: Path, content: Any) -> None:
    path = write(tmp_path, content, [question(0)])
    with pytest.raises(SourceError, match=PICKLE):
        Read(find_submissions(path)[0])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "A", "F", "G", "AB", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*OPTIONS, "text"]), inner, max_size=6)
    ),
    max_leaves=8,
)
ARRAYS = st.one_of(
    st.lists(st.floats(width=32), max_size=8).map(lambda values: np.array(values, "f4")),
    st.sampled_from([np.zeros((2, 3)), np.float64([1e308, -1e308] * 3), np.zeros(100)]),
    VALUES,
)
ENTRIES = st.fixed_dictionaries({}, optional={"id": VALUES | st.just(0), "logits_options": ARRAYS})


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    entries=st.lists(ENTRIES | VALUES, max_size=5),
    changes=st.lists(
        st.dictionaries(st.sampled_from(list(question(0))), VALUES, max_size=3), max_size=4
    ),
    cut=st.none() | st.integers(0, 1_000),
    cut_questions=st.none() | st.integers(0, 1_000),
    protocol=st.integers(2, 5),
)
def test_whatever_the_files_they_end_in_rows_rejects_or_one_error(
    entries: list[Any],
    changes: list[dict[str, Any]],
    cut: int | None,
    cut_questions: int | None,
    protocol: int,
) -> None:
    made = [logits(0), *entries, *(logits(number) for number in range(1, 5))]
    questions = [question(0)]
    for number, change in enumerate(changes, 1):
        questions.append(question(number) | change)
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder, PICKLE), Path(folder, "mmlu_10k.json")
        content, text = pickle.dumps(made, protocol=protocol), json.dumps(questions)
        path.write_bytes(content[: len(content) - (cut or 0)])
        data.write_text(text[: len(text) - (cut_questions or 0)])
        [submission] = find_submissions(path)
        with contextlib.suppress(SourceError):
            read = Read(submission)
            if not cut:
                assert read.total == len(made)
            for row in read.rows:
                assert len(row["choice_log_likelihoods"]) == len(row["choices"])
                assert 0 <= row["predicted_choice"] < len(row["choices"])
