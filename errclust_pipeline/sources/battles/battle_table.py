"""Reader of tables of battles: a battle a row, in well-known layouts or as a mapping describes it.

Layouts known are a plain table (``model_a``, ``model_b``, ``prompt``, ``winner``), the Arena's
55k table with three columns for the winner, its 100k and 140k tables of conversations, FastChat's
cleaned battles, and AlpacaEval's annotations.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
    time_of,
    whole_number,
)
from errclust_pipeline.sources.parsing.json_stream import RowError
from errclust_pipeline.sources.parsing.messages import content_text
from errclust_pipeline.sources.parsing.row_blocks import cell
from errclust_pipeline.sources.parsing.rows import metadata_json, text_of
from errclust_pipeline.sources.registry import RegisteredReader

BATTLES = "battles"
"""Option that describes a table: which column holds what; see `MAPPED`."""

MAPPED = (
    "model_a", "model_b", "winner", "prompt", "response_a", "response_b", "judge", "judge_kind",
    "battle_id", "subject", "language",
)  # fmt: skip
"""What a mapping can name a column for."""

NEEDED = ("model_a", "model_b", "winner", "prompt")

WINNERS = {
    "model_a": "model_a",
    "model_b": "model_b",
    "a": "model_a",
    "b": "model_b",
    "tie": "tie",
    "tie (inconsistent)": "tie",
    "tie (bothbad)": "tie_bothbad",
    "both_bad": "tie_bothbad",
    "bothbad": "tie_bothbad",
    "tie_bothbad": "tie_bothbad",
}
"""How tables write who wins."""

_LAYOUT = "layout"
_MODEL_JUDGES = ("gpt", "claude", "llama", "gemini", "weighted_alpaca", "alpaca_eval")
_SECONDS_OF_MILLISECONDS = 1e11
"""A time above this is in milliseconds."""


@dataclass(frozen=True)
class Layout:
    """A layout of tables that is known by its columns.

    Attributes
    ----------
    name : str
        Name of the battle set, unless another one is given.
    needed : frozenset of str
        The columns by which a file is recognised.
    to_battle : callable
        Makes the columns of `battles` of a row, less id and judge's kind; or a `RowError`.
    """

    name: str
    needed: frozenset[str]
    to_battle: Callable[[Mapping[str, Any]], dict[str, Any] | RowError]


class BattleTableReader(RegisteredReader):
    """Tables of battles; the battle set is called after the layout, or as the mapping says."""

    name = "battle_table"

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether the columns are those of a layout."""
        return _layout_of(fields) is not None

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Return the files of each layout as one battle set; a plain table is one by itself."""
        sets: dict[tuple[str, str], list[Path]] = {}
        for file, fields in sorted(files.items()):
            layout = _layout_of(fields)
            if layout is not None:
                called = name or layout.name or file.name.split(".")[0]
                sets.setdefault((called, _key(layout)), []).append(file)
        return [
            _submission(called, paths, {_LAYOUT: layout})
            for (called, layout), paths in sets.items()
        ]

    def mapped_battle_set(
        self, path: Path, fields: frozenset[str], name: str | None, mapping: Mapping[str, Any]
    ) -> Submission:
        """Return a file that a mapping describes as a battle set.

        Raises
        ------
        SourceError
            If the file lacks a column that the mapping names.
        """
        columns = mapping["columns"]
        for what, column in columns.items():
            if column not in fields and column.partition(".")[0] not in fields:
                raise SourceError(
                    f"{path} has no column {column!r}, which battles in the mapping names for "
                    f"{what}; its columns: {', '.join(sorted(fields)[:40]) or 'none'}"
                )
        return _submission(name or path.name.split(".")[0], [path], {BATTLES: dict(mapping)})

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the battles."""
        mapping = submission.options.get(BATTLES)
        if mapping is not None:
            to_battle = _mapped(mapping["columns"], mapping.get("winners", {}))
        else:
            to_battle = _LAYOUTS[submission.options[_LAYOUT]].to_battle

        def convert(row: dict[str, Any]) -> Sequence[dict[str, Any]] | RowError:
            battle = to_battle(row)
            return battle if isinstance(battle, RowError) else [_completed(battle)]

        return battle_batches(submission, batch_rows, lambda _: True, convert, self.expects)


