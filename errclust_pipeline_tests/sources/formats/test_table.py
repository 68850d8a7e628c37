import csv
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.formats import table, table_files
from errclust_pipeline.sources.parsing import json_stream
from errclust_pipeline_tests.sources.reading import Read, write_lines

COLUMNS = [
    "example_id",
    "model",
    "input_text",
    "output_text",
    "score",
    "correct_answer",
    "dataset",
]


def row(number: int, model: str = "org/m", score: Any = 1, **changes: Any) -> dict[str, Any]:
    return {
        "example_id": f"e{number}",
        "model": model,
        "input_text": f"Question {number},\nwith a second line?",
        "output_text": 'An "answer"',
        "score": score,
        "correct_answer": "gold",
        "dataset": "quiz",
    } | changes


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    columns = list(dict.fromkeys(name for one in rows for name in one))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    elif ".jsonl" in path.name:
        text = "".join(json.dumps(one) + "\n" for one in rows).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    else:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "wt", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, options=options)
    return Read(submission)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.jsonl", "t.jsonl.gz", "t.parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [row(n, score=n % 2) for n in range(5)])
    [submission] = find_submissions(path)
    assert (submission.reader, submission.benchmark, submission.model) == ("table", "quiz", "org/m")
    found = Read(submission, batch_rows=2)
    assert [one["position"] for one in found.rows] == [0, 1, 2, 3, 4]
    assert [one["correct"] for one in found.rows] == [False, True, False, True, False]
    expected = {
        "example_id": "e3",
        "question": "Question 3,\nwith a second line?",
        "response": 'An "answer"',
        "gold": "gold",
        "metric": "score",
    }
    assert {name: found.rows[3][name] for name in expected} == expected


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_another_models_rows_do_not_change_a_submission(tmp_path: Path, name: str) -> None:
    own = [row(n) for n in range(3)]
    [before] = find_submissions(write(tmp_path / name, own))
    others = [row(n, "org/other") for n in range(2)] + [row(1, dataset="exam")]
    found = find_submissions(write(tmp_path / name, [others[0], *own, *others[1:]]))
    assert [(one.benchmark, one.model) for one in found] == [
        ("quiz", "org/other"),
        ("quiz", "org/m"),
        ("exam", "org/m"),
    ]
    assert found[1].revision == before.revision
    assert len({one.revision for one in found}) == 3
    for one in found:
        result = Read(one)
        assert result.total == 6
        assert {found_row["model_name"] for found_row in result.rows} == {one.model}
    [changed] = find_submissions(write(tmp_path / name, [*own[:2], row(2, score=0)]))
    assert changed.revision != before.revision


def test_columns_are_mapped_by_option(tmp_path: Path) -> None:
    rows = [
        {
            "id": 1,
            "prompt": "q",
            "completion": "",
            "right": True,
            "kind": "maths",
            "options": ["x", "y"],
            "gold": "y",
            "said": "x",
            "stop": "length",
            "more": {"a": 1},
        }
    ]
    columns = {
        "example_id": "id",
        "question": "prompt",
        "response": "completion",
        "score": "right",
        "subject": "kind",
        "choices": "options",
        "gold": "gold",
        "prediction": "said",
        "finish_reason": "stop",
        "metadata": "more",
    }
    path = write_lines(tmp_path / "quiz.jsonl", rows)
    [submission] = find_submissions(path, options={"columns": columns, "model": "org/m"})
    assert (submission.benchmark, submission.model) == ("quiz", "org/m")
    [response] = Read(submission).rows
    expected = {
        "example_id": "1",
        "question": "q",
        "response": "",
        "score": 1.0,
        "subject": "maths",
        "choices": ["x", "y"],
        "gold_choice": 1,
        "predicted_choice": 0,
        "finish_reason": "length",
        "metadata": '{"a": 1}',
        "metric": "right",
    }
    assert {name: response[name] for name in expected} == expected


def test_scores_of_every_form_are_read_or_rejected(tmp_path: Path) -> None:
    usable = [1, 0, True, "true", "FALSE", "1", "0.25", 0.5]
    missing = [None, "", float("nan"), "nan"]
    unreadable = ["good", "1,5", [1], {"a": 1}]
    out_of_range = [2, -1, "inf", 10**400, float("inf"), "1e999"]
    values = [*usable, *missing, *unreadable, *out_of_range]
    rows = [row(n, score=value) for n, value in enumerate([*values, *[1] * 10])]
    found = read(write(tmp_path / "t.jsonl", rows))
    scores = [1, 0, 1, 1, 0, 1, 0.25, 0.5, *[0] * len(missing), *[1] * 10]
    assert [one["score"] for one in found.rows] == scores
    assert found.reasons == [
        *["unreadable_score"] * 4,
        *["score_out_of_range"] * 6,
    ]
    assert found.total == len(rows)


