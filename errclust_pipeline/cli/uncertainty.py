"""`errclust uncertainty`: how sure a model is of its answers, and where it is wrongly so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, ModelOnBenchmark, deprecated_option, stop
from errclust_pipeline.cli.console import (
    Column,
    Row,
    labelled_region,
    moran_with_z,
    p_value,
    percent,
    points,
)
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
from errclust_pipeline.cli.registry import Options, Section, command
from errclust_pipeline.vocabulary import CONFIDENTLY_WRONG, MEAN, UNCERTAIN, UNCERTAIN_GIVEN_OPTIONS

if TYPE_CHECKING:
    from errclust_pipeline.analysis.uncertainty import Uncertainty
    from errclust_pipeline.settings import Settings
    from errclust_pipeline.warehouse.keys import SubmissionPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class MiscoverageOptions(Options):
    """How many conformal sets may miss the right option."""

    miscoverage: Annotated[
        float | None,
        typer.Option(
            help="Share of conformal sets that may miss the right option.  "
            "[default: miscoverage in the settings]",
            show_default=False,
        ),
    ] = None
    alpha: Annotated[
        float | None,
        typer.Option(hidden=True, callback=deprecated_option("--alpha", "--miscoverage")),
    ] = None

    def __post_init__(self) -> None:
        """Check that it is a share."""
        for name, value in (("--miscoverage", self.miscoverage), ("--alpha", self.alpha)):
            if value is not None and not 0 < value < 1:
                stop(f"{name} must be between 0 and 1, got {value}")

    @property
    def given(self) -> float | None:
        """The share, by either name."""
        return self.alpha if self.miscoverage is None else self.miscoverage


@dataclass(frozen=True)
class _Measured:
    """A model's uncertainty as it is printed.

    Attributes
    ----------
    left_out : mapping from reason to number of responses
    summary, regions, places, calibration : list of dict
        Rows of `uncertainty_summary`, of `uncertainty_by_region` with each region's label, of
        `uncertainty_hot_regions` and of the calibration curve.
    corners : mapping from corner to number of questions
    confidence : mapping from question id to the probability of the option chosen
    """

    left_out: Mapping[str, int]
    summary: list[dict[str, Any]]
    regions: list[dict[str, Any]]
    places: list[dict[str, Any]]
    calibration: list[dict[str, Any]]
    corners: Mapping[str, int]
    confidence: Mapping[str, float]


@command(
    "uncertainty",
    Section.LOOK,
    "errclust uncertainty my-benchmark my-org/my-model",
    "errclust uncertainty my-benchmark my-org/my-model --miscoverage 0.05",
)
def uncertainty(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    chosen: MiscoverageOptions,
    examples: Annotated[int, typer.Option(help="Questions shown of each place.")] = 1,
    limit: Annotated[int, typer.Option(help="Rows shown of each table; 0 shows all.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show how sure a model is of its answers, and where it is wrong without knowing.

    For models that were scored by log-likelihoods of the options: whether the model is right as
    often as it says, where it is confidently wrong, where it is unsure, and where conformal sets
    hold the right option less often than promised.
    """
    from errclust_pipeline.analysis.uncertainty import NoOptionProbabilitiesError
    from errclust_pipeline.settings import load_settings

    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    settings = load_settings(warehouse.storage)
    try:
        measured = _measure(warehouse, partition, settings, chosen.given)
    except NoOptionProbabilitiesError as error:
        if as_json:
            console.print_json({"left_out": error.left_out, "summary": []})
            return
        stop(f"{partition}: {error}")
    if as_json:
        console.print_json(
            {
                "left_out": dict(measured.left_out),
                "summary": measured.summary,
                "corners": measured.corners,
                "calibration": measured.calibration,
                "hot_regions": measured.places,
                "regions": measured.regions,
            }
        )
        return
    _print_overview(console.heading(partition.model, partition.benchmark), measured)
    _print_calibration(measured.calibration)
    questions = read_exemplars(warehouse, partition, measured.places, examples)

    def example_lines(place: Row) -> list[Text]:
        names = [name for name in place["exemplars"][:examples] if name in questions]
        return [
            Text.assemble(
                f"says {measured.confidence[name]:.0%}: ", console.example_line(questions[name])
            )
            for name in names
        ]

    _print_places(measured, limit, example_lines)
    fdr = settings.for_benchmark(partition.benchmark).statistics.fdr
    _print_coverage(measured.regions, measured.summary[0]["alpha"], fdr, limit)


