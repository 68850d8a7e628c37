"""Reader of tables: any file with a column for each thing known, and datasets of the hub's layout.

Which column holds what is said by option `columns`; a mapping file (`sources.mapping`) says that
and more, for classifiers too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from errclust_pipeline.sources.base import BATCH_ROWS, Batch, SourceError, Submission
from errclust_pipeline.sources.formats.table_files import (
    Table,
    column_names,
    is_json,
    label_names,
    places_of_records,
    tables_at,
)
from errclust_pipeline.sources.formats.table_join import Join, blocks_of
from errclust_pipeline.sources.formats.table_rows import RowConversion
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    NOT_AT_ONCE,
    NotAlikeError,
    RowBlock,
    batches_of_row_blocks,
    cell,
    is_list_index,
    mapped,
    rows_named,
    values_of,
)
from errclust_pipeline.sources.parsing.rows import constant_option, text_of
from errclust_pipeline.sources.registry import RegisteredReader

DEFAULT_COLUMNS = {
    "example_id": "example_id",
    "model": "model",
    "input_text": "input_text",
    "output_text": "output_text",
    "score": "score",
    "correct_answer": "correct_answer",
    "dataset": "dataset",
    "subject": "subject",
    "prediction": "prediction",
    "choices": "choices",
    "finish_reason": "finish_reason",
    "metadata": "metadata",
}
"""What a table can hold, and the column it stands in if option `columns` names no other.

The names are those of ErrorMap's input.
"""

OTHER_NAMES = {
    "question": "input_text",
    "response": "output_text",
    "gold": "correct_answer",
    "benchmark": "dataset",
}
"""Names of the `responses` table that option `columns` takes too."""

LABELLED = ("correct_answer", "prediction")
"""What may be a class label."""

_encode = json.JSONEncoder(default=str).encode
_FEWEST_COMPARED = 20
_MOST_LABELS = 1_000


@dataclass(frozen=True)
class _Names:
    """Where a table's rows say what they are of, and what to take where they do not."""

    columns: Mapping[str, Any]
    benchmark: str
    model: str | None

    def pair(self, row: Mapping[str, Any]) -> tuple[str, str] | RowError:
        """Return the benchmark and model of a row."""
        benchmark: str | None = self.benchmark
        if "dataset" in self.columns:
            benchmark = _name(cell(row, self.columns["dataset"]))
        model = (
            self.model if "model" not in self.columns else _name(cell(row, self.columns["model"]))
        )
        if not benchmark or not model:
            missing = "dataset" if not benchmark else "model"
            return RowError(
                "missing_name", f"the row's {missing} is empty: no submission can own it"
            )
        return benchmark, model

    def pairs(self, block: RowBlock) -> list[tuple[str, str]]:
        """Return the benchmark and model of each row of a block.

        Raises
        ------
        NotAlikeError
            If a row does not say what it is of.
        """
        given = {"dataset": self.benchmark, "model": self.model}
        names: list[list[str]] = []
        for part, otherwise in given.items():
            there = [otherwise] * len(block)
            if part in self.columns:
                names_there = mapped(block.column(self.columns[part]), _name, pa.string())
                there = [] if names_there is None else names_there.to_pylist()
            names.append([name for name in there if name])
            if len(names[-1]) < len(block):
                raise NotAlikeError
        benchmarks, models = names
        return list(zip(benchmarks, models, strict=True))

    def rows_of(self, block: RowBlock, owner: tuple[str, str]) -> RowBlock:
        """Return the rows of a block that are of a benchmark and model.

        Raises
        ------
        NotAlikeError
            If a row does not say what it is of.
        """
        is_owned = np.ones(len(block), np.bool_)
        for part, name, otherwise in zip(
            owner, ("dataset", "model"), (self.benchmark, self.model), strict=True
        ):
            if name not in self.columns:
                is_owned &= otherwise == part
                continue
            is_owned &= rows_named(block.column(self.columns[name]), part, _name)
        return block if is_owned.all() else block.where(is_owned)


