"""The requests of every served variant, as the bytes that go over the wire, one file each."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from serving.contract import ModelDirectory
from serving.sdk import pb
from serving.v2 import InferRequest, Tensor
from serving.v2 import grpc as grpc_codec
from serving.v2 import rest as rest_codec
from serving.v2.message import RequestedOutput
from transformer.pictures import Limits, prepare

Files = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Requests:
    """Files of requests, one for each picture."""

    pictures: Files
    """The pictures themselves."""
    predict: Files
    """`POST /predict` with the picture as its body."""
    picture_grpc: Files
    """V2 gRPC to the transformer: BYTES, raw."""
    tensor_grpc: Files
    """V2 gRPC to the predictor, as the transformer sends it: UINT8 pixels, raw."""
    tensor_binary: Files
    """V2 REST to the predictor: the same, as a binary tensor."""
    tensor_json: Files
    """V2 REST to the predictor: the same, as JSON."""


def write_requests(
    pictures: Iterable[bytes], model: ModelDirectory, name: str, input_name: str, folder: Path
) -> Requests:
    """Write the requests of `pictures` into `folder`; `input_name` is the predictor's input."""
    made: dict[str, list[Path]] = {}

    def keep(kind: str, data: bytes) -> None:
        path = folder / f"{kind}-{len(made.setdefault(kind, []))}"
        path.write_bytes(data)
        made[kind].append(path)

    for picture in pictures:
        keep("pictures", picture)
        keep("predict", http_request("/predict", {"content-type": "image/jpeg"}, picture))
        keep("picture_grpc", _message(_picture_request(picture, name)))
        request = _tensor_request(picture, model, name, input_name)
        infer = f"/v2/models/{name}/infer"
        binary = rest_codec.encode_request(request)
        keep("tensor_grpc", _message(request))
        keep("tensor_binary", http_request(infer, binary.headers, bytes(binary)))
        keep("tensor_json", http_request(infer, {"content-type": "application/json"}, _json(request)))
    return Requests(**{kind: tuple(paths) for kind, paths in made.items()})


def http_request(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a whole HTTP/1.1 POST."""
    stated = {"host": "127.0.0.1", **headers, "content-length": str(len(body))}
    lines = "".join(f"{key}: {value}\r\n" for key, value in stated.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _picture_request(picture: bytes, name: str) -> InferRequest:
    element = np.empty(1, dtype=np.object_)
    element[0] = picture
    return InferRequest(model_name=name, inputs=(Tensor("image", element),))


def _tensor_request(picture: bytes, model: ModelDirectory, name: str, input_name: str) -> InferRequest:
    pixels = prepare(picture, model.contract.input, Limits()).pixels[None]
    named = [name for name in model.decoder().tensors().values() if name]
    return InferRequest(
        model_name=name,
        inputs=(Tensor(input_name, pixels),),
        id=uuid.uuid4().hex,
        outputs=tuple(map(RequestedOutput, named)),
    )


def _message(request: InferRequest) -> bytes:
    message: pb.ModelInferRequest = grpc_codec.encode_request(request)
    encoded: bytes = message.SerializeToString()
    return encoded


def _json(request: InferRequest) -> bytes:
    inputs = [{"name": t.name, "datatype": t.datatype, "shape": t.shape, "data": t.array} for t in request.inputs]
    return orjson.dumps({"id": request.id, "inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
