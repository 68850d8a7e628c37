"""Taking submissions in, and out again."""

import json

from errclust_pipeline.cli.common import BAD_INPUT
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.sources.formats.test_inspect_ai import sample, write_json


def test_ingest_reports_what_is_new_and_then_what_is_not(errclust, tmp_path):
    write_table(tmp_path / "results.csv")
    (first,) = json.loads(errclust("ingest", str(tmp_path), "--json").stdout)
    assert first["model"] == "org__model-a"
    assert first["change"] == "new"
    (again,) = json.loads(errclust("ingest", str(tmp_path), "--json").stdout)
    assert again["change"] == "unchanged"


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


def test_a_message_keeps_its_lines(after_run, tmp_path):
    (tmp_path / "odd.csv").write_text("one,two\n1,2\n")
    lines = after_run("ingest", str(tmp_path / "odd.csv")).stderr.splitlines()
    assert any(line.startswith("  lm_eval: ") for line in lines)


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