class TableReader(RegisteredReader):
    """Tables of results: one submission for each pair of dataset and model in a table.

    A row that belongs to nobody (not readable, or without a model's name) is rejected in every
    submission of the table. A table without ids is numbered by its rows. Where no column holds a
    score, a row is right if its prediction is the right answer.
    """

    name = "table"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the pairs of dataset and model in a file, or in a folder's tables.

        In a folder, tables without the columns needed are left out, as is a JSON file unless
        option `columns` says that it is a table; any other file without them is an error.
        """
        rows = constant_option(options, "rows")
        folder = path if path.is_dir() else path.parent
        join = Join.of_options(options.get("join"), folder)
        tables = [
            dataclasses.replace(table, rows=rows, join=join)
            for table in tables_at(path)
            if join is None or join.file.resolve() not in map(Path.resolve, table.files)
        ]
        # Most JSON files are something else.
        if path.is_dir() or (tables and is_json(path) and not options.get("columns")):
            tables = [table for table in tables if _has_columns(table, options)]
        submissions = []
        for table in _of_split(path, tables, constant_option(options, "split")):
            submissions += self._find_in_table(table, options)
        return submissions

    def _find_in_table(self, table: Table, options: Mapping[str, Any]) -> list[Submission]:
        models = _given_models(options)
        if models is None:
            return self._find_models(table, options)
        if constant_option(options, "model") is not None:
            raise SourceError("options model and models are both given: leave one out")
        base = {name: value for name, value in options.items() if name != "models"}
        submissions = []
        for model, of_model in models.items():
            columns = {**_given_columns(base), **of_model}
            if "model" in columns:
                raise SourceError("options models and columns both say what model a row is of")
            submissions += self._find_models(table, {**base, "model": model, "columns": columns})
        return submissions

    def _find_models(self, table: Table, options: Mapping[str, Any]) -> list[Submission]:
        path = table.path
        if not any(file.stat().st_size for file in table.files):
            raise SourceError(f"{path} is empty. Expected {self.expects}")
        names, labels = _names(table, options)
        comparison = None if "score" in names.columns else _Comparison(names.columns, labels)
        digests: dict[tuple[str, str], Any] = {}
        first_error: RowError | None = None
        used = used_columns(names.columns)
        for block in blocks_of(table.files, used, table.rows, table.join):
            at_once = None if comparison is not None else _canonical_rows(block, names)
            if at_once is not None:
                for owner, content in at_once.items():
                    digests.setdefault(owner, hashlib.blake2b(digest_size=16)).update(content)
                continue
            for row in block.rows():
                pair = row if isinstance(row, RowError) else names.pair(row)
                if isinstance(pair, RowError):
                    first_error = first_error or pair
                    continue
                digest = digests.setdefault(pair, hashlib.blake2b(digest_size=16))
                digest.update(_canonical(row, names.columns))
                if comparison is not None:
                    comparison.add(row)
        if not digests:
            why = first_error.detail if first_error else "it holds no rows"
            raise SourceError(f"{path} holds no results ({why}). Expected {self.expects}")
        if comparison is not None:
            comparison.check(path)
        renamed = [constant_option(options, name) for name in ("benchmark", "model")]
        for option, values, given in (
            ("benchmark", {pair[0] for pair in digests}, renamed[0]),
            ("model", {pair[1] for pair in digests}, renamed[1]),
        ):
            if given is not None and len(values) > 1:
                raise SourceError(
                    f"{path} holds results of {len(values)} {option}s, and option {option} names "
                    "only one: leave the option out"
                )
        return [
            Submission(
                benchmark=renamed[0] or benchmark,
                model=renamed[1] or model,
                reader=self.name,
                files=tuple(map(str, table.all_files)),
                revision=digest.hexdigest(),
                # What the file calls them, and how it is read, whatever the file's name then.
                options={
                    **options,
                    "owner": [benchmark, model],
                    "columns": dict(names.columns),
                    "defaults": [names.benchmark, names.model],
                    "label_names": labels,
                },
            )
            for (benchmark, model), digest in digests.items()
        ]

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the submission's rows; rows of other models and datasets are skipped."""
        columns = submission.options["columns"]
        names = _Names(columns, *submission.options["defaults"])
        owner = tuple(submission.options["owner"])
        conversion = RowConversion(columns, submission.options.get("label_names", {}))
        files = list(submission.files)
        given = submission.options.get("join")
        # The file that is joined stands last, wherever a copy of it lies.
        join = Join.of_options(None if given is None else {**given, "file": files.pop()}, Path())
        several = len(files) > 1
        # Positions begin anew in each shard.
        prefix = {file: f"{number}-" if several else "" for number, file in enumerate(files)}
        rows = submission.options.get("rows")
        blocks = blocks_of(map(Path, files), used_columns(columns), rows, join)

        def convert(file: str, position: int, row: Any) -> dict[str, Any] | RowError | None:
            pair = names.pair(row)
            if isinstance(pair, RowError):
                return pair
            return conversion.to_row(f"{prefix[file]}{position}", row) if pair == owner else None

        def convert_columns(block: RowBlock) -> tuple[RowBlock, dict[str, Any]]:
            owned = names.rows_of(block, owner)
            return owned, conversion.to_columns(owned, prefix[block.source])

        return batches_of_row_blocks(
            submission, batch_rows, blocks, convert_columns, convert, self.expects
        )


