import json
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import checks, runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import PHASES, STAGES, State, status
from errclust_pipeline.tables import (
    BATTLES,
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERROR_EMBEDDINGS,
    ERRORS,
    HOT_SPOTS,
    LEADERBOARD,
    REJECTS,
    RESPONSES,
    TABLES,
    UNCERTAINTY,
)
from errclust_pipeline.tables.soundness import problems_of
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline_tests.helpers.battle_files import write_lmsys
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

A = SubmissionPartition("trivia", "org__model-a")


def rows_of(table, records):
    """Make rows of a table from what matters; the rest is null."""
    schema = pa.schema([field.with_nullable(True) for field in table.schema])
    return pa.Table.from_pylist(records, schema=schema)


def battle(**changed):
    """What matters of a battle."""
    good = {"model_a": "a", "model_b": "b", "winner": "tie", "judge_kind": "human"}
    return {"battle_id": "1", **good, **changed}


def answered(**changed):
    """A question of the table `uncertainty`, which has checks of its own."""
    good = {"options": 4, "confidence": 0.5, "corner": "unsure_wrong", "set_size": 2.0}
    sizes = {"lac_set_size": 1.0, "aps_set_size": 3.0, "lac_covered": 0.5, "aps_covered": 1.0}
    return {"question_id": "1", **good, **sizes, **changed}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_without_rows_is_sound(table):
    assert problems_of(table, table.schema.empty_table()) == []


@pytest.mark.parametrize(
    ("table", "records", "problem"),
    [
        (RESPONSES, [{"example_id": "1", "score": 0.5}] * 2, "1 rows repeat the example_id"),
        (RESPONSES, [{"example_id": "1", "score": 1.5}], "score are outside 0 to 1"),
        (RESPONSES, [{"example_id": "1", "score": float("nan")}], "score are outside 0 to 1"),
        (ERRORS, [{"example_id": "1", "failure_form": "boredom"}], "unknown failure_form: boredom"),
        (
            ERROR_CLUSTERS,
            [{"example_id": "1", "level": 1}, {"example_id": "2", "level": 2}],
            "1 errors have no row at level 1",
        ),
        (ERROR_EMBEDDINGS, [{"example_id": "1", "embedding": [0.5, 0.0]}], "unit length"),
        (ERROR_EMBEDDINGS, [{"example_id": "1", "embedding": [np.nan, 0.0]}], "not finite"),
        (
            ERROR_EMBEDDINGS,
            [{"example_id": "1", "embedding": [1.0]}, {"example_id": "2", "embedding": [1.0, 0.0]}],
            "different lengths",
        ),
        (LEADERBOARD, [{"model": "m", "accuracy": -0.1}], "accuracy are outside"),
        (UNCERTAINTY, [answered(corner="lost")], "unknown corner: lost"),
        (
            UNCERTAINTY,
            [answered(aps_set_size=4.5)],
            "aps_set_size are below 0",
        ),
        (UNCERTAINTY, [answered(confidence=1.1)], "confidence are outside 0 to 1"),
        (BATTLES, [battle(winner="left")], "unknown winner: left"),
        (BATTLES, [battle(judge_kind="oracle")], "unknown judge_kind: oracle"),
        (BATTLES, [battle(model_b="a")], "1 battles are of a model against itself"),
    ],
)
def test_what_is_not_sound_is_said(table, records, problem):
    (found,) = problems_of(table, rows_of(table, records))
    assert problem in found


def computed(warehouse, phases=tuple(PHASES)):
    """Run; return the outcome of every check, by asset and name, and the failures."""
    with open_instance(warehouse.storage) as instance:
        finished = list(
            runs.execute_all(
                warehouse,
                build_defs(warehouse.storage.url),
                instance,
                runs.select_partitions(warehouse),
                phases=phases,
            )
        )
        outcomes = {}
        for one in finished:
            for entry in instance.all_logs(
                one.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            ):
                found = entry.dagster_event.asset_check_evaluation_data
                outcomes[found.asset_key.to_user_string(), found.check_name] = found
    return outcomes, [one.failure for one in finished if one.failure]


def test_every_asset_is_checked_and_good_tables_pass(warehouse, tmp_path):
    results = write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])
    ingest(warehouse, [results, write_lmsys(tmp_path / "battles.jsonl")])
    outcomes, failures = computed(warehouse)
    assert failures == []
    assert {asset for asset, name in outcomes if name == "tables_are_sound"} == {*STAGES}
    assert all(found.passed for found in outcomes.values())


