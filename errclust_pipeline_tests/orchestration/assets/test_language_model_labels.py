"""Labels and diagnoses by a language model, through Dagster and over HTTP on loopback."""

import json
from collections import Counter

import dagster as dg
import pytest
from typer.testing import CliRunner

from errclust_pipeline.cli.app import app
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.instance import open_instance
from errclust_pipeline.orchestration.runs import next_run
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import State, status
from errclust_pipeline.tables import (
    CLUSTER_LABELS,
    DIAGNOSIS_CLUSTERS,
    DIAGNOSIS_LABELS,
    ERROR_DIAGNOSES,
    ERRORS,
    HOT_SPOTS,
)
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline_tests.helpers.chat_endpoint import MODEL, chat_endpoint
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

A, B = SubmissionPartition("trivia", "org__model-a"), SubmissionPartition("trivia", "org__model-b")
LABELLING = ["label_error_clusters"]


@pytest.fixture
def endpoint():
    with chat_endpoint() as one:
        yield one


def configure(root, text):
    path = root / "errclust.toml"
    before = path.read_text().split("# added")[0]
    path.write_text(before + "# added\n" + text)


def metadata_after(warehouse, *phases):
    """Run; return the metadata of the last materialisation of each asset of model A."""
    assert failures_of(run_phases(warehouse, *phases)) == []
    with open_instance(warehouse.storage) as instance:
        metadata = {}
        for asset in ("cluster_labels", "error_diagnoses", "diagnosis_clusters"):
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[str(A)]), limit=1
            ).records
            if records:
                found = records[0].asset_materialization.metadata
                metadata[asset] = {name: value.value for name, value in found.items()}
    return metadata


@pytest.fixture
def ingested(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "a.csv", ["org/model-a"], per_topic=30)])
    return warehouse


def test_clusters_are_named_tested_and_judged_by_the_model(ingested, root, endpoint):
    configure(root, endpoint.settings())
    metadata = metadata_after(ingested, *LABELLING)["cluster_labels"]
    labels = ingested.read(CLUSTER_LABELS, A).to_pandas()
    assert set(labels["written_by"]) == {MODEL}
    assert labels["label"].str.match(r"Facts about (river|metal|chess|bread) questions").all()
    assert labels["label"].is_unique
    assert (labels["judged_faithfulness"] == 1).all()
    assert labels["is_faithful"].all()
    assert set(labels["cause"]) == {"knowledge"}
    assert metadata["language_model/calls"] == len(endpoint.asked) == 2 * len(labels)
    assert metadata["language_model/prompt_tokens"] == 100 * len(endpoint.asked)
    assert metadata["faithful"] == len(labels)
    shown = metadata["preview"].records[0].data
    assert shown["label"] == labels["label"][0]
    assert shown["an exemplar"] != shown["another"]


def test_an_unchanged_cluster_is_never_paid_for_twice(ingested, root, endpoint):
    configure(root, endpoint.settings())
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    calls = len(endpoint.asked)
    ingested.storage.remove(ingested.path(CLUSTER_LABELS, A))
    metadata = metadata_after(ingested, *LABELLING)["cluster_labels"]
    assert len(endpoint.asked) == calls
    assert metadata["language_model/calls"] == 0
    assert metadata["language_model/from_store"] == calls


def test_another_models_cluster_of_the_same_questions_gets_the_same_name_unpaid(
    ingested, root, endpoint, tmp_path
):
    configure(root, endpoint.settings())
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    names = sum("members" in one for one in endpoint.asked)
    ingest(ingested, [write_table(tmp_path / "b.csv", ["org/model-b"], per_topic=30)])
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    labels = ingested.read(CLUSTER_LABELS, B).to_pandas()
    assert labels["reused_from"].str.startswith("org__model-a|").all()
    assert sum("members" in one for one in endpoint.asked) == names


def test_without_a_language_model_nothing_is_asked_and_nothing_fails(ingested):
    metadata = metadata_after(ingested)
    labels = ingested.read(CLUSTER_LABELS, A).to_pandas()
    assert set(labels["written_by"]) == {"key_phrases"}
    assert labels["faithfulness"].notna().all()
    assert "language_model/calls" not in metadata["cluster_labels"]
    assert ingested.count(ERROR_DIAGNOSES, A) == 0
    assert ingested.count(DIAGNOSIS_CLUSTERS, A) == 0


