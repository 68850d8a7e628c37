"""The warehouse: Parquet, one file a partition, with DuckDB as its SQL face.

::

    <root>/submissions/benchmark=<b>/model=<m>/submission.json   what was ingested, and from where
    <root>/submissions/battle_set=<b>/submission.json            the same of battles
    <root>/lake/<table>/benchmark=<b>/model=<m>/part-0.parquet   tables of a model's results
    <root>/lake/<table>/benchmark=<b>/part-0.parquet             tables that all models share
    <root>/embedding_store/<embedder>/…                          every text's embedding, once
    <root>/catalog.duckdb                                        one view a table, no data

A partition's file says in its Parquet metadata which version of its data it is and what it was
made from, so that "is this up to date?" is answered by the files alone: no event log to lose or to
drift from them. Nothing in a file depends on when or where it was written.
"""

from __future__ import annotations

import difflib
import functools
import glob
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.sources.base import Submission
from errclust_pipeline.tables import (
    BATTLE_REJECTS,
    BATTLE_TABLES,
    BATTLES,
    REJECTS,
    RESPONSES,
    TABLES,
    Table,
)
from errclust_pipeline.warehouse.keys import (
    BattleSetPartition,
    BenchmarkPartition,
    Partition,
    RecordedPartition,
    SubmissionPartition,
    encode_key,
)
from errclust_pipeline.warehouse.storage import Storage, hive_folder, hive_values

_METADATA_PREFIX = "errclust."
_ROW_GROUP_ROWS = 50_000
_ATTEMPTS_TO_QUERY = 10
_SECONDS_TO_QUERY = 3.0
"""Short queries are tried for so long, since each may meet another replacement."""
_SECONDS_BETWEEN_QUERIES = 0.05
_UNSOUND = "unsound.parquet"
_DAMAGE = (pa.ArrowException, OSError)
"""What pyarrow raises when the bytes of a file make no sense."""


class WarehouseError(RuntimeError):
    """Something that was asked for is not in the warehouse; the message says how to get it."""


class DamagedRecordError(WarehouseError):
    """A submission's record that cannot be read."""


