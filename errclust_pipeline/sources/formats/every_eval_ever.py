"""Reader of the per-instance files of Every Eval Ever, the EvalEval coalition's shared format.

A file is JSON lines, one instance a line, as its schema `instance_level_eval` lays down (0.0.1 to
0.2.2). Whether an instance is right is what its `evaluation.is_correct` says, nothing else: scores
are of any scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.parsing.field_map import (
    Choices,
    Combined,
    Constant,
    Converted,
    Field,
    FieldMap,
    Objects,
    PlaceAmongChoices,
    Text,
)
from errclust_pipeline.sources.parsing.item_text import ItemText, SharedText
from errclust_pipeline.sources.parsing.json_stream import (
    RowError,
    row_blocks_of_json_file,
    rows_of_json_file,
)
from errclust_pipeline.sources.parsing.row_blocks import (
    ParsedRowBlock,
    batches_of_row_blocks,
    rows_named,
)
from errclust_pipeline.sources.parsing.rows import (
    constant_option,
    files_below,
    first_row,
    metadata_json,
    subject_in,
    text_of,
    texts_of,
)
from errclust_pipeline.sources.registry import RegisteredReader

_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_KEYS = {"schema_version", "evaluation_id", "evaluation_name", "model_id", "sample_id", "input"}
_NAMES = ("evaluation_name", "model_id")
_ABSENT = object()


class EveryEvalEverReader(RegisteredReader):
    """Per-instance files of Every Eval Ever: a submission for each evaluation and model in a file.

    An instance without a name or model belongs to nobody, and is rejected in every submission of
    its file.
    """

    name = "every_eval_ever"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the pairs of evaluation and model in a file, or in a folder's files."""
        submissions: list[Submission] = []
        renamed = [constant_option(options, name) for name in ("benchmark", "model")]
        for file in files_below(path) if path.is_dir() else [path]:
            if not _is_instance_file(file):
                continue
            prompts = _prompts(file)
            if not prompts:
                raise SourceError(f"{file} names no model and evaluation. Expected {self.expects}")
            for number, option in enumerate(("benchmark", "model")):
                there = {pair[number] for pair in prompts}
                if renamed[number] is not None and len(there) > 1:
                    raise SourceError(
                        f"{file} holds results of {len(there)} {option}s, and option {option} "
                        "names only one: leave the option out"
                    )
            revision = file_fingerprint(file)
            submissions += [
                Submission(
                    benchmark=renamed[0] or pair[0],
                    model=renamed[1] or pair[1],
                    reader=self.name,
                    files=(str(file),),
                    revision=revision,
                    options={**options, "owner": list(pair), "shared": shared.to_options()},
                )
                for pair, shared in prompts.items()
            ]
        return submissions

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the submission's instances; instances of others in the file are skipped."""
        owner = tuple(submission.options["owner"])
        fields = _fields(ItemText.of_options(submission.options.get("shared")))

        def convert(_source: str, _position: int, row: Any) -> dict[str, Any] | RowError | None:
            if not isinstance(row, dict):
                kind = type(row).__name__
                return RowError("not_an_object", f"an instance is a {kind}, expected an object")
            pair = _pair(row)
            if pair is None:
                return RowError("missing_name", "the instance names no evaluation or no model")
            return fields.to_row(row, {}) if pair == owner else None

        def convert_columns(block: ParsedRowBlock) -> tuple[ParsedRowBlock, dict[str, Any]]:
            is_own = np.ones(len(block), np.bool_)
            for name, part in zip(_NAMES, owner, strict=True):
                is_own &= rows_named(block.column(name), part, _name)
            owned = block if is_own.all() else block.where(is_own)
            return owned, fields.to_columns(owned, {})

        source = submission.files[0]
        blocks = (ParsedRowBlock(source, *block) for block in row_blocks_of_json_file(Path(source)))
        return batches_of_row_blocks(
            submission, batch_rows, blocks, convert_columns, convert, self.expects
        )


def _is_instance_file(path: Path) -> bool:
    if not path.name.lower().endswith(_SUFFIXES):
        return False
    try:
        row = first_row(rows_of_json_file(path))
    except SourceError:
        return False
    return row is not None and row.keys() >= _KEYS


