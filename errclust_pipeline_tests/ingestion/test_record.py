import dataclasses

import pytest

from errclust_pipeline.ingestion.record import record_all
from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.base import Submission
from errclust_pipeline.warehouse.keys import BattleSetPartition, SubmissionPartition

WHOLE = Submission(
    "sums",
    "org/model",
    "lm_eval",
    ("hf://datasets/me/evals@" + "a" * 40 + "/samples_sums_2025.jsonl",),
    "a" * 40,
    {},
    conditions={"shots": "0"},
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text("{}")
    return str(path)


def test_a_smaller_run_does_not_replace_one_that_was_recorded_from_the_hub(warehouse, file):
    warehouse.register(WHOLE, "fingerprint")
    smaller = dataclasses.replace(
        WHOLE, files=(file,), revision="r", conditions={"shots": "0", "limit": "10"}
    )
    [ingested] = record_all(warehouse, [smaller])
    assert ingested.change == "unchanged"
    assert ingested.submission.files == WHOLE.files
    assert f"{file} is a run limited to 10 questions" in ingested.submission.notes[0]
    assert warehouse.submission(SubmissionPartition("sums", "org__model"))[0].files == WHOLE.files


def test_a_run_under_other_conditions_gets_a_name_of_its_own(warehouse, file):
    warehouse.register(WHOLE, "fingerprint")
    other = dataclasses.replace(WHOLE, files=(file,), revision="r", conditions={"shots": "5"})
    [ingested] = record_all(warehouse, [other])
    assert ingested.submission.model == "org/model@5-shot"
    assert warehouse.submission(SubmissionPartition("sums", "org__model"))[0].files == WHOLE.files


def test_nothing_is_recorded_if_two_submissions_are_of_one_partition(warehouse, file):
    first = dataclasses.replace(WHOLE, files=(file,))
    with pytest.raises(SourceError, match=r"both results of model org/model .* --model"):
        record_all(warehouse, [first, first])
    battles = dataclasses.replace(first, model="", conditions={})
    with pytest.raises(SourceError, match=r"both battles of battle set sums.* --benchmark"):
        record_all(warehouse, [battles, battles])
    assert warehouse.submissions() == []
    assert [done.partition for done in record_all(warehouse, [first, battles])] == [
        SubmissionPartition("sums", "org__model"),
        BattleSetPartition("sums"),
    ]
