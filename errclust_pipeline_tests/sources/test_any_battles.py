"""Whatever stands in a file of battles: rows, rejects or one clear error; never a traceback."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from errclust_pipeline.sources import SourceError
from errclust_pipeline.sources.battles import find_battle_sets, read_battles
from errclust_pipeline_tests import battle_files as files
from errclust_pipeline_tests.sources.reading import write_lines
from errclust_pipeline_tests.sources.test_any_rows import changed

_QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def _write_lines(folder: Path, rows: list[Any]) -> Path:
    return write_lines(folder / "rows.jsonl", rows)


def _write_pandalm(folder: Path, rows: list[Any]) -> Path:
    return files.write_pandalm(folder / "testset.json", rows)


def _write_fastchat(folder: Path, rows: list[Any]) -> Path:
    return files.write_fastchat(folder / "mt_bench", rows)


def positions(path: Path) -> tuple[set[int], int]:
    """Return the positions of rows that became battles or rejects, and the number of battles."""
    (found,) = find_battle_sets(path)
    seen: set[int] = set()
    battles = 0
    for batch in read_battles(found):
        battles += batch.battles.num_rows
        seen |= {*batch.battles["position"].to_pylist(), *batch.rejects["position"].to_pylist()}
    return seen, battles


def accounted_for(path: Path) -> int | None:
    """Return how many battles and rejects there are; None if an error names the file instead."""
    try:
        return sum(
            batch.battles.num_rows + batch.rejects.num_rows
            for found in find_battle_sets(path)
            for batch in read_battles(found)
        )
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


def test_a_row_too_large_to_be_read_is_rejected_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("errclust_pipeline.sources.json_stream.MAX_ROW_BYTES", 5_000)
    huge = files.mt_bench_row(82, model_a="x" * 20_000)
    rows = [files.mt_bench_row(), huge, files.mt_bench_row(83)]
    seen, battles = positions(write_lines(tmp_path / "rows.jsonl", rows))
    assert seen == {0, 1, 2}
    assert battles == 2
