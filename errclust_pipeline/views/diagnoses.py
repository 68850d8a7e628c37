"""What a language model is asked about a model's errors: for the asset, and for a quote.

The sample is drawn here because only the sampled responses are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis.arbitrary_order import arbitrary_order
from errclust_pipeline.analysis.diagnosis import (
    DiagnosisCase,
    Sample,
    diagnosis_prompt,
    stratified_sample,
)
from errclust_pipeline.analysis.language import Prompt
from errclust_pipeline.settings import DiagnosisSettings
from errclust_pipeline.tables import ERRORS, QUESTION_MAP, RESPONSES
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.warehouse import Warehouse

_MODELS_TO_COMPARE_WITH = 8
"""Maximum number of models among whose responses a right one is looked for. With a maximum, a
submission costs the same however many models there are."""


@dataclass(frozen=True)
class ErrorsToDiagnose:
    """A sample of a model's errors, and the prompt that asks about each.

    Attributes
    ----------
    errors : DataFrame, length n
        Sampled rows of the table `errors`. ``region_id`` is each one's region of level 1, and
        ``compared_with`` the model whose right response is in the prompt; either may be null.
    sample : Sample
        Which rows of the table these are, and how many errors each stands for.
    prompts : list of Prompt, length n
    """

    errors: pd.DataFrame
    sample: Sample
    prompts: list[Prompt]


def errors_to_diagnose(
    store: Warehouse, partition: SubmissionPartition, wanted: DiagnosisSettings, prompt_tokens: int
) -> ErrorsToDiagnose:
    """Draw a sample of a model's errors, stratified by the map's regions, and write the prompts.

    Parameters
    ----------
    store : Warehouse
    partition : SubmissionPartition
    wanted : DiagnosisSettings
        The share of the errors to sample, and the maximum number.
    prompt_tokens : int
        Maximum length of a prompt.

    Returns
    -------
    ErrorsToDiagnose

    Raises
    ------
    WarehouseError
        If the model's errors or the map do not exist yet.
    """
    errors = store.read(ERRORS, partition).to_pandas()
    places = store.read(
        QUESTION_MAP, BenchmarkPartition(partition.benchmark), columns=["question_id", "region_id"]
    ).to_pydict()
    region_of = {
        question: region.split(".")[0] if region is not None else None
        for question, region in zip(places["question_id"], places["region_id"], strict=True)
    }
    regions = [region_of.get(question) for question in errors["question_id"]]
    sample = stratified_sample(errors["example_id"].tolist(), regions, wanted.share, wanted.most)
    drawn = errors.iloc[sample.rows].reset_index(drop=True)
    drawn["region_id"] = pd.Series([regions[row] for row in sample.rows], dtype="object")
    rows = store.read(
        RESPONSES,
        partition,
        columns=["example_id", "question", "choices", "gold", "response", "prediction"],
        filters=pc.field("example_id").isin(pa.array(drawn["example_id"], pa.string())),
    ).to_pylist()
    responses = {row["example_id"]: row for row in rows}
    right = _right_responses(store, partition, drawn["question_id"].tolist())
    drawn["compared_with"] = pd.Series(
        [right.get(question, (None, None))[0] for question in drawn["question_id"]], dtype="object"
    )
    prompts = [
        diagnosis_prompt(
            DiagnosisCase(
                **{
                    name: responses[example_id][name]
                    for name in ("question", "choices", "gold", "response", "prediction")
                },
                failure_form=form,
                right_response=right.get(question, (None, None))[1],
            ),
            prompt_tokens,
        )
        for example_id, question, form in zip(
            drawn["example_id"], drawn["question_id"], drawn["failure_form"], strict=True
        )
    ]
    return ErrorsToDiagnose(drawn, sample, prompts)


def _right_responses(
    store: Warehouse, partition: SubmissionPartition, questions: list[str]
) -> dict[str, tuple[Any, Any]]:
    """Read for each question a model that was right and wrote something, and what it wrote.

    If there are several such models, a hash decides. So the choice mostly stays when models are
    added, and stored answers of the language model can be reused.
    """
    others = [model for model in models_of(store, partition.benchmark) if model != partition.model]
    others = sorted(others, key=arbitrary_order)[:_MODELS_TO_COMPARE_WITH]
    wanted = pa.array(questions, pa.string())
    right_responses: dict[str, tuple[Any, Any]] = {}
    for model in others:
        rows = store.read(
            RESPONSES,
            SubmissionPartition(partition.benchmark, model),
            columns=["question_id", "response"],
            filters=pc.field("correct")
            & pc.field("response").is_valid()
            & pc.field("question_id").isin(wanted),
        ).to_pydict()
        for question, response in zip(rows["question_id"], rows["response"], strict=True):
            right_responses.setdefault(question, (model, response))
    return right_responses
