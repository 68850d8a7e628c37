"""Vectors of texts, embedded once and then read from the store."""

import subprocess
import sys

import numpy as np
import pytest

from errclust_pipeline.embedding.embedder import EmbeddingModel
from errclust_pipeline.embedding.names import HASHING, HASHING_DIMENSIONS
from errclust_pipeline.embedding.texts import embed_texts
from errclust_pipeline.warehouse.storage import Storage

TEXTS = {"a1": "the furnace melts metal", "b2": "a knight moves", "c3": "metal alloys"}


@pytest.fixture
def storage(tmp_path):
    return Storage(str(tmp_path))


def embed(storage, text_ids, log=lambda _: None):
    return embed_texts(storage, EmbeddingModel(HASHING), text_ids, TEXTS, log)


def test_texts_are_embedded_once_and_read_afterwards(storage):
    lines = []
    vectors, metadata = embed(storage, ["a1", "b2", "a1"], lines.append)
    assert vectors.shape == (3, HASHING_DIMENSIONS)
    assert metadata["embedded_now"] == len(TEXTS)
    assert any("embedding 2 of 3 texts" in line for line in lines)
    again, metadata = embed(storage, ["a1", "b2", "a1"], lines.append)
    assert metadata["embedded_now"] == 0
    np.testing.assert_array_equal(again, vectors)


def test_vectors_stand_in_the_order_asked_for(storage):
    forth, metadata = embed(storage, ["a1", "b2", "c3"])
    back, _ = embed(storage, ["c3", "b2", "a1"])
    np.testing.assert_array_equal(back, forth[::-1])
    assert metadata["embedder"] == EmbeddingModel(HASHING).identity
    assert metadata["dimensions"] == HASHING_DIMENSIONS
    assert metadata["cut_by_the_model"] == 0


def test_the_names_of_models_load_no_numeric_library_and_nothing_here_loads_dagster():
    code = (
        "import sys\n"
        "import errclust_pipeline.embedding.names\n"
        "assert not {'numpy', 'torch', 'pyarrow'} & set(sys.modules)\n"
        "import errclust_pipeline.embedding.texts, errclust_pipeline.language_model.client\n"
        "import errclust_pipeline.settings\n"
        "assert not {'dagster', 'torch', 'openai', 'pydantic_settings'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
