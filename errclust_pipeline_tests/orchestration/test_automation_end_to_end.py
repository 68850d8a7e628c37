"""The real thing: webserver and daemon as processes, files dropped, nobody presses a button."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path

import dagster as dg
import psutil
import pytest

from errclust_pipeline.orchestration.instance import dagster_home, open_instance
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import State, status
from errclust_pipeline.tables import CLUSTER_LABELS, ERRORS, QUESTION_MAP
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import REAL_DATA

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
OF_A_MODEL = {
    "raw_results",
    "error_table",
    "error_embeddings",
    "error_clusters",
    "cluster_labels",
    "hot_spots",
    "autocorrelation",
    "uncertainty",
    "training_candidates",
    "error_diagnoses",
    "diagnosis_clusters",
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Deployment:
    """A webserver and a daemon on a data root."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.warehouse = Warehouse(str(root))
        self._processes = {}
        configuration = dagster_home(self.warehouse.storage) / "dagster.yaml"
        quick = configuration.read_text().replace("_seconds: 120", "_seconds: 20")
        configuration.write_text(quick.replace("interval_seconds: 30", "interval_seconds: 5"))
        # Made before both start, as `errclust dev` does: together they would damage it.
        self.runs()

    def start(self, *names):
        commands = {
            "webserver": ["dagster_webserver", "-w", "workspace.yaml", "-p", str(self.port)],
            "daemon": ["dagster._daemon", "run", "-w", "workspace.yaml"],
        }
        for name in names:
            with (self.root / f"{name}.log").open("ab") as log:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", *commands[name]],
                    cwd=REPOSITORY,
                    env={
                        **os.environ,
                        "DAGSTER_HOME": str(self.root / "dagster_home"),
                        "ERRCLUST_ROOT": str(self.root),
                    },
                    stdout=log,
                    stderr=log,
                )

    def stop(self, name, how=signal.SIGTERM):
        """End a process and all that it started."""
        process = self._processes.pop(name)
        family = [psutil.Process(process.pid)]
        with contextlib.suppress(psutil.NoSuchProcess):
            family += family[0].children(recursive=True)
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(how)
        _, alive = psutil.wait_procs(family, timeout=20)
        for one in alive:
            one.kill()
        process.wait()

    def stop_all(self):
        for name in list(self._processes):
            self.stop(name)

    @contextlib.contextmanager
    def instance(self):
        with open_instance(self.warehouse.storage) as instance:
            yield instance
        os.environ.pop("DAGSTER_HOME", None)

    def runs(self):
        with self.instance() as instance:
            return instance.get_runs()

    def wait_until(self, what, seconds=240):
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                log = (self.root / "daemon.log").read_text()[-3000:]
                told = [
                    (run.status.value, run.tags.get("dagster/partition")) for run in self.runs()
                ]
                raise AssertionError(f"waited {seconds} s in vain: {told}\n{log}")
            time.sleep(1)

    def is_fresh(self, *partitions):
        settings = load_settings(self.warehouse.storage)
        benchmarks = {BenchmarkPartition(one.benchmark) for one in partitions}
        return all(
            how.state is State.FRESH
            for one in (*partitions, *benchmarks)
            for how in status(self.warehouse, settings, one).values()
        )

    def is_quiet(self):
        return all(run.is_finished for run in self.runs())

    def is_running(self, partition):
        started = dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.STARTED], tags={"dagster/partition": str(partition)}
        )
        with self.instance() as instance:
            return bool(instance.get_runs(started))

    def wait_until_done(self, *partitions):
        self.wait_until(lambda: self.is_fresh(*partitions) and self.is_quiet())
        # A tick later it has to be quiet still.
        time.sleep(6)
        self.wait_until(self.is_quiet)

    def materialised(self):
        """Pairs of asset and partition, one for each materialisation, oldest first."""
        found = []
        with self.instance() as instance:
            for asset in instance.all_asset_keys():
                records = instance.fetch_materializations(asset, limit=1000).records
                found += [
                    (record.timestamp, asset.to_user_string(), record.partition_key)
                    for record in records
                ]
        return [(asset, partition) for _, asset, partition in sorted(found)]

    def embedded_now(self, partition):
        with self.instance() as instance:
            record = instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    dg.AssetKey("error_embeddings"), asset_partitions=[str(partition)]
                ),
                limit=1,
            ).records[0]
        return record.asset_materialization.metadata["embedded_now"].value


