"""`errclust compare`: two models on one benchmark, region by region."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, stop
from errclust_pipeline.cli.console import (
    Column,
    Row,
    labelled_region,
    p_value,
    percent,
    plain,
    points,
)
from errclust_pipeline.cli.registry import Options, Section, command

if TYPE_CHECKING:
    from errclust_pipeline.analysis.comparison import ClusteredMean, ModelAnswers
    from errclust_pipeline.settings import Settings, StatisticsSettings
    from errclust_pipeline.views.comparison import Comparison
    from errclust_pipeline.warehouse.warehouse import Warehouse


@dataclass(frozen=True)
class TwoModels(Options):
    """Two models on a benchmark, as arguments: keys or true names."""

    benchmark: Annotated[str, typer.Argument(help="The benchmark.")]
    model_a: Annotated[str, typer.Argument(help="One model.", metavar="A")]
    model_b: Annotated[str, typer.Argument(help="The other.", metavar="B")]

    def keys(self, warehouse: Warehouse) -> Pair:
        """Return the keys; stop if both are the same model.

        Raises
        ------
        WarehouseError
            If no such benchmark or model was ingested.
        """
        pair = Pair(
            warehouse.known_key("benchmark", self.benchmark),
            warehouse.known_key("model", self.model_a),
            warehouse.known_key("model", self.model_b),
        )
        if pair.model_a == pair.model_b:
            stop(f"both models are {pair.model_a}: name two different ones")
        return pair


@dataclass(frozen=True)
class Pair:
    """The keys of a benchmark and of two models."""

    benchmark: str
    model_a: str
    model_b: str


@command(
    "compare",
    Section.LOOK,
    "errclust compare my-benchmark my-org/my-model other-org/other-model",
)
def compare(
    models: TwoModels,
    data_root: DataRoot,
    limit: Annotated[int, typer.Option(help="Number of regions shown; 0 shows all.")] = 15,
    without_artefacts: Annotated[
        bool,
        typer.Option(
            "--without-artefacts",
            help="Leave out responses without a readable answer (truncated, empty, …).",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two models region by region: which is worse here, and is the gap unlike the overall?

    First come the regions whose gap departs most surely from the overall gap. The comparison is
    read from the tables that `errclust run` has written; a pair that is not in them, or not up to
    date, is compared for this output only, and the command says so.
    """
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.views.marks import read_region_names

    warehouse = data_root.warehouse()
    pair = models.keys(warehouse)
    settings = load_settings(warehouse.storage)
    statistics = settings.for_benchmark(pair.benchmark).statistics
    if without_artefacts:
        statistics = statistics.model_copy(update={"leave_out_artefacts": True})
    comparison = _read_if_fresh(warehouse, settings, pair, statistics)
    if comparison is None:
        comparison = _compute(warehouse, pair, statistics)
    names = read_region_names(warehouse, pair.benchmark)
    regions = [row | {"label": names.get(row["region_id"])} for row in comparison.regions]
    if as_json:
        difference = _overall_difference(warehouse, pair, statistics)
        console.print_json(
            {
                "difference": {
                    **dataclasses.asdict(difference),
                    "low": comparison.low,
                    "high": comparison.high,
                },
                "agreement": dataclasses.asdict(comparison.agreement),
                "gate": dataclasses.asdict(comparison.gate),
                "autocorrelation": comparison.autocorrelation,
                "artefacts_left_out": statistics.leave_out_artefacts,
                "regions": regions,
            }
        )
        return
    _print_overall(pair, comparison, statistics)
    _print_regions(regions, comparison.difference, statistics.fdr, limit)


def _read_if_fresh(
    warehouse: Warehouse, settings: Settings, pair: Pair, statistics: StatisticsSettings
) -> Comparison | None:
    """Read a comparison from the tables; None, with a message, if they do not have it."""
    from errclust_pipeline.stages import State, stage_status
    from errclust_pipeline.stages.declarations import MODEL_COMPARISON_STAGE
    from errclust_pipeline.views.comparison import read_comparison
    from errclust_pipeline.warehouse.keys import BenchmarkPartition

    status = stage_status(
        MODEL_COMPARISON_STAGE, warehouse, settings, BenchmarkPartition(pair.benchmark)
    )
    stored = settings.for_benchmark(pair.benchmark).statistics
    comparison: Comparison | None = None
    if statistics.leave_out_artefacts != stored.leave_out_artefacts:
        reason = "table model_comparison counts responses without a readable answer as errors"
    elif status.state is not State.FRESH:
        reason = f"table model_comparison is {status.state} ({status.reason}; see errclust status)"
    else:
        comparison = read_comparison(warehouse, pair.benchmark, pair.model_a, pair.model_b)
        reason = (
            "table model_comparison does not have this pair: it has only the pairs closest in "
            "accuracy (setting statistics.most_pairs)"
        )
    if comparison is None:
        console.print_message(f"{reason}: computed for this output only")
    return comparison


