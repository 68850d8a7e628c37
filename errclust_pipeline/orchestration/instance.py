"""The Dagster instance that belongs to a data root."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import filelock

from errclust_pipeline.warehouse.storage import Storage

_INSTANCE_CONFIGURATION = """\
# Written once by errclust, which never changes it: edit it freely.
telemetry:
  enabled: false
# No invitation to Dagster's newsletter before the first page.
nux:
  enabled: false
concurrency:
  runs:
    # Each run is a process that may hold an embedding model.
    max_concurrent_runs: 2
    tag_concurrency_limits:
      # Two runs of one partition would do the same work.
      - key: dagster/partition
        value: {applyLimitPerUniqueValue: true}
        limit: 1
  pools:
    # The pools are: embedding, language_model.
    granularity: run
    default_limit: 1
run_monitoring:
  enabled: true
  poll_interval_seconds: 30
  # Fails a run whose process never started.
  start_timeout_seconds: 120
run_retries:
  enabled: true
  max_retries: 2
  # Retries runs whose process was killed. An asset retries transient errors itself; any other
  # error would only occur again.
  retry_on_asset_or_op_failure: false
"""


def dagster_home(storage: Storage) -> Path:
    """Return the folder of a root's Dagster instance, and write its configuration if it has none.

    It is ``$DAGSTER_HOME`` if that is set, otherwise ``<root>/dagster_home``.

    Raises
    ------
    ValueError
        If the root is remote and ``DAGSTER_HOME`` is not set.
    """
    configured = os.environ.get("DAGSTER_HOME")
    if configured:
        home = Path(configured).expanduser().resolve()
    elif storage.is_local:
        home = Path(storage.path("dagster_home"))
    else:
        raise ValueError(
            f"data root {storage.url} is not a local folder: set DAGSTER_HOME to a local folder in "
            "which Dagster keeps its record of runs"
        )
    configuration = home / "dagster.yaml"
    if not configuration.exists():
        Storage(str(home)).write_text(str(configuration), _INSTANCE_CONFIGURATION)
    return home


def open_instance(storage: Storage) -> dg.DagsterInstance:
    """Open a root's Dagster instance; use it in a `with` block."""
    home = dagster_home(storage)
    os.environ["DAGSTER_HOME"] = str(home)
    # Two processes that create the instance's databases at the same time damage them.
    with filelock.FileLock(home / ".opening.lock"):
        return dg.DagsterInstance.from_config(str(home))
