"""Readers of battles: what becomes of each format's rows, its ties, duplicates and dirt."""

from __future__ import annotations

import json
import random
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.battles import base, find_battle_sets, read_battles
from errclust_pipeline.sources.identity import question_id
from errclust_pipeline.tables import BATTLES
from errclust_pipeline.tables.soundness import problems_of
from errclust_pipeline_tests.helpers.battle_files import (
    arena_row,
    conversation,
    mt_bench_row,
    pair_row,
    pandalm_row,
    vote_row,
    write_fastchat,
    write_llmfao,
    write_lmsys,
    write_pandalm,
)
from errclust_pipeline_tests.sources.reading import write_lines


class ReadBattles:
    """All that reading a path's only battle set gave."""

    def __init__(self, path: Path, batch_rows: int = 1_000) -> None:
        (self.found,) = find_battle_sets(path)
        self.rows: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        for batch in read_battles(self.found, batch_rows):
            assert problems_of(BATTLES, pa.Table.from_batches([batch.battles])) == []
            self.rows += batch.battles.to_pylist()
            self.rejects += batch.rejects.to_pylist()

    @property
    def reasons(self) -> list[str]:
        return [reject["reason"] for reject in self.rejects]


def test_a_human_judgment_of_mt_bench_is_a_battle(tmp_path):
    read = ReadBattles(write_lmsys(tmp_path / "human.jsonl", [mt_bench_row()]))
    assert read.found.benchmark == "mt_bench_human_judgments"
    prompt = "Write a poem about harbour 81."
    assert read.rows == [
        {
            "battle_id": "81|alpaca-13b|gpt-4|expert_1|1",
            "question_id": question_id(prompt, None),
            "subject": None,
            "prompt": prompt,
            "response_a": "a1",
            "response_b": "b1",
            "model_a": "alpaca-13b",
            "model_b": "gpt-4",
            "winner": "model_b",
            "judge": "expert_1",
            "judge_kind": "human",
            "turn": 1,
            "language": None,
            "time": None,
            "metadata": '{"question_id": "81"}',
            "battle_set_name": "mt_bench_human_judgments",
            "source": str(tmp_path / "human.jsonl"),
            "position": 0,
            "revision": read.found.revision,
        }
    ]


def test_the_prompt_of_a_later_turn_holds_the_earlier_ones(tmp_path):
    read = ReadBattles(write_lmsys(tmp_path / "human.jsonl", [mt_bench_row(turn=2)]))
    (row,) = read.rows
    assert row["prompt"] == "Write a poem about harbour 81.\n\nMake it shorter."
    assert (row["response_a"], row["response_b"], row["turn"]) == ("a1\n\na2", "b1\n\nb2", 2)


def test_both_splits_of_mt_bench_are_one_battle_set_told_apart_by_their_judges(tmp_path):
    write_lmsys(tmp_path / "human.jsonl", [mt_bench_row()])
    model = mt_bench_row(judge="gpt4_pair", winner="tie (inconsistent)")
    write_lmsys(tmp_path / "gpt4_pair.jsonl", [model])
    read = ReadBattles(tmp_path)
    assert [(row["judge_kind"], row["winner"]) for row in read.rows] == [
        ("model", "tie"),
        ("human", "model_b"),
    ]


