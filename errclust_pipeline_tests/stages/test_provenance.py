"""Data versions, against those that earlier versions of errclust wrote into existing data roots.

A data version that changes without a new code version recomputes every partition of every user.
The expected values were computed before the stages moved into this package. After a change of a
stage that is meant to give other results, raise its code version and take the new value from the
failing test.
"""

import hashlib

import pytest

from errclust_pipeline.settings import load_settings
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.stages import STAGES, provenance, with_unanswered
from errclust_pipeline.tables import KeptBy
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    SubmissionPartition,
)
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.warehouse import Warehouse

MODELS = ("org__model-a", "org__model-b", "org__model-c")
CHOSEN = """
pictures = false
[embedding]
model = "hashing"
[language_model]
model = "a-model"
base_url = "http://127.0.0.1:9/v1"
most_calls = 7
[clustering]
minimum_size = 6
[map]
neighbours = 50
[statistics]
alpha = 0.1
scales = [10, 20]
miscoverage = 0.2
most_pairs = 3
[diagnosis]
share = 0.25
[benchmarks.trivia.errors]
text = "response"
[benchmarks.trivia.selection]
budget = 20
"""

DEFAULT = {
    "raw_results": "bf69f074ffb3444976bb1e4f28bf80bb",
    "error_table": "2e8a0607b5d7a70d213fc80a9592acbb",
    "error_embeddings": "918b12fb4d410b7ba7fc08afbfdc56e6",
    "error_clusters": "0322dec0c1808ff02621096cadad8eb1",
    "cluster_labels": "25e7f5065474084e50d5d3c32b60767e",
    "battles": "9af3b8a3ae86a66fea1f4e2f98da213c",
    "prompt_map": "056add93d2681dd1f1d83c652a5f294a",
    "ratings": "0996d8860c31a5ce5ef1ac365fcdecdf",
    "questions": "57cc8d4b40fa59f0113d98d5d0ec814b",
    "question_map": "d3b909b873ece93c640808d805945547",
    "region_labels": "43b95f0c5b9a59bf4a08e728df6a0e03",
    "hot_spots": "4fafb77e872a05fcfaca1472a090132e",
    "autocorrelation": "c6e7e6257930740e58bcc489e84ebee8",
    "uncertainty": "73b6abc0fe28e72e84762a9478456a28",
    "training_candidates": "bbe1890443c24aee4aa9179df9160d1b",
    "error_diagnoses": "82aa5f2b3cb2226c61d4e10375e5cc67",
    "diagnosis_clusters": "153e209168724d7f8cfe93929d5d6b4a",
    "leaderboard": "ddeed75d73c15be6ae6ab76df1625974",
    "model_comparison": "cee9b41e1b50405205bdd38759ca397d",
}
WITH_CHOSEN = {
    "raw_results": "bf69f074ffb3444976bb1e4f28bf80bb",
    "error_table": "4bc3c477de480adf1080ab74083bf87c",
    "error_embeddings": "69882cc8f54ae52a1d8a2e2e4a1e60fc",
    "error_clusters": "885d8c9ab17ff5570c305a3dabddd633",
    "cluster_labels": "4069b524b287219a6385fee072aa3fd9",
    "battles": "9af3b8a3ae86a66fea1f4e2f98da213c",
    "prompt_map": "085326f9695ff4a3aa6741df5fb7180a",
    "ratings": "0996d8860c31a5ce5ef1ac365fcdecdf",
    "questions": "57cc8d4b40fa59f0113d98d5d0ec814b",
    "question_map": "51e81c71ed209053d6545bc758eca98d",
    "region_labels": "43b95f0c5b9a59bf4a08e728df6a0e03",
    "hot_spots": "29ecc7b6cfa5784544e77736e8ded55d",
    "autocorrelation": "2e070400e64129340720dff852389589",
    "uncertainty": "a58815dcd724be141ea02c8bb133839b",
    "training_candidates": "fc7a6000a25d78e7cdf6013436c1bef5",
    "error_diagnoses": "567116469acbe380e74c23be13ed4b76",
    "diagnosis_clusters": "009f837ec2c3ae056645c655b0c3e54e",
    "leaderboard": "ddeed75d73c15be6ae6ab76df1625974",
    "model_comparison": "aa83f01f59f3b7a8e0bbbe64e8f5e7b8",
}


def partition_of(stage, model=MODELS[0]):
    if stage.kept_by is KeptBy.BATTLE_SET:
        return BattleSetPartition("arena")
    return SubmissionPartition("trivia", model) if stage.by_model else BenchmarkPartition("trivia")


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A warehouse in which every stage was computed for three models, `uncertainty` for one."""
    warehouse = Warehouse(str(tmp_path_factory.mktemp("root")))
    for model in MODELS:
        submission = Submission(
            "trivia", model.replace("__", "/"), "table", ("a.csv",), "r1", {"threshold": 0.5}
        )
        warehouse.register(submission, "f1")
    warehouse.register(Submission("arena", "", "lmsys", ("b.jsonl",), "r2"), "f2")
    for stage in STAGES.values():
        models = MODELS if stage.by_model else ("",)
        for model in models[:1] if stage.asset == "uncertainty" else models:
            partition = partition_of(stage, model)
            for table in stage.tables:
                stored = Provenance(stage.asset, "0", f"{table.name} of {partition}")
                warehouse.write(table, partition, table.schema.empty_table(), stored)
    return warehouse


def provenances(warehouse, settings=""):
    """Return what each stage of a partition would be made from, with a settings file's text."""
    warehouse.storage.write_text(warehouse.storage.path("errclust.toml"), settings)
    read = load_settings(warehouse.storage)
    return {
        asset: provenance(stage, warehouse, read, partition_of(stage))
        for asset, stage in STAGES.items()
    }


@pytest.mark.parametrize(("settings", "expected"), [("", DEFAULT), (CHOSEN, WITH_CHOSEN)])
def test_data_versions_stay(computed, settings, expected):
    found = provenances(computed, settings)
    assert {asset: made_from.data_version for asset, made_from in found.items()} == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [("", "7c0239392903581733d76e2114e79f1b"), (CHOSEN, "b482a4887f1deca84a620f62fb616686")],
)
def test_inputs_and_settings_stay(computed, settings, expected):
    """A partition is stale if either is not what its file says, whatever its data version."""
    digest = hashlib.blake2b(digest_size=16)
    for made_from in provenances(computed, settings).values():
        encoded = made_from.to_metadata()
        digest.update(b"".join(name + encoded[name] for name in sorted(encoded)))
    assert digest.hexdigest() == expected


def test_the_data_version_of_an_answer_in_part_stays():
    whole = Provenance("cluster_labels", "3", "0123", {"error_table": "4567"}, {"written_by": "m"})
    part = with_unanswered(whole, {"over_budget": 4, "unreachable": 2, "too_long": 9})
    assert part.data_version == "7442344354b7a938479a2f5da834cc36"
    assert part.inputs == {"error_table": "4567", "over_budget": "4", "unreachable": "2"}
    assert with_unanswered(whole, {"too_long": 9}) == whole
