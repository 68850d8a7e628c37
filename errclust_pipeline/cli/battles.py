"""`errclust battles`: ratings from battles, and where they depend on the topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, battle_set_of, stop
from errclust_pipeline.cli.console import Column, Row, labelled_region, p_value, percent, plain
from errclust_pipeline.cli.registry import Options, Section, command

if TYPE_CHECKING:
    from errclust_pipeline.warehouse.keys import BattleSetPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse

_FDR = 0.05
"""False discovery rate below which a region departs from the overall ratings."""
_MAX_NAMES = 20
"""Maximum number of known models that an error names."""


@dataclass(frozen=True)
class Contestants(Options):
    """Whose battles are shown: all models', one model's, or those of two with each other."""

    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Where this model wins and loses.")
    ] = None
    against: Annotated[
        str | None, typer.Option(help="Only its battles with this one.", metavar="MODEL")
    ] = None

    def __post_init__(self) -> None:
        """Check that an opponent has an opponent."""
        if self.against is not None and self.model is None:
            stop("--against needs --model: name the model whose battles with it are wanted")

    def __str__(self) -> str:
        """Return the models for a message."""
        return f"{self.model}" if self.against is None else f"{self.model} against {self.against}"


@command(
    "battles",
    Section.LOOK,
    "errclust battles my-battle-set",
    "errclust battles my-battle-set --model my-model --against other-model",
)
def battles(
    battle_set: Annotated[str, typer.Argument(help="The battle set.", metavar="SET")],
    data_root: DataRoot,
    whose: Contestants,
    limit: Annotated[int, typer.Option(help="Rows shown of each table; 0 shows all.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Show who wins a battle set's battles, and where.

    Ratings of all models by human judges and by model judges stand side by side, with whether they
    depend on the topic. With --model, it shows the topics where that model does better or worse
    than its rating explains; with --against, only its battles with one other model.
    """
    from errclust_pipeline.tables import PROMPT_REGIONS

    warehouse = data_root.warehouse()
    partition = battle_set_of(warehouse, battle_set)
    labels = {
        row["region_id"]: row["label"]
        for row in warehouse.read(PROMPT_REGIONS, partition, ["region_id", "label"]).to_pylist()
    }
    ratings, regions = _read(warehouse, partition, whose)
    for row in regions:
        row["label"] = labels.get(row["region_id"]) if row["level"] else row["region_id"]
    if as_json:
        console.print_json({"ratings": ratings, "regions": regions})
        return
    _print_ratings(ratings, whose, limit)
    for kind in dict.fromkeys(row["judge_kind"] for row in ratings):
        rows = [row for row in regions if row["judge_kind"] == kind]
        _print_topics(rows, kind, whose.model, limit)


