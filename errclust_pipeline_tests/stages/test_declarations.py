"""The registry of stages, and the rows that it refuses."""

import dataclasses

import pytest

from errclust_pipeline.stages import (
    PHASES,
    STAGES,
    Automation,
    Stage,
    StageError,
    WithRunOf,
    declare,
    forget,
    with_all_upstream,
)
from errclust_pipeline.stages.declarations import HOT_SPOTS_STAGE
from errclust_pipeline.tables import BATTLES, ERRORS, QUESTIONS, table
from errclust_pipeline.tables.column import count
from errclust_pipeline.tables.table import KeptBy, Table


@pytest.fixture
def row(monkeypatch):
    """A row that could be declared."""
    monkeypatch.setattr(table, "_REGISTRY", {})
    return Stage(
        asset="lengths",
        tables=(Table("lengths", "one length", ("length",), (count("length", "A length."),)),),
        upstream=("raw_results", "question_map"),
        code_version="1",
        phase="find_hot_spots",
        automation=Automation.ON_NEW_CONTENT,
        group="statistics",
        kinds=("numpy",),
    )


def test_a_declared_stage_comes_after_those_of_its_phase_and_can_be_forgotten(row):
    before = dict(STAGES)
    assert declare(row) is row
    try:
        assert PHASES["find_hot_spots"][-1] is row
        names = list(STAGES)
        assert names.index("uncertainty") + 1 == names.index("lengths")
        assert names.index("lengths") < names.index("training_candidates")
        assert with_all_upstream([row]) == {"lengths", "raw_results", "question_map", "questions"}
    finally:
        forget(row)
    assert list(STAGES.items()) == list(before.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asset": "hot_spots"}, "is declared already"),
        ({"phase": "find_lengths"}, "there is no phase 'find_lengths': known are label_error"),
        ({"tables": (ERRORS,)}, "table errors is written by error_table"),
        ({"upstream": ("raw_result",)}, "reads raw_result, which is not declared before it"),
        ({"upstream": ("leaderboard",)}, "reads leaderboard of the later phase compare_models"),
        ({"phase": "compare_models"}, "those of leaderboard in the same phase by benchmark"),
        ({"optional_upstream": ("hot_spots",)}, "optional_upstream names an asset that is not"),
        ({"automation": WithRunOf("hot_spots")}, "joins the run of hot_spots, which it does not"),
    ],
)
def test_a_row_that_is_not_possible_is_refused(row, changes, message):
    before = dict(STAGES)
    with pytest.raises(StageError, match=message):
        declare(dataclasses.replace(row, **changes))
    assert dict(STAGES) == before


def test_all_tables_of_a_stage_are_kept_alike(row):
    of_benchmark = Table("others", "one", ("n",), (count("n", "N."),), KeptBy.BENCHMARK)
    with pytest.raises(StageError, match="table others is not kept by model, as lengths is"):
        declare(dataclasses.replace(row, tables=(*row.tables, of_benchmark)))


def test_every_stage_reads_only_stages_before_it():
    seen = set()
    for name, stage in STAGES.items():
        assert set(stage.upstream) <= seen
        seen.add(name)


def test_a_stage_says_what_its_partitions_belong_to():
    assert HOT_SPOTS_STAGE.by_model
    assert {STAGES[name].table for name in ("battles", "questions")} == {BATTLES, QUESTIONS}
    assert STAGES["battles"].kept_by is KeptBy.BATTLE_SET
    assert not STAGES["questions"].by_model
