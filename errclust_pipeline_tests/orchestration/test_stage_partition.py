"""What an asset writes of a partition, and what it tells Dagster to show."""

import pytest

from errclust_pipeline.orchestration.stage_partition import StagePartition, title_of
from errclust_pipeline.settings import load_settings
from errclust_pipeline.stages import StageError
from errclust_pipeline.stages.declarations import LEADERBOARD_STAGE
from errclust_pipeline.tables import LEADERBOARD, MODEL_SIGNATURES
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    SubmissionPartition,
)
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline_tests.conftest import with_pictures


@pytest.fixture
def target(warehouse):
    return StagePartition(
        LEADERBOARD_STAGE,
        warehouse,
        BenchmarkPartition("trivia"),
        load_settings(warehouse.storage),
        Provenance("leaderboard", "1", "version", {"question_map": "v"}, {"alpha": 0.1}),
    )


def empty(*tables):
    return {table: table.schema.empty_table() for table in tables}


def test_tables_are_written_with_their_provenance_the_stages_own_one_last(target, warehouse):
    result = target.materialize(empty(LEADERBOARD, MODEL_SIGNATURES), None)
    assert result.data_version.value == "version"
    assert result.metadata["made_from"] == {"question_map": "v", "settings": {"alpha": 0.1}}
    for table in LEADERBOARD_STAGE.tables:
        assert warehouse.provenance(table, target.partition) == target.provenance


def test_a_table_that_the_row_does_not_declare_or_that_is_missing_is_an_error(target, warehouse):
    with pytest.raises(StageError, match="writes leaderboard, but its row declares"):
        target.materialize(empty(LEADERBOARD), None)
    assert warehouse.count(LEADERBOARD, target.partition) is None


def test_a_summary_that_cannot_be_drawn_costs_no_table(target, root):
    with_pictures(root)
    target.settings = load_settings(target.warehouse.storage)
    result = target.materialize(
        empty(LEADERBOARD, MODEL_SIGNATURES),
        None,
        summary=lambda: {"picture": lambda: str(1 / 0)},
    )
    assert result.metadata["dagster/row_count"] == 0
    assert "picture" not in result.metadata
    assert target.warehouse.count(LEADERBOARD, target.partition) == 0


def test_pictures_are_left_out_where_the_settings_say_so(target):
    result = target.report(
        3, None, summary=lambda: {"at_a_glance": "a table", "picture": lambda: str(1 / 0)}
    )
    assert result.metadata["at_a_glance"].value == "a table"
    assert "picture" not in result.metadata


@pytest.mark.parametrize(
    ("partition", "title"),
    [
        (SubmissionPartition("trivia", "org__model"), "org__model on trivia"),
        (BenchmarkPartition("trivia"), "trivia"),
        (BattleSetPartition("arena"), "arena"),
    ],
)
def test_a_partition_has_a_title_in_words(partition, title):
    assert title_of(partition) == title
