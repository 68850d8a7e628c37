"""Back ends: what computes a sentence-transformers model, and which does it fastest here.

* ``torch``: float32, the reference.
* ``torch-half``: bfloat16 on a processor, float16 on a GPU.
* ``openvino``: in the precision that OpenVINO prefers on this processor, bfloat16 where it has it.
  Needs the optional package (``pip install errclust[openvino]``).
* ``openvino-int8``: weights of 8 bits, activations quantised as they come. The fastest, but its
  vectors are not quite those of the others, so they are stored under a name of their own.
* ``auto``: the fastest of the first three on this machine, found by a short calibration.

Vectors of the first three are interchangeable: calibration refuses a back end whose worst cosine to
the reference is below `INTERCHANGEABLE_COSINE` on the texts it tries.
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
CALIBRATION_TEXTS = 96
_QUANTISATION_GROUP = 128  # values with a scale of their own; with 384, cosines fall below .999

FloatMatrix = npt.NDArray[np.float32]


class BackendError(RuntimeError):
    """A back end that is not installed, or that cannot compute this model."""


@dataclass(frozen=True)
class Calibration:
    """What was measured of each back end, and which is used from now on."""

    fastest: Backend
    texts_per_second: Mapping[Backend, float]
    worst_cosine: Mapping[Backend, float]
    """To the reference's vectors."""

    def __str__(self) -> str:
        """Say it in a line of a log."""
        measured = ", ".join(
            f"{backend} {speed:,.0f}" for backend, speed in self.texts_per_second.items()
        )
        return f"embedding by {self.fastest} (texts a second, measured here: {measured})"


def available(backend: Backend) -> bool:
    """Say whether a back end is installed."""
    if backend in ("openvino", "openvino-int8"):
        return importlib.util.find_spec("openvino") is not None
    return True


def use(backend: Backend, model: Any) -> Any:
    """Let a back end compute a model.

    Parameters
    ----------
    model : SentenceTransformer
        In float32 and not used afterwards.

    Returns
    -------
    SentenceTransformer
        Which gives float32 vectors.

    Raises
    ------
    BackendError
        If the back end is not installed or cannot compute the model.
    """
    if backend == "torch":
        return model
    if not available(backend):
        raise BackendError(
            f"embedding back end {backend!r} needs OpenVINO: pip install 'errclust[openvino]', "
            'or set backend = "auto" under [embedding] in errclust.toml'
        )
    import torch
    from sentence_transformers.base.modules import Transformer

    transformer = model[0]
    if not isinstance(transformer, Transformer):
        raise BackendError(
            f"embedding back end {backend!r} computes transformers, and this model begins with a "
            f'{type(transformer).__name__}: set backend = "torch" under [embedding]'
        )
    if backend == "torch-half":
        transformer.model.to(torch.float16 if model.device.type == "cuda" else torch.bfloat16)
        # Means are taken over hundreds of tokens: in float32.
        return type(model)(modules=[transformer, _in_float32(), *list(model)[1:]])
    transformer.model = _by_openvino(transformer.model, quantised=backend == "openvino-int8")
    return model


def candidates() -> list[Backend]:
    """Return the interchangeable back ends of this machine, the reference first."""
    import torch

    on_processor_only = {"openvino"} if torch.cuda.is_available() else set()
    return [one for one in INTERCHANGEABLE if available(one) and one not in on_processor_only]


def calibrate(
    embed_with: Callable[[Backend], Callable[[Sequence[str]], FloatMatrix]],
    texts: Sequence[str],
) -> Calibration:
    """Measure the interchangeable back ends of this machine on some of the texts to be embedded.

    Parameters
    ----------
    embed_with : callable
        Loads a back end and returns what embeds with it.
    texts : sequence of str
        Of which `CALIBRATION_TEXTS` are taken, spread evenly over their lengths.
    """
    by_length = sorted(set(texts), key=lambda text: (len(text), text))
    picked = np.linspace(0, len(by_length) - 1, min(CALIBRATION_TEXTS, len(by_length))).astype(int)
    sample = [by_length[index] for index in picked]
    speed: dict[Backend, float] = {}
    worst: dict[Backend, float] = {}
    reference: FloatMatrix | None = None
    for backend in candidates():
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


def remembered(identity: str) -> Calibration | None:
    """Return what was measured of a model on this machine before, if it was."""
    try:
        found = json.loads(_record(identity).read_text("utf-8"))
        calibration = Calibration(**found)
    except (OSError, ValueError, TypeError):
        return None
    return calibration if calibration.fastest in candidates() else None


def remember(identity: str, calibration: Calibration) -> Path:
    """Keep a calibration for later processes; return where."""
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
        "openvino" if available("openvino") else "no-openvino",
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
        # Tracing warns of what holds of this one shape only; OpenVINO reads the shapes anew.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        with warnings.catch_warnings(action="ignore"):
            # `openvino.convert_model` does the same, and reports to its makers that it was used.
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
    """Put 8-bit weights, with a scale for each output, in place of those of linear layers."""
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
