"""Writing what a reader gives: rows that may be used, and rejects in any case."""

from collections.abc import Iterable

import pyarrow as pa

from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.sources import SourceError
from errclust_pipeline.stages import Stage
from errclust_pipeline.warehouse.keys import RecordedPartition
from errclust_pipeline.warehouse.provenance import Provenance
from errclust_pipeline.warehouse.warehouse import Warehouse


def write_read(
    store: Warehouse,
    stage: Stage,
    partition: RecordedPartition,
    made_from: Provenance,
    batches: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
    most_rejects: float,
    counter: ProgressCounter,
) -> tuple[int, int]:
    """Write batches of rows and rejects into a stage's two tables.

    Rows come last and only if they may be used; what was rejected is kept in any case.

    Parameters
    ----------
    stage : Stage
        Its tables are that of rows and that of rejects.
    most_rejects : float
        Share of rows that may be unusable.

    Returns
    -------
    tuple of int
        How many rows and rejects there were.

    Raises
    ------
    SourceError
        What the batches raise; or if more than that share was rejected.
    """
    table, rejected = stage.tables
    unusable = None
    with store.writer(table, partition, made_from) as rows:
        with store.writer(rejected, partition, made_from) as rejects:
            try:
                for usable, not_usable in batches:
                    rows.append(usable)
                    rejects.append(not_usable)
                    counter.advance(usable.num_rows + not_usable.num_rows)
            except SourceError as error:
                unusable = error
        if unusable is not None:
            raise unusable
        share = rejects.rows / max(rejects.rows + rows.rows, 1)
        if share > most_rejects:
            raise SourceError(
                f"{share:.0%} of the rows of {partition} could not be used, more than "
                f"{most_rejects:.0%}: see table {rejected.name} for why; mend the file, or raise "
                "block_above_rejects in [submissions]. What was read of it before, if anything, "
                "stands"
            )
    return rows.rows, rejects.rows
