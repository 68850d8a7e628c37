"""`errclust map` and `errclust hotspots`: error rates on the map, and where errors concentrate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer
from rich.text import Text

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, ModelOnBenchmark
from errclust_pipeline.cli.console import Column, Row, moran_with_z, percent, plain
from errclust_pipeline.cli.places import (
    CONFIRMED,
    HELD_OUT,
    PLACE,
    RANK,
    SCALE,
    Q,
    print_places,
    read_exemplars,
)
from errclust_pipeline.cli.registry import Section, command
from errclust_pipeline.vocabulary import AUTOCORRELATION_MARKS, BEYOND_DIFFICULTY, ERRORS

_MAX_MODELS = 26
"""Maximum number of models that `errclust map` has a column for: a letter each."""


@command("map", Section.LOOK, "errclust map my-benchmark --level 1")
def show_map(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    data_root: DataRoot,
    level: Annotated[int, typer.Option(help="Regions down to this level; 1 is the coarsest.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Show the map of a benchmark: its regions, and every model's error rate there.

    A region holds questions that are alike. A rate is marked + (or -) where the model is worse (or
    better) there than its ability and the region's difficulty explain, by two standard deviations.
    """
    from errclust_pipeline.tables import LEADERBOARD, MODEL_SIGNATURES, REGION_LABELS
    from errclust_pipeline.warehouse.keys import BenchmarkPartition

    warehouse = data_root.warehouse()
    partition = BenchmarkPartition(warehouse.known_key("benchmark", benchmark))
    regions = [
        row for row in warehouse.read(REGION_LABELS, partition).to_pylist() if row["level"] <= level
    ]
    models = warehouse.read(LEADERBOARD, partition).to_pylist()
    signatures = warehouse.read(MODEL_SIGNATURES, partition).to_pylist()
    if as_json:
        console.print_json({"regions": regions, "models": models, "signatures": signatures})
        return
    _print_leaderboard(models)
    _print_map(regions, [row["model"] for row in models], signatures)


def _print_leaderboard(rows: Sequence[Row]) -> None:
    """Print rows of `leaderboard`, with how sure models are where that is known."""
    columns = [
        Column("model", lambda row: plain(row["model"]), numeric=False),
        Column("questions", lambda row: f"{row['questions']:,}"),
        Column("accuracy", lambda row: percent(row["accuracy"], 1)),
        Column(
            "95 % interval", lambda row: f"{percent(row['low'], 1)} to {percent(row['high'], 1)}"
        ),
        Column("artefacts", lambda row: percent(row["artefacts"])),
        Column("without them", lambda row: percent(row["accuracy_without_artefacts"], 1)),
        Column("of all responses", lambda row: percent(row["response_accuracy"], 1)),
    ]
    if any(row["set_size"] is not None for row in rows):
        columns += [
            Column("says", lambda row: percent(row["confidence"], 1)),
            Column(
                "set size",
                lambda row: "-" if row["set_size"] is None else f"{row['set_size']:.2f}",
            ),
            Column("covered", lambda row: percent(row["coverage"], 1)),
            Column("UAcc", lambda row: percent(row["uacc"], 1).removesuffix("%")),
        ]
    title = "Accuracy over distinct questions; intervals allow for neighbours being alike"
    console.output().print(console.table_of(title, columns, rows))


def _print_map(regions: Sequence[Row], models: Sequence[str], signatures: Sequence[Row]) -> None:
    """Print regions with every model's error rate, hardest first within each parent."""
    by_place = {(row["region_id"], row["model"]): row for row in signatures}
    shown = models[:_MAX_MODELS]
    letters = [chr(ord("A") + number) for number in range(len(shown))]
    columns = [("region", False), ("name", False), ("questions", True)]
    table = console.empty_table(
        "Error rates in %; + worse, - better than ability and region explain",
        columns + [(letter, True) for letter in letters],
    )
    for region in _hardest_first(regions, models, by_place):
        table.add_row(
            region["region_id"],
            Text("  " * (region["level"] - 1)) + plain(region["label"]),
            f"{region['size']:,}",
            *(_rate(by_place.get((region["region_id"], model)), len(models)) for model in shown),
        )
    console.output().print(table)
    for letter, model in zip(letters, shown, strict=True):
        console.output().print(plain(f"{letter} {model}"))
    if len(models) > len(shown):
        console.print_note(
            f"{len(models) - len(shown):,} more models have no column: errclust map … --json, or "
            "table model_signatures"
        )


def _hardest_first(
    regions: Sequence[Row], models: Sequence[str], by_place: Mapping[tuple[str, str], Row]
) -> list[Row]:
    """Sort regions by error rate over all models, each after the one that it is part of."""

    def rate(region_id: str) -> float:
        rows = [by_place[region_id, model] for model in models if (region_id, model) in by_place]
        errors, questions = (sum(row[name] for row in rows) for name in ("errors", "questions"))
        return float(errors / max(questions, 1))

    def path(region: Row) -> list[float | str]:
        parts = region["region_id"].split(".")
        prefixes = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        return [part for name in prefixes for part in (-rate(name), name)]

    return sorted(regions, key=path)


