"""What the sensors and conditions request, tick by tick, with every request carried out."""

from collections import defaultdict
from pathlib import Path

import dagster as dg
import pytest

from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion import DropFolder
from errclust_pipeline.orchestration import checks
from errclust_pipeline.orchestration.conditions import condition_of
from errclust_pipeline.orchestration.partitions import add_partitions, partition_key
from errclust_pipeline.stages import STAGES
from errclust_pipeline.tables import RESPONSES
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline_tests.helpers.result_files import write_table

CHAIN = {"error_table", "error_embeddings", "error_clusters", "cluster_labels"}
ON_THE_MAP = {
    *("hot_spots", "autocorrelation", "uncertainty", "training_candidates"),
    *("error_diagnoses", "diagnosis_clusters"),
}
COMPARISONS = {"model_comparison"}
LAST = {"trivia": {"leaderboard"}}  # It waits for uncertainty too.
MAP = {"question_map", "region_labels"}
A, B, C = (f"trivia|org__model-{letter}" for letter in "abc")


class Daemon:
    """Ticks as Dagster's daemon does, and runs what a tick requests before the next one."""

    def __init__(self, warehouse, instance):
        self.folder = DropFolder(warehouse, f"{warehouse.storage.root}/drop")
        self.defs = build_defs(warehouse.storage.url)
        self.instance = instance
        self.look, self.cursor = 0, None
        self.failed = []

    def tick(self):
        """Return what was requested: sets of assets by partition."""
        requested = defaultdict(set)
        arrivals = self.folder.scan(self.look)
        self.look = arrivals.scan
        partitions = [one.partition for one in arrivals.requests]
        add_partitions(self.instance, partitions)
        for partition in partitions:
            requested[partition_key(partition)].add("raw_results")
        found = dg.evaluate_automation_conditions(self.defs, self.instance, cursor=self.cursor)
        self.cursor = found.cursor
        for result in found.results:
            for key in found.get_requested_partitions(result.key):
                requested[key].add(result.key.to_user_string())
        for key, assets in requested.items():
            done = dg.materialize(
                [*self.defs.assets, *self.defs.asset_checks],
                selection=dg.AssetSelection.assets(*assets),
                partition_key=key,
                instance=self.instance,
                resources=self.defs.resources,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
            if not done.success:
                self.failed.append(str(key))
        return {str(key): assets for key, assets in requested.items()}

    def settle(self):
        """Tick until nothing was requested three times; return what was, tick by tick."""
        requests, quiet = [], 0
        while quiet < 3:
            requested = self.tick()
            quiet = 0 if requested else quiet + 1
            requests += [requested] if requested else []
        return requests


@pytest.fixture
def daemon(warehouse, root):
    (root / "drop").mkdir()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(warehouse, instance)


def test_what_is_new_is_computed_once_and_nothing_else(daemon, root):
    drop = root / "drop"
    assert daemon.settle() == []

    write_table(drop / "a.csv")
    assert daemon.settle() == [
        {A: {"raw_results"}},
        {A: CHAIN, "trivia": {"questions"}},
        {"trivia": MAP},
        {A: ON_THE_MAP, "trivia": COMPARISONS},
        LAST,
    ]

    # Another model, the same questions: the map stays.
    write_table(drop / "b.csv", ["org/model-b"])
    assert daemon.settle() == [
        {B: {"raw_results"}},
        {B: CHAIN, "trivia": {"questions"}},
        {B: ON_THE_MAP, "trivia": COMPARISONS},
        LAST,
    ]

    # New questions: the map changes, and with it what lies on it.
    write_table(drop / "c.csv", ["org/model-c"], per_topic=20)
    assert daemon.settle() == [
        {C: {"raw_results"}},
        {C: CHAIN, "trivia": {"questions"}},
        {"trivia": MAP},
        {A: ON_THE_MAP, B: ON_THE_MAP, C: ON_THE_MAP, "trivia": COMPARISONS},
        LAST,
    ]

    write_table(drop / "a.csv", right_every=4)
    assert daemon.settle() == [
        {A: {"raw_results"}},
        {A: CHAIN, "trivia": {"questions"}},
        {A: ON_THE_MAP, "trivia": COMPARISONS},
        LAST,
    ]

    # A pair of the grid that has no results is never asked for.
    write_table(drop / "d.csv", benchmark="other")
    later = daemon.settle()
    assert {key for requested in later for key in requested} == {"other", "other|org__model-a"}
    assert daemon.failed == []


def test_every_stage_that_reads_another_has_a_condition():
    without = {name for name, stage in STAGES.items() if condition_of(stage) is None}
    assert without == {name for name, stage in STAGES.items() if not stage.upstream}


def sensor_of(defs, name):
    return defs.resolve_sensor_def(name)


def test_the_sensor_adds_keys_and_requests_exactly_what_is_new(warehouse, root):
    (root / "drop").mkdir()
    defs = build_defs(str(root))
    with dg.instance_for_test() as instance:
        cursor = None
        for name, expected in (("a", []), ("a", [A]), ("b", []), ("b", [B])):
            if not (root / "drop" / f"{name}.csv").exists():
                write_table(root / "drop" / f"{name}.csv", [f"org/model-{name}"])
            context = dg.build_sensor_context(
                instance=instance,
                instance_ref=instance.get_ref(),
                definitions=defs,
                cursor=cursor,
                resources={"warehouse": defs.resources["warehouse"]},
            )
            result = sensor_of(defs, "submissions_in_drop")(context)
            cursor = result.cursor
            assert [str(one.partition_key) for one in result.run_requests] == expected
            for request in result.dynamic_partitions_requests or []:
                instance.add_dynamic_partitions(
                    request.partitions_def_name, list(request.partition_keys)
                )
            for one in result.run_requests:
                partition = SubmissionPartition(*str(one.partition_key).split("|"))
                _, fingerprint = warehouse.submission(partition)
                assert one.run_key == f"{one.partition_key}|{fingerprint}"
        assert set(instance.get_dynamic_partitions("model")) == {"org__model-a", "org__model-b"}


def test_a_folder_that_is_not_there_is_said_and_waited_for(root):
    defs = build_defs(str(root))
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(
            instance=instance, resources={"warehouse": defs.resources["warehouse"]}
        )
        result = sensor_of(defs, "submissions_in_drop")(context)
    assert "create it" in result.skip_reason.skip_message


def test_each_folder_of_the_settings_has_a_sensor_with_a_name_of_its_own(root, tmp_path):
    settings = root / "errclust.toml"
    folders = [str(tmp_path / "one" / "results"), str(tmp_path / "two" / "results"), "memory://x/y"]
    settings.write_text(settings.read_text() + f"[submissions]\nfolders = {folders}\n")
    names = {sensor.name for sensor in build_defs(str(root)).sensors}
    assert {"submissions_in_results", "submissions_in_results_2", "submissions_in_y"} <= names


def test_the_schedule_requests_comparisons_that_are_out_of_date(warehouse, root, tmp_path):
    from datetime import UTC, datetime

    from errclust_pipeline.ingestion.files import ingest
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.jobs import bring_up_to_date_config

    defs = build_defs(str(root))
    schedule = defs.resolve_schedule_def("comparisons_at_night")

    def at_night():
        with dg.instance_for_test() as instance:
            context = dg.build_schedule_context(
                instance=instance,
                scheduled_execution_time=datetime(2026, 11, 25, 3, tzinfo=UTC),
                resources={"warehouse": defs.resources["warehouse"]},
            )
            found = schedule(context)
            return found if isinstance(found, list) else found.skip_message

    assert "up to date" in at_night()
    # Nothing of it was computed yet: what comparisons rest on comes with them.
    ingest(warehouse, [write_table(tmp_path / "a.csv")])
    (request,) = at_night()
    assert request.run_config == bring_up_to_date_config(benchmark="trivia")
    with open_instance(warehouse.storage) as instance:
        done = defs.resolve_job_def("bring_up_to_date").execute_in_process(
            instance=instance, run_config=request.run_config
        )
    assert done.success
    assert "up to date" in at_night()


def test_what_was_lost_is_requested_once_it_was_missed_in_two_rounds(warehouse, root, tmp_path):
    from errclust_pipeline.ingestion.files import ingest
    from errclust_pipeline.orchestration import runs
    from errclust_pipeline.orchestration.instance import open_instance
    from errclust_pipeline.orchestration.sensors import find_repairs
    from errclust_pipeline.tables import ERROR_CLUSTERS, QUESTION_MAP

    defs = build_defs(str(root))
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a", "org/model-b"])])
    model, benchmark = SubmissionPartition("trivia", "org__model-a"), BenchmarkPartition("trivia")

    def run():
        with open_instance(warehouse.storage) as instance:
            return list(runs.execute_all(warehouse, defs, instance, warehouse.submissions()))

    run()
    memory = {"next": 0, "seen": {}}
    for _ in range(2):
        found, memory = find_repairs(warehouse, memory, "today")
        assert found == []
    lost = {
        table: warehouse.path(table, of)
        for table, of in ((ERROR_CLUSTERS, model), (QUESTION_MAP, benchmark))
    }
    before = {path: Path(path).read_bytes() for path in lost.values()}
    for path in lost.values():
        warehouse.storage.remove(path)
    first, memory = find_repairs(warehouse, memory, "today")
    second, memory = find_repairs(warehouse, memory, "today")
    assert first == []
    planned = {one.partition: one for _, one in second}
    assert planned.keys() == {model, benchmark}
    assert planned[model].assets[0] == "error_clusters"
    assert planned[benchmark].assets[0] == "question_map"
    # The same again: the same keys, which Dagster runs only once.
    third, _ = find_repairs(warehouse, memory, "today")
    assert [key for key, _ in third] == [key for key, _ in second]
    run()
    for path, content in before.items():
        assert Path(path).read_bytes() == content


def test_what_fails_a_check_goes_no_further_and_stops_nobody_else(daemon, root, monkeypatch):
    sound = checks.problems_of

    def finds_fault_with_a(table, rows):
        of_a = table is RESPONSES and "org/model-a" in set(rows["model_name"].to_pylist())
        return ["a fault"] if of_a else sound(table, rows)

    monkeypatch.setattr(checks, "problems_of", finds_fault_with_a)
    write_table(root / "drop" / "ab.csv", ["org/model-a", "org/model-b"])
    requested = daemon.settle()
    assert daemon.failed == [A]
    assert [one[A] for one in requested if A in one] == [{"raw_results"}]
    assert [one[B] for one in requested if B in one] == [{"raw_results"}, CHAIN, ON_THE_MAP]
    monkeypatch.undo()
    write_table(root / "drop" / "ab.csv", ["org/model-a", "org/model-b"], right_every=4)
    requested = daemon.settle()
    assert [one[A] for one in requested if A in one] == [{"raw_results"}, CHAIN, ON_THE_MAP]
