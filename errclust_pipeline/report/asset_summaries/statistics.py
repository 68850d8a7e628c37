"""Summaries of a model's statistics on the map: hot spots, autocorrelation, uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.report.asset_summaries.maps import coarsest_region, is_laid_out, xy
from errclust_pipeline.report.asset_summaries.summary import (
    PICTURE,
    TABLE,
    AssetSummary,
    Rows,
)
from errclust_pipeline.report.drawing import (
    DIM,
    DIVERGING,
    add_scale,
    draw_marks,
    name_places,
    nearest_scale,
    new_figure,
    only_below,
    styled,
)
from errclust_pipeline.report.markdown import Cell, Share, picture, table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def summarize_hot_spots(
    spots: pd.DataFrame,
    regions: pd.DataFrame,
    layout: pd.DataFrame,
    names: Mapping[str, str],
    fdr: float,
    title: str,
) -> AssetSummary:
    """Summarize where errors concentrate, and draw hot and cold questions on the map.

    Parameters
    ----------
    spots : DataFrame
        Rows of the table `hot_spots`.
    regions : DataFrame
        Rows of the table `hot_regions`.
    layout : DataFrame
        ``question_id``, ``region_id``, ``x`` and ``y`` of each question.
    names : mapping from region to name
    fdr : float
        False discovery rate.
    title : str
        Name of the model and its benchmark.
    """
    rows: list[list[Cell]] = [
        [Share(row["rate"]), Share(row["outside_rate"]), row["size"], row["label"],
         row["basis"].replace("_", " ")]
        for row in regions.to_dict("records")
    ]  # fmt: skip
    columns = ["error rate", "elsewhere", "questions", "region", "hot for"]
    text = f"No hot region was found (false discovery rate {fdr:.0%})."
    summary: AssetSummary = {TABLE: table(columns, rows) if rows else text}
    places = layout[is_laid_out(layout)]
    if not places.empty and not spots.empty:
        summary[PICTURE] = lambda: picture(
            _hot_and_cold(spots, places, names, fdr, title),
            f"map of hot and cold questions of {title}",
        )
    return summary


@styled
def _hot_and_cold(
    spots: pd.DataFrame,
    places: pd.DataFrame,
    names: Mapping[str, str],
    fdr: float,
    title: str,
) -> Figure:
    k = nearest_scale(spots["k"].unique().tolist())
    at_scale = spots[spots["k"] == k].set_index("question_id").reindex(places["question_id"])
    x, y = xy(places)
    hot = (at_scale["q_hot"] < fdr).astype(int) - (at_scale["q_cold"] < fdr).astype(int)
    figure, axes = new_figure(5.2, 4.6)
    rates = 100 * at_scale["smoothed_rate"].to_numpy(dtype=np.float64)
    drawn = draw_marks(axes, x, y, rates, hot.to_numpy(), beyond=False)
    coarsest = [coarsest_region(region) for region in places["region_id"].tolist()]
    name_places(axes, x, y, coarsest, names)
    add_scale(figure, axes, drawn, f"error rate of {k} neighbours, %")
    axes.set_title(
        f"{shortened_line(title, 80)}\n{int((hot == 1).sum()):,} hot (outlined dots) and "
        f"{int((hot == -1).sum()):,} cold (squares) of {int(np.isfinite(rates).sum()):,} questions",
        loc="left",
        fontsize=8,
    )
    return figure


def summarize_autocorrelation(rows: Rows, others: Mapping[str, Rows], model: str) -> AssetSummary:
    """Summarize Moran's I at each scale, and draw it beside that of other models.

    Parameters
    ----------
    rows : sequence of mappings
        Rows of the table `autocorrelation`.
    others : mapping from model to rows
        The same for other models that have been computed.
    model : str
    """
    of_mark = {"errors": "errors", "residual": "beyond difficulty"}
    cells: list[list[Cell]] = [
        [of_mark.get(row["mark"], row["mark"]), row["k"], row["moran"], row["z"], row["p"]]
        for row in rows
    ]
    summary: AssetSummary = {TABLE: table(["of", "neighbours", "Moran's I", "z", "p"], cells)}
    if any(row["moran"] is not None for row in rows):
        summary[PICTURE] = lambda: picture(
            _moran_by_scale(rows, others, model),
            f"Moran's I of the errors of {model} at each number of neighbours",
        )
    return summary


@styled
def _moran_by_scale(rows: Rows, others: Mapping[str, Rows], model: str) -> Figure:
    figure, axes = new_figure(4.8, 2.9)
    for other_rows in others.values():
        for mark, style in (("errors", "-"), ("residual", "--")):
            axes.plot(*_curve(other_rows, mark), linestyle=style, color="#b3bbc4", linewidth=0.8)
    for mark, style, colour, name in (
        ("errors", "-", DIVERGING[-1], "errors"),
        ("residual", "--", DIVERGING[0], "beyond difficulty"),
    ):
        scales, values = _curve(rows, mark)
        if scales:
            axes.plot(scales, values, style, color=colour, marker="o", markersize=3, label=name)
    axes.axhline(0, color=DIM, linewidth=0.6)
    scales = sorted({row["k"] for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(scales, [str(k) for k in scales])
    axes.minorticks_off()
    axes.set_xlabel("neighbours")
    axes.set_ylabel("Moran's I")
    axes.legend(frameon=False)
    only_below(axes)
    beside = f" (grey: {len(others)} other models)" if others else ""
    axes.set_title(f"{shortened_line(model, 50)}{beside}", loc="left", fontsize=8)
    return figure


def _curve(rows: Rows, mark: str) -> tuple[list[int], list[float]]:
    points = sorted(
        (row["k"], row["moran"]) for row in rows if row["mark"] == mark and row["moran"] is not None
    )
    return [k for k, _ in points], [moran for _, moran in points]


def summarize_uncertainty(summary: Rows, curve: pd.DataFrame, title: str) -> AssetSummary:
    """Summarize conformal prediction sets, and draw the calibration curve.

    Parameters
    ----------
    summary : sequence of mappings
        Rows of the table `uncertainty_summary`.
    curve : DataFrame
        ``confidence``, ``accuracy`` and ``questions`` of each bin, by `calibration_curve`.
    title : str
        Name of the model and its benchmark.
    """
    rows: list[list[Cell]] = [
        [f"{row['score']} {row['form']}", row["set_size"], Share(row["coverage"]), row["uacc"]]
        for row in summary
    ]
    return {
        TABLE: table(["prediction sets", "mean size", "coverage", "UAcc"], rows),
        PICTURE: lambda: picture(
            _calibration(curve, title), f"calibration of {title}: accuracy by confidence"
        ),
    }


@styled
def _calibration(curve: pd.DataFrame, title: str) -> Figure:
    figure, axes = new_figure(3.8, 3.5)
    axes.plot([0, 100], [0, 100], color=DIM, linewidth=0.8, linestyle=(0, (3, 2)))
    confidence, accuracy = (100 * curve[name].to_numpy() for name in ("confidence", "accuracy"))
    axes.plot(confidence, accuracy, color=DIVERGING[-1], linewidth=1)
    sizes = 80 * np.sqrt(curve["questions"].to_numpy() / max(curve["questions"].max(), 1))
    axes.scatter(confidence, accuracy, s=np.maximum(sizes, 4), color=DIVERGING[-1])
    axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="confidence, %", ylabel="accuracy, %")
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{shortened_line(title, 60)}\noverconfident below the dashed line", loc="left", fontsize=8
    )
    return figure
