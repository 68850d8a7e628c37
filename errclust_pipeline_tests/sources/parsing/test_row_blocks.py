"""Rows converted at once are what they are one by one."""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import find_submissions
from errclust_pipeline.sources.base import SourceError, Submission
from errclust_pipeline.sources.formats import table_files
from errclust_pipeline.sources.identity import question_id, question_ids
from errclust_pipeline.sources.parsing import field_map, row_blocks
from errclust_pipeline_tests.sources.formats import test_every_eval_ever, test_table
from errclust_pipeline_tests.sources.reading import read_or_error, write_lines
from errclust_pipeline_tests.sources.test_any_rows import changed

LABELS = ["negative", "positive"]
JUDGED = {
    "question": "Why?",
    "gold_answer": "because",
    "os_answer": "so",
    "os_eval": "Correct",
    "mcq_answer": "C",
    "mcq_eval": True,
    "dataset": "ARC",
}


def all_of(submission: Submission) -> object:
    read, error = read_or_error(submission)
    return error if read is None else (read.rows, read.rejects, read.skipped)


def assert_same_one_by_one(path: Path, **options: Any) -> None:
    try:
        submissions = find_submissions(path, options=options)
    except SourceError:
        return
    for submission in submissions:
        at_once = all_of(submission)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(row_blocks, "_add_at_once", lambda *_: False)
            # Of what JSON has no word for, NaN, no two are equal.
            assert repr(all_of(submission)) == repr(at_once)


def table_row(number: int) -> dict[str, Any]:
    return test_table.row(
        number, subject="s", choices=["a", "gold"], metadata={"a": 1}, prediction="a"
    )


