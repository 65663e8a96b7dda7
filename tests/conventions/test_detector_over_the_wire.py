"""A detector behind real sockets: RT-DETR's graph as it stands, with its second input, before our transformer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.http as triton

from serving.sdk import pb, pb_grpc
from tests.conventions.detectors import CONVENTIONS, write
from tests.photos import photo_bytes
from tests.servers import MODEL, RunningServer, running_pair

SHAPES = {"labels": (1, 0), "class_ids": (1, 0), "scores": (1, 0), "boxes": (1, 0, 4), "counts": (1,)}
NOTHING = {"confidence_threshold": 1.0}
COFFEE = ["cup", "dining table"]
SURE = {"confidence_threshold": 0.3}


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = write(CONVENTIONS["rtdetr"], tmp_path_factory.mktemp("rtdetr"))
    with running_pair(folder, ["--fuse_input=false", "--fuse_output=false"]) as pair:
        yield pair.transformer


def test_the_boxes_of_a_photo_are_answered_on_our_own_route(transformer: RunningServer) -> None:
    url = f"{transformer.url}/predict"
    found = httpx.post(url, content=photo_bytes("coffee"), params=SURE, headers={"content-type": "image/png"}).json()
    nothing = httpx.post(url, content=photo_bytes("coffee"), params=NOTHING, headers={"content-type": "image/png"})

    assert [each["label"] for each in found["predictions"]] == COFFEE
    assert (nothing.status_code, nothing.json()["predictions"]) == (200, [])


def test_nothing_found_is_an_empty_list_over_v1(transformer: RunningServer) -> None:
    encoded = base64.b64encode(photo_bytes("coffee")).decode()
    asked = {"instances": [{"b64": encoded}], "parameters": NOTHING}
    answer = httpx.post(f"{transformer.url}/v1/models/{MODEL}:predict", json=asked)

    assert answer.json()["predictions"] == [[]]


def test_nothing_found_has_its_shape_for_tritonclient(transformer: RunningServer) -> None:
    tensor = triton.InferInput("image", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([photo_bytes("coffee")], np.object_))
    with triton.InferenceServerClient(transformer.url.removeprefix("http://")) as client:
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in SHAPES]
            nothing = client.infer(MODEL, [tensor], outputs=outputs, parameters=NOTHING)
            found = client.infer(MODEL, [tensor], outputs=outputs, parameters=SURE)
            assert {name: nothing.as_numpy(name).shape for name in SHAPES} == SHAPES
            assert found.as_numpy("counts").tolist() == [len(COFFEE)]


def test_nothing_found_has_its_shape_over_grpc(transformer: RunningServer) -> None:
    def asked(threshold: str) -> Any:
        message = pb.ModelInferRequest(model_name=MODEL)
        message.parameters["confidence_threshold"].string_param = threshold
        tensor = message.inputs.add(name="image", datatype="BYTES", shape=[1])
        tensor.contents.bytes_contents.append(photo_bytes("coffee"))
        return stub.ModelInfer(message)

    with grpc.insecure_channel(transformer.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        nothing, found = asked("1"), asked("0.3")

    assert {output.name: tuple(output.shape) for output in nothing.outputs} == SHAPES
    assert {output.name: tuple(output.shape) for output in found.outputs}["boxes"] == (1, 2, 4)
