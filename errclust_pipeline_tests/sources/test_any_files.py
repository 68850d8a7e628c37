"""Whatever a file holds, reading it ends in rows, rejects or one error that names it."""

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline_tests.sources.formats import (
    test_inspect_ai,
    test_lm_eval,
    test_mmlu_pro,
    test_table,
)
from errclust_pipeline_tests.sources.formats.test_table_datasets import write_stream
from errclust_pipeline_tests.sources.reading import Read, result_or_refusal, write_lines
from errclust_pipeline_tests.sources.test_any_rows import changed

OFTEN = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

FRAGMENTS = [
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'"' + b"x" * 100_000 + b'"',
    b"9" * 5_000,
    b"-",
    b"}{",
    b"\x00" * 50,
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b'"\\ud800"',
    b"\n\n\n",
    b"",
    b'"',
    b"NaN",
    b",,,,,,,,",
]
"""What takes the place of a row: nested too deeply, too long, no text, no JSON."""


LABELLED = {
    "model": "m",
    "columns": {"question": "text", "gold": "label", "prediction": "predicted"},
    "labels": ["no", "yes"],
}


def read_all(path: Path, reader: str, options: dict[str, Any]) -> list[Read]:
    return [Read(one) for one in find_submissions(path, reader=reader, options=options)]


def check(path: Path, reader: str, options: dict[str, Any] | None = None) -> None:
    if options is None:
        options = {"model": "m"} if reader == "table" else {}
    found = result_or_refusal(partial(read_all, path, reader, options))
    if isinstance(found, SourceError):
        assert str(path.parent) in str(found)
    else:
        assert all(one.rows for one in found)


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """The content, cut or with a few bytes changed, or neither."""
    raw = bytearray(content)
    for at in data.draw(st.lists(st.integers(0, max(len(raw) - 1, 0)), max_size=3)):
        if raw:
            raw[at] = data.draw(st.sampled_from(b'\x00"[]{}\xff\n,:9'))
    return bytes(raw[: data.draw(st.none() | st.integers(0, len(raw)))])


@pytest.mark.parametrize(
    ("reader", "name", "good"),
    [
        ("lm_eval", f"samples_task_{test_lm_eval.TIME}.jsonl", test_lm_eval.generated(0)),
        ("lm_eval", f"samples_task_{test_lm_eval.TIME}.json", test_lm_eval.generated(0)),
        ("mmlu_pro", "model_outputs_m_5shots.json", test_mmlu_pro.row(0)),
        ("table", "t.jsonl", test_table.row(0, choices=["a"], metadata={"a": 1})),
        ("table", "t.json", test_table.row(0, choices=["a"], metadata={"a": 1})),
        ("inspect", "log.json", test_inspect_ai.sample(0)),
    ],
    ids=["lm_eval lines", "lm_eval list", "mmlu_pro", "table lines", "table list", "inspect"],
)
def test_no_json_file_ends_in_a_traceback(
    tmp_path: Path, reader: str, name: str, good: dict[str, Any]
) -> None:
    @OFTEN
    @given(data=st.data())
    def is_read_or_refused(data: st.DataObject) -> None:
        row = st.sampled_from(FRAGMENTS) | changed(good).map(json.dumps).map(str.encode)
        lines = [json.dumps(good).encode(), *data.draw(st.lists(row, max_size=4))]
        are_lines = name.endswith(".jsonl")
        content = b"\n".join(lines) if are_lines else b"[" + b", ".join(lines) + b"]"
        if reader == "inspect":
            head = json.dumps(test_inspect_ai.header()).encode()
            content = head[:-1] + b', "samples": ' + content + b"}"
        path = tmp_path / name
        path.write_bytes(damaged(data, content))
        check(path, reader)

    is_read_or_refused()