def test_scores_on_another_scale_are_refused_though_some_would_fit(tmp_path: Path) -> None:
    scores = [100, 0, 50, 1, 87] * 4
    path = write(tmp_path / "t.jsonl", [row(n, score=value) for n, value in enumerate(scores)])
    with pytest.raises(SourceError, match=r"12 of 20 scores .* State the scale"):
        read(path)


@pytest.mark.parametrize("threshold", [float("nan"), 0, -1, 2, "high"])
def test_a_threshold_that_is_no_score_is_refused(tmp_path: Path, threshold: object) -> None:
    path = write(tmp_path / "t.jsonl", [row(1)])
    with pytest.raises(SourceError, match="above 0 and at most 1"):
        find_submissions(path, options={"threshold": threshold})


def test_an_option_of_another_format_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [row(1)])
    with pytest.raises(SourceError, match="read as table, which has no option metric"):
        find_submissions(path, options={"metric": "acc"})


def test_a_table_says_whether_it_records_predictions(tmp_path: Path) -> None:
    without = write(tmp_path / "t.jsonl", [row(1)])
    assert [one["extraction_recorded"] for one in read(without).rows] == [False]
    with_them = write(tmp_path / "u.jsonl", [row(1, prediction="4")])
    assert [one["extraction_recorded"] for one in read(with_them).rows] == [True]


def test_decimals_and_nulls_of_parquet_are_read(tmp_path: Path) -> None:
    rows = [row(1, score=Decimal("0.50")), row(2, score=None), row(3, score=Decimal("0.00"))]
    found = read(write(tmp_path / "t.parquet", rows))
    assert [one["score"] for one in found.rows] == [0.5, 0.0, 0.0]
    assert found.reasons == []


def test_dirty_csv_rows_are_rejected_and_all_are_accounted_for(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    header = ",".join(COLUMNS).encode()
    rows = [
        b'1,m,"two\nlines",answer,1,gold,d',
        b"2,m,too,few",
        b"3,m,q,a,1,g,d,too many",
        b"4,m,\xff,a,1,g,d",
        b"5,,q,a,1,g,d",
        b"1,m,again,a,1,g,d",
        b",m,no id,a,1,g,d",
        b"8,m,,a,1,g,d",
        b"9,m,good,,0,,d",
    ]
    path.write_bytes(b"\n".join([header, *rows, b"", b""]))
    found = read(path)
    assert found.reasons == [
        "wrong_field_count",
        "wrong_field_count",
        "invalid_utf8",
        "missing_name",
        "duplicate_id",
        "missing_id",
        "missing_question",
    ]
    assert [one["example_id"] for one in found.rows] == ["1", "9"]
    assert found.rows[1]["response"] == ""
    assert [one["position"] for one in found.rejects] == [1, 2, 3, 4, 5, 6, 7]
    assert found.total == len(rows)


@pytest.mark.parametrize("shape", ["one field", "many lines"])
def test_a_csv_row_too_large_is_rejected_and_reading_goes_on(
    tmp_path: Path, shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_files, "MAX_ROW_BYTES", 1 << 16)
    monkeypatch.setattr(table_files, "CHUNK_BYTES", 1 << 12)
    large = "x" * (1 << 18) if shape == "one field" else "line\n" * (1 << 13) * 2
    path = write(tmp_path / "t.csv", [row(1), row(2, output_text=large), row(3)])
    found = read(path)
    assert [one["example_id"] for one in found.rows] == ["e1", "e3"]
    assert found.reasons[0] == "row_too_large"


def test_an_unclosed_quote_loses_no_rows_before_it(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [row(1), row(2)])
    with path.open("a") as file:
        file.write('3,m,"never closed,a,1,g,d\n4,m,q,a,1,g,d\n')
    found = read(path)
    assert len(found.rows) == 2
    assert found.reasons == ["wrong_field_count"]


def test_dirty_json_lines_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    deep = '{"model": "m", "score": 1, "input_text": ' + "[" * 50_000 + "]" * 50_000 + "}"
    lines = [
        json.dumps(row(1)),
        "not json",
        "[1, 2]",
        deep,
        json.dumps(row(2, choices="a or b")),
        json.dumps(row(3, input_text=["not", "text"], subject=4, choices='["gold"]')),
        json.dumps(row(4, model=5)),
    ]
    path.write_text("\n".join(lines) + "\n")
    first, second = find_submissions(path)
    found = Read(first)
    assert found.reasons == [
        "invalid_json",
        "not_an_object",
        "nested_too_deeply",
        "unreadable_choices",
    ]
    assert [one["question"] for one in found.rows][1] == '["not", "text"]'
    assert found.rows[1]["gold_choice"] == 0
    assert found.total == len(lines)
    assert second.model == "5"


def test_a_table_without_ids_is_numbered(tmp_path: Path) -> None:
    rows = [{"input_text": "q", "score": n} for n in (0, 1)]
    found = read(write(tmp_path / "t.csv", rows), model="m")
    assert [one["example_id"] for one in found.rows] == ["0", "1"]
    assert found.rows[0]["response"] is None


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (["input_text", "score"], {}, "Set option model"),
        (["model", "score"], {}, "no column 'input_text'; its columns: model, score"),
        (["model", "input_text"], {}, "no column 'score'"),
        (COLUMNS, {"columns": {"score": "points"}}, "no column 'points'"),
        (COLUMNS, {"columns": {"scores": "score"}}, "'scores' is not known"),
        (COLUMNS, {"columns": ["score"]}, "expected names"),
        (COLUMNS, {"columns": {"score": 3}}, "expected a column's name"),
        ([*COLUMNS, "score"], {}, "two columns named 'score'"),
        (COLUMNS, {"model": " "}, "give a name"),
    ],
)
def test_what_is_missing_is_named_with_a_remedy(
    tmp_path: Path, columns: list[str], options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(columns) + "\n" + ",".join("1" for _ in columns) + "\n")
    with pytest.raises(SourceError, match=message):
        find_submissions(path, reader="table", options=options)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet", "t.csv.gz"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01binary\xff", "score,a".encode("utf-16")])
