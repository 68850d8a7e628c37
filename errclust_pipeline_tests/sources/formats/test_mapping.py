import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.formats import mapping
from errclust_pipeline.sources.formats.mapping import KEYS, read_mapping
from errclust_pipeline_tests.sources.reading import Read, result_or_refusal


def write(folder: Path, text: str) -> Path:
    path = folder / "mapping.yaml"
    path.write_text(text)
    return path


def test_a_mapping_becomes_the_readers_options(tmp_path: Path) -> None:
    text = """
    benchmark: imdb
    model: org/m
    split: test
    threshold: 0.7
    columns:
      question: [title, text]
      gold: label
    labels: {1: positive, 0: negative}
    models:
      org/a: {prediction: a}
    """
    assert read_mapping(write(tmp_path, text)) == {
        "benchmark": "imdb",
        "model": "org/m",
        "split": "test",
        "threshold": 0.7,
        "columns": {"input_text": ["title", "text"], "correct_answer": "label"},
        "labels": ["negative", "positive"],
        "models": {"org/a": {"prediction": "a"}},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colums: {}", "key 'colums' is not known: did you mean columns?"),
        ("columns: {promt: a}", r"columns: key 'promt' is not known: .*Known are example_id"),
        ("models: {a: {scores: b}}", r"models: a: key 'scores' is not known: did you mean score?"),
        ("columns: {score: 1}", r"columns: score is 1, expected a text: put it in quotes"),
        ("columns: {score: [a]}", r"columns: score is \['a'\], expected a text"),
        ("columns: [a]", r"columns is \['a'\], expected names with a value each"),
        ("columns: {gold: a, correct_answer: b}", "correct_answer and its other name"),
        ("benchmark: 2024", "benchmark is 2024, expected a text: put it in quotes"),
        ("model: ''", "model is ''"),
        ("threshold: high", "threshold is 'high', expected a number"),
        # In YAML, yes and no are truth values.
        ("labels: [no, yes]", "labels is False, expected a text: put it in quotes"),
        ("labels: {1: a, 2: b}", "labels has the numbers 1, 2, expected 0, 1, …"),
        ("labels: [a, a]", "labels holds a name twice"),
        ("labels: 3", "labels is 3, expected the labels' names in a list"),
        ("model: a\nmodel: b", "key 'model' is given twice"),
        ("columns: {score: a, score: b}", "key 'score' is given twice"),
        ("[1]", "holds no keys: expected some of benchmark"),
        ("", "holds no keys"),
        ("a: [", "not valid YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
        ("a: 2026-99-99", "not valid YAML"),
        ("[" * 2_000, "not valid YAML"),
    ],
)
def test_what_is_wrong_in_a_mapping_is_told_by_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message.replace("?", r"\?")) as error:
        read_mapping(write(tmp_path, text))
    assert str(error.value).startswith(str(tmp_path / "mapping.yaml"))


def test_a_mapping_that_is_absent_or_too_large_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        read_mapping(tmp_path / "none.yaml")
    monkeypatch.setattr(mapping, "MAX_MAPPING_BYTES", 3)
    with pytest.raises(SourceError, match="is larger than"):
        read_mapping(write(tmp_path, "a: bcdef"))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "b", 0.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["question", "gold", "score", "x", 0, 1, True]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    given_keys=st.dictionaries(st.sampled_from([*KEYS, "other", 1]), VALUES, max_size=4),
    cut=st.integers(0, 200) | st.none(),
)
def test_no_mapping_ends_in_a_traceback(given_keys: dict[Any, Any], cut: int | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), yaml.safe_dump(given_keys)[:cut])
        found = result_or_refusal(partial(read_mapping, path))
        if isinstance(found, SourceError):
            assert str(path) in str(found)
        else:
            assert found.keys() <= set(KEYS)


def test_a_mapping_that_refers_to_itself_is_read_in_no_time(tmp_path: Path) -> None:
    pieces = ["&a0 {x: 1}"]
    pieces += [f"&a{n} {{x: *a{n - 1}, y: *a{n - 1}, z: *a{n - 1}}}" for n in range(1, 40)]
    text = f"labels: [{', '.join(pieces)}]\nbenchmark: *a39"
    for content, message in ((text, "benchmark is {"), ("labels: &a [*a]", r"labels is \[")):
        with pytest.raises(SourceError, match=message):
            read_mapping(write(tmp_path, content))


def read_with(path: Path, text: str) -> Read:
    [submission] = find_submissions(
        path, reader="table", options=read_mapping(write(path.parent, text))
    )
    return Read(submission)


