"""One row of an lm-evaluation-harness samples file, in any of its shapes, as a response."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.rows import choice_number, metadata_json, text_of, texts_of

METRIC_OF_TASK = (
    ("leaderboard_mmlu_pro", "acc"),
    ("leaderboard_bbh", "acc_norm"),
    ("leaderboard_gpqa", "acc_norm"),
    ("leaderboard_musr", "acc_norm"),
    ("leaderboard_math", "exact_match"),
    ("leaderboard_ifeval", "prompt_level_strict_acc"),
    ("arc_", "acc_norm"),
    ("hellaswag", "acc_norm"),
    ("mmlu", "acc"),
    ("hendrycksTest", "acc"),
    ("truthfulqa_mc2", "acc"),
    ("winogrande", "acc"),
    ("gsm8k", "exact_match"),
)
"""The metric by which the Open LLM Leaderboards (v2, v1) ranked, by the task name's beginning."""

KNOWN_METRICS = (
    "exact_match",
    "acc",
    "acc_norm",
    "prompt_level_strict_acc",
    "pass@1",
    "pass_at_1",
    "em",
    "exact",
    "mc2",
    "mc1",
    "f1",
)
"""The order of preference in a row that neither lists its metrics nor belongs to a known task."""

_NOT_METRICS = {
    "doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
    "doc_hash", "prompt_hash", "target_hash", "finish_reason", "task_name",
}  # fmt: skip
_QUESTION_FIELDS = (
    "question", "Question", "problem", "input", "prompt", "query", "ctx", "goal", "sentence",
    "instruction", "text",
)  # fmt: skip
_CONTEXT_FIELDS = ("passage", "narrative", "context", "article", "story", "premise")
_CHOICE_FIELDS = ("choices", "options", "endings", "mc1_targets")
_NUMBERED_CHOICES = (("choice1", "choice2"), ("option1", "option2"), ("sol1", "sol2"))
_SUBJECT_FIELDS = ("category", "subject", "subset", "subtask", "Subdomain", "type")
_NO_ANSWER = ("", "[invalid]")


def to_row(value: Any, metric: str | None) -> dict[str, Any] | RowError:
    """Map a row to columns of `responses`, or say why it cannot be used.

    Parameters
    ----------
    metric : str, optional
        The metric that decides, the same for all rows of a submission; see `choose_metric`.
    """
    if not isinstance(value, dict):
        kind = type(value).__name__
        return RowError("not_an_object", f"the row is a {kind}, expected an object")
    identity = value.get("doc_id")
    if identity is None:
        identity = value.get("doc_hash")
    if identity is None:
        return RowError("missing_field", "the row has neither doc_id nor doc_hash")
    if metric is None or metric not in value:
        there = ", ".join(sorted(map(str, value.keys() - _NOT_METRICS))[:20]) or "none"
        wanted = f"metric {metric!r}" if metric else "a metric"
        return RowError(
            "missing_metric",
            f"the row has no value of {wanted}; set option metric to one of: {there}",
        )
    score = metric_value(metric, value[metric])
    if isinstance(score, RowError):
        return score
    doc = value.get("doc")
    fields: Mapping[str, Any] = doc if isinstance(doc, dict) else {"text": doc}
    requests = _requests(value.get("arguments"))
    question = _question(fields) or _last_turn(requests)
    if not question:
        return RowError("missing_question", "neither doc nor arguments hold a question")
    row: dict[str, Any] = {
        "example_id": identity if isinstance(identity, str) else text_of(identity),
        "subject": _first_text(fields, _SUBJECT_FIELDS),
        "question": question,
        "score": score,
        "metric": metric,
        "filter": value["filter"] if isinstance(value.get("filter"), str) else None,
        "finish_reason": _finish_reason(value),
    }
    likelihoods = log_likelihoods(value.get("filtered_resps"))
    row["metadata"] = metadata_json(_metadata(value, metric, generated=likelihoods is None))
    if likelihoods is None:
        row |= _generated(value, fields)
    else:
        row |= _chosen(value, fields, requests, likelihoods, metric)
    return row


