"""`errclust report` and `errclust explore`: what was found, to look at in a browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import DataRoot, stop
from errclust_pipeline.cli.registry import Section, command

if TYPE_CHECKING:
    from errclust_pipeline.report.contents import ReportContents
    from errclust_pipeline.warehouse.warehouse import Warehouse

ModelsFilter = Annotated[
    list[str] | None, typer.Option("--model", "-m", help="Only this model; may be repeated.")
]


def _model_keys(warehouse: Warehouse, names: list[str] | None) -> list[str] | None:
    """Return the keys of models; None for all."""
    return [warehouse.known_key("model", name) for name in names] if names else None


@command(
    "report",
    Section.SHARE,
    "errclust report my-benchmark --out report.html",
)
def report(
    collection: Annotated[
        str, typer.Argument(help="The benchmark, or the battle set.", metavar="BENCHMARK")
    ],
    data_root: DataRoot,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file to write.  [default: BENCHMARK.html]", show_default=False
        ),
    ] = None,
    model: ModelsFilter = None,
) -> None:
    """Write what was found as one HTML file: leaderboard, map, comparisons, confidence, clusters.

    The report of a battle set has ratings, where each model wins, and two models against each
    other. The file opens in a browser without a server and loads nothing from the network. It holds
    questions and responses, so whoever gets the file can read them.
    """
    from errclust_pipeline.report import read_battle_contents, read_contents, write_report
    from errclust_pipeline.warehouse.keys import BattleSetPartition

    warehouse = data_root.warehouse()
    key = warehouse.known_key("benchmark", collection)
    battle_set = BattleSetPartition(key)
    if warehouse.has_submission(battle_set):
        if model:
            stop(f"{key} is a battle set, whose report is about all models: leave out --model")
        contents: ReportContents = read_battle_contents(warehouse, battle_set)
    else:
        contents = read_contents(warehouse, key, _model_keys(warehouse, model))
    target = out or Path(f"{key}.html")
    size = write_report(contents, target.absolute())
    for note in contents.numbers["notes"]:
        console.print_message(note, style="yellow")
    console.print_message(f"{target} is written ({size / 1e6:.1f} MB): open it in a browser")


@command(
    "explore",
    Section.SHARE,
    "errclust explore my-benchmark --model my-org/my-model",
    "errclust explore my-benchmark --out map.parquet",
)
def explore(
    benchmark: Annotated[str, typer.Argument(help="The benchmark.")],
    data_root: DataRoot,
    model: ModelsFilter = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Only write the table, as Parquet.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="The explorer's port.  [default: 5055, or any that is free]"
        ),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser on it.")] = True,
) -> None:
    """Explore the map in a browser: search, filter, colour it by any column, look at neighbours.

    The explorer is Apple's embedding-atlas, an extra: pip install "errclust[explore]". It serves
    the questions to this machine only and fetches nothing from the network. Its map needs a browser
    with WebGPU; its tables and charts do not. Stop it with Ctrl-C.
    """
    from errclust_pipeline.report import explorer

    warehouse = data_root.warehouse()
    key = warehouse.known_key("benchmark", benchmark)
    models = _model_keys(warehouse, model)
    # Before the table is made: it says so if the explorer is not installed.
    atlas = explorer.atlas_command() if out is None else []
    table = explorer.explorer_table(warehouse, key, models)
    size = f"{table.num_rows:,} questions, {table.num_columns} columns"
    if out is not None:
        explorer.write_explorer_table(table, out.absolute())
        console.print_message(f"{out} is written: {size}")
        return
    free_port = explorer.free_port(port)
    labels = explorer.region_labels_on_the_map(warehouse, key)
    try:
        _exit_on_sigterm()
        with explorer.atlas(table, labels, free_port, atlas) as process:
            address = f"http://127.0.0.1:{free_port}"
            console.print_message(f"{key} at {address} ({size}); Ctrl-C stops it")
            if browser:
                import webbrowser

                webbrowser.open(address)
            if process.wait():
                stop(
                    f"embedding-atlas ended with code {process.returncode}: what it printed above "
                    "says why"
                )
    except KeyboardInterrupt:
        console.print_message("stopped")


def _exit_on_sigterm() -> None:
    """Let a SIGTERM end this process as an exception does, so that its children end with it."""
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
