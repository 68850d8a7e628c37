"""Reader of LMSYS's battles: MT-bench human judgments and Chatbot Arena conversations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import BATCH_ROWS, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
    rows_of_battle_file,
    time_of,
    whole_number,
)
from errclust_pipeline.sources.json_stream import Fault
from errclust_pipeline.sources.rows import metadata_json, text_of

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


class LmsysReader:
    """Conversations of two models with one user, side by side, and the verdict on them.

    The prompt is what the user said up to the turn that is judged; the responses are what the
    models answered to it, of several turns with blank lines between.
    """

    name = "lmsys"
    expects = (
        "lmsys/mt_bench_human_judgments or lmsys/chatbot_arena_conversations, as Parquet or JSON, "
        "with model_a, model_b, winner, conversation_a, conversation_b, turn and judge"
    )

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether there are two models, two conversations and a winner."""
        return fields >= _NEEDED

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Return MT-bench's and the Arena's files as one battle set each."""
        sets: dict[str, list[Path]] = {}
        for file, fields in sorted(files.items()):
            own = "chatbot_arena_conversations" if _TIMED in fields else "mt_bench_human_judgments"
            sets.setdefault(own, []).append(file)
        return [
            Submission(
                benchmark=name or own,
                model="",
                reader=self.name,
                files=tuple(map(str, paths)),
                revision=file_fingerprint(*paths),
                options={BATTLE_FILES: len(paths)},
            )
            for own, paths in sets.items()
        ]

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the verdicts."""
        rows = (row for file in submission.files for row in rows_of_battle_file(file, _COLUMNS))
        return battle_batches(submission, batch_rows, rows, _to_battles, self.expects)


def _to_battles(_source: str, row: dict[str, Any]) -> list[dict[str, Any]] | Fault:
    turn = whole_number(row.get("turn"))
    if turn is None:
        return Fault("missing_turn", f"turn is {row.get('turn')!r}, expected a number from 1")
    first, second = row.get("conversation_a"), row.get("conversation_b")
    side_a, side_b = _said(first, turn), _said(second, turn)
    if side_a is None or side_b is None:
        return Fault(
            "unreadable_conversation",
            f"a conversation is no list of messages with role and content, {turn} of them a user's",
        )
    if side_a[0] != side_b[0]:
        return Fault("different_prompts", "the two conversations are not about the same prompt")
    question, judge = text_of(row.get("question_id")), text_of(row.get("judge"))
    model_a, model_b, winner = row.get("model_a"), row.get("model_b"), row.get("winner")
    time = time_of(row.get(_TIMED))
    # The Arena numbers conversations, MT-bench prompts.
    identity = question if _TIMED in row else f"{question}|{model_a}|{model_b}|{judge}|{turn}"
    if question is None:
        return Fault("missing_id", "the row's question_id is empty")
    return [
        {
            "battle_id": identity,
            "prompt": side_a[0],
            "response_a": side_a[1],
            "response_b": side_b[1],
            "model_a": model_a,
            "model_b": model_b,
            "winner": _WINNERS.get(winner, winner) if isinstance(winner, str) else winner,
            "judge": judge,
            "judge_kind": "model" if judge is not None and judge.startswith("gpt") else "human",
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
