"""The column lineage against the schemas, the asset graph and what stands in the tables."""

import pytest

from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.stages.declarations import STAGES
from errclust_pipeline.tables import TABLES
from errclust_pipeline.tables.lineage import COLUMN_LINEAGE
from errclust_pipeline.warehouse.keys import BenchmarkPartition
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

STAGE_OF = {stage.table.name: stage for stage in STAGES}
TABLE_OF = {stage.asset: stage.table for stage in STAGES}
LINKS = [
    (table, column, *source.split("."))
    for table, columns in COLUMN_LINEAGE.items()
    for column, sources in columns.items()
    for source in sources
]


@pytest.mark.parametrize(("table", "column", "asset", "source"), LINKS)
def test_lineage_names_columns_of_assets_that_the_stage_reads(table, column, asset, source):
    assert column in TABLES[table].schema.names
    assert source in TABLE_OF[asset].schema.names
    upstream = set(STAGE_OF[table].upstream)
    # A table may take a column from further up, through the one that it reads.
    for name in list(upstream):
        upstream |= set(next(stage for stage in STAGES if stage.asset == name).upstream)
    assert asset in upstream


def test_a_copied_column_holds_nothing_that_its_source_does_not(warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "results.csv", ["org/model-a"])])
    assert failures_of(run_phases(warehouse)) == []
    submissions = warehouse.submissions()
    compared = 0
    for table, column, asset, source in LINKS:
        if column != source or (table in TABLES and len(COLUMN_LINEAGE[table][column]) > 1):
            continue
        where = submissions[0] if TABLES[table].by_model else BenchmarkPartition("trivia")
        source_table = TABLE_OF[asset]
        there = submissions[0] if source_table.by_model else BenchmarkPartition("trivia")
        own = warehouse.read(TABLES[table], where, columns=[column])[column].to_pylist()
        known = warehouse.read(source_table, there, columns=[source])[source].to_pylist()
        assert {repr(value) for value in own} <= {repr(value) for value in known}, (table, column)
        compared += len(own)
    assert compared > 500
