"""What does Dagster cost? The whole main job's wall time beside that of its functions alone.

`errclust ingest` and `errclust run` on real results from an empty warehouse, in a process of its
own, in which every asset's and every check's function is timed: those seconds are what calling the
functions in order would take. The rest is Dagster's (events, runs, resources) and our own planning.
Also printed: how long loading the definitions takes, and the peak memory of the process.

    python benchmarks/orchestration.py ../shared/data/mmlu_pro
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory import peak_mebibytes


def main() -> None:
    """Print seconds."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("results", type=Path, help="result files, e.g. ../shared/data/mmlu_pro")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(timed_run()))
        return
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ERRCLUST_ROOT": str(Path(folder) / "root")}

        def run(*command: str) -> str:
            return subprocess.run(
                [sys.executable, *command], env=environment, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True, check=True,
            ).stdout  # fmt: skip

        load = (
            "import time; started = time.perf_counter(); import errclust_pipeline.definitions; "
            "print(time.perf_counter() - started)"
        )
        loading = min(float(run("-c", load)) for _ in range(3))
        run("-m", "errclust_pipeline.cli", "ingest", str(given.results))
        measured = json.loads(run(__file__, str(given.results), "--one", "run").splitlines()[-1])
    functions = sum(measured["functions"].values())
    print(f"{'step':<24}{'seconds':>9}")
    for name, seconds in measured["functions"].items():
        print(f"  {name:<22}{seconds:>9.1f}")
    print(f"{'all functions':<24}{functions:>9.1f}")
    print(f"{'the whole run':<24}{measured['wall']:>9.1f}")
    print(f"{'beside the functions':<24}{measured['wall'] / functions - 1:>9.1%}")
    print(f"{'loading definitions':<24}{loading:>9.1f}")
    print(f"{'peak memory, MiB':<24}{measured['memory']:>9,.0f}")


def timed_run() -> dict[str, Any]:
    """Do `errclust run` with every asset's and check's function timed."""
    import errclust_pipeline.definitions  # noqa: F401 - it registers the assets.
    from errclust_pipeline.cli import app as cli
    from errclust_pipeline.orchestration.checks import all_checks
    from errclust_pipeline.orchestration.stage_asset import assets_in_flow_order

    functions: dict[str, float] = defaultdict(float)
    for asset in assets_in_flow_order():
        time_function(asset, asset.key.to_user_string(), functions)
    for check in all_checks():
        time_function(check, "checks", functions)
    sys.argv = ["errclust", "run", "--json"]
    started = time.perf_counter()
    try:
        cli.main()
    except SystemExit as stopped:
        if stopped.code:
            raise
    wall = time.perf_counter() - started
    return {"wall": wall, "functions": functions, "memory": peak_mebibytes()}


def time_function(definition: Any, name: str, functions: dict[str, float]) -> None:
    """Add a definition's seconds to its name's whenever its function is called."""
    compute = definition.node_def.compute_fn
    original: Callable[..., Any] = compute.decorated_fn

    @functools.wraps(original)
    def timed(*positional: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return original(*positional, **named)
        finally:
            functions[name] += time.perf_counter() - started

    definition.node_def._compute_fn = compute._replace(decorated_fn=timed)


if __name__ == "__main__":
    main()
