"""A partition that is rewritten all the while, and what its readers saw."""

import collections
import threading
import time
from contextlib import contextmanager

from errclust_pipeline.tables import REJECTS
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.rejected_rows import PARTITION, PROVENANCE, rejects


@contextmanager
def rewritten(root):
    """A warehouse with a partition that another thread rewrites all the while."""
    warehouse = Warehouse(str(root))
    warehouse.write(REJECTS, PARTITION, rejects(10, "a"), PROVENANCE)
    stop = threading.Event()

    def write_on():
        while not stop.is_set():
            warehouse.write(REJECTS, PARTITION, rejects(500, "b"), PROVENANCE)
            warehouse.write(REJECTS, PARTITION, rejects(10, "a"), PROVENANCE)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        yield warehouse
    finally:
        stop.set()
        writer.join()


def both_seen(read):
    """Read until both states were seen, forty times at least."""
    seen, until = collections.Counter(), time.monotonic() + 60
    while (seen.total() < 40 or len(seen) < 2) and time.monotonic() < until:
        seen[read()] += 1
    return set(seen)
