"""Rows of the table `rejects`, the plainest one, for tests of how tables are kept."""

import pyarrow as pa

from errclust_pipeline.tables import REJECTS
from errclust_pipeline.warehouse.keys import SubmissionPartition
from errclust_pipeline.warehouse.provenance import Provenance

PARTITION = SubmissionPartition("trivia", "org__model")
PROVENANCE = Provenance("raw_results", "1", "v1", {"submission": "r"}, {"text": "question"})


def rejects(count: int, reason: str = "not_json") -> pa.Table:
    return pa.table(
        {
            "source": ["file.jsonl"] * count,
            "position": range(count),
            "reason": [reason] * count,
            "detail": ["it's broken"] * count,
            "excerpt": pa.nulls(count, pa.string()),
            "revision": ["r"] * count,
        },
        schema=REJECTS.schema,
    )
