"""What the command line prints: tables, clusters and progress.

Result files are hostile input: their texts are shown as plain text, without control characters
and without markup.
"""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from errclust_pipeline.analysis.plain_text import shortened_line
from errclust_pipeline.analysis.spatial.difficulty import FEWEST_MODELS
from errclust_pipeline.progress import ProgressReport, listen
from errclust_pipeline.vocabulary import CONFIDENTLY_WRONG, MEAN, UNCERTAIN, UNCERTAIN_GIVEN_OPTIONS

if TYPE_CHECKING:
    from errclust_pipeline.analysis.comparison import PairComparison
    from errclust_pipeline.analysis.uncertainty import OptionProbabilities
    from errclust_pipeline.training.select import SelectedExamples

_PIPE_WIDTH = 160
_FAR = 0.4
"""Mean cosine similarity below which a pool's examples are on other things."""


def console_for(stream: Any) -> Console:
    """Return a console; where the stream is no terminal, lines are wide and without colour."""
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def output() -> Console:
    """The console for results."""
    return console_for(sys.stdout)


def messages() -> Console:
    """The console for progress and messages, which a script may throw away."""
    return console_for(sys.stderr)


def print_error(text: str) -> None:
    """Print an error's message, its lines and their indents as they are."""
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        messages().print(Text(indent) + plain(line), style="red", soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON cannot hold is printed as text."""
    text = json.dumps(_jsonable(value), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    sys.stdout.write(text + "\n")


def _jsonable(value: Any) -> Any:
    """Return a value with null for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    return value


def plain(value: Any, longest: int | None = None) -> Text:
    """Return third-party text that a terminal shows as it is and obeys in nothing."""
    if value is None:
        return Text("-", style="dim")
    if isinstance(value, float):
        # A p value of 1e-7 is not 0.
        return Text(f"{value:.1e}" if 0 < abs(value) < 0.001 else f"{value:,.3f}")
    if isinstance(value, int) and not isinstance(value, bool):
        return Text(f"{value:,}")
    return Text(shortened_line(str(value), longest))


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    title: str | None = None,
    longest: int | None = None,
) -> None:
    """Print rows as a table; numbers stand to the right."""
    if not rows:
        output().print(Text("no rows", style="dim"))
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for name in rows[0]:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        table.add_column(plain(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(value, longest) for value in row.values()))
    output().print(table)


def print_clusters(
    benchmark: str,
    model: str,
    labels: Sequence[Mapping[str, Any]],
    errors: int,
    noise: int,
    examples: int,
) -> None:
    """Print a model's clusters as a tree, largest first, with examples of each.

    Parameters
    ----------
    labels : sequence of mapping
        Rows of `cluster_labels` of one model on one benchmark.
    errors, noise : int
        How many errors there are, and how many of them belong to no cluster.
    examples : int
        How many exemplars of a cluster to show.
    """
    heading = Text.assemble(
        (str(plain(model)), "bold"), " on ", (str(plain(benchmark)), "bold"), f": {errors:,} errors"
    )
    if noise:
        heading.append(f", {noise:,} of them in no cluster ({noise / errors:.0%})")
    root = Tree(heading)
    nodes: dict[str | None, Tree] = {None: root}
    for row in sorted(labels, key=lambda row: (row["level"], -row["size"], row["cluster_id"])):
        line = Text.assemble(
            (f"{row['cluster_id']:<6}", "cyan"),
            (str(plain(row["label"])), "bold"),
            f"  {row['size']:,} errors, {row['share_of_errors']:.1%} of all; "
            f"{row['main_failure_form_share']:.0%} {row['main_failure_form']}",
        )
        if row["main_subject"]:
            line.append(f"; mostly {plain(row['main_subject'])}")
        node = nodes.get(row["parent_id"], root).add(line)
        nodes[row["cluster_id"]] = node
        for exemplar in (row["exemplars"] or [])[:examples]:
            node.add(example_line(exemplar))
    output().print(root)
    if not labels:
        output().print(Text("no clusters: too few errors, or none alike", style="dim"))


