"""What the page of an asset in the Dagster UI tells at a glance: Markdown of a table, a picture.

Each function takes what its asset has at hand when its tables are written, and returns Markdown by
the name under which it is shown: of a table as it is, of a picture what draws it, so that none is
drawn that is not wanted. Maps are there only where there is a layout to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.report.drawing import (
    DIM,
    DIVERGING,
    GROUPS,
    STRONG,
    Interval,
    add_scale,
    draw_cells,
    draw_groups,
    draw_intervals,
    draw_marks,
    name_places,
    nearest_scale,
    new_figure,
    only_below,
    styled,
)
from errclust_pipeline.report.markdown import Cell, Share, picture, table, words

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from errclust_pipeline.analysis.selection import ChosenCandidates

AssetSummary = dict[str, str | Callable[[], str]]
Rows = Sequence[Mapping[str, Any]]

TABLE, PICTURE = "at_a_glance", "picture"
"""Names under which the UI shows a table, and a picture."""
_MOST_MODELS = 40
_MOST_COMPARED = 16
_LONGEST_NAME = 34


def summarize_responses(
    outcomes: Mapping[tuple[str | None, bool], int], rejects: int
) -> AssetSummary:
    """Tell accuracy, overall and in the subjects with most errors.

    Parameters
    ----------
    outcomes : mapping from (subject, whether right) to number of responses
    rejects : int
    """
    rows: list[list[Cell]] = []
    subjects = {subject for subject, _ in outcomes if subject}
    wrong = {subject: outcomes.get((subject, False), 0) for subject in subjects}
    right = sum(number for (_, is_right), number in outcomes.items() if is_right)
    every = sum(outcomes.values())
    rows.append(["all", every, every - right, Share(right / every if every else None)])
    for subject in sorted(subjects, key=lambda one: (-wrong[one], one)):
        of_it = wrong[subject] + outcomes.get((subject, True), 0)
        rows.append([subject, of_it, wrong[subject], Share(1 - wrong[subject] / of_it)])
    if rejects:
        rows.insert(1, ["could not be used", rejects, None, Share(None)])
    return {TABLE: table(["subject", "responses", "errors", "accuracy"], rows)}


def summarize_errors(errors: pd.DataFrame) -> AssetSummary:
    """Tell how errors fail on their face, and in which subjects they are.

    Parameters
    ----------
    errors : DataFrame
        Of `errors`.
    """
    rows: list[list[Cell]] = [
        [what, name, number, Share(number / len(errors))]
        for what, column in (("failure form", "failure_form"), ("subject", "subject"))
        for name, number in _counted(errors[column])
    ]
    return {TABLE: table(["", "errors that are", "number", "share"], rows)}


def summarize_embeddings(errors: int, metadata: Mapping[str, Any]) -> AssetSummary:
    """Tell what was embedded anew, and what was known.

    Parameters
    ----------
    errors : int
    metadata : mapping
        As `embed_texts` returns it.
    """
    distinct, new = metadata["distinct_texts"], metadata["embedded_now"]
    rows: list[list[Cell]] = [
        ["errors", errors, Share(None)],
        ["distinct texts", distinct, Share(distinct / errors if errors else None)],
        ["embedded before, by any model", distinct - new, _share(distinct - new, distinct)],
        ["embedded now", new, _share(new, distinct)],
        ["cut by the embedding model", metadata["cut_by_the_model"], _share(0, 0)],
    ]
    return {TABLE: table(["", "number", "share"], rows)}


def summarize_clusters(clusters: pd.DataFrame, title: str) -> AssetSummary:
    """Tell how large the coarsest clusters are, and show where they lie.

    Parameters
    ----------
    clusters : DataFrame
        Of `error_clusters`.
    title : str
        Of what model and benchmark.
    """
    coarsest = clusters[clusters["level"] == 1]
    rows: list[list[Cell]] = [
        [f"cluster {name}", number, Share(number / len(coarsest))]
        for name, number in _counted(coarsest["cluster_id"])
    ]
    in_none = int(coarsest["cluster_id"].isna().sum())
    if in_none:
        rows.insert(0, ["in no cluster", in_none, Share(in_none / len(coarsest))])
    ids = [None if one != one else one for one in coarsest["cluster_id"].tolist()]
    said = f"errors of {title}, coloured by cluster"
    return {
        TABLE: table(["", "errors", "share of errors"], rows),
        **_map_of_groups(coarsest, ids, {name: str(name) for name in ids if name}, said),
    }


def summarize_labels(labels: pd.DataFrame) -> AssetSummary:
    """Tell the clusters' names, the largest first, and how well they fit.

    Parameters
    ----------
    labels : DataFrame
        Of `cluster_labels` or `diagnosis_labels`.
    """
    ordered = labels.sort_values(["level", "size"], ascending=[True, False], kind="stable")
    rows: list[list[Cell]] = [
        [row["cluster_id"], row["size"], Share(row["faithfulness"]), row["label"]]
        for row in ordered.to_dict("records")
    ]
    return {TABLE: table(["cluster", "errors", "fits (50% says nothing)", "name"], rows)}


def summarize_questions(questions: pd.DataFrame) -> AssetSummary:
    """Tell how many questions there are of each subject.

    Parameters
    ----------
    questions : DataFrame
        Of `questions`.
    """
    rows: list[list[Cell]] = [["all", len(questions), Share(None)]]
    rows += [
        [subject, number, Share(number / len(questions))]
        for subject, number in _counted(questions["subject"])
    ]
    return {TABLE: table(["subject", "questions", "share"], rows)}


def summarize_map(
    places: pd.DataFrame, title: str, names: Mapping[str, str] | None = None
) -> AssetSummary:
    """Tell how large the coarsest regions of a map are, and show where they lie.

    Parameters
    ----------
    places : DataFrame
        Of `question_map` or `prompt_map`: ``region_id``, ``x`` and ``y``.
    title : str
        Of what benchmark.
    names : mapping from region to name, optional
        Their ids if not given.
    """
    coarsest = [_coarsest(one) for one in places["region_id"].tolist()]
    sizes: dict[str, int] = {}
    for region in coarsest:
        sizes[region or ""] = sizes.get(region or "", 0) + 1
    rows: list[list[Cell]] = []
    for region, number in sorted(sizes.items(), key=lambda one: (-one[1], one[0])):
        where = f"region {region}" if region else "in no region"
        name: list[Cell] = [] if names is None else [names.get(region, "")]
        rows.append([where, number, Share(number / len(places)), *name])
    columns = ["", "questions", "share", *([] if names is None else ["name"])]
    names = names or {region: region for region in sizes}
    said = f"questions of {title}, coloured by region"
    return {
        TABLE: table(columns, rows),
        **_map_of_groups(places, coarsest, names, said),
    }


def summarize_hot_spots(
    spots: pd.DataFrame,
    regions: pd.DataFrame,
    layout: pd.DataFrame,
    names: Mapping[str, str],
    alpha: float,
    title: str,
) -> AssetSummary:
    """Tell where errors concentrate, and show hot and cold questions on the map.

    Parameters
    ----------
    spots : DataFrame
        Of `hot_spots`.
    regions : DataFrame
        Of `hot_regions`.
    layout : DataFrame
        Each question's ``region_id``, ``x`` and ``y``, by ``question_id``.
    names : mapping from region to name
    alpha : float
        False discovery rate.
    title : str
        Of what model and benchmark.
    """
    basis = {"raw": "errors", "adjusted": "beyond difficulty"}
    rows: list[list[Cell]] = [
        [Share(row["rate"]), Share(row["outside_rate"]), row["size"], row["label"],
         basis.get(row["basis"], row["basis"])]
        for row in regions.to_dict("records")
    ]  # fmt: skip
    if not rows:
        return {
            TABLE: "No place where errors concentrate was found "
            f"(false discovery rate {alpha:.0%}).",
            **_map_of_hot_spots(spots, layout, names, alpha, title),
        }
    return {
        TABLE: table(["error rate", "elsewhere", "questions", "what is there", "hot for"], rows),
        **_map_of_hot_spots(spots, layout, names, alpha, title),
    }


def summarize_autocorrelation(own: Rows, others: Mapping[str, Rows], model: str) -> AssetSummary:
    """Tell Moran's I at each scale, and show it among that of other models.

    Parameters
    ----------
    own : sequence of mappings
        Rows of `autocorrelation`.
    others : mapping from model to rows
        Those known by now.
    model : str
    """
    of_mark = {"errors": "errors", "residual": "beyond difficulty"}
    rows: list[list[Cell]] = [
        [of_mark.get(row["mark"], row["mark"]), row["k"], row["moran"], row["z"], row["p"]]
        for row in own
    ]
    found: AssetSummary = {TABLE: table(["of", "neighbours", "Moran's I", "z", "p"], rows)}
    if any(row["moran"] is not None for row in own):
        found[PICTURE] = lambda: picture(
            _moran_by_scale(own, others, model),
            f"Moran's I of the errors of {model} at each number of neighbours",
        )
    return found


def summarize_uncertainty(summary: Rows, curve: pd.DataFrame, title: str) -> AssetSummary:
    """Tell what conformal sets came out, and show whether confidence is what it says.

    Parameters
    ----------
    summary : sequence of mappings
        Rows of `uncertainty_summary`.
    curve : DataFrame
        Of `calibration_curve`.
    title : str
        Of what model and benchmark.
    """
    rows: list[list[Cell]] = [
        [f"{row['score']} {row['form']}", row["set_size"], Share(row["coverage"]), row["uacc"]]
        for row in summary
    ]
    return {
        TABLE: table(["conformal sets", "mean size", "hold the right option", "UAcc"], rows),
        PICTURE: lambda: picture(
            _calibration(curve, title), f"how often {title} is right, by its confidence"
        ),
    }


def summarize_absence(why: str) -> AssetSummary:
    """Say why an asset has no rows, in this project's own words."""
    return {TABLE: words(why, 600)}


