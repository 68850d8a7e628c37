"""`errclust sql`: any question to the tables."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, stop
from errclust_pipeline.cli.registry import Section, command


class SqlFormat(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@command(
    "sql",
    Section.SHARE,
    "errclust sql 'SHOW TABLES'",
    'errclust sql "select cluster_id, label, size from cluster_labels where model = '
    "'my-org__my-model' and level = 1 order by size desc limit 5\"",
)
def sql(
    query: Annotated[
        str, typer.Argument(help="A query; tables are listed by: errclust sql 'SHOW TABLES'")
    ],
    data_root: DataRoot,
    limit: Annotated[int, typer.Option(help="Rows shown as a table; 0 shows all.")] = 100,
    output_format: Annotated[
        SqlFormat, typer.Option("--format", help="How to print the rows.")
    ] = SqlFormat.TABLE,
    as_json: AsJson = False,
) -> None:
    """Query all tables with SQL (DuckDB).

    Tables about one model have the columns benchmark and model; tables that the models of a
    benchmark share have benchmark. `errclust sql 'DESCRIBE errors'` lists the columns of a table.
    """
    if not query.strip():
        stop("the query is empty: try errclust sql 'SHOW TABLES'")
    as_table = output_format is SqlFormat.TABLE and not as_json
    names, values = data_root.warehouse().query(query, limit + 1 if as_table and limit else None)
    names = _number_duplicates(names)
    if output_format is SqlFormat.CSV and not as_json:
        import csv

        writer = csv.writer(sys.stdout)
        writer.writerow(names)
        writer.writerows(values)
        return
    rows = [dict(zip(names, row, strict=True)) for row in values]
    if not as_table:
        console.print_json(rows)
        return
    console.print_rows(rows[: limit or None], max_length=200)
    if limit and len(rows) > limit:
        console.print_message(f"only the first {limit} rows are shown: --limit 0 shows all")


def _number_duplicates(names: Sequence[str]) -> list[str]:
    """Number the second and later columns of the same name, as DuckDB's own shell does."""
    unique: list[str] = []
    for name in names:
        number, candidate = 1, name
        while candidate in unique:
            candidate, number = f"{name}_{number}", number + 1
        unique.append(candidate)
    return unique
