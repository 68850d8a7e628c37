"""Why each pick was made, in columns and a sentence; and what to write where there is no pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.knn_graph import unit_vectors
from errclust_pipeline.analysis.selection.coverage import Selection
from errclust_pipeline.analysis.spatial.region_table import main_region

if TYPE_CHECKING:
    import pandas as pd

PICK_COLUMNS = (
    "rank", "candidate_id", "region_id", "label", "gain", "coverage", "newly_covered",
    "newly_covered_ids", "error_rate", "others_error_rate", "hot_share", "failure_form",
    "nearest_pick", "nearest_pick_similarity", "reason",
)  # fmt: skip
SPECIFICATION_COLUMNS = (
    "region_id", "label", "examples", "demand_share", "questions", "errors", "error_rate",
    "others_error_rate", "failure_form", "failure_form_share", "instruction", "exemplars",
)  # fmt: skip

_IDS_NAMED = 10
_EXEMPLARS = 5


@dataclass(frozen=True)
class DevelopmentQuestions:
    """What is known of the questions that guide the selection; all of length n.

    Attributes
    ----------
    question_ids : sequence of str
    region_ids : sequence of str or None
        Path of each question's smallest region.
    errors : float array
        1 where the model errs, 0 where it is right, NaN where it was not asked.
    others_right : float array
        Share of the other models that are right; NaN without any.
    is_hot : bool array
        Whether it lies where the model errs more than difficulty explains.
    failure_forms : sequence of str or None
        How a wrong response fails.
    """

    question_ids: Sequence[str]
    region_ids: Sequence[str | None]
    errors: npt.NDArray[np.float64]
    others_right: npt.NDArray[np.float64]
    is_hot: npt.NDArray[np.bool_]
    failure_forms: Sequence[str | None]

    def inside(self, region_id: str | None) -> npt.NDArray[np.int64]:
        """Return the questions of a region, or all of them for None."""
        if region_id is None:
            return np.arange(len(self.question_ids))
        return np.array(
            [
                row
                for row, path in enumerate(self.region_ids)
                if path is not None and f"{path}.".startswith(f"{region_id}.")
            ],
            dtype=np.int64,
        )

    def rates(self, rows: npt.NDArray[np.int64]) -> tuple[float | None, float | None]:
        """Return the error rate of the model on some questions, and that of the others."""
        return _mean(self.errors[rows]), _mean(1 - self.others_right[rows])


def pick_table(
    selection: Selection,
    candidate_ids: Sequence[str],
    candidate_vectors: npt.ArrayLike,
    questions: DevelopmentQuestions,
    demand_rows: npt.NDArray[np.int64],
    labels: Mapping[str, str],
) -> pd.DataFrame:
    """Return one row a pick, with what it is there for.

    Parameters
    ----------
    selection : Selection
    candidate_ids : sequence of str, length v
    candidate_vectors : array, shape (v, dimensions)
    questions : DevelopmentQuestions
    demand_rows : int array, shape (m,)
        Which of the questions the selection's demand points are.
    labels : mapping from region id to name

    Returns
    -------
    DataFrame
        With `PICK_COLUMNS`.
    """
    import pandas as pd

    rates: dict[str | None, tuple[float | None, float | None]] = {}
    vectors = unit_vectors(np.asarray(candidate_vectors)[selection.picks])
    rows: list[dict[str, Any]] = []
    coverage = selection.coverage.tolist()
    for number, (pick, points) in enumerate(
        zip(selection.picks.tolist(), selection.newly_covered, strict=True)
    ):
        covered = demand_rows[points].tolist()
        region_id = main_region([questions.region_ids[row] for row in covered])
        if region_id not in rates:
            rates[region_id] = questions.rates(questions.inside(region_id))
        similarity = vectors[:number] @ vectors[number]
        nearest = int(np.argmax(similarity)) if number else None
        forms = Counter(form for row in covered if (form := questions.failure_forms[row]))
        row = {
            "rank": number + 1,
            "candidate_id": candidate_ids[pick],
            "region_id": region_id,
            "label": labels.get(region_id or ""),
            "gain": float(selection.gains[number] / (selection.attainable or 1.0)),
            "coverage": coverage[number],
            "newly_covered": len(covered),
            "newly_covered_ids": [questions.question_ids[one] for one in covered[:_IDS_NAMED]],
            "error_rate": rates[region_id][0],
            "others_error_rate": rates[region_id][1],
            "hot_share": float(questions.is_hot[covered].mean()),
            "failure_form": min(forms, key=lambda form: (-forms[form], form), default=None),
            "nearest_pick": None if nearest is None else nearest + 1,
            "nearest_pick_similarity": None if nearest is None else float(similarity[nearest]),
        }
        rows.append(row | {"reason": _reason(row)})
    return pd.DataFrame(rows, columns=list(PICK_COLUMNS)).astype(
        {"nearest_pick": "Int32", "nearest_pick_similarity": "Float64"}
    )


def target_specifications(
    picks: pd.DataFrame,
    questions: DevelopmentQuestions,
    weights: npt.NDArray[np.float64],
    budget: int,
    labels: Mapping[str, str],
) -> pd.DataFrame:
    """Say how many examples of what to write, for a person or a generator.

    The budget is divided over the regions that the picks lie in, as the selection divided it.

    Parameters
    ----------
    picks : DataFrame
        The result of `pick_table`, with the questions of the development split as candidates.
    questions : DevelopmentQuestions
    weights : float array, shape (n,)
        Demand of each of the questions.
    budget : int
        Examples to be written in all.
    labels : mapping from region id to name

    Returns
    -------
    DataFrame
        With `SPECIFICATION_COLUMNS`, most examples first. ``exemplars`` are question ids.
    """
    import pandas as pd

    regions = [None if pd.isna(one) else one for one in picks["region_id"]]
    counts = Counter(regions)
    order = sorted(counts, key=lambda region: (-counts[region], region or ""))
    examples = _apportioned([counts[region] for region in order], budget)
    position = {name: row for row, name in enumerate(questions.question_ids)}
    rows = []
    for region, wanted in zip(order, examples, strict=True):
        inside = questions.inside(region)
        wrong = inside[questions.errors[inside] == 1]
        forms = Counter(form for row in wrong if (form := questions.failure_forms[row]))
        form = min(forms, key=lambda name: (-forms[name], name), default=None)
        rate, others = questions.rates(inside)
        own = [name for name, where in zip(picks["candidate_id"], regions, strict=True)
               if where == region]  # fmt: skip
        total = float(weights.sum())
        row = {
            "region_id": region,
            "label": labels.get(region or ""),
            "examples": wanted,
            "demand_share": float(weights[inside].sum() / total) if total else 0.0,
            "questions": len(inside),
            "errors": len(wrong),
            "error_rate": rate,
            "others_error_rate": others,
            "failure_form": form,
            "failure_form_share": forms[form] / len(wrong) if form else None,
            "exemplars": [name for name in own if name in position][:_EXEMPLARS],
        }
        rows.append(row | {"instruction": _instruction(row)})
    return pd.DataFrame(rows, columns=list(SPECIFICATION_COLUMNS))


def label_error_reason(likelihood_ratio: float, agreeing: int, wrong: int, answered: int) -> str:
    """Say in a sentence why a question's key is suspected, by the numbers of `LabelErrors`."""
    right = answered - wrong
    key = "nobody gives the key's" if not right else f"{right} give{'s' * (right == 1)} the key's"
    return (
        f"{agreeing} of {answered} models agree on another answer, {key}: {likelihood_ratio:.1f} "
        "times as usual where a key is wrong as in all of the benchmark."
    )


