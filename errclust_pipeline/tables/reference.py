"""The reference of all tables as Markdown, written from the registry when the site is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from errclust_pipeline.tables.column import SETTINGS, SOURCE, Column
from errclust_pipeline.tables.table import TABLES, KeptBy, Table

_HEADINGS = {
    KeptBy.MODEL: "Tables of a model on a benchmark",
    KeptBy.BENCHMARK: "Tables of a benchmark",
    KeptBy.BATTLE_SET: "Tables of a battle set",
}
_PATHS = {
    KeptBy.MODEL: "benchmark=…/model=…",
    KeptBy.BENCHMARK: "benchmark=…",
    KeptBy.BATTLE_SET: "benchmark=…",
}
_ORIGINS = {SOURCE: "the submitted files", SETTINGS: "settings"}


def tables_as_markdown() -> str:
    """Return the page that describes every table and every column."""
    parts = [
        "# Tables",
        "Every result is a table that `errclust sql` can query and any Parquet reader can read. "
        "The view of a table shows the partition columns `benchmark` and, for tables of a model, "
        "`model` before the columns listed here. A battle set's name stands in `benchmark`.",
        "*Values* says which values a column may hold; a written table is checked against it, and "
        "one that holds others is set aside. *Made from* names the columns that a column is "
        "computed from.",
    ]
    for kept_by, heading in _HEADINGS.items():
        tables = sorted(
            (table for table in TABLES.values() if table.kept_by is kept_by),
            key=lambda table: table.name,
        )
        rows = [("Table", "One row is")]
        rows += [(f"[{table.name}](#{_anchor(table)})", table.grain) for table in tables]
        parts += [f"## {heading}", _markdown_table(rows), *map(_section, tables)]
    return "\n\n".join(parts) + "\n"


def _section(table: Table) -> str:
    rows = [("Column", "Type", "Meaning", "Values", "Made from")]
    for name, column, made_from in _all_columns(table):
        type_ = "list of records" if column.fields else str(column.type)
        rows.append(
            (
                f"**`{name}`**" if name in table.key else f"`{name}`",
                f"{type_}, nullable" if column.nullable else type_,
                column.description,
                _values(column),
                ", ".join(_ORIGINS.get(path, f"`{path}`") for path in made_from),
            )
        )
    folder = f"lake/{table.name}/{_PATHS[table.kept_by]}"
    key = " and ".join(f"`{name}`" for name in table.key)
    return "\n\n".join(
        (
            f"({_anchor(table)})=\n### `{table.name}`",
            f"One row is {table.grain}. Kept in `{folder}`; the key is {key}.",
            _markdown_table(rows),
        )
    )


def _all_columns(table: Table) -> Iterator[tuple[str, Column, tuple[str, ...]]]:
    """Yield each column of a table, and after it the fields of its records."""
    for column in table.columns:
        yield column.name, column, table.lineage(column)
        for field in column.fields:
            yield f"{column.name}[].{field.name}", field, ()


def _values(column: Column) -> str:
    if column.words:
        return ", ".join(f"`{word}`" for word in column.words)
    parts = [str(part) for part in (column.range, column.unit) if part is not None]
    return f"{column.role}: {', '.join(parts)}" if parts else str(column.role)


def _anchor(table: Table) -> str:
    return f"table-{table.name.replace('_', '-')}"


def _markdown_table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *body = [
        "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in row) + " |"
        for row in rows
    ]
    return "\n".join((head, "|" + " --- |" * len(rows[0]), *body))
