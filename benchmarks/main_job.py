"""Time and memory of the main job on real results: ingest and run, from an empty warehouse.

    python benchmarks/main_job.py ../shared/data/mmlu_pro

Runs the command line as a user would, in processes of their own, and prints the wall time of each
stage and the peak memory (resident set) of the run. A second run shows what "up to date" costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def errclust(root: Path, *arguments: str) -> tuple[str, float, float]:
    """Run the command line; return its output, its seconds and its peak memory in MiB."""
    # A fresh child each time: the peak that the system keeps is over all children so far.
    program = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'errclust_pipeline.cli', *sys.argv[1:]])\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(f'\\n{peak}')\n"
        "sys.exit(done.returncode)\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-u", "-c", program, *arguments],
        env={**os.environ, "ERRCLUST_ROOT": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    output, _, peak = done.stdout.rstrip().rpartition("\n")
    kibibytes = 1 if sys.platform != "darwin" else 1 / 1024
    return output, time.monotonic() - started, int(peak) * kibibytes / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="result files, e.g. ../shared/data/mmlu_pro")
    parser.add_argument("--root", type=Path, help="keep the warehouse here (must not exist)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.root or Path(temporary) / "root"
        if root.exists():
            parser.error(f"{root} exists: the measurement starts from an empty warehouse")
        _, ingest_seconds, ingest_peak = errclust(root, "ingest", str(arguments.results), "--json")
        output, run_seconds, run_peak = errclust(root, "run", "--json")
        _, again_seconds, again_peak = errclust(root, "run", "--json")
        counts, _, _ = errclust(
            root,
            "sql",
            "select (select count(*) from responses) as responses, (select count(*) from rejects) "
            "as rejects, (select count(*) from errors) as errors, (select count(*) from "
            "cluster_labels where level = 1) as clusters",
            "--json",
        )
    report = json.loads(output)
    stages: dict[str, list[float]] = {}
    for run in report["runs"]:
        for stage, seconds in run["seconds"].items():
            stages.setdefault(stage, []).append(seconds)
    print(json.dumps(json.loads(counts)[0]))
    print(f"{'step':<22}{'seconds':>9}{'a partition, median':>21}{'peak MiB':>10}")
    print(f"{'ingest':<22}{ingest_seconds:>9.1f}{'':>21}{ingest_peak:>10.0f}")
    for stage, seconds in stages.items():
        median = sorted(seconds)[len(seconds) // 2]
        print(f"  {stage:<20}{sum(seconds):>9.1f}{median:>21.2f}")
    print(f"{'run':<22}{run_seconds:>9.1f}{'':>21}{run_peak:>10.0f}")
    print(f"{'run again, all fresh':<22}{again_seconds:>9.1f}{'':>21}{again_peak:>10.0f}")


if __name__ == "__main__":
    main()
