import collections
import json
import subprocess
import sys
import threading
import time

import duckdb
import pyarrow as pa
import pytest

from errclust_pipeline.sources.base import Submission
from errclust_pipeline.tables import REJECTS, TABLES
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Provenance, Warehouse, WarehouseError

PARTITION = SubmissionPartition("trivia", "org__model")
PROVENANCE = Provenance("raw_results", "1", "v1", {"submission": "r"}, {"text": "question"})


def rejects(count: int, reason: str = "not_json") -> pa.Table:
    return pa.table(
        {
            "source": ["file.jsonl"] * count,
            "position": range(count),
            "reason": [reason] * count,
            "detail": ["it's broken"] * count,
            "excerpt": pa.nulls(count, pa.string()),
            "revision": ["r"] * count,
        },
        schema=REJECTS.schema,
    )


@pytest.fixture(params=["local", "memory"])
def warehouse(request, tmp_path):
    root = f"{tmp_path}/it's [a] root" if request.param == "local" else f"memory://{tmp_path.name}"
    return Warehouse(root)


def test_what_was_written_is_read_back_with_its_provenance(warehouse):
    assert warehouse.write(REJECTS, PARTITION, rejects(3), PROVENANCE) == 3
    assert warehouse.read(REJECTS, PARTITION).equals(rejects(3))
    assert warehouse.count(REJECTS, PARTITION) == 3
    assert warehouse.provenance(REJECTS, PARTITION) == PROVENANCE
    assert warehouse.partitions(REJECTS) == [PARTITION]


def test_the_same_rows_make_the_same_bytes(tmp_path):
    contents = []
    for name in ("one", "two"):
        warehouse = Warehouse(str(tmp_path / name))
        warehouse.write(REJECTS, PARTITION, rejects(100), PROVENANCE)
        with warehouse.storage.open(warehouse.path(REJECTS, PARTITION)) as file:
            contents.append(file.read())
    assert contents[0] == contents[1]


def test_no_rows_are_a_partition_too(warehouse):
    warehouse.write(REJECTS, PARTITION, rejects(0), PROVENANCE)
    assert warehouse.count(REJECTS, PARTITION) == 0
    with warehouse.connect() as connection:
        assert connection.execute("select count(*) from rejects").fetchall() == [(0,)]


def test_rows_that_break_the_schema_leave_the_old_partition(warehouse):
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    broken = rejects(1).set_column(0, "source", pa.nulls(1, pa.string()))
    with pytest.raises(ValueError, match="source"):
        warehouse.write(REJECTS, PARTITION, broken, PROVENANCE)
    assert warehouse.count(REJECTS, PARTITION) == 1


def test_a_missing_partition_is_an_error_that_says_what_to_run(warehouse):
    assert warehouse.provenance(REJECTS, PARTITION) is None
    assert warehouse.count(REJECTS, PARTITION) is None
    with pytest.raises(WarehouseError, match="errclust run --benchmark trivia"):
        warehouse.read(REJECTS, PARTITION)


def test_a_file_of_someone_else_has_no_provenance(warehouse):
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    with warehouse.storage.write(warehouse.path(REJECTS, PARTITION)) as file:
        pa.parquet.write_table(rejects(1), file)
    assert warehouse.provenance(REJECTS, PARTITION) is None


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


@pytest.fixture
def rewritten(tmp_path):
    """A warehouse with a partition that another thread rewrites all the while."""
    warehouse = Warehouse(str(tmp_path))
    warehouse.write(REJECTS, PARTITION, rejects(10, "a"), PROVENANCE)
    stop = threading.Event()

    def write_on():
        while not stop.is_set():
            warehouse.write(REJECTS, PARTITION, rejects(500, "b"), PROVENANCE)
            warehouse.write(REJECTS, PARTITION, rejects(10, "a"), PROVENANCE)

    writer = threading.Thread(target=write_on)
    writer.start()
    yield warehouse
    stop.set()
    writer.join()


def both_seen(read):
    """Read until both states were seen, forty times at least."""
    seen, until = collections.Counter(), time.monotonic() + 60
    while (seen.total() < 40 or len(seen) < 2) and time.monotonic() < until:
        seen[read()] += 1
    return set(seen)


def test_readers_see_the_old_or_the_new_partition_while_it_is_rewritten(rewritten):
    def read():
        reasons = rewritten.read(REJECTS, PARTITION)["reason"].to_pylist()
        return reasons[0], len(reasons)

    assert both_seen(read) == {("a", 10), ("b", 500)}


def test_queries_see_the_old_or_the_new_partition_while_it_is_rewritten(rewritten):
    def read():
        names, rows = rewritten.query("select reason, count(*) as n from rejects group by 1")
        assert names == ["reason", "n"]
        (row,) = rows
        return row

    assert both_seen(read) == {("a", 10), ("b", 500)}


def test_a_query_that_is_wrong_fails_at_once(warehouse, monkeypatch):
    monkeypatch.setattr(time, "sleep", pytest.fail)
    with pytest.raises(duckdb.BinderException, match="no_such_column"):
        warehouse.query("select no_such_column from rejects")


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


def test_provenance_survives_encoding():
    decoded = Provenance.from_metadata(PROVENANCE.to_metadata())
    assert decoded == PROVENANCE
    assert json.loads(PROVENANCE.to_metadata()[b"errclust.settings"]) == {"text": "question"}


READ_AND_LEAVE = """
import sys
import pyarrow.compute as pc
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline.tables import REJECTS

rows = Warehouse(sys.argv[1]).read(
    REJECTS,
    SubmissionPartition(*sys.argv[2:]),
    columns=["excerpt"],
    filters=pc.field("position") == 1,
)
"""


def test_a_process_that_read_a_table_ends_well(tmp_path):
    # With a Python file in the hands of pyarrow's threads, every second one aborted.
    warehouse = Warehouse(str(tmp_path))
    warehouse.write(REJECTS, PARTITION, rejects(200_000, "x" * 50), PROVENANCE)
    command = [sys.executable, "-c", READ_AND_LEAVE, str(tmp_path)]
    for _ in range(8):
        done = subprocess.run(
            [*command, PARTITION.benchmark, PARTITION.model], capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b"")
