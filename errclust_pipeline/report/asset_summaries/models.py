"""Summaries that set the models of a benchmark or battle set side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.report.asset_summaries.summary import (
    PICTURE,
    TABLE,
    AssetSummary,
    Rows,
    are_known,
    by_number,
    formatted,
    interval_text,
    share_of,
    summarize_absence,
)
from errclust_pipeline.report.drawing import (
    GROUPS,
    STRONG,
    Interval,
    draw_cells,
    draw_intervals,
    new_figure,
    styled,
)
from errclust_pipeline.report.markdown import Cell, Share, picture, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_MODELS = 40
"""Maximum number of models in a picture of intervals."""
_MOST_COMPARED = 16
"""Maximum number of models in a heat map."""
_LONGEST_NAME = 34


def summarize_leaderboard(
    leaderboard: Rows, signatures: Rows, names: Mapping[str, str], title: str
) -> AssetSummary:
    """Summarize accuracies with their intervals, and draw where models depart from their ability.

    Parameters
    ----------
    leaderboard : sequence of mappings
        Rows of the table `leaderboard`.
    signatures : sequence of mappings
        Rows of the table `model_signatures`.
    names : mapping from region to name
    title : str
        Name of the benchmark.
    """
    # A model that answered nothing on this map has no accuracy.
    ranked = sorted(leaderboard, key=lambda row: -(row["accuracy"] or 0.0))
    rows: list[list[Cell]] = [
        [row["model"], Share(row["accuracy"]), interval_text(row["low"], row["high"], ".1%")]
        for row in ranked
    ]
    summary: AssetSummary = {TABLE: table(["model", "accuracy", "95 % interval"], rows)}
    with_interval = [row for row in ranked if are_known(row["accuracy"], row["low"], row["high"])]
    if with_interval:
        intervals = [
            Interval(shortened_line(row["model"], _LONGEST_NAME),
                     *(100 * row[name] for name in ("accuracy", "low", "high")))
            for row in reversed(with_interval[:_MOST_MODELS])
        ]  # fmt: skip
        summary[PICTURE] = lambda: picture(
            _draw_intervals(intervals, f"{title}: accuracy, %, with 95 % interval"),
            f"accuracy of the models on {title}",
        )
    coarse = [row for row in signatures if row["level"] == 1]
    if len(ranked) >= FEWEST_MODELS and coarse:
        models = [row["model"] for row in ranked[:_MOST_COMPARED]]
        summary["signatures"] = lambda: picture(
            _draw_signatures(coarse, models, names, title),
            f"where models depart from their ability on {title}",
        )
    return summary


def summarize_comparison(pairs: Rows, title: str) -> AssetSummary:
    """Summarize the pairs of models that differ most, and draw all differences as a heat map.

    Parameters
    ----------
    pairs : sequence of mappings
        Rows of the table `model_pairs`.
    title : str
        Name of the benchmark.
    """
    if not pairs:
        return summarize_absence("There are no two models to compare.")
    rows: list[list[Cell]] = [
        [row["model_a"], row["model_b"], formatted(100 * row["difference"], "+.1f"),
         interval_text(100 * row["difference_low"], 100 * row["difference_high"], "+.1f"),
         row["gate_p"]]
        for row in sorted(pairs, key=lambda row: -abs(np.nan_to_num(row["difference"])))
    ]  # fmt: skip
    columns = [
        "model A", "model B", "error rate A − B, points", "95 % interval", "p: depends on topic",
    ]  # fmt: skip
    summary: AssetSummary = {TABLE: table(columns, rows)}
    known = [row for row in pairs if are_known(row["difference"])]
    if known:
        summary[PICTURE] = lambda: picture(
            _draw_differences(known, title), f"differences of the models on {title}"
        )
    return summary


def summarize_battles(
    winners: Mapping[str, int], judges: Mapping[str, int], rejects: int
) -> AssetSummary:
    """Summarize the verdicts of battles and their judges.

    Parameters
    ----------
    winners, judges : mapping from name to number of verdicts
    rejects : int
        Number of rows that could not be read.
    """
    total = sum(winners.values())
    rows: list[list[Cell]] = [
        [kind, name, number, share_of(number, total)]
        for kind, counts in (("winner", winners), ("judge", judges))
        for name, number in by_number(counts)
    ]
    if rejects:
        rows.append(["could not be read", "", rejects, Share(None)])
    return {TABLE: table(["by", "value", "verdicts", "share"], rows)}


def summarize_ratings(ratings: Rows, title: str) -> AssetSummary:
    """Summarize ratings, and draw them with their intervals, by kind of judge.

    Parameters
    ----------
    ratings : sequence of mappings
        Rows of the table `ratings`, best first.
    title : str
        Name of the battle set.
    """
    rows: list[list[Cell]] = [
        [row["judge_kind"], row["model"], formatted(row["rating"], ",.0f"),
         interval_text(row["low"], row["high"], ",.0f"), row["battles"]]
        for row in ratings
    ]  # fmt: skip
    columns = ["judges", "model", "rating", "95 % interval", "battles"]
    summary: AssetSummary = {TABLE: table(columns, rows)}
    known = [row for row in ratings if are_known(row["rating"], row["low"], row["high"])]
    if known:
        kinds = sorted({row["judge_kind"] for row in ratings})
        best = sorted(known, key=lambda row: -row["rating"])[:_MOST_MODELS]
        intervals = [
            Interval(
                shortened_line(f"{row['model']} ({row['judge_kind']})", _LONGEST_NAME),
                row["rating"], row["low"], row["high"], GROUPS[kinds.index(row["judge_kind"])],
                "od"[kinds.index(row["judge_kind"]) % 2],
            )
            for row in reversed(best)
        ]  # fmt: skip
        heading = f"{title}: Bradley-Terry ratings, Elo scale, with 95 % interval"
        summary[PICTURE] = lambda: picture(
            _draw_intervals(intervals, heading), f"ratings of the models in {title}"
        )
    return summary


@styled
def _draw_intervals(intervals: Sequence[Interval], title: str) -> Figure:
    figure, axes = new_figure(5.6, 0.8 + 0.19 * len(intervals))
    draw_intervals(axes, intervals)
    axes.set_title(shortened_line(title, 90), loc="left", fontsize=8)
    return figure


@styled
def _draw_signatures(
    rows: Rows, models: Sequence[str], names: Mapping[str, str], title: str
) -> Figure:
    cells = {(row["region_id"], row["model"]): row for row in rows if row["model"] in models}
    regions = sorted({region for region, _ in cells}, key=int)
    values, strength = (
        np.array([[number(cells.get((region, model))) for model in models] for region in regions])
        for number in (_excess, _strength)
    )
    figure, axes = new_figure(3.6 + 0.45 * len(models), 2.0 + 0.19 * len(regions))
    draw_cells(
        axes,
        values,
        np.abs(strength) >= STRONG,
        [shortened_line(f"{region} {names.get(region, '')}", _LONGEST_NAME) for region in regions],
        [shortened_line(model, _LONGEST_NAME) for model in models],
    )
    axes.set_xlabel(
        f"{shortened_line(title, 40)}: error rate beyond ability, points\n"
        f"bold: {STRONG:.0f} standard deviations or more"
    )
    return figure


def _excess(cell: Mapping[str, Any] | None) -> float:
    return 100 * cell["excess"] if cell is not None and cell["questions"] else np.nan


def _strength(cell: Mapping[str, Any] | None) -> float:
    if cell is None or not cell["questions"]:
        return np.nan
    return float(cell["deviation"] / cell["standard_deviation"])


@styled
def _draw_differences(pairs: Rows, title: str) -> Figure:
    differences: dict[str, list[float]] = {}
    for row in pairs:
        differences.setdefault(row["model_a"], []).append(row["difference"])
        differences.setdefault(row["model_b"], []).append(-row["difference"])
    # Models with fewer errors than the others come first.
    ranked = sorted(differences, key=lambda name: (float(np.mean(differences[name])), name))
    models = ranked[:_MOST_COMPARED]
    values = np.full((len(models), len(models)), np.nan)
    strong = np.zeros_like(values, dtype=np.bool_)
    for row in pairs:
        if row["model_a"] in models and row["model_b"] in models:
            first, second = models.index(row["model_a"]), models.index(row["model_b"])
            values[first, second] = 100 * row["difference"]
            values[second, first] = -100 * row["difference"]
            excludes_zero = row["difference_low"] > 0 or row["difference_high"] < 0
            strong[first, second] = strong[second, first] = excludes_zero
    names = [shortened_line(name, _LONGEST_NAME) for name in models]
    figure, axes = new_figure(3.6 + 0.45 * len(models), 2.2 + 0.22 * len(models))
    draw_cells(axes, values, strong, names, names)
    axes.set_xlabel(
        f"{shortened_line(title, 40)}: error rate of the row minus that of the column, points\n"
        "bold: the 95 % interval excludes 0"
    )
    return figure
