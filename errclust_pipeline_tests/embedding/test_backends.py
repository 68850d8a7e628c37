import json

import numpy as np
import pytest

from errclust_pipeline.embedding import backends as embedding_backends
from errclust_pipeline.embedding.backends import (
    BackendError,
    Calibration,
    calibrate,
    read_calibration,
    store_calibration,
)
from errclust_pipeline.embedding.embedder import (
    CALIBRATED_FROM_TEXTS,
    EmbeddingModel,
    load_embedder,
)
from errclust_pipeline.embedding.names import EMBEDDED_MODEL, EmbedderError

TEXTS = [f"How many {word}s " + "and then " * repeats for word, repeats in zip(
    ["train", "integral", "judge", "enzyme", "coin", "orbit"], [0, 3, 9, 27, 60, 140], strict=True
)]  # fmt: skip


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def on_a_processor(monkeypatch):
    monkeypatch.setattr(embedding_backends, "is_installed", lambda _: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def embedded(backend):
    return load_embedder(EMBEDDED_MODEL, None, backend).embed(TEXTS, lambda _: None)


@pytest.mark.parametrize("backend", ["torch-half", "openvino"])
def test_a_back_end_gives_the_vectors_of_the_reference(backend):
    cosines = (embedded(backend) * embedded("torch")).sum(axis=1)
    assert cosines.min() >= embedding_backends.INTERCHANGEABLE_COSINE


def test_weights_of_8_bits_give_nearly_the_vectors_of_the_reference():
    cosines = (embedded("openvino-int8") * embedded("torch")).sum(axis=1)
    assert cosines.mean() >= 0.998
    assert cosines.min() >= 0.99


def embedders(embed):
    def load(backend):
        if embed[backend] is None:
            raise BackendError("not for this model")
        return embed[backend]

    return load


def vectors_of(texts, angle=0.0, work=0):
    for _ in range(work):
        np.linalg.svd(np.ones((60, 60)))
    return np.tile(np.float32([np.cos(angle), np.sin(angle)]), (len(texts), 1))


@pytest.mark.usefixtures("on_a_processor")
def test_the_fastest_back_end_is_chosen():
    found = calibrate(
        embedders({
            "torch": lambda texts: vectors_of(texts, work=40),
            "torch-half": lambda texts: vectors_of(texts, angle=0.01),
            "openvino": lambda texts: vectors_of(texts, work=20),
        }),
        TEXTS,
    )  # fmt: skip
    assert found.fastest == "torch-half"
    assert found.worst_cosine["torch-half"] == pytest.approx(np.cos(0.01))


@pytest.mark.usefixtures("on_a_processor")
def test_a_back_end_that_is_not_faithful_or_cannot_compute_the_model_is_not_chosen():
    found = calibrate(
        embedders({
            "torch": lambda texts: vectors_of(texts, work=20),
            "torch-half": lambda texts: vectors_of(texts, angle=0.02),
            "openvino": None,
        }),
        TEXTS,
    )  # fmt: skip
    assert found.fastest == "torch"
    assert set(found.texts_per_second) == {"torch", "torch-half"}


@pytest.mark.usefixtures("on_a_processor", "cache")
def test_a_calibration_is_remembered_and_a_damaged_one_is_made_again():
    calibration = Calibration("openvino", {"openvino": 240.0}, {"openvino": 0.99999})
    assert read_calibration("some-model") is None
    record = store_calibration("some-model", calibration)
    assert read_calibration("some-model") == calibration
    assert read_calibration("another-model") is None
    for damaged in ("{", json.dumps({"fastest": "openvino"}), json.dumps(["openvino"])):
        record.write_text(damaged)
        assert read_calibration("some-model") is None


@pytest.mark.usefixtures("on_a_processor", "cache")
def test_few_texts_are_not_worth_a_calibration_and_many_are_calibrated_once():
    model, lines = EmbeddingModel(), []
    many = [f"text {index}" for index in range(CALIBRATED_FROM_TEXTS)]
    assert model._backend(many[1:], lines.append) == "torch"
    assert not lines
    chosen = model._backend(many, lines.append)
    assert chosen in embedding_backends.INTERCHANGEABLE
    assert len(lines) == 2
    assert model._backend(many, lines.append) == chosen
    assert len(lines) == 3


def test_a_back_end_that_is_named_is_used():
    assert EmbeddingModel(backend="openvino-int8")._backend([], print) == "openvino-int8"


def test_a_back_end_that_is_not_installed_is_an_error_that_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(embedding_backends, "is_installed", lambda _: False)
    load_embedder.cache_clear()
    with pytest.raises(EmbedderError, match=r"errclust\[openvino\]"):
        load_embedder(EMBEDDED_MODEL, None, "openvino")
