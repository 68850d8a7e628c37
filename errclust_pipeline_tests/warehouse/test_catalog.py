import time

import duckdb
import pyarrow as pa
import pytest

from errclust_pipeline.tables import REJECTS, TABLES
from errclust_pipeline.warehouse.errors import QueryError, WarehouseError
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.rejected_rows import PARTITION, PROVENANCE, rejects
from errclust_pipeline_tests.helpers.rewriting import both_seen, rewritten


def test_no_rows_are_a_partition_too(warehouse):
    warehouse.write(REJECTS, PARTITION, rejects(0), PROVENANCE)
    assert warehouse.count(REJECTS, PARTITION) == 0
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from rejects").fetchall() == [(0,)]


def test_views_show_the_partitions_and_empty_tables_can_be_queried(warehouse):
    strange = SubmissionPartition("007", "a+b@c~7C")
    warehouse.write(REJECTS, strange, rejects(2), PROVENANCE)
    with warehouse.connect() as connection:
        rows = connection.execute("select benchmark, model, detail from rejects").fetchall()
        assert rows == [("007", "a+b@c~7C", "it's broken")] * 2
        for table in TABLES.values():
            described = connection.execute(f"describe {table.name}").fetchall()
            keys = ["benchmark", "model"] if table.by_model else ["benchmark"]
            assert [row[0] for row in described] == [*keys, *table.schema.names]


def test_the_catalog_holds_the_views_and_no_data(tmp_path):
    warehouse = Warehouse(str(tmp_path))
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    warehouse.write(REJECTS, SubmissionPartition("trivia", "later"), rejects(1), PROVENANCE)
    with duckdb.connect(warehouse.catalog_path, read_only=True) as connection:
        assert connection.execute("select count(*) from rejects").fetchall() == [(2,)]
        assert connection.execute("select count(*) from duckdb_tables()").fetchall() == [(0,)]
    assert not list(tmp_path.glob(".catalog.duckdb*"))


def test_views_show_files_of_an_earlier_version_with_nulls_for_what_they_lack(warehouse):
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    with warehouse.storage.write(warehouse.path(REJECTS, PARTITION)) as file:
        pa.parquet.write_table(rejects(1).drop_columns(["detail"]), file)
    with pytest.raises(WarehouseError, match=r"no column detail: .* earlier version"):
        warehouse.read(REJECTS, PARTITION)
    with warehouse.connect() as connection:
        assert connection.execute("select detail from rejects").fetchall() == [(None,)]
        warehouse.write(REJECTS, SubmissionPartition("trivia", "later"), rejects(1), PROVENANCE)
        rows = connection.execute("select detail from rejects order by model = 'later'").fetchall()
    assert rows == [(None,), ("it's broken",)]


def test_queries_see_the_old_or_the_new_partition_while_it_is_rewritten(tmp_path):
    def read():
        names, rows = warehouse.query("select reason, count(*) as n from rejects group by 1")
        assert names == ["reason", "n"]
        (row,) = rows
        return row

    with rewritten(tmp_path) as warehouse:
        assert both_seen(read) == {("a", 10), ("b", 500)}


def test_a_query_that_is_wrong_fails_at_once(warehouse, monkeypatch):
    monkeypatch.setattr(time, "sleep", pytest.fail)
    with pytest.raises(QueryError, match="no_such_column") as raised:
        warehouse.query("select no_such_column from rejects")
    assert isinstance(raised.value.__cause__, duckdb.BinderException)
