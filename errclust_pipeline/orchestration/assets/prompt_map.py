"""The map of a battle set's prompts, and names of its regions."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.analysis.question_map import build_question_map, label_regions
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BATTLE_SETS, battle_set_of
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import PROMPT_MAP_STAGE
from errclust_pipeline.tables import BATTLES, PROMPT_MAP, PROMPT_REGIONS


@dg.asset(
    partitions_def=BATTLE_SETS,
    deps=["battles"],
    group_name="battles",
    kinds={"sentence-transformers", "parquet"},
    code_version=PROMPT_MAP_STAGE.code_version,
    pool="embedding",
)
@retry_what_is_transient
def prompt_map(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Neighbours, near-duplicates and named regions of a battle set's prompts (prompt_regions)."""
    store, partition = warehouse.open(), battle_set_of(context)
    settings = warehouse.settings().with_embedder(embedder.model, embedder.revision)
    made_from = provenance(PROMPT_MAP_STAGE, store, settings, partition)
    own = settings.for_benchmark(partition.name)
    prompts = store.read(BATTLES, partition, columns=["question_id", "prompt", "subject"])
    questions = prompts.to_pandas().drop_duplicates("question_id").reset_index(drop=True)
    questions = questions.rename(columns={"prompt": "question"}).assign(choices=None, gold=None)
    ids, texts = questions["question_id"].tolist(), questions["question"].tolist()
    text_ids = [text_id(text) for text in texts]
    questions = questions.assign(text=texts, text_id=text_ids)
    vectors, metadata = embed_texts(
        store.storage,
        embedder.open(),
        text_ids,
        dict(zip(text_ids, texts, strict=True)),
        context.log.info,
    )
    table = build_question_map(
        ids, texts, vectors, own.map.parameters(), own.clustering.parameters()
    )
    labels = label_regions(questions, vectors, table)
    rows, regions = (
        pa.Table.from_pandas(frame, schema=one.schema, preserve_index=False)
        for frame, one in ((table, PROMPT_MAP), (labels, PROMPT_REGIONS))
    )
    store.write(PROMPT_REGIONS, partition, regions, made_from)
    store.write(PROMPT_MAP, partition, rows, made_from)
    return materialized(
        store,
        PROMPT_MAP,
        partition,
        made_from,
        rows.num_rows,
        regions.select(["region_id", "label", "size", "main_subject"]),
        metadata
        | {
            "near_duplicates": int((~table["stands_for_itself"]).sum()),
            "regions": regions.num_rows,
        },
        lambda: asset_summaries.summarize_map(
            table[table["stands_for_itself"]],
            partition.name,
            dict(zip(labels["region_id"], labels["label"], strict=True)),
        ),
    )