class _Comparison:
    """Whether right answers and predictions are written alike: else every row would be wrong."""

    def __init__(self, columns: Mapping[str, Any], labels: Mapping[str, Sequence[str]]) -> None:
        self._conversion = RowConversion(columns, labels)
        self._rows = 0
        self._labels: tuple[dict[str, None], dict[str, None]] = ({}, {})

    def add(self, row: Mapping[str, Any]) -> None:
        """Take note of a row's labels."""
        try:
            converted = self._conversion.to_row("", row)
        except (RecursionError, ValueError, OverflowError):
            return
        if isinstance(converted, RowError):
            return
        answers = converted["gold"], converted["prediction"]
        self._rows += None not in answers
        for labels, answer in zip(self._labels, answers, strict=True):
            if answer is not None and len(labels) < _MOST_LABELS:
                labels[answer] = None

    def check(self, path: Path) -> None:
        """Raise a `SourceError` if no prediction of many is among the right answers."""
        gold, predicted = self._labels
        if self._rows < _FEWEST_COMPARED or gold.keys() & predicted.keys():
            return
        shown = [
            ", ".join(repr(label[:40]) for label in list(labels)[:5])
            for labels in (gold, predicted)
        ]
        raise SourceError(
            f"{path}: no prediction is one of the right answers ({shown[0]}; predicted: "
            f"{shown[1]}). If they are numbers and names of labels, give the names with labels in "
            "the mapping; if answers are judged otherwise, name the column of the score"
        )


def used_columns(columns: Mapping[str, Any]) -> list[str]:
    """Return the columns of a table that something is read from."""
    used = [[name] if isinstance(name, str) else name for name in columns.values()]
    return sorted({column for some in used for column in some})


def _of_split(path: Path, tables: list[Table], split: str | None) -> list[Table]:
    """Choose the tables of a split; a dataset with several needs the choice."""
    splits: dict[Path | None, list[str]] = {}
    for table in tables:
        if table.split is not None:
            splits.setdefault(table.dataset, []).append(table.split)
    if split is None:
        for dataset, there in splits.items():
            if len(there) > 1:
                raise SourceError(
                    f"{dataset} has the splits {', '.join(sorted(there))}: choose one with option "
                    "split (--split)"
                )
        return tables
    chosen = [table for table in tables if table.split == split]
    if tables and not chosen:
        there = sorted({name for names in splits.values() for name in names})
        raise SourceError(
            f"{path} has no split {split!r}; "
            + (f"there are: {', '.join(there)}" if there else "leave option split out")
        )
    return chosen


