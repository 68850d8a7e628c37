"""A table's rows, one or many: what cells mean, the score they give, class labels by name."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    Column,
    NotAlikeError,
    RowBlock,
    cell,
    choice_lists,
    empty_as_null,
    is_blank,
    mapped,
    positions,
    positions_in,
    texts,
)
from errclust_pipeline.sources.parsing.rows import metadata_json, text_of, texts_of

EXACT_MATCH = "exact_match"
"""The metric where no column holds a score: whether the prediction is the right answer."""

_TRUE, _FALSE = ("true", "yes"), ("false", "no")
_LABEL_NUMBER = re.compile(r"(?:LABEL_)?(-?\d{1,9})(?:\.0)?")
"""A label's number as text; transformers calls the labels of a model without names LABEL_0, …"""

_NO_LABEL = -1
_NUMBERS = (
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(),
)  # fmt: skip


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

    def to_row(self, example_id: str, row: Mapping[str, Any]) -> dict[str, Any] | RowError:
        """Return the columns of `responses`, or what is wrong with the row.

        Parameters
        ----------
        example_id : str
            The row's id if the table has no column of ids.
        """
        gold = self._answer(row, "correct_answer")
        prediction = self._answer(row, "prediction")
        for answer in (gold, prediction):
            if isinstance(answer, RowError):
                return answer
        score = self._score(row, gold, prediction)
        if isinstance(score, RowError):
            return score
        question = self._question(row)
        if not question.strip():
            return RowError("missing_question", "the row's question is empty")
        identity = self._cell(row, "example_id")
        if identity is None and "example_id" in self._columns:
            return RowError("missing_id", "the row's example_id is empty")
        choices = _choices(self._cell(row, "choices"))
        if isinstance(choices, RowError):
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
        gold = self._answers(block, "correct_answer")
        prediction = self._answers(block, "prediction")
        choices = choice_lists(self._column(block, "choices"), _choices)
        return {
            "example_id": self._ids(block, prefix),
            "subject": texts(self._column(block, "subject")),
            "question": self._questions(block),
            "choices": choices,
            "gold": gold,
            "gold_choice": positions_in(choices, gold),
            "response": self._responses(block),
            "prediction": prediction,
            "extraction_recorded": "prediction" in self._columns,
            "predicted_choice": positions_in(choices, prediction),
            "score": self._scores(block, gold, prediction),
            "metric": self._columns.get("score", EXACT_MATCH),
            "finish_reason": texts(self._column(block, "finish_reason")),
            "metadata": mapped(self._column(block, "metadata"), _metadata, pa.string()),
        }

    def _column(self, block: RowBlock, name: str) -> Column:
        return empty_as_null(block.column(self._columns[name])) if name in self._columns else None

    def _ids(self, block: RowBlock, prefix: str) -> pa.Array:
        if "example_id" in self._columns:
            ids = texts(self._column(block, "example_id"))
            if ids is None or ids.null_count:
                raise NotAlikeError
            return ids
        ids = positions(block).cast(pa.string())
        return pc.binary_join_element_wise(prefix, ids, "") if prefix else ids

    def _questions(self, block: RowBlock) -> pa.Array:
        columns = self._columns["input_text"]
        names = [columns] if isinstance(columns, str) else columns
        parts = [part for name in names if (part := texts(block.column(name))) is not None]
        if not parts:
            raise NotAlikeError
        questions = parts[0]
        if not isinstance(columns, str):
            filled = [pc.if_else(pa.array(is_blank(part)), None, part) for part in parts]
            questions = pc.binary_join_element_wise(*filled, "\n", null_handling="skip")
        if is_blank(questions).any():
            raise NotAlikeError
        return questions

    def _responses(self, block: RowBlock) -> Any:
        if "output_text" not in self._columns:
            return None
        responses = texts(block.column(self._columns["output_text"]))
        return "" if responses is None else responses.fill_null("")

    def _answers(self, block: RowBlock, name: str) -> pa.Array | None:
        column = self._column(block, name)
        names = self._names.get(name)
        if names is None and not self._compares:
            return texts(column)
        return mapped(column, partial(_answer, name=name, names=names), pa.string())

    def _scores(
        self, block: RowBlock, gold: pa.Array | None, prediction: pa.Array | None
    ) -> pa.Array:
        if self._compares:
            if gold is None or gold.null_count:
                raise NotAlikeError
            none_right = pa.nulls(len(block), pa.string())
            right = pc.equal(gold, none_right if prediction is None else prediction)
            return right.fill_null(False).cast(pa.float64())
        column = self._column(block, "score")
        if isinstance(column, pa.Array) and column.type in _NUMBERS:
            scores = column.cast(pa.float64())
        else:
            scores = mapped(column, _number, pa.float64())
        if scores.null_count:
            raise NotAlikeError
        return scores

    def _cell(self, row: Mapping[str, Any], name: str) -> Any:
        value = cell(row, self._columns[name]) if name in self._columns else None
        return None if value == "" else value

    def _question(self, row: Mapping[str, Any]) -> str:
        columns = self._columns["input_text"]
        if isinstance(columns, str):
            return text_of(cell(row, columns)) or ""
        texts = [text_of(cell(row, column)) or "" for column in columns]
        return "\n".join(text for text in texts if text.strip())

    def _answer(self, row: Mapping[str, Any], name: str) -> str | RowError | None:
        """Return the right answer or the prediction as text; of class labels the name."""
        value = self._cell(row, name)
        names = self._names.get(name)
        if names is None and not self._compares:
            return text_of(value)
        return _answer(value, name, names)

    def _score(
        self, row: Mapping[str, Any], gold: str | RowError | None, prediction: str | RowError | None
    ) -> float | int | RowError:
        if not self._compares:
            return _score(self._cell(row, "score"))
        if gold is None:
            return RowError("missing_gold", "the row has no right answer to compare with")
        return 1.0 if gold == prediction else 0.0


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


def _score(value: Any) -> float | int | RowError:
    if value is None:
        return RowError("missing_score", "the row's score is empty")
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
    if isinstance(value, float) and math.isnan(value):
        return RowError("missing_score", "the row's score is not a number (NaN)")
    return value


def _number(value: Any) -> float | RowError:
    score = _score(value)
    return score if isinstance(score, RowError) else float(score)


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