def metric_of_task(task: str) -> str | None:
    """Return the metric by which a leaderboard ranked on a task; None if none did."""
    return next((name for start, name in METRIC_OF_TASK if task.startswith(start)), None)


def choose_metric(rows: Sequence[Mapping[str, Any]], task: str) -> str | None:
    """Return the metric that decides: the leaderboard's for the task, else the first in the rows.

    A metric whose values are mostly not from 0 to 1, such as a perplexity, is passed over.

    Parameters
    ----------
    rows : sequence of mapping
        The first ones of a submission.
    task : str
        The task's name.

    Returns
    -------
    str or None
        None if no row has a metric.
    """
    ranked_by = metric_of_task(task)
    named = [] if ranked_by is None else [ranked_by]
    for row in rows:
        listed = row.get("metrics")
        if isinstance(listed, list):
            named += [one for one in listed if isinstance(one, str)]
    named += KNOWN_METRICS
    numbers = [
        name
        for row in rows
        for name, value in row.items()
        if name not in _NOT_METRICS and isinstance(value, bool | int | float)
    ]
    for candidates in (named, numbers):
        there = [name for name in dict.fromkeys(candidates) if any(name in row for row in rows)]
        if there:
            return next((name for name in there if _is_score(name, rows)), there[0])
    return None


def _is_score(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether most of a metric's values are from 0 to 1."""
    values = [metric_value(name, row[name]) for row in rows if name in row]
    numbers = [value for value in values if not isinstance(value, RowError)]
    return sum(0 <= value <= 1 for value in numbers) > len(numbers) / 2


def metric_value(name: str, value: Any) -> float | int | RowError:
    """Return a metric's value as a number, whatever form the task wrote it in.

    A list of true and false (one for each instruction of a prompt) counts by its mean. A list of
    numbers does not: metrics such as `f1` and `perplexity` keep there what they aggregate later,
    e.g. the right and the chosen option.
    """
    if isinstance(value, dict):
        members = [value[key] for key in (name, "score", "value") if key in value]
        if not members:
            members = [part for part in value.values() if isinstance(part, bool | int | float)]
            if len(members) != 1:
                return _unusable(name, value, "an object without one clear number")
        value = members[0]
    if isinstance(value, list):
        if value and all(isinstance(part, bool) for part in value):
            return sum(value) / len(value)
        if len(value) != 1:
            return _unusable(name, value, "a list that is not one of true and false")
        value = value[0]
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        return _unusable(name, value, "not a number")
    if isinstance(value, float) and math.isnan(value):
        return _unusable(name, value, "not a number")
    return value


def _unusable(name: str, value: Any, what: str) -> RowError:
    shown = text_of(value) or "null"
    return RowError(
        "unusable_metric",
        f"metric {name!r} is {shown[:100]}, {what}: choose another with option metric",
    )


def log_likelihoods(filtered: Any) -> list[float] | None:
    """Return the options' log-likelihoods of a multiple-choice row; None if text was generated.

    They stand as `["-24.19", "False"]` (today) or `[-24.19, false]`, one an option, or as numbers.
    """
    if not isinstance(filtered, list) or not filtered:
        return None
    if _is_pair(filtered):
        filtered = [filtered]  # A single request, not in a list of its own.
    if all(_is_pair(part) for part in filtered):
        return [float(part[0]) for part in filtered]
    if all(isinstance(part, int | float) and not isinstance(part, bool) for part in filtered):
        return [float(part) for part in filtered]
    return None


def _is_pair(part: Any) -> bool:
    if not isinstance(part, list | tuple) or len(part) != 2:
        return False
    number, greedy = part
    if isinstance(number, bool) or (
        greedy not in ("True", "False") and not isinstance(greedy, bool)
    ):
        return False
    try:
        float(number)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _requests(arguments: Any) -> list[list[Any]]:
    """Return the arguments of each request, from either of their shapes."""
    if isinstance(arguments, dict):
        arguments = list(arguments.values())
    if not isinstance(arguments, list):
        return []
    requests = []
    for request in arguments:
        if isinstance(request, dict):
            requests.append(list(request.values()))
        elif isinstance(request, list):
            requests.append(request)
    return requests


def _question(doc: Mapping[str, Any]) -> str | None:
    """Return the question that a document holds, with the passage it is about, if any."""
    question = _first_text(doc, _QUESTION_FIELDS)
    context = _first_text(doc, _CONTEXT_FIELDS)
    if question and context and context not in question:
        return f"{context}\n\n{question}"
    return question or context


def _first_text(doc: Mapping[str, Any], names: Sequence[str]) -> str | None:
    for name in names:
        value = doc.get(name)
        if value is None:
            continue  # Nearly all of the names are of other benchmarks.
        if isinstance(value, dict):
            value = value.get("text") or value.get("stem")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = text_of(value)
        if isinstance(value, str) and value.strip():
            return value
    return None


def _last_turn(requests: list[list[Any]]) -> str | None:
    """Return the prompt, or of a conversation the last thing the user says."""
    prompt = requests[0][0] if requests and requests[0] else None
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], str):
        prompt = prompt[0]
    turns = prompt
    if isinstance(prompt, str) and prompt.lstrip().startswith("[{"):
        try:
            turns = json.loads(prompt)
        except (ValueError, RecursionError):
            turns = None
    if isinstance(turns, list):
        for turn in reversed(turns):
            if isinstance(turn, dict) and turn.get("role") == "user":
                return text_of(turn.get("content"))
    return prompt if isinstance(prompt, str) and prompt.strip() else None