def _column_names(table: Table) -> list[str]:
    """Return the names of a table's columns, and of those that it gets by a join."""
    names = column_names(table.files[0], table.rows)
    return names if table.join is None else [*names, *table.join.names]


def _has_columns(table: Table, options: Mapping[str, Any]) -> bool:
    try:
        there = set(_column_names(table))
    except SourceError:
        return False
    models = _given_models(options) or {"": {}}
    return all(
        _missing({**_given_columns(options), **of_model}, there) is None
        for of_model in models.values()
    )


def _missing(given: Mapping[str, Any], there: set[str]) -> str | None:
    """Return what a table lacks to be one of results, if anything."""
    wanted = {**DEFAULT_COLUMNS, **given}
    asked = used_columns({"input_text": wanted["input_text"]})
    if not all(_is_there(column, there) for column in asked):
        return "input_text"
    # Answers may be judged in many ways: they are compared only if that is asked for.
    compared = all(name in given for name in LABELLED)
    return None if _is_there(wanted["score"], there) or compared else "score"


def _given_columns(options: Mapping[str, Any]) -> dict[str, Any]:
    return _checked_columns("option columns", options.get("columns") or {})


def _given_models(options: Mapping[str, Any]) -> dict[str, dict[str, Any]] | None:
    given = options.get("models")
    if given is None:
        return None
    if not isinstance(given, Mapping) or not given:
        raise SourceError(f"option models is {given!r}: expected models' names, with their columns")
    return {
        str(model): _checked_columns(f"option models: {model}", own) for model, own in given.items()
    }