def some_rows(good: dict[str, Any], identity: str) -> st.SearchStrategy[list[Any]]:
    """Mostly rows as they should be, with ids of their own."""
    row = st.just(good) | st.just(good) | changed(good)
    numbered = st.builds(
        lambda value, number: value | {identity: number} if isinstance(value, dict) else value,
        row,
        st.integers(0, 40).map(str) | st.integers(0, 3),
    )
    return st.lists(numbered, min_size=1, max_size=8).map(lambda rows: [good, *rows])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=some_rows(table_row(0), "example_id"),
    options=st.sampled_from(
        [
            {},
            {"columns": {"question": ["input_text", "subject"], "example_id": "correct_answer"}},
            {"columns": {"gold": "correct_answer", "prediction": "prediction", "score": "score"}},
            {
                "labels": ["a", "gold"],
                "columns": {"gold": "correct_answer", "prediction": "prediction"},
            },
        ]
    ),
)
def test_a_table_in_json(rows: list[Any], options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_same_one_by_one(write_lines(Path(folder, "t.jsonl"), rows), **options)


CELLS = st.sampled_from(
    [
        *("", " ", "\u2003", "x", "x ", "é\u0301", "1", "0.5", "true", "No", "2", "nan"),
        *('["a", "x"]', "[]", "{}"),
    ]
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_table_of_texts(data: st.DataObject) -> None:
    names = [*table_row(0)]
    plain = dict.fromkeys(names, "1") | {"choices": "", "metadata": "", "model": "m"}
    changes = st.dictionaries(st.sampled_from(names), CELLS, max_size=2)
    rows = [
        plain | {"example_id": str(number)} | data.draw(changes)
        for number in range(data.draw(st.integers(1, 6)))
    ]
    kinds = st.sampled_from([pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
    columns = {name: pa.array([row[name] for row in rows]) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        as_csv = Path(folder, "t.csv")
        with as_csv.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        assert_same_one_by_one(as_csv)
        as_parquet = Path(folder, "t.parquet")
        typed = {name: values.cast(data.draw(kinds)) for name, values in columns.items()}
        pq.write_table(pa.table(typed), as_parquet)
        assert_same_one_by_one(as_parquet)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_table_of_typed_columns(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))

    def column(values: st.SearchStrategy[Any]) -> list[Any]:
        return data.draw(st.lists(values, min_size=count, max_size=count))

    texts = st.sampled_from(["a", "gold", "b"])
    scores = data.draw(
        st.sampled_from(
            [
                st.integers(0, 1),
                st.booleans(),
                st.sampled_from([0.0, 0.25, 1.0]),
                st.sampled_from([0.5, float("nan"), None, 3.0]),
            ]
        )
    )
    columns = {
        "example_id": pa.array(range(count), data.draw(st.sampled_from([pa.int8(), pa.uint64()]))),
        "model": pa.array(["m"] * count),
        "input_text": pa.array([{"text": f"q {number}"} for number in range(count)]),
        "score": pa.array(column(scores)),
        "correct_answer": pa.array(column(texts | st.none())),
        "prediction": pa.array(column(texts)),
        "choices": pa.array(
            column(st.none() | st.lists(texts, max_size=3) | st.just(["a", None])),
            pa.list_(pa.string()),
        ),
        "metadata": pa.array(column(st.none() | st.just({"a": 1, "b": None}))),
        "finish_reason": pa.array(column(st.none() | st.floats(0, 1))),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.parquet")
        pq.write_table(pa.table(columns), path)
        assert_same_one_by_one(path, columns={"question": "input_text.text"})


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=some_rows(test_every_eval_ever.instance(0), "sample_id"))
def test_instances(rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_same_one_by_one(write_lines(Path(folder, "a_samples.jsonl"), rows))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=some_rows(JUDGED, "mcq_answer"))
def test_judged_answers(rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model", "ARC.json")
        path.parent.mkdir()
        path.write_text(json.dumps(rows))
        assert_same_one_by_one(path)


@settings(max_examples=150, deadline=None)
@given(content=st.text(st.sampled_from('a,"\n\r\0é\ud800'), max_size=40), more=st.booleans())
def test_csv_is_read_as_the_csv_module_reads_it(content: str, more: bool) -> None:
    raw = content.encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.csv")
        path.write_bytes(b"x,y\n" + (b'a,"b\n""c"\n' * 3 if more else b"") + raw)
        at_once = list(table_files.rows_of_table(path, ()))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(table_files, "regular_bytes", lambda *_: 0)
            assert list(table_files.rows_of_table(path, ())) == at_once


TEXTS = st.text(
    st.sampled_from("ab \t\n\v\f\r\0\x1c\x1f\x85\u00a0\u2003\u3000e\u0301é’"), max_size=9
)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, st.none() | st.lists(TEXTS, max_size=3)), min_size=1, max_size=5))
def test_ids_of_a_column_are_those_of_its_questions(
    asked: list[tuple[str, list[str] | None]],
) -> None:
    # A slice, since its places in Arrow's buffers do not begin at 0.
    questions = pa.array(["x", *(question for question, _ in asked)])[1:]
    choices = pa.array([["x"], *(choices for _, choices in asked)], pa.list_(pa.string()))[1:]
    expected = [question_id(question, choices) for question, choices in asked]
    assert question_ids(questions, choices).to_pylist() == expected


def test_plain_files_need_no_loop_over_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("converted one by one")

    monkeypatch.setattr(field_map.FieldMap, "to_row", fail)
    rows = [test_table.row(number) for number in range(5)]
    judged = tmp_path / "model" / "ARC.json"
    judged.parent.mkdir()
    judged.write_text(json.dumps([JUDGED] * 5))
    instances = [test_every_eval_ever.instance(number) for number in range(5)]
    for path in (
        *(test_table.write(tmp_path / name, rows) for name in ("t.csv", "t.jsonl", "t.parquet")),
        write_lines(tmp_path / "a_samples.jsonl", instances),
        judged,
    ):
        [submission] = find_submissions(path)
        read, error = read_or_error(submission)
        assert read is not None, error
        assert len(read.rows) == 5
