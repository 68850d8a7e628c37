"""Summaries of maps and clusters: how large their groups are, and where they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.report.asset_summaries.summary import (
    PICTURE,
    TABLE,
    AssetSummary,
    by_number,
    counted,
)
from errclust_pipeline.report.drawing import (
    draw_groups,
    name_places,
    new_figure,
    styled,
)
from errclust_pipeline.report.markdown import Cell, Share, picture, table

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def summarize_clusters(clusters: pd.DataFrame, title: str) -> AssetSummary:
    """Summarize the sizes of the coarsest clusters, and draw where they lie.

    Parameters
    ----------
    clusters : DataFrame
        Rows of the table `error_clusters`.
    title : str
        Name of the model and its benchmark.
    """
    coarsest = clusters[clusters["level"] == 1]
    rows: list[list[Cell]] = []
    outside = int(coarsest["cluster_id"].isna().sum())
    if outside:
        rows.append(["in no cluster", outside, Share(outside / len(coarsest))])
    rows += [
        [f"cluster {name}", number, Share(number / len(coarsest))]
        for name, number in counted(coarsest["cluster_id"])
    ]
    ids = [name if isinstance(name, str) else None for name in coarsest["cluster_id"].tolist()]
    names = {name: name for name in ids if name}
    return {
        TABLE: table(["cluster", "errors", "share of errors"], rows),
        **_map_of_groups(coarsest, ids, names, f"errors of {title}, coloured by cluster"),
    }


def summarize_labels(labels: pd.DataFrame) -> AssetSummary:
    """Summarize the names of clusters, largest first, and how well they fit.

    Parameters
    ----------
    labels : DataFrame
        Rows of the table `cluster_labels` or `diagnosis_labels`.
    """
    ordered = labels.sort_values(["level", "size"], ascending=[True, False], kind="stable")
    rows: list[list[Cell]] = [
        [row["cluster_id"], row["size"], Share(row["faithfulness"]), row["label"]]
        for row in ordered.to_dict("records")
    ]
    return {TABLE: table(["cluster", "errors", "name fits (50% is guessing)", "name"], rows)}


def summarize_map(
    places: pd.DataFrame, title: str, names: Mapping[str, str] | None = None
) -> AssetSummary:
    """Summarize the sizes of a map's coarsest regions, and draw where they lie.

    Parameters
    ----------
    places : DataFrame
        Rows of the table `question_map` or `prompt_map`: ``region_id``, ``x`` and ``y``.
    title : str
        Name of the benchmark or battle set.
    names : mapping from region to name, optional
        The regions' ids are shown if it is not given.
    """
    coarsest = [coarsest_region(region) for region in places["region_id"].tolist()]
    sizes = Counter(region or "" for region in coarsest)
    rows: list[list[Cell]] = []
    for region, number in by_number(sizes):
        where = f"region {region}" if region else "in no region"
        name: list[Cell] = [] if names is None else [names.get(region, "")]
        rows.append([where, number, Share(number / len(places)), *name])
    columns = ["region", "questions", "share", *([] if names is None else ["name"])]
    shown_names = {region: region for region in sizes} if names is None else names
    return {
        TABLE: table(columns, rows),
        **_map_of_groups(
            places, coarsest, shown_names, f"questions of {title}, coloured by region"
        ),
    }


def coarsest_region(region: Any) -> str | None:
    """Return the coarsest region that a region is part of; None if there is none."""
    return region.split(".")[0] if isinstance(region, str) else None


def is_laid_out(places: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows have a place in two dimensions."""
    known: npt.NDArray[np.bool_] = places[["x", "y"]].notna().all(axis=1).to_numpy()
    return known


def xy(places: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    """Return the coordinates of places as two arrays."""
    return [places[name].to_numpy(dtype=np.float64) for name in ("x", "y")]


def _map_of_groups(
    places: pd.DataFrame, groups: Sequence[str | None], names: Mapping[str, str], what: str
) -> AssetSummary:
    known = is_laid_out(places)
    if not known.any():
        return {}
    known_groups = [group for group, is_known in zip(groups, known, strict=True) if is_known]
    return {
        PICTURE: lambda: picture(
            _draw_groups(places[known], known_groups, names, what), f"map of {what}"
        )
    }


@styled
def _draw_groups(
    places: pd.DataFrame, groups: Sequence[str | None], names: Mapping[str, str], what: str
) -> Figure:
    x, y = xy(places)
    figure, axes = new_figure(5.2, 4.6)
    draw_groups(axes, x, y, groups)
    name_places(axes, x, y, groups, names)
    axes.set_title(f"{len(x):,} {shortened_line(what, 90)}", loc="left", fontsize=8)
    return figure