@OFTEN
@given(data=st.data())
def test_no_row_of_a_classifier_ends_in_a_traceback(data: st.DataObject) -> None:
    good = {"text": "t", "label": 0, "predicted": [{"label": "LABEL_1", "score": 0.5}]}
    rows = data.draw(st.lists(changed(good), max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        path = write_lines(Path(folder, "t.jsonl"), [good, *rows])
        check(path, "table", LABELLED)
        check(path, "table", {name: LABELLED[name] for name in ("model", "columns")})


@OFTEN
@given(data=st.data())
def test_no_results_file_beside_samples_ends_in_a_traceback(data: st.DataObject) -> None:
    good = {
        "model_name": "org/m",
        "model_name_sanitized": "org__m",
        "config": {"model_args": "pretrained=org/m"},
    }
    value = data.draw(changed(good).map(json.dumps).map(str.encode) | st.sampled_from(FRAGMENTS))
    with tempfile.TemporaryDirectory() as folder:
        path = test_lm_eval.samples(Path(folder, "a__b"), "task", [test_lm_eval.generated(0)])
        (path.parent / f"results_{test_lm_eval.TIME}.json").write_bytes(damaged(data, value))
        [found] = find_submissions(path.parent)
        assert found.model
        assert len(Read(found).rows) == 1


@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
def test_no_separated_values_end_in_a_traceback(tmp_path: Path, name: str) -> None:
    separator = b"," if name == "t.csv" else b"\t"

    @OFTEN
    @given(data=st.data())
    def is_read_or_refused(data: st.DataObject) -> None:
        cells = st.sampled_from(
            [b"1", b"q", b'"a ""b"', b'"', b"", b"nan", b"'", b"\r", *FRAGMENTS]
        )
        rows = data.draw(st.lists(st.lists(cells, max_size=4), max_size=5))
        lines = [[b"input_text", b"score", b"choices"], [b"q", b"1", b""], *rows]
        path = tmp_path / name
        path.write_bytes(damaged(data, b"\n".join(separator.join(line) for line in lines)))
        check(path, "table")

    is_read_or_refused()


CELLS = st.sampled_from(
    [
        [1, 0, 1],
        [1.5, float("nan"), float("inf")],
        ["a", "", None],
        [None, None, None],
        [b"\xff\xfe", b"", None],
        [[1, 2], [], None],
        [{"a": 1}, {"a": None}, None],
        [[{"a": ["x"]}], [], None],
        [True, False, None],
    ]
)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_columns_of_any_type_are_read_or_refused(tmp_path: Path, name: str) -> None:
    stated = st.sampled_from(
        [b"", b"{", b"[]", b"\xff", b'{"info": {"features": 1}}', b"[" * 50_000]
        + [
            json.dumps({"info": {"features": {"correct_answer": feature}}}).encode()
            for feature in (
                [],
                {"_type": "ClassLabel"},
                {"_type": "ClassLabel", "names": [1]},
                {"_type": "ClassLabel", "names": []},
                {"_type": "ClassLabel", "names": ["a", "b"]},
            )
        ]
    )

    @OFTEN
    @given(data=st.data())
    def is_read_or_refused(data: st.DataObject) -> None:
        names = data.draw(st.sets(st.sampled_from(list(test_table.row(0)))))
        columns = {"input_text": ["q1", "q2", "q3"], "score": [1, 0, 1], "metadata": ["", "", ""]}
        columns |= {one: data.draw(CELLS) for one in sorted(names)}
        table = pa.table(columns).replace_schema_metadata({b"huggingface": data.draw(stated)})
        path = tmp_path / name
        if name == "t.parquet":
            pq.write_table(table, path)
        else:
            write_stream(path, table)
        check(path, "table")

    is_read_or_refused()


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
def test_no_damage_to_a_columnar_file_ends_in_a_traceback(tmp_path: Path, name: str) -> None:
    rows = [test_table.row(number, choices=["a", "b"], metadata={"a": 1}) for number in range(3)]
    path = tmp_path / name
    table = pa.Table.from_pylist(rows)
    if name == "t.parquet":
        pq.write_table(table, path)
    elif name == "t.arrow":
        write_stream(path, table)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    good = path.read_bytes()

    @settings(OFTEN, derandomize=True)
    @given(
        changes=st.lists(
            st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=3
        ),
        cut=st.none() | st.integers(0, len(good)),
    )
    def is_read_or_refused(changes: list[tuple[int, int]], cut: int | None) -> None:
        raw = bytearray(good)
        for at, byte in changes:
            raw[at] = byte
        path.write_bytes(raw[:cut])
        check(path, "table")

    is_read_or_refused()
