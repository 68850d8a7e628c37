"""Asset `error_diagnoses`: why a sample of errors went wrong, according to a language model."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import dagster as dg

from errclust_pipeline.analysis.diagnosis import Diagnosis, diagnosis_text
from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.analysis.language import AskFailure
from errclust_pipeline.orchestration.resources import LanguageModelResource, WarehouseResource
from errclust_pipeline.orchestration.stage_asset import stage_asset
from errclust_pipeline.orchestration.stage_partition import open_submission
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import with_unanswered
from errclust_pipeline.stages.declarations import ERROR_DIAGNOSES_STAGE
from errclust_pipeline.tables import ERROR_DIAGNOSES
from errclust_pipeline.views.diagnoses import errors_to_diagnose

_NOT_ASKED_FOR = (
    "Nothing was asked: set a language model in [language_model], and in [diagnosis] the share of "
    "errors to be diagnosed, in errclust.toml."
)


@stage_asset(ERROR_DIAGNOSES_STAGE)
def error_diagnoses(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    language_model: LanguageModelResource,
) -> dg.MaterializeResult[Any]:
    """Diagnoses of a sample of errors; none unless a language model and a share are set."""
    target = open_submission(context, warehouse)
    chosen = target.chosen.diagnosis
    model = language_model.open(context.log.info)
    if model is None or not chosen.share:
        return target.materialize(
            {ERROR_DIAGNOSES: ERROR_DIAGNOSES.schema.empty_table()},
            None,
            summary=lambda: asset_summaries.summarize_absence(_NOT_ASKED_FOR),
        )
    questions = errors_to_diagnose(
        target.warehouse, target.partition, chosen, model.options.prompt_tokens
    )
    context.log.info(f"to be asked: {model.quote(questions.prompts)}")
    answers = model.ask(questions.prompts)
    target.provenance = with_unanswered(target.provenance, model.usage.failures)
    records = [
        _record(error, float(weight), answer, model.name)
        for error, weight, answer in zip(
            questions.errors.to_dict("records"), questions.sample.weights, answers, strict=True
        )
    ]
    rows = ERROR_DIAGNOSES.from_records(records)
    without_diagnosis = sum("problem" in record for record in records)
    causes: Counter[str] = Counter()
    for record in records:
        causes[str(record.get("cause"))] += record["weight"]
    return target.materialize(
        {ERROR_DIAGNOSES: rows},
        rows.select(["example_id", "cause", "diagnosis", "missing"]),
        {
            "diagnosed": sum("diagnosis" in record for record in records),
            "without_diagnosis": without_diagnosis,
            "errors_by_cause_estimated": {
                cause: round(number, 1) for cause, number in causes.most_common()
            },
            **model.usage.to_metadata(),
        },
        lambda: asset_summaries.summarize_diagnoses(
            {cause: number for cause, number in causes.items() if cause != "None"},
            without_diagnosis,
        ),
    )


def _record(
    error: Mapping[Any, Any], weight: float, answer: Diagnosis | AskFailure | Any, written_by: str
) -> dict[str, Any]:
    """Return an error's row: its diagnosis, or why the language model gave none."""
    record = {
        "example_id": error["example_id"],
        "question_id": error["question_id"],
        "region_id": error["region_id"],
        "weight": weight,
        "compared_with": error["compared_with"],
        "written_by": written_by,
    }
    if isinstance(answer, Diagnosis):
        text = diagnosis_text(answer)
        record |= answer.model_dump() | {"text": text, "text_id": text_id(text)}
    elif isinstance(answer, AskFailure):
        record["problem"] = f"{answer.kind.value}: {answer.reason}"
    return record