def _measure(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    settings: Settings,
    miscoverage: float | None,
) -> _Measured:
    """Read a model's uncertainty from its tables; compute it where they do not have it.

    Raises
    ------
    NoOptionProbabilitiesError
        If the model has no log-likelihoods that can be compared.
    """
    from errclust_pipeline.analysis.uncertainty import calibration_curve, measure_uncertainty
    from errclust_pipeline.views.likelihoods import read_left_out, read_options_on_map
    from errclust_pipeline.views.marks import read_region_names

    statistics = settings.for_benchmark(partition.benchmark).statistics
    stored: Uncertainty | None = None
    if miscoverage in (None, statistics.miscoverage):
        stored = _read_if_fresh(warehouse, partition, settings)
    if stored is not None and not stored.summary.empty:
        result, left_out = stored, read_left_out(warehouse, partition)
    else:
        on_map = read_options_on_map(warehouse, partition)
        result = measure_uncertainty(
            on_map,
            statistics.miscoverage if miscoverage is None else miscoverage,
            statistics.fdr,
            statistics.permutations,
        )
        left_out = on_map.options.left_out
    questions = result.questions
    curve = calibration_curve(questions["confidence"], questions["right"])
    summary, regions, places, calibration = (
        [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        for frame in (result.summary, result.regions, result.hot_regions, curve)
    )
    names = read_region_names(warehouse, partition.benchmark)
    for row in regions:
        row["label"] = names.get(row["region_id"])
    return _Measured(
        left_out,
        summary,
        regions,
        places,
        calibration,
        dict(Counter(questions["corner"])),
        dict(zip(questions["question_id"], questions["confidence"], strict=True)),
    )


def _read_if_fresh(
    warehouse: Warehouse, partition: SubmissionPartition, settings: Settings
) -> Uncertainty | None:
    """Read what `errclust run` measured; None, with a message, if it is out of date.

    Raises
    ------
    WarehouseError
        If it was never measured.
    """
    from errclust_pipeline import tables
    from errclust_pipeline.analysis.uncertainty import Uncertainty
    from errclust_pipeline.stages import State, stage_status
    from errclust_pipeline.stages.declarations import UNCERTAINTY_STAGE

    frames = [
        warehouse.read(table, partition).to_pandas()
        for table in (
            tables.UNCERTAINTY, tables.UNCERTAINTY_SUMMARY, tables.UNCERTAINTY_BY_REGION,
            tables.UNCERTAINTY_HOT_REGIONS,
        )
    ]  # fmt: skip
    status = stage_status(UNCERTAINTY_STAGE, warehouse, settings, partition)
    if status.state is State.FRESH:
        return Uncertainty(*frames)
    console.print_message(
        f"table uncertainty of {partition} is {status.state} ({status.reason}): computed for this "
        "output only; `errclust run` brings the table up to date",
        style="yellow",
    )
    return None


def _print_overview(title: Text, measured: _Measured) -> None:
    """Print whether a model is right as often as it says, its conformal sets and its corners."""
    overall = measured.summary[0]
    fewest, most = overall["fewest_options"], overall["most_options"]
    options = fewest if fewest == most else f"{fewest} to {most}"
    console.print_line(
        title.append(
            f": {overall['questions']:,} questions with log-likelihoods of {options} options"
        )
    )
    for reason, count in measured.left_out.items():
        console.print_note(f"left out: {count:,} responses with {reason}")
    if overall["compared_by_length"]:
        console.print_note(
            f"{overall['compared_by_length']:,} questions compare options by log-likelihood a "
            "character, as the metric does. Such probabilities are flatter than the model's own, "
            "so calibration says little; conformal sets keep their promise all the same"
        )
    gap = overall["confidence"] - overall["accuracy"]
    error, by_chance = overall["calibration_error"], overall["calibration_error_by_chance"]
    verdict = (
        f"more than the {by_chance:.3f} that a calibrated model stays below 19 times of 20."
        if error > by_chance
        else f"no more than a calibrated model may have by chance ({by_chance:.3f})."
    )
    console.print_line(
        f"It is right on {overall['accuracy']:.1%} and says {overall['confidence']:.1%} on "
        f"average: {100 * abs(gap):.1f} points too {'sure' if gap > 0 else 'modest'}. Expected "
        f"calibration error {error:.3f}, {verdict}"
    )
    _print_conformal_sets(measured.summary)
    _print_corners(overall, measured.corners)


def _print_conformal_sets(summary: Sequence[Row]) -> None:
    """Print rows of `uncertainty_summary`: size and coverage of the sets, by score and form."""
    options_vary = summary[0]["fewest_options"] != summary[0]["most_options"]
    columns = [
        Column(
            "score",
            lambda row: "mean" if row["score"] == MEAN else row["score"].upper(),
            numeric=False,
        ),
        Column("form", lambda row: row["form"], numeric=False),
        Column("set size", lambda row: f"{row['set_size']:.2f}"),
        Column("covered", lambda row: percent(row["coverage"], 1)),
        Column(
            "UAcc", lambda row: f"{100 * row['uacc']:.1f}" if row["uacc"] == row["uacc"] else "-"
        ),
        Column("Moran's I of set size", lambda row: moran_with_z(row["moran"], row["moran_z"])),
    ]
    if options_vary:
        columns.append(
            Column(
                "given options",
                lambda row: moran_with_z(row["adjusted_moran"], row["adjusted_moran_z"]),
            )
        )
    miscoverage = summary[0]["alpha"]
    title = f"Conformal sets that may miss the right option in {miscoverage:.0%} of questions"
    console.output().print(console.table_of(title, columns, summary))
    if options_vary:
        console.print_note(
            "given options: the same, standardised and permuted among questions with the same "
            "number of options, because topics differ in it"
        )


def _print_corners(overall: Row, corners: Mapping[str, int]) -> None:
    """Print how many questions are answered confidently or not, rightly or wrongly."""

    def cell(row: Row, outcome: str) -> str:
        count = corners.get(f"{row['confidence']}_{outcome}", 0)
        return f"{count:,} ({count / overall['questions']:.0%})"

    columns = [
        Column("it says", lambda row: f"{row['confidence']}: {row['range']}", numeric=False),
        Column("right", lambda row: cell(row, "right")),
        Column("wrong", lambda row: cell(row, "wrong")),
    ]
    median = f"{overall['confident_from']:.2f}"
    rows = [
        {"confidence": "confident", "range": f"{median}, its median, or more"},
        {"confidence": "unsure", "range": f"less than {median}"},
    ]
    console.output().print(console.table_of("Confidence and correctness", columns, rows))


def _print_calibration(curve: Sequence[Row]) -> None:
    """Print the rows of a calibration curve."""
    columns = [
        Column("says", lambda row: f"{row['low']:.1f} to {row['high']:.1f}"),
        Column("questions", lambda row: f"{row['questions']:,}"),
        Column("on average", lambda row: percent(row["confidence"])),
        Column("right", lambda row: percent(row["accuracy"])),
    ]
    console.output().print(console.table_of("Is it right as often as it says?", columns, curve))


def _print_places(
    measured: _Measured, limit: int, example_lines: Callable[[Row], Sequence[Text]]
) -> None:
    """Print rows of `uncertainty_hot_regions`, a table for each basis, confidently wrong first."""
    titles = {
        CONFIDENTLY_WRONG: "Where it is confidently wrong more than elsewhere",
        UNCERTAIN: "Where it is unsure more than elsewhere (set size over options)",
        UNCERTAIN_GIVEN_OPTIONS: (
            "Where it is unsure more than on other questions of as many options (points of set "
            "size over options)"
        ),
    }
    overall = measured.summary[0]
    if overall["fewest_options"] == overall["most_options"]:
        del titles[UNCERTAIN_GIVEN_OPTIONS]
    for basis, title in titles.items():
        of_basis = [row for row in measured.places if row["basis"] == basis]
        print_places(title, _place_columns(basis), of_basis, limit, example_lines)
    console.print_note(
        "conf. wrong: share of questions where it is wrong and at least as sure as at its median; "
        "set share: share of the options that are in the set; both with a 95 % interval; other: "
        "that of all other questions. right, says: how often it is right there, and its mean "
        "probability for the option it chose. q: false discovery rate; scale: number of "
        "neighbouring questions over which the place stands out. held out: excess, in points, when "
        "each half of the questions finds the place and the other half measures it; conf.: halves "
        "that confirm it."
    )


def _place_columns(basis: str) -> list[Column]:
    """Return the columns of the table of places of one basis."""
    is_difference = basis == UNCERTAIN_GIVEN_OPTIONS
    number, between = (points, " to ") if is_difference else (percent, "-")

    def value(row: Row) -> str:
        return f"{number(row['value'])} ({number(row['low'])}{between}{number(row['high'])})"

    columns = [
        RANK,
        PLACE,
        Column("size", lambda row: f"{row['size']:,}"),
        Column("conf. wrong" if basis == CONFIDENTLY_WRONG else "set share", value),
        Column("other", lambda row: number(row["outside_value"])),
        Column("right", lambda row: percent(row["accuracy"])),
        Column("says", lambda row: percent(row["confidence"])),
        Column("set size", lambda row: f"{row['set_size']:.1f}"),
        Q,
        SCALE,
    ]
    return [*columns, HELD_OUT, CONFIRMED] if basis == CONFIDENTLY_WRONG else columns


def _print_coverage(regions: Sequence[Row], miscoverage: float, fdr: float, limit: int) -> None:
    """Print the regions where LAC sets hold the right option less often than promised.

    Parameters
    ----------
    regions : sequence of rows of `uncertainty_by_region`, with ``label``
    miscoverage : float
        Share of sets that may miss the right option.
    fdr : float
        Regions whose q value is below are shown.
    limit : int
        Number of rows shown; 0 shows all.
    """
    lac = [row for row in regions if row["score"] == "lac"]
    failing = sorted((row for row in lac if row["q"] < fdr), key=lambda row: row["coverage"])
    title = f"Where fewer than the {1 - miscoverage:.0%} promised of LAC sets hold the right option"
    if not failing:
        console.print_note(f"{title}: in none of {len(lac):,} regions")
        return
    columns = [
        Column("region", labelled_region, numeric=False),
        Column("questions", lambda row: f"{row['questions']:,}"),
        Column("right", lambda row: percent(row["accuracy"])),
        Column(
            "covered", lambda row: f"{row['coverage']:.0%} ({row['low']:.0%}-{row['high']:.0%})"
        ),
        Column("set size", lambda row: f"{row['set_size']:.2f}"),
        Column("own sets: covered", lambda row: percent(row["mondrian_coverage"])),
        Column("size", lambda row: f"{row['mondrian_set_size']:.2f}"),
        Column("q", lambda row: p_value(row["q"])),
    ]
    title = f"{title} ({len(failing)} of {len(lac):,} regions)"
    shown = failing[: limit or None]
    console.output().print(console.table_of(title, columns, shown))
    console.print_number_left_out(len(failing), len(shown))
    console.print_note("own sets: calibrated on the region's own questions (Mondrian).")