def _apportioned(counts: Sequence[int], total: int) -> list[int]:
    """Divide a number in proportion to counts, by largest remainders."""
    everything = sum(counts)
    if not everything:
        return []
    whole = [total * count // everything for count in counts]
    remainder = [total * count % everything for count in counts]
    for row in sorted(range(len(counts)), key=lambda row: (-remainder[row], row))[
        : total - sum(whole)
    ]:
        whole[row] += 1
    return whole


def _reason(row: Mapping[str, Any]) -> str:
    errors = "1 error" if row["newly_covered"] == 1 else f"{row['newly_covered']:,} errors"
    better = " better than the picks before" if row["rank"] > 1 else ""
    text = f"Covers {errors}{better} ({row['gain']:.1%} of the demand)"
    if row["label"]:
        text += f", mostly on {row['label']}"
    if row["error_rate"] is not None:
        text += f"; there the model errs on {row['error_rate']:.0%} of questions"
        if row["others_error_rate"] is not None:
            text += f", other models on {row['others_error_rate']:.0%}"
    if row["hot_share"] > 0:
        text += f"; {row['hot_share']:.0%} of them lie where it errs beyond difficulty"
    if row["nearest_pick"] is not None:
        text += (
            f"; nearest earlier pick: number {row['nearest_pick']}, cosine "
            f"{row['nearest_pick_similarity']:.2f}"
        )
    return f"{text}."


def _instruction(row: Mapping[str, Any]) -> str:
    topic = f"on {row['label']}" if row["label"] else "like the exemplars"
    what = "1 example" if row["examples"] == 1 else f"{row['examples']:,} examples"
    text = f"Write {what} {topic}"
    if row["error_rate"] is not None:
        text += f": the model errs on {row['error_rate']:.0%} of such questions"
        if row["others_error_rate"] is not None:
            text += f", other models on {row['others_error_rate']:.0%}"
    if row["failure_form"] and row["failure_form"] != "wrong_answer":
        form = row["failure_form"].replace("_", " ")
        text += f"; its errors there are mostly of the form {form}"
    return f"{text}. Do not copy the exemplars: they are benchmark questions."


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
