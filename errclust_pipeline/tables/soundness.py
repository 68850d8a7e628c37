"""Whether the rows of a written table are sound, whatever computed them.

What is checked stands with the tables: the range and words of each column, and each table's rules.
"""

from __future__ import annotations

import pyarrow as pa

from errclust_pipeline.tables.table import Table


def problems_of(table: Table, rows: pa.Table) -> list[str]:
    """Say what is wrong with the rows of a partition.

    Checks that keys are unique, that every number lies in its column's range (e.g. a share from 0
    to 1, which NaN does not), that closed vocabularies hold no other word, and the table's own
    rules. Columns that `rows` lacks are passed over: files of earlier versions may lack some.

    Parameters
    ----------
    table : Table
    rows : pyarrow.Table
        All rows of one partition.

    Returns
    -------
    list of str
        One problem each; empty if the rows are sound.
    """
    problems = _repeated_keys(table, rows)
    for column in table.columns:
        if column.name in rows.column_names:
            problems += column.problems(rows[column.name])
    for rule in table.rules:
        problems += rule(rows)
    return problems


def _repeated_keys(table: Table, rows: pa.Table) -> list[str]:
    distinct = rows.select(list(table.key)).group_by(list(table.key)).aggregate([]).num_rows
    if distinct == rows.num_rows:
        return []
    return [f"{rows.num_rows - distinct:,} rows repeat the {' and '.join(table.key)} of others"]
