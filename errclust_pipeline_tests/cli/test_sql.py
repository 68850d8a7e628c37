"""Queries of the tables."""

import csv
import io
import json

import pytest

from errclust_pipeline.cli.common import BAD_INPUT


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


def test_a_wrong_query_is_explained_without_a_traceback(after_run):
    done = after_run("sql", "select nothing from errors")
    assert done.exit_code == BAD_INPUT
    assert "nothing" in done.stderr
    assert "Traceback" not in done.output
