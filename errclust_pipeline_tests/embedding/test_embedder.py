import numpy as np
import pytest

from errclust_pipeline.embedding import embedder
from errclust_pipeline.embedding.embedder import check_weights, load_embedder, token_batches
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, HASHING, EmbedderError


def test_the_embedded_model_gives_the_documented_upstream_vector():
    model, done = load_embedder(EMBEDDED_MODEL, None), []
    vectors = model.embed(
        ["This is an example sentence", "Each sentence is converted"], done.append
    )
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, model.dimensions) == (2, 384)
    # The upstream model card's own example, without normalisation of a vector of length 1.
    np.testing.assert_allclose(vectors[0, :4], [0.06766, 0.06350, 0.04871, 0.07931], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert sum(done) == 2


def test_the_embedded_model_does_not_depend_on_what_else_is_in_the_batch():
    model = load_embedder(EMBEDDED_MODEL, None)
    texts = ["short", "a much longer text " * 40, "of middling length, this one"]
    together = model.embed(texts, lambda _: None)
    apart = np.concatenate([model.embed([text], lambda _: None) for text in texts])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_batches_hold_every_text_once_within_their_tokens():
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 300, size=500)
    texts = [f"{index:03d}" for index in rng.permutation(500)]
    batches = token_batches(texts, tokens, 1_000)
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    assert all(tokens[batch].max() * len(batch) <= 1_000 for batch in batches)
    assert len(batches) < tokens.sum() / 1_000 * 1.15
    assert token_batches(["long", "short"], np.array([5_000, 3]), 1_000) == [[0], [1]]


def test_what_comes_together_does_not_depend_on_the_order_given():
    texts = ["a", "b", "c", "d", "e"]
    tokens = np.array([3, 3, 3, 2, 2])
    there = token_batches(texts, tokens, 6)
    back = token_batches(texts[::-1], tokens[::-1], 6)
    assert [[texts[index] for index in batch] for batch in there] == [
        [texts[::-1][index] for index in batch] for batch in back
    ]


def test_texts_longer_than_the_model_reads_are_counted():
    model = load_embedder(EMBEDDED_MODEL, None)
    assert model.count_cut(["word " * 300, "word " * 100]) == 1


def test_weights_that_are_not_upstreams_are_refused(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"something else")
    with pytest.raises(EmbedderError, match="Refusing to use it"):
        check_weights(weights)


def test_a_package_with_other_weights_is_refused_at_load(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"something else")
    monkeypatch.setattr(embedder.importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(EmbedderError, match="not all-MiniLM-L6-v2"):
        embedder.embedded_model_folder()


def test_hashing_gives_unit_vectors_and_likens_texts_that_share_words():
    model = load_embedder(HASHING, None)
    texts = ["metal alloy furnace", "the furnace melts a metal", "chess knight", "", "日本語の"]
    vectors = model.embed(texts, lambda _: None)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
