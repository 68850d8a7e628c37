"""Asset `training_candidates`: which examples a fine-tune would profit from most."""

from typing import Any

import dagster as dg

from errclust_pipeline.analysis.selection import choose_candidates, model_demand
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.orchestration.resources import EmbedderResource, WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import TRAINING_CANDIDATES_STAGE
from errclust_pipeline.tables import SUSPECTED_FAULTS, TRAINING_CANDIDATES
from errclust_pipeline.views.demand import read_selection_inputs

_DEMAND_COLUMNS = ("weight", "local_rate", "others_right", "hot", "reach", "trust")


@stage_asset(TRAINING_CANDIDATES_STAGE)
def training_candidates(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
) -> dg.MaterializeResult[Any]:
    """Errors to write training examples like, the most useful first, each with its reason.

    They are questions of the development split: training data should resemble them, and must never
    contain them. Questions whose key is suspected are listed for review (table suspected_faults).
    """
    target = open_submission(context, warehouse, embedder)
    chosen = target.chosen
    inputs = read_selection_inputs(
        target.warehouse, target.partition, chosen.statistics.leave_out_artefacts
    )
    model = model_demand(inputs.evidence, chosen.selection.development_share)
    on_map = [inputs.questions[name] for name in model.questions.question_ids]
    text_ids = [row["text_id"] for row in on_map]
    texts = {row["text_id"]: row["text"] for row in on_map}
    vectors, _ = embed_texts(
        target.warehouse.storage, embedder.open(), text_ids, texts, context.log.info
    )
    choice = choose_candidates(
        model,
        vectors,
        [model.questions.question_ids[row] for row in model.rows],
        vectors[model.rows],
        chosen.selection.budget,
        inputs.labels,
    )
    picks = choice.picks.rename(columns={"candidate_id": "question_id"})
    picks["question"] = [inputs.questions[name]["question"] for name in picks["question_id"]]
    picked_rows = model.rows[choice.selection.picks]
    for name in _DEMAND_COLUMNS:
        picks[name] = getattr(model.demand, name)[picked_rows]
    rows = TRAINING_CANDIDATES.from_frame(picks)
    coverages = {
        f"coverage_{name.replace(' ', '_')}": coverage
        for name, coverage in choice.baselines.items()
    }
    return target.materialize(
        {
            TRAINING_CANDIDATES: rows,
            SUSPECTED_FAULTS: SUSPECTED_FAULTS.from_records(model.suspects),
        },
        rows.select(["rank", "question", "label", "gain", "coverage", "reason"]),
        {
            "coverage": choice.coverage,
            **coverages,
            "suggested_budget": choice.suggested,
            "errors_with_demand": len(model.rows),
            "suspected_faults": len(model.suspects),
            "held_out_questions": len(model.held_out),
        },
        lambda: asset_summaries.summarize_candidates(choice, target.title),
    )
