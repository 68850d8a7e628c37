"""Reader of LLM-Uncertainty-Bench: a model's logits of the six options of each question.

The logits are pickles, one a model, task and prompt; the questions with their answers are JSON
files, one a task, which the authors publish apart. A response here is the option of the largest
logit; nothing was generated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    IncompleteSourceError,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.parsing.array_pickle import PickledArray, read_array_pickle
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.rows import (
    batches,
    constant_option,
    files_below,
    metadata_json,
    text_of,
)
from errclust_pipeline.sources.registry import RegisteredReader

TASKS = ("mmlu_10k", "cosmosqa_10k", "hellaswag_10k", "halu_dialogue", "halu_summarization")
DEMONSTRATIONS = frozenset({1, 3, 5, 7, 9})
"""Positions of the questions that stand, with their answers, in the prompts of all others.

The authors leave them out of every figure, and so does this reader.
"""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FILE_NAME = re.compile(
    rf"(?P<model>.+)_(?P<task>{'|'.join(TASKS)})_(?P<prompt>(?:base|shared|task)_icl\d+(?:_cot)?)\.pkl"
)
_MOST_ID_BITS = 64
_CHAT_TEMPLATE = "outputs_chat_v1"
"""The authors' folder of chat models prompted by their templates; other folders' prompts are the
same for all models."""


@dataclass(frozen=True)
class _Answer:
    """What a model's logits say of a question."""

    question: Mapping[str, Any]
    log_likelihoods: list[float]
    choice: int


