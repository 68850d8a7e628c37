"""Pools of training examples: any table with an instruction and an answer in each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.sources.formats.table_files import column_names, rows_of_table, tables_at
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import cell

INSTRUCTION, ANSWER = "instruction", "answer"
_USUAL_COLUMNS: Mapping[str, tuple[str, ...]] = {
    INSTRUCTION: ("instruction", "question", "prompt", "problem", "input"),
    ANSWER: ("answer", "output", "response", "completion", "solution"),
}


@dataclass(frozen=True)
class TrainingExample:
    """One example of a pool.

    Attributes
    ----------
    example_id : str
        The file's path in the pool and the row's position in it, from 0.
    text_id : str
        Of the instruction.
    """

    example_id: str
    text_id: str
    instruction: str
    answer: str


@dataclass(frozen=True)
class TrainingPool:
    """The examples of a pool, in order, and what could not be used.

    Attributes
    ----------
    name : str
        Where it is from; of a dataset on the hub, with the commit.
    left_out : mapping from reason to int
        Rows of the files that are no example.
    columns : mapping
        From instruction and answer to the column that was read, of the first file.
    """

    name: str
    examples: tuple[TrainingExample, ...]
    left_out: Mapping[str, int]
    columns: Mapping[str, str]


def read_pool(path: Path, columns: Mapping[str, str], split: str | None = None) -> TrainingPool:
    """Read a pool; the same instruction with the same answer counts once.

    Parameters
    ----------
    path : Path
        A table (CSV, TSV, JSON, JSON lines, Parquet, Arrow) or a folder of them, as `datasets` or
        the hub leave it.
    columns : mapping
        Which column holds the ``instruction`` and which the ``answer``; ``a.b`` is ``b`` in an
        object ``a``. Without one, the usual names are looked for.
    split : str, optional
        Of a dataset that has several.

    Raises
    ------
    SourceError
        If there is no table, no such column or split, or no usable row.
    """
    if unknown := sorted(set(columns) - set(_USUAL_COLUMNS)):
        raise SourceError(
            f"a pool has no {unknown[0]!r}: name its columns as {INSTRUCTION}=… and {ANSWER}=…"
        )
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    tables = tables_at(path)
    splits = sorted({table.split for table in tables if table.split})
    if split is not None:
        tables = [table for table in tables if table.split == split]
    elif len(splits) > 1:
        raise SourceError(f"{path} has the splits {', '.join(splits)}: choose one with --split")
    if not tables:
        raise SourceError(
            f"{path} holds no table"
            + (f" of split {split!r}" if split else "")
            + ": a pool is CSV, TSV, JSON, Parquet or Arrow"
        )
    found: dict[tuple[str, str], TrainingExample] = {}
    left_out: Counter[str] = Counter()
    named: dict[str, str] = {}
    for table in tables:
        for file in table.files:
            names = _names(file, columns)
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            named = named or names
            for position, row in rows_of_table(file, names.values()):
                if isinstance(row, RowError):
                    left_out[row.reason] += 1
                    continue
                instruction, answer = (cell(row, names[what]) for what in (INSTRUCTION, ANSWER))
                reason = _unusable(instruction, answer)
                if reason is not None:
                    left_out[reason] += 1
                elif (instruction, str(answer)) in found:
                    left_out["repeated"] += 1
                else:
                    found[instruction, str(answer)] = TrainingExample(
                        f"{name}:{position}", text_id(instruction), instruction, str(answer)
                    )
    if not found:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
        raise SourceError(f"{path} holds no usable example ({why or 'no rows'})")
    return TrainingPool(str(path), tuple(found.values()), dict(sorted(left_out.items())), named)


def _names(file: Path, columns: Mapping[str, str]) -> dict[str, str]:
    there = column_names(file)
    names = {}
    for what, usual in _USUAL_COLUMNS.items():
        name = columns.get(what) or next((one for one in usual if one in there), None)
        if name is None or name not in there:
            missing = f"no column {name!r}" if name else f"no column that is usual for the {what}"
            raise SourceError(
                f"{file} has {missing}; it has {', '.join(there[:20])}: say which, e.g. "
                f"--column {what}={there[0] if there else 'name'}"
            )
        names[what] = name
    return names


def _unusable(instruction: object, answer: object) -> str | None:
    if not isinstance(instruction, str) or not instruction.strip():
        return "no_instruction"
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return "no_answer"
    return None if str(answer).strip() else "no_answer"
