import csv
import io
import json

import pytest
from typer.testing import CliRunner

from errclust_pipeline.cli import BAD_INPUT, PARTITION_FAILED, app
from errclust_pipeline_tests.result_files import write_table

runner = CliRunner()


@pytest.fixture
def errclust(root):
    def call(*arguments: str):
        return runner.invoke(
            app, list(arguments), env={"ERRCLUST_ROOT": str(root), "COLUMNS": "200"}
        )

    return call


@pytest.fixture
def after_run(errclust, tmp_path):
    write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])
    assert errclust("ingest", str(tmp_path / "results.csv")).exit_code == 0
    done = errclust("run")
    assert done.exit_code == 0, done.output
    return errclust


def test_without_arguments_help_is_shown_and_names_every_command(errclust):
    shown = errclust().output
    for command in ("ingest", "run", "show", "sql", "status", "demo", "dev"):
        assert command in shown


def test_every_command_has_help(errclust):
    for command in ("ingest", "run", "show clusters", "sql", "status", "demo", "dev"):
        done = errclust(*command.split(), "--help")
        assert done.exit_code == 0
        assert len(done.output.splitlines()) > 5


def test_ingest_reports_what_is_new_and_then_what_is_not(errclust, tmp_path):
    write_table(tmp_path / "results.csv")
    (first,) = json.loads(errclust("ingest", str(tmp_path), "--json").stdout)
    assert first["model"] == "org__model-a"
    assert first["change"] == "new"
    (again,) = json.loads(errclust("ingest", str(tmp_path), "--json").stdout)
    assert again["change"] == "unchanged"


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
    assert "trivia|org__model-a in raw_results" in done.stderr
    assert "a.csv is gone" in done.stderr
    assert errclust("status", "--check").exit_code == PARTITION_FAILED


def test_status_says_why_something_is_not_fresh(after_run, root):
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text() + "seed = 3\n")
    shown = after_run("status").stdout
    assert "error_clusters is stale (setting seed changed)" in shown


def test_show_clusters_names_them_with_examples(after_run):
    shown = after_run("show", "clusters", "trivia", "org/model-a", "--examples", "2").stdout
    assert "40 errors" in shown
    assert "said:" in shown
    labels = json.loads(after_run("show", "clusters", "trivia", "org/model-a", "--json").stdout)
    for label in labels:
        assert label["label"] in shown
    assert sum(label["size"] for label in labels if label["level"] == 1) <= 40
    one = after_run("show", "clusters", "trivia", "org__model-a", "--limit", "1", "--json").stdout
    assert {label["cluster_id"].split(".")[0] for label in json.loads(one)} == {"1"}


def test_an_unknown_name_is_met_with_the_known_ones(after_run):
    done = after_run("show", "clusters", "trivia", "org/model-c")
    assert done.exit_code == BAD_INPUT
    assert "org__model-a" in done.stderr
    assert after_run("run", "--benchmark", "trivai").exit_code == BAD_INPUT


def test_sql_answers_the_documented_question(after_run):
    query = (
        "select cluster_id, label, size from cluster_labels "
        "where model = 'org__model-a' and level = 1 order by size desc limit 5"
    )
    rows = json.loads(after_run("sql", query, "--json").stdout)
    assert rows
    assert [row["size"] for row in rows] == sorted((row["size"] for row in rows), reverse=True)
    table = after_run("sql", query).stdout
    assert rows[0]["label"] in table
    as_csv = list(csv.DictReader(io.StringIO(after_run("sql", query, "--format", "csv").stdout)))
    assert [row["label"] for row in as_csv] == [row["label"] for row in rows]


def test_sql_says_when_rows_are_not_shown(after_run):
    done = after_run("sql", "select example_id from responses", "--limit", "7")
    assert "only the first 7 rows" in done.stderr
    assert len(json.loads(after_run("sql", "select 1 from responses", "--json").stdout)) == 120


def test_a_wrong_query_is_explained_without_a_traceback(after_run):
    done = after_run("sql", "select nothing from errors")
    assert done.exit_code == BAD_INPUT
    assert "nothing" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "/no/such/place"], "does not exist"),
        (["run"], "errclust ingest PATH"),
        (["ingest", ".", "--column", "input_text"], "expected WHAT=COLUMN"),
        (["show", "clusters", "a", "b"], "nothing was ingested"),
    ],
)
def test_bad_input_is_explained_and_has_its_exit_code(errclust, arguments, message):
    done = errclust(*arguments)
    assert done.exit_code == BAD_INPUT
    assert message in done.stderr


def test_a_broken_settings_file_is_named(errclust, root):
    (root / "errclust.toml").write_text("[errors]\ntexts = 1\n")
    done = errclust("status")
    assert done.exit_code == BAD_INPUT
    assert "errclust.toml" in done.stderr


def test_hostile_texts_reach_the_terminal_as_plain_text(errclust, tmp_path):
    hostile = "\x1b[31mred [bold]not bold[/bold]\x07 \u202ereversed"
    rows = "".join(
        f'{number},m,"Which {hostile} number {number}?",no,0,yes,trivia\n' for number in range(12)
    )
    header = "example_id,model,input_text,output_text,score,correct_answer,dataset\n"
    (tmp_path / "hostile.csv").write_text(header + rows)
    errclust("ingest", str(tmp_path / "hostile.csv"))
    assert errclust("run").exit_code == 0
    for arguments in (["show", "clusters", "trivia", "m"], ["sql", "select question from errors"]):
        shown = errclust(*arguments).stdout
        assert "[bold]not bold[/bold]" in shown
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
