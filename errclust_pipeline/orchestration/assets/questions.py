"""Asset `questions`: the union of the questions that a benchmark's models were asked."""

import dataclasses
from typing import Any

import dagster as dg

from errclust_pipeline.analysis.question_map import content_version, merge_questions, questions_of
from errclust_pipeline.orchestration.resources import WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import StagePartition, open_benchmark
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages.declarations import QUESTIONS_STAGE
from errclust_pipeline.tables import QUESTIONS, RESPONSES
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition

_COLUMNS = ["question_id", "subject", "question", "choices", "gold"]


@stage_asset(QUESTIONS_STAGE)
def questions(
    context: dg.AssetExecutionContext, warehouse: WarehouseResource
) -> dg.MaterializeResult[Any]:
    """Distinct questions; a submission without a new one leaves the data version as it is."""
    target = open_benchmark(context, warehouse)
    parts, new_inputs = _stored_questions(target)
    for position, name in enumerate(new_inputs, 1):
        submission = SubmissionPartition(target.partition.benchmark, name.partition("|")[2])
        responses = target.warehouse.read(RESPONSES, submission, columns=_COLUMNS)
        # Merged one by one, so that memory holds only the union and one submission.
        parts = [merge_questions([*parts, questions_of(responses.to_pandas())])]
        context.log.info(
            f"{position} of {len(new_inputs)} submissions: {len(parts[0]):,} questions"
        )
    table = merge_questions(parts)
    target.provenance = dataclasses.replace(target.provenance, data_version=content_version(table))
    rows = QUESTIONS.from_frame(table)
    return target.materialize(
        {QUESTIONS: rows},
        rows.select(["question_id", "subject", "question", "gold"]),
        {"models": len(target.provenance.inputs), "submissions_read": len(new_inputs)},
        lambda: asset_summaries.summarize_questions(table),
    )


def _stored_questions(target: StagePartition[BenchmarkPartition]) -> tuple[list[Any], list[str]]:
    """Return the stored table, if all its inputs are still the same, and the names of new inputs.

    If a submission was revised or withdrawn, nothing is returned of the stored table, since some of
    its questions may be asked by no submission any more; then all inputs are new.
    """
    inputs = target.provenance.inputs
    stored = target.warehouse.provenance(QUESTIONS, target.partition)
    if (
        stored is None
        or stored.code_version != QUESTIONS_STAGE.code_version
        or any(inputs.get(name) != version for name, version in stored.inputs.items())
    ):
        return [], sorted(inputs)
    return [target.read(QUESTIONS).to_pandas()], sorted(set(inputs) - set(stored.inputs))
