"""What a reader of battles is: from files of verdicts to batches of `battles`, and rejects.

Like a reader of results it writes nothing and knows no warehouse. A battle set (MT-bench's, the
Arena's) is recorded as a `Submission` without a model, since each of its rows names two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.sources.base import (
    BATCH_ROWS,
    RowCollector,
    SourceError,
    Submission,
)
from errclust_pipeline.sources.formats.table_files import Wanted, column_names, row_blocks_of_table
from errclust_pipeline.sources.identity import question_id, question_ids
from errclust_pipeline.sources.parsing.json_stream import RowError, rows_of_json_file
from errclust_pipeline.sources.parsing.row_blocks import NOT_AT_ONCE, RowBlock, is_blank
from errclust_pipeline.sources.parsing.rows import first_row
from errclust_pipeline.tables import BATTLE_REJECTS, BATTLES
from errclust_pipeline.vocabulary import WINNERS

BATTLE_FILES = "battle_files"
"""Option of a battle set: so many of its files, the first ones, hold battles; the others what
battles refer to."""

_MOST_AT_ONCE = 4_000
"""Rows of a file; short ones may refer to long texts, and be too large as battles."""
_JSON = tuple(
    f".{kind}{packed}" for kind in ("json", "jsonl", "ndjson") for packed in ("", ".gz", ".zst")
)
_TABLES = (".csv", ".csv.gz", ".csv.zst", ".parquet", ".arrow")
_LAST_SECOND = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_prompt_id = lru_cache(maxsize=4_096)(question_id)
"""Many battles are on the same prompt."""
_LARGEST = 2**64 - 1
_FACTOR = 0x9E3779B97F4A7C15
"""2^64 by the golden ratio, an odd number whose bits are irregular."""
_VOTED_ON = (
    "question_id", "judge", "turn", "model_a", "response_a", "model_b", "response_b",
)  # fmt: skip


@dataclass(frozen=True)
class BattleBatch:
    """Some battles of a battle set, and what could not be used."""

    battles: pa.RecordBatch
    rejects: pa.RecordBatch


class BattleReader(Protocol):
    """A format of battles that this project can read."""

    name: str

    @property
    def expects(self) -> str:
        """One line on the files that the reader takes."""
        ...

    def takes(self, fields: frozenset[str]) -> bool:
        """Whether a file is in this format, by the names of its columns or its first row's keys."""
        ...

    def battle_sets(
        self, files: Mapping[Path, frozenset[str]], name: str | None
    ) -> list[Submission]:
        """Put files that it takes together to battle sets.

        Parameters
        ----------
        files : mapping from path to names
            With the names that `takes` was shown.
        name : str, optional
            Name of the battle set, in place of the format's own.

        Raises
        ------
        SourceError
            If a file that is needed beside them is missing.
        """
        ...

    def read(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> Iterator[BattleBatch]:
        """Stream a battle set, file after file, rows in file order.

        Raises
        ------
        SourceError
            If a file is missing or damaged, or if not one battle is usable.
        """
        ...


class BattleBuilder(RowCollector):
    """Collects battles and rejects of one battle set.

    It fills in what is the same for every row and the prompt's id, and rejects what says nothing
    about who is better or would count twice: a model against itself, a verdict that is none, an id
    that came before, and a second verdict of the same judge on the same two responses to the same
    prompt, whichever stood first. A verdict by another judge, or on other responses, is no
    duplicate. Where the judge is not known, only ids tell.
    """

    def __init__(self, submission: Submission, batch_rows: int = BATCH_ROWS) -> None:
        same = {"battle_set_name": submission.benchmark}
        super().__init__(BATTLES, BATTLE_REJECTS, submission.revision, same, batch_rows)
        self._ids: set[str] = set()
        self._votes: set[int] = set()
        self._hashed: dict[str, _Hashed] = {}

    def add(self, battle: dict[str, Any], *, source: str, position: int) -> None:
        """Add a battle: columns of `battles`, less those that the builder fills in."""
        problem = self._problem(battle)
        if problem is not None:
            reason, detail = problem
            self.reject(
                reason,
                detail,
                source=source,
                position=position,
                row=battle,
                judge=battle.get("judge"),
            )
            return
        self.usable += 1
        battle["source"] = source
        battle["position"] = position
        self._rows.append(battle)

    def add_columns(self, columns: Mapping[str, Any], *, source: str) -> bool:
        """Add battles all at once: columns as of `add`, and `position`.

        A column is an array, a list of values, or a value that all battles have. Texts that many
        battles share may come as a dictionary and places in it, no place null: they are looked at
        once.

        Returns
        -------
        bool
            False if one of them would be rejected: then none is added.
        """
        count = len(columns["battle_id"])
        battles = self._record_batch({**columns, "source": source}, count)
        shared = {
            name: given
            if isinstance(given := columns.get(name), pa.DictionaryArray)
            else battles[name].dictionary_encode(null_encoding="encode")
            for name in (*_VOTED_ON, "prompt")
        }
        if not _are_usable(battles, shared):
            return False
        is_judged = battles["judge"].is_valid().to_numpy(zero_copy_only=False)
        votes = _vote(*(self._hashes(name, shared[name]) for name in _VOTED_ON))[is_judged]
        ids, distinct_votes = set(battles["battle_id"].to_pylist()), set(votes.tolist())
        if len(ids) < count or not self._ids.isdisjoint(ids):
            return False
        if len(distinct_votes) < len(votes) or not self._votes.isdisjoint(distinct_votes):
            return False
        self._store_rows()
        self._store(battles)
        self._ids |= ids
        self._votes |= distinct_votes
        self.usable += count
        return True

    def _hashes(self, name: str, column: pa.DictionaryArray) -> npt.NDArray[np.uint64]:
        """Return Python's hash of each value, computed once for those that share one."""
        hashed = self._hashed.get(name)
        # Runs that share texts do so under the same dictionary.
        if hashed is None or not hashed.values.equals(column.dictionary):
            hashed = self._hashed[name] = _Hashed(column.dictionary)
        return hashed.at(column.indices.to_numpy())

    def _derive(self, columns: dict[str, Any]) -> None:
        if not isinstance(columns["question_id"], pa.Array):
            columns["question_id"] = question_ids(columns["prompt"])

    def _problem(self, battle: dict[str, Any]) -> tuple[str, str] | None:
        """Say why a battle cannot be used; note it, and give it its prompt's id, if it can."""
        model_a, model_b, prompt = battle["model_a"], battle["model_b"], battle["prompt"]
        for name in (model_a, model_b):
            if not isinstance(name, str) or not name or name.isspace():
                return "missing_model", f"a model is named {name!r}: expected its name"
        if model_a == model_b:
            return "self_battle", f"{model_a} is both models: a battle needs two"
        winner = battle["winner"]
        if winner not in WINNERS:
            return "unknown_winner", f"the verdict is {winner!r}, expected who wins, or a tie"
        if not isinstance(prompt, str) or not prompt or prompt.isspace():
            return "missing_prompt", "the prompt is empty"
        identity = battle["battle_id"]
        if identity in self._ids:
            return "duplicate_id", f"battle {identity!r} stands in an earlier row, which was kept"
        battle["question_id"] = _prompt_id(prompt, None)
        judge = battle["judge"]
        if judge is not None:
            vote = _vote(*(hash(battle[name]) & _LARGEST for name in _VOTED_ON))
            if vote in self._votes:
                return "duplicate_vote", (
                    f"{judge} judged the same two responses in an earlier row, which was kept"
                )
            self._votes.add(vote)
        self._ids.add(identity)
        return None

    def take(self) -> BattleBatch:
        """Hand out what was collected since the last call, possibly nothing."""
        return BattleBatch(*self.take_rows())


def _vote(
    prompt: Any, judge: Any, turn: Any, model_a: Any, response_a: Any, model_b: Any, response_b: Any
) -> Any:
    """Return the same number for a judge's verdicts on the same two responses, in either order.

    The values are hashes (unsigned numbers of 64 bits, or arrays of them), since the texts of all
    rows would not fit into memory.
    """
    return _mixed(prompt, judge, turn, _mixed(model_a, response_a) + _mixed(model_b, response_b))


def _mixed(*hashes: Any) -> Any:
    """Mix hashes to one: numbers in the same way as arrays, whose products wrap around."""
    mixed: Any = 0
    for hashed in hashes:
        mixed = ((mixed ^ hashed) * _FACTOR) & _LARGEST
        mixed = mixed ^ (mixed >> 32)
    return mixed


class _Hashed:
    """Python's hashes of values, each computed when it is first asked for."""

    def __init__(self, values: pa.Array) -> None:
        self.values = values
        self._hashes = np.zeros(len(values), np.int64)
        self._is_known = np.zeros(len(values), np.bool_)

    def at(self, places: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint64]:
        """Return the hashes of the values at these places."""
        is_wanted = np.zeros(len(self.values), np.bool_)
        is_wanted[places] = True
        new = np.flatnonzero(is_wanted & ~self._is_known)
        values = self.values if len(new) == len(self.values) else self.values.take(pa.array(new))
        self._hashes[new] = list(map(hash, values.to_pylist()))
        self._is_known[new] = True
        every: npt.NDArray[np.uint64] = self._hashes.view(np.uint64)[places]
        return every


def _are_usable(battles: pa.RecordBatch, shared: Mapping[str, pa.DictionaryArray]) -> bool:
    """Whether `BattleBuilder._problem` finds none in any battle, seen by itself."""
    named = shared["model_a"], shared["model_b"], shared["prompt"]
    return not (
        any(is_blank(names.dictionary)[names.indices.to_numpy()].any() for names in named)
        or pc.any(pc.equal(battles["model_a"], battles["model_b"])).as_py()
        or not pc.all(pc.is_in(battles["winner"], pa.array(WINNERS))).as_py()
    )


def battle_batches(
    submission: Submission,
    batch_rows: int,
    columns: Wanted,
    to_battles: Callable[[Any], Sequence[dict[str, Any]] | RowError],
    expects: str,
    to_columns: Callable[[RowBlock], Mapping[str, Any]] | None = None,
) -> Iterator[BattleBatch]:
    """Turn the rows of a battle set's files into batches.

    Parameters
    ----------
    columns : sequence of str, or callable
        Those to read of a file in columns, as far as it has them, or what tells them by their
        names; other files' rows are whole.
    to_battles : callable
        Maps a row, which is an object, to its battles: columns of `battles`. Any value may stand
        for a model, a winner or a prompt: what is none is rejected.
    expects : str
        What the reader takes, for the message if nothing is usable.
    to_columns : callable, optional
        Maps many rows to what `to_battles` makes of them, in columns, and `position`; raises
        `NotAlikeError` where that has to be asked for each.

    Raises
    ------
    SourceError
        If not one battle is usable.
    """
    builder = BattleBuilder(submission, batch_rows)
    count = 0
    for file in submission.files[: submission.options[BATTLE_FILES]]:
        for block in _parts(row_blocks_of_table(Path(file), columns)):
            count += len(block)
            # The last row of a JSON list comes by itself.
            is_added = to_columns and len(block) > 1 and _add_at_once(builder, block, to_columns)
            if not is_added:
                for position, value in zip(block.positions, block.rows(), strict=True):
                    _add_row(builder, block.source, position, value, to_battles)
                    if builder.full():
                        yield builder.take()
            if builder.full():
                yield builder.take()
    # Taking may reject rows that Arrow cannot hold: the count is final only after it.
    last = builder.take()
    if last.battles.num_rows or last.rejects.num_rows:
        yield last
    if not builder.usable:
        raise SourceError(
            f"{submission.files[0]}: none of {count:,} rows can be used as battles "
            f"({builder.what_was_wrong()}). Expected {expects}"
        )


def _parts(blocks: Iterable[RowBlock]) -> Iterator[RowBlock]:
    for block in blocks:
        for start in range(0, len(block), _MOST_AT_ONCE):
            yield block.part(start, start + _MOST_AT_ONCE)


def _add_at_once(
    builder: BattleBuilder, block: RowBlock, to_columns: Callable[[RowBlock], Mapping[str, Any]]
) -> bool:
    try:
        return builder.add_columns(to_columns(block), source=block.source)
    except NOT_AT_ONCE:
        return False


def _add_row(
    builder: BattleBuilder,
    source: str,
    position: int,
    value: Any,
    to_battles: Callable[[Any], Sequence[dict[str, Any]] | RowError],
) -> None:
    battles: Sequence[dict[str, Any]] | RowError
    try:
        battles = value if isinstance(value, RowError) else to_battles(value)
    except RecursionError:
        battles = RowError("nested_too_deeply", "lists or objects stand too deeply in each other")
    except (ValueError, OverflowError) as error:
        battles = RowError("unreadable_value", f"a value of the row cannot be used: {error}")
    if isinstance(battles, RowError):
        shown = value if battles.excerpt is None and battles is not value else battles.excerpt
        builder.reject(battles.reason, battles.detail, source=source, position=position, row=shown)
        return
    for battle in battles:
        builder.add(battle, source=source, position=position)


def field_names(path: Path) -> frozenset[str]:
    """Return the names of a file's columns, or its first object's keys; none if there are none.

    A file that cannot be read has none either: whoever takes it after all says what is wrong.
    """
    try:
        if path.name.lower().endswith(_JSON):
            return frozenset(first_row(rows_of_json_file(path)) or ())
        if path.name.lower().endswith(_TABLES):
            return frozenset(column_names(path))
    except SourceError:
        pass
    return frozenset()


def whole_number(value: Any) -> int | None:
    """Return a whole number above 0 that 32 bits hold, else None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < 2**31 else None


def time_of(seconds: Any) -> int | None:
    """Return microseconds since 1970, UTC, of seconds; None if they are none."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if not math.isfinite(seconds) or not 0 < seconds < _LAST_SECOND:
        return None
    return round(seconds * 1_000_000)
