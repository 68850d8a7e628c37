"""Reader of verifiers: `traces.jsonl` (0.4), an episode a line, and the older `results.jsonl`.

The score is the reward: the sum of the rewards by their weights, as verifiers has it. With option
``metric`` one reward or metric decides.
"""

from __future__ import annotations

import json
from collections import Counter
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
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.messages import answered_text, asked_text
from errclust_pipeline.sources.parsing.rows import (
    batches,
    constant_option,
    files_below,
    first_row,
    metadata_json,
    text_of,
)
from errclust_pipeline.sources.registry import RegisteredReader

_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_TRACE_KEYS = frozenset({"traces", "env"})
_RESULT_KEYS = frozenset({"prompt", "completion", "reward", "example_id"})
_METADATA = "metadata.json"
"""What an older run says of itself, beside its results."""

_MOST_METADATA_BYTES = 1 << 20


class VerifiersReader(RegisteredReader):
    """verifiers' outputs: a submission for each environment and model in a file.

    Several answers to one task are a row each, with the ids ``<task>``, ``<task>#2``, ….
    """

    name = "verifiers"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the environments and models in a file, or in a folder's files."""
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        submissions = []
        for file in files_below(path) if path.is_dir() else [path]:
            if not _is_output(file):
                continue
            beside = _beside(file)
            stated = (benchmark or beside[0], model or beside[1])
            owners = dict.fromkeys(
                owner for _, row in _answers(file) if (owner := _owner(row)) is not None
            )
            # A row without a name belongs to nobody, if others have one.
            owners = {owner: None for owner in owners if all(owner)} or owners
            for number, option in enumerate(("benchmark", "model")):
                names = {owner[number] for owner in owners}
                if (benchmark, model)[number] and len(names) > 1:
                    raise SourceError(
                        f"{file} holds results of {len(names)} {option}s, and option {option} "
                        "names only one: leave the option out"
                    )
            revision = file_fingerprint(file)
            for owner in owners:
                submissions.append(
                    Submission(
                        benchmark=(benchmark or owner[0] or stated[0] or file.name.split(".")[0]),
                        model=model or owner[1] or stated[1] or _no_model(file),
                        reader=self.name,
                        files=(str(file),),
                        revision=revision,
                        options={**options, "owner": list(owner)},
                    )
                )
        return submissions

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the answers of an environment and model; the others' are skipped."""
        owner = tuple(submission.options["owner"])
        metric = constant_option(submission.options, "metric")
        times: Counter[str] = Counter()

        def convert(_position: int, row: Any) -> dict[str, Any] | RowError | None:
            if not isinstance(row, dict):
                return RowError("not_an_object", f"the line is a {type(row).__name__}")
            of_row = _owner(row)
            if of_row is not None and all(owner) and not all(of_row):
                return RowError("missing_name", "the row names no environment or no model")
            if of_row != owner:
                return None
            is_trace = "task" in row and "rewards" in row
            made = _of_trace(row, metric) if is_trace else _of_result(row, metric)
            if isinstance(made, dict):
                identity = made["example_id"]
                times[identity] += 1
                if times[identity] > 1:
                    made["example_id"] = f"{identity}#{times[identity]}"
            return made

        rows = _answers(Path(submission.files[0]))
        return batches(submission, batch_rows, rows, convert, self.expects)


def _is_output(path: Path) -> bool:
    if not path.name.lower().endswith(_SUFFIXES):
        return False
    try:
        row = first_row(rows_of_json_file(path))
    except SourceError:
        return False  # A file of another format may be damaged too.
    return row is not None and (row.keys() >= _TRACE_KEYS or row.keys() >= _RESULT_KEYS)


