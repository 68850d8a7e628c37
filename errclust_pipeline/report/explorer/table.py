"""The explorer's tables: a row for each question on the map, and the names of regions on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
"""Number of neighbours of a question that the atlas shows beside it."""
QUESTION, X, Y, MODELS_WRONG = "question", "x", "y", "models_wrong"
NEIGHBOURS_COLUMN = "__neighbours"
"""The atlas does not show columns whose name begins with two underscores."""
RESULT, RATE_AROUND = "result: ", "error rate around: "
"""Beginnings of the names of a model's columns."""
_RESULTS = {0.0: "right", 1.0: "wrong"}


def explorer_table(
    warehouse: Warehouse, benchmark: str, models: Sequence[str] | None = None
) -> pa.Table:
    """Return a row for each question on a benchmark's map, with the models' results.

    Parameters
    ----------
    benchmark : str
        Key of the benchmark.
    models : sequence of str, optional
        Keys of the models; all of the benchmark if not given.

    Returns
    -------
    pyarrow.Table
        Columns are ``question``, ``subject``, ``right_answer``, ``region`` and ``place`` (names of
        the question's largest and smallest region), ``x``, ``y``, ``__neighbours`` (row numbers of
        neighbours with cosine distances), ``models_asked``, ``models_wrong``; and for each model
        ``result: MODEL``, ``error rate around: MODEL`` (0 to 1), ``hot or cold: MODEL`` and
        ``beyond difficulty: MODEL`` (hot, cold or as elsewhere).

    Raises
    ------
    WarehouseError
        If the map has not been computed.
    ReportError
        If the map has no layout, or a model has no results on the benchmark.
    """
    partition = BenchmarkPartition(benchmark)
    chosen = _known_models(warehouse, benchmark, models)
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
        QUESTION: texts["question"],
        "subject": texts["subject"],
        "right_answer": texts["gold"],
        "region": [_named(names, region, coarsest=True) for region in question_map.region_ids],
        "place": [_named(names, region) for region in question_map.region_ids],
        X: layout["x"],
        Y: layout["y"],
        NEIGHBOURS_COLUMN: _neighbours(warehouse, partition),
    }
    asked = np.zeros(len(ids), dtype=np.int32)
    wrong = np.zeros_like(asked)
    by_model: dict[str, Any] = {}
    for model in chosen:
        submission = SubmissionPartition(benchmark, model)
        errors = marks.read_marks(warehouse, submission, question_map, known_only=True).errors
        asked += ~np.isnan(errors)
        wrong += errors == 1
        by_model[f"{RESULT}{model}"] = [_RESULTS.get(error) for error in errors.tolist()]
        by_model |= _hot_spot_columns(warehouse, submission, ids)
    columns |= {"models_asked": asked, MODELS_WRONG: wrong, **by_model}
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def write_explorer_table(table: pa.Table, path: Path) -> None:
    """Write the table as Parquet, completely or not at all."""
    with Storage(str(path.parent)).write(str(path)) as file:
        pq.write_table(table, file, compression="zstd")


def region_labels_on_the_map(warehouse: Warehouse, benchmark: str) -> pa.Table:
    """Return the names of regions and where to write them, in the atlas's form.

    Parameters
    ----------
    benchmark : str
        Key of the benchmark.

    Returns
    -------
    pyarrow.Table
        ``x``, ``y``, ``text``, ``content``, ``level`` (from 0) and ``priority`` (the region's
        size). The atlas 0.26 reads ``content``, although its command line asks for ``text``.
    """
    rows = warehouse.read(
        REGION_LABELS,
        BenchmarkPartition(benchmark),
        columns=["region_id", "label", "level", "size"],
    ).to_pylist()
    layout = marks.read_layout(warehouse, benchmark).dropna(subset=["region_id"])
    labels = []
    for row in rows:
        region = row["region_id"]
        inside = layout["region_id"].eq(region) | layout["region_id"].str.startswith(f"{region}.")
        if inside.any():
            middle = layout.loc[inside, ["x", "y"]].median()
            labels.append(
                {
                    "x": float(middle["x"]),
                    "y": float(middle["y"]),
                    "text": row["label"],
                    "content": row["label"],
                    "level": row["level"] - 1,
                    "priority": row["size"],
                }
            )
    fields = {"x": pa.float64(), "y": pa.float64(), "text": pa.string(), "content": pa.string()}
    schema = pa.schema({**fields, "level": pa.int32(), "priority": pa.int64()})
    return pa.Table.from_pylist(labels, schema=schema)


def _known_models(
    warehouse: Warehouse, benchmark: str, models: Sequence[str] | None
) -> Sequence[str]:
    known = models_of(warehouse, benchmark)
    for model in models or ():
        if model not in known:
            raise ReportError(
                f"{model} has no results on {benchmark}. Known: {', '.join(known) or 'none'}"
            )
    return models or known


def _named(names: Mapping[str, str], region: str | None, coarsest: bool = False) -> str | None:
    """Return a region's id with its name."""
    if region is None:
        return None
    shown = region.split(".")[0] if coarsest else region
    return f"{shown} {names.get(shown, '')}".strip()


def _neighbours(warehouse: Warehouse, partition: BenchmarkPartition) -> pa.Array:
    """Return the nearest other rows of each row, in the atlas's form."""
    rows = warehouse.read(
        QUESTION_MAP, partition,
        columns=["stands_for_itself", "position", "neighbours", "similarities"],
    )  # fmt: skip
    points = rows.filter(rows["stands_for_itself"]).sort_by("position")
    return pa.array(
        [
            {
                "ids": ids[:NEIGHBOURS],
                "distances": [1 - similarity for similarity in similarities[:NEIGHBOURS]],
            }
            for ids, similarities in zip(
                points["neighbours"].to_pylist(), points["similarities"].to_pylist(), strict=True
            )
        ]
    )


def _hot_spot_columns(
    warehouse: Warehouse, submission: SubmissionPartition, ids: Sequence[str]
) -> dict[str, Any]:
    """Return a model's columns of local statistics; none if they were not computed."""
    if warehouse.provenance(HOT_SPOTS, submission) is None:
        return {}
    settings = load_settings(warehouse.storage).for_benchmark(submission.benchmark)
    spots = warehouse.read(
        HOT_SPOTS, submission,
        columns=["question_id", "k", "smoothed_rate", "q_hot", "q_cold", "adjusted_q_hot",
                 "adjusted_q_cold"],
    ).to_pandas()  # fmt: skip
    if spots.empty:
        return {}
    spots = spots[spots["k"] == nearest_scale(spots["k"].unique().tolist())]
    spots = spots.set_index("question_id").reindex(list(ids))
    columns: dict[str, Any] = {f"{RATE_AROUND}{submission.model}": spots["smoothed_rate"]}
    for name, hot, cold in (
        ("hot or cold", "q_hot", "q_cold"),
        ("beyond difficulty", "adjusted_q_hot", "adjusted_q_cold"),
    ):
        if spots[hot].notna().any():
            columns[f"{name}: {submission.model}"] = [
                _hot_or_cold(q_hot, q_cold, settings.statistics.fdr)
                for q_hot, q_cold in zip(spots[hot], spots[cold], strict=True)
            ]
    return columns


def _hot_or_cold(q_hot: float, q_cold: float, fdr: float) -> str | None:
    if np.isnan(q_hot):
        return None
    return "hot" if q_hot < fdr else "cold" if q_cold < fdr else "as elsewhere"
