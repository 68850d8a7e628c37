"""SQL over the tables: DuckDB, with one view a table and no data of its own.

``<root>/catalog.duckdb`` holds the same views, for people who open it with DuckDB themselves.
"""

from __future__ import annotations

import functools
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from errclust_pipeline.tables import TABLES, Table
from errclust_pipeline.warehouse.errors import QueryError, WarehouseError
from errclust_pipeline.warehouse.storage import Storage

_MIN_ATTEMPTS = 10
_MIN_SECONDS_OF_ATTEMPTS = 3.0
"""A query is given up after at least so many attempts and so many seconds: short queries may meet
the replacement of a file several times in a row."""
_SECONDS_BETWEEN_ATTEMPTS = 0.05


class Catalog:
    """DuckDB's views of all tables under one root."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    @property
    def catalog_path(self) -> str:
        """The DuckDB file that holds the views."""
        return self.storage.path("catalog.duckdb")

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open an in-memory DuckDB with a view of every table.

        It locks nothing: any number of connections and of writers may be open at once. A query may
        fail while a partition is replaced, since DuckDB opens a file once for its footer and again
        for its rows; `query` tries again then.
        """
        connection = duckdb.connect(":memory:")
        self.create_views(connection)
        return connection

    def query(self, sql: str, limit: int | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run a query on the views; try again if files were replaced while it ran.

        Parameters
        ----------
        sql : str
            One or several statements; the last one's rows are returned.
        limit : int, optional
            Maximum number of rows to return.

        Returns
        -------
        tuple of list of str and list of tuple
            The names of the columns, and the rows.

        Raises
        ------
        QueryError
            If the query is wrong, or a file cannot be read.
        """
        started = time.monotonic()
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._query_once(sql, limit)
            except duckdb.Error as error:
                tried_long = time.monotonic() - started > _MIN_SECONDS_OF_ATTEMPTS
                given_up = attempt >= _MIN_ATTEMPTS and tried_long
                if given_up or not _may_be_a_replaced_file(error):
                    raise QueryError(str(error)) from error
            time.sleep(_SECONDS_BETWEEN_ATTEMPTS)

    def _query_once(self, sql: str, limit: int | None) -> tuple[list[str], list[tuple[Any, ...]]]:
        with self.connect() as connection:
            result = connection.execute(sql)
            names = [str(column[0]) for column in result.description or ()]
            return names, result.fetchall() if limit is None else result.fetchmany(limit)

    def publish_catalog(self, table: Table | None = None) -> None:
        """Write ``catalog.duckdb`` anew.

        Its views find their files when they are queried, so it has to be written only when a table
        gets its first partition. It is a local file: a remote root has none.

        Parameters
        ----------
        table : Table, optional
            The only table that changed: the views of the others are kept if they are all there.

        Raises
        ------
        WarehouseError
            If the file cannot be written.
        """
        if not self.storage.is_local:
            return
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
            try:
                with duckdb.connect(draft) as connection:
                    self.create_views(connection, changed)
                    connection.execute(_in_one_transaction(_comments(changed)))
            except duckdb.Error as error:
                raise WarehouseError(f"{self.catalog_path} cannot be written: {error}") from error
            Path(draft).replace(self.catalog_path)

    def create_views(
        self, connection: duckdb.DuckDBPyConnection, tables: Iterable[Table] = TABLES.values()
    ) -> None:
        """Create a view of each table in a connection, in place of views of the same names."""
        if not self.storage.is_local:
            connection.register_filesystem(self.storage.filesystem)
        statements = [
            f"CREATE OR REPLACE VIEW {table.name} AS {self._select(table)}" for table in tables
        ]
        connection.execute(_in_one_transaction(statements))

    def _select(self, table: Table) -> str:
        """Return the query of a view. It holds column names of this project and a quoted path."""
        keys = ["benchmark", "model"] if table.by_model else ["benchmark"]
        names = [*keys, *table.schema.names]
        types = ["VARCHAR"] * len(keys) + [_sql_type(column.type) for column in table.schema]
        columns = ", ".join(
            f'NULL::{type_} AS "{name}"' for name, type_ in zip(names, types, strict=True)
        )
        no_rows = f"SELECT {columns} WHERE false"
        pattern = f"lake/{table.name}/{'*/' * len(keys)}part-0.parquet"
        if not self.storage.glob(pattern):
            # A pattern that matches no file is an error in DuckDB; a table that is empty is not.
            return no_rows
        root = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in self.storage.url)
        columns = ", ".join(f'"{name}"' for name in names)
        key_types = ", ".join(f"'{key}': VARCHAR" for key in keys)
        files = _literal(f"{root}/{pattern}")
        rows = (
            f"SELECT * FROM read_parquet({files}, hive_partitioning = true, "  # noqa: S608
            f"hive_types = {{{key_types}}}, union_by_name = true)"
        )
        # Files that an earlier version wrote may lack a column, which is null there.
        return f"SELECT {columns} FROM ({rows} UNION ALL BY NAME {no_rows})"  # noqa: S608


def _may_be_a_replaced_file(error: duckdb.Error) -> bool:
    """Return whether an error may come from a file that was replaced while it was read."""
    # A wrong query has an error class of its own; bytes that make no sense raise the base class.
    return type(error) is duckdb.Error or isinstance(error, duckdb.IOException)


def _comments(tables: Iterable[Table]) -> list[str]:
    """Return the statements that describe views and their columns."""
    statements = []
    for table in tables:
        statements.append(f"COMMENT ON VIEW {table.name} IS {_literal(table.grain)}")
        for column in table.schema:
            description = (column.metadata or {}).get(b"description", b"").decode()
            statements.append(
                f'COMMENT ON COLUMN {table.name}."{column.name}" IS {_literal(description)}'
            )
    return statements


def _in_one_transaction(statements: Iterable[str]) -> str:
    # Otherwise each statement would be a transaction, with a write to the disk.
    return ";\n".join(["BEGIN", *statements, "COMMIT"])


def _has_all_views(catalog: str) -> bool:
    """Return whether a catalog has a view of each table; an old or damaged one has not."""
    if not Path(catalog).exists():
        return False
    try:
        with duckdb.connect(catalog, read_only=True) as connection:
            views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
            return {name for (name,) in views.fetchall()} >= set(TABLES)
    except duckdb.Error:
        return False


def _literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


@functools.cache
def _sql_type(type_: pa.DataType) -> str:
    """Return DuckDB's type for an Arrow type, asked from DuckDB itself."""
    with duckdb.connect(":memory:") as connection:
        connection.register("empty", pa.table({"column": pa.array([], type_)}))
        described = connection.execute("DESCRIBE SELECT * FROM empty").fetchall()
    return str(described[0][1])
