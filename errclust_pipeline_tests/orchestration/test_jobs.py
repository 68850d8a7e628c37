"""The job that brings many partitions up to date in one process."""

import subprocess
import sys

import dagster as dg
import pytest

from errclust_pipeline import stages
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.embedding import embedder
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.orchestration.jobs import PART_OF_TAG
from errclust_pipeline.settings import load_settings
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline_tests.helpers.result_files import write_table

MODELS = ["org/model-a", "org/model-b"]


@pytest.fixture
def ingested(warehouse, tmp_path):
    for number, model in enumerate(MODELS):
        file = write_table(tmp_path / f"{number}.csv", [model], first=5 * number)
        ingest(warehouse, [file])
    return warehouse


def bring_up_to_date(warehouse, **config):
    definitions = build_defs(warehouse.storage.url)
    with open_instance(warehouse.storage) as instance:
        result = definitions.resolve_job_def("bring_up_to_date").execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config={"ops": {"bring_partitions_up_to_date": {"config": config}}},
        )
        parts = instance.get_runs(dg.RunsFilter(tags={PART_OF_TAG: result.run_id}))
    return result, parts


def fresh(warehouse, partition):
    states = stages.status(warehouse, load_settings(warehouse.storage), partition).values()
    return all(one.state is stages.State.FRESH for one in states)


def test_all_partitions_are_computed_with_one_loaded_model(ingested, monkeypatch):
    embedder.load_embedder.cache_clear()
    loaded = []
    load = embedder.HashingEmbedder
    monkeypatch.setattr(embedder, "HashingEmbedder", lambda: loaded.append(1) or load())
    result, parts = bring_up_to_date(ingested)
    assert result.success
    assert len(loaded) == 1
    assert all(map(fresh, [ingested] * 2, ingested.submissions()))
    assert fresh(ingested, BenchmarkPartition("trivia"))
    assert {run.tags.get("dagster/partition") for run in parts} == {
        "trivia",
        *(f"trivia|{model.replace('/', '__')}" for model in MODELS),
    }


def test_one_that_fails_does_not_stop_the_others_and_is_named(ingested, tmp_path):
    (tmp_path / "1.csv").unlink()
    result, parts = bring_up_to_date(ingested)
    assert not result.success
    failure = result.failure_data_for_node("bring_partitions_up_to_date").user_failure_data
    assert failure.description == "1 of 7 runs failed: trivia|org__model-b"
    (row,) = failure.metadata["failures"].records
    assert row.data["asset"] == "raw_results"
    assert "1.csv is gone since it was ingested" in row.data["why"]
    assert row.data["run"] in {run.run_id for run in parts}
    assert fresh(ingested, SubmissionPartition("trivia", "org__model-a"))


def test_a_part_at_a_time_until_there_is_nothing_left(ingested):
    first, _ = bring_up_to_date(ingested, most=1)
    assert first.success
    assert [fresh(ingested, one) for one in ingested.submissions()] == [True, False]
    bring_up_to_date(ingested, most=2)
    bring_up_to_date(ingested)
    assert all(map(fresh, [ingested] * 2, ingested.submissions()))
    done, parts = bring_up_to_date(ingested)
    assert done.success
    assert parts == []


def test_only_the_model_that_is_named_by_its_true_name(ingested):
    result, _ = bring_up_to_date(ingested, benchmark="trivia", model="org/model-b")
    assert result.success
    assert [fresh(ingested, one) for one in ingested.submissions()] == [False, True]


def test_a_name_that_is_not_known_is_an_error_that_lists_what_is(ingested):
    result, _ = bring_up_to_date(ingested, model="org/model-x")
    assert not result.success
    failure = result.failure_data_for_node("bring_partitions_up_to_date").error
    assert "there is no model 'org/model-x'. Known here: org__model-" in failure.cause.message


def test_a_part_at_a_time_gets_past_what_cannot_be_computed(ingested, tmp_path):
    (tmp_path / "0.csv").unlink()
    first, _ = bring_up_to_date(ingested, most=1)
    assert not first.success
    second, _ = bring_up_to_date(ingested, most=1)
    assert second.success
    assert [fresh(ingested, one) for one in ingested.submissions()] == [False, True]


TOLD_TO_STOP = """
import signal
import sys
from contextlib import suppress

import dagster as dg

from errclust_pipeline.orchestration import runs as run
from errclust_pipeline.analysis import errors
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.orchestration.test_jobs import bring_up_to_date


def told_to_stop(*_):
    # As where DuckDB makes another error of it, after which the next run would start.
    with suppress(dg.DagsterExecutionInterruptedError):
        signal.raise_signal(signal.SIGINT)
    raise RuntimeError("Query interrupted")


errors.error_table = told_to_stop
warehouse = Warehouse(sys.argv[1])
with open_instance(warehouse.storage) as instance:
    definitions = build_defs(warehouse.storage.url)
    try:
        list(run.execute_all(warehouse, definitions, instance, warehouse.submissions()))
    except dg.DagsterExecutionInterruptedError:
        print("interrupted", *(run.status.value for run in instance.get_runs()))
result, parts = bring_up_to_date(warehouse)
print("successful" if result.success else "not successful", len(parts))
"""


def test_a_process_that_is_told_to_stop_stops_and_leaves_no_run_in_progress(ingested):
    # In a process of its own: signals are all of a process's.
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_STOP, ingested.storage.root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["interrupted FAILURE", "not successful 1"], done.stderr
