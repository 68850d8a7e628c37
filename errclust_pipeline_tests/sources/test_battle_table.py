"""Tables of battles: layouts that are known, and tables that a mapping describes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.battles import find_battle_sets, read_battles
from errclust_pipeline.sources.formats.mapping import read_mapping

CASE = Path(__file__).resolve().parents[3] / "shared" / "cases" / "arena" / "my_battles.csv"


def battles(path: Path, **options: Any) -> tuple[str, list[dict[str, Any]], list[str]]:
    [found] = find_battle_sets(path, options=options)
    batches = list(read_battles(found))
    rows = [row for batch in batches for row in batch.battles.to_pylist()]
    reasons = [row["reason"] for batch in batches for row in batch.rejects.to_pylist()]
    return found.benchmark, rows, reasons


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def picked(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


PLAIN = {
    "prompt": "Why?", "model_a": "m", "model_b": "n", "response_a": "so", "response_b": "no",
    "winner": "model_a", "judge": "gpt-4o",
}  # fmt: skip


def test_a_plain_table_is_a_battle_set_of_its_own(tmp_path: Path) -> None:
    rows = [PLAIN, PLAIN | {"prompt": "How?", "winner": "tie (bothbad)", "judge": "Ann"}]
    name, found, reasons = battles(write_csv(tmp_path / "mine.csv", [*rows, PLAIN]))
    assert name == "mine"
    assert picked(found, "prompt", "winner", "judge_kind", "response_b") == [
        ("Why?", "model_a", "model", "no"),
        ("How?", "tie_bothbad", "human", "no"),
    ]
    assert reasons == ["duplicate_id"]


def test_a_table_with_three_columns_for_the_winner_is_read(tmp_path: Path) -> None:
    row = {
        "id": 7, "model_a": "m", "model_b": "n", "prompt": json.dumps(["Hi", "And?"]),
        "response_a": json.dumps(["a1", "a2"]), "response_b": json.dumps(["b1", None]),
        "winner_model_a": 0, "winner_model_b": 1, "winner_tie": 0,
    }  # fmt: skip
    unclear = row | {"id": 8, "winner_model_b": 0}
    name, found, reasons = battles(write_csv(tmp_path / "train.csv", [row, unclear]))
    assert name == "arena_55k"
    assert picked(found, "battle_id", "prompt", "response_a", "response_b", "winner") == [
        ("7", "Hi\n\nAnd?", "a1\n\na2", "b1", "model_b")
    ]
    assert reasons == ["unknown_winner"]


def test_conversations_without_a_turn_are_read(tmp_path: Path) -> None:
    def conversation(answer: str) -> list[dict[str, Any]]:
        return [
            {"role": "user", "content": [{"type": "text", "text": "Why?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]

    row = {
        "id": "x", "model_a": "m", "model_b": "n", "winner": "both_bad",
        "conversation_a": conversation("so"), "conversation_b": conversation("no"),
        "timestamp": 1_750_000_000_000,
    }  # fmt: skip
    path = tmp_path / "arena.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"id": "y", "conversation_b": 3}))
    name, found, reasons = battles(path)
    assert name == "arena_conversations"
    assert picked(found, "prompt", "response_a", "winner") == [("Why?", "so", "tie_bothbad")]
    assert found[0]["time"].year == 2025
    assert reasons == ["unreadable_conversation"]


def test_annotations_of_alpaca_eval_are_read(tmp_path: Path) -> None:
    rows = [
        {
            "instruction": f"Do {preference}.", "output_1": "a", "generator_1": "m",
            "output_2": "b", "generator_2": "n", "annotator": "weighted_alpaca_eval",
            "dataset": "koala", "preference": preference,
        }
        for preference in (1.0, 1.99, 1.5, None, 7)
    ]  # fmt: skip
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(rows))
    name, found, reasons = battles(path)
    assert name == "alpaca_eval"
    assert picked(found, "winner", "subject", "judge_kind") == [
        ("model_a", "koala", "model"), ("model_b", "koala", "model"), ("tie", "koala", "model"),
    ]  # fmt: skip
    assert reasons == ["unknown_winner"] * 2


MAPPING = """
benchmark: mine
battles:
  prompt: asked
  model_a: first
  model_b: second
  response_a: answers.0
  response_b: answers.1
  winner: {column: better, values: {1: model_a, 2: model_b, 0: tie}}
  judge: who
"""


def test_a_mapping_describes_any_table(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        {"asked": f"q{better}", "first": "m", "second": "n", "answers": ["x", "y"],
         "better": better, "who": "Ann"}
        for better in (0, 1, 2, 3)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "map.yaml").write_text(MAPPING)
    name, found, reasons = battles(path, **read_mapping(tmp_path / "map.yaml"))
    assert name == "mine"
    assert picked(found, "winner", "response_a", "response_b", "judge") == [
        ("tie", "x", "y", "Ann"), ("model_a", "x", "y", "Ann"), ("model_b", "x", "y", "Ann"),
    ]  # fmt: skip
    assert reasons == ["unknown_winner"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("battles: {model_a: a}", "battles names no column for model_b, winner, prompt"),
        ("battles: {modela: a}", "did you mean model_a"),
        (
            "battles: {model_a: a, model_b: b, prompt: p, winner: {column: w, values: {1: left}}}",
            "values has 'left', expected one of",
        ),
    ],
)
def test_what_is_wrong_in_a_mapping_of_battles_is_told(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(SourceError, match=message):
        read_mapping(tmp_path / "map.yaml")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [PLAIN])
    (tmp_path / "map.yaml").write_text(MAPPING)
    with pytest.raises(SourceError, match=r"no column 'asked'.*its columns: judge, model_a"):
        battles(path, **read_mapping(tmp_path / "map.yaml"))


@pytest.mark.skipif(not CASE.is_file(), reason="the cases are not at hand")
def test_battles_of_ones_own_are_read() -> None:
    with CASE.open() as file:
        rows = list(csv.DictReader(file))
    _, found, reasons = battles(CASE)
    assert (len(found), reasons) == (len(rows), [])
    assert picked(found, "model_a", "winner") == [(row["model_a"], row["winner"]) for row in rows]
