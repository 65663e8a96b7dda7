"""The KServe SDK's own REST and gRPC clients talk to both servers."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import sdk as _sdk  # noqa: F401  # the one door: it keeps the SDK from reading pytest's command line
from tests.photos import photo_bytes
from tests.servers import MODEL, RunningPair

from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig  # isort: skip
from kserve.protocol.infer_type import InferResponse  # isort: skip

COFFEE = 967


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)


def request_of(tensor: InferInput) -> InferRequest:
    return InferRequest(model_name=MODEL, infer_inputs=[tensor])


def output(response: InferResponse, name: str) -> NDArray[np.generic]:
    array: NDArray[np.generic] = next(o for o in response.outputs if o.name == name).as_numpy()
    return array


async def ask_rest(url: str, request: InferRequest) -> InferResponse:
    client = InferenceRESTClient(RESTConfig(protocol="v2", timeout=60))
    try:
        assert await client.is_server_ready(url)
        assert await client.is_model_ready(url, MODEL)
        return await client.infer(url, request, model_name=MODEL)
    finally:
        await client.close()


async def ask_grpc(target: str, request: InferRequest) -> InferResponse:
    client = InferenceGRPCClient(target, timeout=60)
    try:
        assert await client.is_server_ready()
        assert await client.is_model_ready(MODEL)
        return await client.infer(request)
    finally:
        await client.close()


@pytest.mark.parametrize("binary", [True, False])
async def test_the_sdks_rest_client_sends_tensors(
    pair: RunningPair, pixels: NDArray[np.uint8], *, binary: bool
) -> None:
    tensor = InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels, binary_data=binary)
    assert output(await ask_rest(pair.predictor.url, request_of(tensor)), "top_scores").shape == (1, 1000)


async def test_the_sdks_rest_client_sends_pictures(pair: RunningPair) -> None:
    tensor = InferInput("image", [1], "BYTES", data=[base64.b64encode(photo_bytes("coffee")).decode()])
    assert output(await ask_rest(pair.transformer.url, request_of(tensor)), "class_ids")[0, 0] == COFFEE


async def test_the_sdks_rest_client_sends_v1_instances(pair: RunningPair) -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v1", timeout=60))
    instances = {"instances": [{"b64": base64.b64encode(photo_bytes("coffee")).decode()}]}
    answer = await client.infer(pair.transformer.url, instances, model_name=MODEL)
    await client.close()
    assert answer["predictions"][0][0]["label"] == "espresso"


async def test_the_sdks_grpc_client_sends_tensors(pair: RunningPair, pixels: NDArray[np.uint8]) -> None:
    tensor = InferInput("pixels", list(pixels.shape), "UINT8")
    tensor.set_data_from_numpy(pixels)
    assert output(await ask_grpc(pair.predictor.grpc, request_of(tensor)), "top_scores").shape == (1, 1000)


async def test_the_sdks_grpc_client_sends_pictures(pair: RunningPair) -> None:
    tensor = InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([photo_bytes("coffee")], dtype=np.object_))
    assert output(await ask_grpc(pair.transformer.grpc, request_of(tensor)), "class_ids")[0, 0] == COFFEE
