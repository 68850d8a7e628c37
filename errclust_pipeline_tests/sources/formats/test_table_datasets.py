"""Tables that are datasets: shards, splits, saved folders, class labels, several models a row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from errclust_pipeline.sources import SourceError, find_submissions
from errclust_pipeline.sources.formats.table_rows import label_of, predicted_label
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline_tests.conftest import REAL_DATA
from errclust_pipeline_tests.sources.reading import Read

LABELS = ["negative", "positive"]
COLUMNS = {"question": "text", "gold": "label", "prediction": "predicted"}
OPTIONS = {"model": "org/classifier", "columns": COLUMNS}


def reviews(first: int = 0, rows: int = 4) -> pa.Table:
    """Texts with a class label and a prediction, as a classifier's table has them."""
    numbers = range(first, first + rows)
    return pa.table(
        {
            "text": [f"review {number}" for number in numbers],
            "label": [number % 2 for number in numbers],
            "predicted": [1] * rows,
        }
    )


def with_features(table: pa.Table, **features: Any) -> pa.Table:
    """Add the metadata in which `datasets` states what the columns are."""
    stated = {"info": {"features": features}}
    return table.replace_schema_metadata({"huggingface": json.dumps(stated)})


def class_label(names: list[str]) -> dict[str, Any]:
    return {"names": names, "_type": "ClassLabel"}


def write_stream(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def write_parquet(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path)


def write_feather(path: Path, table: pa.Table) -> None:
    feather.write_feather(table, str(path), compression="zstd")


def read(path: Path, **options: Any) -> Read:
    [submission] = find_submissions(path, reader="table", options=OPTIONS | options)
    return Read(submission)


def answers(found: Read) -> list[tuple[Any, ...]]:
    return [(row["gold"], row["prediction"], row["score"]) for row in found.rows]


RIGHT_AND_WRONG = [
    ("negative", "positive", 0.0),
    ("positive", "positive", 1.0),
    ("negative", "positive", 0.0),
    ("positive", "positive", 1.0),
]


@pytest.mark.parametrize(
    ("name", "write"),
    [("t.parquet", write_parquet), ("t.arrow", write_stream), ("t.feather", write_feather)],
)
def test_the_names_of_class_labels_are_taken_from_the_file(
    tmp_path: Path, name: str, write: Callable[[Path, pa.Table], None]
) -> None:
    write(tmp_path / name, with_features(reviews(), label=class_label(LABELS)))
    found = read(tmp_path / name)
    assert answers(found) == RIGHT_AND_WRONG
    [row, *_] = found.rows
    # The labels are the same for every text: they are no part of the question.
    assert (row["question"], row["choices"], row["metric"]) == ("review 0", None, "exact_match")
    assert (row["response"], row["extraction_recorded"]) == (None, True)


def test_each_column_has_the_names_of_its_own_labels(tmp_path: Path) -> None:
    table = with_features(
        reviews(), label=class_label(LABELS), predicted=class_label(["positive", "negative"])
    )
    write_parquet(tmp_path / "t.parquet", table)
    assert [one[2] for one in answers(read(tmp_path / "t.parquet"))] == [1.0, 0.0, 1.0, 0.0]


def test_names_that_are_given_count_before_the_files(tmp_path: Path) -> None:
    write_parquet(tmp_path / "t.parquet", with_features(reviews(), label=class_label(LABELS)))
    found = read(tmp_path / "t.parquet", labels=["bad", "good"])
    assert answers(found)[0] == ("bad", "good", 0.0)
    with pytest.raises(SourceError, match="labels is 'bad'"):
        read(tmp_path / "t.parquet", labels="bad")


@pytest.mark.parametrize(
    "text",
    ["text\tlabel\tpredicted\n", "text,label,predicted\n", "[", "{"],
    ids=["tsv", "csv", "json", "jsonl"],
)
def test_text_formats_give_the_same_rows(tmp_path: Path, text: str) -> None:
    rows = reviews().to_pylist()
    if text in ("[", "{"):
        path = tmp_path / ("t.json" if text == "[" else "t.jsonl")
        lines = [json.dumps(row) for row in rows]
        path.write_text(f"[{','.join(lines)}]" if text == "[" else "\n".join(lines))
    else:
        separator = text[4]
        path = tmp_path / ("t.tsv" if separator == "\t" else "t.csv")
        lines = [separator.join(map(str, row.values())) for row in rows]
        path.write_text(text + "\n".join(lines))
    assert answers(read(path, labels=LABELS)) == RIGHT_AND_WRONG


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("positive", "positive"),
        ("POSITIVE", "positive"),
        (" positive ", "positive"),
        (1, "positive"),
        (1.0, "positive"),
        (True, "positive"),
        ("1", "positive"),
        ("1.0", "positive"),
        ("LABEL_1", "positive"),
        ([0.2, 0.8], "positive"),
        ("[0.2, 0.8]", "positive"),
        ([3, -1.5], "negative"),
        ({"label": "LABEL_1", "score": 0.9}, "positive"),
        ([{"label": "positive", "score": 0.9}, {"label": "negative", "score": 0.1}], "positive"),
        ("no idea", "no idea"),
        (-1, None),
        (None, None),
    ],
)
def test_a_label_is_told_by_its_name_its_number_or_scores(value: Any, name: str | None) -> None:
    assert (None if value is None else predicted_label(value, LABELS)) == name


