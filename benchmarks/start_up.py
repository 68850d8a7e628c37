"""Measure what help costs: processor time of `errclust --help` against a bare Typer program.

Each round runs every program once, in turn, so that a busy machine slows all of them alike; the
medians are printed. Processor time is user and system time of the process, start of Python
included.

    python benchmarks/start_up.py
    python benchmarks/start_up.py --rounds 15
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

BARE = '''\
import typer
import rich

app = typer.Typer()


@app.command()
def hello(name: str = "world") -> None:
    """Say hello."""


@app.command()
def goodbye(name: str = "world") -> None:
    """Say goodbye."""


app()
'''
COMMANDS = (["--help"], ["ingest", "--help"], ["status", "--help"], ["plot", "map", "--help"])


def processor_time(command: list[str]) -> float:
    """Return the user and system time of a command in seconds."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )


def main() -> None:
    """Print a row a program: its processor time, and that of the bare program's same help."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        errclust = [sys.executable, "-m", "errclust_pipeline.cli"]
        programs = {
            "bare --help": [sys.executable, str(bare), "--help"],
            "bare hello --help": [sys.executable, str(bare), "hello", "--help"],
            **{f"errclust {' '.join(words)}": [*errclust, *words] for words in COMMANDS},
        }
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        # The first round only warms the caches of files.
        for number in range(rounds + 1):
            for name, command in programs.items():
                elapsed = processor_time(command)
                if number:
                    seconds[name].append(elapsed)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| program | processor time, s | times the bare program |")
    print("|---|---|---|")
    for name, median in medians.items():
        of_command = name.count(" ") > 1
        base = medians["bare hello --help" if of_command else "bare --help"]
        print(f"| `{name}` | {median:.2f} | {median / base:.2f} |")


if __name__ == "__main__":
    main()