class LlmUncertaintyReader(RegisteredReader):
    """LLM-Uncertainty-Bench: `<model>_<task>_<prompt>_icl<shots>.pkl`, with `<task>.json`.

    Each prompt is a benchmark of its own, `llm_uncertainty_<task>_<prompt>_icl<shots>`, since a
    model answers otherwise to another prompt; those of `outputs_chat_v1`, where each chat model has
    its own template, end in `_chat_v1`. `choice_log_likelihoods` are the log-softmax of the logits
    over the options: the softmax that conformal prediction takes is their exponential, and what the
    logits add to it, a constant a row, no analysis asks for.
    """

    name = "llm_uncertainty"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the pickles of the authors' names; none is loaded before it is read."""
        files = list(files_below(path)) if path.is_dir() else [path]
        matches = [(file, _FILE_NAME.fullmatch(file.name)) for file in files]
        named = [(file, match) for file, match in matches if match is not None]
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        for option, given in (("benchmark", benchmark), ("model", model)):
            if given and len(named) > 1:
                raise SourceError(
                    f"{path} holds {len(named)} files of logits, and option {option} names only "
                    "one: give one file, or leave the option out"
                )
        submissions = []
        for file, match in named:
            questions = _questions(file, match["task"])
            submissions.append(
                Submission(
                    benchmark=benchmark or _benchmark(file, match),
                    model=model or match["model"],
                    reader=self.name,
                    files=(str(file), str(questions)),
                    revision=file_fingerprint(file, questions),
                    options=dict(options),
                )
            )
        return submissions

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the answers in the order of the questions; demonstrations are skipped."""
        logits, questions = (Path(file) for file in submission.files)
        return batches(submission, batch_rows, _rows(logits, questions), _to_row, self.expects)


def _benchmark(file: Path, match: re.Match[str]) -> str:
    name = f"llm_uncertainty_{match['task']}_{match['prompt']}"
    return f"{name}_chat_v1" if file.resolve().parent.name == _CHAT_TEMPLATE else name


def _questions(file: Path, task: str) -> Path:
    """Return the task's file of questions, which lies where the authors' code looks for it."""
    folder = file.resolve().parent
    for place in (folder, folder.parent / "data", folder / "data", folder.parent):
        if (path := place / f"{task}.json").is_file():
            return path
    raise IncompleteSourceError(
        f"{file} holds logits only: put the questions they are of, {task}.json, beside it or into "
        f"{folder.parent / 'data'}. The README of LLM-Uncertainty-Bench tells where they are"
    )


def _rows(file: Path, questions: Path) -> Iterator[tuple[int, Any]]:
    """Yield an `_Answer` for each array of logits, or the `RowError` that it has."""
    entries = read_array_pickle(file)
    if not isinstance(entries, list):
        raise SourceError(
            f"{file} holds a {type(entries).__name__}, expected a list of logits: "
            "it is not of LLM-Uncertainty-Bench"
        )
    positions: dict[int | str, int] = {}
    vectors: list[npt.NDArray[np.float64]] = []
    places: dict[int, int] = {}
    for position, entry in enumerate(entries):
        parsed = _parse(entry, positions, vectors)
        if isinstance(parsed, RowError):
            yield position, parsed
            continue
        identity, vector = parsed
        positions[identity] = position
        places[position] = len(vectors)
        vectors.append(vector)
    logits = np.stack(vectors) if vectors else np.empty((0, 0))
    finite: list[bool] = np.logical_and.reduce(np.isfinite(logits), axis=1).tolist()
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    likelihoods = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows, choices = likelihoods.tolist(), logits.argmax(axis=1).tolist() if vectors else []
    for _, question in rows_of_json_file(questions):
        asked = question.get("id") if isinstance(question, dict) else None
        if isinstance(asked, int | str) and asked in positions:
            position = positions.pop(asked)
            place = places[position]
            if finite[place]:
                yield position, _Answer(question, rows[place], choices[place])
            else:
                detail = "logits_options holds numbers that are not finite"
                yield position, RowError("unreadable_logits", detail)
    for position in positions.values():
        detail = f"{questions.name} holds no question of this id that can be read"
        yield position, RowError("unknown_question", detail)


def _parse(
    entry: Any, known: Mapping[int | str, int], vectors: list[npt.NDArray[np.float64]]
) -> tuple[int | str, npt.NDArray[np.float64]] | RowError:
    if not isinstance(entry, dict):
        return RowError(
            "not_an_object", f"the row is a {type(entry).__name__}, expected a dictionary"
        )
    identity, array = entry.get("id"), entry.get("logits_options")
    # A whole number of any length may stand in all rows, and each time would be hashed anew.
    if not isinstance(identity, int | str) or (
        isinstance(identity, int) and identity.bit_length() > _MOST_ID_BITS
    ):
        return RowError("missing_id", "the row has no id that is a number or a text")
    if identity in known:
        return RowError("duplicate_id", "the row's id stands in an earlier row, which was kept")
    if not isinstance(array, PickledArray):
        return RowError("unreadable_logits", "the row has no array logits_options")
    # Before it is looked into: all rows may share one array as large as the file.
    if len(array.shape) != 1 or not 0 < array.shape[0] <= len(_LETTERS):
        detail = f"logits_options is not one row of 1 to {len(_LETTERS)} numbers"
        return RowError("unreadable_logits", detail)
    try:
        vector = array.vector()
    except ValueError as error:
        return RowError("unreadable_logits", f"logits_options cannot be read: {error}")
    if vectors and vector.size != vectors[0].size:
        detail = f"the row has {vector.size} logits, those before it {vectors[0].size}"
        return RowError("unreadable_logits", detail)
    return identity, vector


def _to_row(position: int, answer: _Answer) -> dict[str, Any] | RowError | None:
    if position in DEMONSTRATIONS:
        return None
    question = answer.question
    labelled, gold = question.get("choices"), question.get("answer")
    labels = _LETTERS[: len(answer.log_likelihoods)]
    if not isinstance(labelled, dict) or sorted(labelled) != list(labels):
        detail = f"the question's choices are not labelled {', '.join(labels)}, as the logits are"
        return RowError("unreadable_choices", detail)
    if not isinstance(gold, str) or len(gold) != 1 or gold not in labels:
        return RowError("missing_gold", f"the question's answer is none of {', '.join(labels)}")
    asked, context = question.get("question"), question.get("context")
    if not isinstance(asked, str) or not asked.strip():
        return RowError("missing_question", "the question's text is empty")
    choices = [text_of(labelled[label]) or "" for label in labels]
    right = labels.index(gold)
    return {
        "example_id": question["id"],
        "question": f"{context}\n\n{asked}"
        if isinstance(context, str) and context.strip()
        else asked,
        "choices": choices,
        "gold": choices[right],
        "gold_choice": right,
        "prediction": choices[answer.choice],
        "extraction_recorded": True,
        "predicted_choice": answer.choice,
        "score": 1.0 if answer.choice == right else 0.0,
        "metric": "acc",
        "choice_log_likelihoods": answer.log_likelihoods,
        "choice_lengths": [1] * len(labels),
        "metadata": _metadata(
            text_of(question.get("source")), text_of(question.get("answer_type"))
        ),
    }


@lru_cache(maxsize=100)
def _metadata(source: str | None, answer_type: str | None) -> str | None:
    return metadata_json({"source": source, "answer_type": answer_type})
