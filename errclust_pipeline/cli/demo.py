"""`errclust demo` and `errclust dev`: try it out, and open the Dagster UI."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import DataRoot, stop
from errclust_pipeline.cli.registry import Section, command
from errclust_pipeline.cli.run import run_partitions

if TYPE_CHECKING:
    from errclust_pipeline.warehouse.keys import SubmissionPartition
    from errclust_pipeline.warehouse.warehouse import Warehouse


@command("demo", Section.OPERATE, "errclust demo --root /tmp/errclust-demo")
def demo(
    data_root: DataRoot,
    seed: Annotated[int, typer.Option(help="Generate another leaderboard than the usual one.")] = 0,
) -> None:
    """Generate the demo leaderboard, run everything on it and show what is found.

    Four simulated models with known bugs answer two benchmarks. It needs no key and no network, and
    takes a few minutes; a second call finds everything done.
    """
    from errclust_pipeline.demo import write_demo_leaderboard
    from errclust_pipeline.ingestion.files import ingest as ingest_files
    from errclust_pipeline.warehouse.keys import SubmissionPartition

    warehouse = data_root.warehouse()
    if not warehouse.storage.is_local:
        stop(f"the demo writes files, and {data_root.url} is no folder: give a folder as --root")
    folder = Path(warehouse.storage.path("demo", f"seed-{seed}"))
    if not (folder / "ground_truth.parquet").exists():
        console.print_message(f"writing the demo leaderboard to {folder}")
        write_demo_leaderboard(folder, seed)
    partitions = [
        recorded.partition
        for recorded in ingest_files(warehouse, [folder / "submissions"])
        if isinstance(recorded.partition, SubmissionPartition)
    ]
    run_partitions(warehouse, partitions)
    _print_telling_clusters(warehouse, partitions)
    _print_next_steps(warehouse, partitions, folder, data_root.as_option)


def _print_next_steps(
    warehouse: Warehouse,
    partitions: Sequence[SubmissionPartition],
    folder: Path,
    root_option: str,
) -> None:
    """Print the commands that show what was found in the demo."""
    first, second = partitions[:2]
    count_forms = "select model, failure_form, count(*) from errors group by all order by all"
    lines = (
        "",
        "Where to look next:",
        f"  errclust show clusters {first.benchmark} {first.model}{root_option}",
        f"  errclust map {first.benchmark}{root_option}",
        f"  errclust hotspots {first.benchmark} {first.model}{root_option}",
        f"  errclust compare {first.benchmark} {first.model} {second.model}{root_option}",
        f"  errclust report {first.benchmark}{root_option}",
        f'  errclust sql{root_option} "{count_forms}"',
        f"  errclust dev{root_option}   (the Dagster UI, on the same data)",
        f"  {warehouse.catalog_path}   (the tables, for DuckDB)",
        f"  {folder / 'ground_truth.parquet'}   (the planted bugs; for your eyes only)",
    )
    console.output().print(Text("\n".join(lines)), soft_wrap=True)


def _print_telling_clusters(
    warehouse: Warehouse, partitions: Sequence[SubmissionPartition]
) -> None:
    """Print three clusters that are large and tight, each of another model."""
    from errclust_pipeline.tables import CLUSTER_LABELS

    ranked = []
    for partition in partitions:
        labels = warehouse.read(CLUSTER_LABELS, partition).to_pylist()
        if labels:
            best = max(labels, key=lambda row: row["size"] * row["mean_similarity"])
            ranked.append((best["share_of_errors"] * best["mean_similarity"], partition, best))
    ranked.sort(key=lambda candidate: (-candidate[0], candidate[1]))
    best_of = {partition.model: (partition, row) for _, partition, row in reversed(ranked)}
    console.print_line("")
    console.print_line(
        "The most telling clusters (large and tight), each of another model:", style="bold"
    )
    by_share = sorted(best_of.values(), key=lambda candidate: -candidate[1]["share_of_errors"])
    for partition, row in by_share[:3]:
        console.print_line(
            f"{partition.model} on {partition.benchmark}: {row['label']} ({row['size']} errors, "
            f"{row['share_of_errors']:.0%} of all)",
            style="cyan",
        )
        for exemplar in row["exemplars"][:2]:
            console.print_line(Text("    ").append_text(console.example_line(exemplar)))


@command("dev", Section.OPERATE, "errclust dev --port 3001")
def dev(
    data_root: DataRoot,
    port: Annotated[int, typer.Option(help="The UI's port.")] = 3000,
) -> None:
    """Open the Dagster UI on the data root; it needs no other set-up.

    Result files that are put into the watched folders (by default drop/ in the data root) are
    computed while it runs. Stop it with Ctrl-C.
    """
    from errclust_pipeline.orchestration.instance import dagster_home, open_instance
    from errclust_pipeline.orchestration.partitions import add_partitions
    from errclust_pipeline.orchestration.runs import fail_abandoned_runs

    warehouse = data_root.warehouse()
    home = dagster_home(warehouse.storage)
    with open_instance(warehouse.storage) as instance:
        add_partitions(instance, [*warehouse.submissions(), *warehouse.battle_sets()])
        fail_abandoned_runs(instance)
    _prepare_watched_folders(warehouse)
    environment = {
        "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "300",
        **os.environ,
        "DAGSTER_HOME": str(home),
        "ERRCLUST_ROOT": warehouse.storage.url,
    }
    arguments = [
        sys.executable, "-m", "dagster", "dev",
        "--module-name", "errclust_pipeline.definitions", "--port", str(port),
    ]  # fmt: skip
    os.execve(sys.executable, arguments, environment)  # noqa: S606


def _prepare_watched_folders(warehouse: Warehouse) -> None:
    """Make the watched folders below the data root, and name all of them."""
    from errclust_pipeline.settings import load_settings

    settings = load_settings(warehouse.storage).submissions
    for folder in settings.folders:
        url = settings.url(folder, warehouse.storage)
        if url.startswith(f"{warehouse.storage.root}/"):
            Path(url).mkdir(parents=True, exist_ok=True)
        console.print_message(f"watching {url}: results put there are computed by themselves")