def _rate(signature: Row | None, models: int) -> str:
    """Return a model's error rate in a region, marked where it departs from what is expected."""
    from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS

    if signature is None or not signature["questions"]:
        return "-"
    # With two models, each one's departure mirrors the other's.
    is_tested = models >= FEWEST_MODELS
    z = signature["deviation"] / signature["standard_deviation"] if is_tested else 0.0
    mark = "+" if z >= 2 else "-" if z <= -2 else " "
    return f"{100 * signature['errors'] / signature['questions']:.0f}{mark}"


@command("hotspots", Section.LOOK, "errclust hotspots my-benchmark my-org/my-model --examples 2")
def hotspots(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    examples: Annotated[int, typer.Option(help="Wrong answers shown of each region.")] = 1,
    limit: Annotated[
        int, typer.Option(help="Number of regions shown of each kind; 0 shows all.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Show where on the map a model's errors concentrate, strongest evidence first.

    The first table has the regions where it errs more than elsewhere; many are hard for every
    model. The second has those where it errs more than difficulty explains: its own weaknesses. For
    that, three models on the benchmark are needed.
    """
    from errclust_pipeline.tables import AUTOCORRELATION
    from errclust_pipeline.views.marks import read_hot_regions

    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    regions = read_hot_regions(warehouse, partition)
    statistics = warehouse.read(AUTOCORRELATION, partition).to_pylist()
    if as_json:
        console.print_json({"autocorrelation": statistics, "regions": regions})
        return
    title = console.heading(partition.model, partition.benchmark)
    if statistics:
        title.append(console.artefact_note(statistics[0]["artefacts_left_out"]))
    console.print_line(title)
    _print_autocorrelation(statistics)
    questions = read_exemplars(warehouse, partition, regions, examples)

    def example_lines(region: Row) -> list[Text]:
        names = [name for name in region["exemplars"][:examples] if name in questions]
        return [console.example_line(questions[name]) for name in names]

    _print_hot_regions(
        regions, limit, example_lines, statistics[0]["models_for_difficulty"] if statistics else 0
    )


def _print_autocorrelation(statistics: Sequence[Row]) -> None:
    """Print rows of `autocorrelation`: whether errors concentrate, by scale."""
    by_mark = {(row["mark"], row["k"]): row for row in statistics}

    def cell(mark: str, row: Row) -> str:
        statistic = by_mark.get((mark, row["k"]), {})
        return moran_with_z(statistic.get("moran"), statistic.get("z"))

    errors, residual = AUTOCORRELATION_MARKS
    columns = [
        Column("neighbours", lambda row: str(row["k"])),
        Column("errors", lambda row: cell(errors, row)),
        Column("residual", lambda row: cell(residual, row)),
    ]
    scales = [{"k": k} for k in sorted({row["k"] for row in statistics})]
    title = "Do errors concentrate? Moran's I with z; residual: less what difficulty explains"
    console.output().print(console.table_of(title, columns, scales))


_HOT_REGION_COLUMNS = (
    RANK,
    PLACE,
    Column("size (core)", lambda row: f"{row['size']:,} ({row['core']:,})"),
    Column("error rate", lambda row: f"{row['rate']:.0%} ({row['low']:.0%}-{row['high']:.0%})"),
    Column("other", lambda row: percent(row["outside_rate"])),
    Column(
        "by diff.",
        lambda row: "" if row["basis"] == ERRORS else percent(row["expected"] / row["size"]),
    ),
    Q,
    SCALE,
    HELD_OUT,
    CONFIRMED,
    Column(
        "also hot",
        lambda row: f"{len(row['hot_for_others'])}/{row['others']}" if row["others"] else "-",
    ),
    Column("failure form", lambda row: _failure_form(row), numeric=False),
)


def _failure_form(row: Row) -> str:
    if not row["failure_form"]:
        return ""
    return (
        f"{row['failure_form']} {percent(row['failure_form_share'])}, "
        f"else {percent(row['failure_form_share_elsewhere'])}"
    )


def _print_hot_regions(
    regions: Sequence[Row],
    limit: int,
    example_lines: Callable[[Row], Sequence[Text]],
    models: int,
) -> None:
    """Print rows of `hot_regions`, a table for each basis.

    Parameters
    ----------
    models : int
        Number of models from which difficulty is estimated.
    """
    from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS

    titles = {
        ERRORS: "Where it errs more than elsewhere (often hard for every model)",
        BEYOND_DIFFICULTY: "Where it errs more than difficulty explains (its own weaknesses)",
    }
    for basis, title in titles.items():
        if basis == BEYOND_DIFFICULTY and models < FEWEST_MODELS:
            console.print_note(
                f"{title}: not tested, because that needs {FEWEST_MODELS} models on the benchmark "
                f"and there {'is' if models == 1 else 'are'} {models}. Ingest more, or see "
                "errclust compare for two models side by side"
            )
            continue
        of_basis = [row for row in regions if row["basis"] == basis]
        print_places(title, _HOT_REGION_COLUMNS, of_basis, limit, example_lines)
    console.print_note(
        "size (core): questions, and those of them whose surroundings are significantly hot; the "
        "rest is added by likelihood. error rate: with its 95 % interval; other: that of all other "
        "questions; by diff.: what difficulty explains. q: false discovery rate at the core. "
        "scale: number of neighbouring questions over which it stands out. held out: excess error "
        "rate, in points, when each half of the questions finds the place and the other half "
        "measures it (a dash: neither finds it); conf.: halves that confirm it at p < .05. also "
        "hot: other models for which most of it is hot too. Where is not why: a region is a place "
        "on the map, not a cause."
    )