def test_a_budget_leaves_key_phrases_and_a_larger_one_goes_on(ingested, root, endpoint):
    configure(root, endpoint.settings(most_calls=2))
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    labels = ingested.read(CLUSTER_LABELS, A).to_pandas()
    assert Counter(labels["written_by"]) == {MODEL: 2, "key_phrases": len(labels) - 2}
    assert labels["problem"].str.contains("the budget of 2 calls is spent").sum() == len(labels) - 2
    assert len(endpoint.asked) == 2
    found = status(ingested, load_settings(ingested.storage), A)["cluster_labels"]
    assert (found.state, found.reason) == (
        State.OVER_BUDGET,
        "prompts left: 4; run it again, or raise the budget",
    )
    # Whoever runs it again has a budget anew; by itself nothing spends it.
    assert next_run(ingested, load_settings(ingested.storage), A) is None
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    assert len(endpoint.asked) == 4
    configure(root, endpoint.settings(most_calls=100))
    found = status(ingested, load_settings(ingested.storage), A)["cluster_labels"]
    assert (found.state, found.reason) == (State.STALE, "setting most_calls changed")
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    assert set(ingested.read(CLUSTER_LABELS, A)["written_by"].to_pylist()) == {MODEL}
    # What was paid for was not asked again.
    assert len(endpoint.asked) == 2 * len(labels)


def test_an_endpoint_that_breaks_down_fails_the_asset_and_what_was_answered_is_kept(
    ingested, root, endpoint, monkeypatch
):
    from errclust_pipeline.language_model import endpoint as calls
    from errclust_pipeline.orchestration import stage_asset

    monkeypatch.setattr(stage_asset, "MAX_RETRIES", 0)
    monkeypatch.setattr(calls, "_FIRST_WAIT_SECONDS", 0.01)
    configure(root, endpoint.settings(calls_at_once=1))
    endpoint.fails_from = 3
    (failure,) = failures_of(run_phases(ingested))
    assert "does not answer" in failure
    assert ingested.count(CLUSTER_LABELS, A) is None
    # What does not rest on names was computed all the same.
    assert ingested.count(HOT_SPOTS, A)
    endpoint.fails_from = None
    before = len(endpoint.asked)
    metadata = metadata_after(ingested, *LABELLING)["cluster_labels"]
    assert metadata["language_model/from_store"] == 2
    assert len(endpoint.asked) - before == metadata["language_model/calls"]


def test_what_was_not_answered_is_asked_in_the_next_run(ingested, root, endpoint, monkeypatch):
    from errclust_pipeline.language_model import endpoint as calls

    monkeypatch.setattr(calls, "_FIRST_WAIT_SECONDS", 0.01)
    configure(root, endpoint.settings(calls_at_once=1) + "[diagnosis]\nshare = 0.5\n")
    endpoint.fails_on = "metal"
    assert failures_of(run_phases(ingested)) == []
    found = status(ingested, load_settings(ingested.storage), A)
    assert found["error_diagnoses"].state is State.STALE
    assert "did not answer" in found["cluster_labels"].reason
    labels = ingested.read(CLUSTER_LABELS, A).to_pandas()
    assert labels["problem"].str.contains("unreachable").sum() == 1
    diagnoses = ingested.read(ERROR_DIAGNOSES, A).to_pandas()
    unanswered = diagnoses[diagnoses["diagnosis"].isna()]
    assert 0 < len(unanswered) < len(diagnoses)
    planned, version = next_run(ingested, load_settings(ingested.storage), A)
    assert "cluster_labels" in planned.assets
    # As long as nothing changes, it is the same repair: requested once a day.
    assert failures_of(run_phases(ingested)) == []
    assert next_run(ingested, load_settings(ingested.storage), A) == (planned, version)

    endpoint.fails_on = None
    before = len(endpoint.asked)
    assert failures_of(run_phases(ingested)) == []
    diagnosed = [one for one in endpoint.asked[before:] if "response" in one]
    assert len(diagnosed) == len(unanswered)
    assert set(ingested.read(CLUSTER_LABELS, A)["written_by"].to_pylist()) == {MODEL}
    diagnoses = ingested.read(ERROR_DIAGNOSES, A).to_pandas()
    assert diagnoses["diagnosis"].notna().all()
    assert ingested.count(DIAGNOSIS_CLUSTERS, A) == len(diagnoses)
    states = status(ingested, load_settings(ingested.storage), A).values()
    assert all(one.state is State.FRESH for one in states)