@pytest.mark.parametrize(
    "value", [2, "7", "LABEL_2", [0.5, 0.3, 0.2], [], [0.5, float("nan")], ["a", "b"], [None, 1]]
)
def test_what_is_no_label_is_a_fault(value: Any) -> None:
    assert isinstance(predicted_label(value, LABELS), RowError)


def test_without_names_numbers_stand_for_themselves() -> None:
    assert [label_of(value, None) for value in (3, "3", "3.0", 3.0, "LABEL_3", "-1", "007")] == [
        *["3"] * 5,
        "-1",
        "007",
    ]
    assert predicted_label([0.1, 0.7, 0.2], None) == "1"
    # An answer that begins with a bracket is an answer.
    assert predicted_label("[1, 2]", None) == "[1, 2]"


def test_rows_without_a_usable_label_are_rejected(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "label": 0, "predicted": 0},
        {"text": "b", "label": -1, "predicted": 0},
        {"text": "c", "label": 5, "predicted": 0},
        {"text": "d", "label": "other", "predicted": 0},
        {"text": "e", "label": [0, 1], "predicted": 0},
        {"text": "f", "label": 0, "predicted": [1.0]},
        {"text": "g", "label": 1, "predicted": None},
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read(path, labels=LABELS)
    assert answers(found) == [("negative", "negative", 1.0), ("positive", None, 0.0)]
    assert found.reasons == [
        "missing_gold",
        "unknown_label",
        "unknown_label",
        "several_labels",
        "unreadable_label",
    ]


