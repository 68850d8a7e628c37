"""Every kind of field makes of a block of rows what it makes of each row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources.parsing.field_map import (
    Choices,
    Combined,
    Constant,
    Converted,
    Field,
    FieldMap,
    IsRight,
    JoinedText,
    Metadata,
    Objects,
    PlaceAmongChoices,
    Text,
)
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    NOT_AT_ONCE,
    ArrowRowBlock,
    ParsedRowBlock,
    RowBlock,
)
from errclust_pipeline.sources.parsing.rows import text_of, texts_of
from errclust_pipeline_tests.sources.test_any_rows import VALUES

MISSING = RowError("missing", "nothing there")
ANSWERS = (
    Text("gold", "a", missing=MISSING),
    Text("prediction", "o.b", empty_is_null=True),
    Choices("choices", "c", texts_of),
)


def doubled(value: Any) -> float | RowError:
    is_number = isinstance(value, int | float) and abs(value) < 1e6
    return 2.0 * value if is_number else MISSING


def joined(*values: Any) -> str:
    return "|".join(text_of(value) or "" for value in values)


KINDS: dict[str, tuple[Field, ...]] = {
    "text": (Text("t", "a"),),
    "text needed": (Text("t", "a", missing=MISSING, not_blank=True),),
    "text only": (Text("t", "o.b", missing=MISSING, only_text=True, not_blank=True),),
    "text or default": (Text("t", "a", default="none", empty_is_null=True),),
    "joined": (JoinedText("t", ("a", "o.b"), MISSING),),
    "converted": (Converted("n", "a", doubled, pa.float64()),),
    "combined": (Combined("t", ("a", "o.b", "c"), joined),),
    "constant": (Constant("k", 3),),
    "objects": (Objects(("o",), MISSING), Text("t", "o.b")),
    "choices": (Choices("choices", "c", texts_of),),
    "places": (*ANSWERS, PlaceAmongChoices("p", "gold"), PlaceAmongChoices("q", "prediction")),
    "is right": (*ANSWERS, IsRight("score", MISSING)),
    "metadata": (Metadata("m", ("a", "o.b")),),
}
ALIKE = st.sampled_from(["", " ", "x", "y", "ü"]) | st.none()
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "a": ALIKE,
            "o": st.fixed_dictionaries({}, optional={"b": ALIKE}),
            "c": st.lists(st.sampled_from(["x", "y"]), max_size=3),
        },
    )
    | st.fixed_dictionaries({}, optional={"a": VALUES, "o": VALUES, "c": VALUES}),
    min_size=1,
    max_size=5,
)


def values_of_column(column: Any, count: int) -> list[Any]:
    if isinstance(column, pa.Array):
        return column.to_pylist()
    return column if isinstance(column, list) else [column] * count


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_a_block_gives_what_its_rows_give(kind: str, rows: list[dict[str, Any]]) -> None:
    fields = FieldMap(KINDS[kind])
    blocks: list[RowBlock] = [ParsedRowBlock("f", range(len(rows)), rows)]
    try:
        table = pa.Table.from_pylist(rows).combine_chunks()
        blocks += [ArrowRowBlock("f", range(len(rows)), batch) for batch in table.to_batches()]
    except (*NOT_AT_ONCE, pa.ArrowException, UnicodeEncodeError, AttributeError):
        pass  # Arrow cannot hold these rows.
    for block in blocks:
        expected = [fields.to_row(row, {}) for row in block.rows()]
        try:
            columns = fields.to_columns(block, {})
        except NOT_AT_ONCE:
            continue
        assert not any(isinstance(row, RowError) for row in expected)
        for name, column in columns.items():
            assert repr(values_of_column(column, len(rows))) == repr(
                [row[name] for row in expected if isinstance(row, dict)]
            )


@pytest.mark.parametrize("kind", KINDS)
def test_rows_as_most_files_have_them_are_converted_at_once(kind: str) -> None:
    number = {"a": 1} if kind == "converted" else {"a": "x"}
    rows = [{**number, "o": {"b": "y"}, "c": ["x", "y"]}] * 3
    columns = FieldMap(KINDS[kind]).to_columns(ParsedRowBlock("f", range(3), rows), {})
    assert columns