def summarize_candidates(found: ChosenCandidates, title: str) -> AssetSummary:
    """Tell what the picks cover beside other ways to choose, and show how that saturates.

    Parameters
    ----------
    found : ChosenCandidates
    title : str
        Of what model and benchmark.
    """
    if not len(found.selection.picks):
        return summarize_absence("There is no error to write examples like.")
    picks = len(found.selection.picks)
    others = sorted(found.baselines.items(), key=lambda one: -one[1])
    rows: list[list[Cell]] = [[f"these {picks:,} picks", Share(found.coverage)]]
    rows += [[name, Share(covered)] for name, covered in others]
    return {
        TABLE: table(["as many, chosen", "demand covered"], rows)
        + f"\n\n{found.suggested:,} picks cover nine tenths of what all can.",
        PICTURE: lambda: picture(
            _saturation(found, title), f"demand of {title} covered, by number of picks"
        ),
    }


def summarize_diagnoses(causes: Mapping[str, float], without: int) -> AssetSummary:
    """Tell how many errors each cause is estimated to have.

    Parameters
    ----------
    causes : mapping from cause to weighted number of errors
    without : int
        Errors for which no diagnosis was given.
    """
    total = sum(causes.values())
    rows: list[list[Cell]] = [
        [cause, round(number), _share(number, total)]
        for cause, number in sorted(causes.items(), key=lambda one: (-one[1], one[0]))
    ]
    if without:
        rows.append(["of the sample, not diagnosed", without, Share(None)])
    return {TABLE: table(["cause", "errors, estimated", "share"], rows)}


