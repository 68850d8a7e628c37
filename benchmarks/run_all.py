"""Run the benchmarks and write what they print to benchmarks/RESULTS.md.

Each runs in a process of its own. Its table is printed and written as soon as it is there, with the
machine, the versions and the date; what the others printed last time is kept until they are run
again. A benchmark that fails is named, with the end of what it said, and the others go on.

    make bench                                       # all: 70 minutes on two cores
    python benchmarks/run_all.py --only embedding    # those whose names contain a word
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
PACKAGES = (
    "torch", "openvino", "sentence-transformers", "model2vec", "numpy", "scipy", "scikit-learn",
    "scikit-network", "pynndescent", "umap-learn", "pyarrow", "duckdb", "pandas", "dagster",
)  # fmt: skip


@dataclass(frozen=True)
class Benchmark:
    """A command, below this folder; ``{data}``, ``{root}`` and ``{cache}`` are filled in."""

    command: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.command.split()[0].removesuffix(".py")


# The main job comes first: others read the warehouse that it leaves.
BENCHMARKS = (
    Benchmark("main_job.py {data}/mmlu_pro --root {root}"),
    Benchmark("orchestration.py {data}/mmlu_pro"),
    Benchmark("embedding.py {data}/mmlu_pro --most 0 --rounds 1"),
    Benchmark("nearest_neighbours.py {data}/mmlu_pro"),
    Benchmark("source_throughput.py --data {data}"),
    Benchmark("prompt_length.py"),
    Benchmark("battle_reading.py {data}"),
    Benchmark("spatial_speed.py --root {root}"),
    Benchmark("cluster_peers.py --data {data} --cache {cache}"),
    Benchmark("scale.py {data}/mmlu_pro --sizes 10000 100000 1000000"),
    Benchmark("battle_ratings.py {data}"),
    Benchmark("selection.py --root {root}"),
    Benchmark("planted_label_errors.py {data}/mmlu_pro --root {root}"),
    Benchmark("start_up.py"),
)


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--only", nargs="*", default=[""], help="words that names contain")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    wanted = [one for one in BENCHMARKS if any(word in one.name for word in arguments.only)]
    if not wanted:
        parser.error(f"none is named so; there are {', '.join(one.name for one in BENCHMARKS)}")
    sections, failed = earlier(arguments.out), []
    with tempfile.TemporaryDirectory() as folder:
        places = {
            "data": str(arguments.data.resolve()),
            "root": str(Path(folder) / "root"),
            "cache": str(Path(folder) / "cache"),
        }
        for benchmark in wanted:
            section, succeeded = run(benchmark, places)
            print(section, flush=True)
            if succeeded:
                sections[benchmark.name] = section
                write(arguments.out, sections)
            else:
                failed.append(benchmark.name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; {arguments.out} keeps what it had of them")


def run(benchmark: Benchmark, places: dict[str, str]) -> tuple[str, bool]:
    """Run one; return its section and whether it succeeded."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *benchmark.command.format(**places).split()],
        cwd=HERE,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
    )
    shown = re.sub(r"\{(\w+)\}", r"\1", benchmark.command)
    output = done.stdout.rstrip() if done.returncode == 0 else done.stderr[-2_000:].rstrip()
    section = (
        f"## {benchmark.name}\n\n"
        f"`python benchmarks/{shown}`, {time.monotonic() - started:,.0f} s, on {machine()}\n\n"
        f"```\n{output}\n```\n"
    )
    return section, done.returncode == 0


def write(results: Path, sections: dict[str, str]) -> None:
    """Write sections in the benchmarks' order."""
    beside = results.with_suffix(".new")
    order = [one.name for one in BENCHMARKS if one.name in sections]
    beside.write_text("\n".join([HEADER, *(sections[name] for name in order)]), "utf-8")
    beside.replace(results)


def earlier(results: Path) -> dict[str, str]:
    """Return the sections of the last results by name: what is not run now is kept."""
    if not results.exists():
        return {}
    sections = re.split(r"^(?=## )", results.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {section.split()[1]: section.rstrip() + "\n" for section in sections}


HEADER = """# What the benchmarks print

Written by `make bench`; each section says on what machine, with what versions and when. Ratios hold
elsewhere; seconds do not.
"""


def machine() -> str:
    """Describe machine, versions and date in a line."""
    versions = ", ".join(
        f"{package} {importlib.metadata.version(package)}" for package in installed()
    )
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python "
        f"{platform.python_version()}, {versions}, {datetime.date.today()}"
    )


def installed() -> list[str]:
    """Return those of `PACKAGES` that are installed."""
    names = {one.metadata["Name"].lower() for one in importlib.metadata.distributions()}
    return [package for package in PACKAGES if package in names]


def processor() -> str:
    """Return the processor's name, or its kind where that is not told."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        named = re.search(r"model name\s*:\s*(.+)", described.read_text())
        if named:
            return named[1]
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