def test_labels_written_in_two_ways_are_an_error_and_not_all_wrong(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [{"text": f"t{n}", "label": n % 2, "predicted": LABELS[n % 2]} for n in range(30)]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(SourceError, match=r"'0', '1'; predicted: 'negative', 'positive'"):
        find_submissions(path, options=OPTIONS)
    assert sum(row["correct"] for row in read(path, labels=LABELS).rows) == 30


def test_answers_are_compared_only_if_their_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("input_text,correct_answer,prediction\nq,a,a\n")
    with pytest.raises(SourceError, match=r"no column 'score'.*\(gold, prediction\)"):
        find_submissions(path, options={"model": "m"})
    columns = {"gold": "correct_answer", "prediction": "prediction"}
    [submission] = find_submissions(path, options={"model": "m", "columns": columns})
    assert Read(submission).rows[0]["score"] == 1.0


def test_a_column_named_score_is_what_decides_only_if_it_is_said_to(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = reviews().append_column("score", [[1.0, 0.0, 0.5, 0.25]])
    write_parquet(path, with_features(table, label=class_label(LABELS)))
    # How sure a classifier was.
    assert answers(read(path)) == RIGHT_AND_WRONG
    found = read(path, columns=COLUMNS | {"score": "score"})
    assert [row["score"] for row in found.rows] == [1.0, 0.0, 0.5, 0.25]
    assert found.rows[0]["gold"] == "negative"
    write_parquet(path, table)
    with pytest.raises(SourceError, match=r"If the score decides .*--column score=score"):
        read(path)
    assert answers(read(path, labels=LABELS)) == RIGHT_AND_WRONG


def test_a_question_of_two_columns_is_both(tmp_path: Path) -> None:
    path = tmp_path / "nli.csv"
    path.write_text("premise,hypothesis,label,predicted\nIt rains.,It is wet.,0,0\n,Alone.,0,0\n")
    columns = COLUMNS | {"question": ["premise", "hypothesis"]}
    found = read(path, columns=columns)
    assert [row["question"] for row in found.rows] == ["It rains.\nIt is wet.", "Alone."]
    with pytest.raises(SourceError, match="no column 'conclusion'"):
        read(path, columns=columns | {"question": ["premise", "conclusion"]})


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet", "t.arrow"])
def test_a_column_inside_a_column_is_named_with_a_dot(tmp_path: Path, name: str) -> None:
    rows = [{"q": "which?", "a.b": 0, "result": {"said": {"text": "x"}, "ok": True}}]
    path = tmp_path / name
    if name == "t.jsonl":
        path.write_text(json.dumps(rows[0]))
    else:
        write = write_parquet if name == "t.parquet" else write_stream
        write(path, pa.Table.from_pylist(rows))
    columns = {"question": "q", "score": "result.ok", "response": "result.said.text"}
    found = read(path, columns=columns | {"subject": "a.b"})
    [row] = found.rows
    assert (row["score"], row["response"], row["subject"]) == (1.0, "x", "0")
    with pytest.raises(SourceError, match=r"no column 'result\.good'.*result\.ok"):
        read(path, columns=columns | {"score": "result.good"})


def test_several_models_in_a_row_are_several_submissions(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("text,label,a,b\nq1,0,0,1\nq2,1,1,1\n")
    options = {
        "columns": {"question": "text", "gold": "label"},
        "models": {"org/a": {"prediction": "a"}, "org/b": {"prediction": "b"}},
    }
    found = find_submissions(path, options=options)
    assert [one.model for one in found] == ["org/a", "org/b"]
    assert [[row["score"] for row in Read(one).rows] for one in found] == [[1, 1], [0, 1]]
    assert found[0].revision != found[1].revision
    for wrong, message in (
        ({"models": {}}, "models is {}"),
        ({"models": {"m": {"prediction": "c"}}}, "no column 'c'"),
        ({"models": {"m": {"predicted": "a"}}}, "option models: m: 'predicted' is not known"),
        ({"model": "m"}, "both given"),
        ({"columns": {"question": "text", "model": "label"}}, "both say what model"),
    ):
        with pytest.raises(SourceError, match=message):
            find_submissions(path, options=options | wrong)


def hub_layout(folder: Path) -> Path:
    """A dataset as it lies on the hub: two shards of one split, one of another."""
    data = folder / "reviews" / "data"
    data.mkdir(parents=True)
    for number in range(2):
        write_parquet(data / f"test-0000{number}-of-00002.parquet", reviews(number * 4))
    write_parquet(data / "train-00000-of-00001-0a1b2c.parquet", reviews(100))
    (data.parent / "README.md").write_text("# a card")
    (data.parent / "dataset_infos.json").write_text("{}")
    return data.parent


def exported_layout(folder: Path) -> Path:
    """A dataset as the hub converts it to Parquet."""
    for split, first in (("test", 0), ("train", 100)):
        (folder / "reviews" / split).mkdir(parents=True)
        for number in range(2 if split == "test" else 1):
            path = folder / "reviews" / split / f"000{number}.parquet"
            write_parquet(path, reviews(first + number * 4))
    return folder


def saved(folder: Path, shards: int, first: int = 0) -> Path:
    """A dataset as `datasets` saves it to disk."""
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"_data_files": []}')
    (folder / "dataset_info.json").write_text("{}")
    for number in range(shards):
        name = f"data-{number:05}-of-{shards:05}.arrow"
        write_stream(folder / name, reviews(first + number * 4))
    write_stream(folder / "cache-0123.arrow", reviews(999))
    return folder


def saved_splits(folder: Path) -> Path:
    root = folder / "reviews"
    saved(root / "test", 2)
    saved(root / "train", 1, first=100)
    (root / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    return root


@pytest.mark.parametrize("layout", [hub_layout, exported_layout, saved_splits])
def test_the_shards_of_a_split_are_one_table(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    root = layout(tmp_path)
    with pytest.raises(SourceError, match=r"splits test, train: choose one .*--split"):
        read(root)
    with pytest.raises(SourceError, match=r"no split 'dev'; there are: test, train"):
        read(root, split="dev")
    [submission] = find_submissions(root, options=OPTIONS | {"split": "test"})
    assert submission.benchmark == "reviews"
    assert len(submission.files) == 2
    found = Read(submission)
    assert [row["question"] for row in found.rows] == [f"review {n}" for n in range(8)]
    assert [row["example_id"] for row in found.rows][3:5] == ["0-3", "1-0"]
    places = {(row["source"], row["position"]) for row in found.rows}
    assert places == {(file, position) for file in submission.files for position in range(4)}
    assert len(read(root, split="train").rows) == 4


def test_a_saved_dataset_without_splits_is_one_table(tmp_path: Path) -> None:
    folder = saved(tmp_path / "reviews", 2)
    [submission] = find_submissions(folder, options=OPTIONS)
    assert (submission.benchmark, len(Read(submission).rows)) == ("reviews", 8)
    with pytest.raises(SourceError, match="leave option split out"):
        read(folder, split="test")


def test_a_dataset_that_is_not_whole_is_an_error(tmp_path: Path) -> None:
    folder = saved(tmp_path / "reviews", 3)
    with pytest.raises(SourceError, match=r"shard 0 of 3 .*give the folder"):
        read(folder / "data-00001-of-00003.arrow")
    (folder / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(SourceError, match=r"not whole: shard 1 of 3 of reviews .*fetch it"):
        read(folder)
    hub = hub_layout(tmp_path / "hub")
    write_parquet(hub / "data" / "test-00000-of-00001.parquet", reviews())
    with pytest.raises(SourceError, match="shards of several versions"):
        read(hub)


def test_what_datasets_itself_saves_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        text=datasets.Value("string"),
        label=datasets.ClassLabel(names=LABELS),
        predicted=datasets.Value("int64"),
    )
    dataset = datasets.Dataset.from_dict(reviews().to_pydict(), features=features)
    dataset.save_to_disk(str(tmp_path / "saved"))
    dataset.to_parquet(str(tmp_path / "t.parquet"))
    dataset.to_json(str(tmp_path / "t.json"))
    for name, options in (("saved", {}), ("t.parquet", {}), ("t.json", {"labels": LABELS})):
        assert answers(read(tmp_path / name, **options)) == RIGHT_AND_WRONG


def test_a_json_file_is_a_table_only_if_it_has_the_columns(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"results": {"acc": 1}}')
    (tmp_path / "t.json").write_text('[{"input_text": "q", "score": 1, "model": "m"}]')
    assert [one.files for one in find_submissions(tmp_path)] == [(str(tmp_path / "t.json"),)]
    with pytest.raises(SourceError, match="not a result file that is known"):
        find_submissions(tmp_path / "results.json")
    with pytest.raises(SourceError, match="no column 'q'"):
        find_submissions(tmp_path / "results.json", options={"columns": {"question": "q"}})


@pytest.mark.parametrize("cut", [0, 1, 100, -8, -200])
def test_an_arrow_stream_cut_short_is_told(tmp_path: Path, cut: int) -> None:
    write_stream(tmp_path / "t.arrow", reviews(rows=50))
    raw = (tmp_path / "t.arrow").read_bytes()
    (tmp_path / "t.arrow").write_bytes(raw[:cut])
    if cut == -8:
        found = read(tmp_path / "t.arrow")
        assert (len(found.rows), found.reasons) == (50, ["truncated_file"])
    else:
        with pytest.raises(SourceError, match=r"empty|not an Arrow file|damaged"):
            read(tmp_path / "t.arrow")


def test_the_real_grade_school_math_rows_equal_an_independent_count() -> None:
    folder = REAL_DATA / "grade_school_math"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    with (folder / "example_model_solutions.jsonl").open() as file:
        lines = [json.loads(line) for line in file]
    models = [name for name, value in lines[0].items() if isinstance(value, dict)]
    options = {
        "benchmark": "grade_school_math",
        "columns": {"question": "question", "gold": "ground_truth"},
        "models": {
            name: {"response": f"{name}.solution", "score": f"{name}.is_correct"} for name in models
        },
    }
    found = {one.model: Read(one) for one in find_submissions(folder, options=options)}
    assert len(found) == 4
    for model, read_rows in found.items():
        assert len(read_rows.rows) == read_rows.total == 1_319
        right = [row["correct"] for row in read_rows.rows]
        assert right == [line[model]["is_correct"] for line in lines]
        assert [row["response"] for row in read_rows.rows] == [
            line[model]["solution"] for line in lines
        ]
