"""Reader of OSQ-bench, VILA-Lab's Open-LLM-Leaderboard: free answers that a judge marked.

The questions were multiple-choice ones that can be asked without their options. A language model
compared each answer with the right one and said "Correct" or "Incorrect".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    Batch,
    SourceError,
    Submission,
    file_fingerprint,
)
from errclust_pipeline.sources.formats.table_files import column_names, row_blocks_of_table
from errclust_pipeline.sources.parsing.field_map import (
    Constant,
    Converted,
    FieldMap,
    Metadata,
    Text,
)
from errclust_pipeline.sources.parsing.json_stream import (
    RowError,
    row_blocks_of_json_file,
    rows_of_json_file,
)
from errclust_pipeline.sources.parsing.row_blocks import (
    NotAlikeError,
    ParsedRowBlock,
    RowBlock,
    batches_of_row_blocks,
    mapped,
    positions,
)
from errclust_pipeline.sources.parsing.rows import (
    constant_option,
    files_below,
    first_row,
)
from errclust_pipeline.sources.registry import RegisteredReader

DATASETS = frozenset(
    {
        "arc", "commonsenseqa", "hellaswag", "medmcqa", "mmlu", "openbookqa", "piqa", "race",
        "winogrande",
    }
)  # fmt: skip
"""The sets that the questions come from, as files are named by them, in small letters."""

_KEYS = frozenset({"question", "gold_answer", "os_answer", "os_eval"})
_FROM_OPTIONS = ("mcq_answer", "mcq_eval")
"""The answer of the model that was shown the options, and whether it is right."""
_ALL_KEYS = _KEYS | {*_FROM_OPTIONS, "dataset"}
_JSON = (".json", ".json.gz", ".json.zst")
_JSON_LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
_SPLITS = frozenset({"train", "test", "validation", "data", "default"})
_VERDICT = re.compile(r"\W*(?:grade\W*)?(correct|incorrect)\W*", re.IGNORECASE)
_LONGEST_VERDICT = 100
_NOT_JUDGED = "Cannot be answered"
"""What the leaderboard's script writes if the judge cannot be reached."""


class OsqBenchReader(RegisteredReader):
    """OSQ-bench: a benchmark for each set of questions, `osq_<set>`, and a model for each folder.

    The model is called as the folder is, since no row says it: `Large/GPT4/ARC.json` and
    `gpt4/train/0000.parquet` are of `GPT4` and `gpt4`. The answer that the same model gave when it
    was shown the options is kept in `metadata`.
    """

    name = "osq_bench"

    def find(self, path: Path, options: Mapping[str, Any]) -> list[Submission]:
        """List the models and sets of questions in a file, or in a folder's files."""
        if path.is_dir():
            files = [file for file in files_below(path) if _may_be_one(file)]
        else:
            files = [path]
        benchmark, model = (constant_option(options, name) for name in ("benchmark", "model"))
        submissions = [
            Submission(
                benchmark=benchmark or f"osq_{dataset.lower()}",
                model=model or _model(file),
                reader=self.name,
                files=(str(file),),
                revision=file_fingerprint(file),
                options={**options, "dataset": dataset},
            )
            for file in files
            if _is_one(file)
            for dataset in _datasets(file)
        ]
        for option, given, values in (
            ("benchmark", benchmark, {submission.options["dataset"] for submission in submissions}),
            ("model", model, {_model(Path(submission.files[0])) for submission in submissions}),
        ):
            if given and len(values) > 1:
                raise SourceError(
                    f"{path} holds results of {len(values)} {option}s, and option {option} names "
                    "only submission: leave the option out"
                )
        return submissions

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[Batch]:
        """Stream the answers to one set's questions; other sets' rows are passed over."""
        path = Path(submission.files[0])
        dataset = submission.options["dataset"]

        def convert(_: str, position: int, row: Any) -> dict[str, Any] | RowError | None:
            if not isinstance(row, dict):
                kind = type(row).__name__
                return RowError("not_an_object", f"the row is a {kind}, expected an object")
            if _dataset(row, path) != dataset:
                return None
            return _FIELDS.to_row(row, {"example_id": str(position)})

        def convert_columns(block: RowBlock) -> tuple[RowBlock, dict[str, Any]]:
            of_dataset = _of_dataset(block, path, dataset)
            return of_dataset, _FIELDS.to_columns(
                of_dataset, {"example_id": positions(of_dataset).cast(pa.string())}
            )

        return batches_of_row_blocks(
            submission,
            batch_rows,
            _row_blocks(path),
            convert_columns,
            convert,
            self.expects,
        )