def _read(
    warehouse: Warehouse, partition: BattleSetPartition, whose: Contestants
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the ratings that are asked for, and those by region."""
    from errclust_pipeline.tables import BATTLE_REGIONS, RATINGS, REGIONAL_RATINGS

    ratings = warehouse.read(RATINGS, partition).to_pylist()
    if whose.model is None:
        return ratings, warehouse.read(BATTLE_REGIONS, partition).to_pylist()
    names = sorted({row["model"] for row in ratings})
    if whose.against is None:
        ratings, regions = (
            [row for row in rows if row["model"] == whose.model]
            for rows in (ratings, warehouse.read(REGIONAL_RATINGS, partition).to_pylist())
        )
    else:
        ratings, regions = _rate_pair(warehouse, partition, whose.model, whose.against)
    if not ratings:
        stop(f"there is no battle of {whose}. Known models: {', '.join(names[:_MAX_NAMES])}")
    return ratings, regions


def _rate_pair(
    warehouse: Warehouse, partition: BattleSetPartition, model: str, against: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rate two models by their battles with each other alone, which no table holds."""
    from errclust_pipeline.analysis.ratings import compare_by_battles
    from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map

    prompts = read_prompt_map(warehouse, partition)
    ratings: list[dict[str, Any]] = []
    regions: list[dict[str, Any]] = []
    for kind, judged in read_judged_battles(warehouse, partition, prompts).items():
        between = judged.between(model, against)
        if between is not None:
            overall, by_region = compare_by_battles(between, prompts, model, against)
            ratings.append({"judge_kind": kind} | overall)
            regions += [{"judge_kind": kind} | row for row in by_region]
    return ratings, regions


def _print_ratings(ratings: Sequence[Row], whose: Contestants, limit: int) -> None:
    """Print the ratings of all models as a table, or of one model in a sentence a judge kind."""
    if whose.model is not None:
        for row in ratings:
            console.output().print(_standing(row, whose.model, whose.against))
        return
    _print_rating_table(ratings, limit)
    if any(not row["bounded"] for row in ratings):
        console.print_note("*: it never lost, or never won; its rating rests on a prior.")
    if len({row["component"] for row in ratings}) > 1:
        console.print_line(
            "Not all models met, even through others: compare ratings only within a group (column "
            "component of table ratings)."
        )


def _standing(row: Row, model: str, against: str | None) -> Text:
    """Return a sentence on a model's rating, or on its battles with another model."""
    if against is None:
        text = (
            f" by {row['judge_kind']} judges: {row['rating']:.0f} ({row['low']:.0f} to "
            f"{row['high']:.0f}) from {row['battles']:,} battles, {row['win_rate']:.0%} won"
        )
        if row["moran_z"] is not None:
            text += (
                "; Moran's I of its score less what ratings expect: "
                f"{row['moran']:.3f} (z {row['moran_z']:.1f})"
            )
    else:
        text = (
            f" against {plain(against)} by {row['judge_kind']} judges: {row['wins']} won, "
            f"{row['ties']} ties of {row['battles']:,}; {row['difference']:+.0f} points "
            f"({row['low']:+.0f} to {row['high']:+.0f})"
        )
    end = "." if row["bounded"] else ", by a prior, because it never lost or never won."
    return Text.assemble((str(plain(model)), "bold"), text, end)


def _print_rating_table(ratings: Sequence[Row], limit: int) -> None:
    """Print all models' ratings, a row a model and three columns a kind of judge."""
    kinds = list(dict.fromkeys(row["judge_kind"] for row in ratings))
    by_model: dict[str, dict[str, Row]] = {}
    for row in ratings:
        by_model.setdefault(row["model"], {})[row["judge_kind"]] = row
    ranked = [
        {"place": place, "model": model, **by_kind}
        for place, (model, by_kind) in enumerate(by_model.items(), 1)
    ]
    columns = [
        Column("", lambda row: str(row["place"])),
        Column("model", lambda row: plain(row["model"]), numeric=False),
        *(column for kind in kinds for column in _rating_columns(kind)),
    ]
    shown = ranked[: limit or None]
    title = "Ratings (Bradley-Terry, mean 1000)"
    console.output().print(console.table_of(title, columns, shown))
    console.print_number_left_out(len(ranked), len(shown))


def _rating_columns(kind: str) -> list[Column]:
    """Return the columns of one kind of judge; a dash where it has not judged a model."""

    def rating(row: Row) -> str:
        if kind not in row:
            return "-"
        return f"{row[kind]['rating']:.0f}{'' if row[kind]['bounded'] else '*'}"

    def interval(row: Row) -> str:
        return f"{row[kind]['low']:.0f} to {row[kind]['high']:.0f}" if kind in row else "-"

    def count(row: Row) -> str:
        return f"{row[kind]['battles']:,}" if kind in row else "-"

    return [
        Column(f"by {kind}s", rating),
        Column("95 % interval", interval),
        Column("battles", count),
    ]


def _print_topics(rows: Sequence[Row], kind: str, model: str | None, limit: int) -> None:
    """Print where ratings depend on the topic, by one kind of judge, most surely first."""
    departing = sum(row["q"] < _FDR for row in rows)
    places = "regions and subjects" if model is None else "of its regions and subjects"
    console.print_line(
        f"By {kind} judges: {departing} of {len(rows)} {places} depart from the overall ratings "
        f"(q < {_FDR})."
    )
    if not rows:
        return
    columns = [
        Column(
            "where",
            lambda row: labelled_region(row) if row["level"] else plain(row["label"]),
            numeric=False,
        ),
        Column("prompts", lambda row: f"{row['prompts']:,}"),
        Column("battles", lambda row: f"{row['battles']:,}"),
    ]
    if model is None:
        title = f"Where ratings differ, by {kind} judges"
        columns.append(Column("p", lambda row: p_value(row["p"])))
    else:
        title = f"Where it does better or worse than its rating says, by {kind} judges"
        columns += [
            Column("won", lambda row: percent(row["win_rate"])),
            Column("95 % interval", lambda row: f"{row['low']:.0%} to {row['high']:.0%}"),
            Column("expected", lambda row: percent(row["expected"])),
            Column("shift", lambda row: f"{row['shift']:+.0f}"),
        ]
    columns.append(Column("q", lambda row: p_value(row["q"])))
    shown = sorted(rows, key=lambda row: row["p"])[: limit or None]
    console.output().print(console.table_of(title, columns, shown))
    console.print_number_left_out(len(rows), len(shown))