def _compute(warehouse: Warehouse, pair: Pair, statistics: StatisticsSettings) -> Comparison:
    """Compare two models that the tables do not have."""
    from errclust_pipeline.analysis.comparison import compare_pair
    from errclust_pipeline.analysis.spatial import global_statistics, usable_scales
    from errclust_pipeline.views.comparison import Comparison
    from errclust_pipeline.views.marks import read_map, read_option_counts

    questions = read_map(warehouse, pair.benchmark)
    first, second = _read_answers(warehouse, pair, statistics)
    labels, regions = questions.region_labels()
    compared = compare_pair(
        first,
        second,
        labels,
        regions,
        questions.region_ids,
        read_option_counts(warehouse, pair.benchmark, questions),
        statistics.fdr,
    )
    scales = usable_scales(len(questions), questions.neighbours.shape[1], statistics.scales)
    autocorrelation = global_statistics(
        first.errors - second.errors, questions.neighbours, scales, permutations=0
    )
    return Comparison(
        compared.agreement,
        compared.difference.mean,
        compared.low,
        compared.high,
        compared.gate,
        [
            {str(name): value for name, value in row.items()}
            for row in compared.regions.to_dict("records")
        ],
        [{"k": scale.k, "moran": scale.moran, "z": scale.z} for scale in autocorrelation],
    )


def _read_answers(
    warehouse: Warehouse, pair: Pair, statistics: StatisticsSettings
) -> tuple[ModelAnswers, ModelAnswers]:
    from errclust_pipeline.views.marks import read_answers, read_map
    from errclust_pipeline.warehouse.keys import SubmissionPartition

    questions = read_map(warehouse, pair.benchmark)
    first, second = (
        read_answers(
            warehouse,
            SubmissionPartition(pair.benchmark, model),
            questions,
            statistics.leave_out_artefacts,
        )
        for model in (pair.model_a, pair.model_b)
    )
    return first, second


def _overall_difference(
    warehouse: Warehouse, pair: Pair, statistics: StatisticsSettings
) -> ClusteredMean:
    """Return the difference of error rates with its standard error, which no table holds."""
    from errclust_pipeline.analysis.comparison import clustered_mean
    from errclust_pipeline.views.marks import read_map

    first, second = _read_answers(warehouse, pair, statistics)
    clusters = read_map(warehouse, pair.benchmark).region_ids
    return clustered_mean(first.errors - second.errors, clusters)


def _print_overall(pair: Pair, comparison: Comparison, statistics: StatisticsSettings) -> None:
    """Print the overall gap, how alike the errors are, and whether the gap varies by topic."""
    agreement, gate = comparison.agreement, comparison.gate
    kappa = "-" if math.isnan(agreement.kappa) else f"{agreement.kappa:.2f}"
    console.print_line(
        Text.assemble(
            "A is ",
            (str(plain(pair.model_a)), "bold"),
            ", B is ",
            (str(plain(pair.model_b)), "bold"),
        )
    )
    console.print_line(
        f"A's error rate less B's: {points(comparison.difference)} points "
        f"({points(comparison.low)} to {points(comparison.high)}) over {agreement.questions:,} "
        f"questions that both answered{console.artefact_note(statistics.leave_out_artefacts)}. "
        f"Error consistency (kappa) {kappa}."
    )
    if agreement.both_wrong:
        console.print_line(
            "Where both are wrong they chose the same wrong option "
            f"{percent(agreement.same_wrong_option)} of the time; if wrong options were chosen "
            f"evenly it would be {percent(agreement.same_by_chance)} ({agreement.both_wrong:,} "
            "questions)."
        )
    verdict = (
        "the gap varies by topic"
        if gate.p < statistics.fdr
        else "no evidence that the gap varies by topic, so no region's gap is tested"
    )
    console.print_line(
        f"Does the gap differ between the {gate.regions} regions? p {gate.p:.3f}: {verdict}."
    )
    known = [row for row in comparison.autocorrelation if row["moran"] == row["moran"]]
    if known:
        scales = ", ".join(f"{row['moran']:.3f} (z {row['z']:.0f}) at {row['k']}" for row in known)
        console.print_line(f"Is the difference topical? Moran's I {scales} neighbours.")


def _print_regions(rows: Sequence[Row], overall: float, fdr: float, limit: int) -> None:
    """Print rows of `model_comparison` with their labels."""
    columns = [
        Column("where", labelled_region, numeric=False),
        Column("questions", lambda row: f"{row['questions']:,}"),
        Column("A wrong", lambda row: percent(row["errors_a"] / row["questions"])),
        Column("B wrong", lambda row: percent(row["errors_b"] / row["questions"])),
        Column("A - B", lambda row: points(row["difference"])),
        Column("95 % interval", lambda row: f"{points(row['low'])} to {points(row['high'])}"),
        Column("q worse", lambda row: p_value(row["q_worse"])),
        Column("q gap", lambda row: p_value(row["q_gap"])),
        Column("finding", lambda row: _finding(row, overall, fdr), numeric=False),
    ]
    title = "Regions, those whose gap departs most surely from the overall one first"
    shown = rows[: limit or None]
    console.output().print(console.table_of(title, columns, shown))
    console.print_number_left_out(len(rows), len(shown))
    console.print_note(
        "q worse: one of the two errs more here. q gap: the gap here is not the overall gap. A "
        "dash: not tested, because the region it is part of did not stand out, or the gap does not "
        "vary at all."
    )


def _finding(row: Row, overall: float, fdr: float) -> str:
    """Return in words what is significant in a region."""
    findings = []
    if row["q_worse"] is not None and row["q_worse"] < fdr:
        findings.append("A worse" if row["difference"] > 0 else "B worse")
    if row["q_gap"] is not None and row["q_gap"] < fdr:
        above = row["difference"] > overall
        findings.append("gap above overall" if above else "gap below overall")
    return ", ".join(findings)
