"""The reference of the tables, as Markdown."""

import re

from errclust_pipeline.tables import TABLES
from errclust_pipeline.tables.reference import tables_as_markdown


def rows_of(page, table):
    """Return the cells of the table's columns, by the column's name."""
    section = page.split(f"### `{table}`\n")[1].split("\n##")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    assert {len(row) for row in rows} == {5}
    return {row[0].strip("*`"): row[1:] for row in rows}


def test_every_column_of_every_table_has_a_row():
    page = tables_as_markdown()
    for table in TABLES.values():
        rows = rows_of(page, table.name)
        assert [name for name in rows if "[]" not in name] == table.schema.names
        assert f"[{table.name}](#table-{table.name.replace('_', '-')})" in page
        assert f"(table-{table.name.replace('_', '-')})=" in page


def test_a_row_says_type_meaning_values_and_origin():
    rows = rows_of(tables_as_markdown(), "hot_spots")
    assert rows["p_hot"][0] == "double"
    assert rows["p_hot"][1].startswith("Exact p value of at least as many errors")
    assert rows["p_hot"][2] == "p value: 0 to 1"
    assert rows["p_hot"][3] == "`question_map.neighbours`, `responses.correct`"
    assert rows["k"][2:] == ["count: 1 or more, questions", "settings"]
    assert rows["adjusted_p_hot"][0] == "double, nullable"


def test_records_and_words_are_listed_and_bars_do_not_break_the_table():
    rows = rows_of(tables_as_markdown(), "cluster_labels")
    assert rows["exemplars[].role"][2] == "`central`, `diverse`"
    assert r"model\|cluster" in rows["reused_from"][1]
    assert "`calculation`" in rows["cause"][2]