def summarize_leaderboard(
    leaderboard: Rows, signatures: Rows, names: Mapping[str, str], title: str
) -> AssetSummary:
    """Tell accuracies with intervals, and show where each model departs from its ability.

    Parameters
    ----------
    leaderboard : sequence of mappings
        Rows of `leaderboard`.
    signatures : sequence of mappings
        Rows of `model_signatures`.
    names : mapping from region to name
    title : str
        Of what benchmark.
    """
    # A model that answered nothing on this map has no accuracy.
    ranked = sorted(leaderboard, key=lambda row: -(row["accuracy"] or 0.0))
    with_interval = [row for row in ranked if _are_known(row["accuracy"], row["low"], row["high"])]
    rows: list[list[Cell]] = [
        [row["model"], Share(row["accuracy"]), _span(row["low"], row["high"], ".1%")]
        for row in ranked
    ]
    found: AssetSummary = {TABLE: table(["model", "accuracy", "95 % interval"], rows)}
    if with_interval:
        intervals = [
            Interval(shortened_line(row["model"], _LONGEST_NAME),
                     *(100 * row[name] for name in ("accuracy", "low", "high")))
            for row in reversed(with_interval[:_MOST_MODELS])
        ]  # fmt: skip
        found[PICTURE] = lambda: picture(
            _intervals(intervals, f"{title}: accuracy, %, with 95 % interval"),
            f"accuracy of the models on {title}",
        )
    coarse = [row for row in signatures if row["level"] == 1]
    if len(ranked) >= FEWEST_MODELS and coarse:
        models = [row["model"] for row in ranked[:_MOST_COMPARED]]
        found["signatures"] = lambda: picture(
            _signatures(coarse, models, names, title),
            f"where models depart from their ability on {title}",
        )
    return found


