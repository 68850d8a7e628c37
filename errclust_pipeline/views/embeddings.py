"""The embeddings of errors, from their table into a matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def embedding_matrix(embeddings: pa.Table) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the column ``embedding`` of the table `error_embeddings` as a matrix.

    Parameters
    ----------
    embeddings : pyarrow.Table, n rows

    Returns
    -------
    float32 array, shape (n, dimensions)
        Shape (0, 0) if there are no rows.
    """
    column = embeddings["embedding"].combine_chunks()
    if not len(column):
        return np.empty((0, 0), dtype=np.float32)
    values: np.ndarray[Any, np.dtype[np.float32]] = column.flatten().to_numpy()
    return values.reshape(len(column), -1)
