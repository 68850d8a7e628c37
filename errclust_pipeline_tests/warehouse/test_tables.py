import subprocess
import sys

import pyarrow as pa
import pytest

from errclust_pipeline.tables import BATTLES, QUESTIONS, REJECTS
from errclust_pipeline.warehouse.errors import WarehouseError
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    SubmissionPartition,
)
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.rejected_rows import PARTITION, PROVENANCE, rejects
from errclust_pipeline_tests.helpers.rewriting import both_seen, rewritten


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


def test_partitions_are_listed_by_what_they_are(warehouse):
    benchmark, battle_set = BenchmarkPartition("trivia"), BattleSetPartition("trivia")
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    warehouse.write(REJECTS, SubmissionPartition("sums", "org__model"), rejects(1), PROVENANCE)
    warehouse.write(QUESTIONS, benchmark, QUESTIONS.schema.empty_table(), PROVENANCE)
    warehouse.write(BATTLES, battle_set, BATTLES.schema.empty_table(), PROVENANCE)
    assert warehouse.submissions_in(REJECTS, "trivia") == [PARTITION]
    assert warehouse.partitions(QUESTIONS) == [benchmark]
    assert warehouse.partitions(BATTLES) == [battle_set]
    with pytest.raises(ValueError, match="questions is not kept by model"):
        warehouse.submissions_in(QUESTIONS)
    with pytest.raises(ValueError, match="table rejects needs a model"):
        warehouse.count(REJECTS, benchmark)


def test_within_a_block_a_table_is_listed_once(warehouse):
    with warehouse.listing_once():
        assert warehouse.submissions_in(REJECTS) == []
        warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
        assert warehouse.submissions_in(REJECTS) == []
    assert warehouse.submissions_in(REJECTS) == [PARTITION]


def test_an_unsound_partition_counts_as_missing_and_its_file_stays(warehouse):
    warehouse.write(REJECTS, PARTITION, rejects(1), PROVENANCE)
    aside = warehouse.set_aside(REJECTS, PARTITION)
    assert warehouse.count(REJECTS, PARTITION) is None
    assert warehouse.storage.exists(aside)
    assert warehouse.remove(REJECTS, PARTITION) == 1
    assert not warehouse.storage.exists(aside)


def test_readers_see_the_old_or_the_new_partition_while_it_is_rewritten(tmp_path):
    def read():
        reasons = warehouse.read(REJECTS, PARTITION)["reason"].to_pylist()
        return reasons[0], len(reasons)

    with rewritten(tmp_path) as warehouse:
        assert both_seen(read) == {("a", 10), ("b", 500)}


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
