"""NVIDIA's `tritonclient`, over HTTP and gRPC, talks to both servers."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray

from tests.photos import photo_bytes
from tests.servers import MODEL, RunningPair, RunningServer

COFFEE = 967
SCRIPT = Path(__file__).with_name("ask_by_triton_grpc.py")


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)


@pytest.fixture(params=["transformer", "predictor"])
def server(request: pytest.FixtureRequest, pair: RunningPair) -> RunningServer:
    running: RunningServer = getattr(pair, request.param)
    return running


@pytest.fixture
def photo_paths(tmp_path: Path) -> list[str]:
    paths = []
    for name in ("coffee", "chelsea"):
        path = tmp_path / name
        path.write_bytes(photo_bytes(name))
        paths.append(str(path))
    return paths


def connect(server: RunningServer) -> Any:
    return triton.InferenceServerClient(server.url.removeprefix("http://"))


@pytest.fixture
def client(server: RunningServer) -> Iterator[Any]:
    with connect(server) as connected:
        yield connected


def ask_by_grpc(server: RunningServer, *arguments: str, model: str = MODEL) -> Any:
    command = [sys.executable, str(SCRIPT), server.grpc, model, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_health_and_metadata_over_http(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert client.get_model_metadata(MODEL)["name"] == MODEL
    assert client.get_server_metadata()["name"] == "kserve-vision"


def test_health_and_metadata_over_grpc(server: RunningServer) -> None:
    found = ask_by_grpc(server, "health")
    assert found["ready"]
    assert found["server"] == "kserve-vision"
    assert found["inputs"] in (["image"], ["pixels"])


def test_a_model_that_is_not_there_is_an_error_with_its_code(client: Any, server: RunningServer) -> None:
    with pytest.raises(triton.InferenceServerException, match="MODEL_NOT_FOUND"):
        client.get_model_metadata("none")
    refused = ask_by_grpc(server, "health", model="none")
    assert refused["status"] == "StatusCode.NOT_FOUND"
    assert refused["message"].startswith("MODEL_NOT_FOUND: ")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tensors_over_http(pair: RunningPair, pixels: NDArray[np.uint8], *, binary_in: bool, binary_out: bool) -> None:
    tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary_in)
    wanted = [triton.InferRequestedOutput("top_scores", binary_data=binary_out)]
    with connect(pair.predictor) as client:
        answer = client.infer(MODEL, [tensor], outputs=wanted, model_version="1", request_id="a-1")
    assert answer.as_numpy("top_scores").shape == (2, 1000)
    assert answer.get_response()["id"] == "a-1"


def test_tensors_over_grpc_are_those_over_http(pair: RunningPair, pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    np.save(path, pixels)
    tensor = triton.InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    with connect(pair.predictor) as client:
        scores = client.infer(MODEL, [tensor]).as_numpy("top_scores")
    answered = ask_by_grpc(pair.predictor, "tensors", str(path))
    assert answered["shape"] == [2, 1000]
    assert np.array_equal(np.array(answered["first"], np.float32), scores[0])


@pytest.mark.parametrize("binary", [True, False])
def test_pictures_over_http(pair: RunningPair, *, binary: bool) -> None:
    coffee = photo_bytes("coffee")
    element: object = coffee if binary else base64.b64encode(coffee).decode()
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([element], dtype=np.object_), binary_data=binary)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("labels", "class_ids", "scores")]
    with connect(pair.transformer) as client:
        answer = client.infer(MODEL, [tensor], outputs=wanted)
    assert answer.as_numpy("class_ids")[0, 0] == COFFEE
    label = answer.as_numpy("labels")[0, 0]
    assert (label.decode() if isinstance(label, bytes) else label) == "espresso"
    assert 0.9 < answer.as_numpy("scores")[0, 0] <= 1


def test_pictures_over_grpc(pair: RunningPair, photo_paths: list[str]) -> None:
    assert ask_by_grpc(pair.transformer, "pictures", *photo_paths) == ["espresso", "tiger cat"]


def test_a_refusal_over_grpc_reaches_the_client_with_its_code(pair: RunningPair) -> None:
    refused = ask_by_grpc(pair.transformer, "pictures", __file__)
    assert refused["status"] == "StatusCode.INVALID_ARGUMENT"
    assert refused["message"].startswith("IMAGE_UNSUPPORTED: ")