def _generated(row: Mapping[str, Any], doc: Mapping[str, Any]) -> dict[str, Any]:
    filtered = _first(row.get("filtered_resps"))
    raw = _first(row.get("resps"))
    if isinstance(raw, list):
        raw = _first(raw)
    response = text_of(raw if raw is not None else filtered)
    prediction = text_of(filtered)
    if prediction is not None and prediction.strip() in _NO_ANSWER:
        prediction = None
    choices = _choices(doc, None)
    return {
        "choices": choices,
        "gold": _gold_text(row, doc),
        "response": response or "",
        "prediction": prediction,
        "extraction_recorded": True,
    }


def _first(value: Any) -> Any:
    """Return a list's first item: of repeated samplings the first is the response."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def _chosen(
    row: Mapping[str, Any],
    doc: Mapping[str, Any],
    requests: list[list[Any]],
    likelihoods: list[float],
    metric: str,
) -> dict[str, Any]:
    continuations = [
        request[1] for request in requests if len(request) > 1 and isinstance(request[1], str)
    ]
    choices = _choices(doc, len(likelihoods))
    if choices is None and continuations:
        # Some metrics ask for each option twice, the second time without the question.
        half = len(continuations) // 2
        if half > 1 and continuations[:half] == continuations[half:]:
            choices = _choices(doc, half) or [text.strip() for text in continuations[:half]]
        elif len(continuations) == len(likelihoods) > 1:
            choices = [text.strip() for text in continuations]
    if choices is not None:
        likelihoods = likelihoods[: len(choices)]
    chosen = most_likely(likelihoods, continuations, metric)
    gold = _gold_choice(row, doc, choices, likelihoods)
    return {
        "choices": choices,
        "choice_log_likelihoods": likelihoods,
        "choice_lengths": lengths_of(continuations, len(likelihoods)),
        "gold_choice": gold,
        "gold": choices[gold] if choices and gold is not None else _gold_text(row, doc),
        "predicted_choice": chosen,
        "extraction_recorded": True,
        "prediction": choices[chosen] if choices and chosen is not None else None,
    }


def _choices(doc: Mapping[str, Any], count: int | None) -> list[str] | None:
    """Return a document's options, if there are as many as asked for (any number if None)."""
    for name in _CHOICE_FIELDS:
        value = doc.get(name)
        if value is None:
            continue
        if isinstance(value, dict):
            value = value.get("text") or value.get("choices")
        choices = texts_of(value)
        if choices and count in (None, len(choices)):
            return choices
    for names in _NUMBERED_CHOICES:
        choices = [doc[name] for name in names if isinstance(doc.get(name), str)]
        if len(choices) == len(names) and count in (None, len(choices)):
            return choices
    return None


