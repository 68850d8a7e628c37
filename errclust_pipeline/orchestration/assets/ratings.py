"""Asset `ratings`: ratings of a battle set's models, overall and by region of the prompts."""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from errclust_pipeline.analysis.ratings import regional_ratings, regions_at_levels
from errclust_pipeline.analysis.ratings.rating_table import rating_table
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_battle_set
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import RATINGS_STAGE
from errclust_pipeline.tables import BATTLE_REGIONS, RATINGS, REGIONAL_RATINGS, Table
from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map

_SHOWN_BELOW_Q = 0.05
"""Regions with a q value below this are counted as unlike the others, for display."""


@stage_asset(RATINGS_STAGE)
def ratings(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Bradley-Terry ratings, and whether who wins depends on the topic (regional_ratings)."""
    target = open_battle_set(context, warehouse)
    prompts = read_prompt_map(target.warehouse, target.partition)
    by_judge = read_judged_battles(target.warehouse, target.partition, prompts, responses=True)
    counter = ProgressCounter("rating", len(by_judge), "kinds of judges", context.log.info)
    frames: dict[Table, list[pd.DataFrame]] = {table: [] for table in target.stage.tables}
    style: dict[str, Any] = {}
    for kind, judged in by_judge.items():
        overall = judged.rate()
        table, style[kind] = rating_table(judged, overall, prompts)
        frames[RATINGS].append(table.assign(judge_kind=kind))
        for level, regions in enumerate([judged.subjects(), *regions_at_levels(prompts)]):
            regional = regional_ratings(judged.battles, overall, regions)
            if len(regional.regions):
                tested = regional.regions.rename(columns={"region": "region_id"})
                tested = tested.assign(spread=regional.spread, judge_kind=kind, level=level)
                frames[BATTLE_REGIONS].append(tested)
                by_model = regional.models.rename(columns={"region": "region_id"})
                frames[REGIONAL_RATINGS].append(by_model.assign(judge_kind=kind, level=level))
        counter.advance(1)
    rows = {table: _concatenated(table, parts) for table, parts in frames.items()}
    return target.materialize(
        rows,
        rows[RATINGS].select(
            ["judge_kind", "model", "rating", "low", "high", "battles", "moran_z"]
        ),
        {
            "style": style,
            "regions_unlike_others": int(
                np.sum(rows[BATTLE_REGIONS]["q"].to_numpy() < _SHOWN_BELOW_Q)
            ),
        },
        lambda: asset_summaries.summarize_ratings(rows[RATINGS].to_pylist(), target.title),
    )


def _concatenated(table: Table, frames: list[pd.DataFrame]) -> pa.Table:
    if not frames:
        return table.schema.empty_table()
    return table.from_frame(pd.concat(frames, ignore_index=True))
