"""Summaries of what to train on: chosen candidates, and diagnosed causes of errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.report.asset_summaries.summary import (
    PICTURE,
    TABLE,
    AssetSummary,
    by_number,
    share_of,
    summarize_absence,
)
from errclust_pipeline.report.drawing import (
    DIM,
    DIVERGING,
    new_figure,
    only_below,
    styled,
)
from errclust_pipeline.report.markdown import Cell, Share, picture, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from errclust_pipeline.analysis.selection import ChosenCandidates


def summarize_candidates(candidates: ChosenCandidates, title: str) -> AssetSummary:
    """Summarize the demand that the candidates cover, beside other ways to choose as many.

    Parameters
    ----------
    candidates : ChosenCandidates
    title : str
        Name of the model and its benchmark.
    """
    number = len(candidates.selection.picks)
    if not number:
        return summarize_absence("There is no error to choose training examples for.")
    rows: list[list[Cell]] = [[f"these {number:,} candidates", Share(candidates.coverage)]]
    rows += [[name, Share(covered)] for name, covered in by_number(candidates.baselines)]
    return {
        TABLE: table(["as many, chosen by", "demand covered"], rows)
        + f"\n\nThe first {candidates.suggested:,} cover nine tenths of what all of them cover.",
        PICTURE: lambda: picture(
            _saturation(candidates, title), f"demand of {title} covered, by number of candidates"
        ),
    }


@styled
def _saturation(candidates: ChosenCandidates, title: str) -> Figure:
    figure, axes = new_figure(4.8, 2.9)
    coverage = 100 * np.asarray(candidates.selection.coverage)
    axes.plot(
        np.arange(1, len(coverage) + 1), coverage, color=DIVERGING[-1], label="these candidates"
    )
    for at, (name, covered) in enumerate(by_number(candidates.baselines)):
        axes.plot(
            len(coverage), 100 * covered, "osD^v"[at % 5], color=DIVERGING[0], markersize=4,
            label=name,
        )  # fmt: skip
    axes.axvline(candidates.suggested, color=DIM, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_ylim(0, 102)
    axes.set_xlabel(
        f"candidates (dashed: {candidates.suggested:,}, nine tenths of what all of them cover)"
    )
    axes.set_ylabel("demand covered, %")
    axes.legend(frameon=False, fontsize=6)
    only_below(axes)
    axes.set_title(shortened_line(title, 80), loc="left", fontsize=8)
    return figure


def summarize_diagnoses(causes: Mapping[str, float], without: int) -> AssetSummary:
    """Summarize how many errors are estimated to have each cause.

    Parameters
    ----------
    causes : mapping from cause to weighted number of errors
    without : int
        Number of sampled errors for which no diagnosis was given.
    """
    total = sum(causes.values())
    rows: list[list[Cell]] = [
        [cause, round(number), share_of(number, total)] for cause, number in by_number(causes)
    ]
    if without:
        rows.append(["sampled, not diagnosed", without, Share(None)])
    return {TABLE: table(["cause", "errors, estimated", "share"], rows)}
