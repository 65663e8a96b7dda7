"""The requests that both sides are sent."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any, Final

import grpc
import httpx
import numpy as np
from PIL import Image

from serving.sdk import pb, pb_grpc
from tests.sdk.model_directory import INPUT, ROW_SHAPE
from tests.sdk.sides import Server
from tests.servers import MODEL

TIMEOUT_S: Final = 60.0
CHANNEL_OPTIONS: Final = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]
PICTURE_INPUT: Final = {"name": "image", "datatype": "BYTES", "shape": [1]}


def get(server: Server, path: str) -> httpx.Response:
    """Send a GET request on a connection of its own."""
    return httpx.get(server.url + path, timeout=TIMEOUT_S, trust_env=False)


def post(server: Server, path: str, content: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Send a POST request on a connection of its own."""
    return httpx.post(server.url + path, content=content, headers=headers, timeout=TIMEOUT_S, trust_env=False)


def grpc_status(server: Server, message: pb.ModelInferRequest) -> grpc.StatusCode:
    """Infer over gRPC, and return the status; OK for an answer."""
    return call_status(server, "ModelInfer", message)


def call_status(server: Server, method: str, message: Any) -> grpc.StatusCode:
    """Call a method of the protocol, and return the status; OK for an answer."""
    with grpc.insecure_channel(server.grpc, options=CHANNEL_OPTIONS) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        try:
            getattr(stub, method)(message, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code
    return grpc.StatusCode.OK


def tensor_message(rows: int = 1, value: float = 0.0, model: str = MODEL) -> pb.ModelInferRequest:
    """Return a gRPC request of `rows` rows for a predictor, raw."""
    message = pb.ModelInferRequest(model_name=model)
    message.inputs.add(name=INPUT, datatype="FP32", shape=[rows, *ROW_SHAPE])
    message.raw_input_contents.append(np.full((rows, *ROW_SHAPE), value, dtype=np.float32).tobytes())
    return message


def tensor_json() -> bytes:
    """Return a REST request of one row for a predictor, all JSON."""
    data = [0] * int(np.prod(ROW_SHAPE))
    tensor = {"name": INPUT, "datatype": "FP32", "shape": [1, *ROW_SHAPE], "data": data}
    return json.dumps({"id": "1", "inputs": [tensor]}).encode()


def tensor_bytes() -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a REST request of one row for a predictor, its tensor as bytes."""
    raw = np.zeros((1, *ROW_SHAPE), dtype=np.float32).tobytes()
    return binary_request({"name": INPUT, "datatype": "FP32", "shape": [1, *ROW_SHAPE]}, raw)


def binary_request(tensor: Mapping[str, Any], raw: bytes) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a REST request whose only input stands behind the JSON."""
    described = {**tensor, "parameters": {"binary_data_size": len(raw)}}
    header = json.dumps({"id": "1", "parameters": {"binary_data_output": True}, "inputs": [described]}).encode()
    return header + raw, {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(header)),
    }


def jpeg() -> bytes:
    """Return a picture."""
    encoded = io.BytesIO()
    Image.new("RGB", (80, 60), "teal").save(encoded, "JPEG")
    return encoded.getvalue()


def picture_message() -> pb.ModelInferRequest:
    """Return a gRPC request of one picture for a transformer, raw."""
    picture = jpeg()
    message = pb.ModelInferRequest(model_name=MODEL)
    message.inputs.add(**PICTURE_INPUT)
    message.raw_input_contents.append(len(picture).to_bytes(4, "little") + picture)
    return message


def ask_about_a_picture(server: Server, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Send a picture to a transformer over V2 REST, as base64."""
    body = {"inputs": [{**PICTURE_INPUT, "data": [base64.b64encode(jpeg()).decode()]}]}
    given = {"content-type": "application/json", **(headers or {})}
    return post(server, f"/v2/models/{MODEL}/infer", json.dumps(body).encode(), given)
