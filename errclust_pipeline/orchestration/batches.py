"""Writing the batches of a reader: usable rows and rejects, each into a table of its own."""

from collections.abc import Iterable
from typing import TypeVar

import pyarrow as pa

from errclust_pipeline.orchestration.stage_partition import StagePartition
from errclust_pipeline.progress import ProgressCounter
from errclust_pipeline.sources import SourceError
from errclust_pipeline.warehouse.keys import RecordedPartition

_Recorded = TypeVar("_Recorded", bound=RecordedPartition)


def write_batches(
    target: StagePartition[_Recorded],
    batches: Iterable[tuple[pa.RecordBatch, pa.RecordBatch]],
    counter: ProgressCounter,
) -> tuple[int, int]:
    """Write batches of rows and rejects into the two tables of a stage.

    The rejects are written in any case. The rows are written only if the file could be read to its
    end and few enough rows were rejected; otherwise the rows that were stored before stay.

    Parameters
    ----------
    target : StagePartition
        A partition of a stage whose tables are one of rows and one of rejects.
    batches : iterable of pairs of pyarrow.RecordBatch
        Usable rows and rejects.
    counter : ProgressCounter
        Is advanced by the rows of each batch.

    Returns
    -------
    tuple of int
        The number of rows and the number of rejects.

    Raises
    ------
    SourceError
        If reading raises it, or if the share of rejects exceeds ``block_above_rejects`` of the
        settings.
    """
    table, reject_table = target.stage.tables
    limit = target.settings.submissions.block_above_rejects
    partition, provenance = target.partition, target.provenance
    reading_error = None
    with target.warehouse.writer(table, partition, provenance) as rows:
        with target.warehouse.writer(reject_table, partition, provenance) as rejects:
            try:
                for usable, rejected in batches:
                    rows.append(usable)
                    rejects.append(rejected)
                    counter.advance(usable.num_rows + rejected.num_rows)
            except SourceError as error:
                reading_error = error
        if reading_error is not None:
            raise reading_error
        share = rejects.rows / max(rejects.rows + rows.rows, 1)
        if share > limit:
            raise SourceError(
                f"{share:.0%} of the rows of {partition} could not be used, more than {limit:.0%}: "
                f"table {reject_table.name} says why; correct the file, or raise "
                "block_above_rejects in [submissions]. Rows that were read earlier are kept"
            )
    return rows.rows, rejects.rows