def summarize_comparison(pairs: Rows, title: str) -> AssetSummary:
    """Tell the pairs that differ most, and show all differences as a heat map.

    Parameters
    ----------
    pairs : sequence of mappings
        Rows of `model_pairs`.
    title : str
        Of what benchmark.
    """
    if not pairs:
        return summarize_absence("There are no two models to compare.")
    rows: list[list[Cell]] = [
        [row["model_a"], row["model_b"], _number(100 * row["difference"], "+.1f"),
         _span(100 * row["difference_low"], 100 * row["difference_high"], "+.1f"),
         row["gate_p"]]
        for row in sorted(pairs, key=lambda row: -abs(np.nan_to_num(row["difference"])))
    ]  # fmt: skip
    columns = ["model A", "model B", "errors A - B, points", "95 % interval", "p: varies by topic"]
    found: AssetSummary = {TABLE: table(columns, rows)}
    known = [row for row in pairs if _are_known(row["difference"])]
    if known:
        found[PICTURE] = lambda: picture(
            _differences(known, title), f"differences of the models on {title}"
        )
    return found


def summarize_battles(
    winners: Mapping[str, int], judges: Mapping[str, int], rejects: int
) -> AssetSummary:
    """Tell who judged, and how verdicts fell.

    Parameters
    ----------
    winners, judges : mapping from name to number of verdicts
    rejects : int
    """
    total = sum(winners.values())
    rows: list[list[Cell]] = [
        [what, name, number, _share(number, total)]
        for what, counts in (("winner", winners), ("judge", judges))
        for name, number in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    ]
    if rejects:
        rows.append(["could not be used", "", rejects, Share(None)])
    return {TABLE: table(["", "", "verdicts", "share"], rows)}


def summarize_ratings(ratings: Rows, title: str) -> AssetSummary:
    """Tell ratings, and show them with their intervals, by kind of judge.

    Parameters
    ----------
    ratings : sequence of mappings
        Rows of `ratings`, the best first.
    title : str
        Of what battle set.
    """
    rows: list[list[Cell]] = [
        [row["judge_kind"], row["model"], _number(row["rating"], ",.0f"),
         _span(row["low"], row["high"], ",.0f"), row["battles"]]
        for row in ratings
    ]  # fmt: skip
    found: AssetSummary = {
        TABLE: table(["judges", "model", "rating", "95 % interval", "battles"], rows)
    }
    kinds = sorted({row["judge_kind"] for row in ratings})
    chosen = [row for row in ratings if _are_known(row["rating"], row["low"], row["high"])]
    if chosen:
        intervals = [
            Interval(
                shortened_line(f"{row['model']} ({row['judge_kind']})", _LONGEST_NAME),
                row["rating"], row["low"], row["high"], GROUPS[kinds.index(row["judge_kind"])],
                "od"[kinds.index(row["judge_kind"]) % 2],
            )
            for row in reversed(sorted(chosen, key=lambda row: -row["rating"])[:_MOST_MODELS])
        ]  # fmt: skip
        said = f"{title}: Bradley-Terry ratings, Elo scale, with 95 % interval"
        found[PICTURE] = lambda: picture(
            _intervals(intervals, said), f"ratings of the models in {title}"
        )
    return found


def _counted(names: pd.Series[Any]) -> list[tuple[str, int]]:
    counts = names.dropna().value_counts()
    found = [(str(name), int(number)) for name, number in counts.items()]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _share(part: float, whole: float) -> Share:
    return Share(part / whole if whole else None)


def _are_known(*numbers: float | None) -> bool:
    return all(number is not None and np.isfinite(number) for number in numbers)


def _number(value: float | None, form: str) -> str | None:
    return f"{value:{form}}" if _are_known(value) else None


def _span(low: float | None, high: float | None, form: str) -> str | None:
    """Return an interval as it is told; of one that is not known, nothing."""
    return f"{low:{form}} to {high:{form}}" if _are_known(low, high) else None


def _coarsest(region: Any) -> str | None:
    return region.split(".")[0] if isinstance(region, str) else None


