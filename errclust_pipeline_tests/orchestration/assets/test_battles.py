"""Battles from their files to the table: recorded, read, checked, queried, forgotten."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from errclust_pipeline import stages
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.orchestration.partitions import add_partitions, remove_partition
from errclust_pipeline.settings import load_settings
from errclust_pipeline.sources import SourceError, UnknownFormatError
from errclust_pipeline.tables import BATTLE_REJECTS, BATTLE_TABLES, BATTLES
from errclust_pipeline.warehouse.keys import BattleSetPartition, SubmissionPartition
from errclust_pipeline_tests.helpers.battle_files import (
    mt_bench_row,
    pair_row,
    vote_row,
    write_fastchat,
    write_llmfao,
    write_lmsys,
)
from errclust_pipeline_tests.helpers.command_line import errclust_at
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

MT_BENCH = BattleSetPartition("mt_bench_human_judgments")


def run_all(warehouse):
    """Run what there is of battles; results beside them are left alone, since they take longer."""
    partitions = runs.select_partitions(warehouse)
    return run_phases(warehouse, "rate_battles", partitions=partitions)


def state(warehouse, partition):
    return stages.status(warehouse, load_settings(warehouse.storage), partition)["battles"]


def test_battles_are_recorded_read_and_then_left_alone(warehouse, tmp_path):
    rows = [mt_bench_row(), mt_bench_row(82), mt_bench_row(83, winner="nobody")]
    (one,) = ingest(warehouse, [write_lmsys(tmp_path / "human.jsonl", rows)])
    assert (one.partition, one.change) == (MT_BENCH, "new")
    assert warehouse.battle_sets() == [MT_BENCH]
    assert warehouse.submissions() == []
    assert state(warehouse, MT_BENCH).state is stages.State.MISSING

    (finished,) = run_all(warehouse)
    assert finished.failure is None
    assert warehouse.count(BATTLES, MT_BENCH) == 2
    assert warehouse.read(BATTLE_REJECTS, MT_BENCH)["reason"].to_pylist() == ["unknown_winner"]
    assert warehouse.reject_counts(MT_BENCH) == (1, 3)
    assert run_all(warehouse) == []
    with open_instance(warehouse.storage) as instance:
        assert instance.get_dynamic_partitions("battle_set") == [MT_BENCH.name]
        assert instance.get_dynamic_partitions("benchmark") == []
        (event,) = instance.fetch_materializations(dg.AssetKey("battles"), limit=1).records
        shown = event.asset_materialization.metadata
        assert shown["winners"].value == {"model_b": 2}
        assert shown["reasons"].value == {"unknown_winner": 1}

    write_lmsys(tmp_path / "human.jsonl", rows[:1])
    (one,) = ingest(warehouse, [tmp_path / "human.jsonl"])
    assert one.change == "revised"
    assert state(warehouse, MT_BENCH).state is stages.State.STALE
    assert failures_of(run_all(warehouse)) == []
    assert warehouse.count(BATTLES, MT_BENCH) == 1


def test_a_folder_may_hold_results_and_battles(warehouse, tmp_path):
    write_table(tmp_path / "results.csv")
    write_lmsys(tmp_path / "human.jsonl")
    write_llmfao(tmp_path, [vote_row()])
    ingested = ingest(warehouse, [tmp_path])
    assert {one.partition for one in ingested} == {
        MT_BENCH,
        BattleSetPartition("llmfao"),
        SubmissionPartition("trivia", "org__model-a"),
    }
    assert failures_of(run_all(warehouse)) == []
    names, rows = warehouse.query("select benchmark, count(*) from battles group by all order by 1")
    assert names[0] == "benchmark"
    assert rows == [("llmfao", 1), ("mt_bench_human_judgments", 10)]


def test_a_copy_keeps_all_that_battles_refer_to(warehouse, tmp_path):
    write_fastchat(tmp_path / "mt_bench", [pair_row()])
    ingest(warehouse, [tmp_path / "mt_bench"], copy=True)
    for file in (tmp_path / "mt_bench").rglob("*.jsonl"):
        file.unlink()
    assert failures_of(run_all(warehouse)) == []
    (row,) = warehouse.read(BATTLES, BattleSetPartition("mt_bench")).to_pylist()
    assert (row["prompt"], row["response_a"]) == ("Write.", "alpaca-13b wrote.")


def test_a_file_that_changed_or_went_is_an_error_that_says_what_to_do(warehouse, tmp_path):
    file = write_lmsys(tmp_path / "human.jsonl")
    ingest(warehouse, [file])
    write_lmsys(file, [mt_bench_row()])
    (failure,) = failures_of(run_all(warehouse))
    assert "changed since it was ingested" in failure
    file.unlink()
    (failure,) = failures_of(run_all(warehouse))
    assert "is gone since it was ingested" in failure


def test_very_many_rejects_fail_the_run_and_are_kept(warehouse, tmp_path):
    rows = [mt_bench_row(), *(mt_bench_row(82 + n, winner="nobody") for n in range(9))]
    ingest(warehouse, [write_lmsys(tmp_path / "human.jsonl", rows)])
    (finished,) = run_all(warehouse)
    assert "90% of the rows of mt_bench_human_judgments could not be used" in finished.failure
    assert warehouse.count(BATTLE_REJECTS, MT_BENCH) == 9
    assert warehouse.count(BATTLES, MT_BENCH) is None


def test_what_is_no_battle_names_the_formats_of_battles_too(warehouse, tmp_path):
    file = tmp_path / "note.json"
    file.write_text('{"a": 1}')
    with pytest.raises(UnknownFormatError, match=r"(?s)lm_eval.*of battles:.*pandalm"):
        ingest(warehouse, [file])
    with pytest.raises(UnknownFormatError, match="holds no battles of that format"):
        ingest(warehouse, [file], reader="pandalm")
    with pytest.raises(SourceError, match=r"there is no reader 'x'; there are: .*llmfao"):
        ingest(warehouse, [file], reader="x")


def test_two_paths_with_the_same_battle_set_are_refused(warehouse, tmp_path):
    files = [write_lmsys(tmp_path / f"{n}.jsonl", [mt_bench_row(n)]) for n in (1, 2)]
    with pytest.raises(SourceError, match=r"both battles of battle set.*a folder that holds both"):
        ingest(warehouse, files)
    assert warehouse.battle_sets() == []


def test_forgetting_a_battle_set_leaves_a_benchmark_of_the_same_name(warehouse, tmp_path):
    file = write_lmsys(tmp_path / "human.jsonl")
    ingest(warehouse, [file], options={"benchmark": "trivia"})
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    assert failures_of(run_all(warehouse)) == []
    results, battles = SubmissionPartition("trivia", "org__model-a"), BattleSetPartition("trivia")
    with open_instance(warehouse.storage) as instance:
        add_partitions(instance, [results, battles])
        assert warehouse.forget(battles) == len(BATTLE_TABLES)
        remove_partition(instance, battles, warehouse.submissions())
        assert instance.get_dynamic_partitions("battle_set") == []
        assert instance.get_dynamic_partitions("benchmark") == ["trivia"]
    assert warehouse.battle_sets() == []
    assert warehouse.submissions() == [results]
    assert run_all(warehouse) == []


def test_forgetting_a_model_leaves_battles_alone(warehouse, tmp_path):
    ingest(warehouse, [write_lmsys(tmp_path / "human.jsonl")], options={"benchmark": "trivia"})
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    assert failures_of(run_all(warehouse)) == []
    warehouse.forget(SubmissionPartition("trivia", "org__model-a"))
    assert warehouse.count(BATTLES, BattleSetPartition("trivia")) == 10
    assert warehouse.battle_sets() == [BattleSetPartition("trivia")]


def test_the_command_line_takes_shows_and_forgets_battles(root, tmp_path):
    errclust = errclust_at(root)
    file = write_lmsys(tmp_path / "human.jsonl", [mt_bench_row(), mt_bench_row(82, winner="?")])
    (row,) = json.loads(errclust("ingest", str(file), "--json").stdout)
    assert (row["benchmark"], row["model"]) == (MT_BENCH.name, "(battles)")
    done = errclust("run")
    assert done.exit_code == 0, done.output
    assert "1 of 2 rows could not be used: table battle_rejects" in done.output
    shown = json.loads(errclust("status", "--json").stdout)
    (found,) = shown["battle_sets"]
    assert {found.pop(asset) for asset in ("battles", "prompt_map", "ratings")} == {"fresh"}
    assert found == {"battle_set": MT_BENCH.name, "rows": 1, "rejects": 1}
    query = "select benchmark, winner, model_a from battles"
    assert json.loads(errclust("sql", query, "--json").stdout) == [
        {"benchmark": MT_BENCH.name, "winner": "model_b", "model_a": "alpaca-13b"}
    ]
    assert errclust("forget", MT_BENCH.name, "--yes").exit_code == 0
    assert json.loads(errclust("status", "--json").stdout)["battle_sets"] == []
