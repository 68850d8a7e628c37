import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from errclust_pipeline.embedding.store import (
    SEGMENT_TEXTS,
    EmbeddingStore,
    EmbeddingStoreError,
)
from errclust_pipeline.warehouse.storage import Storage


def texts_numbered(*numbers: int) -> dict[str, str]:
    texts = (f"text {number}" for number in numbers)
    return {hashlib.blake2b(text.encode(), digest_size=16).hexdigest(): text for text in texts}


class CountingEmbedder:
    """A vector that depends on the text alone, and a record of all that was asked."""

    def __init__(self):
        self.asked: list[str] = []

    def __call__(self, texts):
        self.asked += texts
        return np.array(
            [[float(text.split()[-1]), 1.0, len(text)] for text in texts], dtype=np.float32
        )


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    root = str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"
    return EmbeddingStore(Storage(root), "embedder-1")


def test_vectors_come_back_in_the_order_asked_repeats_included(store):
    texts, embed = texts_numbered(*range(100)), CountingEmbedder()
    assert store.get_or_embed(texts, embed) == 100
    asked = [*reversed(texts), *texts]
    expected = [float(texts[text_id].split()[-1]) for text_id in asked]
    assert store.read(asked)[:, 0].tolist() == expected


def test_a_text_is_embedded_once(store):
    embed = CountingEmbedder()
    store.get_or_embed(texts_numbered(*range(50)), embed)
    assert store.get_or_embed(texts_numbered(*range(25, 75)), embed) == 25
    assert sorted(embed.asked) == sorted(f"text {number}" for number in range(75))


def test_another_embedder_shares_nothing(store, tmp_path):
    store.get_or_embed(texts_numbered(1, 2), CountingEmbedder())
    other = EmbeddingStore(Storage(str(tmp_path)), "embedder-2")
    assert len(other.missing(list(texts_numbered(1, 2)))) == 2


def test_missing_keeps_order_and_drops_repeats(store):
    store.get_or_embed(texts_numbered(2), CountingEmbedder())
    ids = list(texts_numbered(3, 2, 1))
    assert store.missing([*ids, *ids]) == [ids[0], ids[2]]


def test_reading_what_is_not_stored_is_an_error(store):
    with pytest.raises(KeyError, match="1 texts are not"):
        store.read(list(texts_numbered(1)))


def test_work_done_before_a_failure_is_kept(store):
    texts = {f"a{number:031x}": f"text {number}" for number in range(SEGMENT_TEXTS * 2 + 1)}
    embed, calls = CountingEmbedder(), []

    def failing(part):
        calls.append(len(part))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed(part)

    with pytest.raises(KeyboardInterrupt):
        store.get_or_embed(texts, failing)
    assert len(store.missing(list(texts))) == 1
    assert store.get_or_embed(texts, embed) == 1


def test_vectors_that_are_not_finite_are_refused_and_not_stored(store):
    texts = texts_numbered(1)
    with pytest.raises(EmbeddingStoreError, match="not finite"):
        store.get_or_embed(texts, lambda part: np.full((len(part), 3), np.nan, np.float32))
    assert store.missing(list(texts))


def test_a_damaged_segment_is_named(tmp_path):
    store, texts = EmbeddingStore(Storage(str(tmp_path)), "embedder-1"), texts_numbered(1)
    store.get_or_embed(texts, CountingEmbedder())
    (segment,) = tmp_path.rglob("segment-*.arrow")
    segment.write_bytes(b"not arrow")
    with pytest.raises(EmbeddingStoreError, match=r"segment-.*delete it"):
        store.read(list(texts))


def test_processes_that_embed_the_same_texts_at_once_embed_each_once(tmp_path):
    program = """
import sys, time
from errclust_pipeline.embedding.store import EmbeddingStore
from errclust_pipeline.warehouse.storage import Storage
from errclust_pipeline_tests.embedding.test_store import CountingEmbedder, texts_numbered
embed = CountingEmbedder()
def slow(texts):
    time.sleep(0.02)
    return embed(texts)
store = EmbeddingStore(Storage(sys.argv[1]), "embedder-1")
print(store.get_or_embed(texts_numbered(*range(400)), slow))
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ},
        )
        for _ in range(3)
    ]
    embedded = [int(worker.communicate()[0]) for worker in workers]
    assert sum(embedded) == 400
    store = EmbeddingStore(Storage(str(tmp_path)), "embedder-1")
    assert store.read(list(texts_numbered(*range(400))))[:, 0].tolist() == list(range(400))
