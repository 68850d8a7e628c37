"""Reads what a report shows of how confident a model is."""

from __future__ import annotations

from typing import Any

import numpy as np

from errclust_pipeline.analysis.question_map import QuestionMap
from errclust_pipeline.analysis.uncertainty import NoOptionProbabilitiesError, calibration_curve
from errclust_pipeline.report.columns import camel, in_steps, packed_points, placed, read_if_there
from errclust_pipeline.tables import (
    UNCERTAINTY,
    UNCERTAINTY_BY_REGION,
    UNCERTAINTY_HOT_REGIONS,
    UNCERTAINTY_SUMMARY,
)
from errclust_pipeline.views.likelihoods import read_option_probabilities
from errclust_pipeline.vocabulary import CORNERS, MEAN
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

_LARGEST_SET = 25.4
"""Maximum size of a prediction set in the packed column, whose tenths fit a byte; larger sets are
shown with this size."""
_PLACE_COLUMNS = (
    "basis", "rank", "region_id", "label", "key_phrases", "size", "value", "low", "high",
    "outside_value", "accuracy", "confidence", "set_size", "q", "replicated_halves",
    "held_out_excess",
)  # fmt: skip


def uncertainty_of_model(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap, fdr: float
) -> dict[str, Any]:
    """Read a model's confidence, prediction sets and their tests.

    Columns over the map's points are ``around``, the neighbours' mean set size as a share of the
    options, in steps of 1/250; ``hot``, 1 where that is significantly high and -1 where it is low;
    ``size``, the size of the point's own set in tenths; ``probability``, the confidence in steps of
    1/250; and ``corner``, a number in `CORNERS`, -1 if unknown.

    Parameters
    ----------
    fdr : float
        False discovery rate of the tests.

    Returns
    -------
    dict
        ``absent`` alone, which says why and what to do, if the model's confidence is not known.
    """
    if not warehouse.storage.exists(warehouse.path(UNCERTAINTY, partition)):
        return {"absent": "It has not been computed: run errclust run."}
    table = warehouse.read(UNCERTAINTY, partition).to_pandas()
    table = table[table["question_id"].isin(list(question_map.position_of))]
    if table.empty:
        return {"absent": _reason_for_absence(warehouse, partition, question_map)}
    points = len(question_map)
    at = [question_map.position_of[name] for name in table["question_id"]]
    summary = {
        row["score"]: camel(row)
        for row in warehouse.read(UNCERTAINTY_SUMMARY, partition).to_pylist()
        if row["form"] == "paper"
    }
    hot = (table["q_high"] < fdr).astype(int) - (table["q_low"] < fdr)
    regions = read_if_there(warehouse, UNCERTAINTY_BY_REGION, partition).to_pylist()
    tested = [row for row in regions if row["score"] == "lac"]
    return {
        "summary": summary[MEAN],
        "k": int(table["k"].iloc[0]),
        "around": in_steps(table["average"], at, points),
        "hot": placed(hot, at, points, np.int8, 0),
        "size": placed(
            np.round(np.minimum(table["set_size"], _LARGEST_SET) * 10), at, points, np.uint8, 255
        ),
        "probability": in_steps(table["confidence"], at, points),
        "corner": placed(table["corner"].map(CORNERS.index), at, points, np.int8, -1),
        "corners": list(CORNERS),
        "curve": calibration_curve(table["confidence"], table["right"]).to_dict("records"),
        "places": [
            camel(row, _PLACE_COLUMNS)
            | {"points": packed_points(question_map, row["question_ids"])}
            for row in read_if_there(warehouse, UNCERTAINTY_HOT_REGIONS, partition).to_pylist()
        ],
        "regionsTested": len(tested),
        "broken": [
            camel(row) for row in sorted(tested, key=lambda row: row["coverage"]) if row["q"] < fdr
        ],
    }


def _reason_for_absence(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> str:
    """Say why a model's confidence is not known, in the words of the error that says so."""
    try:
        read_option_probabilities(warehouse, partition, question_map)
    except NoOptionProbabilitiesError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    except KeyError:
        pass
    return "What is stored is out of date: run errclust run."
