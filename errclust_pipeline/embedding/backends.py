"""Back ends, which compute a sentence-transformers model, and their calibration on this machine.

* ``torch``: float32, the reference.
* ``torch-half``: bfloat16 on a processor, float16 on a GPU.
* ``openvino``: the precision that OpenVINO prefers on this processor, bfloat16 where it is
  supported. It needs an optional package (``pip install errclust[openvino]``).
* ``openvino-int8``: weights of 8 bits, activations quantised at run time. It is the fastest, but
  its vectors differ from the others', so they are stored under a different name.
* ``auto``: the fastest of the first three on this machine, according to a short calibration.

The vectors of the first three are interchangeable: the calibration refuses a back end if the
cosine of any of its vectors to the reference is below `INTERCHANGEABLE_COSINE`.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from errclust_pipeline.embedding.names import Backend
from errclust_pipeline.warehouse.storage import Storage

REFERENCE: Backend = "torch"
INTERCHANGEABLE: tuple[Backend, ...] = ("torch", "torch-half", "openvino")
INTERCHANGEABLE_COSINE = 0.9999
"""Minimum cosine between the vectors that two interchangeable back ends give a text."""
CALIBRATION_TEXTS = 96
"""Number of texts that a calibration tries."""
_QUANTISATION_GROUP = 128
"""Number of activations that share a scale; with 384, cosines fall below .999."""

FloatMatrix = npt.NDArray[np.float32]


class BackendError(RuntimeError):
    """A back end is not installed, or cannot compute this model."""


@dataclass(frozen=True)
class Calibration:
    """The measurements of all back ends on one machine.

    Attributes
    ----------
    fastest : Backend
        The fastest back end with interchangeable vectors.
    texts_per_second : mapping of Backend to float
    worst_cosine : mapping of Backend to float
        Smallest cosine between a text's vector and its vector from the reference.
    """

    fastest: Backend
    texts_per_second: Mapping[Backend, float]
    worst_cosine: Mapping[Backend, float]

    def __str__(self) -> str:
        """Return the measurements as a line for the log."""
        measured = ", ".join(
            f"{backend} {speed:,.0f}" for backend, speed in self.texts_per_second.items()
        )
        return f"embedding by {self.fastest} (texts a second, measured here: {measured})"


def is_installed(backend: Backend) -> bool:
    """Return whether a back end is installed."""
    if backend in ("openvino", "openvino-int8"):
        return importlib.util.find_spec("openvino") is not None
    return True


def computed_by(backend: Backend, model: Any) -> Any:
    """Return a model that a back end computes.

    Parameters
    ----------
    backend : Backend
    model : SentenceTransformer
        In float32. It is changed, so do not use it afterwards.

    Returns
    -------
    SentenceTransformer
        It gives float32 vectors.

    Raises
    ------
    BackendError
        If the back end is not installed or cannot compute the model.
    """
    if backend == "torch":
        return model
    if not is_installed(backend):
        raise BackendError(
            f"embedding back end {backend!r} needs OpenVINO: pip install 'errclust[openvino]', "
            'or set backend = "auto" under [embedding] in errclust.toml'
        )
    import torch
    from sentence_transformers.base.modules import Transformer

    transformer = model[0]
    if not isinstance(transformer, Transformer):
        raise BackendError(
            f"embedding back end {backend!r} computes transformers, but this model begins with a "
            f'{type(transformer).__name__}: set backend = "torch" under [embedding]'
        )
    if backend == "torch-half":
        transformer.model.to(torch.float16 if model.device.type == "cuda" else torch.bfloat16)
        # Pooling averages hundreds of tokens, which needs float32.
        return type(model)(modules=[transformer, _in_float32(), *list(model)[1:]])
    transformer.model = _by_openvino(transformer.model, quantised=backend == "openvino-int8")
    return model


def usable_backends() -> list[Backend]:
    """Return the interchangeable back ends that this machine can use, the reference first."""
    import torch

    on_processor_only = {"openvino"} if torch.cuda.is_available() else set()
    return [
        backend
        for backend in INTERCHANGEABLE
        if is_installed(backend) and backend not in on_processor_only
    ]


def calibrate(
    embed_with: Callable[[Backend], Callable[[Sequence[str]], FloatMatrix]],
    texts: Sequence[str],
) -> Calibration:
    """Measure the interchangeable back ends of this machine on some of the texts to be embedded.

    Parameters
    ----------
    embed_with : callable
        Takes a back end, loads the model with it, and returns the function that embeds texts.
    texts : sequence of str
        The calibration uses `CALIBRATION_TEXTS` of them, spread evenly over their lengths.
    """
    by_length = sorted(set(texts), key=lambda text: (len(text), text))
    picked = np.linspace(0, len(by_length) - 1, min(CALIBRATION_TEXTS, len(by_length))).astype(int)
    sample = [by_length[index] for index in picked]
    speed: dict[Backend, float] = {}
    worst: dict[Backend, float] = {}
    reference: FloatMatrix | None = None
    for backend in usable_backends():
        try:
            embed = embed_with(backend)
        except BackendError:
            continue
        embed(sample[-8:])
        started = time.perf_counter()
        vectors = embed(sample)
        seconds = time.perf_counter() - started
        reference = vectors if reference is None else reference
        worst[backend] = float(np.einsum("ij,ij->i", vectors, reference).min())
        speed[backend] = len(sample) / seconds
    usable = [backend for backend in speed if worst[backend] >= INTERCHANGEABLE_COSINE]
    return Calibration(max(usable, key=speed.__getitem__), speed, worst)


def read_calibration(identity: str) -> Calibration | None:
    """Return an earlier calibration of a model on this machine; None if there is none."""
    try:
        calibration = Calibration(**json.loads(_record(identity).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return calibration if calibration.fastest in usable_backends() else None


def store_calibration(identity: str, calibration: Calibration) -> Path:
    """Store a calibration for later processes, and return its file."""
    record = _record(identity)
    Storage(str(record.parent)).write_text(str(record), json.dumps(asdict(calibration), indent=1))
    return record


def _record(identity: str) -> Path:
    import torch

    machine = (
        platform.node(),
        torch.backends.cpu.get_cpu_capability(),
        f"{torch.get_num_threads()}-threads",
        f"torch-{torch.__version__}",
        "openvino" if is_installed("openvino") else "no-openvino",
    )
    name = "_".join((identity, *machine)) + ".json"
    return platformdirs.user_cache_path("errclust") / "embedding_backends" / name


def _in_float32() -> Any:
    import torch

    class InFloat32(torch.nn.Module):
        def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
            features["token_embeddings"] = features["token_embeddings"].float()
            return features

    return InFloat32()


def _by_openvino(transformer: Any, *, quantised: bool) -> Any:
    import torch
    import transformers
    from openvino import Core
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    class TokenEmbeddings(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.transformer(  # type: ignore[no-any-return]
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state

    some_tokens = torch.ones(2, 8, dtype=torch.long)
    logging = transformers.utils.logging
    verbosity = logging.get_verbosity()
    try:
        # Tracing warns about shapes that it takes as fixed; OpenVINO determines the shapes itself.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        with warnings.catch_warnings(action="ignore"):
            # `openvino.convert_model` does the same, but reports its use to its makers.
            traced = TorchScriptPythonDecoder(
                TokenEmbeddings().eval(),
                example_input={"input_ids": some_tokens, "attention_mask": some_tokens},
            )
        frontend = FrontEndManager().load_by_framework("pytorch")
        graph = frontend.convert(frontend.load(traced))
    except Exception as error:
        raise BackendError(f"OpenVINO cannot compute this model: {error}") from error
    finally:
        logging.set_verbosity(verbosity)
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    if quantised:
        _quantise_weights(graph)
        options["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = _QUANTISATION_GROUP
    request = Core().compile_model(graph, "CPU", options).create_infer_request()

    class ByOpenVino(torch.nn.Module):
        config = transformer.config

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
        ) -> dict[str, torch.Tensor]:
            inputs = {
                "input_ids": input_ids.numpy(),
                "attention_mask": attention_mask.to(torch.long).numpy(),
            }
            (token_embeddings,) = request.infer(inputs, share_inputs=True).values()
            return {"last_hidden_state": torch.from_numpy(token_embeddings)}

    return ByOpenVino()


def _quantise_weights(graph: Any) -> None:
    """Replace the weights of linear layers by 8-bit weights with a scale for each output."""
    from openvino import Type
    from openvino import opset13 as operations

    for node in graph.get_ops():
        if node.get_type_name() != "MatMul":
            continue
        constant = node.input_value(1).get_node()
        if constant.get_type_name() != "Constant":
            continue
        weights = constant.get_data()
        inputs_axis = 1 if node.get_attributes()["transpose_b"] else 0
        scale = np.abs(weights).max(axis=inputs_axis, keepdims=True) / 127
        rounded = np.round(weights / np.where(scale == 0, 1, scale)).astype(np.int8)
        restored = operations.multiply(
            operations.convert(operations.constant(rounded, dtype=Type.i8), "f32"),
            operations.constant(scale.astype(np.float32)),
        )
        node.input(1).replace_source_output(restored.output(0))
