"""Whatever stands in a file of battles: rows, rejects or one clear error; never a traceback."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.battles import (
    base,
    find_battle_sets,
    llmfao,
    lmsys,
    pandalm,
    read_battles,
)
from errclust_pipeline_tests.helpers import battle_files as files
from errclust_pipeline_tests.sources.reading import write_lines
from errclust_pipeline_tests.sources.test_any_rows import changed

Read: TypeAlias = tuple[list[dict[str, Any]], list[dict[str, Any]]]

_QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
_FEW = settings(_QUICK, max_examples=40)


def _write_lines(folder: Path, rows: list[Any]) -> Path:
    return write_lines(folder / "rows.jsonl", rows)


def _write_pandalm(folder: Path, rows: list[Any]) -> Path:
    return files.write_pandalm(folder / "testset.json", rows)


def _write_fastchat(folder: Path, rows: list[Any]) -> Path:
    return files.write_fastchat(folder / "mt_bench", rows)


def read(path: Path) -> Read | SourceError:
    """Return the battles and rejects of a path, or why there are none."""
    rows: list[dict[str, Any]] = []
    rejects: list[dict[str, Any]] = []
    try:
        for found in find_battle_sets(path):
            for batch in read_battles(found):
                batch.battles.validate(full=True)
                rows += batch.battles.to_pylist()
                rejects += batch.rejects.to_pylist()
    except SourceError as error:
        return error
    return rows, rejects


def rows_and_rejects(path: Path) -> Read:
    """Return battles and rejects, having seen that rows converted one by one give the same."""
    at_once = read(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "_add_at_once", lambda *_: False)
        # No two NaN are equal.
        assert repr(read(path)) == repr(at_once)
    if isinstance(at_once, SourceError):
        raise at_once
    return at_once


def positions(path: Path) -> tuple[set[int], int]:
    """Return the positions of rows that became battles or rejects, and the number of battles."""
    rows, rejects = rows_and_rejects(path)
    return {row["position"] for row in (*rows, *rejects)}, len(rows)


def accounted_for(path: Path) -> int | None:
    """Return how many battles and rejects there are; None if an error names the file instead."""
    try:
        return sum(map(len, rows_and_rejects(path)))
    except SourceError as error:
        message = str(error)
    assert str(path.parent) in message
    return None


@pytest.mark.parametrize(
    ("write", "good"),
    [
        (_write_lines, files.mt_bench_row()),
        (_write_lines, files.arena_row()),
        (_write_fastchat, files.pair_row()),
        (_write_pandalm, files.pandalm_row()),
    ],
    ids=["mt_bench", "arena", "fastchat", "pandalm"],
)
@_QUICK
@given(data=st.data())
def test_every_row_is_accounted_for(
    write: Callable[[Path, list[Any]], Path], good: dict[str, Any], data: st.DataObject
) -> None:
    rows = [good, *data.draw(st.lists(changed(good), min_size=1, max_size=6))]
    with tempfile.TemporaryDirectory() as folder:
        seen, battles = positions(write(Path(folder), rows))
    assert seen == set(range(len(rows)))
    assert battles >= 1


_CELLS = st.text(max_size=5) | st.sampled_from(["0", "1", "left", "right", "tie", "97", '"', "\0"])


@_QUICK
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(files.vote_row(), _CELLS)), max_size=6))
def test_every_vote_of_a_csv_file_is_accounted_for(rows: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        votes = [files.vote_row(), *rows]
        seen, battles = positions(files.write_llmfao(Path(folder), votes))
    assert seen == set(range(len(votes)))
    assert battles >= 1


@_QUICK
@given(lines=st.lists(st.binary(max_size=60), max_size=4), cut=st.integers(0, 400))
def test_any_bytes_are_battles_rejects_or_one_clear_error(lines: list[bytes], cut: int) -> None:
    good = json.dumps(files.mt_bench_row()).encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        side = files.write_llmfao(folder, [files.vote_row()])
        pairs = folder / "pairs-crowd.jsonl"
        content = b"\n".join([good, *lines, good[:cut]])
        for path, head in (
            (folder / "rows.jsonl", content),
            (folder / "list.json", b"[" + content),
            (side, side.read_bytes() + content),
            (pairs, pairs.read_bytes()[:cut]),
        ):
            path.write_bytes(head)
            accounted_for(path if path != pairs else side)


_COLUMN = st.sampled_from(
    [
        pa.array([None, 1], pa.int64()),
        pa.array([b"\xff", None], pa.binary()),
        pa.array([["x"], None]),
        pa.array([[{"role": "user"}], [{"content": "x", "role": "user"}]]),
        pa.array(["a", "b"]).dictionary_encode(),
        pa.array([float("nan"), 1e300]),
        pa.nulls(2),
    ]
)


@_QUICK
@given(
    st.dictionaries(st.sampled_from([*files.arena_row()]), _COLUMN, min_size=1, max_size=3),
    st.sampled_from([0, 1, 7]),
)
def test_columns_of_any_type_are_battles_rejects_or_one_clear_error(
    columns: dict[str, pa.Array], cut: int
) -> None:
    table = pa.Table.from_pylist([files.arena_row(0), files.arena_row(1)])
    for name, column in columns.items():
        table = table.set_column(table.column_names.index(name), name, column)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train.parquet")
        pq.write_table(table, path)
        path.write_bytes(path.read_bytes()[cut:])
        assert accounted_for(path) in (None, 2)


_TEXT = st.sampled_from(["a", "b\n", "", " ", "é", "\u2003"])
_ROLE = st.sampled_from(["user", "user", "assistant", "system", None])


def _mostly(values: list[Any], other: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([*values * 5, other])


@st.composite
def conversations(draw: st.DrawFn) -> dict[str, Any]:
    """Two conversations that differ in what the models answered."""
    roles = ["user", "assistant", *draw(st.lists(_ROLE, max_size=4))]
    asked = ["What?", *draw(st.lists(_TEXT, min_size=len(roles), max_size=len(roles)))]
    both = [
        [
            {"content": text if role == "user" else draw(_TEXT), "role": role}
            for role, text in zip(roles, asked, strict=False)
        ]
        for _ in range(2)
    ]
    return dict(zip(("conversation_a", "conversation_b"), both, strict=True))


def plausible(
    good: dict[str, Any], identity: str, **values: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """Rows that are alike, few of which have to be rejected."""
    changes = st.lists(st.fixed_dictionaries({}, optional=values), min_size=1, max_size=7)
    return changes.map(
        lambda several: [
            good | {identity: str(number)} | changed for number, changed in enumerate(several)
        ]
    )


@_FEW
@given(data=st.data(), is_timed=st.booleans())
def test_conversations_in_columns(data: st.DataObject, is_timed: bool) -> None:
    good = files.arena_row() if is_timed else files.mt_bench_row()
    rows = data.draw(
        plausible(
            good,
            "question_id",
            winner=st.sampled_from(["model_a", "tie", "tie (bothbad)", "tie (inconsistent)"]),
            judge=st.sampled_from([None, "gpt4_pair", "x", "y"]),
            model_b=_mostly(["m", "n"], " "),
            **({"tstamp": _mostly([1.5, 1e9], None)} if is_timed else {}),
        )
    )
    for row in rows:
        row |= data.draw(conversations())
        asked = sum(message["role"] == "user" for message in row["conversation_a"])
        row["turn"] = data.draw(_mostly(list(range(1, asked + 1)), 2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.parquet")
        pq.write_table(pa.Table.from_pylist([good | {"question_id": "99"}, *rows]), path)
        seen, _ = positions(path)
    assert seen == set(range(1 + len(rows)))


@_FEW
@given(
    plausible(
        files.vote_row(),
        "worker",
        worker=_mostly(["100", "101"], ""),
        winner=_mostly(["left", "right", "tie"], "x"),
        left=_mostly(["Model Ninety-nine"], "Model Ninety-eight"),
    )
)
def test_plausible_votes(rows: list[dict[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen, _ = positions(files.write_llmfao(Path(folder), [files.vote_row(), *rows]))
    assert seen == set(range(1 + len(rows)))


@_FEW
@given(
    plausible(
        files.pandalm_row(),
        "idx",
        idx=_mostly([100, True], None),
        cmp_key=_mostly(["a_b", "b_c"], "a-b"),
        instruction=_mostly(["Do.", "e\u0301"], "\u2003"),
        input=st.sampled_from(["", None, "x"]),
        response1=st.sampled_from([True, "x", None, 1]),
        annotator2=_mostly([0, 1, 2], None),
    )
)
def test_plausible_pairs(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_lines(Path(folder, "t.jsonl"), [files.pandalm_row(91), *rows])
        seen, _ = positions(path)
    assert seen == set(range(1 + len(rows)))


def test_plain_files_need_no_loop_over_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("converted one by one")

    for reader in (llmfao, lmsys, pandalm):
        monkeypatch.setattr(reader, "_to_battles", fail)
    votes = [files.vote_row(worker=str(number)) for number in range(3)]
    pairs = list(map(files.pandalm_row, range(3)))
    arena, mt_bench = tmp_path / "arena.parquet", tmp_path / "mt_bench.parquet"
    pq.write_table(pa.Table.from_pylist(list(map(files.arena_row, range(3)))), arena)
    pq.write_table(pa.Table.from_pylist(list(map(files.mt_bench_row, range(3)))), mt_bench)
    for path, count in (
        (arena, 3),
        (mt_bench, 3),
        (files.write_llmfao(tmp_path, votes), 3),
        (write_lines(tmp_path / "pandalm.jsonl", pairs), 9),
    ):
        found = read(path)
        assert not isinstance(found, SourceError), found
        assert len(found[0]) == count


def test_a_row_too_large_to_be_read_is_rejected_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errclust_pipeline.sources.parsing.json_stream.MAX_ROW_BYTES", 5_000)
    huge = files.mt_bench_row(82, model_a="x" * 20_000)
    rows = [files.mt_bench_row(), huge, files.mt_bench_row(83)]
    seen, battles = positions(write_lines(tmp_path / "rows.jsonl", rows))
    assert seen == {0, 1, 2}
    assert battles == 2
