"""The stages, through Dagster, on small real files."""

import dataclasses
from pathlib import Path

import dagster as dg
import pytest

from errclust_pipeline import stages
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration import runs
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.orchestration.partitions import add_partitions, partition_key
from errclust_pipeline.orchestration.stage_asset import ASSETS
from errclust_pipeline.settings import load_settings
from errclust_pipeline.sources import SourceError
from errclust_pipeline.stages import freshness
from errclust_pipeline.stages.declarations import ERROR_TABLE_STAGE
from errclust_pipeline.tables import (
    AUTOCORRELATION,
    BATTLE_TABLES,
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERROR_EMBEDDINGS,
    ERRORS,
    HOT_SPOTS,
    LEADERBOARD,
    MODEL_COMPARISON,
    MODEL_PAIRS,
    QUESTION_MAP,
    QUESTIONS,
    REGION_LABELS,
    REJECTS,
    RESPONSES,
    TABLES,
)
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import run_phases

A = SubmissionPartition("trivia", "org__model-a")
B = SubmissionPartition("trivia", "org__model-b")
BENCHMARK = BenchmarkPartition("trivia")
LABELLING = "label_error_clusters"


def run_all(warehouse: Warehouse) -> list[runs.FinishedRun]:
    return run_phases(warehouse, *stages.PHASES)


def label_errors(warehouse: Warehouse) -> list[runs.FinishedRun]:
    """Run the model's own stages only: quicker, for tests of what does not concern the map."""
    return run_phases(warehouse, LABELLING)


def planned_of(warehouse: Warehouse) -> list[runs.PlannedRun]:
    return runs.plan(warehouse, load_settings(warehouse.storage), warehouse.submissions())


def assets_of(phase: str) -> tuple[str, ...]:
    return tuple(stage.asset for stage in stages.PHASES[phase])


def contents(warehouse: Warehouse) -> dict[str, bytes]:
    return {
        path: Path(path).read_bytes() for path in warehouse.storage.glob("lake/**/part-0.parquet")
    }


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])


def test_result_files_become_labelled_clusters(warehouse, results):
    ingest(warehouse, [results])
    finished = label_errors(warehouse)
    assert [(one.planned.partition, one.failure) for one in finished] == [(A, None), (B, None)]
    assert warehouse.count(RESPONSES, A) == 60
    assert warehouse.count(REJECTS, A) == 0
    assert warehouse.count(ERRORS, A) == 40
    assert warehouse.count(ERROR_EMBEDDINGS, A) == 40
    clusters = warehouse.read(ERROR_CLUSTERS, A).to_pandas()
    assert (clusters["level"] == 1).sum() == 40
    labels = warehouse.read(CLUSTER_LABELS, A).to_pandas()
    assert set(labels["cluster_id"]) == set(clusters["cluster_id"].dropna())
    assert (labels["written_by"] == "key_phrases").all()


def test_clusters_follow_topics_that_share_words(warehouse, results):
    ingest(warehouse, [results])
    label_errors(warehouse)
    with warehouse.connect() as connection:
        topics = connection.execute(
            "select cluster_id, count(distinct subject) from error_clusters "
            "join errors using (benchmark, model, example_id) "
            "where level = 1 and cluster_id is not null group by 1"
        ).fetchall()
    assert len(topics) == 4
    assert {count for _, count in topics} == {1}


def test_assets_materialise_with_plain_dagster(warehouse, results):
    ingest(warehouse, [results])
    with dg.instance_for_test() as instance:
        add_partitions(instance, [A])
        by_model = [ASSETS[name] for name in assets_of(LABELLING)]
        result = dg.materialize(
            by_model,
            instance=instance,
            partition_key=partition_key(A),
            resources=build_defs(warehouse.storage.url).resources,
        )
        event = instance.get_latest_materialization_event(dg.AssetKey("error_table"))
    assert result.success
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 40
    assert len(metadata["preview"].records) == 5
    assert {column.name for column in metadata["dagster/column_schema"].schema.columns} == set(
        ERRORS.schema.names
    )
    stored = warehouse.provenance(ERRORS, A).data_version
    assert event.asset_materialization.tags["dagster/data_version"] == stored


def test_a_second_run_has_nothing_to_do(warehouse, results):
    ingest(warehouse, [results])
    run_all(warehouse)
    assert planned_of(warehouse) == []


