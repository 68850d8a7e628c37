"""Asset `prompt_map`: the map of a battle set's prompts, and names of its regions."""

from typing import Any

import dagster as dg

from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.analysis.question_map import build_question_map, label_regions
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_battle_set
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import PROMPT_MAP_STAGE
from errclust_pipeline.tables import BATTLES, PROMPT_MAP, PROMPT_REGIONS


@stage_asset(PROMPT_MAP_STAGE)
def prompt_map(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Neighbours, near-duplicates and named regions of a battle set's prompts (prompt_regions)."""
    target = open_battle_set(context, warehouse, embedder)
    battles = target.read(BATTLES, ["question_id", "prompt", "subject"]).to_pandas()
    prompts = battles.drop_duplicates("question_id").reset_index(drop=True)
    prompts = prompts.rename(columns={"prompt": "question"}).assign(choices=None, gold=None)
    question_ids, texts = prompts["question_id"].tolist(), prompts["question"].tolist()
    text_ids = [text_id(text) for text in texts]
    prompts = prompts.assign(text=texts, text_id=text_ids)
    vectors, metadata = embed_texts(
        target.warehouse.storage,
        embedder.open(),
        text_ids,
        dict(zip(text_ids, texts, strict=True)),
        context.log.info,
    )
    table = build_question_map(
        question_ids,
        texts,
        vectors,
        target.chosen.map.parameters(),
        target.chosen.clustering.parameters(),
    )
    labels = label_regions(prompts, vectors, table)
    regions = PROMPT_REGIONS.from_frame(labels)
    return target.materialize(
        {PROMPT_MAP: PROMPT_MAP.from_frame(table), PROMPT_REGIONS: regions},
        regions.select(["region_id", "label", "size", "main_subject"]),
        metadata
        | {
            "near_duplicates": int((~table["stands_for_itself"]).sum()),
            "regions": regions.num_rows,
        },
        lambda: asset_summaries.summarize_map(
            table[table["stands_for_itself"]],
            target.title,
            dict(zip(labels["region_id"], labels["label"], strict=True)),
        ),
    )
