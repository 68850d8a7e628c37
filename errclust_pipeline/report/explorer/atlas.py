"""Starts embedding-atlas on the explorer's tables, with the charts that it shows first."""

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

import pyarrow as pa
import pyarrow.parquet as pq

from errclust_pipeline.report.contents import ReportError
from errclust_pipeline.report.explorer.table import (
    MODELS_WRONG,
    NEIGHBOURS_COLUMN,
    QUESTION,
    RATE_AROUND,
    RESULT,
    X,
    Y,
)

USUAL_PORT = 5055
_SECONDS_TO_START = 60
_SECONDS_TO_STOP = 10
_LAST_LINES = 8
"""Number of lines of the atlas's output that an error repeats."""
_WITHOUT_CHART = (QUESTION, "right_answer", "place", X, Y, NEIGHBOURS_COLUMN, "models_asked")
"""Columns for which no chart is shown at first."""


def atlas_command() -> list[str]:
    """Return the command that starts the atlas, in this environment or in one of its own.

    Raises
    ------
    ReportError
        If the atlas is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("embedding_atlas") is not None:
        return [sys.executable, "-m", "embedding_atlas.cli"]
    executable = shutil.which("embedding-atlas")
    if executable is not None:
        return [executable]
    install = shlex.join([sys.executable, "-m", "pip", "install", "errclust[explore]"])
    raise ReportError(
        f"the explorer, embedding-atlas, is not installed. Install it with\n    {install}\n"
        "or into an environment of its own with its command `embedding-atlas` on the PATH. "
        "`--out FILE.parquet` writes the table without it"
    )


def free_port(wanted: int | None) -> int:
    """Return a port to serve on: the wanted one, or else the usual one or any that is free.

    Raises
    ------
    ReportError
        If the wanted port is taken.
    """
    for port in (USUAL_PORT, 0) if wanted is None else (wanted,):
        with socket.socket() as tried:
            # A port that a server has just left can be taken again at once.
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
    """Serve a table by the atlas on this machine; its files are removed when it ends.

    Parameters
    ----------
    table : pyarrow.Table
        The result of `explorer_table`.
    labels : pyarrow.Table
        The result of `region_labels_on_the_map`.
    port : int
    command : sequence of str
        The result of `atlas_command`.

    Yields
    ------
    subprocess.Popen
        The process of the atlas, once it answers.

    Raises
    ------
    ReportError
        If the atlas does not start; the message has the last lines of its output.
    """
    with tempfile.TemporaryDirectory(prefix="errclust-explore-") as name:
        folder = Path(name)
        pq.write_table(table, folder / "questions.parquet")
        pq.write_table(labels, folder / "labels.parquet")
        (folder / "state.json").write_text(json.dumps({"charts": _charts(table)}))
        log = folder / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *command, str(folder / "questions.parquet"), "--text", QUESTION,
                    "--x", X, "--y", Y, "--neighbors", NEIGHBOURS_COLUMN,
                    "--labels", str(folder / "labels.parquet"),
                    "--state", str(folder / "state.json"),
                    "--host", "127.0.0.1", "--port", str(port), "--no-auto-port",
                ],
                env={**os.environ, "HF_HUB_OFFLINE": "1"},
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            _wait_until_it_answers(process, port, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as tried:
            tried.settimeout(1)
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    lines = log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES:]
    what = "ended" if process.poll() is not None else f"did not start in {_SECONDS_TO_START} s"
    raise ReportError("\n".join([f"embedding-atlas {what}. Its last output was:", *lines]))


def _charts(table: pa.Table) -> dict[str, Any]:
    """Return what the atlas shows at first: the map, the rows, and a chart for each column."""
    around = [name for name in table.column_names if name.startswith(RATE_AROUND)]
    one_model = sum(name.startswith(RESULT) for name in table.column_names) == 1
    charts: list[dict[str, Any]] = [
        {
            "type": "embedding",
            "title": "Map",
            "data": {
                "x": X, "y": Y, "text": QUESTION, "neighbors": NEIGHBOURS_COLUMN,
                "category": around[0] if one_model and around else MODELS_WRONG,
            },
        },
        {"type": "predicates", "title": "SQL predicates"},
        {"type": "instances", "title": "Questions"},
    ]  # fmt: skip
    for name in table.column_names:
        if name in _WITHOUT_CHART:
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
