"""A benchmark's map as one table, and Apple's embedding-atlas to explore it in a browser.

The atlas is a program of its own with its own front end; it is started on the table, bound to this
machine, and asks nothing of the network. It is an extra because of what it depends on.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.report.contents import ReportError
from errclust_pipeline.report.drawing import nearest_scale
from errclust_pipeline.report.plots import NO_LAYOUT
from errclust_pipeline.settings import load_settings
from errclust_pipeline.tables import HOT_SPOTS, QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.views import marks
from errclust_pipeline.warehouse.keys import BenchmarkPartition, SubmissionPartition
from errclust_pipeline.warehouse.models import models_of
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline.warehouse.warehouse import Warehouse

NEIGHBOURS = 15
"""Of each question, that the atlas shows beside it."""
USUAL_PORT = 5055
_SECONDS_TO_START = 60
_QUESTION, _X, _Y, _WRONG = "question", "x", "y", "models_wrong"
_NEIGHBOURS = "__neighbours"
"""The atlas shows no column whose name begins so."""


_RESULTS = {0.0: "right", 1.0: "wrong"}


def explorer_table(
    warehouse: Warehouse, benchmark: str, models: Sequence[str] | None = None
) -> pa.Table:
    """Return a row for each question on a benchmark's map, with what models made of it.

    Columns are ``question``, ``subject``, ``right_answer``, ``region`` and ``place`` (names of its
    largest and its smallest region), ``x``, ``y``, ``__neighbours`` (positions of other rows, and
    cosine distances), ``models_asked``, ``models_wrong``, and of each model ``result: MODEL``,
    ``error rate around: MODEL`` (0 to 1), ``hot or cold: MODEL`` and ``beyond difficulty: MODEL``
    (hot, cold or as elsewhere).

    Parameters
    ----------
    benchmark : str
        Its key.
    models : sequence of str, optional
        Keys; all of the benchmark if not given.

    Raises
    ------
    WarehouseError
        If the map was not made yet.
    ReportError
        If it has no layout, or a model was not asked this benchmark.
    """
    partition = BenchmarkPartition(benchmark)
    known = models_of(warehouse, benchmark)
    for model in models or ():
        if model not in known:
            raise ReportError(
                f"{model} has no results on {benchmark}. Known: {', '.join(known) or 'none'}"
            )
    question_map = marks.read_map(warehouse, benchmark)
    ids = list(question_map.question_ids)
    layout = marks.read_layout(warehouse, benchmark).set_index("question_id").loc[ids]
    if layout[["x", "y"]].isna().any(axis=None) or not ids:
        raise ReportError(NO_LAYOUT)
    questions = warehouse.read(
        QUESTIONS, partition, columns=["question_id", "question", "subject", "gold"]
    )
    texts = questions.to_pandas().set_index("question_id").loc[ids]
    names = marks.read_region_names_if_there(warehouse, benchmark)
    columns: dict[str, Any] = {
        _QUESTION: texts["question"],
        "subject": texts["subject"],
        "right_answer": texts["gold"],
        "region": [_named(names, one and one.split(".")[0]) for one in question_map.region_ids],
        "place": [_named(names, one) for one in question_map.region_ids],
        _X: layout["x"],
        _Y: layout["y"],
        _NEIGHBOURS: _neighbours(warehouse, partition),
    }
    asked = np.zeros(len(ids), dtype=np.int32)
    wrong = np.zeros_like(asked)
    by_model: dict[str, Any] = {}
    for model in models or known:
        own = SubmissionPartition(benchmark, model)
        errors = marks.read_marks(warehouse, own, question_map, known_only=True).errors
        asked += ~np.isnan(errors)
        wrong += errors == 1
        by_model[f"result: {model}"] = [_RESULTS.get(one) for one in errors.tolist()]
        by_model |= _hot_spots(warehouse, own, ids)
    columns |= {"models_asked": asked, _WRONG: wrong, **by_model}
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def write_explorer_table(table: pa.Table, path: Path) -> None:
    """Write the table as Parquet, whole or not at all."""
    with Storage(str(path.parent)).write(str(path)) as file:
        pq.write_table(table, file, compression="zstd")


def atlas_command() -> list[str]:
    """Return the command that starts the atlas, of this environment or of one of its own.

    Raises
    ------
    ReportError
        If there is none; says how to install it.
    """
    if importlib.util.find_spec("embedding_atlas") is not None:
        return [sys.executable, "-m", "embedding_atlas.cli"]
    found = shutil.which("embedding-atlas")
    if found is not None:
        return [found]
    install = shlex.join([sys.executable, "-m", "pip", "install", "errclust[explore]"])
    raise ReportError(
        f"the explorer, embedding-atlas, is not installed. Install it with\n    {install}\n"
        "or in an environment of its own, so that its command `embedding-atlas` is found. "
        "`--out FILE.parquet` writes the table without it"
    )


def free_port(wanted: int | None) -> int:
    """Return a port to serve on: the one that is wanted, else the usual or any that is free.

    Raises
    ------
    ReportError
        If the port that is wanted is taken.
    """
    for port in (USUAL_PORT, 0) if wanted is None else (wanted,):
        with socket.socket() as tried:
            # What a server that has just ended leaves behind is no hindrance.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(tried.getsockname()[1])
    raise ReportError(f"port {wanted} is taken: choose another with --port, or leave it out")


@contextmanager
def atlas(
    table: pa.Table, labels: pa.Table, port: int, command: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Serve a table by the atlas on this machine; what it needs is gone when it ends.

    Parameters
    ----------
    table : pyarrow.Table
        Of `explorer_table`.
    labels : pyarrow.Table
        Of `region_labels_on_the_map`.
    port : int
    command : sequence of str
        Of `atlas_command`.

    Raises
    ------
    ReportError
        If it does not come up; says what it said last.
    """
    with tempfile.TemporaryDirectory(prefix="errclust-explore-") as name:
        folder = Path(name)
        pq.write_table(table, folder / "questions.parquet")
        pq.write_table(labels, folder / "labels.parquet")
        (folder / "state.json").write_text(json.dumps({"charts": _charts(table)}))
        log = folder / "log.txt"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [
                    *command, str(folder / "questions.parquet"), "--text", _QUESTION,
                    "--x", _X, "--y", _Y, "--neighbors", _NEIGHBOURS,
                    "--labels", str(folder / "labels.parquet"),
                    "--state", str(folder / "state.json"),
                    "--host", "127.0.0.1", "--port", str(port), "--no-auto-port",
                ],
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            )  # fmt: skip
        try:
            _wait_until_up(process, port, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def region_labels_on_the_map(warehouse: Warehouse, benchmark: str) -> pa.Table:
    """Return the names of regions with where to write them, in the atlas's form."""
    rows = warehouse.read(
        REGION_LABELS,
        BenchmarkPartition(benchmark),
        columns=["region_id", "label", "level", "size"],
    ).to_pylist()
    layout = marks.read_layout(warehouse, benchmark).dropna(subset=["region_id"])
    found = []
    for row in rows:
        region = row["region_id"]
        inside = layout["region_id"].eq(region) | layout["region_id"].str.startswith(f"{region}.")
        if inside.any():
            middle = layout.loc[inside, ["x", "y"]].median()
            found.append(
                {
                    "x": float(middle["x"]),
                    "y": float(middle["y"]),
                    "text": row["label"],
                    # What its front end reads in 0.26, whatever its command line says.
                    "content": row["label"],
                    "level": row["level"] - 1,
                    "priority": row["size"],
                }
            )
    fields = {"x": pa.float64(), "y": pa.float64(), "text": pa.string(), "content": pa.string()}
    schema = pa.schema({**fields, "level": pa.int32(), "priority": pa.int64()})
    return pa.Table.from_pylist(found, schema=schema)


def _wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as tried:
            tried.settimeout(1)
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    said = log.read_text(errors="replace").strip().splitlines()[-8:]
    ended = "ended" if process.poll() is not None else "did not come up"
    raise ReportError("\n".join([f"embedding-atlas {ended}. It said last:", *said]))


def _named(names: dict[str, str], region: str | None) -> str | None:
    return None if region is None else f"{region} {names.get(region, '')}".strip()


def _neighbours(warehouse: Warehouse, partition: BenchmarkPartition) -> pa.Array:
    """Return of each row its nearest others, in the atlas's form."""
    rows = warehouse.read(
        QUESTION_MAP, partition,
        columns=["stands_for_itself", "position", "neighbours", "similarities"],
    )  # fmt: skip
    own = rows.filter(rows["stands_for_itself"]).sort_by("position")
    ids, similarities = (
        [one[:NEIGHBOURS] for one in own[name].to_pylist()]
        for name in ("neighbours", "similarities")
    )
    return pa.array(
        [
            {"ids": near, "distances": [1 - one for one in alike]}
            for near, alike in zip(ids, similarities, strict=True)
        ]
    )


def _hot_spots(
    warehouse: Warehouse, own: SubmissionPartition, ids: Sequence[str]
) -> dict[str, Any]:
    """Return a model's columns of local statistics; none if they were not computed."""
    if warehouse.provenance(HOT_SPOTS, own) is None:
        return {}
    settings = load_settings(warehouse.storage).for_benchmark(own.benchmark)
    alpha = settings.statistics.fdr
    spots = warehouse.read(
        HOT_SPOTS, own,
        columns=["question_id", "k", "smoothed_rate", "q_hot", "q_cold", "adjusted_q_hot",
                 "adjusted_q_cold"],
    ).to_pandas()  # fmt: skip
    if spots.empty:
        return {}
    spots = spots[spots["k"] == nearest_scale(spots["k"].unique().tolist())]
    spots = spots.set_index("question_id").reindex(list(ids))
    found: dict[str, Any] = {f"error rate around: {own.model}": spots["smoothed_rate"]}
    for name, hot, cold in (
        ("hot or cold", "q_hot", "q_cold"),
        ("beyond difficulty", "adjusted_q_hot", "adjusted_q_cold"),
    ):
        if spots[hot].notna().any():
            found[f"{name}: {own.model}"] = [
                None if not_hot != not_hot
                else "hot" if not_hot < alpha
                else "cold" if not_cold < alpha
                else "as elsewhere"
                for not_hot, not_cold in zip(spots[hot], spots[cold], strict=True)
            ]  # fmt: skip
    return found


def _charts(table: pa.Table) -> dict[str, Any]:
    """Return what the atlas shows at first: the map, coloured, the rows, and a chart a column."""
    around = [name for name in table.column_names if name.startswith("error rate around: ")]
    one_model = sum(name.startswith("result: ") for name in table.column_names) == 1
    charts: list[dict[str, Any]] = [
        {
            "type": "embedding",
            "title": "Map",
            "data": {
                "x": _X, "y": _Y, "text": _QUESTION, "neighbors": _NEIGHBOURS,
                "category": around[0] if one_model and around else _WRONG,
            },
        },
        {"type": "predicates", "title": "SQL predicates"},
        {"type": "instances", "title": "Questions"},
    ]  # fmt: skip
    for name in table.column_names:
        if name in (_QUESTION, "right_answer", "place", _X, _Y, _NEIGHBOURS, "models_asked"):
            continue
        if pa.types.is_floating(table.schema.field(name).type):
            charts.append(_histogram(name))
        else:
            charts.append({"type": "count-plot", "title": name, "data": {"field": name}})
    return {str(number): chart for number, chart in enumerate(charts, 1)}


def _histogram(name: str) -> dict[str, Any]:
    bars = {"mark": "bar", "encoding": {"x": {"field": name}, "y": {"aggregate": "count"}}}
    return {
        "title": name,
        "layers": [
            {**bars, "style": {"fillColor": "$markColorFade"}},
            {**bars, "filter": "$filter"},
        ],
        "selection": {"brush": {"encoding": "x"}},
    }
