import csv
import io
import json
import shutil

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline.cli.common import BAD_INPUT, PARTITION_FAILED
from errclust_pipeline_tests.conftest import quick_root
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.sources.formats.test_inspect_ai import sample, write_json

runner = CliRunner()


def errclust_at(root):
    def call(*arguments: str):
        return runner.invoke(
            app, list(arguments), env={"ERRCLUST_ROOT": str(root), "COLUMNS": "200"}
        )

    return call


@pytest.fixture
def errclust(root):
    return errclust_at(root)


@pytest.fixture(scope="module")
def finished_root(tmp_path_factory, worker_id):
    """A data root that was run once, by whichever test process comes first; look, do not touch."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    root, results = folder / "finished_root", folder / "finished_results.csv"
    with FileLock(folder / "finished_root.lock"):
        if not root.exists():
            draft = quick_root(folder / "finished_draft")
            write_table(
                results,
                ["org/model-a", "org/model-b", "org/model-c"],
                per_topic=40,
                weak_in={"org/model-c": "chess"},
            )
            call = errclust_at(draft)
            assert call("ingest", str(results)).exit_code == 0
            done = call("run")
            assert done.exit_code == 0, done.output
            draft.rename(root)
    return root


@pytest.fixture
def after_run(finished_root):
    return errclust_at(finished_root)


def test_without_arguments_help_is_shown_and_names_every_command(errclust):
    shown = errclust().output
    for command in ("ingest", "run", "show", "sql", "status", "demo", "dev"):
        assert command in shown


def test_every_command_has_help(errclust):
    commands = ["ingest", "run", "show clusters", "map", "hotspots", "compare", "sql", "status"]
    commands += ["uncertainty", "backfill", "forget", "demo", "dev", "select", "faults"]
    for command in commands:
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
    assert "trivia|org__model-a in raw_results: /" in done.stderr
    # The other one was computed.
    assert "0 submissions were up to date" in done.stderr
    assert "a.csv is gone" in done.stderr
    assert errclust("status", "--check").exit_code == PARTITION_FAILED
    assert "the last run failed in raw_results: /" in errclust("status").stdout


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


def test_status_tells_of_withdrawn_submissions_and_unusable_files(errclust, warehouse, root):
    from errclust_pipeline.ingestion import DropFolder

    (root / "drop").mkdir()
    write_table(root / "drop" / "a.csv")
    write_table(root / "drop" / "b.csv")
    (root / "drop" / "odd.csv").write_text("one,two\n1,2\n")
    folder, look = DropFolder(warehouse, str(root / "drop")), 0
    for _ in range(2):
        look = folder.scan(look).scan
    shown = errclust("status").stdout
    assert "odd.csv in drop is not used" in shown
    assert "b.csv in drop is not used: a.csv has the results" in shown
    for name in ("a.csv", "b.csv"):
        (root / "drop" / name).unlink()
    for _ in range(3):
        look = folder.scan(look).scan
    assert "trivia|org__model-a: withdrawn" in errclust("status").stdout


def test_status_says_why_something_is_not_fresh(finished_root, tmp_path):
    root = shutil.copytree(finished_root, tmp_path / "copy")
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text() + "seed = 3\n")
    shown = errclust_at(root)("status").stdout
    assert "error_clusters is stale (setting seed changed)" in shown


def test_show_clusters_names_them_with_examples(after_run):
    shown = after_run("show", "clusters", "trivia", "org/model-a", "--examples", "2").stdout
    assert "106 errors" in shown
    assert "said:" in shown
    labels = json.loads(after_run("show", "clusters", "trivia", "org/model-a", "--json").stdout)
    for label in labels:
        assert label["label"] in shown
    assert sum(label["size"] for label in labels if label["level"] == 1) <= 106
    one = after_run("show", "clusters", "trivia", "org__model-a", "--limit", "1", "--json").stdout
    assert {label["cluster_id"].split(".")[0] for label in json.loads(one)} == {"1"}


def test_an_unknown_name_is_met_with_the_known_ones(after_run):
    done = after_run("show", "clusters", "trivia", "org/model-d")
    assert done.exit_code == BAD_INPUT
    assert "org__model-a" in done.stderr
    assert after_run("run", "--benchmark", "trivai").exit_code == BAD_INPUT


def test_the_map_shows_each_region_with_every_models_error_rate(after_run):
    shown = after_run("map", "trivia").stdout
    found = json.loads(after_run("map", "trivia", "--json").stdout)
    assert {row["model"] for row in found["models"]} == {
        "org__model-a", "org__model-b", "org__model-c",
    }  # fmt: skip
    for region in found["regions"]:
        assert region["label"] in shown
    chess = next(row for row in found["regions"] if row["main_subject"] == "chess")
    rates = {
        row["model"]: row["errors"] / row["questions"]
        for row in found["signatures"]
        if row["region_id"] == chess["region_id"]
    }
    assert rates["org__model-c"] == 1.0
    assert 0.6 < rates["org__model-a"] < 0.7
    # Worse than its ability and the region's difficulty explain.
    assert "100+" in shown


def test_hotspots_name_the_place_with_its_evidence(after_run):
    done = after_run("hotspots", "trivia", "org/model-c", "--examples", "1")
    found = json.loads(after_run("hotspots", "trivia", "org/model-c", "--json").stdout)
    raw, own = (
        [row for row in found["regions"] if row["basis"] == basis]
        for basis in ("errors", "beyond_difficulty")
    )
    assert len(raw) == len(own) == 1
    for (row,) in (raw, own):
        assert row["rate"] == 1.0
        assert row["size"] >= 30
        assert "chess" in " ".join(row["key_phrases"])
        assert row["hot_for_others"] == []
        assert row["replicated_halves"] == 2
        assert ", ".join(row["key_phrases"][:1]) in done.stdout
    assert "0/2" in done.stdout
    assert "chess opening line" in done.stdout
    assert after_run("hotspots", "trivia", "org/model-a").stdout.count("none found") == 2


def test_compare_says_who_is_worse_where(after_run):
    done = after_run("compare", "trivia", "org/model-c", "org/model-a")
    assert "the gap varies by topic" in done.stdout
    found = json.loads(
        after_run("compare", "trivia", "org/model-c", "org/model-a", "--json").stdout
    )
    first = found["regions"][0]
    assert "chess" in first["label"]
    assert first["difference"] > 0.25 > first["overall_difference"]
    assert first["q_gap"] < 0.05
    assert "A worse, gap above overall" in done.stdout
    same = after_run("compare", "trivia", "org/model-a", "org/model-b").stdout
    assert "no evidence that the gap varies" in same
    assert after_run("compare", "trivia", "org/model-a", "org__model-a").exit_code == BAD_INPUT


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
    assert len(json.loads(after_run("sql", "select 1 from responses", "--json").stdout)) == 480


def test_small_p_values_are_not_shown_as_zero(after_run):
    shown = after_run("sql", "select 1e-7::double as p, 0.25::double as rate").stdout
    assert "1.0e-07" in shown
    assert "0.250" in shown


def test_columns_of_the_same_name_are_told_apart(after_run):
    (row,) = json.loads(after_run("sql", "select 1 as a, 2 as a", "--json").stdout)
    assert row == {"a": 1, "a_1": 2}


def test_what_json_has_no_number_for_is_null(after_run):
    shown = after_run("sql", "select 'nan'::double as x, 'inf'::double as y", "--json").stdout
    assert json.loads(shown, parse_constant=pytest.fail) == [{"x": None, "y": None}]


def test_a_message_keeps_its_lines(after_run, tmp_path):
    (tmp_path / "odd.csv").write_text("one,two\n1,2\n")
    lines = after_run("ingest", str(tmp_path / "odd.csv")).stderr.splitlines()
    assert any(line.startswith("  lm_eval: ") for line in lines)


def test_a_mapping_is_read_and_options_count_before_it(errclust, tmp_path):
    table, mapping = tmp_path / "t.csv", tmp_path / "m.yaml"
    table.write_text("text,other,ok\nq1,q2,1\n")
    mapping.write_text("model: org/m\nbenchmark: quiz\ncolumns: {question: text, score: ok}\n")
    arguments = ("ingest", str(table), "--mapping", str(mapping), "--json")
    [taken] = json.loads(errclust(*arguments).stdout)
    assert (taken["benchmark"], taken["model"], taken["reader"]) == ("quiz", "org__m", "table")
    [other] = json.loads(errclust(*arguments, "--model", "n", "--column", "question=other").stdout)
    assert other["model"] == "n"
    mapping.write_text("colums: {}\n")
    refused = errclust(*arguments)
    assert refused.exit_code == BAD_INPUT
    assert "m.yaml: key 'colums' is not known: did you mean columns?" in refused.output


def test_the_scorer_of_an_inspect_log_can_be_chosen(errclust, tmp_path, warehouse):
    path = write_json(tmp_path / "log.json", [sample(1, scores={"a": {"value": "C"}})])
    [taken] = json.loads(errclust("ingest", str(path), "--scorer", "a", "--json").stdout)
    assert (taken["benchmark"], taken["model"]) == ("pkg__sums", "openai__model-a")
    [partition] = warehouse.submissions()
    submission, _ = warehouse.submission(partition)
    assert submission.options == {"scorer": "a"}


def test_rows_that_could_not_be_used_are_told(errclust, tmp_path):
    path = write_table(tmp_path / "results.csv")
    path.write_text(path.read_text() + "x,org/model-a,what?,answer,high,gold,trivia,chess\n")
    errclust("ingest", str(path))
    assert "1 of 61 rows could not be used" in errclust("run").stderr


def test_a_model_of_artefacts_only_can_be_shown(errclust, tmp_path):
    path = tmp_path / "empty.jsonl"
    rows = [{"input_text": f"what is {n}?", "output_text": "", "score": 0} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    errclust("ingest", str(path), "--model", "org/silent", "--benchmark", "quiz")
    errclust("ingest", str(path), "--model", "org/silent-too", "--benchmark", "quiz")
    assert errclust("run").exit_code == 0
    assert "100%" in errclust("map", "quiz").stdout
    compared = errclust("compare", "quiz", "org/silent", "org/silent-too")
    assert compared.exit_code == 0
    assert "nan" not in compared.stdout


def test_a_submission_is_forgotten_with_its_tables_and_only_it(errclust, tmp_path, root):
    write_table(tmp_path / "results.csv", ["org/model-a", "org/model-b"])
    errclust("ingest", str(tmp_path / "results.csv"))
    errclust("run")
    assert errclust("forget", "trivia", "org/model-b", "--yes").exit_code == 0
    assert not [path for path in root.rglob("*.parquet") if "model-b" in str(path)]
    assert "questions is stale" in errclust("status").stdout
    assert errclust("run").exit_code == 0
    ranked = json.loads(errclust("sql", "select model from leaderboard", "--json").stdout)
    assert ranked == [{"model": "org__model-a"}]
    assert errclust("forget", "trivia", "org/model-a", "-y").exit_code == 0
    assert not list(root.rglob("*.parquet"))
    assert errclust("forget", "trivia", "org/model-a", "-y").exit_code == BAD_INPUT


def test_a_wrong_query_is_explained_without_a_traceback(after_run):
    done = after_run("sql", "select nothing from errors")
    assert done.exit_code == BAD_INPUT
    assert "nothing" in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "/no/such/place"], "does not exist"),
        (["sql", " "], "the query is empty"),
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
