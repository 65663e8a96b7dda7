"""Every way to send pictures to the transformer, each answering the 1000 probabilities of each picture."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import httpx
import numpy as np
from numpy.typing import NDArray

from serving.sdk import pb, pb_grpc
from serving.v2.tensor import Tensor, read_binary, write_binary
from tests.servers import MODEL, RunningServer

CLASSES = 1000
Probabilities = NDArray[np.float32]
Send = Callable[[RunningServer, Sequence[bytes]], Probabilities]


def predict_form(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """`POST /predict`, a form with one file."""
    return _one_by_one(lambda p: _post(server, "/predict", files={"file": ("picture", p)}), pictures)


def predict_body(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """`POST /predict`, the picture itself."""
    headers = {"content-type": "image/jpeg"}
    return _one_by_one(lambda p: _post(server, "/predict", content=p, headers=headers), pictures)


def predict_batch(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """`POST /predict/batch`, a form with all files."""
    body = _post(server, "/predict/batch", files=[("files", (f"{i}", p)) for i, p in enumerate(pictures)])
    return np.stack([_of_classes(result["predictions"]) for result in body["results"]])


def v1(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """V1 `:predict` with base64."""
    instances = [{"b64": base64.b64encode(p).decode()} for p in pictures]
    body = _post(server, f"/v1/models/{MODEL}:predict", json={"instances": instances, "parameters": {"top_k": CLASSES}})
    return np.stack([_of_classes(prediction) for prediction in body["predictions"]])


def v2_json(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """V2 REST, base64 in JSON."""
    data = [base64.b64encode(p).decode() for p in pictures]
    tensor = {"name": "image", "datatype": "BYTES", "shape": [len(pictures)], "data": data}
    body = _post(server, f"/v2/models/{MODEL}/infer", json={"inputs": [tensor], "parameters": {"top_k": CLASSES}})
    outputs = {output["name"]: np.reshape(output["data"], output["shape"]) for output in body["outputs"]}
    return _of_arrays(outputs["class_ids"], outputs["scores"])


def v2_binary(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """V2 REST, the binary tensor extension both ways."""
    data = bytes(write_binary(_elements(pictures)))
    header = httpx.Request(
        "POST",
        "http://x",
        json={
            "inputs": [
                {
                    "name": "image",
                    "datatype": "BYTES",
                    "shape": [len(pictures)],
                    "parameters": {"binary_data_size": len(data)},
                }
            ],
            "parameters": {"top_k": CLASSES, "binary_data_output": True},
        },
    ).content
    answer = httpx.post(
        f"{server.url}/v2/models/{MODEL}/infer",
        content=header + data,
        headers={"inference-header-content-length": str(len(header))},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    length = int(answer.headers["inference-header-content-length"])
    described = httpx.Response(200, content=answer.content[:length]).json()["outputs"]
    arrays: dict[str, Any] = {}
    position = length
    for output in described:
        size = output["parameters"]["binary_data_size"]
        raw = answer.content[position : position + size]
        arrays[output["name"]] = read_binary(output["name"], output["datatype"], output["shape"], raw).array
        position += size
    return _of_arrays(arrays["class_ids"], arrays["scores"])


def v2_grpc_raw(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """V2 gRPC with raw contents."""
    request = _grpc_request(pictures)
    request.raw_input_contents.append(bytes(write_binary(_elements(pictures))))
    with grpc.insecure_channel(server.grpc) as channel:
        answer = pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
    arrays = {
        output.name: read_binary(output.name, output.datatype, tuple(output.shape), raw).array
        for output, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }
    return _of_arrays(arrays["class_ids"], arrays["scores"])


def v2_grpc_typed(server: RunningServer, pictures: Sequence[bytes]) -> Probabilities:
    """V2 gRPC with typed contents."""
    request = _grpc_request(pictures)
    request.inputs[0].contents.bytes_contents.extend(pictures)
    with grpc.insecure_channel(server.grpc) as channel:
        answer = pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
    by_name = {output.name: output for output in answer.outputs}
    shape = tuple(by_name["scores"].shape)
    return _of_arrays(
        np.reshape(by_name["class_ids"].contents.int64_contents, shape),
        np.reshape(by_name["scores"].contents.fp32_contents, shape),
    )


PROTOCOLS: tuple[Send, ...] = (
    predict_form,
    predict_body,
    predict_batch,
    v1,
    v2_json,
    v2_binary,
    v2_grpc_raw,
    v2_grpc_typed,
)


def _post(server: RunningServer, path: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}{path}", params={"top_k": CLASSES}, timeout=60, **body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def _one_by_one(send: Callable[[bytes], dict[str, Any]], pictures: Sequence[bytes]) -> Probabilities:
    return np.stack([_of_classes(send(picture)["predictions"]) for picture in pictures])


def _of_classes(classes: list[dict[str, Any]]) -> Probabilities:
    probabilities = np.zeros(CLASSES, np.float32)
    for found in classes:
        probabilities[found["class_id"]] = found["score"]
    return probabilities


def _of_arrays(class_ids: NDArray[np.int64], scores: NDArray[np.float32]) -> Probabilities:
    probabilities = np.zeros(scores.shape, np.float32)
    np.put_along_axis(probabilities, class_ids, scores.astype(np.float32), axis=1)
    return probabilities


def _elements(pictures: Sequence[bytes]) -> NDArray[np.object_]:
    elements = np.empty(len(pictures), np.object_)
    elements[:] = list(pictures)
    return Tensor("image", elements).array


def _grpc_request(pictures: Sequence[bytes]) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name=MODEL)
    request.inputs.add(name="image", datatype="BYTES", shape=[len(pictures)])
    request.parameters["top_k"].int64_param = CLASSES
    return request
