"""One row of a table: what its cells mean, the score they give, and class labels by their names."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from errclust_pipeline.sources.json_stream import Fault
from errclust_pipeline.sources.rows import metadata_json, text_of, texts_of
from errclust_pipeline.sources.table_files import cell

EXACT_MATCH = "exact_match"
"""The metric where no column holds a score: whether the prediction is the right answer."""

_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_LABEL_NUMBER = re.compile(r"(?:LABEL_)?(-?\d{1,9})(?:\.0)?")
"""A label's number as text; transformers calls the labels of a model without names LABEL_0, …"""

_NO_LABEL = -1


class RowConversion:
    """Turns the rows of a table into columns of `responses`.

    Parameters
    ----------
    columns : mapping from str to str or list of str
        The column that each thing stands in; of the question also several.
    label_names : mapping from str to sequence of str
        Of the columns ``correct_answer`` and ``prediction``, if they hold class labels: their
        names, in the order of their numbers.
    """

    def __init__(
        self, columns: Mapping[str, Any], label_names: Mapping[str, Sequence[str]]
    ) -> None:
        self._columns = columns
        self._names = label_names
        self._compares = "score" not in columns

    def to_row(self, example_id: str, row: Mapping[str, Any]) -> dict[str, Any] | Fault:
        """Return the columns of `responses`, or what is wrong with the row.

        Parameters
        ----------
        example_id : str
            The row's id if the table has no column of ids.
        """
        gold = self._answer(row, "correct_answer")
        prediction = self._answer(row, "prediction")
        for answer in (gold, prediction):
            if isinstance(answer, Fault):
                return answer
        score = self._score(row, gold, prediction)
        if isinstance(score, Fault):
            return score
        question = self._question(row)
        if not question.strip():
            return Fault("missing_question", "the row's question is empty")
        identity = self._cell(row, "example_id")
        if identity is None and "example_id" in self._columns:
            return Fault("missing_id", "the row's example_id is empty")
        choices = _choices(self._cell(row, "choices"))
        if isinstance(choices, Fault):
            return choices
        return {
            "example_id": example_id if identity is None else text_of(identity),
            "subject": text_of(self._cell(row, "subject")),
            "question": question,
            # Class labels are no choices: all questions have the same, which tell none apart.
            "choices": choices,
            "gold": gold,
            "gold_choice": choices.index(gold) if choices and gold in choices else None,
            # What is null in a column that is there was empty; of a missing column nothing is
            # known.
            "response": text_of(cell(row, self._columns["output_text"])) or ""
            if "output_text" in self._columns
            else None,
            "prediction": prediction,
            "extraction_recorded": "prediction" in self._columns,
            "predicted_choice": choices.index(prediction)
            if choices and prediction in choices
            else None,
            "score": score,
            "metric": self._columns.get("score", EXACT_MATCH),
            "finish_reason": text_of(self._cell(row, "finish_reason")),
            "metadata": _metadata(self._cell(row, "metadata")),
        }

    def _cell(self, row: Mapping[str, Any], name: str) -> Any:
        value = cell(row, self._columns[name]) if name in self._columns else None
        return None if value == "" else value

    def _question(self, row: Mapping[str, Any]) -> str:
        columns = self._columns["input_text"]
        if isinstance(columns, str):
            return text_of(cell(row, columns)) or ""
        texts = [text_of(cell(row, column)) or "" for column in columns]
        return "\n".join(text for text in texts if text.strip())

    def _answer(self, row: Mapping[str, Any], name: str) -> str | Fault | None:
        """Return the right answer or the prediction as text; of class labels the name."""
        value = self._cell(row, name)
        names = self._names.get(name)
        if value is None or (names is None and not self._compares):
            return text_of(value)
        if name == "prediction":
            label = predicted_label(value, names)
        elif isinstance(value, list):
            return Fault("several_labels", f"{name} is a list, expected one label or answer")
        else:
            label = label_of(value, names)
            if names and isinstance(label, str) and label not in names:
                known = ", ".join(names[:20])
                return Fault("unknown_label", f"{name} is {label[:100]!r}, expected one of {known}")
        return (
            Fault(label.reason, f"{name} is {label.detail}") if isinstance(label, Fault) else label
        )

    def _score(
        self, row: Mapping[str, Any], gold: str | Fault | None, prediction: str | Fault | None
    ) -> float | int | Fault:
        if not self._compares:
            return _score(self._cell(row, "score"))
        if gold is None:
            return Fault("missing_gold", "the row has no right answer to compare with")
        return 1.0 if gold == prediction else 0.0


