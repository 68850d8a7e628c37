"""What a report shows of a benchmark, read from its tables, as values that JSON can hold.

Numbers of every question go into columns, packed as bytes in base64, because 12,000 questions of 8
models are a million numbers; texts are kept apart, so that a page can show its pictures before it
unpacks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis.comparison import seriated
from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.report.columns import (
    camel,
    in_order,
    in_steps,
    packed,
    packed_points,
    placed,
    read_if_there,
    rounded,
    without_nan,
)
from errclust_pipeline.report.uncertainty import uncertainty_of_model
from errclust_pipeline.settings import Settings, load_settings
from errclust_pipeline.stages import State, status
from errclust_pipeline.tables import (
    AUTOCORRELATION,
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERRORS,
    HOT_REGIONS,
    HOT_SPOTS,
    LEADERBOARD,
    MODEL_COMPARISON,
    MODEL_PAIRS,
    MODEL_SIGNATURES,
    QUESTION_MAP,
    QUESTIONS,
    REGION_LABELS,
    RESPONSES,
    Table,
)
from errclust_pipeline.views import marks
from errclust_pipeline.vocabulary import FAILURE_FORMS
from errclust_pipeline.warehouse.keys import BenchmarkPartition, Partition, SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse


class ReportError(ValueError):
    """A report that cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class TextLengths:
    """How many characters are kept of each text.

    Attributes
    ----------
    question, choice, answer : int
        Of a question, of each of its options, and of a right or a given answer.
    tail : int
        Of the end of each wrong response.
    response : int
        Of the whole response of an exemplar.
    """

    question: int = 3000
    choice: int = 400
    answer: int = 300
    tail: int = 300
    response: int = 6000

    def shorter(self) -> TextLengths:
        """Return lengths of which the largest part of the texts takes half."""
        return TextLengths(
            max(self.question // 2, 80),
            max(self.choice // 2, 20),
            max(self.answer // 2, 40),
            self.tail // 2 if self.tail > 40 else 0,
            max(self.response // 2, 400),
        )

    @property
    def are_shortest(self) -> bool:
        """Whether there is nothing left to shorten."""
        return self.shorter() == self


@dataclass(frozen=True)
class ReportContents:
    """All that a report shows.

    Attributes
    ----------
    numbers : dict
        What the pictures are drawn from, names of regions and clusters among it; JSON.
    texts : dict
        Questions, answers and responses, whole.
    """

    numbers: dict[str, Any]
    texts: dict[str, Any]

    def texts_cut(self, lengths: TextLengths) -> dict[str, Any]:
        """Return the texts, each cut to a length; what was cut says how long it was."""
        return {
            "questions": [cut(text, lengths.question) for text in self.texts["questions"]],
            "gold": [cut(text, lengths.answer) for text in self.texts["gold"]],
            "choices": [
                None if options is None else [cut(one, lengths.choice) for one in options]
                for options in self.texts["choices"]
            ],
            "models": [
                {
                    "predictions": [cut(text, lengths.answer) for text in one["predictions"]],
                    "tails": [_end_of(text, lengths.tail) for text in one["tails"]],
                    "responses": {
                        row: cut(text, lengths.response) for row, text in one["responses"].items()
                    },
                }
                for one in self.texts["models"]
            ],
        }


def cut(text: str | None, longest: int) -> str | None:
    """Return the beginning of a text; one that was cut says how long it was."""
    if text is None or len(text) <= longest:
        return text
    return f"{text[:longest]} … ({len(text):,} characters in all)"


def _end_of(text: str | None, longest: int) -> str | None:
    if not text or longest == 0:
        return None
    return text if len(text) <= longest else f"… {text[-longest:]}"


def read_contents(
    warehouse: Warehouse, benchmark: str, models: Sequence[str] | None = None
) -> ReportContents:
    """Read what a report of a benchmark shows.

    Parameters
    ----------
    benchmark : str
        Its key.
    models : sequence of str, optional
        Keys of the models it is about; all if not given.

    Raises
    ------
    WarehouseError
        If the benchmark's map or leaderboard was not made yet.
    ReportError
        If a model is not on the leaderboard.
    """
    partition = BenchmarkPartition(benchmark)
    settings = load_settings(warehouse.storage)
    chosen = settings.for_benchmark(benchmark).statistics
    question_map = marks.read_map(warehouse, benchmark)
    leaderboard = warehouse.read(LEADERBOARD, partition).to_pylist()
    if models is not None:
        known = [row["model"] for row in leaderboard]
        for model in models:
            if model not in known:
                raise ReportError(
                    f"{model} is not on the leaderboard of {benchmark}. Known: {', '.join(known)}"
                )
        leaderboard = [row for row in leaderboard if row["model"] in models]
    names = [row["model"] for row in leaderboard]

    questions = _questions(warehouse, benchmark, question_map)
    regions = warehouse.read(REGION_LABELS, partition).to_pylist()
    regions.sort(key=lambda row: in_order(row["region_id"]))
    own = [
        _model(warehouse, SubmissionPartition(benchmark, name), question_map, questions, chosen)
        for name in names
    ]
    scales = sorted({scale["k"] for one in own for scale in one["numbers"]["scales"]})
    numbers = {
        "kind": "benchmark",
        "benchmark": benchmark,
        "fdr": chosen.fdr,
        "artefactsLeftOut": chosen.leave_out_artefacts,
        "fewestModels": FEWEST_MODELS,
        "scales": scales,
        "points": len(question_map),
        "failureForms": list(FAILURE_FORMS),
        "notes": _notes(warehouse, benchmark, names),
        "map": map_places(
            warehouse, QUESTION_MAP, partition, question_map, [row["region_id"] for row in regions]
        ),
        "questions": questions["numbers"],
        "regions": described_regions(regions),
        "models": [
            {**camel(row), **one["numbers"]} for row, one in zip(leaderboard, own, strict=True)
        ],
        "signatures": _signatures(warehouse, partition, names),
        **_comparisons(warehouse, partition, names),
    }
    return ReportContents(
        without_nan(numbers),
        {**questions["texts"], "models": [one["texts"] for one in own]},
    )


def _notes(warehouse: Warehouse, benchmark: str, models: Sequence[str]) -> list[str]:
    """Say what is missing, out of date or left out, so that a report never hides it."""
    settings = load_settings(warehouse.storage)
    shown = {
        "question_map", "region_labels", "error_clusters", "cluster_labels", "hot_spots",
        "autocorrelation", "uncertainty", "leaderboard", "model_comparison",
    }  # fmt: skip
    partitions: list[Partition] = [
        BenchmarkPartition(benchmark),
        *(SubmissionPartition(benchmark, one) for one in models),
    ]
    notes = stale_notes(warehouse, settings, partitions, shown)
    left_out = sorted(
        {one.model for one in warehouse.submissions() if one.benchmark == benchmark} - set(models)
    )
    if left_out:
        notes.append(f"not in this report: {', '.join(left_out)}")
    return notes


def stale_notes(
    warehouse: Warehouse, settings: Settings, partitions: Sequence[Partition], shown: set[str]
) -> list[str]:
    """Say which of the assets that are shown are not fresh, and why."""
    with warehouse.listing_once():
        return [
            f"{asset} of {partition} is {how.state}: {how.reason}"
            for partition in partitions
            for asset, how in status(warehouse, settings, partition).items()
            if asset in shown and how.state is not State.FRESH
        ]


def described_regions(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return regions of a map, rows of `region_labels`, as the page reads them."""
    return [
        {
            "id": row["region_id"],
            "level": row["level"],
            "parent": row["parent_id"],
            "size": row["size"],
            "label": row["label"],
            "description": row["description"],
            "phrases": row["key_phrases"],
            "subject": row["main_subject"],
        }
        for row in rows
    ]


def _questions(
    warehouse: Warehouse, benchmark: str, question_map: QuestionMap
) -> dict[str, dict[str, Any]]:
    rows = warehouse.read(
        QUESTIONS,
        BenchmarkPartition(benchmark),
        columns=["question_id", "subject", "question", "choices", "gold"],
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
            "ofPoint": packed([row_of.get(name, -1) for name in question_map.question_ids], "i4"),
        },
        "texts": {
            "questions": [row["question"] for row in rows],
            "gold": [row["gold"] for row in rows],
            "choices": [row["choices"] for row in rows],
        },
    }


def map_places(
    warehouse: Warehouse,
    table: Table,
    partition: Partition,
    question_map: QuestionMap,
    region_ids: Sequence[str],
) -> dict[str, Any]:
    """Return each point's place, scaled to 16 bits, and its smallest region."""
    rows = warehouse.read(table, partition, ["stands_for_itself", "position", "x", "y"])
    own = rows.filter(rows["stands_for_itself"]).sort_by("position")
    places = np.column_stack(
        [own[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in ("x", "y")]
    )
    number_of = {name: number for number, name in enumerate(region_ids)}
    regions = [number_of.get(name or "", -1) for name in question_map.region_ids]
    found: dict[str, Any] = {"region": packed(regions, np.int16), "x": None, "y": None}
    if len(places) and np.isfinite(places).all():
        least = places.min(axis=0)
        # One scale for both, so that distances stay what they are.
        extent = float(np.ptp(places, axis=0).max()) or 1.0
        scaled = np.round((places - least) / extent * 65535)
        found |= {"x": packed(scaled[:, 0], np.uint16), "y": packed(scaled[:, 1], np.uint16)}
    return found


def _model(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    questions: Mapping[str, Any],
    chosen: Any,
) -> dict[str, Any]:
    own = marks.read_marks(
        warehouse, partition, question_map, chosen.leave_out_artefacts, known_only=True
    )
    state = np.where(np.isnan(own.errors), -1, own.errors)
    columns = ["example_id", "question_id", "failure_form", "prediction", "response_tail"]
    errors = [
        row
        for row in warehouse.read(ERRORS, partition, columns).to_pylist()
        if row["question_id"] in questions["row_of"]
    ]
    row_of = {row["example_id"]: number for number, row in enumerate(errors)}
    rows_on_map = question_map.place([row["question_id"] for row in errors], np.arange(len(errors)))
    rows_on_map[(state != 1) | np.isnan(rows_on_map)] = -1
    clusters = _clusters(warehouse, partition, row_of)
    responses = _exemplar_responses(warehouse, partition, row_of, clusters["labels"])
    return {
        "numbers": {
            "state": packed(state, np.int8),
            "scales": _scales(warehouse, partition, question_map, chosen.fdr),
            "errors": {
                "question": packed(
                    [questions["row_of"][row["question_id"]] for row in errors], "i4"
                ),
                "form": packed(
                    [FAILURE_FORMS.index(row["failure_form"]) for row in errors], np.uint8
                ),
                "cluster": packed(clusters["of_row"], np.int16),
                "ofPoint": packed(rows_on_map, np.int32),
            },
            "clusters": clusters["labels"],
            "autocorrelation": [
                camel(row, ["mark", "k", "moran", "z", "p"])
                for row in read_if_there(warehouse, AUTOCORRELATION, partition).to_pylist()
            ],
            "hotRegions": _hot_regions(warehouse, partition, question_map),
            "uncertainty": uncertainty_of_model(warehouse, partition, question_map, chosen.fdr),
        },
        "texts": {
            "predictions": [row["prediction"] for row in errors],
            "tails": [row["response_tail"] for row in errors],
            "responses": responses,
        },
    }


def _scales(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap, alpha: float
) -> list[dict[str, Any]]:
    """Return the local statistics at each scale, as columns over the map's points.

    Rates are in steps of 1/250; excesses beyond difficulty likewise, from -0.5 to 0.5; `hot` is 1,
    -1 or 0 for hot, cold or neither.
    """
    columns = [
        "question_id", "k", "errors", "draws", "smoothed_rate", "q_hot", "q_cold",
        "adjusted_expected", "adjusted_q_hot", "adjusted_q_cold",
    ]  # fmt: skip
    rows = read_if_there(warehouse, HOT_SPOTS, partition, columns)
    points = len(question_map)
    found = []
    for k in sorted(pc.unique(rows["k"]).to_pylist()):
        at_k = rows.filter(pc.equal(rows["k"], k))
        ids = at_k["question_id"].to_pylist()
        kept = np.array([one in question_map.position_of for one in ids], dtype=np.bool_)
        at = np.array(
            [question_map.position_of[one] for one in ids if one in question_map.position_of]
        )

        def column(name: str, at_k: pa.Table = at_k, kept: Any = kept) -> Any:
            values = at_k[name].to_numpy(zero_copy_only=False).astype(np.float64)
            return values[kept]

        draws = np.maximum(column("draws"), 1)
        excess = (column("errors") - column("adjusted_expected")) / draws
        adjusted = bool(np.isfinite(excess).any())
        hot = (column("q_hot") < alpha).astype(int) - (column("q_cold") < alpha)
        beyond = (column("adjusted_q_hot") < alpha).astype(int) - (
            column("adjusted_q_cold") < alpha
        )
        found.append(
            {
                "k": k,
                "rate": in_steps(column("smoothed_rate"), at, points),
                "hot": placed(hot, at, points, np.int8, 0),
                "excess": in_steps(excess, at, points, -0.5) if adjusted else None,
                "beyond": placed(beyond, at, points, np.int8, 0) if adjusted else None,
            }
        )
    return found


def _clusters(
    warehouse: Warehouse, partition: SubmissionPartition, row_of: Mapping[str, int]
) -> dict[str, Any]:
    """Return the labels of the clusters, and of each error the number of its smallest cluster."""
    labels = read_if_there(warehouse, CLUSTER_LABELS, partition).to_pylist()
    labels.sort(key=lambda row: in_order(row["cluster_id"]))
    number_of = {row["cluster_id"]: number for number, row in enumerate(labels)}
    of_row = np.full(len(row_of), -1)
    columns = ["example_id", "level", "cluster_id"]
    members = read_if_there(warehouse, ERROR_CLUSTERS, partition, columns).to_pylist()
    for row in sorted(members, key=lambda row: row["level"]):
        if row["cluster_id"] in number_of and row["example_id"] in row_of:
            of_row[row_of[row["example_id"]]] = number_of[row["cluster_id"]]
    chosen = [
        "cluster_id", "level", "parent_id", "size", "share_of_errors", "label", "description",
        "key_phrases", "written_by", "cause", "faithfulness", "faithfulness_low",
        "faithfulness_high", "judged_faithfulness", "judged_faithfulness_low",
        "judged_faithfulness_high", "is_faithful", "problem", "main_failure_form",
        "main_failure_form_share", "main_subject",
    ]  # fmt: skip
    return {
        "of_row": of_row,
        "labels": [
            camel(row, chosen)
            | {
                "exemplars": [
                    {"row": row_of[one["example_id"]], "role": one["role"]}
                    for one in row["exemplars"] or []
                    if one["example_id"] in row_of
                ]
            }
            for row in labels
        ],
    }


def _exemplar_responses(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    row_of: Mapping[str, int],
    labels: Sequence[Mapping[str, Any]],
) -> dict[str, str]:
    """Return the whole response of each exemplar, by its row among the errors."""
    wanted = {exemplar["row"] for label in labels for exemplar in label["exemplars"]}
    names = [name for name, row in row_of.items() if row in wanted]
    found = warehouse.read(
        RESPONSES,
        partition,
        ["example_id", "response"],
        pc.field("example_id").isin(pa.array(names, pa.string())),
    )
    return {
        str(row_of[row["example_id"]]): row["response"]
        for row in found.to_pylist()
        if row["response"] is not None
    }


def _hot_regions(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> list[dict[str, Any]]:
    chosen = [
        "basis", "rank", "region_id", "label", "key_phrases", "size", "errors", "rate", "low",
        "high", "core", "outside_rate", "expected", "q", "scale", "held_out_excess",
        "replicated_halves", "failure_form", "failure_form_share", "others",
    ]  # fmt: skip
    if not warehouse.storage.exists(warehouse.path(HOT_REGIONS, partition)):
        return []
    return [
        camel(row, chosen)
        | {
            "hotForOthers": len(row["hot_for_others"]),
            "points": packed_points(question_map, row["question_ids"]),
        }
        for row in marks.read_hot_regions(warehouse, partition)
    ]


def _signatures(
    warehouse: Warehouse, partition: BenchmarkPartition, models: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a level's models and regions, in an order that shows blocks, and its cells."""
    rows = [
        row
        for row in warehouse.read(MODEL_SIGNATURES, partition).to_pylist()
        if row["model"] in models
    ]
    found = []
    for level in sorted({row["level"] for row in rows}):
        cells = {(row["region_id"], row["model"]): row for row in rows if row["level"] == level}
        regions = sorted({region for region, _ in cells})
        matrix = np.array(
            [[_deviation(cells.get((region, model))) for model in models] for region in regions]
        )
        region_order = [regions[at] for at in seriated(matrix)]
        model_order = [models[at] for at in seriated(matrix.T)]
        found.append(
            {
                "level": level,
                "models": [models.index(name) for name in model_order],
                "regions": region_order,
                "cells": [
                    [
                        None
                        if (cell := cells.get((region, model))) is None or not cell["questions"]
                        else [
                            cell["questions"],
                            cell["errors"],
                            round(cell["excess"], 4),
                            round(cell["deviation"] / cell["standard_deviation"], 2),
                        ]
                        for model in model_order
                    ]
                    for region in region_order
                ],
            }
        )
    return found


def _deviation(cell: Mapping[str, Any] | None) -> float:
    return 0.0 if cell is None else float(cell["deviation"])


def _comparisons(
    warehouse: Warehouse, partition: BenchmarkPartition, models: Sequence[str]
) -> dict[str, Any]:
    """Return the pairs that were compared, each with its regions."""
    pairs = read_if_there(warehouse, MODEL_PAIRS, partition).to_pylist()
    regions: dict[tuple[str, str], list[dict[str, Any]]] = {}
    columns = [
        "region_id", "questions", "errors_a", "errors_b", "only_a_wrong", "only_b_wrong",
        "difference", "low", "high", "q_worse", "q_gap",
    ]  # fmt: skip
    for row in read_if_there(warehouse, MODEL_COMPARISON, partition).to_pylist():
        regions.setdefault((row["model_a"], row["model_b"]), []).append(row)
    return {
        "comparisonColumns": columns,
        "pairs": [
            camel(row)
            | {
                "modelA": models.index(row["model_a"]),
                "modelB": models.index(row["model_b"]),
                "regions": [
                    [rounded(one[name]) for name in columns]
                    for one in regions.get((row["model_a"], row["model_b"]), [])
                ],
            }
            for row in pairs
            if row["model_a"] in models and row["model_b"] in models
        ],
    }