@pytest.fixture
def deployment(root):
    (root / "errclust.toml").write_text(
        (root / "errclust.toml").read_text() + "[submissions]\nseconds_between_looks = 1\n"
    )
    (root / "drop").mkdir()
    made = Deployment(root)
    made.start("webserver", "daemon")
    yield made
    made.stop_all()


def submission(target: Path, model: str, right=lambda number: number % 3 == 0) -> Path:
    """Write a folder of lm-evaluation-harness results, as it appears: under another name first."""
    (source,) = (REAL_DATA / "lm_eval").iterdir()
    aside = target.with_name(f".{target.name}")
    shutil.copytree(source, aside)
    for path in aside.glob("results_*.json"):
        results = json.loads(path.read_text())
        path.write_text(json.dumps({**results, "model_name": model}))
    for path in aside.glob("samples_*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for number, row in enumerate(rows):
            for metric in row.get("metrics", []):
                row[metric] = float(right(number))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if target.exists():
        shutil.rmtree(target)
    aside.rename(target)
    return target


def benchmark_of(warehouse):
    return warehouse.submissions()[0].benchmark


@pytest.mark.skipif(not (REAL_DATA / "lm_eval").is_dir(), reason="shared/data/lm_eval is absent")
def test_submissions_are_noticed_only_what_is_new_is_computed_and_a_killed_daemon_is_made_up_for(
    deployment,
):
    warehouse, drop = deployment.warehouse, deployment.root / "drop"

    submission(drop / "first", "org/first")
    deployment.wait_until(warehouse.submissions)
    benchmark = benchmark_of(warehouse)
    first, second = (
        SubmissionPartition(benchmark, "org__first"),
        SubmissionPartition(benchmark, "org__second"),
    )
    deployment.wait_until_done(first)
    assert warehouse.count(CLUSTER_LABELS, first) is not None
    assert warehouse.count(ERRORS, first) > 0
    before = deployment.materialised()
    assert {asset for asset, partition in before if partition == str(first)} == OF_A_MODEL
    # Everything exactly once.
    assert [one for one, times in Counter(before).items() if times > 1] == []
    assert deployment.embedded_now(first) > 0
    map_version = warehouse.provenance(QUESTION_MAP, BenchmarkPartition(benchmark)).data_version

    submission(drop / "second", "org/second", lambda number: number % 3 == 0 or number == 1)
    deployment.wait_until(lambda: warehouse.has_submission(second))
    deployment.wait_until_done(first, second)
    new = deployment.materialised()[len(before) :]
    assert {asset for asset, partition in new if partition == str(second)} == OF_A_MODEL
    of_benchmark = {asset for asset, partition in new if partition == benchmark}
    assert of_benchmark == {"questions", "leaderboard", "model_comparison"}
    assert {partition for _, partition in new} == {benchmark, str(second)}
    # All its errors were errors of the first one too.
    assert deployment.embedded_now(second) == 0
    assert (
        warehouse.provenance(QUESTION_MAP, BenchmarkPartition(benchmark)).data_version
        == map_version
    )

    before = deployment.materialised()
    record = warehouse.submission(first)
    submission(drop / "first", "org/first", lambda number: number % 2 == 0)
    deployment.wait_until(lambda: warehouse.submission(first) != record)
    deployment.wait_until_done(first, second)
    new = deployment.materialised()[len(before) :]
    assert {asset for asset, partition in new if partition == str(first)} == OF_A_MODEL
    assert str(second) not in {partition for _, partition in new}
    assert "question_map" not in {asset for asset, _ in new}

    third = SubmissionPartition(benchmark, "org__third")
    submission(drop / "third", "org/third", lambda number: number % 5 == 0)
    deployment.wait_until(lambda: deployment.is_running(third))
    # With all that it started, the run's own process among it.
    deployment.stop("daemon", signal.SIGKILL)
    deployment.start("daemon")
    # The statistics of the others rest on how many models there are too: repairs see to them.
    deployment.wait_until_done(third)
    assert warehouse.count(CLUSTER_LABELS, third) is not None
    assert not list((deployment.root / "lake").rglob(".*.tmp"))

    with urllib.request.urlopen(f"http://127.0.0.1:{deployment.port}/server_info") as answer:
        assert answer.status == 200