def _prompts(file: Path) -> dict[tuple[str, str], SharedText]:
    """Return what the prompts of each evaluation and model in a file share."""
    prompts: dict[tuple[str, str], SharedText] = {}
    for _, row in rows_of_json_file(file):
        pair = _pair(row)
        if pair is None:
            continue
        shared = prompts.setdefault(pair, SharedText())
        asked = row.get("input")
        if isinstance(asked, dict) and isinstance(prompt := asked.get("raw"), str):
            shared.add(prompt)
    return prompts


def _pair(row: Any) -> tuple[str, str] | None:
    """Return the names of an instance's evaluation and model."""
    if not isinstance(row, dict):
        return None
    evaluation, model = (_name(row.get(name)) for name in _NAMES)
    return (evaluation, model) if evaluation and model else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _gold(reference: Any) -> str | None:
    references = _texts(reference)
    return "; ".join(references) if references else None


def _metadata(score: Any, error: Any, details: Any) -> str | None:
    named = details if isinstance(details, dict) else {}
    return metadata_json({"score": score, "error": error, **named})


def _texts(value: Any) -> list[str]:
    """Return what is a list today, and was one text in the first versions, as a list."""
    values = value if isinstance(value, list) else [value]
    return [text_of(text) or "" for text in values if text is not None]


def _score(evaluation: Any) -> float | RowError | None:
    """Return whether the instance is right as a score; None where the verdict is null."""
    correct = evaluation.get("is_correct", _ABSENT)
    if correct is None or isinstance(correct, bool):
        return None if correct is None else float(correct)
    shown = "not there" if correct is _ABSENT else text_of(correct)
    return RowError("missing_score", f"is_correct is {shown}"[:200] + ", expected true or false")


def _is_recorded(attribution: Any) -> bool:
    """Whether the instance says which answer was extracted."""
    return isinstance(attribution, list) and any(isinstance(step, dict) for step in attribution)


def _prediction(attribution: Any) -> str | None:
    """Return the answer that was extracted last, of the terminal steps if there are any."""
    if not isinstance(attribution, list):
        return None
    last = final = None
    for step in attribution:
        if isinstance(step, dict):
            last = step
            if step.get("is_terminal"):
                final = step
    if last is None:
        return None
    answer = text_of((final or last).get("extracted_value"))
    return answer if answer and answer.strip() else None


def _response(output: Any, messages: Any, interactions: Any) -> str | None:
    """Return what the model wrote, the last message of a conversation; else its thoughts.

    Parameters
    ----------
    interactions : any
        What the first version of the schema called messages.
    """
    if isinstance(output, dict):
        written = "\n\n".join(_texts(output.get("raw")))
        return written if written.strip() else "\n\n".join(_texts(output.get("reasoning_trace")))
    messages = interactions if messages is None else messages
    for message in reversed(messages) if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "assistant":
            said = message.get("content") or message.get("reasoning_trace")
            return text_of(said) or ""
    return None


def _fields(item: ItemText) -> FieldMap:
    """Return the fields of an instance.

    Parameters
    ----------
    item : ItemText
        Takes the item out of the prompt, which holds instructions and worked examples too.
    """

    missing = RowError("missing_question", "the instance's input.raw is empty")
    asked: Field = Text("question", "input.raw", missing=missing, not_blank=True)
    if item != ItemText():

        def question(raw: Any) -> str | RowError:
            text = text_of(raw)
            return missing if text is None or not text.strip() else item.of(text)

        asked = Converted("question", "input.raw", question, pa.string())
    return FieldMap(
        (
            Objects(
                ("input", "evaluation"),
                RowError("missing_field", "the instance has no input or no evaluation"),
            ),
            Converted("score", "evaluation", _score, pa.float64()),
            asked,
            Text(
                "example_id",
                "sample_id",
                missing=RowError("missing_id", "the instance has no sample_id"),
            ),
            Converted("subject", "metadata", subject_in, pa.string()),
            Choices("choices", "input.choices", texts_of),
            Converted("gold", "input.reference", _gold, pa.string()),
            PlaceAmongChoices("gold_choice", "gold"),
            Combined("response", ("output", "messages", "interactions"), _response),
            Converted("extraction_recorded", "answer_attribution", _is_recorded, pa.bool_()),
            Converted("prediction", "answer_attribution", _prediction, pa.string()),
            PlaceAmongChoices("predicted_choice", "prediction"),
            Constant("metric", "is_correct"),
            Combined("metadata", ("evaluation.score", "error", "metadata"), _metadata),
        )
    )