def print_labels(
    benchmark: str, model: str, labels: Sequence[Mapping[str, Any]], examples: int
) -> None:
    """Print a model's cluster labels with their tests: a table, examples below each name.

    Parameters
    ----------
    labels : sequence of mapping
        Rows of `cluster_labels` of one model on one benchmark.
    examples : int
        Exemplars shown of a cluster.
    """
    table = Table(
        title=Text(f"{plain(model)} on {plain(benchmark)}", style="bold"),
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    table.add_column("")
    table.add_column("name", ratio=1)
    table.add_column("errors", justify="right")
    table.add_column("share", justify="right")
    table.add_column("faithfulness", justify="right")
    table.add_column("judged", justify="right")
    table.add_column("distinct", justify="right")
    table.add_column("cause")
    for row in labels:
        name = Text(str(plain(row["label"])), style="bold")
        if row["is_faithful"] is False:
            name.append("  unfaithful", style="red")
        if row["reused_from"]:
            name.append(f"  as {plain(row['reused_from'])}", style="dim")
        if row["description"]:
            name.append(f"\n{plain(row['description'])}", style="not bold dim")
        if row["problem"]:
            name.append(f"\n{plain(row['problem'])}", style="not bold yellow")
        for exemplar in (row["exemplars"] or [])[:examples]:
            name.append("\n").append_text(example_line(exemplar))
        table.add_row(
            Text(row["cluster_id"], style="cyan"),
            name,
            f"{row['size']:,}",
            f"{row['share_of_errors']:.1%}",
            _with_interval(row, "faithfulness"),
            _with_interval(row, "judged_faithfulness"),
            f"{row['distinctiveness']:.0%}",
            Text((row["cause"] or "–").replace("_", " ")),
        )
    output().print(table if labels else Text("no clusters: too few errors, or none alike"))
    if labels:
        output().print(
            Text(
                "faithfulness: balanced accuracy at telling unseen members from others, by "
                "similarity to the name and as a language model judges; 50% says nothing",
                style="dim",
            )
        )


def print_diagnoses(
    benchmark: str,
    model: str,
    diagnoses: Sequence[Mapping[str, Any]],
    labels: Sequence[Mapping[str, Any]],
    clusters: Sequence[Mapping[str, Any]],
    region_names: Mapping[str, str],
    examples: int,
) -> None:
    """Print why a model's responses are wrong: causes, then clusters of diagnoses by region.

    Parameters
    ----------
    diagnoses, labels, clusters : sequence of mapping
        Rows of `error_diagnoses`, `diagnosis_labels` and `diagnosis_clusters`.
    region_names : mapping
        From region to label.
    examples : int
        Diagnoses shown of each cluster.
    """
    done = [row for row in diagnoses if row["diagnosis"] is not None]
    total = sum(row["weight"] for row in done)
    output().print(
        Text(
            f"{plain(model)} on {plain(benchmark)}: {len(done):,} errors diagnosed, standing for "
            f"{total:,.0f}; {len(diagnoses) - len(done):,} have no diagnosis"
        )
    )
    causes: Counter[str] = Counter()
    for row in done:
        causes[row["cause"]] += row["weight"]
    print_rows(
        [
            {"cause": cause.replace("_", " "), "errors": round(weight), "share": weight / total}
            for cause, weight in causes.most_common()
        ],
        title="why, estimated for all errors",
    )
    weight_of = {row["example_id"]: row["weight"] for row in done}
    by_example = {row["example_id"]: row for row in done}
    members: dict[str, list[str]] = {}
    for row in clusters:
        if row["level"] == 1 and row["cluster_id"] is not None:
            members.setdefault(row["cluster_id"], []).append(row["example_id"])
    root = Tree(Text("clusters of diagnoses: why, and where each kind is found", style="bold"))
    for label in labels:
        if label["level"] != 1:
            continue
        own = members.get(label["cluster_id"], [])
        size = sum(weight_of[one] for one in own)
        node = root.add(
            Text.assemble(
                (f"{label['cluster_id']:<4}", "cyan"),
                (str(plain(label["label"])), "bold"),
                f"  {len(own):,} diagnosed, about {size:,.0f} errors",
            )
        )
        where: Counter[str] = Counter()
        for one in own:
            where[by_example[one]["region_id"] or ""] += weight_of[one]
        named = [
            f"{plain(region_names.get(region, 'no region'))} {weight / size:.0%}"
            for region, weight in where.most_common(3)
        ]
        node.add(Text("in " + "; ".join(named), style="dim"))
        for one in own[:examples]:
            found = by_example[one]
            node.add(Text(f"{plain(found['diagnosis'])} Missing: {plain(found['missing'])}"))
    output().print(root)


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return "–"
    return f"{row[name]:.0%} ({row[f'{name}_low']:.0%}-{row[f'{name}_high']:.0%})"


def example_line(exemplar: Mapping[str, Any]) -> Text:
    """Return one exemplar on a line: the question, the right answer and the model's."""
    return Text.assemble(
        (str(plain(exemplar["question"], 160)), "dim"),
        ("  right: ", "green"),
        str(plain(exemplar["gold"], 40)),
        ("  said: ", "red"),
        str(plain(exemplar["prediction"], 40)),
    )


def print_status(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Print how partitions stand; stages that are all fresh take one column."""
    from errclust_pipeline.stages import State

    states = {str(state) for state in State}
    short = []
    for row in rows:
        stages = {name: value for name, value in row.items() if value in states}
        troubled = [f"{name} {value}" for name, value in stages.items() if value != State.FRESH]
        rest = {name: value for name, value in row.items() if name not in stages}
        state = "fresh" if not troubled else ", ".join(troubled[:2]) + ", …" * (len(troubled) > 2)
        short.append(rest | {"state": state})
    print_rows(short, title=title)


def _percent(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:.0%}"


def _one_decimal(share: float | None) -> str:
    return "-" if share is None or share != share else f"{share:.1%}"


def _points(share: float | None) -> str:
    return "-" if share is None or share != share else f"{100 * share:+.0f}"


def _p_value(p: float | None) -> str:
    if p is None or p != p:
        return "-"
    return f"{p:.0e}" if p < 0.001 else f"{p:.3f}"


def _moran(moran: float | None, z: float | None) -> str:
    if moran is None or z is None or moran != moran or z != z:
        return "-"
    return f"{moran:.3f} (z {z:.0f})"


def _table(title: str, columns: Sequence[tuple[str, bool]]) -> Table:
    """Return an empty table; of each column its heading and whether it holds numbers."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading, numeric in columns:
        table.add_column(
            heading, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric
        )
    return table


def print_selection(found: SelectedExamples, limit: int | None) -> None:
    """Print what a selection covers beside baselines, and the first picks or what to write."""
    about = f"{plain(found.partition.model)} on {plain(found.partition.benchmark)}"
    output().print(Text(f"{about}: {found.summary()}", style="bold"), soft_wrap=True)
    output().print(Text(found.about_pool()), soft_wrap=True)
    table = _table(
        f"demand covered by {len(found.picks):,} picks", [("chosen", False), ("covered", True)]
    )
    for name, share in found.coverages():
        table.add_row(name, f"{share:.1%}")
    output().print(table)
    if found.pool is not None and found.chosen.nearness is not None:
        text = (
            "100 % is what all of the pool covers: the example nearest to an error has a cosine "
            f"similarity of {found.chosen.nearness:.2f} in the mean"
        )
        if found.chosen.nearness < _FAR:
            text += ", so the pool holds little that is like these errors"
        output().print(f"{text}.", soft_wrap=True)
    if found.chosen.suggested:
        curve = ", ".join(f"{count:,}: {share:.0%}" for count, share in found.chosen.curve)
        wanted = found.chosen.suggested
        picks = "1 pick covers" if wanted == 1 else f"{wanted:,} picks cover"
        output().print(
            f"Suggested budget: {picks} 90 % of what all can. Picks and coverage: {curve}.",
            soft_wrap=True,
        )
    if found.specifications is not None:
        rows = found.specifications.to_dict("records")
        specified = _table(
            "what to write", [("", True), ("of the demand", True), ("instruction", False)]
        )
        for row in rows[: limit or None]:
            specified.add_row(
                str(row["examples"]), f"{row['demand_share']:.1%}", plain(row["instruction"])
            )
        output().print(specified)
    shown = _table("picks", [("", True), ("like" if found.pool is None else "example", False),
                             ("reason", False)])  # fmt: skip
    for row in found.picks.head(limit or len(found.picks)).to_dict("records"):
        text = found.text_of[row["candidate_id"]]
        shown.add_row(str(row["rank"]), plain(text, 120), plain(row["reason"]))
    output().print(shown)
    if found.suspects:
        output().print(
            f"{len(found.suspects):,} of its errors are on questions whose key is suspected; they "
            f"weigh a tenth. To review them: errclust faults {plain(found.partition.benchmark)}",
            soft_wrap=True,
        )


def print_faults(benchmark: str, rows: Sequence[Mapping[str, Any]], limit: int | None) -> None:
    """Print the questions whose key is suspected, each with its reason."""
    shown = rows[: limit or None]
    if not rows:
        output().print(f"{plain(benchmark)}: no key is suspected")
        return
    table = _table(
        f"{plain(benchmark)}: {len(rows):,} questions whose key is suspected, most suspect first",
        [("wrong, at most", True), ("question", False), ("key", False), ("models say", False),
         ("reason", False)],
    )  # fmt: skip
    for row in shown:
        table.add_row(
            f"{row['probability']:.0%}",
            plain(row["question"], 160),
            plain(row["gold"], 60),
            plain(row["other_answer"], 60),
            plain(row["reason"]),
        )
    output().print(table)
    if len(shown) < len(rows):
        output().print(f"{len(rows) - len(shown):,} more: --limit 0, or --json with all options")


def print_battles(
    ratings: Sequence[Mapping[str, Any]],
    regions: Sequence[Mapping[str, Any]],
    model: str | None,
    against: str | None,
    limit: int | None,
) -> None:
    """Print a battle set's ratings, or one model's, and what depends on the topic."""
    kinds = list(dict.fromkeys(row["judge_kind"] for row in ratings))
    if model is None:
        output().print(_rating_table(ratings, kinds, limit))
        if any(not row["bounded"] for row in ratings):
            output().print(
                Text("*: it never lost, or never won; its rating rests on a prior.", style="dim")
            )
        if len({row["component"] for row in ratings}) > 1:
            output().print(
                "Not all models met, even through others: ratings compare only those of one group "
                "(column component of table ratings)."
            )
    for row in ratings if model is not None else ():
        output().print(_standing(row, model or "", against))
    for kind in kinds:
        own = [row for row in regions if row["judge_kind"] == kind]
        found = sum(row["q"] < _TOPIC_ALPHA for row in own)
        what = "regions and subjects" if model is None else "of its regions and subjects"
        output().print(
            f"By {kind} judges: {found} of {len(own)} {what} depart from the overall ratings "
            f"(q < {_TOPIC_ALPHA})."
        )
        own.sort(key=lambda row: row["p"])
        if own:
            output().print(_topic_table(own[:limit], kind, model))


_TOPIC_ALPHA = 0.05


def _standing(row: Mapping[str, Any], model: str, against: str | None) -> Text:
    name = (str(plain(model)), "bold")
    if against is None:
        text = (
            f" by {row['judge_kind']} judges: {row['rating']:.0f} ({row['low']:.0f} to "
            f"{row['high']:.0f}) from {row['battles']:,} battles, {row['win_rate']:.0%} won"
        )
        if row["moran_z"] is not None:
            text += (
                "; Moran's I of its score less what ratings expect: "
                f"{row['moran']:.3f} (z {row['moran_z']:.1f})"
            )
        text += "."
    else:
        text = (
            f" against {plain(against)} by {row['judge_kind']} judges: {row['wins']} won, "
            f"{row['ties']} ties of {row['battles']:,}; {row['difference']:+.0f} points "
            f"({row['low']:+.0f} to {row['high']:+.0f})."
        )
    return Text.assemble(name, text if row["bounded"] else f"{text[:-1]}, by a prior.")


def _rating_table(
    ratings: Sequence[Mapping[str, Any]], kinds: Sequence[str], limit: int | None
) -> Table:
    columns = [("", True), ("model", False)]
    for kind in kinds:
        columns += [(f"by {kind}s", True), ("95 % interval", True), ("battles", True)]
    table = _table("Ratings (Bradley-Terry, mean 1000)", columns)
    by_model: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in ratings:
        by_model.setdefault(row["model"], {})[row["judge_kind"]] = row
    for place, (model, rows) in enumerate(list(by_model.items())[:limit], 1):
        cells: list[str] = []
        for kind in kinds:
            one = rows.get(kind)
            cells += (
                ["-", "-", "-"]
                if one is None
                else [
                    f"{one['rating']:.0f}{'' if one['bounded'] else '*'}",
                    f"{one['low']:.0f} to {one['high']:.0f}",
                    f"{one['battles']:,}",
                ]
            )
        table.add_row(str(place), plain(model), *cells)
    return table


def _topic_table(rows: Sequence[Mapping[str, Any]], kind: str, model: str | None) -> Table:
    columns = [("where", False), ("prompts", True), ("battles", True)]
    if model is None:
        columns += [("p", True), ("q", True)]
        title = f"Where ratings differ, by {kind} judges"
    else:
        columns += [("won", True), ("95 % interval", True), ("expected", True)]
        columns += [("shift", True), ("q", True)]
        title = f"Where it does better or worse than its rating says, by {kind} judges"
    table = _table(title, columns)
    for row in rows:
        place = row["label"] if not row["level"] else f"{row['region_id']} {row['label'] or ''}"
        cells: list[Text | str] = [plain(place), f"{row['prompts']:,}", f"{row['battles']:,}"]
        if model is None:
            cells += [_p_value(row["p"]), _p_value(row["q"])]
        else:
            cells += [
                f"{row['win_rate']:.0%}",
                f"{row['low']:.0%} to {row['high']:.0%}",
                f"{row['expected']:.0%}",
                f"{row['shift']:+.0f}",
                _p_value(row["q"]),
            ]
        table.add_row(*cells)
    return table


def artefact_note(left_out: bool) -> str:
    """Return the words that say whether unreadable responses count, for the end of a sentence."""
    if left_out:
        return ", responses nothing could be read off left out"
    return ", responses nothing could be read off counted as errors"


def print_leaderboard(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows of `leaderboard` of one benchmark, uncertainty where that is known."""
    columns = [
        ("model", False), ("questions", True), ("accuracy", True), ("95 % interval", True),
        ("artefacts", True), ("without them", True), ("of all responses", True),
    ]  # fmt: skip
    some_are_sure = any(row["set_size"] is not None for row in rows)
    if some_are_sure:
        columns += [("says", True), ("set size", True), ("covered", True), ("UAcc", True)]
    table = _table(
        "Accuracy over distinct questions; intervals allow for neighbours being alike", columns
    )
    for row in rows:
        sure = []
        if some_are_sure:
            size = row["set_size"]
            sure = [
                _one_decimal(row["confidence"]),
                "-" if size is None else f"{size:.2f}",
                _one_decimal(row["coverage"]),
                _one_decimal(row["uacc"]).removesuffix("%"),
            ]
        table.add_row(
            plain(row["model"]),
            f"{row['questions']:,}",
            _one_decimal(row["accuracy"]),
            f"{_one_decimal(row['low'])} to {_one_decimal(row['high'])}",
            _percent(row["artefacts"]),
            _one_decimal(row["accuracy_without_artefacts"]),
            _one_decimal(row["response_accuracy"]),
            *sure,
        )
    output().print(table)


def print_map(
    regions: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    signatures: Sequence[Mapping[str, Any]],
) -> None:
    """Print a map's regions with every model's error rate, hardest first within each parent."""
    found = {(row["region_id"], row["model"]): row for row in signatures}
    legend = [f"{chr(65 + number)} {model}" for number, model in enumerate(models[:26])]
    columns = [("region", False), ("name", False), ("questions", True)]
    columns += [(line[0], True) for line in legend]
    table = _table("Error rates in %; + worse, - better than ability and region explain", columns)

    def rate(region_id: str) -> float:
        rows = [found[region_id, model] for model in models if (region_id, model) in found]
        errors, questions = (sum(row[name] for row in rows) for name in ("errors", "questions"))
        return float(errors / max(questions, 1))

    def path(region_id: str) -> list[float | str]:
        parts = region_id.split(".")
        prefixes = [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        return [part for name in prefixes for part in (-rate(name), name)]

    for region in sorted(regions, key=lambda row: path(row["region_id"])):
        cells = []
        for model in models[:26]:
            row = found.get((region["region_id"], model))
            if row is None or not row["questions"]:
                cells.append("-")
                continue
            # Two models cannot be told from each other's reflection.
            enough = len(models) >= FEWEST_MODELS
            strength = row["deviation"] / row["standard_deviation"] if enough else 0.0
            mark = "+" if strength >= 2 else "-" if strength <= -2 else " "
            cells.append(f"{100 * row['errors'] / row['questions']:.0f}{mark}")
        indent = "  " * (region["level"] - 1)
        name = Text(indent) + plain(region["label"])
        table.add_row(region["region_id"], name, f"{region['size']:,}", *cells)
    output().print(table)
    for line in legend:
        output().print(plain(line))


def print_autocorrelation(
    benchmark: str, model: str, statistics: Sequence[Mapping[str, Any]]
) -> None:
    """Print the rows of `autocorrelation` of one model: do its errors concentrate?"""
    heading = Text.assemble((str(plain(model)), "bold"), " on ", (str(plain(benchmark)), "bold"))
    if statistics:
        heading.append(artefact_note(statistics[0]["artefacts_left_out"]))
    output().print(heading)
    table = _table(
        "Do errors concentrate? Moran's I with z; residual: less what difficulty explains",
        [("neighbours", True), ("errors", True), ("residual", True)],
    )
    found = {(row["mark"], row["k"]): row for row in statistics}
    for k in sorted({row["k"] for row in statistics}):
        cells = []
        for mark in ("errors", "residual"):
            row = found.get((mark, k), {})
            cells.append(_moran(row.get("moran"), row.get("z")))
        table.add_row(str(k), *cells)
    output().print(table)


def print_hot_regions(
    regions: Sequence[Mapping[str, Any]],
    questions: Mapping[str, Mapping[str, Any]],
    examples: int,
    limit: int,
    models: int,
) -> None:
    """Print the rows of `hot_regions` of one model, with wrong answers from the heart of each.

    Parameters
    ----------
    questions : mapping from question id to row of `responses`
        For the examples.
    examples, limit : int
        Examples shown of each region, and regions shown of each kind (0 shows all).
    models : int
        On the benchmark, from which difficulty is told.
    """
    titles = {
        "errors": "Where it errs more than elsewhere (often hard for every model)",
        "beyond_difficulty": "Where it errs more than difficulty explains (its own weaknesses)",
    }
    columns = [
        ("", True), ("what is there", False), ("size (core)", True), ("error rate", True),
        ("other", True), ("by diff.", True), ("q", True), ("scale", True), ("held out", True),
        ("conf.", True), ("also hot", True), ("failure form", False),
    ]  # fmt: skip
    for basis, title in titles.items():
        if basis == "beyond_difficulty" and models < FEWEST_MODELS:
            output().print(
                Text(
                    f"{title}: not tested, because that needs {FEWEST_MODELS} models on the "
                    f"benchmark and there {'is' if models == 1 else 'are'} {models}; "
                    "see errclust compare for two models side by side",
                    style="dim",
                )
            )
            continue
        of_basis = [row for row in regions if row["basis"] == basis]
        rows = of_basis[: limit or None]
        table = _table(title, columns)
        for row in rows:
            form = row["failure_form"]
            place = Text(", ").join(plain(phrase) for phrase in row["key_phrases"])
            if row["region_id"]:
                region = plain(f"{row['region_id']} {row['label'] or ''}")
                region.stylize("dim")
                place = Text("\n").join([place, Text("in ", style="dim") + region])
            table.add_row(
                str(row["rank"]),
                place,
                f"{row['size']:,} ({row['core']:,})",
                f"{row['rate']:.0%} ({row['low']:.0%}-{row['high']:.0%})",
                _percent(row["outside_rate"]),
                _percent(row["expected"] / row["size"]) if basis != "errors" else "",
                _p_value(row["q"]),
                f"{row['scale']:,}",
                _points(row["held_out_excess"]),
                f"{row['replicated_halves']}/2",
                f"{len(row['hot_for_others'])}/{row['others']}" if row["others"] else "-",
                f"{form} {_percent(row['failure_form_share'])}, "
                f"else {_percent(row['failure_form_share_elsewhere'])}"
                if form
                else "",
            )
        if rows:
            output().print(table)
            if len(of_basis) > len(rows):
                output().print(Text(f"{len(of_basis) - len(rows)} more: see --limit", style="dim"))
        else:
            output().print(Text(f"{title}: none found", style="dim"))
        for row in rows if examples else ():
            for name in row["exemplars"][:examples]:
                if name in questions:
                    output().print(Text(f"{row['rank']:>3} "), example_line(questions[name]))
    output().print(
        Text(
            "size (core): questions, and those of them whose surroundings are significantly hot; "
            "the rest is added by likelihood. error rate: with its 95 % interval; other: that of "
            "all other questions; by diff.: what difficulty explains. q: false discovery rate at "
            "the core. scale: questions that have to be averaged for it to stand out. held out: "
            "excess error rate, in points, where each half of the questions finds the place, on "
            "the other half (a dash: neither finds it); conf.: halves that confirm it at p < .05. "
            "also hot: other models for which most of it is hot too. "
            "Where is not why: a region is a place on the map, not a cause.",
            style="dim",
        )
    )


def print_certainty(
    benchmark: str,
    model: str,
    summary: Sequence[Mapping[str, Any]],
    corners: Mapping[str, int],
    options: OptionProbabilities,
) -> None:
    """Print how sure a model is of its answers on a benchmark, and whether it may be.

    Parameters
    ----------
    summary : sequence of mapping
        Rows of `uncertainty_summary`.
    corners : mapping from corner to number of questions
    options : OptionProbabilities
        For what was left out.
    """
    one = summary[0]
    few, many = one["fewest_options"], one["most_options"]
    output().print(
        Text.assemble(
            (str(plain(model)), "bold"),
            " on ",
            (str(plain(benchmark)), "bold"),
            f": {one['questions']:,} questions with log-likelihoods of "
            f"{few if few == many else f'{few} to {many}'} options",
        )
    )
    for reason, count in options.left_out.items():
        output().print(Text(f"left out: {count:,} responses with {reason}", style="dim"))
    if one["compared_by_length"]:
        output().print(
            Text(
                f"{one['compared_by_length']:,} questions compare options by log-likelihood a "
                "character, as the metric does: such probabilities are flatter than the model's "
                "own, so that calibration says little; sets keep their promise all the same",
                style="dim",
            )
        )
    gap = one["confidence"] - one["accuracy"]
    error, chance = one["calibration_error"], one["calibration_error_by_chance"]
    output().print(
        f"It is right on {one['accuracy']:.1%} and says {one['confidence']:.1%} on average: "
        f"{100 * abs(gap):.1f} points too {'sure' if gap > 0 else 'modest'}. Expected calibration "
        f"error {error:.3f}, "
        + (
            f"more than the {chance:.3f} that a calibrated model stays below 19 times of 20."
            if error > chance
            else f"no more than a calibrated model may have by chance ({chance:.3f})."
        )
    )
    columns = [("score", False), ("form", False), ("set size", True), ("covered", True)]
    columns += [("UAcc", True), ("Moran's I of set size", True)]
    if few != many:
        columns.append(("given options", True))
    table = _table(
        f"Conformal sets that may miss the right option in {one['alpha']:.0%} of questions", columns
    )
    for row in summary:
        morans = [_moran(row["moran"], row["moran_z"])]
        if few != many:
            morans.append(_moran(row["adjusted_moran"], row["adjusted_moran_z"]))
        table.add_row(
            "mean" if row["score"] == MEAN else row["score"].upper(),
            row["form"],
            f"{row['set_size']:.2f}",
            _one_decimal(row["coverage"]),
            f"{100 * row['uacc']:.1f}" if row["uacc"] == row["uacc"] else "-",
            *morans,
        )
    output().print(table)
    if few != many:
        output().print(
            Text(
                "given options: the same, standardised over the questions of as many options and "
                "permuted among those: topics differ in their number of options",
                style="dim",
            )
        )
    table = _table(
        "Confidence and correctness",
        [("it says", False), ("right", True), ("wrong", True)],
    )
    limit = f"{one['confident_from']:.2f}"
    for what, said in (
        ("confident", f"{limit}, its median, or more"),
        ("unsure", f"less than {limit}"),
    ):
        counts = [corners.get(f"{what}_{how}", 0) for how in ("right", "wrong")]
        table.add_row(f"{what}: {said}", *(f"{n:,} ({n / one['questions']:.0%})" for n in counts))
    output().print(table)


def print_calibration(curve: Sequence[Mapping[str, Any]]) -> None:
    """Print a calibration curve by `calibration_curve`."""
    columns = [("says", True), ("questions", True), ("on average", True), ("right", True)]
    table = _table("Is it right as often as it says?", columns)
    for row in curve:
        table.add_row(
            f"{row['low']:.1f} to {row['high']:.1f}",
            f"{row['questions']:,}",
            _percent(row["confidence"]),
            _percent(row["accuracy"]),
        )
    output().print(table)


def print_uncertain_places(
    places: Sequence[Mapping[str, Any]],
    questions: Mapping[str, Mapping[str, Any]],
    confidence: Mapping[str, float],
    examples: int,
    limit: int,
    options_vary: bool,
) -> None:
    """Print the rows of `uncertainty_hot_regions` of one model, confidently wrong ones first.

    Parameters
    ----------
    questions : mapping from question id to row of `responses`
        For the examples.
    confidence : mapping from question id to the probability of the option chosen
    examples, limit : int
        Examples shown of each place, and places of each kind (0 shows all).
    options_vary : bool
        Whether questions differ in their number of options.
    """
    titles = {
        CONFIDENTLY_WRONG: "Where it is confidently wrong more than elsewhere",
        UNCERTAIN: "Where it is unsure more than elsewhere (set size over options)",
        UNCERTAIN_GIVEN_OPTIONS: (
            "Where it is unsure more than on other questions of as many options (points of set "
            "size over options)"
        ),
    }
    if not options_vary:
        del titles[UNCERTAIN_GIVEN_OPTIONS]
    for basis, title in titles.items():
        of_basis = [row for row in places if row["basis"] == basis]
        rows = of_basis[: limit or None]
        mistaken = basis == CONFIDENTLY_WRONG
        columns = [
            ("", True), ("what is there", False), ("size", True),
            ("conf. wrong" if mistaken else "set share", True), ("other", True),
            ("right", True), ("says", True), ("set size", True), ("q", True), ("scale", True),
        ]  # fmt: skip
        if mistaken:
            columns += [("held out", True), ("conf.", True)]
        table = _table(title, columns)
        for row in rows:
            place = Text(", ").join(plain(phrase) for phrase in row["key_phrases"])
            if row["region_id"]:
                region = plain(f"{row['region_id']} {row['label'] or ''}")
                region.stylize("dim")
                place = Text("\n").join([place, Text("in ", style="dim") + region])
            said = _points if basis == UNCERTAIN_GIVEN_OPTIONS else _percent
            low, high = said(row["low"]), said(row["high"])
            cells: list[Text | str] = [
                str(row["rank"]),
                place,
                f"{row['size']:,}",
                f"{said(row['value'])} ({low}{'-' if said is _percent else ' to '}{high})",
                said(row["outside_value"]),
                _percent(row["accuracy"]),
                _percent(row["confidence"]),
                f"{row['set_size']:.1f}",
                _p_value(row["q"]),
                f"{row['scale']:,}",
            ]
            if mistaken:
                cells += [_points(row["held_out_excess"]), f"{row['replicated_halves']:.0f}/2"]
            table.add_row(*cells)
        if not rows:
            output().print(Text(f"{title}: none found", style="dim"))
            continue
        output().print(table)
        if len(of_basis) > len(rows):
            output().print(Text(f"{len(of_basis) - len(rows)} more: see --limit", style="dim"))
        for row in rows:
            for name in row["exemplars"][:examples]:
                if name in questions:
                    sure = Text(f"{row['rank']:>3} says {confidence[name]:.0%}: ")
                    output().print(sure, example_line(questions[name]))
    output().print(
        Text(
            "conf. wrong: share of questions where it is wrong and surer than at its median; set "
            "share: of the options, that are in the set; both with a 95 % interval; other: that of "
            "all other questions. right, says: how often it is right there, and its mean "
            "probability for what it chose. q: false discovery rate; scale: questions that have to "
            "be averaged for it to stand out. held out: excess, in points, where each half of the "
            "questions finds the place, on the other half; conf.: halves that confirm it.",
            style="dim",
        )
    )


def print_coverage(
    regions: Sequence[Mapping[str, Any]], miscoverage: float, alpha: float, limit: int
) -> None:
    """Print where LAC sets hold the right option less often than promised.

    Parameters
    ----------
    regions : sequence of mapping
        Rows of `uncertainty_by_region`, with a `label`.
    miscoverage : float
        Share of sets that may miss the right option.
    alpha : float
        Regions whose q is below are shown.
    limit : int
        Rows shown; 0 shows all.
    """
    own = [row for row in regions if row["score"] == "lac"]
    failing = sorted((row for row in own if row["q"] < alpha), key=lambda row: row["coverage"])
    title = f"Where fewer than the {1 - miscoverage:.0%} promised of LAC sets hold the right option"
    if not failing:
        output().print(Text(f"{title}: in none of {len(own):,} regions", style="dim"))
        return
    columns = [
        ("region", False), ("questions", True), ("right", True), ("covered", True),
        ("set size", True), ("own sets: covered", True), ("size", True), ("q", True),
    ]  # fmt: skip
    table = _table(f"{title} ({len(failing)} of {len(own):,} regions)", columns)
    for row in failing[: limit or None]:
        table.add_row(
            plain(f"{row['region_id']} {row['label'] or ''}"),
            f"{row['questions']:,}",
            _percent(row["accuracy"]),
            f"{row['coverage']:.0%} ({row['low']:.0%}-{row['high']:.0%})",
            f"{row['set_size']:.2f}",
            _percent(row["mondrian_coverage"]),
            f"{row['mondrian_set_size']:.2f}",
            _p_value(row["q"]),
        )
    output().print(table)
    output().print(
        Text("own sets: calibrated on the region's own questions (Mondrian).", style="dim")
    )


def print_comparison(
    model_a: str,
    model_b: str,
    rows: Sequence[Mapping[str, Any]],
    found: PairComparison,
    statistics: Sequence[Mapping[str, Any]],
    artefacts_left_out: bool,
    alpha: float,
) -> None:
    """Print what `compare_pair` found; `rows` are its regions with their labels."""
    a, b = plain(model_a), plain(model_b)
    alike, gate, overall = found.agreement, found.gate, found.difference.mean
    kappa = "-" if math.isnan(alike.kappa) else f"{alike.kappa:.2f}"
    output().print(Text.assemble("A is ", (str(a), "bold"), ", B is ", (str(b), "bold")))
    output().print(
        f"A's error rate less B's: {_points(overall)} points ({_points(found.low)} to "
        f"{_points(found.high)}) over {alike.questions:,} questions that both answered"
        f"{artefact_note(artefacts_left_out)}. Error consistency (kappa) {kappa}."
    )
    if alike.both_wrong:
        output().print(
            "Where both are wrong they chose the same wrong option "
            f"{_percent(alike.same_wrong_option)} of the time; evenly chosen it would be "
            f"{_percent(alike.same_by_chance)} "
            f"({alike.both_wrong:,} questions)."
        )
    open_gate = gate.p < alpha
    verdict = (
        "the gap varies by topic"
        if open_gate
        else "no evidence that the gap varies by topic, so no region's gap is tested"
    )
    output().print(
        f"Does the gap differ between the {gate.regions} regions? p {gate.p:.3f}: {verdict}."
    )
    known = [one for one in statistics if one["moran"] == one["moran"]]
    if known:
        output().print(
            "Is the difference topical? Moran's I "
            + ", ".join(f"{one['moran']:.3f} (z {one['z']:.0f}) at {one['k']}" for one in known)
            + " neighbours."
        )
    columns = [
        ("where", False), ("questions", True), ("A wrong", True), ("B wrong", True),
        ("A - B", True), ("95 % interval", True), ("q worse", True), ("q gap", True),
        ("finding", False),
    ]  # fmt: skip
    table = _table(
        "Regions, those whose gap departs most surely from the overall one first", columns
    )
    for row in rows:
        size = row["questions"]
        table.add_row(
            plain(f"{row['region_id']} {row['label'] or ''}"),
            f"{size:,}",
            _percent(row["errors_a"] / size),
            _percent(row["errors_b"] / size),
            _points(row["difference"]),
            f"{100 * row['low']:+.0f} to {100 * row['high']:+.0f}",
            _p_value(row["q_worse"]),
            _p_value(row["q_gap"]),
            _finding(row, overall, alpha),
        )
    output().print(table)
    output().print(
        Text(
            "q worse: one of the two errs more here. q gap: the gap here is not the overall gap. "
            "A dash: not tested, because the region it is part of did not stand out, or the gap "
            "does not vary at all.",
            style="dim",
        )
    )


def _finding(row: Mapping[str, Any], overall: float, alpha: float) -> str:
    found = []
    if row["q_worse"] is not None and row["q_worse"] < alpha:
        found.append("A worse" if row["difference"] > 0 else "B worse")
    if row["q_gap"] is not None and row["q_gap"] < alpha:
        found.append("gap above overall" if row["difference"] > overall else "gap below overall")
    return ", ".join(found)


class RunProgress:
    """Two bars: the partitions, and whatever long work the current one is doing."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._partitions = progress.add_task("partitions", total=total)
        self._work = progress.add_task("", total=None, visible=False)

    def start_partition(self, name: str) -> None:
        """Show which partition is being worked on."""
        self._progress.update(self._partitions, description=str(plain(name, 50)))

    def finish_partition(self) -> None:
        """Count a partition as done."""
        self._progress.update(self._work, visible=False)
        self._progress.advance(self._partitions)

    def report(self, report: ProgressReport) -> None:
        """Show how far the current work is."""
        self._progress.update(
            self._work,
            description=f"{report.work} ({report.rate:,.0f} {report.unit}/s)",
            completed=report.done,
            total=report.total,
            visible=True,
        )


@contextmanager
def run_progress(total: int) -> Iterator[RunProgress]:
    """Show progress on the terminal while the block runs."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=messages(),
        transient=True,
    )
    with progress:
        shown = RunProgress(progress, total)
        with listen(shown.report):
            yield shown
