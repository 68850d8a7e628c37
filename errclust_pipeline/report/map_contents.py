"""What reports of benchmarks and battle sets share: places on the map, regions, and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.report.columns import packed
from errclust_pipeline.settings import Settings
from errclust_pipeline.stages import State, status
from errclust_pipeline.tables import Table
from errclust_pipeline.warehouse.keys import Partition
from errclust_pipeline.warehouse.warehouse import Warehouse

_LARGEST_PLACE = 65_535
"""Largest coordinate, so that places fit two bytes."""


def map_places(
    warehouse: Warehouse,
    table: Table,
    partition: Partition,
    question_map: QuestionMap,
    region_ids: Sequence[str],
) -> dict[str, Any]:
    """Return each point's place on the map and its smallest region, as packed columns.

    Parameters
    ----------
    table : Table
        `QUESTION_MAP` or `PROMPT_MAP`.
    region_ids : sequence of str
        The regions in the order by which the column ``region`` numbers them; -1 is none.

    Returns
    -------
    dict
        ``region``, ``x`` and ``y``; the places are None if the map has no layout.
    """
    rows = warehouse.read(table, partition, ["stands_for_itself", "position", "x", "y"])
    points = rows.filter(rows["stands_for_itself"]).sort_by("position")
    places = np.column_stack(
        [points[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in ("x", "y")]
    )
    number_of = {name: number for number, name in enumerate(region_ids)}
    regions = [number_of.get(name or "", -1) for name in question_map.region_ids]
    columns: dict[str, Any] = {"region": packed(regions, np.int16), "x": None, "y": None}
    if len(places) and np.isfinite(places).all():
        least = places.min(axis=0)
        # Both axes have one scale, so that distances keep their proportions.
        extent = float(np.ptp(places, axis=0).max()) or 1.0
        scaled = np.round((places - least) / extent * _LARGEST_PLACE)
        columns |= {"x": packed(scaled[:, 0], np.uint16), "y": packed(scaled[:, 1], np.uint16)}
    return columns


def described_regions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return regions, rows of `region_labels` or `prompt_regions`, under the page's names."""
    return [
        {
            "id": row["region_id"],
            "level": row["level"],
            "parent": row["parent_id"],
            "size": row["size"],
            "label": row["label"],
            "description": row["description"],
            "phrases": row["key_phrases"],
            "subject": row["main_subject"],
        }
        for row in rows
    ]


def stale_notes(
    warehouse: Warehouse, settings: Settings, partitions: Sequence[Partition], shown: set[str]
) -> list[str]:
    """Say which of the assets that a report shows are not up to date, and why.

    Parameters
    ----------
    shown : set of str
        Names of the assets.
    """
    with warehouse.listing_once():
        return [
            f"{asset} of {partition} is {asset_status.state}: {asset_status.reason}"
            for partition in partitions
            for asset, asset_status in status(warehouse, settings, partition).items()
            if asset in shown and asset_status.state is not State.FRESH
        ]
