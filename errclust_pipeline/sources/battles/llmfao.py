"""Reader of llmfao's battles: votes of a crowd, and of GPT-4, on pairs of outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
)
from errclust_pipeline.sources.formats.table_files import row_blocks_of_table
from errclust_pipeline.sources.identity import question_ids
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    NOT_AT_ONCE,
    Column,
    NotAlikeError,
    RowBlock,
    mapped,
    plain_texts,
    positions,
)
from errclust_pipeline.sources.registry import RegisteredReader

PAIRS_FILE = "pairs-crowd.jsonl"

_NEEDED = frozenset({"id", "prompt", "model_x", "model_y", "winner", "left", "right"})
_MODEL = "gpt-4"
_COLUMNS = (*sorted(_NEEDED), "worker")
_WINNERS = {"left": "model_a", "right": "model_b", "tie": "tie"}
_OF_PAIR = ("subject", "prompt", "response_a", "response_b")
_PAIR_FIELDS = ("id", "type", "text", "result_x", "result_y", "model_x", "model_y")


class LlmfaoReader(RegisteredReader):
    """Votes in CSV files; the outputs they are on in `pairs-crowd.jsonl` beside them."""

    name = "llmfao"

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether there is a pair, its two models and who won."""
        return fields >= _NEEDED

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Return the votes of each folder as one battle set."""
        folders: dict[Path, list[Path]] = {}
        for file in sorted(files):
            folders.setdefault(file.parent, []).append(file)
        battle_sets = []
        for folder, votes in folders.items():
            pairs = folder / PAIRS_FILE
            if not pairs.is_file():
                raise SourceError(
                    f"{votes[0]} says who won, but the prompts and outputs are not beside it: put "
                    f"llmfao's {PAIRS_FILE} into {folder}"
                )
            paths = [*votes, pairs]
            battle_sets.append(
                Submission(
                    benchmark=name or "llmfao",
                    model="",
                    reader=self.name,
                    files=tuple(map(str, paths)),
                    revision=file_fingerprint(*paths),
                    options={BATTLE_FILES: len(votes)},
                )
            )
        return battle_sets

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the votes; the pairs, a few thousand texts, are held in memory."""
        count = int(submission.options[BATTLE_FILES])
        pairs = _read_pairs(Path(submission.files[count]))

        def convert(row: dict[str, Any]) -> list[dict[str, Any]] | RowError:
            return _to_battles(row, pairs)

        def convert_columns(block: RowBlock) -> dict[str, Any]:
            return _to_columns(block, pairs)

        return battle_batches(
            submission, batch_rows, _COLUMNS, convert, self.expects, convert_columns
        )


class _Pair(NamedTuple):
    """What the battles of a pair have in common, and who its models are by number."""

    subject: str | None
    prompt: str
    response_a: str
    response_b: str
    model_x: str
    model_y: str


_PAIR_COLUMNS = ("id", *_Pair._fields)


@dataclass
class _Pairs:
    """The pairs in a file; of those with the same id the last one counts."""

    blocks: list[RowBlock]

    @cached_property
    def by_id(self) -> dict[str, _Pair]:
        """Each pair."""
        pairs: dict[str, _Pair] = {}
        for row in chain.from_iterable(block.rows() for block in self.blocks):
            if not isinstance(row, dict):
                continue
            kind, prompt = row.get("type"), row.get("text")
            first, second = row.get("result_x"), row.get("result_y")
            if isinstance(prompt, str) and isinstance(first, str) and isinstance(second, str):
                pairs[str(row.get("id"))] = _Pair(
                    subject=kind if isinstance(kind, str) else None,
                    prompt=prompt,
                    response_a=first,
                    response_b=second,
                    model_x=str(row.get("model_x")),
                    model_y=str(row.get("model_y")),
                )
        return pairs

    @cached_property
    def columns(self) -> pa.RecordBatch:
        """The pairs; raises one of `NOT_AT_ONCE` if none can be. At once if all can be used."""
        try:
            pairs = pa.concat_batches([_pairs_of(block) for block in self.blocks])
        except NOT_AT_ONCE:
            values = zip(*self.by_id.values(), strict=True)
            columns = [pa.array(column, pa.string()) for column in (self.by_id, *values)]
            pairs = pa.RecordBatch.from_arrays(columns, names=_PAIR_COLUMNS)
        last = {name: row for row, name in enumerate(pairs["id"].to_pylist())}
        if len(last) < pairs.num_rows:
            pairs = pairs.take(pa.array(list(last.values())))
        return pairs

    @cached_property
    def shared(self) -> dict[str, pa.DictionaryArray]:
        """What the battles of a pair have in common, and its prompt's id: a few texts, repeated."""
        shared = {name: self.columns[name].dictionary_encode("encode") for name in _OF_PAIR}
        prompts = shared["prompt"]
        ids = pa.DictionaryArray.from_arrays(prompts.indices, question_ids(prompts.dictionary))
        return {**shared, "question_id": ids}


