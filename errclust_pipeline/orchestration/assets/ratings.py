"""Ratings of a battle set's models, overall and by region of the prompts."""

from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.ratings import (
    FEATURES,
    JudgedBattles,
    Ratings,
    regional_ratings,
    regions_at_levels,
    residual_by_prompt,
    style_differences,
)
from errclust_pipeline.analysis.spatial import (
    global_statistics,
    mutual_neighbours,
    neighbour_weights,
    neighbourhood_size,
)
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BATTLE_SETS, battle_set_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import RATINGS_STAGE
from errclust_pipeline.tables import BATTLE_REGIONS, RATINGS, REGIONAL_RATINGS, Table
from errclust_pipeline.views.battles import read_judged_battles, read_prompt_map


@dg.asset(
    partitions_def=BATTLE_SETS,
    deps=["battles", "prompt_map"],
    group_name="battles",
    kinds={"scipy", "parquet"},
    code_version=RATINGS_STAGE.code_version,
)
@retry_what_is_transient
def ratings(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Bradley-Terry ratings, and whether who wins depends on the topic (regional_ratings)."""
    store, partition = warehouse.open(), battle_set_of(context)
    made_from = provenance(RATINGS_STAGE, store, warehouse.settings(), partition)
    prompts = read_prompt_map(store, partition)
    verdicts = read_judged_battles(store, partition, prompts, responses=True)
    counter = ProgressCounter("rating", len(verdicts), "kinds of judges", context.log.info)
    rows: dict[str, list[pd.DataFrame]] = {table.name: [] for table in RATINGS_STAGE.tables}
    worth: dict[str, Any] = {}
    for kind, own in verdicts.items():
        overall = own.rate()
        table, worth[kind] = _overall(own, overall, prompts)
        rows[RATINGS.name].append(table.assign(judge_kind=kind))
        for level, regions in enumerate([own.subjects(), *regions_at_levels(prompts)]):
            found = regional_ratings(own.battles, overall, regions)
            same: dict[str, Any] = {"judge_kind": kind, "level": level}
            if len(found.regions):
                tested = found.regions.rename(columns={"region": "region_id"})
                rows[BATTLE_REGIONS.name].append(tested.assign(spread=found.spread, **same))
                by_model = found.models.rename(columns={"region": "region_id"})
                rows[REGIONAL_RATINGS.name].append(by_model.assign(**same))
        counter.advance(1)
    tables = {table.name: _table(table, rows[table.name]) for table in RATINGS_STAGE.tables}
    for one in (REGIONAL_RATINGS, BATTLE_REGIONS, RATINGS):
        store.write(one, partition, tables[one.name], made_from)
    shown = tables[RATINGS.name]
    return materialized(
        store,
        RATINGS,
        partition,
        made_from,
        shown.num_rows,
        shown.select(["judge_kind", "model", "rating", "low", "high", "battles", "moran_z"]),
        {
            "style": worth,
            "regions_unlike_others": int(
                np.sum(tables[BATTLE_REGIONS.name]["q"].to_numpy() < 0.05)
            ),
        },
        lambda: asset_summaries.summarize_ratings(shown.to_pylist(), partition.name),
    )


def _overall(
    own: JudgedBattles, overall: Ratings, prompts: QuestionMap
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows of `ratings`, and what style is worth to these judges."""
    models, battles = overall.models, own.battles
    wins = np.bincount(battles.first, battles.score, len(models))
    wins += np.bincount(battles.second, 1 - battles.score, len(models))
    k = neighbourhood_size(len(prompts), prompts.neighbours.shape[1])
    mutual = mutual_neighbours(prompts.neighbours[:, :k]) if k else None
    morans = []
    for model in models:
        marks = np.full(len(prompts), np.nan)
        residual = residual_by_prompt(battles, overall, model)
        marks[: len(residual)] = residual
        if k:
            weights = neighbour_weights(~np.isnan(marks), prompts.neighbours, [k], mutual)
            (found,) = global_statistics(
                marks, prompts.neighbours, [k], permutations=0, weights=weights
            )
            morans.append((found.moran, found.z))
        else:
            morans.append((np.nan, np.nan))
    style_rating, worth = _at_equal_style(own)
    table = pd.DataFrame(
        {
            "model": models,
            "battles": overall.battles,
            "win_rate": wins / overall.battles,
            "rating": overall.rating,
            "standard_error": overall.standard_errors,
            "low": overall.low,
            "high": overall.high,
            "clusters": overall.clusters,
            "component": overall.component,
            "bounded": overall.bounded,
            "style_rating": style_rating,
            "k": k,
            "moran": [moran for moran, _ in morans],
            "moran_z": [z for _, z in morans],
        }
    )
    return table.sort_values("rating", ascending=False), worth


def _at_equal_style(own: JudgedBattles) -> tuple[Any, dict[str, Any]]:
    """Rate models as if all wrote in one style; nulls where responses are not known."""
    responses = own.rows[["response_a", "response_b"]]
    if responses.isna().any(axis=None):
        return None, {}
    style = style_differences(*(responses[side].tolist() for side in responses))
    found = own.rate(covariates=style, names=FEATURES)
    worth = {
        one.name: {"estimate": one.estimate, "low": one.low, "high": one.high}
        for one in found.coefficients
        if not np.isnan(one.estimate)
    }
    return found.rating, worth


def _table(table: Table, parts: list[pd.DataFrame]) -> pa.Table:
    if not parts:
        return table.schema.empty_table()
    frame = pd.concat(parts, ignore_index=True)
    return pa.Table.from_pandas(frame[table.schema.names], table.schema, preserve_index=False)
