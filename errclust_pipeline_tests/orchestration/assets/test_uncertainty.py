"""Uncertainty through Dagster and the command line, from files of both kinds that have it."""

import base64
import json
import shutil

import dagster as dg
import numpy as np
import pytest

from errclust_pipeline import stages
from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.partitions import add_partitions, partition_key
from errclust_pipeline.orchestration.stage_asset import ASSETS
from errclust_pipeline.report import read_contents
from errclust_pipeline.settings import load_settings
from errclust_pipeline.tables import (
    RESPONSES,
    UNCERTAINTY,
    UNCERTAINTY_BY_REGION,
    UNCERTAINTY_HOT_REGIONS,
    UNCERTAINTY_SUMMARY,
)
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import quick_root, with_pictures
from errclust_pipeline_tests.helpers.command_line import errclust_at
from errclust_pipeline_tests.helpers.option_files import write_llm_uncertainty, write_lm_eval
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import run_phases

DECEIVED = SubmissionPartition("trivia", "org__model-a")
OF_TEXTS = SubmissionPartition("trivia", "org__model-b")
RAGGED = SubmissionPartition("ragged", "org__model-c")
WRITTEN = SubmissionPartition("written", "org__model-d")
LOGITS = SubmissionPartition("llm_uncertainty_mmlu_10k_base_icl1", "Org-7b-hf")
OWN_TABLES = (UNCERTAINTY, UNCERTAINTY_SUMMARY, UNCERTAINTY_BY_REGION, UNCERTAINTY_HOT_REGIONS)
PHASES = ("label_error_clusters", "map_questions", "find_hot_spots")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A warehouse with a model of each kind; look, do not touch."""
    folder = tmp_path_factory.mktemp("uncertainty")
    files = folder / "files"
    write_lm_eval(files, deceived_in="chess")
    write_lm_eval(files, model="org/model-b", scored="texts")
    write_lm_eval(files, "ragged", "org/model-c", 30, None, "texts", "acc_norm", (2, 3, 5))
    write_llm_uncertainty(folder / "logits")
    write_table(folder / "written.csv", ["org/model-d"], benchmark="written")
    warehouse = Warehouse(str(with_pictures(quick_root(folder / "root"))))
    for path in (files, folder / "logits", folder / "written.csv"):
        ingest(warehouse, [path])
    finished = run_phases(warehouse, *PHASES)
    assert [one.failure for one in finished if one.failure] == []
    return warehouse


def test_it_materialises_with_plain_dagster_and_the_same_again(measured):
    before = [measured.read(table, DECEIVED) for table in OWN_TABLES]
    with dg.instance_for_test() as instance:
        add_partitions(instance, [DECEIVED])
        result = dg.materialize(
            [ASSETS["uncertainty"]],
            instance=instance,
            partition_key=partition_key(DECEIVED),
            resources=build_defs(measured.storage.url).resources,
        )
        event = instance.get_latest_materialization_event(dg.AssetKey("uncertainty"))
    assert result.success
    metadata = event.asset_materialization.metadata
    assert metadata["dagster/row_count"].value == 240
    assert {row.data["score"] for row in metadata["preview"].records} == {"lac", "aps", "mean"}
    assert len(metadata["calibration"].records) > 1
    assert "| lac " in metadata["at_a_glance"].value
    assert "(data:image/png;base64," in metadata["picture"].value
    for table, rows in zip(OWN_TABLES, before, strict=True):
        assert measured.read(table, DECEIVED).equals(rows)


def test_where_it_is_confidently_wrong_is_found(measured):
    places = measured.read(UNCERTAINTY_HOT_REGIONS, DECEIVED).to_pylist()
    (wrong,) = [row for row in places if row["basis"] == "confidently_wrong"]
    questions = measured.read(RESPONSES, DECEIVED, ["question_id", "subject"]).to_pylist()
    subject = {row["question_id"]: row["subject"] for row in questions}
    inside = [subject[name] for name in wrong["question_ids"]]
    assert inside.count("chess") >= 55
    assert inside.count("chess") >= 0.9 * len(inside)
    assert wrong["value"] > 0.6 > 0.2 > wrong["outside_value"]
    assert wrong["confidence"] > 0.9 > 0.3 > wrong["accuracy"]
    assert wrong["replicated_halves"] == 2
    table = measured.read(UNCERTAINTY, DECEIVED).to_pandas().set_index("question_id")
    assert (table.loc[wrong["exemplars"], "corner"] == "confident_wrong").all()


def test_the_promise_fails_there_and_only_there(measured):
    rows = measured.read(UNCERTAINTY_BY_REGION, DECEIVED).to_pandas()
    failing = rows[(rows["score"] == "lac") & (rows["q"] < 0.05)]
    assert len(failing[failing["level"] == 1]) == 1
    assert failing["coverage"].max() < 0.8
    assert (failing["mondrian_coverage"] > failing["coverage"]).all()


def test_what_stands_in_the_summary_is_what_the_questions_say(measured):
    for partition, options in ((DECEIVED, (4, 4)), (RAGGED, (2, 5)), (LOGITS, (6, 6))):
        table = measured.read(UNCERTAINTY, partition).to_pandas()
        summary = measured.read(UNCERTAINTY_SUMMARY, partition).to_pandas()
        assert len(summary) == 6
        one = summary.set_index(["score", "form"]).loc[("mean", "paper")]
        assert (one["fewest_options"], one["most_options"]) == options
        assert one["accuracy"] == pytest.approx(table["right"].mean())
        assert one["set_size"] == pytest.approx(table["set_size"].mean())
        covered = (table["lac_covered"] + table["aps_covered"]) / 2
        assert one["coverage"] == pytest.approx(covered.mean())
        assert one["coverage"] > 0.88
        # Only where questions differ in it does the number of options explain anything.
        assert (one["adjusted_moran"] == one["moran"]) == (options[0] == options[1])
        responses = measured.read(RESPONSES, partition, ["question_id", "correct"]).to_pandas()
        correct = responses.set_index("question_id")["correct"].loc[table["question_id"]]
        np.testing.assert_array_equal(correct.to_numpy(), table["right"].to_numpy())


def test_logits_are_compared_as_they_are_and_demonstrations_are_not_there(measured):
    summary = measured.read(UNCERTAINTY_SUMMARY, LOGITS).to_pylist()[0]
    assert (summary["questions"], summary["compared_by_length"]) == (155, 0)
    assert measured.read(UNCERTAINTY_SUMMARY, RAGGED).to_pylist()[0]["compared_by_length"] == 120


@pytest.mark.parametrize(
    ("partition", "reason"),
    [(WRITTEN, "no log-likelihoods"), (OF_TEXTS, "options of different lengths")],
)
def test_without_comparable_log_likelihoods_there_are_no_rows_and_a_reason(
    measured, partition, reason
):
    assert [measured.count(table, partition) for table in OWN_TABLES] == [0, 0, 0, 0]
    errclust = errclust_at(measured.storage.root)
    done = errclust("uncertainty", partition.benchmark, partition.model)
    assert done.exit_code == 2
    assert reason in done.output
    found = json.loads(
        errclust("uncertainty", partition.benchmark, partition.model, "--json").stdout
    )
    assert found["left_out"] == {reason: measured.count(RESPONSES, partition)}


def test_what_is_measured_is_left_alone_until_a_setting_changes(measured):
    assert run_phases(measured, *PHASES) == []
    settings = load_settings(measured.storage)
    other = settings.model_copy(
        update={"statistics": settings.statistics.model_copy(update={"miscoverage": 0.2})}
    )
    found = stages.status(measured, other, DECEIVED)
    stale = [name for name, one in found.items() if one.state is stages.State.STALE]
    assert stale == ["uncertainty"]
    assert found["uncertainty"].reason == "setting miscoverage changed"


def test_the_command_line_says_where_and_how_sure(measured):
    errclust = errclust_at(measured.storage.root)
    shown = errclust("uncertainty", "trivia", "org/model-a")
    assert shown.exit_code == 0, shown.output
    assert "points too sure" in shown.output
    confidently_wrong = shown.output.split("Where it is confidently wrong")[1]
    assert "chess" in confidently_wrong.split("Where it is unsure")[0]
    assert "says 100%" in confidently_wrong
    assert "Where fewer than the 90% promised" in shown.output
    ragged = errclust("uncertainty", "ragged", "org/model-c").output
    assert "2 to 5 options" in ragged
    assert "given options" in ragged
    assert "given options" not in shown.output
    assert "compare options by log-likelihood a character" in ragged


def test_the_leaderboard_says_how_sure_models_are_where_that_is_known(measured):
    run_phases(measured, "compare_models", partitions=[DECEIVED, OF_TEXTS])
    errclust = errclust_at(measured.storage.root)
    rows = {
        row["model"]: row
        for row in json.loads(errclust("map", "trivia", "--json").stdout)["models"]
    }
    summary = measured.read(UNCERTAINTY_SUMMARY, DECEIVED).to_pandas()
    one = summary.set_index(["score", "form"]).loc[("mean", "paper")]
    for column in ("confidence", "calibration_error", "set_size", "coverage", "uacc"):
        assert rows[DECEIVED.model][column] == pytest.approx(one[column])
        assert rows[OF_TEXTS.model][column] is None
    shown = errclust("map", "trivia").output
    assert "UAcc" in shown
    assert f"{one['set_size']:.2f}" in shown


def test_the_report_says_how_sure_models_are_and_of_the_others_why_that_is_not_known(measured):
    run_phases(measured, "compare_models", partitions=[DECEIVED, OF_TEXTS])
    numbers = read_contents(measured, "trivia").numbers
    sure, other = (
        next(one for one in numbers["models"] if one["model"] == partition.model)["uncertainty"]
        for partition in (DECEIVED, OF_TEXTS)
    )
    assert "options of different lengths" in other["absent"]
    table = measured.read(UNCERTAINTY, DECEIVED).to_pandas()
    corner = np.frombuffer(base64.b64decode(sure["corner"]), "i1")
    size = np.frombuffer(base64.b64decode(sure["size"]), "u1")
    assert (size < 255).sum() == len(table) == numbers["points"]
    assert size.mean() / 10 == pytest.approx(table["set_size"].mean(), abs=0.06)
    for number, name in enumerate(sure["corners"]):
        assert (corner == number).sum() == (table["corner"] == name).sum()
    assert sum(one["questions"] for one in sure["curve"]) == len(table)
    places = measured.read(UNCERTAINTY_HOT_REGIONS, DECEIVED).to_pylist()
    assert len(sure["places"]) == len(places)
    wrong = next(one for one in sure["places"] if one["basis"] == "confidently_wrong")
    inside = np.frombuffer(base64.b64decode(wrong["points"]), "<i4")
    mistakes = (corner[inside] == sure["corners"].index("confident_wrong")).sum()
    assert mistakes == round(wrong["value"] * wrong["size"])
    assert [one["regionId"].count(".") for one in sure["broken"]].count(0) == 1
    path = measured.path(UNCERTAINTY, DECEIVED)
    measured.storage.filesystem.mv(path, f"{path}.away")
    try:
        found = read_contents(measured, "trivia", [DECEIVED.model]).numbers
    finally:
        measured.storage.filesystem.mv(f"{path}.away", path)
    assert "errclust run" in found["models"][0]["uncertainty"]["absent"]
    assert any(note.startswith("uncertainty of trivia") for note in found["notes"])


def test_another_alpha_is_computed_anew(measured):
    errclust = errclust_at(measured.storage.root)

    def lac(*arguments):
        found = json.loads(errclust("uncertainty", "trivia", "org/model-a", *arguments).stdout)
        return next(
            row for row in found["summary"] if (row["score"], row["form"]) == ("lac", "textbook")
        )

    stored, same, fewer = (
        lac("--json"),
        lac("--json", "--alpha", "0.1"),
        lac("--json", "--alpha", "0.4"),
    )
    assert stored == same
    assert fewer["set_size"] < stored["set_size"]
    assert 0.58 < fewer["coverage"] < 0.65
    done = errclust("uncertainty", "trivia", "org/model-a", "--alpha", "1.5")
    assert done.exit_code == 2
    assert "--alpha must be between 0 and 1" in done.output


def test_the_old_name_of_the_option_works_and_says_that_it_will_go(measured):
    errclust = errclust_at(measured.storage.root)
    words = ("uncertainty", "trivia", "org/model-a", "--json")
    old, new = errclust(*words, "--alpha", "0.3"), errclust(*words, "--miscoverage", "0.3")
    assert old.stdout == new.stdout
    assert "option --alpha is now called --miscoverage" in old.stderr
    assert "now called" not in new.stderr
    assert "--alpha" not in errclust("uncertainty", "--help").stdout


def test_uncertainty_is_measured_again_only_where_the_tables_are_out_of_date(
    measured, tmp_path, monkeypatch
):
    from errclust_pipeline.analysis import uncertainty as analysis

    calls = []
    measure = analysis.measure_uncertainty
    monkeypatch.setattr(
        analysis, "measure_uncertainty", lambda *given: calls.append(given) or measure(*given)
    )
    root = shutil.copytree(measured.storage.root, tmp_path / "copy")
    errclust = errclust_at(root)
    words = ("uncertainty", "trivia", "org/model-a", "--json")
    before = errclust(*words)
    assert errclust(*words, "--miscoverage", "0.1").stdout == before.stdout
    assert calls == []
    settings = root / "errclust.toml"
    settings.write_text(settings.read_text() + "[statistics]\nmiscoverage = 0.2\n")
    after = errclust(*words)
    assert len(calls) == 1
    assert (
        "table uncertainty of trivia|org__model-a is stale (setting miscoverage ch" in after.stderr
    )
    assert json.loads(after.stdout)["summary"][0]["alpha"] == 0.2
