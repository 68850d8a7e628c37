"""What must hold of a table's rows, whatever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.tables.schemas import (
    AUTOCORRELATION,
    BATTLE_REGIONS,
    BATTLES,
    CLUSTER_LABELS,
    DIAGNOSIS_CLUSTERS,
    DIAGNOSIS_LABELS,
    ERROR_CLUSTERS,
    ERROR_DIAGNOSES,
    ERROR_EMBEDDINGS,
    ERRORS,
    HOT_REGIONS,
    HOT_SPOTS,
    LEADERBOARD,
    MODEL_COMPARISON,
    RATINGS,
    REGIONAL_RATINGS,
    RESPONSES,
    SUSPECTED_FAULTS,
    TRAINING_CANDIDATES,
    UNCERTAINTY,
    UNCERTAINTY_BY_REGION,
    UNCERTAINTY_HOT_REGIONS,
    UNCERTAINTY_SUMMARY,
    Table,
)
from errclust_pipeline.vocabulary import CAUSES, CORNERS, FAILURE_FORMS, JUDGE_KINDS, WINNERS

_UNIT_LENGTH_TOLERANCE = 1e-3
_LABEL_SHARES = (
    "share_of_errors", "faithfulness", "judged_faithfulness", "distinctiveness",
)  # fmt: skip
_SHARES: Mapping[str, tuple[str, ...]] = {
    RESPONSES.name: ("score",),
    ERROR_CLUSTERS.name: ("strength",),
    HOT_SPOTS.name: (
        "p_hot", "q_hot", "p_cold", "q_cold", "expected_error", "smoothed_rate", "adjusted_p_hot",
        "adjusted_q_hot", "adjusted_p_cold", "adjusted_q_cold",
    ),
    CLUSTER_LABELS.name: _LABEL_SHARES,
    DIAGNOSIS_LABELS.name: _LABEL_SHARES,
    HOT_REGIONS.name: ("rate", "low", "high", "outside_rate", "q", "scan_p"),
    AUTOCORRELATION.name: ("p",),
    UNCERTAINTY.name: (
        "confidence", "lac_covered", "aps_covered", "average", "p_high", "q_high", "p_low", "q_low",
    ),
    UNCERTAINTY_SUMMARY.name: (
        "accuracy", "confidence", "calibration_error", "calibration_error_by_chance", "coverage",
        "moran_p", "adjusted_moran_p",
    ),
    UNCERTAINTY_BY_REGION.name: (
        "accuracy", "confidence", "confidently_wrong", "coverage", "low", "high", "p", "q",
        "mondrian_coverage",
    ),
    UNCERTAINTY_HOT_REGIONS.name: ("accuracy", "confidence", "q"),
    LEADERBOARD.name: (
        "accuracy", "low", "high", "artefacts", "response_accuracy", "confidence",
        "calibration_error", "coverage",
    ),
    MODEL_COMPARISON.name: ("p_a_worse", "p_b_worse", "p_gap", "q_worse", "q_gap"),
    TRAINING_CANDIDATES.name: (
        "gain", "error_rate", "others_error_rate", "hot_share", "local_rate", "others_right",
        "trust",
    ),
    SUSPECTED_FAULTS.name: ("probability",),
    RATINGS.name: ("win_rate",),
    BATTLE_REGIONS.name: ("p_independent", "p", "q"),
    REGIONAL_RATINGS.name: ("win_rate", "low", "high", "expected", "p", "q"),
}  # fmt: skip
"""Columns that hold probabilities or shares."""


def problems_of(table: Table, rows: pa.Table) -> list[str]:
    """Say what is wrong with a partition's rows.

    Looks for keys that are not unique, shares and probabilities outside 0 to 1, embeddings that
    are not finite and of unit length, unknown failure forms, and errors without a cluster row.

    Parameters
    ----------
    rows : pyarrow.Table
        All rows of one partition.

    Returns
    -------
    list of str
        Empty if all is well.
    """
    problems = _repeated_keys(table, rows)
    for name in _SHARES.get(table.name, ()):
        if name not in rows.column_names:
            continue
        values = rows[name].drop_null().to_numpy()
        # Written so that a NaN is outside too.
        outside = int(np.sum(~((values >= 0) & (values <= 1))))
        if outside:
            problems.append(f"{outside:,} values of {name} are outside 0 to 1")
    problems += _OWN.get(table.name, _nothing)(rows)
    return problems


def _repeated_keys(table: Table, rows: pa.Table) -> list[str]:
    distinct = rows.select(list(table.key)).group_by(list(table.key)).aggregate([]).num_rows
    if distinct == rows.num_rows:
        return []
    return [f"{rows.num_rows - distinct:,} rows repeat the {' and '.join(table.key)} of others"]


def _nothing(_rows: pa.Table) -> list[str]:
    return []


def _failure_forms(rows: pa.Table) -> list[str]:
    unknown = set(rows["failure_form"].unique().to_pylist()) - set(FAILURE_FORMS)
    return [f"unknown failure forms: {', '.join(sorted(map(str, unknown)))}"] if unknown else []


def _battles(rows: pa.Table) -> list[str]:
    problems = []
    for name, known in (("winner", WINNERS), ("judge_kind", JUDGE_KINDS)):
        unknown = set(rows[name].unique().to_pylist()) - set(known)
        if unknown:
            problems.append(f"unknown {name}: {', '.join(sorted(map(str, unknown)))}")
    own = int(pc.sum(pc.equal(rows["model_a"], rows["model_b"])).as_py() or 0)
    return problems + ([f"{own:,} battles are of a model against itself"] if own else [])


def _set_sizes(rows: pa.Table) -> list[str]:
    unknown = set(rows["corner"].unique().to_pylist()) - set(CORNERS)
    problems = [f"unknown corners: {', '.join(sorted(unknown))}"] if unknown else []
    for name in ("set_size", "lac_set_size", "aps_set_size"):
        sizes, options = rows[name].to_numpy(), rows["options"].to_numpy()
        outside = int(np.sum(~((sizes >= 0) & (sizes <= options))))
        if outside:
            problems.append(f"{outside:,} values of {name} are below 0 or above the options")
    return problems


def _embeddings(rows: pa.Table) -> list[str]:
    if not rows.num_rows:
        return []
    lengths = pc.list_value_length(rows["embedding"])
    if len(lengths.unique()) > 1:
        return ["embeddings are of different lengths"]
    flat = rows["embedding"].combine_chunks().flatten().to_numpy().reshape(rows.num_rows, -1)
    if not np.isfinite(flat).all():
        return ["an embedding is not finite"]
    off = np.abs(np.linalg.norm(flat, axis=1) - 1) > _UNIT_LENGTH_TOLERANCE
    return [f"{int(off.sum()):,} embeddings are not of unit length"] if off.any() else []


def _clusters(rows: pa.Table) -> list[str]:
    errors = len(rows["example_id"].unique())
    first = int(pc.sum(pc.equal(rows["level"], 1)).as_py() or 0)
    return [] if errors == first else [f"{errors - first:,} errors have no row at level 1"]


def _labels(rows: pa.Table) -> list[str]:
    empty = int(pc.sum(pc.equal(pc.utf8_trim_whitespace(rows["label"]), "")).as_py() or 0)
    return _unknown_causes(rows) + ([f"{empty:,} labels are empty"] if empty else [])


def _diagnoses(rows: pa.Table) -> list[str]:
    neither = pc.and_(pc.is_null(rows["diagnosis"]), pc.is_null(rows["problem"]))
    count = int(pc.sum(neither).as_py() or 0)
    found = [f"{count:,} errors have neither a diagnosis nor a problem"] if count else []
    return _unknown_causes(rows) + found


def _unknown_causes(rows: pa.Table) -> list[str]:
    unknown = set(rows["cause"].drop_null().unique().to_pylist()) - set(CAUSES)
    return [f"unknown causes: {', '.join(sorted(unknown))}"] if unknown else []


_OWN: Mapping[str, Callable[[pa.Table], list[str]]] = MappingProxyType(
    {
        ERRORS.name: _failure_forms,
        ERROR_EMBEDDINGS.name: _embeddings,
        ERROR_CLUSTERS.name: _clusters,
        DIAGNOSIS_CLUSTERS.name: _clusters,
        CLUSTER_LABELS.name: _labels,
        DIAGNOSIS_LABELS.name: _labels,
        ERROR_DIAGNOSES.name: _diagnoses,
        BATTLES.name: _battles,
        UNCERTAINTY.name: _set_sizes,
    }
)
