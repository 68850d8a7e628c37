"""Stage 13: which examples a fine-tune would profit from, and errors that are none."""

from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.selection import choose_candidates, model_demand
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
    told,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance
from errclust_pipeline.stages.declarations import TRAINING_CANDIDATES_STAGE
from errclust_pipeline.tables import SUSPECTED_FAULTS, TRAINING_CANDIDATES
from errclust_pipeline.views.demand import read_selection_inputs


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["questions", "question_map", "region_labels", "raw_results", "error_table", "hot_spots"],
    group_name="selection",
    kinds={"scipy", "parquet"},
    code_version=TRAINING_CANDIDATES_STAGE.code_version,
    pool="embedding",
)
@retry_what_is_transient
def training_candidates(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Errors to write examples like, most telling first, each with its reason.

    They are questions of the development split: what training data is to be like, never training
    data. Questions whose key is suspected are listed for review (table suspected_faults).
    """
    store, partition = warehouse.open(), submission_of(context)
    settings = warehouse.settings().with_embedder(embedder.model, embedder.revision)
    made_from = provenance(TRAINING_CANDIDATES_STAGE, store, settings, partition)
    chosen = settings.for_benchmark(partition.benchmark)
    inputs = read_selection_inputs(store, partition, chosen.statistics.leave_out_artefacts)
    model = model_demand(inputs.evidence, chosen.selection.development_share)
    known = inputs.questions
    own = [known[name] for name in model.questions.question_ids]
    texts = {row["text_id"]: row["text"] for row in own}
    text_ids = [row["text_id"] for row in own]
    vectors, _ = embed_texts(store.storage, embedder.open(), text_ids, texts, context.log.info)
    found = choose_candidates(
        model,
        vectors,
        [model.questions.question_ids[row] for row in model.rows],
        vectors[model.rows],
        chosen.selection.budget,
        inputs.labels,
    )
    picks = found.picks.rename(columns={"candidate_id": "question_id"})
    at = model.rows[found.selection.picks]
    picks["question"] = [known[name]["question"] for name in picks["question_id"]]
    for name in ("weight", "local_rate", "others_right", "hot", "reach", "trust"):
        picks[name] = getattr(model.demand, name)[at]
    rows = pa.Table.from_pandas(
        picks[TRAINING_CANDIDATES.schema.names],
        schema=TRAINING_CANDIDATES.schema,
        preserve_index=False,
    )
    suspects = pa.Table.from_pylist(model.suspects, schema=SUSPECTED_FAULTS.schema)
    store.write(SUSPECTED_FAULTS, partition, suspects, made_from)
    store.write(TRAINING_CANDIDATES, partition, rows, made_from)
    return materialized(
        store,
        TRAINING_CANDIDATES,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["rank", "question", "label", "gain", "coverage", "reason"]),
        {
            "coverage": found.coverage,
            **{f"coverage_{name.replace(' ', '_')}": one for name, one in found.baselines.items()},
            "suggested_budget": found.suggested,
            "errors_with_demand": len(model.rows),
            "suspected_faults": len(model.suspects),
            "held_out_questions": len(model.held_out),
        },
        lambda: asset_summaries.summarize_candidates(found, told(partition)),
    )
