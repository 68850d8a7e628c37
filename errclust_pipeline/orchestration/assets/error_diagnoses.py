"""Stage 11: why a sample of errors went wrong, each diagnosed by a language model."""

from collections import Counter
from typing import Any

import dagster as dg
import pyarrow as pa

from errclust_pipeline.analysis.diagnosis import Diagnosis, diagnosis_text
from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.analysis.language import AskFailure
from errclust_pipeline.orchestration.assets.materialization import (
    materialized,
    retry_what_is_transient,
)
from errclust_pipeline.orchestration.partitions import BENCHMARK_BY_MODEL, submission_of
from errclust_pipeline.orchestration.resources import LanguageModelResource, WarehouseResource
from errclust_pipeline.report import asset_summaries
from errclust_pipeline.stages import provenance, with_unanswered
from errclust_pipeline.stages.declarations import ERROR_DIAGNOSES_STAGE
from errclust_pipeline.tables import ERROR_DIAGNOSES
from errclust_pipeline.views.diagnoses import errors_to_diagnose

_NOT_ASKED_FOR = (
    "Nothing was asked: set a language model in [language_model], and in [diagnosis] the share of "
    "errors to be diagnosed, in errclust.toml."
)


@dg.asset(
    partitions_def=BENCHMARK_BY_MODEL,
    deps=["question_map", "raw_results", "error_table"],
    group_name="diagnosis",
    kinds={"openai", "parquet"},
    code_version=ERROR_DIAGNOSES_STAGE.code_version,
    pool="language_model",
)
@retry_what_is_transient
def error_diagnoses(
    context: dg.AssetExecutionContext,
    warehouse: WarehouseResource,
    language_model: LanguageModelResource,
) -> dg.MaterializeResult[Any]:
    """Diagnoses of a sample of errors; none unless a language model and a share are set."""
    store, partition, settings = warehouse.open(), submission_of(context), warehouse.settings()
    made_from = provenance(ERROR_DIAGNOSES_STAGE, store, settings, partition)
    wanted = settings.for_benchmark(partition.benchmark).diagnosis
    model = language_model.open(context.log.info)
    if model is None or not wanted.share:
        rows = ERROR_DIAGNOSES.schema.empty_table()
        store.write(ERROR_DIAGNOSES, partition, rows, made_from)
        return materialized(
            store,
            ERROR_DIAGNOSES,
            partition,
            made_from,
            0,
            None,
            summary=lambda: asset_summaries.summarize_absence(_NOT_ASKED_FOR),
        )

    to_do = errors_to_diagnose(store, partition, wanted, model.options.prompt_tokens)
    context.log.info(f"to be asked: {model.quote(to_do.prompts)}")
    answers = model.ask(to_do.prompts)
    made_from = with_unanswered(made_from, model.usage.failures)
    records = []
    for error, weight, answer in zip(
        to_do.errors.to_dict("records"), to_do.sample.weights, answers, strict=True
    ):
        record = {
            "example_id": error["example_id"],
            "question_id": error["question_id"],
            "region_id": error["region_id"],
            "weight": float(weight),
            "compared_with": error["compared_with"],
            "written_by": model.name,
        }
        if isinstance(answer, Diagnosis):
            text = diagnosis_text(answer)
            record |= answer.model_dump() | {"text": text, "text_id": text_id(text)}
        elif isinstance(answer, AskFailure):
            record["problem"] = f"{answer.kind.value}: {answer.reason}"
        records.append(record)
    rows = pa.Table.from_pylist(records, schema=ERROR_DIAGNOSES.schema)
    store.write(ERROR_DIAGNOSES, partition, rows, made_from)
    causes: Counter[str] = Counter()
    for record in records:
        causes[str(record.get("cause"))] += record["weight"]
    return materialized(
        store,
        ERROR_DIAGNOSES,
        partition,
        made_from,
        rows.num_rows,
        rows.select(["example_id", "cause", "diagnosis", "missing"]),
        {
            "diagnosed": sum("diagnosis" in record for record in records),
            "without_diagnosis": sum("problem" in record for record in records),
            "errors_by_cause_estimated": {name: round(n, 1) for name, n in causes.most_common()},
            **model.usage.to_metadata(),
        },
        lambda: asset_summaries.summarize_diagnoses(
            {name: n for name, n in causes.items() if name != "None"},
            sum("problem" in record for record in records),
        ),
    )
