"""Processes that die in the middle of a stage, and processes that work at the same time."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from errclust_pipeline import stages
from errclust_pipeline.cli.common import INTERRUPTED
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.settings import load_settings
from errclust_pipeline.tables import ERRORS, RESPONSES, TABLES
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.helpers.result_files import write_table

pytestmark = pytest.mark.slow

RUN_AND_DIE = """
import os, pathlib, signal, sys
from errclust_pipeline.cli.app import main

rename = pathlib.Path.replace
place = sys.argv[1]

def die_before_the_rename(self, target):
    if place in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(self, target)

pathlib.Path.replace = die_before_the_rename
sys.argv = ["errclust", "run"]
main()
"""


def all_fresh(warehouse, phases=tuple(stages.PHASES)) -> bool:
    settings = load_settings(warehouse.storage)
    return not runs.plan(warehouse, settings, warehouse.submissions(), phases)


# Files of every phase, in flow order, and the embedding store, which comes after the errors.
PLACES = (
    *("lake/responses/", "shard=7", "lake/cluster_labels/", "lake/question_map/"),
    *("lake/autocorrelation/", "lake/model_pairs/"),
)


def test_a_run_killed_in_each_phase_leaves_nothing_half_written_and_the_next_one_goes_on(
    warehouse, root, tmp_path
):
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    environment = {**os.environ, "ERRCLUST_ROOT": str(root)}
    for position, place in enumerate(PLACES):
        killed = subprocess.run(
            [sys.executable, "-c", RUN_AND_DIE, place], env=environment, capture_output=True
        )
        assert killed.returncode == -signal.SIGKILL, (place, killed.stderr)
        # The temporary file is there, as the process had no chance to tidy up; its target is not.
        assert [path for path in root.rglob(".*.tmp") if place in str(path)]
        written = [str(path) for path in (*root.rglob("*.parquet"), *root.rglob("*.arrow"))]
        for earlier in PLACES[:position]:
            assert any(earlier in path for path in written), (place, earlier)
        assert not any(place in path for path in written)
        for table in TABLES.values():
            for partition in warehouse.partitions(table):
                assert warehouse.provenance(table, partition)

    finished = subprocess.run(
        [sys.executable, "-m", "errclust_pipeline.cli", "run"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    assert all_fresh(warehouse)
    assert warehouse.count(ERRORS, SubmissionPartition("trivia", "org__model-a")) == 40
    assert list(root.rglob(".*.tmp")) == []
    with open_instance(warehouse.storage) as instance:
        unfinished = [run for run in instance.get_runs() if not run.is_finished]
    assert unfinished == []


MATERIALISE_AGAIN_AND_AGAIN = """
import sys
from errclust_pipeline.orchestration import runs
from errclust_pipeline import stages
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

root, model = sys.argv[1:]
assets = tuple(stage.asset for stage in stages.PHASES["label_error_clusters"])
definitions = build_defs(root)
for _ in range(3):
    with open_instance(Warehouse(root).storage) as instance:
        planned = [runs.PlannedRun(SubmissionPartition("trivia", model), assets)]
        for finished in runs.execute(definitions, instance, planned):
            print(finished.failure)
"""


def test_two_processes_materialise_different_partitions_at_once_again_and_again(
    warehouse, root, tmp_path
):
    models = {"org__model-a": 0, "org__model-b": 10}
    for key, first in models.items():
        name = key.replace("__", "/")
        ingest(warehouse, [write_table(tmp_path / f"{key}.csv", [name], first=first)])
    seen, stop = [], threading.Event()

    def query_all_the_while():
        while not stop.is_set():
            seen.append(warehouse.query("select model, count(*) from responses group by 1")[1])

    reader = threading.Thread(target=query_all_the_while)
    reader.start()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", MATERIALISE_AGAIN_AND_AGAIN, str(root), model],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for model in models
    ]
    outcomes = [worker.communicate() for worker in workers]
    stop.set()
    reader.join()

    for worker, (printed, errors) in zip(workers, outcomes, strict=True):
        assert worker.returncode == 0, errors
        assert printed.split() == ["None"] * 3, printed
    assert all_fresh(warehouse, ["label_error_clusters"])
    for model in models:
        assert warehouse.count(RESPONSES, SubmissionPartition("trivia", model)) == 60
    assert {row for rows in seen for row in rows} == {(model, 60) for model in models}
    with open_instance(warehouse.storage) as instance:
        assert len(instance.get_runs()) == 6
        assert all(run.is_success for run in instance.get_runs())


def test_a_run_whose_process_is_gone_is_marked_as_failed(warehouse, root, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    environment = {**os.environ, "ERRCLUST_ROOT": str(root)}
    subprocess.run(
        [sys.executable, "-c", RUN_AND_DIE, "lake/errors/"], env=environment, capture_output=True
    )
    with open_instance(warehouse.storage) as instance:
        assert [run.is_finished for run in instance.get_runs()] == [False]
        assert list(runs.execute(build_defs(str(root)), instance, [])) == []
        assert [run.is_failure_or_canceled for run in instance.get_runs()] == [True]


def test_ctrl_c_stops_a_run_in_a_moment_and_the_next_one_goes_on(warehouse, root, tmp_path):
    models = [f"org/model-{number}" for number in range(4)]
    ingest(warehouse, [write_table(tmp_path / "results.csv", models)])
    environment = {**os.environ, "ERRCLUST_ROOT": str(root)}
    command = [sys.executable, "-m", "errclust_pipeline.cli", "run"]
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not warehouse.partitions(ERRORS):
        time.sleep(0.05)
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == INTERRUPTED, said
    assert "run the same command again" in said
    assert len(warehouse.partitions(ERRORS)) < len(models)
    with open_instance(warehouse.storage) as instance:
        assert all(run.is_finished for run in instance.get_runs())
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0
    assert all_fresh(warehouse)