def _submission(name: str, paths: Sequence[Path], options: Mapping[str, Any]) -> Submission:
    return Submission(
        benchmark=name,
        model="",
        reader=BattleTableReader.name,
        files=tuple(map(str, paths)),
        revision=file_fingerprint(*paths),
        options={BATTLE_FILES: len(paths), **options},
    )


def _completed(battle: dict[str, Any]) -> dict[str, Any]:
    """Fill in what follows from the other columns: the kind of judge, and an id."""
    judge = battle.get("judge")
    if not battle.get("judge_kind"):
        is_model = isinstance(judge, str) and judge.lower().startswith(_MODEL_JUDGES)
        battle["judge_kind"] = "model" if is_model else "human"
    if not battle.get("battle_id"):
        parts = (battle[name] for name in ("prompt", "model_a", "model_b", "judge"))
        responses = (battle.get("response_a"), battle.get("response_b"))
        # A row without an id is told from others by all that is said of it.
        battle["battle_id"] = _digest([*map(text_of, parts), *responses])
    return {"turn": 1, **battle}


def _digest(parts: Sequence[str | None]) -> str:
    text = json.dumps(parts)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _winner(value: Any, values: Mapping[str, str] | None = None) -> Any:
    text = text_of(value)
    if text is None:
        return None
    if values and text in values:
        return values[text]
    return WINNERS.get(text.strip().lower(), text)


def _mapped(
    columns: Mapping[str, str], winners: Mapping[str, str]
) -> Callable[[Mapping[str, Any]], dict[str, Any] | RowError]:
    def to_battle(row: Mapping[str, Any]) -> dict[str, Any] | RowError:
        battle: dict[str, Any] = dict.fromkeys(MAPPED)
        for what, column in columns.items():
            value = cell(row, column)
            is_text = what in ("prompt", "response_a", "response_b")
            battle[what] = _said(value) if is_text else text_of(value)
        battle["winner"] = _winner(cell(row, columns["winner"]), winners)
        return battle

    return to_battle


def _said(value: Any) -> str | None:
    """Return a prompt or response as text: of a list of turns, with blank lines between."""
    if isinstance(value, str) and value.startswith('["'):
        try:
            turns = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    else:
        turns = value
    if isinstance(turns, list):
        return "\n\n".join(text for turn in turns if (text := content_text(turn)))
    return text_of(turns)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "battle_id": text_of(row.get("id", row.get("battle_id"))),
        "prompt": _said(row.get("prompt")),
        "response_a": _said(row.get("response_a")),
        "response_b": _said(row.get("response_b")),
        "model_a": text_of(row.get("model_a")),
        "model_b": text_of(row.get("model_b")),
        "winner": _winner(row.get("winner")),
        "judge": text_of(row.get("judge")),
        "language": text_of(row.get("language")),
    }


def _three_columns(row: Mapping[str, Any]) -> dict[str, Any] | RowError:
    said = {
        "model_a": text_of(row.get("winner_model_a")),
        "model_b": text_of(row.get("winner_model_b")),
        "tie": text_of(row.get("winner_tie")),
    }
    winners = [name for name, value in said.items() if value in ("1", "1.0", "true", "True")]
    if len(winners) != 1:
        return RowError("unknown_winner", f"the columns of the winner hold {said}"[:300])
    return {**_plain(row), "winner": winners[0]}


