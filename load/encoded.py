"""Requests as the bytes that go over the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import orjson

from serving.v2 import InferRequest, Tensor
from serving.v2 import grpc as grpc_codec
from serving.v2 import rest as rest_codec


def http_request(path: str, headers: Mapping[str, str], body: bytes, host: str = "127.0.0.1") -> bytes:
    """Return a whole HTTP/1.1 POST."""
    stated = {"host": host, **headers, "content-length": str(len(body))}
    lines = "".join(f"{key}: {value}\r\n" for key, value in stated.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def picture_request(picture: bytes, model: str, input_name: str = "image", rank: int = 1) -> InferRequest:
    """Return a V2 request that carries an encoded picture, as BYTES of the shape `[1]`, or of as many 1 as `rank`."""
    element = np.empty((1,) * rank, dtype=np.object_)
    element.flat[0] = picture
    return InferRequest(model_name=model, inputs=(Tensor(input_name, element),))


def grpc_message(request: InferRequest) -> bytes:
    """Return a request's gRPC message, with raw tensors."""
    return grpc_codec.serialize_request(request)


def binary_body(request: InferRequest) -> tuple[bytes, Mapping[str, str]]:
    """Return a request's REST body with binary tensors, and its headers."""
    body = rest_codec.encode_request(request)
    return bytes(body), body.headers


def json_body(request: InferRequest) -> tuple[bytes, Mapping[str, str]]:
    """Return a request's REST body as JSON, and its headers."""
    inputs = [{"name": t.name, "datatype": t.datatype, "shape": t.shape, "data": t.array} for t in request.inputs]
    body = orjson.dumps({"id": request.id or "", "inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    return body, {"content-type": rest_codec.JSON_CONTENT_TYPE}


def write_files(requests: Iterable[bytes], folder: Path, kind: str) -> tuple[Path, ...]:
    """Write a file for each request, and return their paths.

    Raises:
        OSError: the folder cannot be written.
    """
    paths = []
    for number, request in enumerate(requests):
        path = folder / f"{kind}-{number}"
        path.write_bytes(request)
        paths.append(path)
    return tuple(paths)
