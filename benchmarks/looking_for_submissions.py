"""How long does a look at a drop folder take, with 30,000 submissions known and 100 new?

    python benchmarks/looking_for_submissions.py

Prints the seconds of looks and the peak memory. Cost: listing and memory grow with the number of
files, taking in grows with the files that are new and their size (each is read once for its hash).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from memory import peak_mebibytes

from errclust_pipeline.ingestion import DropFolder
from errclust_pipeline.ingestion.folder_memory import FileState, FolderMemory, KnownFile
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.warehouse import Warehouse

ROWS_A_FILE = 1_000


def main() -> None:
    """Print one row a scan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--known", type=int, default=30_000)
    parser.add_argument("--new", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, drop = Path(folder) / "root", Path(folder) / "drop"
        warehouse = Warehouse(str(root))
        for number in range(arguments.known):
            path = drop / f"org{number % 300}" / f"known-{number}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        watched = DropFolder(warehouse, str(drop))
        # As after the scans that took them in, which are not measured.
        memory = FolderMemory(scan=1)
        for file in watched.listing.files():
            key = Path(file.path).stem
            memory.files[file.path] = KnownFile(
                file.version, FileState.TAKEN, [SubmissionPartition("benchmark", key)]
            )
            memory.requested[SubmissionPartition("benchmark", key)] = ["0" * 32]
        memory.write(warehouse, watched._path, watched.listing.url)
        for number in range(arguments.new):
            rows = (
                {
                    "input_text": f"question {n} of a benchmark, as long as one is",
                    "output_text": "an answer " * 50,
                    "score": (n + number) % 2,
                    "model": f"org/new-{number}",
                    "dataset": "benchmark",
                }
                for n in range(ROWS_A_FILE)
            )
            (drop / f"new-{number}.jsonl").write_text(
                "".join(json.dumps(row) + "\n" for row in rows)
            )
        scan = 1
        print(f"{arguments.known:,} submissions known, {arguments.new:,} new")
        for what in ("new files are seen", "they are taken in", "the rest", "nothing is new"):
            started = time.monotonic()
            found = watched.scan(scan)
            scan = found.scan
            print(
                f"  {what:<20}{time.monotonic() - started:>6.1f} s"
                f"{len(found.requests):>6} requests{found.waiting:>6} waiting"
            )
    print(f"peak memory {peak_mebibytes():,.0f} MiB")


if __name__ == "__main__":
    main()