def _conversation(row: Mapping[str, Any]) -> dict[str, Any] | RowError:
    sides = [_turns(row.get(f"conversation_{side}")) for side in "ab"]
    if sides[0] is None or sides[1] is None:
        return RowError("unreadable_conversation", "a conversation is no list of messages")
    (asked, answer_a), (asked_b, answer_b) = sides[0], sides[1]
    if asked != asked_b:
        return RowError("different_prompts", "the conversations are not about the same prompt")
    judge = text_of(row.get("judge", row.get("evaluation_session_id")))
    turn = whole_number(row.get("turn"))
    return {
        **_plain(row),
        "battle_id": text_of(row.get("id", row.get("question_id"))),
        "prompt": asked,
        "response_a": answer_a,
        "response_b": answer_b,
        "judge": judge,
        "judge_kind": "human",
        "turn": turn or 1,
        "time": _time(row.get("tstamp", row.get("timestamp"))),
        "metadata": metadata_json({"evaluation_order": row.get("evaluation_order")}),
    }


def _time(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return time_of(value / 1000 if is_number and value > _SECONDS_OF_MILLISECONDS else value)


def _turns(conversation: Any) -> tuple[str, str] | None:
    """Return what the user said and what was answered, with blank lines between turns."""
    if isinstance(conversation, str):
        try:
            conversation = json.loads(conversation)
        except (ValueError, RecursionError):
            return None
    if not isinstance(conversation, list) or not conversation:
        return None
    said: dict[str, list[str]] = {"user": [], "assistant": []}
    for message in conversation:
        if not isinstance(message, dict):
            return None
        role, text = message.get("role"), content_text(message.get("content"))
        if role in said and text:
            said[role].append(text)
    return "\n\n".join(said["user"]), "\n\n".join(said["assistant"])


def _annotation(row: Mapping[str, Any]) -> dict[str, Any] | RowError:
    try:
        preference = float(row.get("preference", ""))
    except (TypeError, ValueError, OverflowError):
        preference = math.nan
    # From 1, the first output is better, to 2; 0 is a draw in the first version.
    if not (1 <= preference <= 2 or preference == 0):
        return RowError("unknown_winner", f"preference is {text_of(row.get('preference'))}"[:200])
    is_tie = preference in (0, 1.5)
    winner = "tie" if is_tie else "model_a" if preference < 1.5 else "model_b"
    given = text_of(row.get("input"))
    instruction = text_of(row.get("instruction")) or ""
    return {
        "battle_id": None,
        "subject": text_of(row.get("dataset")),
        "prompt": f"{instruction}\n\n{given}" if given else instruction,
        "response_a": text_of(row.get("output_1")),
        "response_b": text_of(row.get("output_2")),
        "model_a": text_of(row.get("generator_1")),
        "model_b": text_of(row.get("generator_2")),
        "winner": winner,
        "judge": text_of(row.get("annotator")),
        "judge_kind": "human" if row.get("annotator") is None else "model",
        "metadata": metadata_json({"preference": preference}),
    }


_LAYOUTS: Mapping[str, Layout] = {
    "three_columns": Layout(
        "arena_55k",
        frozenset(
            {"model_a", "model_b", "prompt", "winner_model_a", "winner_model_b", "winner_tie"}
        ),
        _three_columns,
    ),
    "conversation": Layout(
        "arena_conversations",
        frozenset({"model_a", "model_b", "winner", "conversation_a", "conversation_b"}),
        _conversation,
    ),
    "annotation": Layout(
        "alpaca_eval",
        frozenset(
            {"instruction", "output_1", "output_2", "generator_1", "generator_2", "preference"}
        ),
        _annotation,
    ),
    "plain": Layout("", frozenset({"model_a", "model_b", "prompt", "winner"}), _plain),
}


def _layout_of(fields: frozenset[str]) -> Layout | None:
    return next((layout for layout in _LAYOUTS.values() if fields >= layout.needed), None)


def _key(layout: Layout) -> str:
    return next(key for key, known in _LAYOUTS.items() if known is layout)