@dataclass(frozen=True)
class Provenance:
    """Where a partition's data come from; kept in its file's metadata.

    `data_version` is a hash of the rest, so that two files with the same one hold the same data.
    """

    stage: str
    code_version: str
    data_version: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_metadata(self) -> dict[bytes, bytes]:
        """Encode as Parquet key-value metadata."""
        values = {
            "stage": self.stage,
            "code_version": self.code_version,
            "data_version": self.data_version,
            "inputs": json.dumps(dict(self.inputs), sort_keys=True),
            "settings": json.dumps(dict(self.settings), sort_keys=True),
        }
        return {(_METADATA_PREFIX + key).encode(): text.encode() for key, text in values.items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> Provenance | None:
        """Decode what `to_metadata` made; None if it is not there or is not ours."""
        prefix = _METADATA_PREFIX.encode()
        values = {
            key.removeprefix(prefix).decode(): text.decode()
            for key, text in (metadata or {}).items()
            if key.startswith(prefix)
        }
        try:
            return cls(
                values["stage"],
                values["code_version"],
                values["data_version"],
                json.loads(values["inputs"]),
                json.loads(values["settings"]),
            )
        except (KeyError, json.JSONDecodeError):
            return None


class TableWriter:
    """Appends to one partition's file that is being written; see `Warehouse.writer`."""

    def __init__(self, table: Table, parquet: pq.ParquetWriter) -> None:
        self._schema = table.schema
        self._parquet = parquet
        self.rows = 0

    def append(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows.

        Raises
        ------
        pyarrow.ArrowInvalid
            If the rows do not fit the table's schema or a required column holds a null.
        """
        if not rows.num_rows:
            return
        data = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        data = data.select(self._schema.names).cast(self._schema)
        data.validate()
        self._parquet.write_table(data, row_group_size=_ROW_GROUP_ROWS)
        self.rows += data.num_rows


class Warehouse:
    """All tables under one root.

    Parameters
    ----------
    root : str
        A local path or an fsspec URL (``s3://…``).
    """

    def __init__(self, root: str) -> None:
        self.storage = Storage(root)
        self._listings: dict[str, list[SubmissionPartition]] | None = None

    # Submissions -------------------------------------------------------------------------------

    def register(self, submission: Submission, files_fingerprint: str) -> bool:
        """Record a submission, so that `raw_results` can read it.

        Returns
        -------
        bool
            Whether the record is new or says something else than before.
        """
        path = self._submission_path(partition_of_submission(submission))
        record = {**json.loads(submission.to_json()), "files_fingerprint": files_fingerprint}
        known = self._read_record_or_nothing(path)
        if known == record:
            return False
        self._write_record(path, record)
        known.pop("withdrawn", None)
        return known != record

    def mark_withdrawn(self, partition: RecordedPartition) -> bool:
        """Note that a submission's files were taken away; its tables stay until it is forgotten.

        Recording it again takes the mark away.

        Returns
        -------
        bool
            Whether there is such a submission and it had no mark.
        """
        path = self._submission_path(partition)
        known = self._read_record_or_nothing(path)
        if not known or known.get("withdrawn"):
            return False
        self._write_record(path, known | {"withdrawn": True})
        return True

    def is_withdrawn(self, partition: RecordedPartition) -> bool:
        """Whether a submission is marked as withdrawn."""
        record = self._read_record_or_nothing(self._submission_path(partition))
        return bool(record.get("withdrawn", False))

    def forget(self, partition: RecordedPartition) -> int:
        """Remove a submission, with the copies of its files, and its tables.

        What the models of its benchmark share goes with the last of them.

        Returns
        -------
        int
            Tables of which something was removed.
        """
        if isinstance(partition, BattleSetPartition):
            paths = [self.path(table, partition) for table in BATTLE_TABLES]
        else:
            benchmark = BenchmarkPartition(partition.benchmark)
            is_last = [
                other for other in self.submissions() if other.benchmark == benchmark.benchmark
            ] == [partition]
            paths = [
                self.path(table, partition if table.by_model else benchmark)
                for table in TABLES.values()
                if table not in BATTLE_TABLES and (table.by_model or is_last)
            ]
        paths += map(_set_aside, list(paths))
        paths = [path for path in paths if self.storage.exists(path)]
        for path in paths:
            self.storage.remove(path)
        # Last, so that what is interrupted can be done again.
        self.storage.remove_folder(self._submission_path(partition).rpartition("/")[0])
        return len(paths)

    def _read_record(self, path: str) -> dict[str, Any]:
        """Return a submission's record; empty if there is none."""
        if not self.storage.exists(path):
            return {}
        try:
            return dict(json.loads(self.storage.read_text(path)))
        except ValueError as error:
            raise DamagedRecordError(
                f"{path} is damaged ({error}): ingest the submission again, or delete the file"
            ) from error

    def _read_record_or_nothing(self, path: str) -> dict[str, Any]:
        """Likewise; empty also if it is damaged, which reading the submission will say."""
        try:
            return self._read_record(path)
        except DamagedRecordError:
            return {}

    def _write_record(self, path: str, record: Mapping[str, Any]) -> None:
        self.storage.write_text(path, json.dumps(record, sort_keys=True, indent=2) + "\n")

    def submission(self, partition: RecordedPartition) -> tuple[Submission, str]:
        """Return the submission recorded for a partition and its files' fingerprint.

        Raises
        ------
        WarehouseError
            If none was ingested.
        """
        record = self._read_record(self._submission_path(partition))
        if not record:
            what = (
                f"battle set {partition.name}"
                if isinstance(partition, BattleSetPartition)
                else f"model {partition.model} on benchmark {partition.benchmark}"
            )
            raise WarehouseError(
                f"nothing was ingested for {what}: run `errclust ingest` on its files first"
            )
        fingerprint = record.pop("files_fingerprint")
        record.pop("withdrawn", None)
        return Submission.from_json(json.dumps(record)), fingerprint

    def has_submission(self, partition: RecordedPartition) -> bool:
        """Whether a submission was ingested for a partition."""
        return self.storage.exists(self._submission_path(partition))

    def submissions(self) -> list[SubmissionPartition]:
        """Return the partitions that have a submission, sorted."""
        return _submissions_in(self.storage.glob("submissions/benchmark=*/model=*/submission.json"))

    def battle_sets(self) -> list[BattleSetPartition]:
        """Return the battle sets that were ingested, sorted."""
        paths = self.storage.glob("submissions/battle_set=*/submission.json")
        return sorted(
            BattleSetPartition(hive_values(path.split("/")[-2])["battle_set"]) for path in paths
        )

    def known_key(self, dimension: str, name: str) -> str:
        """Return the key of a benchmark or a model that was ingested, by its key or true name.

        Parameters
        ----------
        dimension : str
            ``benchmark``, which may be a battle set, or ``model``.

        Raises
        ------
        WarehouseError
            If there is none; the message names those that it could be.
        """
        if dimension == "model":
            keys = {submission.model for submission in self.submissions()}
        else:
            keys = {submission.benchmark for submission in self.submissions()}
            keys |= {battle_set.name for battle_set in self.battle_sets()}
        known = sorted(keys)
        for candidate in (name, encode_key(name)):
            if candidate in known:
                return candidate
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
        listed = ", ".join(close) if close else "none: nothing was ingested yet"
        raise WarehouseError(f"there is no {dimension} {name!r}. Known here: {listed}")

    def _submission_path(self, partition: RecordedPartition) -> str:
        return self.storage.path("submissions", submission_folder(partition), "submission.json")

    # Tables ------------------------------------------------------------------------------------

    def path(self, table: Table, partition: Partition) -> str:
        """Return the full path of a partition's file."""
        return self.storage.path("lake", table.name, _folder(table, partition), "part-0.parquet")

    def partitions(self, table: Table, benchmark: str | None = None) -> list[SubmissionPartition]:
        """List the partitions of a table that is kept by model, sorted.

        Parameters
        ----------
        benchmark : str, optional
            Key of the only benchmark to list.

        Raises
        ------
        ValueError
            If all models of a benchmark share the table.
        """
        if not table.by_model:
            raise ValueError(f"table {table.name} has no partition by model")
        folder = (
            "benchmark=*" if benchmark is None else glob.escape(hive_folder(benchmark=benchmark))
        )
        pattern = f"lake/{table.name}/{folder}/model=*/part-0.parquet"
        if self._listings is None:
            return _submissions_in(self.storage.glob(pattern))
        if pattern not in self._listings:
            self._listings[pattern] = _submissions_in(self.storage.glob(pattern))
        return list(self._listings[pattern])

    @contextmanager
    def listing_once(self) -> Iterator[None]:
        """Within this block, list the partitions of a table no more than once.

        For those who look at many partitions and write none: each would list all the others.
        """
        self._listings = {}
        try:
            yield
        finally:
            self._listings = None

    @contextmanager
    def writer(
        self, table: Table, partition: Partition, provenance: Provenance
    ) -> Iterator[TableWriter]:
        """Write a partition piece by piece; it replaces the old one when the block ends well.

        A block that appends nothing writes a file with no row: "done, and there is nothing" is
        not the same as "not done".
        """
        schema = table.schema.with_metadata(provenance.to_metadata())
        first_of_table = not self.storage.exists(self.storage.path("lake", table.name))
        with (
            self.storage.write(self.path(table, partition)) as file,
            pq.ParquetWriter(file, schema, compression="zstd") as parquet,
        ):
            yield TableWriter(table, parquet)
        if first_of_table:
            self.publish_catalog(table)

    def write(
        self, table: Table, partition: Partition, rows: pa.Table, provenance: Provenance
    ) -> int:
        """Write a whole partition and return its number of rows."""
        with self.writer(table, partition, provenance) as writer:
            writer.append(rows)
        return writer.rows

    def read(
        self,
        table: Table,
        partition: Partition,
        columns: Sequence[str] | None = None,
        filters: Any = None,
    ) -> pa.Table:
        """Read a partition.

        Parameters
        ----------
        columns : sequence of str, optional
            Only these.
        filters : pyarrow.compute.Expression, optional
            Only rows for which it is true.

        Raises
        ------
        WarehouseError
            If the partition does not exist, is damaged, or was written without a column by an
            earlier version.
        """
        path = self.path(table, partition)
        wanted = list(columns) if columns is not None else table.schema.names
        if not self.storage.exists(path):
            raise WarehouseError(
                f"table {table.name} has nothing for {partition} yet: "
                f"run `errclust run --benchmark {partition.collection}`"
            )
        # By an open file, not by its name: pyarrow opens a name twice, for the footer and for the
        # rows, and a file that is replaced in between would be read as garbage.
        with self.storage.open_for_arrow(path) as file:
            try:
                return pq.read_table(file, columns=wanted, filters=filters)
            except _DAMAGE as error:
                file.seek(0)
                footer = _footer(file)
                written = wanted if footer is None else footer.schema.to_arrow_schema().names
                lacking = [name for name in wanted if name not in written]
                if lacking:
                    raise WarehouseError(
                        f"table {table.name} of {partition} has no column {', '.join(lacking)}: it "
                        "was written by an earlier version of errclust; bring it up to date with "
                        f"`errclust run --benchmark {partition.collection}`"
                    ) from None
                raise WarehouseError(
                    f"{path} is damaged ({error}): delete it and run `errclust run --benchmark "
                    f"{partition.collection}`, which computes it again"
                ) from error

    def provenance(self, table: Table, partition: Partition) -> Provenance | None:
        """Return what a partition was made from; None if it does not exist or is damaged."""
        footer = self._footer_of(table, partition)
        return None if footer is None else Provenance.from_metadata(footer.metadata)

    def count(self, table: Table, partition: Partition) -> int | None:
        """Return a partition's number of rows, from the file's footer; None if there is none."""
        footer = self._footer_of(table, partition)
        return None if footer is None else int(footer.num_rows)

    def _footer_of(self, table: Table, partition: Partition) -> pq.FileMetaData | None:
        path = self.path(table, partition)
        if not self.storage.exists(path):
            return None
        with self.storage.open_for_arrow(path) as file:
            return _footer(file)

    def set_aside(self, table: Table, partition: Partition) -> str:
        """Take a partition out of use that is not sound; it stays beside for whoever looks why.

        Returns
        -------
        str
            Where it is now.
        """
        path = self.path(table, partition)
        aside = _set_aside(path)
        self.storage.rename(path, aside)
        return aside

    def reject_counts(self, partition: Partition) -> tuple[int, int]:
        """Return how many of a submission's rows could not be used, and how many there were."""
        of_battles = isinstance(partition, BattleSetPartition)
        tables = (BATTLE_REJECTS, BATTLES) if of_battles else (REJECTS, RESPONSES)
        rejects, usable = (self.count(table, partition) or 0 for table in tables)
        return rejects, rejects + usable

    # SQL ---------------------------------------------------------------------------------------

    @property
    def catalog_path(self) -> str:
        """The DuckDB file that holds the views."""
        return self.storage.path("catalog.duckdb")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open an in-memory DuckDB with a view of every table.

        It holds no lock on anything: any number of these, and any number of writers, may be open
        at once. A query that is under way while a partition is replaced may fail, since DuckDB
        opens a file once for its footer and again for its rows: `query` tries again then.
        """
        connection = duckdb.connect(":memory:")
        self._create_views(connection, TABLES.values())
        return connection

    def query(self, sql: str, limit: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query against the views, again if files were replaced under it.

        Parameters
        ----------
        sql : str
            One or several statements; the last one's rows are returned.
        limit : int, optional
            Return only so many rows.

        Returns
        -------
        tuple of list of str and list of tuple
            The names of the columns and the rows.

        Raises
        ------
        duckdb.Error
            If the query is wrong, or a file cannot be read.
        """
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._query_once(sql, limit)
            except duckdb.Error as error:
                # What is wrong with a query has a class of its own; bytes that make no sense have
                # none.
                if type(error) is not duckdb.Error and not isinstance(error, duckdb.IOException):
                    raise
                tried_long = time.monotonic() - started > _SECONDS_TO_QUERY
                if attempt >= _ATTEMPTS_TO_QUERY and tried_long:
                    raise
            time.sleep(_SECONDS_BETWEEN_QUERIES)

    def _query_once(self, sql: str, limit: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
        with self.connect() as connection:
            result = connection.execute(sql)
            names = [str(column[0]) for column in result.description or ()]
            return names, result.fetchall() if limit is None else result.fetchmany(limit)

    def publish_catalog(self, table: Table | None = None) -> None:
        """Rewrite `catalog.duckdb`, for those who open it with DuckDB themselves.

        The views look up their files when they are queried, so this is needed only when a table
        gets its first partition. A catalog is a local file: for a remote root there is none.

        Parameters
        ----------
        table : Table, optional
            The only one that changed: the views of the others are kept if they are all there.
        """
        if not self.storage.is_local:
            return
        from dagster_duckdb import DuckDBResource

        # Not through Storage.write: DuckDB opens the file by its name, not by a handle.
        with self.storage.lock(self.storage.path(".catalog.lock")):
            draft = self.storage.path(".catalog.duckdb.draft")
            for leftover in (draft, f"{draft}.wal"):
                if self.storage.exists(leftover):
                    self.storage.remove(leftover)
            changed = list(TABLES.values())
            if table is not None and _has_all_views(self.catalog_path):
                changed = [table]
                shutil.copyfile(self.catalog_path, draft)
            # The resource leaves it open after an error, and an open one would be met again.
            with (
                DuckDBResource(database=draft).get_connection() as connection,
                closing(connection),
            ):
                self._create_views(connection, changed)
                connection.execute(_at_once(_descriptions(changed)))
            Path(draft).replace(self.catalog_path)

    def _create_views(self, connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> None:
        if not self.storage.is_local:
            connection.register_filesystem(self.storage.filesystem)
        statements = [
            f"CREATE OR REPLACE VIEW {table.name} AS {self._select(table)}" for table in tables
        ]
        connection.execute(_at_once(statements))

    def _select(self, table: Table) -> str:
        keys = ["benchmark", "model"] if table.by_model else ["benchmark"]
        names = [*keys, *table.schema.names]
        types = ["VARCHAR"] * len(keys) + [_sql_type(column.type) for column in table.schema]
        columns = ", ".join(
            f'NULL::{type_} AS "{name}"' for name, type_ in zip(names, types, strict=True)
        )
        no_rows = f"SELECT {columns} WHERE false"
        pattern = f"lake/{table.name}/{'*/' * len(keys)}part-0.parquet"
        if not self.storage.glob(pattern):
            # A glob over no file is an error in DuckDB; a table that is still empty is not.
            return no_rows
        root = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in self.storage.url)
        columns = ", ".join(f'"{name}"' for name in names)
        # Nothing but column names of this project and a quoted path goes into the statement.
        key_types = ", ".join(f"'{key}': VARCHAR" for key in keys)
        files = f"{root}/{pattern}"
        rows = (
            f"SELECT * FROM read_parquet({_literal(files)}, hive_partitioning = true, "  # noqa: S608
            f"hive_types = {{{key_types}}}, union_by_name = true)"
        )
        # Files that an earlier version wrote may lack a column, which is null there.
        return f"SELECT {columns} FROM ({rows} UNION ALL BY NAME {no_rows})"  # noqa: S608


def partition_of_submission(submission: Submission) -> RecordedPartition:
    """Return the partition that a submission is recorded as; one without a model is of battles."""
    if submission.model:
        return SubmissionPartition.of_names(submission.benchmark, submission.model)
    return BattleSetPartition.of_name(submission.benchmark)


def submission_folder(partition: RecordedPartition) -> str:
    """Return the folder, below ``submissions``, of a partition's record."""
    if isinstance(partition, BattleSetPartition):
        return hive_folder(battle_set=partition.name)
    return hive_folder(benchmark=partition.benchmark, model=partition.model)


def _footer(file: pa.NativeFile) -> pq.FileMetaData | None:
    """Return a Parquet file's metadata; None if it is damaged: then it counts as lost."""
    try:
        return pq.ParquetFile(file).metadata
    except _DAMAGE:
        return None


def _descriptions(tables: Iterable[Table]) -> list[str]:
    """Return the statements that say of views and their columns what they hold."""
    statements = []
    for table in tables:
        statements.append(f"COMMENT ON VIEW {table.name} IS {_literal(table.grain)}")
        for column in table.schema:
            description = (column.metadata or {}).get(b"description", b"").decode()
            statements.append(
                f'COMMENT ON COLUMN {table.name}."{column.name}" IS {_literal(description)}'
            )
    return statements


def _at_once(statements: Iterable[str]) -> str:
    # Each statement by itself would be a transaction on the disk.
    return ";\n".join(["BEGIN", *statements, "COMMIT"])


def _has_all_views(catalog: str) -> bool:
    """Say whether a catalog has a view for each table; one that is old or damaged has not."""
    if not Path(catalog).exists():
        return False
    try:
        with duckdb.connect(catalog, read_only=True) as connection:
            found = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
            return {name for (name,) in found.fetchall()} >= set(TABLES)
    except duckdb.Error:
        return False


def _set_aside(path: str) -> str:
    """Return where a partition's file is kept that is not sound."""
    return f"{path.rpartition('/')[0]}/{_UNSOUND}"


def _folder(table: Table, partition: Partition) -> str:
    if not table.by_model:
        # A battle set's folder is named as a benchmark's is: prompts are mapped like questions.
        return hive_folder(benchmark=partition.collection)
    if not isinstance(partition, SubmissionPartition):
        raise ValueError(f"{partition}: a partition of table {table.name} needs a model as well")
    return hive_folder(benchmark=partition.benchmark, model=partition.model)


def _submissions_in(paths: list[str]) -> list[SubmissionPartition]:
    # The root's own path may hold a "benchmark=…" too: only the last two folders count.
    values = (hive_values("/".join(path.split("/")[-3:])) for path in paths)
    return sorted(SubmissionPartition(value["benchmark"], value["model"]) for value in values)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@functools.cache
def _sql_type(type_: pa.DataType) -> str:
    """Return DuckDB's type for an Arrow type, asked from DuckDB itself."""
    with duckdb.connect(":memory:") as connection:
        connection.register("empty", pa.table({"column": pa.array([], type_)}))
        described = connection.execute("DESCRIBE SELECT * FROM empty").fetchall()
    return str(described[0][1])
