"""Reader of LMSYS's battles: MT-bench human judgments and Chatbot Arena conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.base import BATCH_ROWS, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
    time_of,
    whole_number,
)
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.row_blocks import (
    ArrowRowBlock,
    NotAlikeError,
    RowBlock,
    mapped,
    plain_texts,
    positions,
    texts,
    values_of,
)
from errclust_pipeline.sources.parsing.rows import metadata_json, text_of
from errclust_pipeline.sources.registry import RegisteredReader

_NEEDED = frozenset({"model_a", "model_b", "winner", "conversation_a", "conversation_b"})
_COLUMNS = (
    *sorted(_NEEDED), "question_id", "judge", "turn", "anony", "language", "tstamp",
)  # fmt: skip
_TIMED = "tstamp"
_ANONYMOUS = {known: metadata_json({"anony": known}) for known in (False, True)}
_WINNERS = {
    "model_a": "model_a",
    "model_b": "model_b",
    "tie": "tie",
    # MT-bench's judge, asked twice, contradicted itself.
    "tie (inconsistent)": "tie",
    "tie (bothbad)": "tie_bothbad",
}


class LmsysReader(RegisteredReader):
    """Conversations of two models with one user, side by side, and the verdict on them.

    The prompt is what the user said up to the turn that is judged; the responses are what the
    models answered to it, of several turns with blank lines between.
    """

    name = "lmsys"

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether there are two models, two conversations, a winner and the turn judged."""
        return fields >= _NEEDED | {"turn"}

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Return MT-bench's and the Arena's files as one battle set each."""
        sets: dict[str, list[Path]] = {}
        for file, fields in sorted(files.items()):
            called = (
                "chatbot_arena_conversations" if _TIMED in fields else "mt_bench_human_judgments"
            )
            sets.setdefault(called, []).append(file)
        return [
            Submission(
                benchmark=name or called,
                model="",
                reader=self.name,
                files=tuple(map(str, paths)),
                revision=file_fingerprint(*paths),
                options={BATTLE_FILES: len(paths)},
            )
            for called, paths in sets.items()
        ]

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the verdicts."""
        return battle_batches(
            submission, batch_rows, _COLUMNS, _to_battles, self.expects, _to_columns
        )


def _to_battles(row: dict[str, Any]) -> list[dict[str, Any]] | RowError:
    turn = whole_number(row.get("turn"))
    if turn is None:
        return RowError("missing_turn", f"turn is {row.get('turn')!r}, expected a number from 1")
    first, second = row.get("conversation_a"), row.get("conversation_b")
    side_a, side_b = _said(first, turn), _said(second, turn)
    if side_a is None or side_b is None:
        return RowError(
            "unreadable_conversation",
            f"a conversation is no list of messages with role and content, {turn} of them a user's",
        )
    if side_a[0] != side_b[0]:
        return RowError("different_prompts", "the two conversations are not about the same prompt")
    question, judge = text_of(row.get("question_id")), text_of(row.get("judge"))
    model_a, model_b, winner = row.get("model_a"), row.get("model_b"), row.get("winner")
    time = time_of(row.get(_TIMED))
    # The Arena numbers conversations, MT-bench prompts.
    identity = question if _TIMED in row else f"{question}|{model_a}|{model_b}|{judge}|{turn}"
    if question is None:
        return RowError("missing_id", "the row's question_id is empty")
    return [
        {
            "battle_id": identity,
            "prompt": side_a[0],
            "response_a": side_a[1],
            "response_b": side_b[1],
            "model_a": model_a,
            "model_b": model_b,
            "winner": _winner(winner),
            "judge": judge,
            "judge_kind": _judge_kind(judge),
            "turn": turn,
            "language": text_of(row.get("language")),
            "time": time,
            "metadata": _metadata(row, question, time),
        }
    ]


def _said(conversation: Any, turn: int) -> tuple[str, str] | None:
    """Return what the user said up to a turn and what was answered; None if there is no such."""
    asked: list[str] = []
    answered: list[str] = []
    try:
        for message in conversation:
            role = message["role"]
            if role == "user":
                if len(asked) == turn:
                    break
                asked.append(message["content"])
            elif role == "assistant":
                answered.append(message["content"])
        return ("\n\n".join(asked), "\n\n".join(answered)) if len(asked) == turn else None
    except (TypeError, KeyError, IndexError):
        return None