def test_an_arena_conversation_keeps_language_time_and_both_kinds_of_tie(tmp_path):
    rows = [arena_row(0), arena_row(1, winner="tie"), arena_row(2, tstamp=float("inf"))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train-00000.parquet")
    read = ReadBattles(tmp_path)
    assert read.found.benchmark == "chatbot_arena_conversations"
    assert [row["winner"] for row in read.rows] == ["tie_bothbad", "tie", "tie_bothbad"]
    first, _, last = read.rows
    assert first["battle_id"] == f"{0:032x}"
    assert first["language"] == "English"
    assert first["time"] == datetime(2023, 4, 24, 15, 53, 11, 132200)
    assert json.loads(first["metadata"]) == {"anony": True}
    assert last["time"] is None
    assert json.loads(last["metadata"])["tstamp"] == "inf"


def test_a_dataset_as_the_hub_lays_it_out_is_taken_as_a_folder(tmp_path, warehouse):
    data = tmp_path / "mt_bench_human_judgments" / "data"
    data.mkdir(parents=True)
    for split, judge in (("human", "expert_1"), ("gpt4_pair", "gpt4_pair")):
        rows = [mt_bench_row(number, judge=judge) for number in range(81, 84)]
        name = f"{split}-00000-of-00001-25f4910818759289.parquet"
        pq.write_table(pa.Table.from_pylist(rows), data / name)
    (one,) = ingest(warehouse, [tmp_path / "mt_bench_human_judgments"])
    assert one.submission.benchmark == "mt_bench_human_judgments"
    assert len(ReadBattles(tmp_path).rows) == 6


def test_shards_of_one_dataset_are_one_battle_set(tmp_path):
    for shard in (0, 1):
        write_lmsys(tmp_path / f"train-0000{shard}-of-00002.jsonl", [arena_row(shard)])
    assert len(ReadBattles(tmp_path).rows) == 2


def test_a_vote_counts_once_and_another_judges_vote_is_no_duplicate(tmp_path):
    vote = mt_bench_row()
    swapped = mt_bench_row(
        model_a=vote["model_b"],
        model_b=vote["model_a"],
        conversation_a=vote["conversation_b"],
        conversation_b=vote["conversation_a"],
        winner="model_b",
    )
    other_answer = conversation("Write a poem about harbour 81.", "another poem")
    rows = [
        vote,
        vote,
        swapped,
        mt_bench_row(judge="expert_2"),
        mt_bench_row(turn=2),
        mt_bench_row(model_a="koala", conversation_a=other_answer),
    ]
    read = ReadBattles(write_lmsys(tmp_path / "human.jsonl", rows))
    assert [row["position"] for row in read.rows] == [0, 3, 4, 5]
    assert read.reasons == ["duplicate_id", "duplicate_vote"]
    assert "expert_1 judged the same two responses" in read.rejects[1]["detail"]


def test_an_id_that_comes_twice_in_the_arena_is_rejected(tmp_path):
    rows = [arena_row(0), arena_row(0, judge="arena_user_7")]
    read = ReadBattles(write_lmsys(tmp_path / "train.jsonl", rows))
    assert len(read.rows) == 1
    assert read.reasons == ["duplicate_id"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model_b": "alpaca-13b"}, "self_battle"),
        ({"model_a": None}, "missing_model"),
        ({"model_a": ["x"]}, "missing_model"),
        ({"winner": "left"}, "unknown_winner"),
        ({"winner": ["model_a"]}, "unknown_winner"),
        ({"winner": None}, "unknown_winner"),
        ({"turn": 0}, "missing_turn"),
        ({"turn": True}, "missing_turn"),
        ({"turn": 3}, "unreadable_conversation"),
        ({"conversation_a": "hello"}, "unreadable_conversation"),
        ({"conversation_a": [{"role": "user", "content": 1}]}, "unreadable_conversation"),
        ({"conversation_b": conversation("Something else", "b")}, "different_prompts"),
        (
            {"conversation_a": conversation(" ", "a"), "conversation_b": conversation(" ", "b")},
            "missing_prompt",
        ),
        ({"question_id": None}, "missing_id"),
    ],
)
def test_a_row_that_says_nothing_about_two_models_is_rejected(tmp_path, changed, reason):
    rows = [mt_bench_row(), mt_bench_row(82, **changed)]
    read = ReadBattles(write_lmsys(tmp_path / "human.jsonl", rows))
    assert [row["position"] for row in read.rows] == [0]
    assert [(one["position"], one["reason"]) for one in read.rejects] == [(1, reason)]


def test_a_battle_without_a_judge_is_kept(tmp_path):
    read = ReadBattles(write_lmsys(tmp_path / "train.jsonl", [arena_row(0, judge=None)]))
    assert [row["judge"] for row in read.rows] == [None]


def test_a_fastchat_model_wins_only_if_both_games_say_so(tmp_path):
    games = [
        ("model_1", "model_1"),
        ("model_2", "model_2"),
        ("model_1", "model_2"),
        ("tie", "tie"),
        ("model_1", "tie"),
        ("error", "model_1"),
    ]
    pairs = [
        pair_row(judge=[f"gpt-{number}"], g1_winner=first, g2_winner=second)
        for number, (first, second) in enumerate(games)
    ]
    write_fastchat(tmp_path / "mt_bench", pairs)
    read = ReadBattles(tmp_path)
    assert read.found.benchmark == "mt_bench"
    assert [row["winner"] for row in read.rows] == ["model_a", "model_b", "tie", "tie", "tie"]
    assert read.reasons == ["unknown_winner"]
    row = read.rows[0]
    assert (row["prompt"], row["subject"], row["judge_kind"]) == ("Write.", "writing", "model")
    assert (row["response_a"], row["response_b"]) == ("alpaca-13b wrote.", "gpt-3.5-turbo wrote.")
    assert row["time"] == datetime(2023, 6, 20, 0, 55, 52, 100000)