def _answers(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield the traces of each episode, with the episode's environment; or the older results."""
    for position, row in rows_of_json_file(path):
        traces = row.get("traces") if isinstance(row, dict) else None
        if not isinstance(traces, list):
            yield position, row
            continue
        for trace in traces:
            if isinstance(trace, dict):
                yield position, {**trace, "env": row.get("env")}
            else:
                yield position, RowError("not_an_object", f"a trace is a {type(trace).__name__}")


def _owner(row: Any) -> tuple[str, str] | None:
    """Return the environment and model of an answer; empty where the row does not say it."""
    if not isinstance(row, dict):
        return None
    environment, task = _inside(row, "env", "id"), row.get("task")
    if environment is None and isinstance(task, str) and task != "default":
        environment = task
    model = _inside(row, "agent", "config", "model")
    return text_of(environment) or "", text_of(model) or ""


def _inside(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _beside(path: Path) -> tuple[str | None, str | None]:
    """Return the environment and model that the file of metadata beside an older run states."""
    metadata = path.parent / _METADATA
    try:
        if metadata.stat().st_size > _MOST_METADATA_BYTES:
            return None, None
        about = json.loads(metadata.read_bytes())
    except (OSError, ValueError, RecursionError):
        about = None
    names = [about.get(key) if isinstance(about, dict) else None for key in ("env_id", "model")]
    environment, model = (name if isinstance(name, str) and name else None for name in names)
    # The folder is called <environment>--<model> where there is no such file.
    for folder in path.resolve().parents[:2]:
        if "--" in folder.name:
            first, _, second = folder.name.partition("--")
            return environment or first, model or second.replace("--", "/")
    return environment, model


def _no_model(path: Path) -> str:
    raise SourceError(f"{path} says nowhere which model it is of: set option model (--model)")


def _of_trace(trace: Mapping[str, Any], metric: str | None) -> dict[str, Any] | RowError:
    errors = trace.get("errors")
    if errors:
        return RowError("sample_failed", f"the episode failed: {text_of(errors)}"[:300])
    rewards = trace.get("rewards")
    rewards = rewards if isinstance(rewards, dict) else {}
    scores = {str(name): _inside(reward, "score") for name, reward in rewards.items()}
    metrics = trace.get("metrics")
    others = metrics if isinstance(metrics, dict) else {}
    score: float | int | RowError | None
    if metric is not None:
        score = _named_score({**others, **scores}, metric)
    else:
        parts = [
            (_inside(reward, "score"), _inside(reward, "weight")) for reward in rewards.values()
        ]
        numbers = [
            value * (1.0 if weight is None else weight)
            for value, weight in parts
            if isinstance(value, int | float) and isinstance(weight, int | float | None)
        ]
        if len(numbers) < len(parts) or not parts:
            return RowError("missing_score", f"the rewards are {text_of(rewards)}"[:300])
        score = sum(numbers)
    if isinstance(score, RowError):
        return score
    data = _inside(trace, "task", "data")
    data = data if isinstance(data, dict) else {}
    question = asked_text(data.get("prompt") or data.get("question"))
    if not question or not question.strip():
        return RowError("missing_question", "the task holds no prompt")
    return {
        "example_id": text_of(data.get("idx")) or text_of(trace.get("id")) or question,
        "subject": text_of(_inside(trace, "task", "type")),
        "question": question,
        "gold": text_of(data.get("answer")),
        "response": text_of(trace.get("root_reply")) or "",
        "extraction_recorded": False,
        "score": score,
        "metric": metric or "reward",
        "finish_reason": text_of(trace.get("stop_condition")),
        "metadata": metadata_json({**scores, **others}),
    }


def _of_result(row: Mapping[str, Any], metric: str | None) -> dict[str, Any] | RowError:
    metrics = row.get("metrics")
    others = metrics if isinstance(metrics, dict) else {}
    score: float | int | RowError | None
    if metric is not None:
        score = _named_score({**row, **others}, metric)
    else:
        score = row.get("reward")
        if score is not None and not isinstance(score, int | float):
            return RowError("missing_score", f"reward is {text_of(score)}"[:200])
    if isinstance(score, RowError):
        return score
    question = asked_text(row.get("prompt"))
    if not question or not question.strip():
        return RowError("missing_question", "the result has no prompt")
    return {
        "example_id": text_of(row.get("example_id")) or question,
        "question": question,
        "gold": text_of(row.get("answer")),
        "response": answered_text(row.get("completion")),
        "extraction_recorded": False,
        "score": score,
        "metric": metric or "reward",
        "metadata": metadata_json({**others, "info": row.get("info") or None}),
    }


def _named_score(scores: Mapping[str, Any], metric: str) -> float | int | RowError:
    value = scores.get(metric)
    if isinstance(value, int | float):
        return value
    known = ", ".join(name for name, one in scores.items() if isinstance(one, int | float))
    return RowError("no_score", f"there is no score {metric!r}; there are: {known}"[:500])
