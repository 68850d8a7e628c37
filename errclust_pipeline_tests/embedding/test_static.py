import numpy as np
import pytest

from errclust_pipeline.embedding import static as static_embedder
from errclust_pipeline.embedding.static import StaticEmbedder, distil

WORDS = ["the", "cat", "dog", "train", "integral", "of", "a", "tax"]


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A transformer of its own, with random weights and eight words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=32,
        )
    ).save_pretrained(folder)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def embedder(model_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache") / "static"
    distil(model_folder, folder)
    return StaticEmbedder(folder)


def test_texts_become_unit_vectors_and_word_order_does_not_count(embedder):
    done = []
    vectors = embedder.embed(["the cat", "cat the", "integral of a tax", "", "日本語"], done.append)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, embedder.dimensions)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert vectors[0] @ vectors[2] < 0.99
    assert sum(done) == 5


def test_all_of_a_long_text_is_read(embedder):
    long = "the cat " * 5_000
    longer = embedder.embed([long, long + "tax " * 5_000], lambda _: None)
    assert longer[0] @ longer[1] < 0.99
    assert embedder.count_cut([long]) == 0


def test_distilled_vectors_share_no_common_part(embedder):
    frequency = 1 / np.arange(2, len(embedder._model.embedding) + 2)
    in_texts = frequency * embedder._model.weights
    np.testing.assert_allclose(in_texts @ embedder._model.embedding, 0, atol=1e-5)


def test_what_is_distilled_stays_and_a_failure_leaves_nothing(model_folder, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    folder = tmp_path / "cache" / "static"
    with monkeypatch.context() as patch:
        patch.setattr(static_embedder, "_without_common_part", fail)
        with pytest.raises(OSError, match="disk full"):
            distil(model_folder, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["static.lock"]
    distil(model_folder, folder)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    distil(tmp_path / "no model", folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
