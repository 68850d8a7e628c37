"""`errclust plot …`: pictures for papers, as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import DataRoot, ModelOnBenchmark, battle_set_of
from errclust_pipeline.cli.compare import TwoModels
from errclust_pipeline.cli.registry import Group, Options, Section, command

if TYPE_CHECKING:
    from errclust_pipeline.report import ReportContents
    from errclust_pipeline.warehouse.warehouse import Warehouse

PLOT = Group("plot", "Draw a picture for a paper (PNG, SVG or PDF).", Section.SHARE)


@dataclass(frozen=True)
class PictureFile(Options):
    """The file that a picture is written to."""

    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The file to write: .png, .svg or .pdf."),
    ]

    def write(self, figure: Any) -> None:
        """Write a figure of Matplotlib."""
        from errclust_pipeline.report.plots import write_plot

        write_plot(figure, self.out.absolute())
        console.print_message(f"{self.out} is written")


def _contents(warehouse: Warehouse, benchmark: str, models: Sequence[str] = ()) -> ReportContents:
    """Read what the report of a benchmark shows of some models, or of all."""
    from errclust_pipeline.report import read_contents

    return read_contents(warehouse, benchmark, list(models) or None)


@command(
    "map",
    Section.SHARE,
    "errclust plot map my-benchmark my-org/my-model --out map.png",
    group=PLOT,
)
def plot_map(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    picture: PictureFile,
    neighbours: Annotated[
        int | None,
        typer.Option(
            help="The scale of hot places: a number of neighbours.  [default: 100, or the nearest]"
        ),
    ] = None,
    beyond_difficulty: Annotated[
        bool,
        typer.Option("--beyond-difficulty", help="Errors beyond what difficulty explains."),
    ] = False,
) -> None:
    """Draw the map with a model's error rate, hot and cold places, and names of regions.

    Each dot is a question; questions that are alike lie near each other.
    """
    from errclust_pipeline.report.plots import plot_map

    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    contents = _contents(warehouse, partition.benchmark, [partition.model])
    picture.write(plot_map(contents, partition.model, neighbours, beyond_difficulty))


@command(
    "signature",
    Section.SHARE,
    "errclust plot signature my-benchmark --out signatures.svg",
    group=PLOT,
)
def plot_signature(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    data_root: DataRoot,
    picture: PictureFile,
    level: Annotated[int, typer.Option(help="Level of the regions; 1 is the coarsest.")] = 1,
) -> None:
    """Draw a heat map of where each model departs from what its ability and difficulty explain.

    A row is a model and a column a region.
    """
    from errclust_pipeline.report.plots import plot_signatures

    warehouse = data_root.warehouse()
    contents = _contents(warehouse, warehouse.known_key("benchmark", benchmark))
    picture.write(plot_signatures(contents, level))


@command(
    "compare",
    Section.SHARE,
    "errclust plot compare my-benchmark my-org/my-model other-org/other-model --out gap.pdf",
    group=PLOT,
)
def plot_compare(models: TwoModels, data_root: DataRoot, picture: PictureFile) -> None:
    """Draw the difference of two models' error rates in each region, with its interval.

    `errclust compare` prints the same with its tests.
    """
    from errclust_pipeline.report.plots import plot_comparison

    warehouse = data_root.warehouse()
    pair = models.keys(warehouse)
    contents = _contents(warehouse, pair.benchmark, [pair.model_a, pair.model_b])
    picture.write(plot_comparison(contents, pair.model_a, pair.model_b))


@command(
    "ratings",
    Section.SHARE,
    "errclust plot ratings my-battle-set --judges human --out ratings.pdf",
    group=PLOT,
)
def plot_ratings(
    battle_set: Annotated[str, typer.Argument(help="The battle set.", metavar="SET")],
    data_root: DataRoot,
    picture: PictureFile,
    judges: Annotated[
        str | None,
        typer.Option(help="human or model.  [default: both, side by side]", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="Number of models shown, best first.", min=1)] = 60,
) -> None:
    """Draw the ratings of a battle set's models with their intervals, best first.

    `errclust battles` prints the same, and where ratings depend on the topic.
    """
    from errclust_pipeline.report import read_battle_contents
    from errclust_pipeline.report.plots import plot_ratings

    warehouse = data_root.warehouse()
    contents = read_battle_contents(warehouse, battle_set_of(warehouse, battle_set))
    picture.write(plot_ratings(contents, judges, limit))
