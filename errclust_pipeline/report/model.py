"""Reads what the report of a benchmark shows of one model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.report.columns import (
    camel,
    in_order,
    in_steps,
    packed,
    packed_points,
    placed,
    read_if_there,
)
from errclust_pipeline.report.uncertainty import uncertainty_of_model
from errclust_pipeline.settings import StatisticsSettings
from errclust_pipeline.tables import (
    AUTOCORRELATION,
    CLUSTER_LABELS,
    ERROR_CLUSTERS,
    ERRORS,
    HOT_REGIONS,
    HOT_SPOTS,
    RESPONSES,
)
from errclust_pipeline.views import marks
from errclust_pipeline.vocabulary import FAILURE_FORMS
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_ERROR_COLUMNS = ("example_id", "question_id", "failure_form", "prediction", "response_tail")
_SCALE_COLUMNS = (
    "question_id", "k", "errors", "draws", "smoothed_rate", "q_hot", "q_cold",
    "adjusted_expected", "adjusted_q_hot", "adjusted_q_cold",
)  # fmt: skip
_CLUSTER_COLUMNS = (
    "cluster_id", "level", "parent_id", "size", "share_of_errors", "label", "description",
    "key_phrases", "written_by", "cause", "faithfulness", "faithfulness_low", "faithfulness_high",
    "judged_faithfulness", "judged_faithfulness_low", "judged_faithfulness_high", "is_faithful",
    "problem", "main_failure_form", "main_failure_form_share", "main_subject",
)  # fmt: skip
_HOT_REGION_COLUMNS = (
    "basis", "rank", "region_id", "label", "key_phrases", "size", "errors", "rate", "low", "high",
    "core", "outside_rate", "expected", "q", "scale", "held_out_excess", "replicated_halves",
    "failure_form", "failure_form_share", "others",
)  # fmt: skip


def read_model(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    question_map: QuestionMap,
    question_rows: Mapping[str, int],
    statistics: StatisticsSettings,
) -> dict[str, Any]:
    """Read a model's marks, errors, clusters, statistics and texts.

    Parameters
    ----------
    question_rows : mapping from question id to row
        Rows of the report's questions.
    statistics : StatisticsSettings
        Settings of the benchmark.

    Returns
    -------
    dict
        ``numbers`` and ``texts``.
    """
    model_marks = marks.read_marks(
        warehouse, partition, question_map, statistics.leave_out_artefacts, known_only=True
    )
    state = np.where(np.isnan(model_marks.errors), -1, model_marks.errors)
    errors = [
        row
        for row in warehouse.read(ERRORS, partition, list(_ERROR_COLUMNS)).to_pylist()
        if row["question_id"] in question_rows
    ]
    row_of = {row["example_id"]: number for number, row in enumerate(errors)}
    clusters = _read_clusters(warehouse, partition, row_of)
    return {
        "numbers": {
            "state": packed(state, np.int8),
            "scales": _read_scales(warehouse, partition, question_map, statistics.fdr),
            "errors": _error_columns(errors, question_map, question_rows, state)
            | {"cluster": packed(_cluster_numbers(warehouse, partition, row_of, clusters), "i2")},
            "clusters": clusters,
            "autocorrelation": [
                camel(row, ["mark", "k", "moran", "z", "p"])
                for row in read_if_there(warehouse, AUTOCORRELATION, partition).to_pylist()
            ],
            "hotRegions": _read_hot_regions(warehouse, partition, question_map),
            "uncertainty": uncertainty_of_model(warehouse, partition, question_map, statistics.fdr),
        },
        "texts": {
            "predictions": [row["prediction"] for row in errors],
            "tails": [row["response_tail"] for row in errors],
            "responses": _read_exemplar_responses(warehouse, partition, row_of, clusters),
        },
    }


def _error_columns(
    errors: Sequence[Mapping[str, Any]],
    question_map: QuestionMap,
    question_rows: Mapping[str, int],
    state: npt.NDArray[np.float64],
) -> dict[str, str]:
    """Return of each error its question and failure form, and of each point its error."""
    question_ids = [row["question_id"] for row in errors]
    error_at = question_map.place(question_ids, np.arange(len(errors)))
    error_at[(state != 1) | np.isnan(error_at)] = -1
    forms = [FAILURE_FORMS.index(row["failure_form"]) for row in errors]
    return {
        "question": packed([question_rows[name] for name in question_ids], np.int32),
        "form": packed(forms, np.uint8),
        "ofPoint": packed(error_at, np.int32),
    }


def _read_scales(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap, fdr: float
) -> list[dict[str, Any]]:
    """Return the local statistics at each scale, as packed columns over the map's points.

    Rates are in steps of 1/250; so are excesses beyond difficulty, from -0.5 to 0.5. `hot` is 1 for
    hot, -1 for cold and 0 for neither; `beyond` is the same beyond difficulty.
    """
    rows = read_if_there(warehouse, HOT_SPOTS, partition, list(_SCALE_COLUMNS)).to_pandas()
    rows = rows[rows["question_id"].isin(list(question_map.position_of))]
    points = len(question_map)
    scales = []
    for k, at_k in rows.groupby("k", sort=True):
        at = at_k["question_id"].map(question_map.position_of)
        excess = (at_k["errors"] - at_k["adjusted_expected"]) / at_k["draws"].clip(lower=1)
        adjusted = bool(np.isfinite(excess.astype(float)).any())
        hot, beyond = (
            (at_k[high] < fdr).astype(int) - (at_k[low] < fdr).astype(int)
            for high, low in (("q_hot", "q_cold"), ("adjusted_q_hot", "adjusted_q_cold"))
        )
        scales.append(
            {
                "k": int(k),
                "rate": in_steps(at_k["smoothed_rate"], at, points),
                "hot": placed(hot, at, points, np.int8, 0),
                "excess": in_steps(excess, at, points, -0.5) if adjusted else None,
                "beyond": placed(beyond, at, points, np.int8, 0) if adjusted else None,
            }
        )
    return scales


def _read_clusters(
    warehouse: Warehouse, partition: SubmissionPartition, row_of: Mapping[str, int]
) -> list[dict[str, Any]]:
    """Return the labels of the clusters, with the rows of their exemplars among the errors."""
    labels = read_if_there(warehouse, CLUSTER_LABELS, partition).to_pylist()
    labels.sort(key=lambda row: in_order(row["cluster_id"]))
    return [
        camel(row, _CLUSTER_COLUMNS)
        | {
            "exemplars": [
                {"row": row_of[exemplar["example_id"]], "role": exemplar["role"]}
                for exemplar in row["exemplars"] or []
                if exemplar["example_id"] in row_of
            ]
        }
        for row in labels
    ]


def _cluster_numbers(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    row_of: Mapping[str, int],
    clusters: Iterable[Mapping[str, Any]],
) -> npt.NDArray[np.int64]:
    """Return of each error the number of its smallest cluster, -1 if it is in none."""
    number_of = {cluster["clusterId"]: number for number, cluster in enumerate(clusters)}
    numbers = np.full(len(row_of), -1)
    columns = ["example_id", "level", "cluster_id"]
    members = read_if_there(warehouse, ERROR_CLUSTERS, partition, columns).to_pylist()
    for row in sorted(members, key=lambda row: row["level"]):
        if row["cluster_id"] in number_of and row["example_id"] in row_of:
            numbers[row_of[row["example_id"]]] = number_of[row["cluster_id"]]
    return numbers


def _read_exemplar_responses(
    warehouse: Warehouse,
    partition: SubmissionPartition,
    row_of: Mapping[str, int],
    clusters: Iterable[Mapping[str, Any]],
) -> dict[str, str]:
    """Return the whole response of each exemplar, by its row among the errors."""
    wanted = {exemplar["row"] for cluster in clusters for exemplar in cluster["exemplars"]}
    names = [name for name, row in row_of.items() if row in wanted]
    responses = warehouse.read(
        RESPONSES,
        partition,
        ["example_id", "response"],
        pc.field("example_id").isin(pa.array(names, pa.string())),
    )
    return {
        str(row_of[row["example_id"]]): row["response"]
        for row in responses.to_pylist()
        if row["response"] is not None
    }


def _read_hot_regions(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> list[dict[str, Any]]:
    if not warehouse.storage.exists(warehouse.path(HOT_REGIONS, partition)):
        return []
    return [
        camel(row, _HOT_REGION_COLUMNS)
        | {
            "hotForOthers": len(row["hot_for_others"]),
            "points": packed_points(question_map, row["question_ids"]),
        }
        for row in marks.read_hot_regions(warehouse, partition)
    ]