def _may_be_one(path: Path) -> bool:
    """Whether a file in a folder is worth opening, by its name."""
    name = path.name.lower()
    return name.endswith((*_JSON_LINES, ".parquet")) or (
        name.endswith(_JSON) and name.split(".")[0] in DATASETS
    )


def _is_one(path: Path) -> bool:
    name = path.name.lower()
    try:
        if name.endswith(".parquet"):
            return set(column_names(path)) >= _KEYS
        if name.endswith(_JSON + _JSON_LINES):
            row = first_row(rows_of_json_file(path))
            return row is not None and row.keys() >= _KEYS
    except SourceError:
        return False  # A file of another reader's may be damaged too.
    return False


def _row_blocks(path: Path) -> Iterator[RowBlock]:
    if path.name.lower().endswith(".parquet"):
        yield from row_blocks_of_table(path, sorted(_ALL_KEYS))
    else:
        for block in row_blocks_of_json_file(path):
            yield ParsedRowBlock(str(path), *block)


def _datasets(path: Path) -> list[str]:
    """List the sets whose questions a file holds, in its order."""
    datasets: dict[str, None] = {}
    for block in _row_blocks(path):
        try:
            datasets |= dict.fromkeys(_dataset_column(block, path).unique().to_pylist())
        except (NotAlikeError, pa.ArrowException, ValueError):
            rows = (row for row in block.rows() if isinstance(row, dict))
            datasets |= dict.fromkeys(_dataset(row, path) for row in rows)
    return list(datasets)


def _dataset(row: Mapping[str, Any], path: Path) -> str:
    """Return the set that a row is of: what it says, or else its file's name."""
    return _dataset_name(row.get("dataset"), path)


def _dataset_name(name: Any, path: Path) -> str:
    return name if isinstance(name, str) and name.strip() else path.name.split(".")[0]


def _dataset_column(block: RowBlock, path: Path) -> pa.Array:
    names = mapped(block.column("dataset"), partial(_dataset_name, path=path), pa.string())
    return names if isinstance(names, pa.Array) else pa.repeat(names, len(block))


def _of_dataset(block: RowBlock, path: Path, dataset: str) -> RowBlock:
    """Return the rows of a set of questions."""
    is_of_dataset = pc.equal(_dataset_column(block, path), dataset).to_numpy(zero_copy_only=False)
    return block if is_of_dataset.all() else block.where(is_of_dataset)


def _model(path: Path) -> str:
    folder = path.resolve().parent
    while folder.name.lower() in _SPLITS:
        folder = folder.parent
    if not folder.name:
        raise SourceError(f"{path}: no folder says which model it is of: set option model")
    return folder.name


def _score(verdict: Any) -> float | RowError:
    if verdict is None or verdict == _NOT_JUDGED:
        return RowError("not_judged", "the judge gave no verdict on the answer")
    match = (
        _VERDICT.fullmatch(verdict)
        if isinstance(verdict, str) and len(verdict) <= _LONGEST_VERDICT
        else None
    )
    if match is None:
        shown = repr(verdict)[:_LONGEST_VERDICT]
        return RowError("unreadable_verdict", f"os_eval is {shown}, expected Correct or Incorrect")
    return 1.0 if match[1].lower() == "correct" else 0.0


_FIELDS = FieldMap(
    (
        Text(
            "question",
            "question",
            missing=RowError("missing_question", "the row's question is empty"),
            not_blank=True,
            only_text=True,
        ),
        Converted("score", "os_eval", _score, pa.float64()),
        Text("gold", "gold_answer"),
        Text("response", "os_answer", default=""),
        # The judge read the whole answer: nobody extracted one from it.
        Constant("extraction_recorded", False),
        Constant("metric", "os_eval"),
        Metadata("metadata", _FROM_OPTIONS),
    )
)