def test_a_new_submission_computes_only_itself(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a"])])
    label_errors(warehouse)
    before = contents(warehouse)
    ingest(warehouse, [write_table(tmp_path / "b.csv", ["org/model-b"])])
    finished = label_errors(warehouse)
    assert [one.planned.partition for one in finished] == [B]
    after = contents(warehouse)
    assert {path: after[path] for path in before} == before
    # All of B's texts were embedded for A already, and so were its labels.
    segments = warehouse.storage.glob("embedding_store/**/segment-*.arrow")
    labels = set(warehouse.read(CLUSTER_LABELS, A)["label"].to_pylist())
    assert sum(int(Path(path).name.split("-")[1]) for path in segments) == 40 + len(labels)


def test_a_lost_table_is_restored_byte_for_byte(warehouse, results):
    ingest(warehouse, [results])
    run_all(warehouse)
    before = contents(warehouse)
    for table in TABLES.values():
        if table in BATTLE_TABLES:
            continue
        partition = A if table.by_model else BENCHMARK
        Path(warehouse.path(table, partition)).unlink()
        found = stages.status(warehouse, load_settings(warehouse.storage), partition)
        assert stages.State.MISSING in {how.state for how in found.values()}
        run_all(warehouse)
        assert contents(warehouse) == before


def test_a_changed_setting_recomputes_what_depends_on_it_and_no_more(warehouse, results, root):
    ingest(warehouse, [results])
    run_all(warehouse)
    settings_file = root / "errclust.toml"
    settings_file.write_text(settings_file.read_text() + "seed = 5\n")
    assert {run.assets for run in planned_of(warehouse)} == {
        ("error_clusters", "cluster_labels"),
        # The map's regions are clusters too, and the comparison goes over them.
        ("question_map", "region_labels"),
        ("leaderboard", "model_comparison"),
    }
    found = stages.status(warehouse, load_settings(warehouse.storage), A)
    assert found["error_clusters"].reason == "setting seed changed"
    assert found["cluster_labels"].reason == "error_clusters is stale"


def test_a_changed_code_version_is_stale_and_says_so(warehouse, results, monkeypatch):
    ingest(warehouse, [results])
    run_all(warehouse)
    newer = dataclasses.replace(ERROR_TABLE_STAGE, code_version="other")
    monkeypatch.setattr(freshness, "STAGES", {**stages.STAGES, "error_table": newer})
    found = stages.status(warehouse, load_settings(warehouse.storage), A)
    assert found["raw_results"].state is stages.State.FRESH
    assert (
        found["error_table"].reason == f"code version {ERROR_TABLE_STAGE.code_version} is now other"
    )


def test_a_revised_submission_is_read_again(warehouse, tmp_path):
    results = write_table(tmp_path / "results.csv", ["org/model-a"])
    ingest(warehouse, [results])
    run_all(warehouse)
    write_table(results, ["org/model-a"], right_every=2)
    (one,) = ingest(warehouse, [results])
    assert one.change == "revised"
    assert planned_of(warehouse)[0].assets == assets_of(LABELLING)
    run_all(warehouse)
    assert planned_of(warehouse) == []
    assert warehouse.count(ERRORS, A) == 30


def test_a_file_changed_behind_our_back_fails_its_partition_only(warehouse, tmp_path):
    for name in "ab":
        write_table(tmp_path / f"{name}.csv", [f"org/model-{name}"])
    ingest(warehouse, [tmp_path / "a.csv", tmp_path / "b.csv"])
    write_table(tmp_path / "a.csv", ["org/model-a"], per_topic=3)
    failed, done = label_errors(warehouse)
    assert failed.failed_asset == "raw_results"
    assert "changed since it was ingested" in failed.failure
    assert done.failure is None
    assert warehouse.count(RESPONSES, A) is None
    assert warehouse.count(CLUSTER_LABELS, B) is not None


def test_a_file_that_is_gone_is_named_with_a_remedy(warehouse, tmp_path):
    results = write_table(tmp_path / "results.csv", ["org/model-a"])
    ingest(warehouse, [results])
    results.unlink()
    (failed,) = label_errors(warehouse)
    assert "results.csv is gone" in failed.failure


def test_copies_outlive_the_originals(warehouse, tmp_path):
    results = write_table(tmp_path / "results.csv", ["org/model-a"])
    ingest(warehouse, [results], copy=True)
    results.unlink()
    assert [one.failure for one in label_errors(warehouse)] == [None]


def test_a_partition_that_was_never_ingested_fails_with_a_remedy(warehouse, results):
    ingest(warehouse, [results])
    with open_instance(warehouse.storage) as instance:
        planned = [runs.PlannedRun(SubmissionPartition("trivia", "unknown"), assets_of(LABELLING))]
        (failed,) = runs.execute(build_defs(warehouse.storage.url), instance, planned)
    assert "errclust ingest" in failed.failure


def test_a_stage_without_its_upstream_fails_with_a_remedy(warehouse, results):
    ingest(warehouse, [results])
    settings = load_settings(warehouse.storage)
    with pytest.raises(WarehouseError, match=r"error_table of .* needs raw_results"):
        stages.provenance(ERROR_TABLE_STAGE, warehouse, settings, A)


@pytest.mark.parametrize("per_topic", [1, 2])
def test_few_errors_go_through(warehouse, tmp_path, per_topic):
    ingest(warehouse, [write_table(tmp_path / "few.csv", per_topic=per_topic, right_every=4)])
    assert {one.failure for one in run_all(warehouse)} == {None}
    assert warehouse.count(ERRORS, A) == 3 * per_topic


def test_a_model_without_errors_has_empty_tables(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "perfect.csv", right_every=1)])
    assert {one.failure for one in run_all(warehouse)} == {None}
    for table in (ERRORS, ERROR_EMBEDDINGS, ERROR_CLUSTERS, CLUSTER_LABELS):
        assert warehouse.count(table, A) == 0


