"""A table's rows, one or many: what cells mean, the score they give, class labels by name."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.parsing.field_map import (
    Choices,
    Constant,
    Converted,
    Field,
    FieldMap,
    IsRight,
    JoinedText,
    PlaceAmongChoices,
    Text,
)
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.messages import answered_text, asked_text
from errclust_pipeline.sources.parsing.row_blocks import (
    RowBlock,
    positions,
)
from errclust_pipeline.sources.parsing.rows import metadata_json, text_of, texts_of

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
        Names of the class labels, in the order of their numbers, for the columns
        ``correct_answer`` and ``prediction`` if they hold labels.
    """

    def __init__(
        self, columns: Mapping[str, Any], label_names: Mapping[str, Sequence[str]]
    ) -> None:
        self._fields = FieldMap(_fields(columns, label_names))
        self._has_ids = "example_id" in columns

    def to_row(self, example_id: str, row: Mapping[str, Any]) -> dict[str, Any] | RowError:
        """Return the columns of `responses`, or what is wrong with the row.

        Parameters
        ----------
        example_id : str
            The row's id if the table has no column of ids.
        """
        return self._fields.to_row(row, {} if self._has_ids else {"example_id": example_id})

    def to_columns(self, block: RowBlock, prefix: str) -> dict[str, Any]:
        """Return the columns of `responses` of many rows, as `to_row` does of one.

        Parameters
        ----------
        prefix : str
            Stands before the rows' positions in their ids, if the table has no column of ids.

        Raises
        ------
        NotAlikeError
            If `to_row` has to be asked for each row.
        """
        if self._has_ids:
            return self._fields.to_columns(block, {})
        ids = positions(block).cast(pa.string())
        if prefix:
            ids = pc.binary_join_element_wise(prefix, ids, "")
        return self._fields.to_columns(block, {"example_id": ids})


def _fields(
    columns: Mapping[str, Any], label_names: Mapping[str, Sequence[str]]
) -> Iterator[Field]:
    """Yield the fields of a table; see `RowConversion`."""
    compares = "score" not in columns
    yield from _answer_fields(columns, label_names, compares)
    if compares:
        missing = RowError("missing_gold", "the row has no right answer to compare with")
        yield IsRight("score", missing)
    else:
        yield Converted(
            "score",
            columns["score"],
            _number,
            pa.float64(),
            empty_is_null=True,
            numbers_as_they_are=True,
        )
    yield Constant("metric", columns.get("score", EXACT_MATCH))
    missing = RowError("missing_question", "the row's question is empty")
    asked = columns["input_text"]
    if isinstance(asked, str):
        yield Text("question", asked, missing=missing, not_blank=True, convert=asked_text)
    else:
        yield JoinedText("question", asked, missing)
    if "example_id" in columns:
        missing = RowError("missing_id", "the row's example_id is empty")
        yield Text("example_id", columns["example_id"], missing=missing, empty_is_null=True)
    if "choices" in columns:
        # Class labels are no choices: all questions have the same, which tell none apart.
        yield Choices("choices", columns["choices"], _choices, empty_is_null=True)
    yield PlaceAmongChoices("gold_choice", "gold")
    yield PlaceAmongChoices("predicted_choice", "prediction")
    if "output_text" in columns:
        # An empty value in a column that exists is an empty response; without the column, nothing
        # is known of the response.
        yield Text("response", columns["output_text"], default="", convert=answered_text)
    for name in ("subject", "finish_reason"):
        if name in columns:
            yield Text(name, columns[name], empty_is_null=True)
    if "metadata" in columns:
        yield Converted("metadata", columns["metadata"], _metadata, pa.string(), empty_is_null=True)


def _answer_fields(
    columns: Mapping[str, Any], label_names: Mapping[str, Sequence[str]], compares: bool
) -> Iterator[Field]:
    """Yield the fields of the right answer and the prediction."""
    for name, column in (("gold", "correct_answer"), ("prediction", "prediction")):
        labels = label_names.get(column)
        if column not in columns:
            yield Constant(name, None)
        elif labels is None and not compares:
            yield Text(name, columns[column], empty_is_null=True)
        else:
            convert = partial(_answer, name=column, names=labels)
            yield Converted(name, columns[column], convert, pa.string(), empty_is_null=True)
    yield Constant("extraction_recorded", "prediction" in columns)


def _answer(value: Any, name: str, names: Sequence[str] | None) -> str | RowError | None:
    """Return an answer that is compared, or a class label by its name."""
    if value is None:
        return None
    if name == "prediction":
        label = predicted_label(value, names)
    elif isinstance(value, list):
        return RowError("several_labels", f"{name} is a list, expected one label or answer")
    else:
        label = label_of(value, names)
        if names and isinstance(label, str) and label not in names:
            known = ", ".join(names[:20])
            return RowError("unknown_label", f"{name} is {label[:100]!r}, expected one of {known}")
    return (
        RowError(label.reason, f"{name} is {label.detail}")
        if isinstance(label, RowError)
        else label
    )


def predicted_label(value: Any, names: Sequence[str] | None) -> str | RowError | None:
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
        if isinstance(best, RowError):
            return best
        value = best
    if isinstance(value, dict) and "label" in value:
        value = value["label"]
    return label_of(value, names)


def label_of(value: Any, names: Sequence[str] | None) -> str | RowError | None:
    """Return a class label's name.

    Parameters
    ----------
    value : any
        The name, the number, or ``LABEL_<number>``.
    names : sequence of str, optional
        The labels' names, in the order of their numbers. Without them a number stands for itself.

    Returns
    -------
    str, RowError or None
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
            return RowError("unknown_label", f"{number}, expected one of the {len(names)} labels")
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
            return RowError("unreadable_label", detail)
    numbers = [one for one in scores if isinstance(one, int | float) and math.isfinite(one)]
    if not scores or len(numbers) < len(scores):
        return RowError("unreadable_label", f"{text_of(values)}"[:200] + ", expected scores")
    return labels[numbers.index(max(numbers))]


def _score(value: Any) -> float | int | RowError | None:
    """Return a score as a number; None for one that is empty or not a number (NaN)."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE or text in _FALSE:
            return 1.0 if text in _TRUE else 0.0
        try:
            value = float(text)
        except ValueError:
            return RowError(
                "unreadable_score", f"score {value[:100]!r} is neither a number nor true or false"
            )
    elif isinstance(value, Decimal):
        value = float(value)
    if not isinstance(value, bool | int | float):
        return RowError("unreadable_score", f"score is a {type(value).__name__}, expected a number")
    return None if isinstance(value, float) and math.isnan(value) else value


def _number(value: Any) -> float | int | RowError | None:
    score = _score(value)
    try:
        return score if score is None or isinstance(score, RowError) else float(score)
    except OverflowError:
        return score  # A whole number that no float holds is out of any range.


def _choices(value: Any) -> list[str] | RowError | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, list):
        return RowError(
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