def test_fastchats_second_turn_and_answers_that_are_not_there(tmp_path):
    pairs = [pair_row(turn=2), pair_row(turn=3), pair_row(question_id=82)]
    file = write_fastchat(tmp_path / "mt_bench", pairs, answers=False)
    read = ReadBattles(file)
    (row,) = read.rows
    assert row["prompt"] == "Write.\n\nRewrite."
    assert row["response_a"] is None
    assert read.reasons == ["missing_turn", "unknown_question"]


def test_fastchats_scores_of_single_answers_are_refused_with_the_way_out(tmp_path):
    score = {"question_id": 81, "model": "m", "judge": ["gpt-4", "single-v1"], "score": 7.0}
    file = write_lines(tmp_path / "gpt-4_single.jsonl", [score | {"judgment": "…", "turn": 1}])
    with pytest.raises(SourceError, match=r"single answers.*divided by 10"):
        find_battle_sets(file)
    # Beside judgments of pairs they are left out.
    write_fastchat(tmp_path / "mt_bench", [pair_row()])
    shutil.move(file, tmp_path / "mt_bench" / "model_judgment")
    assert len(ReadBattles(tmp_path).rows) == 1


def test_fastchats_questions_are_needed(tmp_path):
    file = write_fastchat(tmp_path / "mt_bench", [pair_row()])
    (tmp_path / "mt_bench" / "question.jsonl").unlink()
    with pytest.raises(SourceError, match=r"put the benchmark's question\.jsonl into"):
        find_battle_sets(file)


def test_llmfaos_crowd_and_gpt4_vote_on_the_same_pairs(tmp_path):
    votes = [
        vote_row(),
        vote_row(worker="7", winner="tie"),
        vote_row(worker="58"),
        vote_row(id="5", worker="1"),
        vote_row(model_x="1", worker="2"),
    ]
    write_llmfao(tmp_path, votes)
    gpt4 = {name: value for name, value in vote_row(winner="right").items() if name != "worker"}
    write_llmfao(tmp_path, [gpt4], "gpt4-crowd-comparisons.csv")
    read = ReadBattles(tmp_path)
    assert [(row["judge"], row["judge_kind"], row["winner"]) for row in read.rows] == [
        ("worker 58", "human", "model_a"),
        ("worker 7", "human", "tie"),
        ("gpt-4", "model", "model_b"),
    ]
    assert read.reasons == ["duplicate_id", "unknown_pair", "different_models"]
    row = read.rows[0]
    assert (row["model_a"], row["response_a"]) == ("Model Ninety-seven", "One.")
    assert (row["prompt"], row["subject"]) == ("A haiku, please.", "reflexion")


def test_llmfaos_outputs_are_needed(tmp_path):
    file = write_llmfao(tmp_path, [vote_row()])
    (tmp_path / "pairs-crowd.jsonl").unlink()
    with pytest.raises(SourceError, match=r"put llmfao's pairs-crowd\.jsonl into"):
        find_battle_sets(file)


def test_pandalms_three_annotators_are_three_battles(tmp_path):
    rows = [
        pandalm_row(),
        pandalm_row(1, input="", response1=True),
        pandalm_row(2, annotator2=7, annotator3=True),
        pandalm_row(3, cmp_key="one-model"),
        "stray",
    ]
    read = ReadBattles(write_pandalm(tmp_path / "testset-v1.json", rows))
    assert [row["winner"] for row in read.rows] == ["model_a", "model_b", "tie"] * 2 + ["model_a"]
    assert [row["judge"] for row in read.rows[:3]] == ["annotator1", "annotator2", "annotator3"]
    assert read.rows[0]["prompt"] == "Shorten sentence 0.\n\nIt is, in fact, long."
    assert read.rows[3]["prompt"] == "Shorten sentence 1."
    assert read.rows[3]["response_a"] == "true"
    assert (read.rows[0]["model_a"], read.rows[0]["model_b"]) == ("bloom-7b", "cerebras-gpt-6.7B")
    assert [(one["position"], one["reason"], one["judge"]) for one in read.rejects] == [
        (2, "unknown_winner", "annotator2"),
        (2, "unknown_winner", "annotator3"),
        (3, "missing_model", None),
        (4, "not_an_object", None),
    ]


def test_batches_hold_as_many_rows_as_asked_and_lose_none(tmp_path):
    write_lmsys(tmp_path / "human.jsonl")
    (found,) = find_battle_sets(tmp_path)
    sizes = [batch.battles.num_rows for batch in read_battles(found, 3)]
    assert sizes == [3, 3, 3, 1]


