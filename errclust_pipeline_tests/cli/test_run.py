"""Running, and what it reports."""

import json
import shutil

from errclust_pipeline.cli.common import PARTITION_FAILED
from errclust_pipeline_tests.helpers.command_line import errclust_at
from errclust_pipeline_tests.helpers.result_files import write_table


def test_run_tells_seconds_per_stage_and_then_that_all_is_done(errclust, tmp_path):
    write_table(tmp_path / "results.csv")
    errclust("ingest", str(tmp_path / "results.csv"))
    first = json.loads(errclust("run", "--json").stdout)
    assert first["runs"][0]["failure"] is None
    assert set(first["runs"][0]["seconds"]) == {
        "raw_results", "error_table", "error_embeddings", "error_clusters", "cluster_labels",
    }  # fmt: skip
    second = json.loads(errclust("run", "--json").stdout)
    assert second["fresh"] == 1
    assert second["runs"] == []


def test_run_can_be_held_to_one_model_by_key_or_true_name(errclust, tmp_path):
    write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])
    errclust("ingest", str(tmp_path / "results.csv"))
    assert errclust("run", "--model", "org/model-b").exit_code == 0
    found = json.loads(errclust("status", "--json").stdout)["partitions"]
    assert [row["cluster_labels"] for row in found] == ["missing", "fresh"]
    assert errclust("run", "--model", "org__model-a", "--benchmark", "trivia").exit_code == 0
    assert errclust("status", "--check").exit_code == 0


def test_a_failed_partition_is_named_and_sets_the_exit_code(errclust, tmp_path):
    for name in "ab":
        write_table(tmp_path / f"{name}.csv", [f"org/model-{name}"])
    errclust("ingest", str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))
    (tmp_path / "a.csv").unlink()
    done = errclust("run")
    assert done.exit_code == PARTITION_FAILED
    assert "trivia|org__model-a in raw_results: /" in done.stderr
    # The other one was computed.
    assert "0 submissions were up to date" in done.stderr
    assert "a.csv is gone" in done.stderr
    assert errclust("status", "--check").exit_code == PARTITION_FAILED
    assert "the last run failed in raw_results: /" in errclust("status").stdout


def test_rows_that_could_not_be_used_are_told(errclust, tmp_path):
    path = write_table(tmp_path / "results.csv")
    path.write_text(path.read_text() + "x,org/model-a,what?,answer,high,gold,trivia,chess\n")
    errclust("ingest", str(path))
    assert "1 of 61 rows could not be used" in errclust("run").stderr


def test_backfill_says_what_and_why_and_takes_a_part_at_a_time(finished_root, tmp_path):
    root = shutil.copytree(finished_root, tmp_path / "copy")
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text() + "seed = 3\n")
    errclust = errclust_at(root)
    planned = json.loads(errclust("backfill", "--plan", "--json").stdout)
    clusters = [one for one in planned if one["asset"] == "error_clusters"]
    assert [one["reason"] for one in clusters] == ["setting seed changed"]
    models = clusters[0]["partitions"]
    done = errclust("backfill", "--most", "1")
    assert "setting seed changed" in done.stdout
    left = json.loads(errclust("backfill", "--plan", "--json").stdout)
    (clusters,) = [one for one in left if one["asset"] == "error_clusters"]
    assert clusters["partitions"] == models - 1
    assert errclust("backfill").exit_code == 0
    assert errclust("status", "--check").exit_code == 0
