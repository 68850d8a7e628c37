import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.training.pool import read_pool


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_examples_are_read_and_what_is_none_is_counted(tmp_path):
    path = write(
        tmp_path / "pool.jsonl",
        [
            {"problem": "What is 1 + 1?", "meta": {"solution": "2"}},
            {"problem": "  ", "meta": {"solution": "2"}},
            {"problem": "What is 1 + 2?", "meta": {"solution": None}},
            {"problem": "What is 1 + 1?", "meta": {"solution": "2"}},
            {"problem": "What is 2 + 2?", "meta": {"solution": 4}},
            ["no", "object"],
        ],
    )
    pool = read_pool(str(path), {"instruction": "problem", "answer": "meta.solution"})
    assert [(one.example_id, one.instruction, one.answer) for one in pool.examples] == [
        ("pool.jsonl:0", "What is 1 + 1?", "2"),
        ("pool.jsonl:4", "What is 2 + 2?", "4"),
    ]
    assert pool.left_out == {
        "no_answer": 1,
        "no_instruction": 1,
        "not_an_object": 1,
        "repeated": 1,
    }


def test_usual_columns_are_found_and_a_folder_of_shards_is_one_pool(tmp_path):
    for shard in range(2):
        table = pa.table({"prompt": [f"question {shard}"], "completion": ["answer"]})
        pq.write_table(table, tmp_path / f"train-{shard:05d}-of-00002.parquet")
    pool = read_pool(str(tmp_path), {})
    assert [one.instruction for one in pool.examples] == ["question 0", "question 1"]
    assert pool.columns == {"instruction": "prompt", "answer": "completion"}
    assert len({one.example_id for one in pool.examples}) == 2


def test_files_of_one_name_in_several_folders_are_told_apart(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "pool.jsonl", [{"question": folder, "answer": "x"}])
    pool = read_pool(str(tmp_path), {})
    assert [one.example_id for one in pool.examples] == ["a/pool.jsonl:0", "b/pool.jsonl:0"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"instruction": "ask"}, "no column 'ask'; it has text, label.*--column instruction=text"),
        ({}, "no column that is usual for the instruction"),
        ({"text": "label"}, "name its columns as instruction=… and answer=…"),
    ],
)
def test_missing_columns_are_named_with_those_there_are(tmp_path, columns, message):
    path = write(tmp_path / "pool.jsonl", [{"text": "a", "label": "b"}])
    with pytest.raises(SourceError, match=message):
        read_pool(str(path), columns)


def test_splits_must_be_chosen_and_nothing_usable_is_an_error(tmp_path):
    for split in ("train", "test"):
        table = pa.table({"question": [split], "answer": ["x"]})
        pq.write_table(table, tmp_path / f"{split}-00000-of-00001.parquet")
    with pytest.raises(SourceError, match=r"splits test, train: choose one with --split"):
        read_pool(str(tmp_path), {})
    assert read_pool(str(tmp_path), {}, "test").examples[0].instruction == "test"
    with pytest.raises(SourceError, match="split 'dev'"):
        read_pool(str(tmp_path), {}, "dev")
    with pytest.raises(SourceError, match="does not exist"):
        read_pool(str(tmp_path / "none.csv"), {})
    empty = write(tmp_path / "empty.jsonl", [{"question": "", "answer": ""}])
    with pytest.raises(SourceError, match=r"no usable example \(1 no_instruction\)"):
        read_pool(str(empty), {})
