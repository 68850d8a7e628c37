"""`errclust show clusters`, `labels` and `diagnoses`: a model's errors, grouped and explained."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, ModelOnBenchmark, stop
from errclust_pipeline.cli.console import Row, percent, plain
from errclust_pipeline.cli.registry import Group, Options, Section, command

if TYPE_CHECKING:
    from errclust_pipeline.warehouse.keys import SubmissionPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse

SHOW = Group("show", "Show what was found.", Section.LOOK)

_NO_CLUSTERS = "no clusters: the model has too few errors, or no two are alike"


@command(
    "clusters",
    Section.LOOK,
    "errclust show clusters my-benchmark my-org/my-model --examples 2",
    group=SHOW,
)
def show_clusters(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    level: Annotated[
        int | None, typer.Option(help="Only clusters down to this level; 1 is the coarsest.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Number of level-1 clusters shown, largest first.")
    ] = None,
    examples: Annotated[int, typer.Option(help="Examples shown of each cluster.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Show the clusters of a model's errors: what it gets wrong, largest first.

    A cluster holds errors whose questions are alike, and may have parts. Each is shown with its
    name, its size, how its responses fail and some of them.
    """
    import pyarrow.compute as pc

    from errclust_pipeline.tables import CLUSTER_LABELS, ERROR_CLUSTERS

    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    clusters = warehouse.read(
        ERROR_CLUSTERS, partition, columns=["cluster_id"], filters=pc.field("level") == 1
    )
    labels = warehouse.read(CLUSTER_LABELS, partition).to_pylist()
    labels.sort(key=lambda row: (row["level"], -row["size"], row["cluster_id"]))
    kept = {row["cluster_id"] for row in [row for row in labels if row["level"] == 1][:limit]}
    labels = [
        row
        for row in labels
        if row["cluster_id"].split(".")[0] in kept and (level is None or row["level"] <= level)
    ]
    if as_json:
        console.print_json(labels)
        return
    errors, noise = clusters.num_rows, clusters["cluster_id"].null_count
    title = f": {errors:,} errors"
    if noise:
        title += f", {noise:,} of them in no cluster ({noise / errors:.0%})"
    _print_tree(console.heading(partition.model, partition.benchmark, title), labels, examples)


def _print_tree(title: Text, labels: Sequence[Row], examples: int) -> None:
    """Print clusters as a tree, with examples of each.

    Parameters
    ----------
    labels : sequence of rows of `cluster_labels`
        Each after the one it is part of.
    examples : int
        Number of exemplars shown of each cluster.
    """
    root = Tree(title)
    nodes: dict[str | None, Tree] = {None: root}
    for row in labels:
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
            node.add(console.example_line(exemplar))
    console.output().print(root)
    if not labels:
        console.print_note(_NO_CLUSTERS)