def _pairs_of(block: RowBlock) -> pa.RecordBatch:
    """Return the pairs of a block, which all can be used."""
    is_typed = block.column("type") is not None
    names = [_names(block.column(name)) for name in ("id", "model_x", "model_y")]
    contents = [plain_texts(block, name) for name in ("text", "result_x", "result_y")]
    if any(column.null_count for column in contents):
        raise NotAlikeError
    kind = plain_texts(block, "type") if is_typed else pa.nulls(len(block), pa.string())
    return pa.RecordBatch.from_arrays(
        [names[0], kind, *contents, *names[1:]], names=list(_PAIR_COLUMNS)
    )


def _names(column: Column) -> pa.Array:
    """Return names or whole numbers as texts."""
    if not isinstance(column, pa.Array) or column.null_count:
        raise NotAlikeError
    if not pa.types.is_string(column.type) and not pa.types.is_integer(column.type):
        raise NotAlikeError
    return column.cast(pa.string())


def _read_pairs(path: Path) -> _Pairs:
    pairs = _Pairs(list(row_blocks_of_table(path, _PAIR_FIELDS)))
    try:
        count = pairs.columns.num_rows
    except NOT_AT_ONCE:
        count = len(pairs.by_id)
    if not count:
        raise SourceError(
            f"{path} holds no pair of outputs: expected lines with id, text, result_x and result_y"
        )
    return pairs


def _to_battles(row: dict[str, Any], pairs: _Pairs) -> list[dict[str, Any]] | RowError:
    number, winner = row.get("id"), row.get("winner")
    pair = pairs.by_id.get(number) if isinstance(number, str) else None
    if pair is None:
        return RowError("unknown_pair", f"{PAIRS_FILE} has no pair {number!r} that can be used")
    if (pair.model_x, pair.model_y) != (row.get("model_x"), row.get("model_y")):
        return RowError("different_models", f"{PAIRS_FILE} has other models for pair {number!r}")
    judge = _judge(row.get("worker"))
    return [
        {
            **{name: getattr(pair, name) for name in _OF_PAIR},
            "battle_id": f"{number}|{judge}",
            "model_a": row.get("left"),
            "model_b": row.get("right"),
            "winner": _winner(winner),
            "judge": judge,
            "judge_kind": _kind(judge),
            "turn": 1,
        }
    ]


def _to_columns(block: RowBlock, pairs: _Pairs) -> dict[str, Any]:
    """Return what `_to_battles` does, of many rows at once."""
    ids = plain_texts(block, "id")
    numbers = pc.index_in(ids, pairs.columns["id"])
    if numbers.null_count:
        raise NotAlikeError
    for name in ("model_x", "model_y"):
        if not plain_texts(block, name).equals(pairs.columns[name].take(numbers)):
            raise NotAlikeError
    judge = mapped(block.column("worker"), _judge, pa.string())
    if not isinstance(judge, pa.Array):
        judge = pa.repeat(judge, len(block))
    return {
        **{name: column.take(numbers) for name, column in pairs.shared.items()},
        "battle_id": pc.binary_join_element_wise(ids, judge, "|"),
        "model_a": plain_texts(block, "left"),
        "model_b": plain_texts(block, "right"),
        "winner": mapped(block.column("winner"), _winner, pa.string()),
        "judge": judge,
        "judge_kind": mapped(judge, _kind, pa.string()),
        "turn": 1,
        "position": positions(block),
    }


def _judge(worker: Any) -> str:
    return _MODEL if worker is None else f"worker {worker}"


def _kind(judge: str) -> str:
    return "model" if judge == _MODEL else "human"


def _winner(side: Any) -> Any:
    return _WINNERS.get(side, side) if isinstance(side, str) else side
