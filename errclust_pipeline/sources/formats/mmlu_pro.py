"""Reader of the MMLU-Pro result files that TIGER-Lab publishes.

A file is one JSON list, zipped or not, named `model_outputs_<MODEL>_5shots.zip`. The benchmark's
own scripts extracted the answer (`pred`); what they filled in by chance is marked as guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import re2

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.rows import (
    batches,
    choice_number,
    constant_option,
    files_below,
    first_row,
    text_of,
    texts_of,
)
from errclust_pipeline.sources.registry import RegisteredReader

LETTERS = "ABCDEFGHIJ"
EXTRACTION_CHARACTERS = 50_000
"""How much of a response's end is searched for an answer; the longest real one has 15,376."""

_FILE_NAME = re.compile(r"model_outputs_(.+?)(?:_\d+shots?)?\.(?:zip|json)(?:\.gz)?", re.IGNORECASE)
_SUFFIXES = (".zip", ".json", ".json.gz")
_KEYS = {"question_id", "question", "options", "answer", "pred"}
_FIRST_RULE = "answer is ("
# The benchmark's three extraction rules, as one question: does any of them find a letter? RE2
# takes linear time; the original's third rule is quadratic on a response that loops.
_ANSWER = re2.compile(r"answer is \(?[A-J]|[aA]nswer:\s*[A-J]|\b[A-J]\b")


class MmluProReader(RegisteredReader):
    """MMLU-Pro results: benchmark `mmlu_pro`, the model's name from the file's name."""

    name = "mmlu_pro"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the submissions in a file, or in a folder's files of the published names."""
        if path.is_dir():
            files = [file for file in files_below(path) if _FILE_NAME.fullmatch(file.name)]
        elif path.name.lower().endswith(_SUFFIXES) and _is_result_file(path):
            files = [path]
        else:
            return []
        model = constant_option(options, "model")
        if model and len(files) > 1:
            raise SourceError(
                f"{path} holds results of {len(files)} models, and option model names only one: "
                "give one file, or leave the option out"
            )
        return [
            Submission(
                benchmark=constant_option(options, "benchmark") or "mmlu_pro",
                model=model or model_of_file(file),
                reader=self.name,
                files=(str(file),),
                revision=file_fingerprint(file),
                options=dict(options),
            )
            for file in files
        ]

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the list's elements; strings and other strays among them are rejected."""
        rows = rows_of_json_file(Path(submission.files[0]))
        return batches(submission, batch_rows, rows, _to_row, self.expects)


def model_of_file(path: Path) -> str:
    """Return the model's name that a published file's name holds, else the name itself."""
    match = _FILE_NAME.fullmatch(path.name)
    return match[1] if match else path.name.split(".json")[0].removesuffix(".zip")


def _is_result_file(path: Path) -> bool:
    """Whether a file is one of results, by its first row.

    Raises
    ------
    SourceError
        If it is named like one but holds something else, or is an archive that cannot be read.
    """
    named = _FILE_NAME.fullmatch(path.name) is not None
    try:
        row = first_row(rows_of_json_file(path))
    except SourceError:
        # No other reader takes archives, so their faults are told here.
        if named or path.suffix.lower() == ".zip":
            raise
        return False
    if row is not None and row.keys() >= _KEYS:
        return True
    if named:
        there = "no object" if row is None else f"an object with {', '.join(list(row)[:20])}"
        raise SourceError(
            f"{path} is named like a result file of MMLU-Pro, but among its first rows is {there};"
            f" expected one with {', '.join(sorted(_KEYS))}"
        )
    return False


def is_guessed(response: str) -> bool:
    """Whether none of the benchmark's extraction rules finds an answer in the response.

    The rules: a letter A to J after `answer is (`; after `Answer:`; standing alone anywhere.
    """
    # Nearly every response has the words the prompt asks for: no need for patterns there.
    at = response.find(_FIRST_RULE)
    if at >= 0 and response[at + len(_FIRST_RULE) : at + len(_FIRST_RULE) + 1] in LETTERS:
        return False
    return _ANSWER.search(response[-EXTRACTION_CHARACTERS:]) is None


def _to_row(_position: int, value: Any) -> dict[str, Any] | RowError:
    if not isinstance(value, dict):
        kind = type(value).__name__
        return RowError("not_an_object", f"a list item is a {kind}, expected an object")
    identity, question, answer = (
        value.get("question_id"),
        value.get("question"),
        value.get("answer"),
    )
    if identity is None or question is None or "pred" not in value:
        missing = [name for name in ("question_id", "question", "pred") if name not in value]
        what = f"has no {' and no '.join(missing)}" if missing else "has null for its id or text"
        return RowError("missing_field", f"the row {what}: these fields are needed")
    if not isinstance(answer, str) or not answer:
        return RowError("missing_gold", f"the row's answer is {answer!r}, expected a letter")
    prediction = value["pred"]
    if prediction is not None and not isinstance(prediction, str):
        prediction = text_of(prediction)
    choices = texts_of(value.get("options"))
    gold_choice = _choice_of(answer, choices)
    if gold_choice is None:
        gold_choice = choice_number(value.get("answer_index"), len(choices or ()))
    predicted_choice = _choice_of(prediction, choices)
    response = value.get("generated_text")
    if response is None:
        response = value.get("model_outputs")
    if not isinstance(response, str):
        response = text_of(response)
    return {
        "example_id": str(identity) if isinstance(identity, int) else text_of(identity),
        "subject": _text(value.get("category")),
        "question": _text(question),
        "choices": choices,
        "gold": answer if choices is None or gold_choice is None else choices[gold_choice],
        "gold_choice": gold_choice,
        "response": response or "",
        "extraction_recorded": True,
        # The option's text says more than its letter, and the letter is the choice's number.
        "prediction": prediction
        if choices is None or predicted_choice is None
        else choices[predicted_choice],
        "predicted_choice": predicted_choice,
        "prediction_guessed": prediction is not None
        and response is not None
        and is_guessed(response),
        "score": 1.0 if prediction == answer else 0.0,
        "metric": "exact_match",
        "metadata": _source_json(_text(value.get("src"))),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else text_of(value)


def _choice_of(letter: str | None, choices: list[str] | None) -> int | None:
    """Return the position of a letter's option, if the question has that many."""
    if letter is None or choices is None or len(letter) != 1:
        return None
    number = ord(letter) - 65
    return number if 0 <= number < len(choices) else None


@lru_cache(maxsize=1_000)
def _source_json(source: str | None) -> str | None:
    return None if source is None else json.dumps({"src": source})
