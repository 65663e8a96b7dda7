"""The transformer stands before somebody else's V2 predictor, and normalises itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.parity.protocols import predict_form
from tests.parity.reference import reference
from tests.photos import PHOTOS, photo_bytes
from tests.servers import HOST, MODEL, running_server


def free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def foreign_predictor(model_dir: Path) -> Iterator[str]:
    """The gRPC address of a plain KServe SDK server."""
    grpc_port = free_port()
    command = [
        sys.executable,
        "-m",
        "tests.parity.sdk_predictor",
        f"--onnx={model_dir / 'model.onnx'}",
        f"--model_name={MODEL}",
        f"--http_port={free_port()}",
        f"--grpc_port={grpc_port}",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield f"{HOST}:{grpc_port}"
        process.terminate()


@pytest.fixture
def named_dir(model_dir: Path, tmp_path: Path) -> Path:
    """The demo model with `decode: exact`, and the name of its tensor, which a silent predictor does not tell."""
    directory = tmp_path / "model"
    shutil.copytree(model_dir, directory)
    contract = directory / "model.yaml"
    text = (
        contract.read_text()
        .replace("decode: scaled", "decode: exact")
        .replace("input:\n", "input:\n  tensor: input\n", 1)
    )
    contract.write_text(text)
    return directory


def test_the_answers_are_the_references(foreign_predictor: str, named_dir: Path) -> None:
    flags = [f"--model_dir={named_dir}", f"--predictor_host={foreign_predictor}"]
    pictures = [photo_bytes(name) for name in PHOTOS]
    with running_server("transformer", flags) as transformer:
        found = predict_form(transformer, pictures)
    expected = np.stack([reference(named_dir / "model.onnx", picture) for picture in pictures])
    assert np.abs(found - expected).max() <= 1e-4