def test_text_that_arrow_cannot_hold_is_repaired_or_rejected(tmp_path):
    bad = conversation("Write a poem about harbour 82.", "b\ud800")
    read = ReadBattles(
        write_lmsys(tmp_path / "h.jsonl", [mt_bench_row(), mt_bench_row(82, conversation_b=bad)])
    )
    assert [row["response_b"] for row in read.rows] == ["b1", "b\ufffd"]


def test_nothing_usable_is_an_error_that_says_why(tmp_path):
    file = write_lmsys(tmp_path / "human.jsonl", [mt_bench_row(winner="nobody")] * 2)
    (found,) = find_battle_sets(file)
    with pytest.raises(SourceError, match=r"none of 2 rows.*unknown_winner 2x.*'nobody'"):
        list(read_battles(found))


def test_a_truncated_file_gives_what_came_before(tmp_path):
    file = write_lmsys(tmp_path / "human.jsonl")
    file.write_bytes(file.read_bytes()[:-40])
    read = ReadBattles(file)
    assert len(read.rows) == 9
    assert read.reasons == ["truncated_file"]


def test_a_truncated_parquet_file_is_no_battle_set(tmp_path):
    file = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist([arena_row()]), file)
    file.write_bytes(file.read_bytes()[:-40])
    assert find_battle_sets(file) == []


def test_two_battle_sets_of_one_name_are_refused(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_llmfao(tmp_path / name, [vote_row()])
    with pytest.raises(SourceError, match="would both be battle set llmfao"):
        find_battle_sets(tmp_path)
    (found,) = find_battle_sets(tmp_path / "second", options={"benchmark": "haiku votes"})
    assert found.benchmark == "haiku votes"


def test_an_option_that_battles_do_not_have_is_named(tmp_path):
    file = write_lmsys(tmp_path / "human.jsonl")
    with pytest.raises(SourceError, match="no option metric"):
        find_battle_sets(file, options={"metric": "acc"})


def test_pairs_converted_to_parquet_give_the_same_battles(tmp_path):
    """As the hub converts a dataset's JSON, and as pandas writes a frame."""
    rows = [pandalm_row(number) for number in range(3)]
    plain = ReadBattles(write_pandalm(tmp_path / "testset-v1.json", rows))
    converted = tmp_path / "converted" / "train-00000-of-00001.parquet"
    converted.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), converted)
    read = ReadBattles(converted)
    assert (len(read.rows), read.rejects) == (9, [])
    of_the_file = dict.fromkeys(("revision", "source"))
    assert [row | of_the_file for row in read.rows] == [row | of_the_file for row in plain.rows]


def test_judgments_converted_to_parquet_give_the_same_battles(tmp_path):
    file = write_fastchat(tmp_path / "mt_bench", [pair_row(), pair_row(turn=2)])
    plain = ReadBattles(file)
    pq.write_table(
        pa.Table.from_pylist([pair_row(), pair_row(turn=2)]), file.with_suffix(".parquet")
    )
    file.unlink()
    read = ReadBattles(file.with_suffix(".parquet"))
    assert (len(read.rows), read.rejects) == (2, [])
    of_the_file = dict.fromkeys(("revision", "source"))
    assert [row | of_the_file for row in read.rows] == [row | of_the_file for row in plain.rows]


def compare_at_once_with_row_by_row(path, monkeypatch):
    """Read battles in parts of seven rows, at once and row by row; return what both give."""
    monkeypatch.setattr(base, "_MOST_AT_ONCE", 7)
    added = []
    at_once = base._add_at_once

    def noted(*arguments):
        added.append(at_once(*arguments))
        return added[-1]

    monkeypatch.setattr(base, "_add_at_once", noted)
    fast = ReadBattles(path)
    monkeypatch.setattr(base, "_add_at_once", lambda *_: False)
    slow = ReadBattles(path)
    monkeypatch.setattr(base, "_add_at_once", at_once)
    assert (fast.rows, fast.rejects) == (slow.rows, slow.rejects)
    return fast, added


@pytest.mark.parametrize("seed", range(8))
def test_llmfaos_votes_are_the_same_at_once_and_row_by_row(tmp_path, monkeypatch, seed):
    draw = random.Random(seed)
    pairs = [
        {
            "id": number % 30,  # The last of two pairs with one id counts.
            "prompt": 1,
            "text": draw.choice(["P", "Q", f"prompt {number}"]),
            "type": draw.choice([None, "poetry"]),
            "model_x": 1,
            "model_y": 2,
            "result_x": draw.choice(["same", f"one {number}"]),
            # Such a pair cannot be used.
            "result_y": None if seed % 2 and number == 3 else draw.choice(["same", f"{number}"]),
        }
        for number in range(40)
    ]
    write_lines(tmp_path / "pairs-crowd.jsonl", pairs)
    votes = [
        vote_row(
            id=str(draw.randrange(30)),
            model_x="1",
            model_y="2",
            worker=str(draw.randrange(400)),
            winner=draw.choice(["left", "right", "tie"]),
            left=draw.choice(["A", "B"]),
            right=draw.choice(["C", "D"]),
        )
        for _ in range(80)
    ]
    read, added = compare_at_once_with_row_by_row(write_llmfao(tmp_path, votes), monkeypatch)
    assert len(read.rows) > 60
    assert added.count(True) > 2


