"""The table of places on the map that several commands print: where something concentrates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from errclust_pipeline.cli import console
from errclust_pipeline.cli.console import Column, Row, labelled_region, p_value, plain, points

if TYPE_CHECKING:
    from errclust_pipeline.warehouse.keys import SubmissionPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse

RANK = Column("", lambda row: str(row["rank"]))
Q = Column("q", lambda row: p_value(row["q"]))
SCALE = Column("scale", lambda row: f"{row['scale']:,}")
HELD_OUT = Column("held out", lambda row: points(row["held_out_excess"]))
CONFIRMED = Column("conf.", lambda row: f"{row['replicated_halves']:.0f}/2")


def _what_is_there(row: Row) -> Text:
    """Return the key phrases of a place, and the region that it lies in on the next line."""
    phrases = Text(", ").join(plain(phrase) for phrase in row["key_phrases"])
    if not row["region_id"]:
        return phrases
    region = labelled_region(row)
    region.stylize("dim")
    return Text("\n").join([phrases, Text("in ", style="dim") + region])


PLACE = Column("what is there", _what_is_there, numeric=False)


def print_places(
    title: str,
    columns: Sequence[Column],
    places: Sequence[Row],
    limit: int,
    example_lines: Callable[[Row], Sequence[Text]],
) -> None:
    """Print places as a table, and below it examples of each.

    Parameters
    ----------
    title : str
    columns : sequence of Column
    places : sequence of rows of `hot_regions` or `uncertainty_hot_regions`
        Strongest evidence first.
    limit : int
        Number of places shown; 0 shows all.
    example_lines : callable
        Takes a place and returns its examples, a line each.
    """
    if not places:
        console.print_note(f"{title}: none found")
        return
    shown = places[: limit or None]
    console.output().print(console.table_of(title, columns, shown))
    console.print_number_left_out(len(places), len(shown))
    for place in shown:
        for line in example_lines(place):
            console.output().print(Text(f"{place['rank']:>3} "), line)


def read_exemplars(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    places: Sequence[Row],
    examples: int,
) -> Mapping[str, dict[str, Any]]:
    """Read the responses to the first exemplars of each place.

    Returns
    -------
    mapping from question id to row of `responses`
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from errclust_pipeline.tables import RESPONSES

    names = {name for place in places for name in place["exemplars"][:examples]}
    rows = warehouse.read(
        RESPONSES,
        partition,
        ["question_id", "question", "gold", "prediction"],
        pc.field("question_id").isin(pa.array(sorted(names), pa.string())),
    )
    return {row["question_id"]: row for row in rows.to_pylist()}
