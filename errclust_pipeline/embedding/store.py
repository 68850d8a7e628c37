"""Embeddings, stored by content: a text that was embedded once is never embedded again.

::

    <root>/embedding_store/<embedder>/shard=<0-f>/segment-<n>-<uuid>.arrow

The first digit of a text's hash determines its shard. A process that embeds texts of a shard holds
the shard's lock, first reads what other processes have written meanwhile, and writes the missing
vectors as new segments of at most `SEGMENT_TEXTS` texts, each whole or not at all. Thus no two
processes embed the same text, they wait for each other only on the same shard, and a process that
is killed loses the work on one segment at most. Segments are never changed.

The time to look texts up is proportional to the number of texts in their shards: hashes are
compared in memory, and only the requested vectors are read from the memory-mapped files.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

import filelock
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.warehouse.storage import Storage

SEGMENT_TEXTS = 512
"""Maximum number of texts in a segment."""
_SHARDS = "0123456789abcdef"

FloatMatrix = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], FloatMatrix]


class EmbeddingStoreError(RuntimeError):
    """A segment is damaged, or an embedder returned vectors that cannot be stored."""


class EmbeddingStore:
    """The embeddings of one embedder.

    Parameters
    ----------
    storage : Storage
        The data root.
    embedder : str
        The embedder's identity (see `embedder_identity`).
    """

    def __init__(self, storage: Storage, embedder: str) -> None:
        self._storage = storage
        self._folder = f"embedding_store/{embedder}"

    def missing(self, text_ids: Sequence[str]) -> list[str]:
        """Return the texts that are not stored, without repeats, in the order given."""
        stored: set[str] = set()
        for shard, ids in _by_shard(text_ids).items():
            for segment in self._segments(shard):
                in_segment = pc.is_in(
                    pa.array(ids, pa.string()), value_set=_column(segment, "text_id")
                )
                stored.update(
                    text_id
                    for text_id, is_in in zip(ids, in_segment.to_pylist(), strict=True)
                    if is_in
                )
        return [text_id for text_id in dict.fromkeys(text_ids) if text_id not in stored]

    def read(self, text_ids: Sequence[str]) -> FloatMatrix:
        """Return stored vectors.

        Parameters
        ----------
        text_ids : sequence of str, length n
            Repeats are allowed.

        Returns
        -------
        float32 array, shape (n, dimensions)

        Raises
        ------
        KeyError
            If a text is not stored.
        """
        if not len(text_ids):
            return np.empty((0, 0), dtype=np.float32)
        rows_of: dict[str, list[int]] = {}
        for row, text_id in enumerate(text_ids):
            rows_of.setdefault(text_id, []).append(row)
        vectors: FloatMatrix | None = None
        for shard, ids in _by_shard(text_ids).items():
            for segment in self._segments(shard):
                wanted = [text_id for text_id in ids if text_id in rows_of]
                positions = pc.index_in(
                    pa.array(wanted, pa.string()), value_set=_column(segment, "text_id")
                )
                here = [
                    (text_id, position)
                    for text_id, position in zip(wanted, positions.to_pylist(), strict=True)
                    if position is not None
                ]
                if not here:
                    continue
                stored = _vectors(segment)
                if vectors is None:
                    vectors = np.empty((len(text_ids), stored.shape[1]), dtype=np.float32)
                for text_id, position in here:
                    vectors[rows_of.pop(text_id)] = stored[position]
        if rows_of or vectors is None:
            raise KeyError(f"{len(rows_of)} texts are not in the embedding store")
        return vectors

    def get_or_embed(self, texts: Mapping[str, str], embed: Embed) -> int:
        """Embed and store the texts that are not stored yet.

        Parameters
        ----------
        texts : mapping of text id to text
        embed : callable
            Takes a list of texts and returns their unit vectors.

        Returns
        -------
        int
            Number of texts that this call embedded.
        """
        shards = _by_shard(self.missing(list(texts)))
        embedded = 0
        # Shards locked by another process come last, when that process may have finished them.
        for timeout in (0, -1):
            for shard in list(shards):
                lock = self._storage.path(self._folder, f"shard={shard}", ".lock")
                try:
                    with self._storage.lock(lock, timeout):
                        embedded += self._fill(shards[shard], texts, embed)
                    del shards[shard]
                except filelock.Timeout:
                    continue
        return embedded

    def _fill(self, text_ids: list[str], texts: Mapping[str, str], embed: Embed) -> int:
        # Texts are sorted by length, for speed, and then by hash, so that the same texts always
        # come in the same batches.
        missing = sorted(
            self.missing(text_ids), key=lambda text_id: (-len(texts[text_id]), text_id)
        )
        for start in range(0, len(missing), SEGMENT_TEXTS):
            part = missing[start : start + SEGMENT_TEXTS]
            self._append(part, embed([texts[text_id] for text_id in part]))
        return len(missing)

    def _append(self, text_ids: list[str], vectors: FloatMatrix) -> None:
        if vectors.shape[0] != len(text_ids) or not np.isfinite(vectors).all():
            raise EmbeddingStoreError(
                f"the embedder returned {vectors.shape[0]} vectors for {len(text_ids)} texts, or "
                "vectors that are not finite"
            )
        dimensions = vectors.shape[1]
        values = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        table = pa.table(
            {
                "text_id": pa.array(text_ids),
                "embedding": pa.FixedSizeListArray.from_arrays(values, dimensions),
            }
        )
        name = f"segment-{len(text_ids):05d}-{uuid.uuid4().hex}.arrow"
        path = self._storage.path(self._folder, f"shard={text_ids[0][0]}", name)
        with self._storage.write(path) as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    def _segments(self, shard: str) -> list[pa.Table]:
        paths = self._storage.glob(f"{self._folder}/shard={shard}/segment-*.arrow")
        return [self._open(path) for path in paths]

    def _open(self, path: str) -> pa.Table:
        try:
            if self._storage.is_local:
                return pa.ipc.open_file(pa.memory_map(path)).read_all()
            with self._storage.open_for_arrow(path) as source:
                return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid as error:
            raise EmbeddingStoreError(
                f"{path} is damaged ({error}): delete it, its texts will be embedded again"
            ) from error


def _by_shard(text_ids: Sequence[str]) -> dict[str, list[str]]:
    shards: dict[str, list[str]] = {}
    for text_id in dict.fromkeys(text_ids):
        if text_id[:1] not in _SHARDS or not text_id:
            raise ValueError(f"{text_id!r} is not a text id: expected hexadecimal digits")
        shards.setdefault(text_id[0], []).append(text_id)
    return dict(sorted(shards.items()))


def _column(segment: pa.Table, name: str) -> pa.Array:
    return segment.column(name).combine_chunks()


def _vectors(segment: pa.Table) -> FloatMatrix:
    column = segment.column("embedding")
    flat = column.combine_chunks()
    dimensions = column.type.list_size
    values: FloatMatrix = flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimensions)
    return values
