"""Reader of llmfao's battles: votes of a crowd, and of GPT-4, on pairs of outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from errclust_pipeline.sources.base import BATCH_ROWS, SourceError, Submission, file_fingerprint
from errclust_pipeline.sources.battles.base import (
    BATTLE_FILES,
    BattleBatch,
    battle_batches,
    rows_of_battle_file,
)
from errclust_pipeline.sources.json_stream import Fault, rows_of_json_file

PAIRS_FILE = "pairs-crowd.jsonl"

_NEEDED = frozenset({"id", "prompt", "model_x", "model_y", "winner", "left", "right"})
_WINNERS = {"left": "model_a", "right": "model_b", "tie": "tie"}


class LlmfaoReader:
    """Votes in CSV files; the outputs they are on in `pairs-crowd.jsonl` beside them."""

    name = "llmfao"
    expects = (
        f"llmfao's crowd-comparisons.csv or gpt4-crowd-comparisons.csv, with {PAIRS_FILE} beside it"
    )

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
        found = []
        for folder, votes in folders.items():
            pairs = folder / PAIRS_FILE
            if not pairs.is_file():
                raise SourceError(
                    f"{votes[0]} says who won, but the prompts and outputs are not beside it: put "
                    f"llmfao's {PAIRS_FILE} into {folder}"
                )
            paths = [*votes, pairs]
            found.append(
                Submission(
                    benchmark=name or "llmfao",
                    model="",
                    reader=self.name,
                    files=tuple(map(str, paths)),
                    revision=file_fingerprint(*paths),
                    options={BATTLE_FILES: len(votes)},
                )
            )
        return found

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream the votes; the pairs, a few thousand texts, are held in memory."""
        count = int(submission.options[BATTLE_FILES])
        pairs = _read_pairs(Path(submission.files[count]))
        rows = (row for file in submission.files[:count] for row in rows_of_battle_file(file, ()))

        def convert(source: str, row: dict[str, Any]) -> list[dict[str, Any]] | Fault:
            return _to_battles(source, row, pairs)

        return battle_batches(submission, batch_rows, rows, convert, self.expects)


def _read_pairs(path: Path) -> dict[str, dict[str, Any]]:
    """Return, by pair, what its battles have in common, and who its models are by number."""
    pairs: dict[str, dict[str, Any]] = {}
    for _, row in rows_of_json_file(path):
        if not isinstance(row, dict):
            continue
        texts = [row.get(name) for name in ("text", "result_x", "result_y")]
        if not all(isinstance(text, str) for text in texts):
            continue
        kind = row.get("type")
        pairs[str(row.get("id"))] = {
            "subject": kind if isinstance(kind, str) else None,
            "prompt": texts[0],
            "response_a": texts[1],
            "response_b": texts[2],
            "turn": 1,
            "models": (str(row.get("model_x")), str(row.get("model_y"))),
        }
    if not pairs:
        raise SourceError(
            f"{path} holds no pair of outputs: expected lines with id, text, result_x and result_y"
        )
    return pairs


def _to_battles(
    _source: str, row: dict[str, Any], pairs: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]] | Fault:
    # All fields are text where the row is one of a CSV file.
    pair = pairs.get(row["id"])
    if pair is None:
        return Fault("unknown_pair", f"{PAIRS_FILE} has no pair {row['id']!r} that can be used")
    if pair["models"] != (row["model_x"], row["model_y"]):
        return Fault("different_models", f"{PAIRS_FILE} has other models for pair {row['id']!r}")
    worker = row.get("worker")
    judge = "gpt-4" if worker is None else f"worker {worker}"
    winner = row["winner"]
    return [
        {
            **pair,
            "battle_id": f"{row['id']}|{judge}",
            "model_a": row["left"],
            "model_b": row["right"],
            "winner": _WINNERS.get(winner, winner),
            "judge": judge,
            "judge_kind": "model" if worker is None else "human",
        }
    ]