def with_empty_questions(path, bad, good):
    """Write rows of which some have no question."""
    rows = [
        {"input_text": "" if n < bad else f"question {n}?", "output_text": "x", "score": n % 2}
        for n in range(bad + good)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("bad", "passed", "goes_on"), [(1, True, True), (10, False, True), (70, False, False)]
)
def test_many_rejects_warn_and_very_many_stop_what_follows(
    warehouse, tmp_path, bad, passed, goes_on
):
    path = with_empty_questions(tmp_path / "t.jsonl", bad, 100 - bad)
    ingest(warehouse, [path], options={"model": "org/model-a", "benchmark": "trivia"})
    outcomes, failures = computed(warehouse, ["label_error_clusters"])
    assert warehouse.count(REJECTS, A) == bad
    if goes_on:
        found = outcomes["raw_results", "rejects_are_few"]
        assert found.passed is passed
        assert f"{bad} of 100 rows" in found.description
        assert failures == []
        assert warehouse.count(ERRORS, A) is not None
    else:
        (failure,) = failures
        assert "70% of the rows" in failure
        assert warehouse.count(RESPONSES, A) is None
        assert warehouse.count(ERRORS, A) is None


def test_a_table_that_does_not_fit_its_source_stops_what_follows(warehouse, tmp_path, monkeypatch):
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    write = type(warehouse).write

    def loses_a_row(store, table, partition, rows, provenance):
        return write(store, table, partition, rows[1:] if table is ERRORS else rows, provenance)

    monkeypatch.setattr(type(warehouse), "write", loses_a_row)
    outcomes, failures = computed(warehouse, ["label_error_clusters"])
    assert outcomes["error_table", "tables_are_sound"].description == (
        "39 errors of 40 wrong responses"
    )
    assert failures == ["check tables_are_sound: 39 errors of 40 wrong responses"]
    assert warehouse.count(CLUSTER_LABELS, A) is None


def test_a_table_that_is_not_sound_is_set_aside_for_all_that_comes_after(
    warehouse, tmp_path, monkeypatch
):
    ingest(warehouse, [write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])])
    find = checks.problems_of

    def finds_fault_with_a(table, rows):
        of_a = table is ERRORS and "I think" in str(rows["response_tail"]) and rows.num_rows == 40
        return ["a fault"] if of_a else find(table, rows)

    ingest(warehouse, [write_table(tmp_path / "b.csv", ["org/model-b"], right_every=4)])
    monkeypatch.setattr(checks, "problems_of", finds_fault_with_a)
    finished = run_phases(warehouse)
    assert [(one.planned.partition, one.failed_asset) for one in finished if one.failure] == [
        (A, "error_table")
    ]
    # Neither a later phase nor another run makes anything from it; it can be looked at.
    assert warehouse.count(HOT_SPOTS, A) is None
    assert warehouse.read(LEADERBOARD, BenchmarkPartition("trivia"))["model"].to_pylist() == [
        "org__model-b"
    ]
    assert list((Path(warehouse.path(ERRORS, A))).parent.glob("unsound.parquet"))
    again = status(warehouse, load_settings(warehouse.storage), A)
    assert again["error_table"].state is State.MISSING
    with open_instance(warehouse.storage) as instance:
        told = runs.last_failure(instance, A)
    assert told.endswith("failed in error_table: check tables_are_sound: errors: a fault")
    monkeypatch.undo()
    assert failures_of(run_phases(warehouse)) == []
    assert warehouse.read(LEADERBOARD, BenchmarkPartition("trivia")).num_rows == 2


def test_a_leaderboard_that_does_not_fit_the_responses_is_warned_of(
    warehouse, tmp_path, monkeypatch
):
    ingest(warehouse, [write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])])
    write = type(warehouse).write

    def raises_accuracy_of_a(store, table, partition, rows, provenance):
        if table is LEADERBOARD:
            frame = rows.to_pandas()
            frame.loc[frame["model"] == A.model, "response_accuracy"] = 0.5
            rows = table.from_frame(frame)
        return write(store, table, partition, rows, provenance)

    monkeypatch.setattr(type(warehouse), "write", raises_accuracy_of_a)
    outcomes, failures = computed(
        warehouse, ["label_error_clusters", "map_questions", "compare_models"]
    )
    found = outcomes["leaderboard", "accuracies_are_those_of_the_responses"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.description == "org__model-a: 0.5000, now 0.3333"
    # It only warns: nothing was stopped or set aside.
    assert failures == []
    assert warehouse.count(LEADERBOARD, BenchmarkPartition("trivia")) == 2
