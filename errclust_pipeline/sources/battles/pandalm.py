"""Reader of PandaLM's test set: pairs of responses, each judged by three people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.base import BATCH_ROWS, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
)
from errclust_pipeline.sources.identity import question_ids
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    NotAlikeError,
    RowBlock,
    mapped,
    plain_texts,
    positions,
    texts,
)
from errclust_pipeline.sources.parsing.rows import text_of
from errclust_pipeline.sources.registry import RegisteredReader

_NEEDED = frozenset({"cmp_key", "instruction", "response1", "response2"})
_USED = _NEEDED | {"idx", "input", "motivation_app"}
_ANNOTATOR = re.compile(r"annotator\d+")
_TWO = pa.list_(pa.string())
_WINNERS = {0: "tie", 1: "model_a", 2: "model_b"}


class PandalmReader(RegisteredReader):
    """One battle for each annotator of a pair; the prompt is instruction and input."""

    name = "pandalm"

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether there is a pair of responses with an annotator's verdict."""
        return fields >= _NEEDED and any(map(_ANNOTATOR.fullmatch, fields))

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Return all files as one battle set."""
        paths = sorted(files)
        return [
            Submission(
                benchmark=name or "pandalm",
                model="",
                reader=self.name,
                files=tuple(map(str, paths)),
                revision=file_fingerprint(*paths),
                options={BATTLE_FILES: len(paths)},
            )
        ]

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the pairs' verdicts."""
        return battle_batches(
            submission, batch_rows, _is_used, _to_battles, self.expects, _to_columns
        )


def _is_used(name: str) -> bool:
    return name in _USED or _ANNOTATOR.fullmatch(name) is not None


def _to_battles(row: dict[str, Any]) -> list[dict[str, Any]] | RowError:
    models = _models(row.get("cmp_key"))
    if isinstance(models, RowError):
        return models
    instruction, given = row.get("instruction"), row.get("input")
    if not isinstance(instruction, str):
        return RowError("missing_prompt", "the row's instruction is no text")
    judges = [name for name in row if _ANNOTATOR.fullmatch(name)]
    if not judges:
        return RowError("missing_field", "no annotator judged the pair")
    identity = text_of(row.get("idx"))
    if identity is None:
        return RowError("missing_id", "the row's idx is empty")
    shared = {
        "subject": text_of(row.get("motivation_app")),
        "prompt": f"{instruction}\n\n{given}" if isinstance(given, str) and given else instruction,
        # The published file has a bare true where a model answered so.
        "response_a": text_of(row.get("response1")),
        "response_b": text_of(row.get("response2")),
        "model_a": models[0],
        "model_b": models[1],
        "judge_kind": "human",
        "turn": 1,
    }
    return [
        {
            **shared,
            "battle_id": f"{identity}|{judge}",
            "judge": judge,
            "winner": _winner(row[judge]),
        }
        for judge in judges
    ]


def _to_columns(block: RowBlock) -> dict[str, Any]:
    """Return what `_to_battles` does, of many rows at once."""
    identities, models = texts(block.column("idx")), mapped(block.column("cmp_key"), _models, _TWO)
    rows = block.rows()
    if set(map(type, rows)) != {dict}:
        raise NotAlikeError
    names, *others = set(map(tuple, rows))
    judges = [name for name in names if _ANNOTATOR.fullmatch(name)]
    if others or not judges:
        raise NotAlikeError
    asked, given = plain_texts(block, "instruction"), block.column("input")
    if identities is None or identities.null_count or asked.null_count:
        raise NotAlikeError
    if given is not None:
        given = pc.if_else(pc.equal(plain_texts(block, "input"), ""), None, given)
        asked = pc.binary_join_element_wise(asked, given, "\n\n", null_handling="skip")
    verdicts = [mapped(block.column(judge), _winner, pa.string()) for judge in judges]
    if any(verdict is None for verdict in verdicts):
        raise NotAlikeError
    of_pairs = pa.array(np.repeat(np.arange(len(block), dtype=np.int32), len(judges)))
    by_pair = np.arange(len(of_pairs)).reshape(len(judges), -1).T.ravel()

    def repeated(column: pa.Array | None) -> pa.Array | None:
        return None if column is None else column.take(of_pairs)

    def pointed_to(column: pa.Array | None) -> pa.Array | None:
        return None if column is None else pa.DictionaryArray.from_arrays(of_pairs, column)

    judge = pa.array(judges).take(pa.array(np.tile(np.arange(len(judges)), len(block))))
    return {
        "subject": repeated(texts(block.column("motivation_app"))),
        "question_id": pointed_to(question_ids(asked)),
        "prompt": pointed_to(asked),
        "response_a": pointed_to(texts(block.column("response1"))),
        "response_b": pointed_to(texts(block.column("response2"))),
        "model_a": repeated(pc.list_element(models, 0)),
        "model_b": repeated(pc.list_element(models, 1)),
        "judge_kind": "human",
        "turn": 1,
        "battle_id": pc.binary_join_element_wise(repeated(identities), judge, "|"),
        "judge": judge,
        "winner": pa.concat_arrays(verdicts).take(pa.array(by_pair)),
        "position": repeated(positions(block)),
    }


def _models(pair: Any) -> list[str] | RowError:
    models = pair.split("_") if isinstance(pair, str) else []
    if len(models) != 2:
        return RowError("missing_model", f"cmp_key is {pair!r}, expected two models joined by _")
    return models


def _winner(verdict: Any) -> Any:
    whole = isinstance(verdict, int) and not isinstance(verdict, bool)
    return _WINNERS.get(verdict, verdict) if whole else verdict