def _checked_columns(where: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise SourceError(f"{where} is {given!r}: expected names of columns by what they hold")
    columns = {OTHER_NAMES.get(str(name), str(name)): what for name, what in given.items()}
    for name, column in columns.items():
        if name not in DEFAULT_COLUMNS:
            raise SourceError(
                f"{where}: {name!r} is not known; known are {', '.join(DEFAULT_COLUMNS)}"
            )
        several = isinstance(column, list) and column and name == "input_text"
        if not all(isinstance(part, str) for part in (column if several else [column])):
            raise SourceError(f"{where}: {name} is {column!r}, expected a column's name")
    return columns


def _names(table: Table, options: Mapping[str, Any]) -> tuple[_Names, dict[str, list[str]]]:
    """Settle which columns of the table are used, and what stands in for missing names.

    Returns
    -------
    tuple of _Names and dict
        With the names of class labels, of the columns that hold some.
    """
    path = table.files[0]
    given = _given_columns(options)
    names = _column_names(table)
    there = set(names)
    for name, column in given.items():
        for part in used_columns({name: column}):
            if not _is_there(part, there):
                raise SourceError(
                    f"{path} has no column {part!r}, which option columns names for "
                    f"{_called(name)}; its columns: {_listing(table, names)}"
                )
    wanted = {**DEFAULT_COLUMNS, **given}
    columns = {
        name: column
        for name, column in wanted.items()
        if all(_is_there(part, there) for part in used_columns({name: column}))
    }
    if "dataset" not in given and constant_option(options, "benchmark") is not None:
        # The benchmark's name is given: a column that happens to be called so says something else.
        columns.pop("dataset", None)
    missing = _missing(given, there)
    if missing is not None:
        compared = (
            ", or which hold the right answer and the prediction, to be compared (gold, prediction)"
            if missing == "score"
            else ""
        )
        raise SourceError(
            f"{path} has no column {wanted[missing]!r}; its columns: "
            f"{_listing(table, names)}. Say with option columns which of them holds {missing} "
            f"(on the command line: --column {missing}=...)"
            f"{compared}"
        )
    labels = _label_names(table, columns, options)
    if "score" not in given and "score" in columns and given.keys() >= set(LABELLED):
        # A classifier's column of this name is how sure it was, not whether it was right.
        if not labels:
            raise SourceError(
                f"{path} has a column 'score', and columns for the right answer and the prediction "
                "were named too. If the score decides what is right, name it as well (--column "
                "score=score); if it is how sure a classifier was, give the labels' names in a "
                "mapping, and the two are compared"
            )
        del columns["score"]
    twice = [column for column in used_columns(columns) if names.count(column) > 1]
    if twice:
        raise SourceError(f"{path} has two columns named {twice[0]!r}: rename one of them")
    model = constant_option(options, "model")
    if "model" not in columns and model is None:
        raise SourceError(
            f"{path} has no column 'model'; its columns: {_listing(table, names)}. Set option "
            "model to the model's name (--model), or say with option columns which column holds it"
        )
    return _Names(columns, constant_option(options, "benchmark") or table.name, model), labels


def _is_there(column: str, there: Set[str]) -> bool:
    """Whether a table has a column; of an item in a list, whether it has the list."""
    if column in there:
        return True
    parts = column.split(".")
    return any(
        is_list_index(part) and ".".join(parts[:place]) in there
        for place, part in enumerate(parts)
        if place
    )


def _listing(table: Table, names: Sequence[str]) -> str:
    """List a table's columns for a message, and where else in the file records may be."""
    path = table.files[0]
    places = places_of_records(path) if table.rows is None and is_json(path) else []
    hint = f"; lists of records in it: {', '.join(places)} (say which with rows in a mapping)"
    return (", ".join(names[:40]) or "none") + (hint if places else "")


def _called(name: str) -> str:
    """Return what a column may also be called in options, beside its name."""
    others = [other for other, known in OTHER_NAMES.items() if known == name]
    return f"{name} ({others[0]})" if others else name


def _label_names(
    table: Table, columns: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the names of class labels in the columns that hold some, as given or as stated."""
    given = options.get("labels")
    if given is not None:
        is_names = isinstance(given, list) and all(isinstance(name, str) for name in given)
        if not is_names or not given:
            raise SourceError(f"option labels is {given!r}: expected the labels' names in a list")
        return {name: given for name in LABELLED if name in columns}
    stated = {
        name: label_names(table.files[0], columns[name]) for name in LABELLED if name in columns
    }
    # A classifier's numbers are usually written as plain ones.
    known = [names for names in stated.values() if names]
    return {name: names or known[0] for name, names in stated.items()} if known else {}


def _canonical(row: Mapping[str, Any], columns: Mapping[str, Any]) -> bytes:
    """Write what is used of a row in one way only, for the revision."""
    values = [
        [
            name,
            cell(row, column) if isinstance(column, str) else [cell(row, part) for part in column],
        ]
        for name, column in sorted(columns.items())
    ]
    try:
        return _encode(values).encode()
    except (RecursionError, ValueError, TypeError):
        return b"a row nested too deeply"


def _canonical_rows(block: RowBlock, names: _Names) -> dict[tuple[str, str], bytes] | None:
    """Return what `_canonical` writes of a block's rows, end to end for each benchmark and model.

    None if the rows have to be looked at one by one.
    """
    columns = sorted(names.columns.items())
    row = ", ".join(f"[{_encode(name).replace('%', '%%')}, %s]" for name, _ in columns)
    try:
        pairs = names.pairs(block)
        encoded = [_encoded_column(block, column) for _, column in columns]
    except NOT_AT_ONCE:
        return None
    contents: dict[tuple[str, str], list[str]] = {}
    for pair, values in zip(pairs, zip(*encoded, strict=True), strict=True):
        contents.setdefault(pair, []).append(f"[{row}]" % values)
    return {pair: "".join(content).encode() for pair, content in contents.items()}


def _encoded_column(block: RowBlock, column: str | Sequence[str]) -> list[str]:
    if not isinstance(column, str):
        parts = zip(*(_encoded_column(block, part) for part in column), strict=True)
        return [f"[{', '.join(part)}]" for part in parts]
    return [
        # An encoder is set up for each call, which costs more than to write a text.
        encode_basestring_ascii(value) if type(value) is str else _encode(value)
        for value in values_of(block, column)
    ]


def _name(value: Any) -> str | None:
    try:
        text = text_of(value)
    except RecursionError:
        return None
    return text if text and text.strip() else None
