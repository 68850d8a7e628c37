"""The column lineage against the schemas, the asset graph and what stands in the tables."""

import pytest

from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.stage_partition import column_lineage
from errclust_pipeline.stages import STAGES
from errclust_pipeline.tables import TABLES
from errclust_pipeline.tables.column import SETTINGS, SOURCE
from errclust_pipeline.warehouse.keys import BenchmarkPartition
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

STAGE_OF = {table.name: stage for stage in STAGES.values() for table in stage.tables}
ORIGINS = [
    (table.name, column.name, path)
    for table in TABLES.values()
    for column in table.columns
    for path in table.lineage(column)
]
LINKS = [
    (table, column, *path.split("."))
    for table, column, path in ORIGINS
    if path not in (SOURCE, SETTINGS)
]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_column_has_a_description_and_an_origin(table):
    for column in table.columns:
        assert column.description.strip(), column.name
        assert table.lineage(column), column.name
        for field in column.fields:
            assert field.description.strip(), field.name


def upstream_of(table):
    """Return the stages that the table's stage reads, directly or through others."""
    found, to_do = set(), list(STAGE_OF[table].upstream)
    while to_do:
        asset = to_do.pop()
        if asset not in found:
            found.add(asset)
            to_do += STAGES[asset].upstream
    return found


@pytest.mark.parametrize("table", TABLES)
def test_lineage_names_columns_of_tables_that_the_stage_reads(table):
    upstream = upstream_of(table)
    own = [table.name for table in STAGE_OF[table].tables]
    for name, column, source, source_column in LINKS:
        if name == table:
            assert source_column in TABLES[source].schema.names, (column, source_column)
            # A stage may make one of its tables from another that it writes.
            assert STAGE_OF[source].asset in upstream or source in own, (column, source)


def test_only_the_first_tables_are_read_from_submitted_files():
    of_source = {table for table, _, path in ORIGINS if path == SOURCE}
    assert of_source == {
        table.name for stage in STAGES.values() if not stage.upstream for table in stage.tables
    }


def test_dagster_is_told_the_assets_that_hold_the_columns():
    (lineage,) = column_lineage(TABLES["leaderboard"]).values()
    (dependency,) = lineage.deps_by_column["uacc"]
    assert dependency.asset_key.to_user_string() == "uncertainty"
    assert dependency.column_name == "uacc"
    assert column_lineage(TABLES["responses"]) == {}


def test_a_copied_column_holds_nothing_that_its_source_does_not(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "results.csv", ["org/model-a"])])
    assert failures_of(run_phases(warehouse)) == []
    submissions = warehouse.submissions()
    compared = 0
    for table, column, source, source_column in LINKS:
        lineage = TABLES[table].lineage(TABLES[table].column(column))
        if column != source_column or len(lineage) > 1:
            continue
        where = submissions[0] if TABLES[table].by_model else BenchmarkPartition("trivia")
        there = submissions[0] if TABLES[source].by_model else BenchmarkPartition("trivia")
        if warehouse.count(TABLES[table], where) is None:
            continue
        own = warehouse.read(TABLES[table], where, columns=[column])[column].to_pylist()
        known = warehouse.read(TABLES[source], there, columns=[source_column])[source_column]
        known = {repr(value) for value in known.to_pylist()}
        if STAGE_OF[source].asset in STAGE_OF[table].optional_upstream:
            known.add("None")
        assert {repr(value) for value in own} <= known, (table, column)
        compared += len(own)
    assert compared > 500