def test_two_files_of_one_partition_are_refused_and_nothing_is_recorded(warehouse, tmp_path):
    for name in ("one", "two"):
        write_table(tmp_path / f"{name}.csv")
    with pytest.raises(SourceError, match="both results of"):
        ingest(warehouse, [tmp_path / "one.csv", tmp_path / "two.csv"])
    assert warehouse.submissions() == []


def test_every_table_of_the_map_is_written(warehouse, results):
    ingest(warehouse, [results])
    run_all(warehouse)
    assert warehouse.count(QUESTIONS, BENCHMARK) == 60
    assert warehouse.count(QUESTION_MAP, BENCHMARK) == 60
    names = warehouse.read(REGION_LABELS, BENCHMARK)["label"].to_pylist()
    assert names
    assert all(names)
    for partition in (A, B):
        spots = warehouse.read(HOT_SPOTS, partition).to_pandas()
        assert len(spots) == 60 * spots["k"].nunique()
        assert spots["error"].sum() == 40 * spots["k"].nunique()
        # Two models are too few to tell difficulty from weakness.
        assert spots["adjusted_p_hot"].isna().all()
        assert set(warehouse.read(AUTOCORRELATION, partition)["mark"].to_pylist()) == {"errors"}
    board = warehouse.read(LEADERBOARD, BENCHMARK).to_pandas()
    assert board["accuracy"].tolist() == [pytest.approx(1 / 3)] * 2
    (pair,) = warehouse.read(MODEL_PAIRS, BENCHMARK).to_pylist()
    assert (pair["questions"], pair["kappa"]) == (60, pytest.approx(1.0))
    comparison = warehouse.read(MODEL_COMPARISON, BENCHMARK).to_pandas()
    assert (comparison["difference"] == 0).all()


def test_a_model_without_a_new_question_leaves_the_map(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a"])])
    run_all(warehouse)
    version = warehouse.provenance(QUESTIONS, BENCHMARK).data_version
    before = contents(warehouse)
    ingest(warehouse, [write_table(tmp_path / "b.csv", ["org/model-b"], right_every=2)])
    finished = run_all(warehouse)
    assert warehouse.provenance(QUESTIONS, BENCHMARK).data_version == version
    assert {one.planned.job for one in finished if one.planned.partition == A} == set()
    after = contents(warehouse)
    for table in ("question_map", "region_labels", "hot_spots", "autocorrelation"):
        kept = {path for path in before if f"/{table}/" in path}
        assert kept
        assert all(after[path] == before[path] for path in kept)


def test_a_third_model_lets_difficulty_be_told(warehouse, tmp_path):
    names = ["org/model-a", "org/model-b", "org/model-c"]
    for position, name in enumerate(names):
        file = write_table(tmp_path / f"{position}.csv", [name], right_every=position + 2)
        ingest(warehouse, [file])
        run_all(warehouse)
    spots = warehouse.read(HOT_SPOTS, SubmissionPartition("trivia", "org__model-a")).to_pandas()
    assert spots["adjusted_p_hot"].between(0, 1).all()
    assert spots["expected_error"].between(0, 1).all()
    marks = warehouse.read(AUTOCORRELATION, SubmissionPartition("trivia", "org__model-a"))["mark"]
    assert set(marks.to_pylist()) == {"errors", "residual"}


def test_regions_keep_their_names_when_questions_are_added(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a"])])
    run_all(warehouse)
    columns = ["question_id", "region_id"]
    before = dict(
        zip(*(column.to_pylist() for column in
              warehouse.read(QUESTION_MAP, BENCHMARK, columns).columns), strict=True)
    )  # fmt: skip
    ingest(warehouse, [write_table(tmp_path / "b.csv", ["org/model-b"], first=15, per_topic=3)])
    run_all(warehouse)
    after = dict(
        zip(*(column.to_pylist() for column in
              warehouse.read(QUESTION_MAP, BENCHMARK, columns).columns), strict=True)
    )  # fmt: skip
    assert len(after) == 72
    top = {name: path.split(".")[0] for name, path in before.items() if path}
    same = [top[name] == (after[name] or "").split(".")[0] for name in top]
    assert sum(same) / len(same) > 0.9


def test_artefacts_can_be_left_out(warehouse, root, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a"])])
    run_all(warehouse)
    with (root / "errclust.toml").open("a") as file:
        file.write("[statistics]\nleave_out_artefacts = true\n")
    finished = run_all(warehouse)
    assets = {asset for one in finished for asset in one.planned.assets}
    assert assets == {
        *("hot_spots", "autocorrelation", "training_candidates"),
        *("leaderboard", "model_comparison"),
    }
    assert set(warehouse.read(AUTOCORRELATION, A)["artefacts_left_out"].to_pylist()) == {True}
