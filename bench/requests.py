"""The requests of every served variant, as the bytes that go over the wire, one file each."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from load.encoded import binary_body, grpc_message, http_request, json_body, picture_request, write_files
from serving.contract import ModelDirectory
from serving.v2 import InferRequest, Tensor
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
    pictures = list(pictures)
    tensors = [_tensor_request(picture, model, name, input_name) for picture in pictures]
    infer = f"/v2/models/{name}/infer"

    def keep(kind: str, requests: Iterable[bytes]) -> Files:
        return write_files(requests, folder, kind)

    def post(path: str, body: tuple[bytes, Mapping[str, str]]) -> bytes:
        content, headers = body
        return http_request(path, headers, content)

    return Requests(
        pictures=keep("pictures", pictures),
        predict=keep("predict", (post("/predict", (picture, {"content-type": "image/jpeg"})) for picture in pictures)),
        picture_grpc=keep("picture_grpc", (grpc_message(picture_request(picture, name)) for picture in pictures)),
        tensor_grpc=keep("tensor_grpc", map(grpc_message, tensors)),
        tensor_binary=keep("tensor_binary", (post(infer, binary_body(request)) for request in tensors)),
        tensor_json=keep("tensor_json", (post(infer, json_body(request)) for request in tensors)),
    )


def _tensor_request(picture: bytes, model: ModelDirectory, name: str, input_name: str) -> InferRequest:
    pixels = prepare(picture, model.contract.input, Limits()).pixels[None]
    named = [name for name in model.decoder().tensors().values() if name]
    return InferRequest(
        model_name=name,
        inputs=(Tensor(input_name, pixels),),
        id=uuid.uuid4().hex,
        outputs=tuple(map(RequestedOutput, named)),
    )