@command("labels", Section.LOOK, "errclust labels my-benchmark my-org/my-model --unfaithful")
def labels(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    level: Annotated[
        int, typer.Option(help="Only clusters down to this level; 1 is the coarsest.")
    ] = 1,
    limit: Annotated[
        int, typer.Option(help="Number of clusters shown, largest first; 0 shows all.")
    ] = 20,
    examples: Annotated[int, typer.Option(help="Examples shown of each cluster.")] = 2,
    unfaithful: Annotated[
        bool, typer.Option("--unfaithful", help="Only labels that failed their test.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the names of a model's clusters, and how well each name fits its members.

    A language model writes the names if one is configured ([language_model] in the settings), with
    the probable cause of the errors; otherwise they are key phrases. Faithfulness is measured on
    members and non-members that the name was not written from.
    """
    from errclust_pipeline.tables import CLUSTER_LABELS

    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    rows = [
        row
        for row in warehouse.read(CLUSTER_LABELS, partition).to_pylist()
        if row["level"] <= level and (not unfaithful or row["is_faithful"] is False)
    ]
    rows = sorted(rows, key=lambda row: -row["size"])[: limit or None]
    if as_json:
        console.print_json(rows)
    elif rows:
        _print_labels(console.heading(partition.model, partition.benchmark), rows, examples)
    else:
        console.print_note("no label failed its test" if unfaithful else _NO_CLUSTERS)


def _print_labels(title: Text, rows: Sequence[Row], examples: int) -> None:
    """Print rows of `cluster_labels` as a table, with their tests and examples."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("name", ratio=1)
    for heading in ("errors", "share", "faithfulness", "judged", "distinct"):
        table.add_column(heading, justify="right")
    table.add_column("cause")
    for row in rows:
        table.add_row(
            Text(row["cluster_id"], style="cyan"),
            _name_with_remarks(row, examples),
            f"{row['size']:,}",
            percent(row["share_of_errors"], 1),
            _with_interval(row, "faithfulness"),
            _with_interval(row, "judged_faithfulness"),
            percent(row["distinctiveness"]),
            Text((row["cause"] or "–").replace("_", " ")),
        )
    console.output().print(table)
    console.print_note(
        "faithfulness: balanced accuracy of telling members from other errors by the name alone, "
        "on errors that the name was not written from: by similarity, and (judged) by a language "
        "model; 50% is chance. distinct: share of the "
        "name's words that do not describe a sibling cluster as well."
    )


def _name_with_remarks(row: Row, examples: int) -> Text:
    """Return a cluster's name, what is to be said about it, and examples on the next lines."""
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
        name.append("\n").append_text(console.example_line(exemplar))
    return name


def _with_interval(row: Row, name: str) -> str:
    if row[name] is None:
        return "–"
    return f"{row[name]:.0%} ({row[f'{name}_low']:.0%}-{row[f'{name}_high']:.0%})"


@dataclass(frozen=True)
class QuoteOptions(Options):
    """Whether diagnosing is done, or only priced."""

    quote: Annotated[
        bool,
        typer.Option("--quote", help="Only say what diagnosing would cost; no request is sent."),
    ] = False
    share: Annotated[
        float | None,
        typer.Option(help="For a quote: the share of errors to diagnose, instead of the setting."),
    ] = None


@command(
    "diagnoses",
    Section.LOOK,
    "errclust diagnoses my-benchmark my-org/my-model --quote --share 0.1",
    "errclust diagnoses my-benchmark my-org/my-model",
)
def diagnoses(
    target: ModelOnBenchmark,
    data_root: DataRoot,
    pricing: QuoteOptions,
    examples: Annotated[int, typer.Option(help="Diagnoses shown of each cluster.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Show why a model's responses are wrong, as a language model diagnoses a sample of them.

    `errclust run` diagnoses errors where a language model is configured and [diagnosis] has a
    share. The sample is drawn evenly over the map; numbers of errors are estimates for all errors.
    """
    from errclust_pipeline.tables import DIAGNOSIS_CLUSTERS, DIAGNOSIS_LABELS, ERROR_DIAGNOSES
    from errclust_pipeline.views.marks import read_region_names

    warehouse = data_root.warehouse()
    partition = target.partition(warehouse)
    if _print_quote(warehouse, partition, pricing, as_json):
        return
    rows = warehouse.read(ERROR_DIAGNOSES, partition).to_pylist()
    names = warehouse.read(DIAGNOSIS_LABELS, partition).to_pylist()
    clusters = warehouse.read(DIAGNOSIS_CLUSTERS, partition).to_pylist()
    if as_json:
        console.print_json({"diagnoses": rows, "clusters": names})
        return
    _print_causes(console.heading(partition.model, partition.benchmark), rows)
    members: dict[str, list[str]] = {}
    for row in clusters:
        if row["level"] == 1 and row["cluster_id"] is not None:
            members.setdefault(row["cluster_id"], []).append(row["example_id"])
    _print_diagnosis_clusters(
        {row["example_id"]: row for row in rows if row["diagnosis"] is not None},
        [row for row in names if row["level"] == 1],
        members,
        read_region_names(warehouse, partition.benchmark),
        examples,
    )


def _print_quote(
    warehouse: Warehouse, partition: SubmissionPartition, pricing: QuoteOptions, as_json: bool
) -> bool:
    """Print what diagnosing would cost, if that is asked for; stop if nothing is diagnosed."""
    from errclust_pipeline.settings import load_settings

    settings = load_settings(warehouse.storage)
    chosen = settings.for_benchmark(partition.benchmark).diagnosis
    if pricing.share is not None:
        chosen = type(chosen)(share=pricing.share, most=chosen.most)
    options = settings.language_model.options()
    if options is None or not chosen.share:
        stop(
            "errors are not diagnosed: set model in [language_model], and share in [diagnosis] "
            "(0.1 is a tenth of the errors), then `errclust diagnoses … --quote`"
        )
    if not pricing.quote:
        return False
    from errclust_pipeline.language_model.client import LanguageModel
    from errclust_pipeline.views.diagnoses import errors_to_diagnose

    model = LanguageModel(options, warehouse.storage)
    quote = model.quote(
        errors_to_diagnose(warehouse, partition, chosen, options.prompt_tokens).prompts
    )
    if as_json:
        console.print_json(dataclasses.asdict(quote))
    else:
        console.print_message(f"{model.name}: {quote}")
    return True


def _print_causes(title: Text, rows: Sequence[Row]) -> None:
    """Print how many errors were diagnosed, and the causes estimated for all errors."""
    diagnosed = [row for row in rows if row["diagnosis"] is not None]
    total = sum(row["weight"] for row in diagnosed)
    console.print_line(
        title.append(
            f": {len(diagnosed):,} errors diagnosed, standing for {total:,.0f}; "
            f"{len(rows) - len(diagnosed):,} have no diagnosis"
        )
    )
    causes: Counter[str] = Counter()
    for row in diagnosed:
        causes[row["cause"]] += row["weight"]
    console.print_rows(
        [
            {"cause": cause.replace("_", " "), "errors": round(weight), "share": weight / total}
            for cause, weight in causes.most_common()
        ],
        title="why, estimated for all errors",
    )


def _print_diagnosis_clusters(
    diagnosed: Mapping[str, Row],
    labels: Sequence[Row],
    members: Mapping[str, Sequence[str]],
    region_names: Mapping[str, str],
    examples: int,
) -> None:
    """Print clusters of diagnoses, the regions of each, and examples.

    Parameters
    ----------
    diagnosed : mapping from example id to row of `error_diagnoses`
    labels : sequence of rows of `diagnosis_labels`
    members : mapping from cluster id to example ids
    region_names : mapping from region id to label
    examples : int
        Number of diagnoses shown of each cluster.
    """
    root = Tree(Text("clusters of diagnoses: why, and where each kind is found", style="bold"))
    for label in labels:
        inside = [diagnosed[name] for name in members.get(label["cluster_id"], [])]
        size = sum(row["weight"] for row in inside)
        node = root.add(
            Text.assemble(
                (f"{label['cluster_id']:<4}", "cyan"),
                (str(plain(label["label"])), "bold"),
                f"  {len(inside):,} diagnosed, about {size:,.0f} errors",
            )
        )
        regions: Counter[str] = Counter()
        for row in inside:
            regions[row["region_id"] or ""] += row["weight"]
        named = [
            f"{plain(region_names.get(region, 'no region'))} {weight / size:.0%}"
            for region, weight in regions.most_common(3)
        ]
        node.add(Text("in " + "; ".join(named), style="dim"))
        for row in inside[:examples]:
            node.add(Text(f"{plain(row['diagnosis'])} Missing: {plain(row['missing'])}"))
    console.output().print(root)