def _laid_out(places: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return which rows have a place in two dimensions."""
    known: npt.NDArray[np.bool_] = places[["x", "y"]].notna().all(axis=1).to_numpy()
    return known


def _xy(places: pd.DataFrame) -> list[npt.NDArray[np.float64]]:
    return [places[name].to_numpy(dtype=np.float64) for name in ("x", "y")]


def _map_of_groups(
    places: pd.DataFrame, groups: Sequence[str | None], names: Mapping[str, str], what: str
) -> AssetSummary:
    known = _laid_out(places)
    if not known.any():
        return {}
    return {PICTURE: lambda: picture(_groups(places, known, groups, names, what), f"map of {what}")}


@styled
def _groups(
    places: pd.DataFrame,
    known: npt.NDArray[np.bool_],
    groups: Sequence[str | None],
    names: Mapping[str, str],
    what: str,
) -> Figure:
    x, y = _xy(places[known])
    shown = [group for group, is_known in zip(groups, known.tolist(), strict=True) if is_known]
    figure, axes = new_figure(5.2, 4.6)
    draw_groups(axes, x, y, shown)
    name_places(axes, x, y, shown, names)
    axes.set_title(f"{len(x):,} {shortened_line(what, 90)}", loc="left", fontsize=8)
    return figure


def _map_of_hot_spots(
    spots: pd.DataFrame,
    layout: pd.DataFrame,
    names: Mapping[str, str],
    alpha: float,
    title: str,
) -> AssetSummary:
    places = layout[_laid_out(layout)]
    if places.empty or spots.empty:
        return {}
    said = f"map of hot and cold questions of {title}"
    return {PICTURE: lambda: picture(_hot_and_cold(spots, places, names, alpha, title), said)}


@styled
def _hot_and_cold(
    spots: pd.DataFrame,
    places: pd.DataFrame,
    names: Mapping[str, str],
    alpha: float,
    title: str,
) -> Figure:
    k = nearest_scale(spots["k"].unique().tolist())
    at_scale = spots[spots["k"] == k].set_index("question_id").reindex(places["question_id"])
    x, y = _xy(places)
    hot = (at_scale["q_hot"] < alpha).astype(int) - (at_scale["q_cold"] < alpha).astype(int)
    figure, axes = new_figure(5.2, 4.6)
    rates = 100 * at_scale["smoothed_rate"].to_numpy(dtype=np.float64)
    drawn = draw_marks(axes, x, y, rates, hot.to_numpy(), beyond=False)
    coarsest = [_coarsest(one) for one in places["region_id"].tolist()]
    name_places(axes, x, y, coarsest, names)
    add_scale(figure, axes, drawn, f"error rate of {k} neighbours, %")
    axes.set_title(
        f"{shortened_line(title, 80)}\n{int((hot == 1).sum()):,} hot (outlined dots) and "
        f"{int((hot == -1).sum()):,} cold (squares) of {int(np.isfinite(rates).sum()):,} questions",
        loc="left",
        fontsize=8,
    )
    return figure


@styled
def _moran_by_scale(own: Rows, others: Mapping[str, Rows], model: str) -> Figure:
    figure, axes = new_figure(4.8, 2.9)
    for rows in others.values():
        for mark, style in (("errors", "-"), ("residual", "--")):
            axes.plot(*_curve(rows, mark), linestyle=style, color="#b3bbc4", linewidth=0.8)
    for mark, colour, name in (
        ("errors", DIVERGING[-1], "errors"),
        ("residual", DIVERGING[0], "beyond difficulty"),
    ):
        scales, values = _curve(own, mark)
        if scales:
            style = "-" if mark == "errors" else "--"
            axes.plot(scales, values, style, color=colour, marker="o", markersize=3, label=name)
    axes.axhline(0, color=DIM, linewidth=0.6)
    scales = sorted({row["k"] for row in own})
    axes.set_xscale("log")
    axes.set_xticks(scales, [str(k) for k in scales])
    axes.minorticks_off()
    axes.set_xlabel("neighbours")
    axes.set_ylabel("Moran's I")
    axes.legend(frameon=False)
    only_below(axes)
    beside = f" (grey: {len(others)} others)" if others else ""
    axes.set_title(f"{shortened_line(model, 50)}{beside}", loc="left", fontsize=8)
    return figure


def _curve(rows: Rows, mark: str) -> tuple[list[int], list[float]]:
    points = sorted(
        (row["k"], row["moran"]) for row in rows if row["mark"] == mark and row["moran"] is not None
    )
    return [k for k, _ in points], [moran for _, moran in points]


@styled
def _calibration(curve: pd.DataFrame, title: str) -> Figure:
    figure, axes = new_figure(3.8, 3.5)
    axes.plot([0, 100], [0, 100], color=DIM, linewidth=0.8, linestyle=(0, (3, 2)))
    said, right = (100 * curve[name].to_numpy() for name in ("confidence", "accuracy"))
    axes.plot(said, right, color=DIVERGING[-1], linewidth=1)
    sizes = 80 * np.sqrt(curve["questions"].to_numpy() / max(curve["questions"].max(), 1))
    axes.scatter(said, right, s=np.maximum(sizes, 4), color=DIVERGING[-1])
    axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="it says, %", ylabel="it is right, %")
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{shortened_line(title, 60)}\nbelow the dashed line it is too sure", loc="left", fontsize=8
    )
    return figure


@styled
def _saturation(found: ChosenCandidates, title: str) -> Figure:
    figure, axes = new_figure(4.8, 2.9)
    coverage = 100 * np.asarray(found.selection.coverage)
    axes.plot(np.arange(1, len(coverage) + 1), coverage, color=DIVERGING[-1], label="these picks")
    for at, (name, covered) in enumerate(sorted(found.baselines.items(), key=lambda one: -one[1])):
        axes.plot(
            len(coverage), 100 * covered, "osD^v"[at % 5], color=DIVERGING[0], markersize=4,
            label=name,
        )  # fmt: skip
    axes.axvline(found.suggested, color=DIM, linewidth=0.8, linestyle=(0, (3, 2)))
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"picks (dashed: {found.suggested:,}, nine tenths of what all can)")
    axes.set_ylabel("demand covered, %")
    axes.legend(frameon=False, fontsize=6)
    only_below(axes)
    axes.set_title(shortened_line(title, 80), loc="left", fontsize=8)
    return figure


@styled
def _intervals(intervals: Sequence[Interval], title: str) -> Figure:
    figure, axes = new_figure(5.6, 0.8 + 0.19 * len(intervals))
    draw_intervals(axes, intervals)
    axes.set_title(shortened_line(title, 90), loc="left", fontsize=8)
    return figure


@styled
def _signatures(rows: Rows, models: Sequence[str], names: Mapping[str, str], title: str) -> Figure:
    cells = {(row["region_id"], row["model"]): row for row in rows if row["model"] in models}
    regions = sorted({region for region, _ in cells}, key=int)
    values, strength = (
        np.array([[number(cells.get((region, model))) for model in models] for region in regions])
        for number in (_excess, _strength)
    )
    figure, axes = new_figure(3.6 + 0.45 * len(models), 2.0 + 0.19 * len(regions))
    draw_cells(
        axes,
        values,
        np.abs(strength) >= STRONG,
        [shortened_line(f"{region} {names.get(region, '')}", _LONGEST_NAME) for region in regions],
        [shortened_line(model, _LONGEST_NAME) for model in models],
    )
    axes.set_xlabel(
        f"{shortened_line(title, 40)}: error rate beyond ability, points\n"
        f"bold: {STRONG:.0f} standard deviations or more"
    )
    return figure


def _excess(cell: Mapping[str, Any] | None) -> float:
    return 100 * cell["excess"] if cell is not None and cell["questions"] else np.nan


def _strength(cell: Mapping[str, Any] | None) -> float:
    if cell is None or not cell["questions"]:
        return np.nan
    return float(cell["deviation"] / cell["standard_deviation"])


@styled
def _differences(pairs: Rows, title: str) -> Figure:
    rates: dict[str, list[float]] = {}
    for row in pairs:
        rates.setdefault(row["model_a"], []).append(row["difference"])
        rates.setdefault(row["model_b"], []).append(-row["difference"])
    # The fewer errors beside the others, the further up.
    models = sorted(rates, key=lambda name: (float(np.mean(rates[name])), name))[:_MOST_COMPARED]
    values = np.full((len(models), len(models)), np.nan)
    strong = np.zeros_like(values, dtype=np.bool_)
    for row in pairs:
        if row["model_a"] in models and row["model_b"] in models:
            first, second = models.index(row["model_a"]), models.index(row["model_b"])
            values[first, second] = 100 * row["difference"]
            values[second, first] = -100 * row["difference"]
            certain = row["difference_low"] > 0 or row["difference_high"] < 0
            strong[first, second] = strong[second, first] = certain
    names = [shortened_line(name, _LONGEST_NAME) for name in models]
    figure, axes = new_figure(3.6 + 0.45 * len(models), 2.2 + 0.22 * len(models))
    draw_cells(axes, values, strong, names, names)
    axes.set_xlabel(
        f"{shortened_line(title, 40)}: error rate of the row less that of the column, points\n"
        "bold: the 95 % interval leaves out 0"
    )
    return figure