def test_a_tenth_of_the_errors_is_diagnosed_all_over_the_map_and_clustered_by_why(
    ingested, root, endpoint
):
    configure(root, endpoint.settings() + "[diagnosis]\nshare = 0.5\n")
    metadata = metadata_after(ingested)
    diagnoses = ingested.read(ERROR_DIAGNOSES, A).to_pandas()
    errors = ingested.count(ERRORS, A)
    assert len(diagnoses) == errors / 2 == 40
    assert diagnoses["weight"].sum() == pytest.approx(errors)
    assert diagnoses["region_id"].nunique() >= 3
    assert set(diagnoses["cause"]) == {"knowledge"}
    assert diagnoses["problem"].isna().all()
    clusters = ingested.read(DIAGNOSIS_CLUSTERS, A).to_pandas()
    assert set(clusters["example_id"]) == set(diagnoses["example_id"])
    labels = ingested.read(DIAGNOSIS_LABELS, A).to_pandas()
    assert len(labels) >= 2
    assert set(labels["written_by"]) == {MODEL}
    assert metadata["error_diagnoses"]["diagnosed"] == 40
    shown = CliRunner().invoke(app, ["diagnoses", "trivia", "org/model-a", "--root", str(root)])
    assert shown.exit_code == 0, shown.output
    assert "40 errors diagnosed, standing for 80" in shown.output
    assert "knowledge" in shown.output
    assert "It recalls a wrong" in shown.output


def test_a_right_response_of_another_model_stands_beside_the_wrong_one(
    ingested, root, endpoint, tmp_path
):
    ingest(
        ingested,
        [write_table(tmp_path / "b.csv", ["org/model-b"], per_topic=30, right_every=2)],
    )
    configure(root, endpoint.settings() + "[diagnosis]\nshare = 1.0\n")
    assert failures_of(run_phases(ingested)) == []
    diagnoses = ingested.read(ERROR_DIAGNOSES, A).to_pandas()
    compared = diagnoses["compared_with"].dropna()
    assert 0 < len(compared) < len(diagnoses)
    assert set(compared) == {"org__model-b"}
    beside = [one for one in endpoint.asked if "right_response_of_another_model" in one]
    assert all("answer " in str(one["right_response_of_another_model"]) for one in beside)


def test_a_quote_comes_before_any_call(ingested, root, endpoint):
    assert failures_of(run_phases(ingested)) == []
    configure(root, endpoint.settings(price_of_prompt=1.0, price_of_answer=2.0))
    arguments = ["diagnoses", "trivia", "org/model-a", "--root", str(root), "--quote"]
    told = CliRunner().invoke(app, [*arguments, "--share", "0.1", "--json"])
    assert told.exit_code == 0, told.output
    quote = json.loads(told.output)
    assert (quote["prompts"], quote["from_store"]) == (8, 0)
    assert quote["answer_tokens"] == 8 * 600
    assert quote["cost"] == pytest.approx((quote["prompt_tokens"] + 2 * 4800) / 1e6)
    assert endpoint.asked == []
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 2
    assert "share in [diagnosis]" in refused.output


def test_labels_are_shown_with_their_tests(ingested, root, endpoint):
    configure(root, endpoint.settings())
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    shown = CliRunner().invoke(
        app, ["labels", "trivia", "org/model-a", "--root", str(root)], env={"COLUMNS": "160"}
    )
    assert shown.exit_code == 0, shown.output
    assert "Facts about" in shown.output
    assert "knowledge" in shown.output
    assert "100% (" in shown.output
    told = CliRunner().invoke(
        app, ["labels", "trivia", "org/model-a", "--root", str(root), "--unfaithful", "--json"]
    )
    assert json.loads(told.output) == []


def test_what_the_model_has_taken_in_all_is_told_and_whether_it_answers(ingested, root, endpoint):
    none = CliRunner().invoke(app, ["language-model", "--root", str(root)])
    assert none.exit_code == 2
    assert "set model in [language_model]" in none.output
    configure(root, endpoint.settings(price_of_prompt=1.0, price_of_answer=1.0))
    assert failures_of(run_phases(ingested, *LABELLING)) == []
    calls = len(endpoint.asked)
    told = CliRunner().invoke(app, ["language-model", "--root", str(root), "--json", "--try"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert (found["answers"], found["unusable"]) == (calls, 0)
    assert found["cost"] == pytest.approx(calls * 110 / 1e6)
    assert len(endpoint.asked) == calls + 1
    endpoint.fails_from = 1
    configure(root, endpoint.settings(tries=1))
    failed = CliRunner().invoke(app, ["language-model", "--root", str(root), "--try"])
    assert failed.exit_code == 2
    assert "does not answer" in failed.output