RECORDS = [
    {
        "id": f"r{number}",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"What is {number} + 1?"},
            {"role": "assistant", "content": f"It is {number + 1}."},
        ],
        "grades": [{"by": "a", "points": 2}, {"by": "b", "points": number}],
    }
    for number in range(5)
]
COLUMNS = """
    benchmark: sums
    model: m
    scale: "0:4"
    columns: {question: messages.1.content, response: messages, score: grades.-1.points}
"""


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ({"about": {"n": 5}, "data": {"answers": RECORDS}, "end": [1]}, "data.answers"),
        ({"data": {row["id"]: row for row in RECORDS}}, "data"),
        ({str(row["id"]): row for row in RECORDS}, "."),
    ],
    ids=["a list inside", "an object keyed by id", "a file keyed by id"],
)
def test_records_are_read_wherever_they_stand(tmp_path: Path, content: Any, rows: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(content))
    found = read_with(path, f"{COLUMNS}\n    rows: '{rows}'")
    assert [row["question"] for row in found.rows] == [f"What is {n} + 1?" for n in range(5)]
    assert [row["score"] for row in found.rows] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert found.rows[2]["response"] == "It is 3."


def test_the_key_of_a_record_is_a_column(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"q1": {"asked": "1?", "ok": True}, "q2": {"asked": "2?", "ok": 0}}))
    text = "{model: m, rows: '.', columns: {example_id: key, question: asked, score: ok}}"
    assert [row["example_id"] for row in read_with(path, text).rows] == ["q1", "q2"]


def test_where_records_may_stand_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"data": {"answers": RECORDS}}))
    with pytest.raises(SourceError, match=r"lists of records in it: data\.answers \(say which"):
        read_with(path, COLUMNS)
    with pytest.raises(SourceError, match=r"no records at rows: data\.x.*: data\.answers"):
        read_with(path, COLUMNS + "\n    rows: data.x")


def test_a_benchmark_given_wins_over_a_column_called_dataset(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("dataset,prompt,ok,system\na,q1,1,m\nb,q2,0,m\n")
    text = "{benchmark: mine, columns: {question: prompt, score: ok, model: system}}"
    [submission] = find_submissions(path, options=read_mapping(write(tmp_path, text)))
    assert (submission.benchmark, len(Read(submission).rows)) == ("mine", 2)


def test_lower_is_better_and_null_scores_in_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"q": "a", "s": 0}\n{"q": "b", "s": 10}\n{"q": "c", "s": null}\n')
    text = "{model: m, columns: {question: q, score: s}, scale: [0, 10], higher_is_better: false"
    assert [row["score"] for row in read_with(path, text + "}").rows] == [1.0, 0.0, 0.0]
    assert len(read_with(path, text + ", null_scores: leave_out}").rows) == 2


JOIN = """
    {model: m, join: {file: prompts.csv, left: id, right: number},
     columns: {question: joined.asked, gold: joined.key, score: ok}}
"""


def test_a_second_file_is_joined_by_a_key(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": 2, "ok": 1}\n{"id": 1, "ok": 0}\n{"id": 3, "ok": 0}\n')
    (tmp_path / "prompts.csv").write_text("number,asked,key\n1,one?,a\n2,two?,b\n")
    found = read_with(path, JOIN)
    assert [(row["question"], row["gold"], row["score"]) for row in found.rows] == [
        ("two?", "b", 1.0),
        ("one?", "a", 0.0),
    ]
    assert found.reasons == ["missing_question"]
    [submission] = find_submissions(tmp_path, options=read_mapping(write(tmp_path, JOIN)))
    assert [Path(file).name for file in submission.files] == ["t.jsonl", "prompts.csv"]


def test_a_change_of_the_second_file_is_a_revision(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": 1, "ok": 1}\n')
    revisions = set()
    for asked in ("one?", "uno?"):
        (tmp_path / "prompts.csv").write_text(f"number,asked,key\n1,{asked},a\n")
        options = read_mapping(write(tmp_path, JOIN))
        revisions.add(find_submissions(path, options=options)[0].revision)
    assert len(revisions) == 2


def test_a_key_that_stands_twice_in_the_second_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": 1, "ok": 1}\n')
    (tmp_path / "prompts.csv").write_text("number,asked,key\n1,a?,a\n1,b?,b\n")
    with pytest.raises(SourceError, match="number '1' stands in row 1 and in an earlier one"):
        read_with(path, JOIN)
    (tmp_path / "prompts.csv").unlink()
    with pytest.raises(SourceError, match=r"prompts\.csv, which option join names"):
        read_with(path, JOIN)
