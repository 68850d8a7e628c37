"""Writing selected training examples as files that training tools load, with a dataset card.

::

    <folder>/README.md                  dataset card: provenance, and what is left to fill in
    <folder>/chat/train.jsonl|parquet   messages: user, assistant
    <folder>/instruction/train.…        instruction, output
    <folder>/picks.parquet              why each example was picked
    <folder>/held_out_questions.csv     ids of the benchmark's questions to measure the gain by

Without a pool there are no examples yet; specifications say which ones to write::

    <folder>/README.md, target_specifications.jsonl|parquet, picks.parquet, held_out_questions.csv
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.analysis.plain_text import visible_line
from errclust_pipeline.training.pool import TrainingExample
from errclust_pipeline.warehouse.storage import replace_folder

if TYPE_CHECKING:
    import pandas as pd

CARD = "README.md"
PICKS = "picks.parquet"
HELD_OUT = "held_out_questions.csv"
SPECIFICATIONS = "target_specifications"
_COMPARED = (
    'errclust sql "select model, count(*) as questions, avg(correct::int) as accuracy from '
    "responses where question_id in (select question_id from "
    "read_csv('held_out_questions.csv', all_varchar = true)) group by model\""
)
_EXPORTED = {
    CARD,
    PICKS,
    HELD_OUT,
    "chat",
    "instruction",
    f"{SPECIFICATIONS}.jsonl",
    f"{SPECIFICATIONS}.parquet",
}

_MESSAGE = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])
_CHAT = pa.schema([pa.field("messages", pa.list_(_MESSAGE)), pa.field("id", pa.string())])
_INSTRUCTION = pa.schema(
    [
        pa.field("instruction", pa.string()),
        pa.field("output", pa.string()),
        pa.field("id", pa.string()),
    ]
)


def export_examples(
    folder: Path,
    examples: Sequence[TrainingExample],
    picks: pd.DataFrame,
    held_out: Mapping[str, str | None],
    about: Mapping[str, str],
) -> None:
    """Write selected examples; the folder appears once it is complete.

    Parameters
    ----------
    folder : Path
        An export that is there already is replaced.
    examples : sequence of TrainingExample
        In the order of the picks.
    picks : DataFrame
        From `pick_table`.
    held_out : mapping from question id to str or None
        The id that the model's results give the question; None if the model was not asked it.
    about : mapping from str to str
        The lines of the card's section on provenance.

    Raises
    ------
    FileExistsError
        If the folder holds anything that is not such an export.
    """

    def fill(partial: Path) -> None:
        chat = [
            {
                "messages": [
                    {"role": "user", "content": example.instruction},
                    {"role": "assistant", "content": example.answer},
                ],
                "id": example.example_id,
            }
            for example in examples
        ]
        instruction = [
            {
                "instruction": example.instruction,
                "output": example.answer,
                "id": example.example_id,
            }
            for example in examples
        ]
        for name, rows, schema in (
            ("chat", chat, _CHAT),
            ("instruction", instruction, _INSTRUCTION),
        ):
            (partial / name).mkdir()
            _write_rows(partial / name / "train", rows, schema)
        card = _card(
            "Training examples selected by errclust",
            about,
            {
                "chat": "chat/train.parquet",
                "instruction": "instruction/train.parquet",
                "picks": PICKS,
            },
            "the pool that the examples are from",
            'Load with `datasets.load_dataset(folder, "chat")`, or `"instruction"`, or '
            '`"picks"` for why each was picked.',
        )
        _write_common(partial, card, picks, held_out)

    _write_folder(folder, fill)


def export_specifications(
    folder: Path,
    specifications: Sequence[Mapping[str, Any]],
    picks: pd.DataFrame,
    held_out: Mapping[str, str | None],
    about: Mapping[str, str],
) -> None:
    """Write specifications of examples; the folder appears once it is complete.

    Parameters
    ----------
    folder : Path
        An export that is there already is replaced.
    specifications : sequence of mapping
        Rows of `target_specifications`, with the texts of the exemplars.
    picks, held_out, about
        As in `export_examples`.

    Raises
    ------
    FileExistsError
        If the folder holds anything that is not such an export.
    """

    def fill(partial: Path) -> None:
        _write_rows(partial / SPECIFICATIONS, specifications, None)
        card = _card(
            "Training examples to be written, specified by errclust",
            about,
            {"specifications": f"{SPECIFICATIONS}.parquet", "picks": PICKS},
            "the examples, once they are written, and of the benchmark for its questions",
            f"One row of `{SPECIFICATIONS}.jsonl` is one kind of example to write. Exemplars are "
            "questions of the benchmark's development split: they show the kind and must not be "
            "trained on.",
        )
        _write_common(partial, card, picks, held_out)

    _write_folder(folder, fill)


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema | None) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    path.with_suffix(".jsonl").write_text("".join(lines), encoding="utf-8", newline="\n")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path.with_suffix(".parquet"))


def _write_common(
    partial: Path, card: str, picks: pd.DataFrame, held_out: Mapping[str, str | None]
) -> None:
    (partial / CARD).write_text(card, encoding="utf-8", newline="\n")
    pq.write_table(pa.Table.from_pandas(picks, preserve_index=False), partial / PICKS)
    with (partial / HELD_OUT).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("question_id", "example_id"))
        writer.writerows(held_out.items())


def _card(
    title: str, about: Mapping[str, str], configs: Mapping[str, str], licensed: str, use: str
) -> str:
    front = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {path}\n"
        for name, path in configs.items()
    )
    facts = "".join(f"- {name}: {_as_code(value)}\n" for name, value in about.items())
    return (
        f"---\npretty_name: {title}\n# Fill in before you share it.\n"
        f"license: unknown\nconfigs:\n{front}---\n\n"
        f"# {title}\n\n{use}\n\n## Provenance\n\n{facts}\n"
        f"## Licence\n\nTo be filled in: the licence of {licensed}, and whether it allows training "
        "and sharing.\n\n## Measuring what it brings\n\n"
        f"`{HELD_OUT}` lists the benchmark's questions that guided nothing: errclust's ids, and "
        "those of the model's results. Compare accuracy before and after training on these only. "
        f"With the results of both ingested, in this folder:\n\n    {_COMPARED}\n"
    )


def _as_code(text: str) -> str:
    """Return a third party's text as code in Markdown, which is shown as it is."""
    return "`" + visible_line(text).replace("`", "'") + "`"


def _write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder whole or not at all; refuse to replace anything but an export."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file: name an empty or a new folder")
    if folder.exists():
        others = sorted({path.name for path in folder.iterdir()} - _EXPORTED)
        if others:
            raise FileExistsError(
                f"{folder} holds {others[0]!r}, which is not part of a selection: name an empty "
                "or a new folder"
            )
    with replace_folder(folder) as partial:
        fill(partial)