def _to_columns(block: RowBlock) -> dict[str, Any]:
    """Return what `_to_battles` does, of many rows at once, if a file holds them in columns."""
    if not isinstance(block, ArrowRowBlock):
        raise NotAlikeError
    question, turn = texts(block.column("question_id")), block.column("turn")
    if question is None or question.null_count:
        raise NotAlikeError
    if not isinstance(turn, pa.Array) or not pa.types.is_integer(turn.type) or turn.null_count:
        raise NotAlikeError
    turns = turn.to_numpy()
    if not ((turns > 0) & (turns < 2**31)).all():
        raise NotAlikeError
    prompt, response_a = _said_in_columns(block, "conversation_a", turns)
    prompt_b, response_b = _said_in_columns(block, "conversation_b", turns)
    if not prompt.equals(prompt_b):
        raise NotAlikeError
    model_a, model_b = plain_texts(block, "model_a"), plain_texts(block, "model_b")
    judge = texts(block.column("judge"))
    if judge is None:
        judge = pa.nulls(len(block), pa.string())
    columns = {
        "prompt": prompt,
        "response_a": response_a,
        "response_b": response_b,
        "model_a": model_a,
        "model_b": model_b,
        "winner": mapped(block.column("winner"), _winner, pa.string()),
        "judge": judge,
        "judge_kind": mapped(judge, _judge_kind, pa.string()),
        "turn": turn.cast(pa.int32()),
        "language": texts(block.column("language")),
        "position": positions(block),
    }
    if _TIMED not in block.batch.schema.names:
        parts = question, model_a, model_b, judge.fill_null("None"), turn.cast(pa.string())
        identity = pc.binary_join_element_wise(*parts, "|")
        metadata = mapped(question, _question_json, pa.string())
        return {**columns, "battle_id": identity, "metadata": metadata}
    anonymous, times = block.column("anony"), list(map(time_of, values_of(block, _TIMED)))
    if not isinstance(anonymous, pa.BooleanArray) or anonymous.null_count or None in times:
        raise NotAlikeError
    metadata = pc.if_else(anonymous, _ANONYMOUS[True], _ANONYMOUS[False])
    return {**columns, "battle_id": question, "metadata": metadata, "time": times}


def _said_in_columns(
    block: ArrowRowBlock, name: str, turns: npt.NDArray[np.integer]
) -> tuple[pa.Array, pa.Array]:
    """Return what `_said` does, of many conversations at once."""
    conversations = block.column(name)
    if not isinstance(conversations, pa.ListArray) or conversations.null_count:
        raise NotAlikeError
    flat = conversations.flatten()
    if not pa.types.is_struct(flat.type) or flat.null_count:
        raise NotAlikeError
    messages = ArrowRowBlock(block.source, (), pa.RecordBatch.from_struct_array(flat), True)
    role, content = plain_texts(messages, "role"), plain_texts(messages, "content")
    ends = np.cumsum(conversations.value_lengths().to_numpy())
    bounds = np.concatenate([[0], ends])
    is_asked = pc.equal(role, "user").fill_null(False).to_numpy(zero_copy_only=False)
    is_answer = pc.equal(role, "assistant").fill_null(False).to_numpy(zero_copy_only=False)
    asked = np.concatenate([[0], np.cumsum(is_asked)])
    if (np.diff(asked[bounds]) < turns).any():
        raise NotAlikeError
    # Up to the turn that is judged.
    counts = np.diff(bounds)
    heard = asked[1:] <= np.repeat(asked[bounds[:-1]] + turns, counts)
    return (
        _joined(content, is_asked & heard, bounds),
        _joined(content, is_answer & heard, bounds),
    )


def _joined(
    content: pa.Array, chosen: npt.NDArray[np.bool_], bounds: npt.NDArray[np.integer]
) -> pa.Array:
    """Join the chosen ones of the texts between each two bounds, by blank lines."""
    parts = content.filter(pa.array(chosen))
    if parts.null_count:
        raise NotAlikeError
    places = np.concatenate([[0], np.cumsum(chosen)])[bounds].astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(places), parts), "\n\n")


def _winner(verdict: Any) -> Any:
    return _WINNERS.get(verdict, verdict) if isinstance(verdict, str) else verdict


def _judge_kind(judge: str | None) -> str:
    return "model" if judge is not None and judge.startswith("gpt") else "human"


def _metadata(row: Mapping[str, Any], question: str, time: int | None) -> str | None:
    if _TIMED not in row:
        return _question_json(question)
    anonymous = row.get("anony")
    if time is None or not isinstance(anonymous, bool):
        return metadata_json({"anony": anonymous, "tstamp": row[_TIMED]})
    return _ANONYMOUS[anonymous]


@lru_cache(maxsize=1_000)
def _question_json(question: str) -> str | None:
    return metadata_json({"question_id": question})
