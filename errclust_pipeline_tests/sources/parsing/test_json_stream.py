import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errclust_pipeline.sources.parsing import json_stream
from errclust_pipeline.sources.parsing.json_stream import (
    RowError,
    WrongEncodingError,
    read_json_object,
    read_json_rows,
)


def read(content: bytes) -> list[Any]:
    return [value for _, value in read_json_rows(io.BufferedReader(io.BytesIO(content)))]


def reasons(values: list[Any]) -> list[str | None]:
    return [value.reason if isinstance(value, RowError) else None for value in values]


def read_entries(content: bytes) -> list[tuple[str, int, Any]]:
    return list(read_json_object(io.BufferedReader(io.BytesIO(content)), "rows"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    rows=st.lists(VALUES, max_size=8),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
)
def test_a_list_reads_the_same_in_any_chunks(
    rows: list[Any], chunk: int, indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps(rows, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass" if ascii_only else "replace"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        assert read(content) == json.loads(content)


@given(
    entries=st.dictionaries(st.text().filter(lambda name: name != "rows"), VALUES, max_size=4),
    rows=st.lists(VALUES, max_size=5),
    chunk=st.integers(1, 40),
    indent=st.sampled_from([None, 1]),
)
def test_an_objects_entries_are_read_and_its_rows_one_by_one(
    entries: dict[str, Any], rows: list[Any], chunk: int, indent: int | None
) -> None:
    content = json.dumps(entries | {"rows": rows, "last": 1}, indent=indent).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_FIRST_BYTES", chunk)
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        found = read_entries(content)
    expected = json.loads(content)
    assert [(number, row) for name, number, row in found if name == "rows"] == list(enumerate(rows))
    assert {name: value for name, _, value in found if name != "rows"} == {
        name: value for name, value in expected.items() if name != "rows"
    }


@given(
    pieces=st.lists(
        st.sampled_from(
            ["{", "}", "[", "]", ":", ",", '"rows":[', '"a"', '"', "\\", "1", " ", "x", "\xff"]
        ),
        max_size=20,
    ),
    chunk=st.integers(1, 9),
)
def test_no_pieces_of_an_object_make_reading_fail_or_hang(pieces: list[str], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_FIRST_BYTES", chunk)
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        found = read_entries("".join(["{", *pieces]).encode("latin-1"))
        assert len(found) <= len(pieces) + 1
        read("".join(["[", *pieces]).encode("latin-1"))


def test_an_object_cut_in_its_rows_keeps_those_before_the_break() -> None:
    content = json.dumps({"a": {"b": 1}, "rows": [{"n": number} for number in range(5)]}).encode()
    for cut in range(1, len(content)):
        found = read_entries(content[:cut])
        assert isinstance(found[-1][2], RowError)
        assert found[-1][2].reason == "truncated_file"
        rows = [row for name, _, row in found if name == "rows" and not isinstance(row, RowError)]
        assert rows == [{"n": number} for number in range(len(rows))]


TRAPS = st.sampled_from(["},", "}, {", '"},', "}],", "\\},", "{", "[", "]", "x"])
TRAPPED = st.recursive(
    st.lists(TRAPS, max_size=5).map("".join) | st.sampled_from([2**64, -(2**80), 1e308, 0.1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TRAPS, inner, max_size=3),
    max_leaves=10,
)


@given(rows=st.lists(TRAPPED, max_size=12), chunk=st.integers(1, 200))
def test_what_looks_like_the_end_of_an_element_is_none_inside_another(
    rows: list[Any], chunk: int
) -> None:
    content = json.dumps(rows).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        assert read(content) == rows


def test_whole_numbers_of_any_size_are_read_exactly() -> None:
    numbers = [2**63, -(2**64), 10**40, 1]
    rows = [json.dumps({"a": number}).encode() for number in numbers]
    for content in (b"[" + b", ".join(rows) + b"]", b"\n".join(rows)):
        assert [row["a"] for row in read(content)] == numbers


@given(content=st.binary(max_size=60), chunk=st.integers(1, 9))
def test_no_bytes_make_reading_fail_or_hang(content: bytes, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        for start in (b"", b"[", b"{", b'[{"a": "'):
            try:
                read(start + content)
            except WrongEncodingError:
                assert not start


@given(cut=st.integers(1, 200), chunk=st.integers(1, 300))
def test_a_list_cut_anywhere_keeps_the_rows_before_the_break(cut: int, chunk: int) -> None:
    rows = [{"id": number, "text": 'a "b" \\ ]}{[' * number} for number in range(9)]
    content = json.dumps(rows).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        values = read(content[:-cut])
    *before, last = values
    assert before == rows[: len(before)]
    assert reasons([last]) == ["truncated_file"]


@given(chunk=st.integers(1, 60), before=st.integers(0, 30), after=st.integers(0, 60))
def test_an_invalid_byte_is_a_fault_in_any_chunks(chunk: int, before: int, after: int) -> None:
    faulty = b'{"t": "' + b"a" * before + b"\xff" + b"b" * after + b'"}'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK_BYTES", chunk)
        values = read(b'[{"t": 1}, ' + faulty + b', {"t": 2}]')
    assert reasons(values) == [None, "invalid_utf8", None]


def test_lines_have_their_line_numbers_and_blank_lines_are_no_rows() -> None:
    stream = io.BufferedReader(io.BytesIO(b'\xef\xbb\xbf\n{"a": 1}\r\n  \n{"a": 2}'))
    assert list(read_json_rows(stream)) == [(1, {"a": 1}), (3, {"a": 2})]


def test_faulty_lines_are_faults_and_the_others_are_read() -> None:
    deep = b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    huge = b'{"a": ' + b"1" * 5_000 + b"}"
    lines = [b'{"a": 1}', b"nonsense", b'{"a": "\xff"}', deep, huge, b'{"a": NaN}', b'{"a": 2']
    values = read(b"\n".join(lines))
    assert reasons(values) == [
        None,
        "invalid_json",
        "invalid_utf8",
        "nested_too_deeply",
        "invalid_json",
        None,
        "truncated_file",
    ]


def test_faulty_list_elements_are_faults_and_the_others_are_read() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    elements = [b'{"a": 1}', b"nonsense", b'{"a": "\xff"}', deep, b"{bad}", b"}", b'{"a": 2}']
    values = read(b"[" + b", ".join(elements) + b"] more")
    assert reasons(values) == [
        None,
        "invalid_json",
        "invalid_utf8",
        "nested_too_deeply",
        "invalid_json",
        "invalid_json",
        None,
        "trailing_data",
    ]


def test_escaped_lone_surrogates_are_not_invalid_bytes() -> None:
    assert read('[{"a": "\\udc80 é"}]'.encode()) == [{"a": "\udc80 é"}]


@pytest.mark.parametrize("form", ["list", "lines"])
def test_a_row_too_large_is_a_fault_and_is_not_held_in_memory(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "MAX_ROW_BYTES", 1 << 20)
    monkeypatch.setattr(json_stream, "CHUNK_BYTES", 1 << 16)
    large = b'{"a": "' + b"x" * (16 << 20) + b'"}'
    separator, start, end = (b", ", b"[", b"]") if form == "list" else (b"\n", b"", b"")
    content = start + separator.join([b'{"a": 1}', large, b'{"a": 2}']) + end
    stream = io.BufferedReader(io.BytesIO(content))
    tracemalloc.start()
    values = [value for _, value in read_json_rows(stream)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons(values) == [None, "row_too_large", None]
    assert peak < 6 << 20


def test_utf_16_is_refused_by_name() -> None:
    with pytest.raises(WrongEncodingError, match="UTF-16"):
        read('{"a": 1}'.encode("utf-16"))


def test_an_empty_file_has_no_rows() -> None:
    assert read(b"") == read(b" \n \n") == []
