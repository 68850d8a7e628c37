"""The schemas of all tables, the registry that holds them, and what importing it costs."""

import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import errclust_pipeline.tables
from errclust_pipeline.tables import TABLES, KeptBy, Table
from errclust_pipeline.tables.column import count, identifier, share

RECORDED = json.loads(Path(__file__).with_name("schemas.json").read_text())
"""Every table as data roots hold it: a change here makes roots that exist unreadable."""
NOT_FAMILIES = {"column", "reference", "soundness", "table"}


def test_no_table_comes_or_goes_unrecorded():
    assert set(TABLES) == set(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_a_table_keeps_its_key_columns_types_and_order(name):
    table = TABLES[name]
    assert list(table.key) == RECORDED[name]["key"]
    assert table.kept_by == RECORDED[name]["kept_by"].replace("_", " ")
    columns = [[field.name, str(field.type), field.nullable] for field in table.schema]
    assert columns == RECORDED[name]["columns"]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_descriptions_are_sentences_that_say_what_a_null_means(table):
    for column, field in zip(table.columns, table.schema, strict=True):
        assert field.metadata == {b"description": column.description.encode()}
        assert re.match(r"[A-Z0-9`]|[pqz] (value|score)", column.description), column.name
        assert column.description.endswith("."), column.name
        assert not column.nullable or re.search(r"\b[Nn]ull\b", column.description), column.name


def test_every_family_module_is_imported_with_the_package():
    modules = {module.name for module in pkgutil.iter_modules(errclust_pipeline.tables.__path__)}
    source = Path(errclust_pipeline.tables.__file__).read_text()
    for name in modules - NOT_FAMILIES:
        assert f"from errclust_pipeline.tables.{name} import *" in source


def test_importing_the_tables_loads_no_analysis_and_none_of_its_libraries():
    code = "import sys, errclust_pipeline.tables; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.split()
    assert "errclust_pipeline.tables.battles" in loaded
    assert [name for name in loaded if name.startswith("errclust_pipeline.analysis")] == []
    assert {"pandas", "scipy", "sklearn", "torch", "dagster", "duckdb"} & set(loaded) == set()


def test_tables_are_equal_by_name():
    assert len(set(TABLES.values())) == len(TABLES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("errors", "a row", ("n",), (count("n", "A."),)), "two tables named errors"),
        (("new", "a row", ("n",), (count("n", "A."), share("n", "B."))), "names a column twice"),
        (("new", "a row", ("m",), (count("n", "A."),)), "key of table new is not among"),
    ],
)
def test_a_table_that_contradicts_itself_or_another_is_not_created(arguments, message):
    before = dict(TABLES)
    with pytest.raises(ValueError, match=message):
        Table(*arguments)
    assert dict(TABLES) == before


def test_a_column_that_does_not_exist_cannot_be_named_as_an_origin():
    with pytest.raises(KeyError, match="table errors has no column nothing"):
        TABLES["errors"].paths("nothing")
    with pytest.raises(KeyError, match="table errors has no column nothing"):
        TABLES["errors"].columns_made_from((), nothing=())


def test_columns_know_their_arrow_type():
    assert identifier("a", "A.").field.type == pa.string()
    assert share("a", "A.", type=pa.float32()).field.type == pa.float32()
    assert KeptBy.BATTLE_SET == "battle set"