def test_a_pair_whose_prompt_nobody_voted_on_may_be_blank(tmp_path, monkeypatch):
    outputs = {"prompt": 8, "model_x": 97, "result_x": "One.", "model_y": 98, "result_y": "Two."}
    pairs = [outputs | {"id": 0, "text": "A haiku."}, outputs | {"id": 1, "text": "  "}]
    write_lines(tmp_path / "pairs-crowd.jsonl", pairs)
    votes = [vote_row(worker=str(number)) for number in range(5)]
    read, added = compare_at_once_with_row_by_row(write_llmfao(tmp_path, votes), monkeypatch)
    assert (len(read.rows), added) == (5, [True])


def test_llmfaos_ids_are_the_same_whatever_they_are(tmp_path, monkeypatch):
    outputs = {"model_x": 97, "result_x": "One.", "model_y": 98, "result_y": "Two."}
    pairs = [outputs | {"id": name, "text": f"{name}?"} for name in (True, 0, "x", 1.5)]
    write_lines(tmp_path / "pairs-crowd.jsonl", pairs)
    votes = [vote_row(id=name, worker=name) for name in ("true", "True", "0", "x", "1.5")]
    read, _ = compare_at_once_with_row_by_row(write_llmfao(tmp_path, votes), monkeypatch)
    assert [row["prompt"] for row in read.rows] == ["True?", "0?", "x?", "1.5?"]


@pytest.mark.parametrize("seed", range(8))
def test_pandalms_pairs_are_the_same_at_once_and_row_by_row(tmp_path, monkeypatch, seed):
    draw = random.Random(seed)
    rows = [
        pandalm_row(
            number,
            instruction=draw.choice(["P", f"instruction {number}"]),
            input=draw.choice(["", "given"]),
            response1=draw.choice(["same", f"{number}", True, None]),
            response2=f"other {number % 28}",
        )
        for number in range(30)
    ]
    if seed % 2:
        del rows[10]["annotator2"]
        rows[20]["annotator4"] = 1
    file = write_pandalm(tmp_path / "testset-v1.json", rows)
    read, added = compare_at_once_with_row_by_row(file, monkeypatch)
    assert len(read.rows) > 60
    assert added.count(True) >= 2


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_columns_that_nobody_reads_may_be_unreadable(tmp_path, ending):
    beyond = pa.array([10**14] * 2, pa.timestamp("s"))
    judgments = tmp_path / "mt_bench" / "model_judgment" / f"gpt-4_pair.{ending}"
    write_fastchat(tmp_path / "mt_bench", [pair_row()]).unlink()
    pairs = tmp_path / "pandalm" / f"test.{ending}"
    pairs.parent.mkdir()
    for path, rows in (
        (judgments, [pair_row(), pair_row(turn=2)]),
        (pairs, [pandalm_row(number, annotator10=1) for number in range(2)]),
    ):
        table = pa.Table.from_pylist(rows)
        # Of two columns with one name, too, none can be told.
        for name in ("when", "twice", "twice"):
            table = table.append_column(name, beyond)
        if ending == "parquet":
            pq.write_table(table, path)
        else:
            with pa.ipc.new_file(path, table.schema) as file:
                file.write_table(table)
    assert len(ReadBattles(judgments).rows) == 2
    read = ReadBattles(pairs)
    assert [row["judge"] for row in read.rows[:4]] == [
        "annotator1", "annotator2", "annotator3", "annotator10",
    ]  # fmt: skip
    assert (len(read.rows), read.rejects) == (8, [])


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_pairs_whose_verdicts_cannot_be_read_are_a_clear_error(tmp_path, ending):
    table = pa.Table.from_pylist([pandalm_row(number) for number in range(2)])
    beyond = pa.array([10**14] * 2, pa.timestamp("s"))
    table = table.set_column(table.schema.get_field_index("annotator3"), "annotator3", beyond)
    path = tmp_path / f"test.{ending}"
    if ending == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    with pytest.raises(SourceError, match="none of 2 rows can be used"):
        ReadBattles(path)
