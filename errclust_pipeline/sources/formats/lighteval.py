"""Reader of lighteval's details: ``details/<model>/<time>/details_<task>_<time>.parquet``.

Each row holds structs: `doc` (the item), `model_response` and `metric` (scores by name).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.formats.table_files import column_names, parquet_rows
from errclust_pipeline.sources.parsing.item_text import ItemText, SharedText
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.messages import asked_text
from errclust_pipeline.sources.parsing.rows import (
    batches,
    choice_number,
    constant_option,
    files_below,
    metadata_json,
    text_of,
    texts_of,
)
from errclust_pipeline.sources.registry import RegisteredReader
from errclust_pipeline.sources.run_conditions import SHOTS, RunCandidate, settle_runs

_COLUMNS = ["doc", "metric", "model_response"]
_NEEDED = frozenset(_COLUMNS)
_TIME = r"\d{4}-\d{2}-\d{2}T\d{2}[-:]\d{2}[-:]\d{2}(?:\.\d+)?"
_FILE_NAME = re.compile(rf"details_(.+)_({_TIME})\.parquet")
_METRICS = ("exact_match", "acc", "em", "extractive_match", "pass@1", "acc_norm")
"""Which metric decides if there are several and none is chosen, by its name's beginning."""

_ROWS_COMPARED = 200


class LightevalReader(RegisteredReader):
    """lighteval details: the benchmark is the task, the model's name is its folders'."""

    name = "lighteval"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the details in a file or folder."""
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        files = [
            (file, match)
            for file in (files_below(path) if path.is_dir() else [path])
            if (match := _FILE_NAME.fullmatch(file.name)) is not None and _is_details(file)
        ]
        tasks = {_task(match[1])[0] for _, match in files}
        if benchmark and len(tasks) > 1:
            raise SourceError(
                f"{path} holds several tasks, and option benchmark names only one: give one file, "
                "or leave the option out"
            )
        runs = []
        for file, match in files:
            task, shots = _task(match[1])
            metrics = _metrics(file)
            chosen = constant_option(options, "metric") or _choose(metrics)
            others = [name for name in metrics if name != chosen]
            note = f"{file}: {chosen} decides what is right. Other metrics: {', '.join(others)}"
            runs.append(
                RunCandidate(
                    Submission(
                        benchmark=benchmark or task,
                        model=model or _model(file, match[2]),
                        reader=self.name,
                        files=(str(file),),
                        revision=file_fingerprint(file),
                        options={**options, "metric": chosen},
                        conditions={} if shots is None else {SHOTS: shots},
                        notes=(note,) if others and "metric" not in options else (),
                    ),
                    match[2],
                )
            )
        return settle_runs(runs)

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the rows."""
        path = Path(submission.files[0])
        metric = str(submission.options.get("metric", "metric"))
        shared = SharedText()
        for _, (_, row) in zip(range(_ROWS_COMPARED), parquet_rows(path, _COLUMNS), strict=False):
            if isinstance(row, dict) and (asked := _asked(row)):
                shared.add(asked)
        item = ItemText.of_options(shared.to_options())

        def convert(position: int, row: Any) -> dict[str, Any] | RowError:
            return row if isinstance(row, RowError) else _to_row(position, row, metric, item)

        return batches(submission, batch_rows, parquet_rows(path, _COLUMNS), convert, self.expects)


def _is_details(path: Path) -> bool:
    try:
        return set(column_names(path)) >= _NEEDED
    except SourceError:
        return False  # A file of another format may be damaged too.


def _task(name: str) -> tuple[str, str | None]:
    """Return the task and its number of shots, of ``suite|task|shots``."""
    parts = name.split("|")
    if len(parts) > 1 and parts[-1].isdigit():
        shots, parts = parts[-1], parts[:-1]
        return parts[-1], shots
    return parts[-1], None


def _model(path: Path, time: str) -> str:
    """Return the model's name: the folders between ``details`` and the time."""
    names = list(path.resolve().parent.parts)
    if names and names[-1] == time:
        names.pop()
    if "details" in names:
        after = names[len(names) - names[::-1].index("details") :]
        if after:
            return "/".join(after)
    if not names or names[-1] == "/":
        raise SourceError(f"{path} says nowhere which model it is of: set option model (--model)")
    return names[-1].replace("__", "/", 1)


def _metrics(path: Path) -> list[str]:
    """List the metrics of a file."""
    prefix = "metric."
    return [
        name.removeprefix(prefix)
        for name in column_names(path)
        if name.startswith(prefix) and "." not in name.removeprefix(prefix)
    ]


def _choose(metrics: list[str]) -> str:
    for beginning in _METRICS:
        for name in metrics:
            if name == beginning or name.startswith(f"{beginning}_"):
                return name
    return metrics[0] if metrics else "metric"


def _asked(row: Mapping[str, Any]) -> str | None:
    doc = row.get("doc")
    return asked_text(doc.get("query")) if isinstance(doc, dict) else None


def _to_row(
    position: int, row: Mapping[str, Any], metric: str, item: ItemText
) -> dict[str, Any] | RowError:
    doc, response, scores = (row.get(name) for name in ("doc", "model_response", "metric"))
    if not isinstance(doc, dict) or not isinstance(scores, dict):
        return RowError("missing_field", "the row has no doc or no metric")
    score = scores.get(metric)
    if metric not in scores or not isinstance(score, int | float | None):
        known = ", ".join(map(str, scores))
        return RowError("no_score", f"there is no metric {metric!r}; there are: {known}"[:500])
    asked = _asked(row)
    if not asked or not asked.strip():
        return RowError("missing_question", "the row's query is empty")
    choices = texts_of(doc.get("choices"))
    gold = doc.get("gold_index")
    golds = gold if isinstance(gold, list) else [gold]
    numbers = [choice_number(one, len(choices or ())) for one in golds]
    places = [number for number in numbers if number is not None]
    given = response if isinstance(response, dict) else {}
    written = given.get("text_post_processed") or given.get("text")
    logs = given.get("logprobs")
    likelihoods = logs if isinstance(logs, list) and len(logs) == len(choices or ()) > 1 else None
    is_numbers = likelihoods is not None and all(
        isinstance(value, float) and math.isfinite(value) for value in likelihoods
    )
    predicted = (
        max(range(len(likelihoods)), key=likelihoods.__getitem__)
        if is_numbers and likelihoods
        else None
    )
    text = "\n".join(map(str, written)) if isinstance(written, list) else text_of(written)
    return {
        "example_id": text_of(doc.get("id")) or str(position),
        "question": item.of(asked),
        # A single choice is the reference of a free answer, and no option.
        "choices": choices if choices and len(choices) > 1 else None,
        "gold": "; ".join(choices[place] for place in places) if choices and places else None,
        "gold_choice": places[0] if choices and len(choices) > 1 and len(places) == 1 else None,
        "response": text if predicted is None else None,
        "extraction_recorded": predicted is not None,
        "prediction": choices[predicted] if choices and predicted is not None else None,
        "predicted_choice": predicted,
        "choice_log_likelihoods": likelihoods if is_numbers else None,
        "choice_lengths": [max(len(choice), 1) for choice in choices]
        if choices and is_numbers
        else None,
        "score": score,
        "metric": metric,
        "metadata": metadata_json(
            {name: value for name, value in scores.items() if name != metric}
        ),
    }
