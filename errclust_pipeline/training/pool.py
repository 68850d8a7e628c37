"""Pools of training examples: tables with an instruction and an answer in each row.

They lie on this machine or on the hub. Choosing among their examples does not belong here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from errclust_pipeline.analysis.errors import text_id
from errclust_pipeline.hub.address import HubAddress, is_hub_address
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.dataset_files import fetch_data_files, list_data_files, splits_of
from errclust_pipeline.sources.base import SourceError
from errclust_pipeline.sources.formats.table_files import (
    TABLE_ENDINGS,
    column_names,
    rows_of_table,
    tables_at,
)
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
        The id of the instruction's text.
    instruction : str
    answer : str
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
        Its path, or its address on the hub with the commit.
    examples : tuple of TrainingExample
    left_out : mapping from reason to int
        Number of rows that are no example.
    columns : mapping from ``instruction`` and ``answer`` to str
        The columns that were read of the first file.
    """

    name: str
    examples: tuple[TrainingExample, ...]
    left_out: Mapping[str, int]
    columns: Mapping[str, str]


def read_pool(
    pool: str, columns: Mapping[str, str], split: str | None = None, config: str | None = None
) -> TrainingPool:
    """Read a pool; the same instruction with the same answer counts once.

    Parameters
    ----------
    pool : str
        The path of a table (CSV, TSV, JSON, JSON lines, Parquet, Arrow) or of a folder of tables,
        or the address of a dataset on the hub (``hf:owner/name``), or of a folder or file in it.
    columns : mapping
        Which column holds the ``instruction`` and which the ``answer``; ``a.b`` is ``b`` in an
        object ``a``. Without one, the usual names are looked for.
    split : str, optional
        The split; needed if there are several.
    config : str, optional
        The configuration of a dataset on the hub; needed if there are several.

    Raises
    ------
    SourceError
        If there is no table, no such column, split or configuration, or no usable row.
    HubError
        If the dataset cannot be fetched.
    """
    if unknown := sorted(set(columns) - set(_USUAL_COLUMNS)):
        raise SourceError(
            f"a pool has no {unknown[0]!r}: name its columns as {INSTRUCTION}=… and {ANSWER}=…"
        )
    if is_hub_address(pool):
        return _read_hub_pool(pool, columns, split, config)
    if config is not None:
        raise SourceError(f"{pool} is no dataset of the hub: --config is for hf:owner/name")
    path = Path(pool)
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    files = _files_of_split(pool, path, split)
    return _read_files(pool, path if path.is_dir() else path.parent, files, columns)


def _read_hub_pool(
    pool: str, columns: Mapping[str, str], split: str | None, config: str | None
) -> TrainingPool:
    """Read a pool from the hub; of a whole dataset, one split of one configuration."""
    hub, address = Hub(), HubAddress.parse(pool)
    if not address.name:
        raise SourceError(f"{pool} is an organisation: name a dataset of it, {pool}/dataset")
    dataset = list_data_files(hub, address, TABLE_ENDINGS, "training examples")
    folder = hub.local(dataset.address)
    # A folder or file that is named is read as it is.
    splits = None if address.path else splits_of(hub, dataset, config)
    if splits is not None:
        chosen = _choose_split(pool, sorted(splits), split)
        files = fetch_data_files(hub, splits[chosen])
    elif config is not None:
        raise SourceError(f"{pool} has no configurations: leave --config out")
    else:
        fetch_data_files(hub, dataset)
        files = _files_of_split(pool, folder, split)
    examples = _read_files(pool, folder if folder.is_dir() else folder.parent, files, columns)
    return replace(examples, name=str(dataset.address))


def _choose_split(pool: str, splits: Sequence[str], split: str | None) -> str:
    if split is None and len(splits) > 1:
        raise SourceError(f"{pool} has the splits {', '.join(splits)}: choose one with --split")
    chosen = split or splits[0]
    if chosen not in splits:
        raise SourceError(f"{pool} has no split {chosen!r}; it has: {', '.join(splits)}")
    return chosen


def _files_of_split(name: str, path: Path, split: str | None) -> list[Path]:
    """List the files of one split in a file or folder, by the files' names."""
    tables = tables_at(path)
    splits = sorted({table.split for table in tables if table.split})
    if split is not None:
        tables = [table for table in tables if table.split == split]
    elif len(splits) > 1:
        raise SourceError(f"{name} has the splits {', '.join(splits)}: choose one with --split")
    if not tables:
        raise SourceError(
            f"{name} holds no table"
            + (f" of split {split!r}" if split else "")
            + ": a pool is CSV, TSV, JSON, Parquet or Arrow"
        )
    return [file for table in tables for file in table.files]


def _read_files(
    pool: str, folder: Path, files: Iterable[Path], columns: Mapping[str, str]
) -> TrainingPool:
    """Read the examples in files; `folder` is what their names are relative to."""
    examples: dict[tuple[str, str], TrainingExample] = {}
    left_out: Counter[str] = Counter()
    columns_of_first: dict[str, str] = {}
    for file in files:
        name = file.relative_to(folder).as_posix()
        where = pool if pool.endswith(name) else f"{name} of {pool}"
        names = _column_names(where, column_names(file), columns)
        columns_of_first = columns_of_first or names
        for position, row in rows_of_table(file, names.values()):
            if isinstance(row, RowError):
                left_out[row.reason] += 1
                continue
            instruction, answer = (cell(row, names[role]) for role in _USUAL_COLUMNS)
            reason = _unusable(instruction, answer)
            if reason is not None:
                left_out[reason] += 1
            elif (instruction, str(answer)) in examples:
                left_out["repeated"] += 1
            else:
                examples[instruction, str(answer)] = TrainingExample(
                    f"{name}:{position}", text_id(instruction), instruction, str(answer)
                )
    if not examples:
        why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
        raise SourceError(f"{pool} holds no usable example ({why or 'no rows'})")
    return TrainingPool(
        pool, tuple(examples.values()), dict(sorted(left_out.items())), columns_of_first
    )


def _column_names(where: str, known: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Return which column of a file holds the instruction and which the answer."""
    names = {}
    for role, usual in _USUAL_COLUMNS.items():
        name = columns.get(role) or next((column for column in usual if column in known), None)
        if name is None or name not in known:
            missing = f"no column {name!r}" if name else f"no column that is usual for the {role}"
            raise SourceError(
                f"{where} has {missing}; it has {', '.join(known[:20])}: say which, e.g. "
                f"--column {role}={known[0] if known else 'name'}"
            )
        names[role] = name
    return names


def _unusable(instruction: object, answer: object) -> str | None:
    if not isinstance(instruction, str) or not instruction.strip():
        return "no_instruction"
    if isinstance(answer, bool) or not isinstance(answer, str | int | float):
        return "no_answer"
    return None if str(answer).strip() else "no_answer"
