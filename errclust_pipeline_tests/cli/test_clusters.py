"""Clusters of errors on the command line."""

import json

from errclust_pipeline.cli.common import BAD_INPUT


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
