"""What a report shows of how sure a model is."""

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
"""Options; larger sets are shown as this one, in tenths that fit a byte."""


def uncertainty_of_model(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap, alpha: float
) -> dict[str, Any]:
    """Return a model's uncertainty as the page reads it.

    Columns over the map's points are `around`, the neighbours' mean set size over options in steps
    of 1/250; `hot`, 1 where that is high, -1 where it is low, by a test at `alpha`; `size`, the
    question's own in tenths; `said`, the confidence in steps of 1/250; and `corner`, a number in
    `CORNERS`, -1 where not known.

    Returns
    -------
    dict
        With `absent` alone, which says why and what to do, where nothing is known.
    """
    if not warehouse.storage.exists(warehouse.path(UNCERTAINTY, partition)):
        return {"absent": "It was not computed: errclust run does it."}
    table = warehouse.read(UNCERTAINTY, partition).to_pandas()
    table = table[table["question_id"].isin(list(question_map.position_of))]
    if table.empty:
        return {"absent": _why_not(warehouse, partition, question_map)}
    points = len(question_map)
    at = [question_map.position_of[name] for name in table["question_id"]]
    summary = {
        row["score"]: camel(row)
        for row in warehouse.read(UNCERTAINTY_SUMMARY, partition).to_pylist()
        if row["form"] == "paper"
    }
    hot = (table["q_high"] < alpha).astype(int) - (table["q_low"] < alpha)
    regions = read_if_there(warehouse, UNCERTAINTY_BY_REGION, partition).to_pylist()
    tested = [row for row in regions if row["score"] == "lac"]
    chosen = [
        "basis", "rank", "region_id", "label", "key_phrases", "size", "value", "low", "high",
        "outside_value", "accuracy", "confidence", "set_size", "q", "replicated_halves",
        "held_out_excess",
    ]  # fmt: skip
    return {
        "summary": summary[MEAN],
        "k": int(table["k"].iloc[0]),
        "around": in_steps(table["average"], at, points),
        "hot": placed(hot, at, points, np.int8, 0),
        "size": placed(
            np.round(np.minimum(table["set_size"], _LARGEST_SET) * 10), at, points, np.uint8, 255
        ),
        "probability": in_steps(table["confidence"], at, points),
        "corner": placed([CORNERS.index(one) for one in table["corner"]], at, points, np.int8, -1),
        "corners": list(CORNERS),
        "curve": calibration_curve(table["confidence"], table["right"]).to_dict("records"),
        "places": [
            camel(row, chosen) | {"points": packed_points(question_map, row["question_ids"])}
            for row in read_if_there(warehouse, UNCERTAINTY_HOT_REGIONS, partition).to_pylist()
        ],
        "regionsTested": len(tested),
        "broken": [
            camel(row)
            for row in sorted(tested, key=lambda row: row["coverage"])
            if row["q"] < alpha
        ],
    }


def _why_not(
    warehouse: Warehouse, partition: SubmissionPartition, question_map: QuestionMap
) -> str:
    try:
        read_option_probabilities(warehouse, partition, question_map)
    except NoOptionProbabilitiesError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}."
    except KeyError:
        pass
    return "It is out of date: errclust run computes it anew."