def lengths_of(continuations: Sequence[str], count: int) -> list[int] | None:
    """Return the characters of what was scored for each option; None if that is not known.

    The blank that joins it to the prompt does not count.
    """
    if len(continuations) < count:
        return None
    return [len(text.removeprefix(" ")) for text in continuations[:count]]


def most_likely(
    likelihoods: Sequence[float], continuations: Sequence[str], metric: str
) -> int | None:
    """Return the option the harness took as chosen; None of a single one.

    For `acc_norm` it divides by the option's length in characters, for `acc_bytes` in bytes. The
    blank that joins an option to the prompt is not part of its length.
    """
    if len(likelihoods) < 2 or any(math.isnan(value) for value in likelihoods):
        return None
    weights = [1.0] * len(likelihoods)
    if metric in ("acc_norm", "acc_bytes") and len(continuations) >= len(likelihoods):
        options = [text.removeprefix(" ") for text in continuations[: len(likelihoods)]]
        lengths = [
            len(text) if metric == "acc_norm" else len(text.encode("utf-8", "replace"))
            for text in options
        ]
        if all(lengths):
            weights = [float(length) for length in lengths]
    normalised = [value / weight for value, weight in zip(likelihoods, weights, strict=True)]
    return max(range(len(normalised)), key=normalised.__getitem__)


def _gold_choice(
    row: Mapping[str, Any],
    doc: Mapping[str, Any],
    choices: list[str] | None,
    likelihoods: Sequence[float],
) -> int | None:
    """Return the right option's number, from a target that is a number, a letter or its text."""
    count = len(likelihoods)
    candidates: list[int] = []
    for target in (row.get("target"), doc.get("answer_index"), doc.get("label"), doc.get("gold")):
        number = choice_number(target, count)
        if number is not None:
            candidates.append(number)
        if isinstance(target, str):
            text = target.strip()
            if text.isascii() and text.isdigit() and len(text) < 5 and int(text) < count:
                candidates.append(int(text))
            bare = text.strip("().")
            if len(bare) == 1 and "A" <= bare <= "Z" and ord(bare) - 65 < count:
                candidates.append(ord(bare) - 65)
            for position, choice in enumerate(choices or ()):
                if choice.strip() == text:
                    candidates.append(position)
        if candidates:
            break
    accuracy = row.get("acc")
    if len(candidates) > 1 and accuracy in (0, 1):
        # "2" may be the third option or the option that reads 2: the row's own score tells.
        chosen = max(range(count), key=likelihoods.__getitem__)
        fitting = [number for number in candidates if (number == chosen) == bool(accuracy)]
        candidates = fitting or candidates
    return candidates[0] if candidates else None


def _gold_text(row: Mapping[str, Any], doc: Mapping[str, Any]) -> str | None:
    target = row.get("target")
    if target is None or target == "":
        target = doc.get("answer")
    return text_of(target)


def _finish_reason(row: Mapping[str, Any]) -> str | None:
    reason = _first(row.get("finish_reason"))
    return reason if isinstance(reason, str) else None


def _metadata(row: Mapping[str, Any], metric: str, generated: bool) -> dict[str, Any]:
    other = {
        name: row[name]
        for name in row
        if name not in _NOT_METRICS
        and name != metric
        and isinstance(row[name], bool | int | float | list | dict)
    }
    responses = _first(row.get("resps")) if generated else None
    repeats = len(responses) if isinstance(responses, list) and len(responses) > 1 else None
    return {"doc_hash": row.get("doc_hash"), "repeats": repeats, **other}