def test_a_file_of_something_else_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=name):
        find_submissions(path)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [row(n) for n in range(100)])
    raw = bytearray(path.read_bytes())
    raw[10:2_000] = b"\xff" * 1_990
    path.write_bytes(bytes(raw))
    with pytest.raises(SourceError, match=r"t\.parquet is damaged"):
        find_submissions(path)


def test_a_header_alone_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(SourceError, match="holds no rows"):
        find_submissions(path)


def test_an_option_that_names_one_of_several_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [row(1, "a"), row(1, "b")])
    with pytest.raises(SourceError, match="results of 2 models"):
        find_submissions(path, options={"model": "c"})
    [renamed] = find_submissions(write(path, [row(1, "a")]), options={"model": "c"})
    assert Read(renamed).rows[0]["model_name"] == "c"


def test_a_json_row_too_large_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_ROW_BYTES", 1 << 12)
    path = write(tmp_path / "t.jsonl", [row(1), row(2, output_text="x" * 9_000), row(3)])
    assert read(path).reasons == ["row_too_large"]


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_the_revision_is_the_same_whether_rows_are_looked_at_at_once_or_one_by_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        row(number, f"org/{number % 3}", score=number / 7, input_text=f'50 % of "é\t{number}"')
        for number in range(20)
    ]
    options = {"columns": {"input_text": ["input_text", "correct_answer"]}}
    path = write(tmp_path / name, rows)
    at_once = find_submissions(path, options=options)
    assert len(at_once) == 3
    monkeypatch.setattr(table, "_canonical_rows", lambda *_: None)
    one_by_one = find_submissions(path, options=options)
    assert [one.revision for one in one_by_one] == [one.revision for one in at_once]


def test_odd_values_make_the_same_revision_at_once_and_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [None, True, 1, 1.0, float("nan"), [], ["a", None], {"b": [1]}, 2**70, "\ud800", "%s", ""]
    path = write(tmp_path / "t.jsonl", [row(1, output_text=value) for value in odd])
    made = []
    canonical_rows = table._canonical_rows
    monkeypatch.setattr(
        table, "_canonical_rows", lambda *given: made.append(canonical_rows(*given)) or made[-1]
    )
    at_once = find_submissions(path)
    assert None not in made
    monkeypatch.setattr(table, "_canonical_rows", lambda *_: None)
    assert find_submissions(path) == at_once
    revisions = set()
    for value in odd:
        [one] = find_submissions(write(path, [row(1, output_text=value)]))
        revisions.add(one.revision)
    assert len(revisions) == len(odd)


def test_a_row_of_nobody_changes_no_other_rows_revision(tmp_path: Path) -> None:
    rows = [row(number, model) for number in range(4) for model in ("org/a", "org/b")]
    clean = find_submissions(write(tmp_path / "t.jsonl", rows), options={})
    rows.insert(3, row(9, model=""))
    dirty = find_submissions(write(tmp_path / "t.jsonl", rows), options={})
    assert [one.revision for one in dirty] == [one.revision for one in clean]
