"""Plots for papers with a text width of 7 inches: map, signatures, comparison, ratings.

They show what the report shows, from the same contents.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.report.columns import NO_RATE, unpacked
from errclust_pipeline.report.contents import ReportContents, ReportError
from errclust_pipeline.report.drawing import (
    DIM,
    DIVERGING,
    INK,
    STRONG,
    Interval,
    add_scale,
    draw_cells,
    draw_intervals,
    draw_marks,
    name_places,
    nearest_scale,
    new_figure,
    only_below,
    styled,
)
from errclust_pipeline.warehouse.storage import Storage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NO_LAYOUT = "the map has no 2-D layout: set clustering.layout = true and run `errclust run`"
_MOST_REGIONS = 40
_LONGEST_NAME = 42


@styled
def write_plot(figure: Figure, path: Path) -> None:
    """Write a figure, completely or not at all, in the format of the file name's ending.

    Raises
    ------
    ReportError
        If no figure can be written in that format.
    """
    known = figure.canvas.get_supported_filetypes()
    format_ = path.suffix.lstrip(".").lower()
    if format_ not in known:
        raise ReportError(f"{path}: the name must end in .{', .'.join(sorted(known))}")
    metadata = {"Date": None} if format_ == "svg" else None
    with Storage(str(path.parent)).write(str(path)) as file:
        figure.savefig(file, format=format_, dpi=300, bbox_inches="tight", metadata=metadata)


@styled
def plot_map(contents: ReportContents, model: str, k: int | None, beyond: bool) -> Figure:
    """Draw the map, coloured by a model's smoothed error rate or its errors beyond difficulty.

    Parameters
    ----------
    model : str
        Key of the model.
    k : int, optional
        Number of neighbours; the scale nearest to 100 if not given.
    beyond : bool
        Whether to show errors beyond what difficulty explains.

    Raises
    ------
    ReportError
        If the map has no layout, or the statistic has not been computed.
    """
    numbers = contents.numbers
    if numbers["map"]["x"] is None:
        raise ReportError(NO_LAYOUT)
    scales = {scale["k"]: scale for scale in _model(numbers, model)["scales"]}
    if not scales or (k is not None and k not in scales):
        raise ReportError(
            f"{model} has no statistics at {k or 'any'} neighbours. "
            f"Known: {', '.join(map(str, scales)) or 'none'}"
        )
    scale = scales[k if k is not None else nearest_scale(scales)]
    if beyond and scale["excess"] is None:
        raise ReportError(
            f"errors beyond difficulty need at least {numbers['fewestModels']} models"
        )
    x, y = (unpacked(numbers["map"][name], "<u2").astype(float) for name in ("x", "y"))
    values = unpacked(scale["excess" if beyond else "rate"], "u1").astype(float)
    hot = unpacked(scale["beyond" if beyond else "hot"], "i1")
    known = values != NO_RATE
    shown = 100 * (values / 250 - (0.5 if beyond else 0))

    figure, axes = new_figure(6.4, 5.2)
    drawn = draw_marks(axes, x, y, np.where(known, shown, np.nan), hot, beyond)
    _name_regions(axes, numbers, x, y)
    what = (
        "errors beyond difficulty, percentage points" if beyond else "error rate of neighbours, %"
    )
    add_scale(figure, axes, drawn, what)
    test = "Poisson-binomial" if beyond else "hypergeometric"
    axes.set_title(
        f"{model} on {numbers['benchmark']}\n"
        f"{int((hot == 1).sum()):,} hot (outlined dots) and {int((hot == -1).sum()):,} cold "
        f"(squares) of {int(known.sum()):,} questions:\nexact {test} test of {scale['k']} "
        f"neighbours, false discovery rate {numbers['fdr']:.0%}",
        loc="left",
        fontsize=8,
    )
    return figure


@styled
def plot_signatures(contents: ReportContents, level: int) -> Figure:
    """Draw how models depart from what ability and difficulty explain, as a heat map by region.

    Raises
    ------
    ReportError
        If the map has no regions at this level, or there are too few models.
    """
    numbers = contents.numbers
    signature = next((each for each in numbers["signatures"] if each["level"] == level), None)
    if signature is None:
        raise ReportError(f"the map has no regions at level {level}")
    if len(numbers["models"]) < numbers["fewestModels"]:
        raise ReportError(
            f"signatures need at least {numbers['fewestModels']} models, and there are "
            f"{len(numbers['models'])}"
        )
    # A cell is questions, errors, excess, and standard deviations from zero.
    values, strength = (
        np.array(
            [[np.nan if cell is None else cell[at] for cell in row] for row in signature["cells"]],
            dtype=np.float64,
        )
        for at in (2, 3)
    )
    names = _region_names(numbers)
    figure, axes = new_figure(3.2 + 0.5 * values.shape[1], 1.9 + 0.2 * values.shape[0])
    models = [shortened_line(numbers["models"][at]["model"], 40) for at in signature["models"]]
    regions = [names[region] for region in signature["regions"]]
    drawn = draw_cells(axes, 100 * values, np.abs(strength) >= STRONG, regions, models)
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", aspect=40, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=6.5)
    bar.set_label(
        "error rate beyond ability and difficulty, points\n(bold: 2 standard deviations or more)",
        fontsize=6.5,
    )
    return figure


@styled
def plot_comparison(contents: ReportContents, model_a: str, model_b: str) -> Figure:
    """Draw two models' paired difference in each coarse region, with its interval and test.

    Raises
    ------
    ReportError
        If the pair was not compared.
    """
    numbers = contents.numbers
    first, second = (numbers["models"].index(_model(numbers, name)) for name in (model_a, model_b))
    pair = next(
        (each for each in numbers["pairs"] if {each["modelA"], each["modelB"]} == {first, second}),
        None,
    )
    if pair is None:
        raise ReportError(
            f"{model_a} and {model_b} were not compared: raise the setting "
            "statistics.most_pairs, or run "
            f"`errclust compare {numbers['benchmark']} {model_a} {model_b}`"
        )
    sign = 1 if pair["modelA"] == first else -1
    columns = numbers["comparisonColumns"]
    rows = [dict(zip(columns, values, strict=True)) for values in pair["regions"]]
    rows = [row for row in rows if "." not in row["region_id"]][:_MOST_REGIONS]
    rows.sort(key=lambda row: sign * row["difference"])
    names = _region_names(numbers)
    figure, axes = new_figure(6.4, 1.3 + 0.21 * len(rows))
    intervals = []
    for row in rows:
        worse = row["q_worse"] is not None and row["q_worse"] < numbers["fdr"]
        gap = row["q_gap"] is not None and row["q_gap"] < numbers["fdr"]
        colour = DIVERGING[-1] if sign * row["difference"] > 0 else DIVERGING[0]
        low, high = sorted(100 * sign * row[name] for name in ("low", "high"))
        intervals.append(
            Interval(
                f"{names[row['region_id']]} ({row['questions']:,})",
                100 * sign * row["difference"],
                low,
                high,
                colour if worse else DIM,
                "D" if gap else "o",
                worse,
            )
        )
    draw_intervals(axes, intervals)
    axes.axvline(0, color=DIM, linewidth=0.6)
    axes.axvline(100 * sign * pair["difference"], color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_xlabel(
        f"error rate of {shortened_line(model_a, 40)} minus {shortened_line(model_b, 40)}, points "
        "(95 % interval, Newcombe)\nfilled: one is significantly worse (exact McNemar test); "
        "diamond: departs from the overall difference (dashed)",
        fontsize=7,
    )
    p = pair["gateP"]
    axes.set_title(
        f"{numbers['benchmark']}: {'' if p < numbers['fdr'] else 'no evidence that '}"
        f"the difference depends on the topic (permutation test, p = {p:.3f})",
        loc="left",
        fontsize=8,
    )
    return figure


@styled
def plot_ratings(contents: ReportContents, judge_kind: str | None = None, most: int = 60) -> Figure:
    """Draw the ratings of a battle set's models with their intervals, best first.

    Parameters
    ----------
    judge_kind : str, optional
        Kind of the judges, human or model; both side by side if not given, in the order of the
        first.
    most : int
        Maximum number of models; the best are shown.

    Raises
    ------
    ReportError
        If there are no verdicts of judges of that kind.
    """
    numbers = contents.numbers
    kinds = numbers["judgeKinds"] if judge_kind is None else [judge_kind]
    if not set(kinds) & set(numbers["judgeKinds"]):
        raise ReportError(
            f"{numbers['benchmark']} has no verdicts of {judge_kind} judges. "
            f"Known kinds: {', '.join(numbers['judgeKinds']) or 'none'}"
        )
    rated = [model for model in numbers["models"] if kinds[0] in model["ratings"]]
    rated.sort(key=lambda model: -model["ratings"][kinds[0]]["rating"])
    rated = rated[:most]
    figure, axes = new_figure(6.4, 1.1 + 0.17 * len(rated) * (1 + 0.5 * (len(kinds) - 1)))
    for number, kind in enumerate(kinds):
        colour, marker = ((DIVERGING[0], "o"), (DIVERGING[-1], "s"))[number % 2]
        offset = 0.32 * (number - (len(kinds) - 1) / 2)
        known = [
            (at, model["ratings"][kind])
            for at, model in enumerate(rated)
            if kind in model["ratings"]
        ]
        for at, row in known:
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [at + offset] * 2, color=colour, linewidth=1.2)
        axes.plot(
            [row["rating"] for _, row in known], [at + offset for at, _ in known],
            linestyle="none", marker=marker, markersize=3.4, color=colour, label=f"by {kind}s",
        )  # fmt: skip
    axes.axvline(1000, color=DIM, linewidth=0.6, linestyle=(0, (3, 2)))
    axes.set_yticks(range(len(rated)), [shortened_line(model["model"], 40) for model in rated])
    axes.set_ylim(len(rated) - 0.4, -0.6)
    axes.tick_params(labelsize=6.5, left=False)
    axes.set_xlabel(
        "rating on the Elo scale (Bradley-Terry, mean 1000) with its 95 % interval, clustered by "
        "prompt",
        fontsize=7,
    )
    only_below(axes)
    if len(kinds) > 1:
        axes.legend(frameon=False, fontsize=6.5, loc="lower right")
    axes.set_title(
        f"{numbers['benchmark']}: {len(rated)} of {len(numbers['models'])} models",
        loc="left",
        fontsize=8,
    )
    return figure


def _model(numbers: dict[str, Any], name: str) -> dict[str, Any]:
    by_name: dict[str, dict[str, Any]] = {model["model"]: model for model in numbers["models"]}
    if name not in by_name:
        raise ReportError(f"{name} is not on the leaderboard. Known: {', '.join(by_name)}")
    return by_name[name]


def _region_names(numbers: dict[str, Any]) -> dict[str, str]:
    return {
        region["id"]: f"{region['id']} {shortened_line(region['label'], _LONGEST_NAME)}"
        for region in numbers["regions"]
    }


def _name_regions(
    axes: Axes, numbers: dict[str, Any], x: npt.NDArray[Any], y: npt.NDArray[Any]
) -> None:
    ids = [region["id"] for region in numbers["regions"]]
    region_of = unpacked(numbers["map"]["region"], "<i2").tolist()
    coarsest = [ids[at].split(".")[0] if at >= 0 else None for at in region_of]
    labels = {region["id"]: region["label"] for region in numbers["regions"]}
    name_places(axes, x, y, coarsest, labels)
