import pytest

from errclust_pipeline.sources.base import Submission
from errclust_pipeline.tables import BATTLES, QUESTIONS, REJECTS
from errclust_pipeline.warehouse.errors import DamagedRecordError, WarehouseError
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    SubmissionPartition,
)
from errclust_pipeline_tests.helpers.rejected_rows import PARTITION, PROVENANCE, rejects


def test_a_submission_is_recorded_once_and_revised_when_it_changes(warehouse):
    submission = Submission(
        "trivia", "org/model", "table", ("/x/file.csv",), "r1", {"threshold": 1}
    )
    assert warehouse.register(submission, "f1")
    assert not warehouse.register(submission, "f1")
    assert warehouse.submission(PARTITION) == (submission, "f1")
    assert warehouse.submissions() == [PARTITION]
    assert warehouse.register(submission, "f2")
    with pytest.raises(WarehouseError, match="errclust ingest"):
        warehouse.submission(SubmissionPartition("trivia", "unknown"))


def submission(benchmark: str, model: str) -> Submission:
    return Submission(benchmark, model, "table", ("/x/file.csv",), "r1", {})


def test_a_withdrawn_submission_is_marked_until_it_is_recorded_again(warehouse):
    assert not warehouse.mark_withdrawn(PARTITION)
    warehouse.register(submission("trivia", "org/model"), "f1")
    assert warehouse.mark_withdrawn(PARTITION)
    assert not warehouse.mark_withdrawn(PARTITION)
    assert warehouse.is_withdrawn(PARTITION)
    assert not warehouse.register(submission("trivia", "org/model"), "f1")
    assert not warehouse.is_withdrawn(PARTITION)


def test_a_damaged_record_is_an_error_and_is_replaced_by_the_next(warehouse):
    warehouse.register(submission("trivia", "org/model"), "f1")
    path = warehouse.storage.glob("submissions/*/*/submission.json")[0]
    warehouse.storage.write_text(path, "{")
    with pytest.raises(DamagedRecordError, match=r"submission.json is damaged .* ingest"):
        warehouse.submission(PARTITION)
    assert warehouse.register(submission("trivia", "org/model"), "f1")
    assert warehouse.submission(PARTITION)[1] == "f1"


def test_a_name_is_known_by_its_key_or_as_written_and_others_are_suggested(warehouse):
    warehouse.register(submission("trivia", "org/model"), "f1")
    warehouse.register(submission("arena", ""), "f2")
    assert warehouse.known_key("model", "org/model") == "org__model"
    assert warehouse.known_key("model", "org__model") == "org__model"
    assert warehouse.known_key("benchmark", "arena") == "arena"
    with pytest.raises(WarehouseError, match=r"no benchmark 'trivvia'. Known here: trivia"):
        warehouse.known_key("benchmark", "trivvia")
    with pytest.raises(WarehouseError, match="no model 'arena'"):
        warehouse.known_key("model", "arena")


def test_shared_tables_go_with_the_last_submission_and_a_battle_set_of_that_name_stays(warehouse):
    other, benchmark = SubmissionPartition("trivia", "other"), BenchmarkPartition("trivia")
    battle_set = BattleSetPartition("trivia")
    for model in ("org/model", "other", ""):
        warehouse.register(submission("trivia", model), "f")
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    warehouse.write(REJECTS, other, rejects(1), PROVENANCE)
    warehouse.write(QUESTIONS, benchmark, QUESTIONS.schema.empty_table(), PROVENANCE)
    warehouse.write(BATTLES, battle_set, BATTLES.schema.empty_table(), PROVENANCE)
    assert warehouse.forget(PARTITION) == 1
    assert warehouse.count(QUESTIONS, benchmark) == 0
    assert warehouse.forget(other) == 2
    assert warehouse.submissions() == []
    assert warehouse.battle_sets() == [battle_set]
    assert warehouse.count(BATTLES, battle_set) == 0
    assert warehouse.forget(battle_set) == 1
    assert warehouse.battle_sets() == []
