"""One row of an lm-evaluation-harness samples file, in any of its shapes, as a response."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from errclust_pipeline.sources.formats.lm_eval_questions import (
    Questions,
    first_text,
    requests_of,
)
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.rows import choice_number, metadata_json, text_of

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
_SUBJECT_FIELDS = ("category", "subject", "subset", "subtask", "Subdomain", "type")
_PERPLEXITIES = {"word_perplexity", "byte_perplexity", "bits_per_byte"}
_BYPASS = "bypass"
_NO_ANSWER = ("", "[invalid]")


def to_row(
    value: Any, metric: str | None, questions: Questions, is_scored: bool = True
) -> dict[str, Any] | RowError:
    """Map a row to columns of `responses`, or say why it cannot be used.

    Parameters
    ----------
    metric : str, optional
        The metric that decides, the same for all rows of a submission; see `choose_metric`.
    questions : Questions
        The rule by which the file's questions are found.
    is_scored : bool
        False if the file has no metric at all, as after ``--predict_only``.
    """
    if not isinstance(value, dict):
        kind = type(value).__name__
        return RowError("not_an_object", f"the row is a {kind}, expected an object")
    identity = value.get("doc_id")
    if identity is None:
        identity = value.get("doc_hash")
    if identity is None:
        return RowError("missing_field", "the row has neither doc_id nor doc_hash")
    if is_scored and (metric is None or metric not in value):
        there = ", ".join(sorted(map(str, value.keys() - _NOT_METRICS))[:20]) or "none"
        wanted = f"metric {metric!r}" if metric else "a metric"
        return RowError(
            "missing_metric",
            f"the row has no value of {wanted}; set option metric to one of: {there}",
        )
    score = None
    if is_scored and metric is not None and value[metric] is not None:
        score = metric_value(metric, value[metric])
    if isinstance(score, RowError):
        return score
    doc = value.get("doc")
    fields: Mapping[str, Any] = doc if isinstance(doc, dict) else {"text": doc}
    requests = requests_of(value.get("arguments"), questions.description)
    likelihoods = log_likelihoods(value.get("filtered_resps"))
    count = None if likelihoods is None else len(likelihoods)
    if count is not None and count == 2 * len(requests.continuations):
        count //= 2
    question = questions.of(doc, requests, count)
    if question is None:
        return RowError("missing_question", "neither doc nor arguments hold a question")
    row: dict[str, Any] = {
        "example_id": identity if isinstance(identity, str) else text_of(identity),
        "subject": first_text(fields, _SUBJECT_FIELDS),
        "question": question.text,
        "score": score,
        "metric": metric,
        "filter": value["filter"] if isinstance(value.get("filter"), str) else None,
        "finish_reason": _finish_reason(value),
    }
    row["metadata"] = metadata_json(_metadata(value, metric, generated=likelihoods is None))
    if likelihoods is None:
        row |= _generated(value, question.choices)
    else:
        row |= _chosen(value, question.choices, requests.continuations, likelihoods, metric or "")
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
            found = next((name for name in there if _is_score(name, rows)), there[0])
            # What `--predict_only` writes in place of metrics.
            if found != _BYPASS:
                return found
    return None


def is_perplexity(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the rows of a task hold perplexities and nothing that is right or wrong."""
    names = {
        name
        for row in rows
        for name, value in row.items()
        if name not in _NOT_METRICS and isinstance(value, bool | int | float | list | dict)
    }
    return bool(names) and names <= _PERPLEXITIES


def corpus_metric_detail(metric: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Say what is wrong if no row has a score of a metric; None if one has."""
    details = []
    for row in rows:
        value = metric_value(metric, row[metric]) if row.get(metric) is not None else None
        if not isinstance(value, RowError):
            return None
        details.append(value.detail)
    return details[0] if details else None


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
        if len(value) > 1 and all(isinstance(part, str | list) for part in value):
            return _unusable(
                name, value, "what is computed over all rows at once: a row has no score of it"
            )
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


def _generated(row: Mapping[str, Any], choices: list[str] | None) -> dict[str, Any]:
    filtered = _first(row.get("filtered_resps"))
    while isinstance(filtered, list) and len(filtered) == 1:
        # Programs to be run are listed, one for each response.
        filtered = filtered[0]
    raw = _first(row.get("resps"))
    if isinstance(raw, list):
        raw = _first(raw)
    response = text_of(raw if raw is not None else filtered)
    prediction = text_of(filtered)
    if prediction is not None and prediction.strip() in _NO_ANSWER:
        prediction = None
    return {
        "choices": choices,
        "gold": _gold_text(row),
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
    choices: list[str] | None,
    continuations: list[str],
    likelihoods: list[float],
    metric: str,
) -> dict[str, Any]:
    if choices is not None:
        likelihoods = likelihoods[: len(choices)]
    chosen = most_likely(likelihoods, continuations, metric)
    gold = _gold_choice(row, choices, likelihoods)
    return {
        "choices": choices,
        "choice_log_likelihoods": likelihoods,
        "choice_lengths": lengths_of(continuations, len(likelihoods)),
        "gold_choice": gold,
        "gold": choices[gold] if choices and gold is not None else _gold_text(row),
        "predicted_choice": chosen,
        "extraction_recorded": True,
        "prediction": choices[chosen] if choices and chosen is not None else None,
    }


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
    row: Mapping[str, Any], choices: list[str] | None, likelihoods: Sequence[float]
) -> int | None:
    """Return the right option's number, from a target that is a number, a letter or its text."""
    doc = _document(row)
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
    if not candidates and count > 1 and accuracy in (0, 1):
        # Tasks with a prompt for each option do not say which one is right: the score does.
        chosen = max(range(count), key=likelihoods.__getitem__)
        if accuracy == 1:
            return chosen
        return 1 - chosen if count == 2 else None
    return candidates[0] if candidates else None


def _document(row: Mapping[str, Any]) -> Mapping[str, Any]:
    doc = row.get("doc")
    return doc if isinstance(doc, dict) else {}


def _gold_text(row: Mapping[str, Any]) -> str | None:
    target = row.get("target")
    if target is None or target == "":
        target = _document(row).get("answer")
    return text_of(target)


def _finish_reason(row: Mapping[str, Any]) -> str | None:
    reason = _first(row.get("finish_reason"))
    return reason if isinstance(reason, str) else None


def _metadata(row: Mapping[str, Any], metric: str | None, generated: bool) -> dict[str, Any]:
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