def predicted_label(value: Any, names: Sequence[str] | None) -> str | Fault | None:
    """Return the name of the class label that was predicted.

    Parameters
    ----------
    value : any
        A label as `label_of` takes it; a score for each label; or what a classification pipeline
        gives, an object with ``label`` and ``score`` or a list of them. If the labels' names are
        known, all this also as JSON in a text.
    names : sequence of str, optional
        The labels' names, in the order of their numbers.
    """
    if names and isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, list):
        best = _best(value, names)
        if isinstance(best, Fault):
            return best
        value = best
    if isinstance(value, dict) and "label" in value:
        value = value["label"]
    return label_of(value, names)


def label_of(value: Any, names: Sequence[str] | None) -> str | Fault | None:
    """Return a class label's name.

    Parameters
    ----------
    value : any
        The name, the number, or ``LABEL_<number>``.
    names : sequence of str, optional
        The labels' names, in the order of their numbers. Without them a number stands for itself.

    Returns
    -------
    str, Fault or None
        A text that is no label as it is; None for no label, which `datasets` writes as -1.
    """
    if type(value) is int and names and 0 <= value < len(names):
        return names[value]
    if isinstance(value, bool):
        value = int(value) if names else text_of(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = (text_of(value) or "").strip()
    if names and text in names:
        return text
    if match := _LABEL_NUMBER.fullmatch(text):
        if names is None:
            return match[1]
        number = int(match[1])
        if number == _NO_LABEL:
            return None
        if not 0 <= number < len(names):
            return Fault("unknown_label", f"{number}, expected one of the {len(names)} labels")
        return names[number]
    alike = [name for name in names or () if name.casefold() == text.casefold()]
    return alike[0] if len(alike) == 1 else text


def _best(values: list[Any], names: Sequence[str] | None) -> Any:
    """Return the number or name of the label with the highest score."""
    if values and all(isinstance(one, dict) and "label" in one for one in values):
        scores = [one.get("score") for one in values]
        labels: Sequence[Any] = [one["label"] for one in values]
    else:
        scores, labels = values, range(len(values))
        if names and len(values) != len(names):
            detail = f"{len(values)} scores, expected one for each of the {len(names)} labels"
            return Fault("unreadable_label", detail)
    numbers = [one for one in scores if isinstance(one, int | float) and math.isfinite(one)]
    if not scores or len(numbers) < len(scores):
        return Fault("unreadable_label", f"{text_of(values)}"[:200] + ", expected scores")
    return labels[numbers.index(max(numbers))]


def _score(value: Any) -> float | int | Fault:
    if value is None:
        return Fault("missing_score", "the row's score is empty")
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE or text in _FALSE:
            return 1.0 if text in _TRUE else 0.0
        try:
            value = float(text)
        except ValueError:
            return Fault(
                "unreadable_score", f"score {value[:100]!r} is neither a number nor true or false"
            )
    elif isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, bool | int | float):
        return Fault("unreadable_score", f"score is a {type(value).__name__}, expected a number")
    if isinstance(value, float) and math.isnan(value):
        return Fault("missing_score", "the row's score is not a number (NaN)")
    return value


def _choices(value: Any) -> list[str] | Fault | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list):
        return Fault(
            "unreadable_choices",
            'choices are not a list: write them as a JSON list, e.g. ["yes", "no"]',
        )
    return texts_of(value)


def _metadata(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return metadata_json({"metadata": value})
    return metadata_json(value if isinstance(value, dict) else {"metadata": value})
