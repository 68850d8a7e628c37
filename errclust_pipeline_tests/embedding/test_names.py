import pytest

from errclust_pipeline.embedding import names
from errclust_pipeline.embedding.names import (
    EMBEDDED_MODEL,
    STATIC,
    EmbedderError,
    embedder_identity,
)


def test_identities_name_the_vectors():
    assert embedder_identity(EMBEDDED_MODEL, None).startswith("all-MiniLM-L6-v2-53aa51172d14")
    assert embedder_identity("org/model", "abc123") == "org_model-abc123"
    assert embedder_identity(STATIC, None).startswith("static-53aa51172d14-model2vec-")
    quantised = embedder_identity(EMBEDDED_MODEL, None, "openvino-int8")
    assert quantised == embedder_identity(EMBEDDED_MODEL, None, "openvino") + "-int8"
    with pytest.raises(EmbedderError, match="set its revision"):
        embedder_identity("org/model", None)


def test_a_folder_is_identified_by_its_content(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    first = embedder_identity(str(tmp_path), None)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    names._folder_hash.cache_clear()
    assert embedder_identity(str(tmp_path), None) != first


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(EmbedderError, match="expected a file"):
        embedder_identity(str(tmp_path), None)
