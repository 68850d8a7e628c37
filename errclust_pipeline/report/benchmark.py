"""Reads what the report of a benchmark shows; each model's part is read in `model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.report.columns import camel, in_order, packed, without_nan
from errclust_pipeline.report.comparisons import read_pairs, read_signatures
from errclust_pipeline.report.contents import ReportContents, ReportError
from errclust_pipeline.report.map_contents import described_regions, map_places, stale_notes
from errclust_pipeline.report.model import read_model
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.tables import LEADERBOARD, QUESTION_MAP, QUESTIONS, REGION_LABELS
from errclust_pipeline.views import marks
from errclust_pipeline.vocabulary import FAILURE_FORMS
from errclust_pipeline.warehouse.keys import BenchmarkPartition, Partition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_SHOWN = {
    "question_map", "region_labels", "error_clusters", "cluster_labels", "hot_spots",
    "autocorrelation", "uncertainty", "leaderboard", "model_comparison",
}  # fmt: skip
"""Assets that the report shows, and whose state its notes therefore tell."""


def read_contents(
    warehouse: Warehouse, benchmark: str, models: Sequence[str] | None = None
) -> ReportContents:
    """Read what the report of a benchmark shows.

    Parameters
    ----------
    benchmark : str
        Key of the benchmark.
    models : sequence of str, optional
        Keys of the models to show; all if not given.

    Raises
    ------
    WarehouseError
        If the benchmark's map or leaderboard has not been computed.
    ReportError
        If a model is not on the leaderboard.
    """
    partition = BenchmarkPartition(benchmark)
    settings = load_settings(warehouse.storage)
    statistics = settings.for_benchmark(benchmark).statistics
    question_map = marks.read_map(warehouse, benchmark)
    leaderboard = _read_leaderboard(warehouse, partition, models)
    names = [row["model"] for row in leaderboard]
    questions = _read_questions(warehouse, partition, question_map)
    regions = warehouse.read(REGION_LABELS, partition).to_pylist()
    regions.sort(key=lambda row: in_order(row["region_id"]))
    of_models = [
        read_model(
            warehouse,
            SubmissionPartition(benchmark, name),
            question_map,
            questions["row_of"],
            statistics,
        )
        for name in names
    ]
    numbers = {
        "kind": "benchmark",
        "benchmark": benchmark,
        "fdr": statistics.fdr,
        "artefactsLeftOut": statistics.leave_out_artefacts,
        "fewestModels": FEWEST_MODELS,
        "scales": sorted(
            {scale["k"] for model in of_models for scale in model["numbers"]["scales"]}
        ),
        "points": len(question_map),
        "failureForms": list(FAILURE_FORMS),
        "notes": _notes(warehouse, settings, benchmark, names),
        "map": map_places(
            warehouse, QUESTION_MAP, partition, question_map, [row["region_id"] for row in regions]
        ),
        "questions": questions["numbers"],
        "regions": described_regions(regions),
        "models": [
            {**camel(row), **model["numbers"]}
            for row, model in zip(leaderboard, of_models, strict=True)
        ],
        "signatures": read_signatures(warehouse, partition, names),
        **read_pairs(warehouse, partition, names),
    }
    return ReportContents(
        without_nan(numbers),
        {**questions["texts"], "models": [model["texts"] for model in of_models]},
    )


def _read_leaderboard(
    warehouse: Warehouse, partition: BenchmarkPartition, models: Sequence[str] | None
) -> list[dict[str, Any]]:
    leaderboard: list[dict[str, Any]] = warehouse.read(LEADERBOARD, partition).to_pylist()
    if models is None:
        return leaderboard
    known = [row["model"] for row in leaderboard]
    for model in models:
        if model not in known:
            raise ReportError(
                f"{model} is not on the leaderboard of {partition.benchmark}. "
                f"Known: {', '.join(known)}"
            )
    return [row for row in leaderboard if row["model"] in models]


def _notes(
    warehouse: Warehouse, settings: Settings, benchmark: str, models: Sequence[str]
) -> list[str]:
    """Say what is missing, out of date or left out, so that a report never hides it."""
    partitions: list[Partition] = [
        BenchmarkPartition(benchmark),
        *(SubmissionPartition(benchmark, model) for model in models),
    ]
    notes = stale_notes(warehouse, settings, partitions, _SHOWN)
    submitted = {
        submission.model
        for submission in warehouse.submissions()
        if submission.benchmark == benchmark
    }
    left_out = sorted(submitted - set(models))
    if left_out:
        notes.append(f"not in this report: {', '.join(left_out)}")
    return notes


def _read_questions(
    warehouse: Warehouse, partition: BenchmarkPartition, question_map: QuestionMap
) -> Mapping[str, Any]:
    """Return the questions on the map: columns, texts, and the row of each question id."""
    rows = warehouse.read(
        QUESTIONS, partition, columns=["question_id", "subject", "question", "choices", "gold"]
    ).to_pylist()
    rows = [row for row in rows if row["question_id"] in question_map.position_of]
    subjects = sorted({row["subject"] for row in rows if row["subject"]})
    number_of = {subject: number for number, subject in enumerate(subjects)}
    row_of = {row["question_id"]: number for number, row in enumerate(rows)}
    return {
        "row_of": row_of,
        "numbers": {
            "subjects": subjects,
            "subject": packed([number_of.get(row["subject"], -1) for row in rows], np.int16),
            "point": packed(
                [question_map.position_of[row["question_id"]] for row in rows], np.int32
            ),
            "ofPoint": packed(
                [row_of.get(name, -1) for name in question_map.question_ids], np.int32
            ),
        },
        "texts": {
            "questions": [row["question"] for row in rows],
            "gold": [row["gold"] for row in rows],
            "choices": [row["choices"] for row in rows],
        },
    }
