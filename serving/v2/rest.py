"""V2 over REST: JSON, and the binary tensor data extension, in both directions.

A message is a JSON object; tensors whose `parameters.binary_data_size` is set stand after it, in order, as bytes. The
header `Inference-Header-Content-Length` says where the JSON ends. Requests and responses share that form, and so the
code. Sources: the Open Inference Protocol's REST specification and Triton's binary tensor data extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from serving.errors import RequestInvalid, TensorInvalid
from serving.v2.json_data import json_data, read_json_tensor
from serving.v2.json_fields import (
    Object,
    find_boolean,
    find_list,
    find_parameters,
    find_string,
    get_list,
    get_string,
    json_type,
)
from serving.v2.json_numbers import NumberText, read_message
from serving.v2.message import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    RequestedOutput,
    TensorSpec,
    check_count,
    check_name,
)
from serving.v2.tensor import Tensor, check_rank, read_binary, write_binary

JSON_LENGTH_HEADER: Final = "inference-header-content-length"
JSON_CONTENT_TYPE: Final = "application/json"
BINARY_CONTENT_TYPE: Final = "application/octet-stream"
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Body:
    """An encoded message: the parts to send in order, and the length of the JSON where bytes follow it."""

    parts: tuple[bytes | memoryview, ...]
    json_length: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The one content type of the message, and the JSON's length where it is needed."""
        if self.json_length is None:
            return {"content-type": JSON_CONTENT_TYPE}
        return {"content-type": BINARY_CONTENT_TYPE, JSON_LENGTH_HEADER: str(self.json_length)}

    def __bytes__(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], bytes) else b"".join(self.parts)


def decode_request(body: bytes, headers: Mapping[str, str], model_name: str, version: str | None) -> InferRequest:
    """Read a request's body; binary tensors are views of it.

    Raises:
        RequestInvalid: the JSON, or one of its fields, is not as the protocol wants it.
        TensorInvalid: a tensor's datatype, shape and data do not agree.
    """
    message, tail = _split(body, headers)
    parameters = find_parameters(message, "the request")
    inputs = get_list(message, "inputs", "the request")
    if not inputs:
        raise RequestInvalid("inputs is empty: a request carries at least one tensor")
    return InferRequest(
        model_name=model_name,
        model_version=version,
        id=find_string(message, "id", "the message"),
        inputs=_read_tensors(inputs, tail, "input"),
        outputs=_read_requested(find_list(message, "outputs", "the request")),
        parameters=parameters,
        binary_output=find_boolean(parameters, "binary_data_output", "the request") or False,
    )


def encode_response(response: InferResponse, request: InferRequest) -> Body:
    """Write a response as the request asked for it: each output as JSON or as bytes.

    Raises:
        RequestInvalid: a BYTES output holds something that JSON cannot carry, and JSON was asked for.
    """
    wishes = {output.name: output.binary for output in request.outputs}

    def is_binary(name: str) -> bool:
        wish = wishes.get(name)
        return request.binary_output if wish is None else wish

    header: Object = {"model_name": response.model_name, "model_version": response.model_version}
    if response.id is not None:
        header["id"] = response.id
    if response.parameters:
        header["parameters"] = dict(response.parameters)
    return _write(header, "outputs", response.outputs, is_binary)


def encode_request(request: InferRequest) -> Body:
    """Write a request with binary tensors, asking for binary outputs."""
    header: Object = {"parameters": {**request.parameters, "binary_data_output": True}}
    if request.id is not None:
        header["id"] = request.id
    if request.outputs:
        header["outputs"] = [{"name": output.name} for output in request.outputs]
    return _write(header, "inputs", request.inputs, lambda _: True)


def decode_response(body: bytes | memoryview, headers: Mapping[str, str]) -> InferResponse:
    """Read a server's answer.

    Raises:
        RequestInvalid, TensorInvalid: it is not a V2 response.
    """
    message, tail = _split(body, headers)
    return InferResponse(
        model_name=get_string(message, "model_name", "the response"),
        model_version=find_string(message, "model_version", "the message") or "",
        id=find_string(message, "id", "the message"),
        outputs=_read_tensors(get_list(message, "outputs", "the response"), tail, "output"),
        parameters=find_parameters(message, "the response"),
    )


def encode_metadata(metadata: ModelMetadata) -> Object:
    """Return a model's metadata as JSON's values."""
    return {
        "name": metadata.name,
        "versions": metadata.versions,
        "platform": metadata.platform,
        "inputs": [{"name": s.name, "datatype": s.datatype, "shape": s.shape} for s in metadata.inputs],
        "outputs": [{"name": s.name, "datatype": s.datatype, "shape": s.shape} for s in metadata.outputs],
    }


def decode_metadata(body: bytes | memoryview) -> ModelMetadata:
    """Read a server's metadata of a model.

    Raises:
        RequestInvalid: it is not V2's.
    """
    message, _ = _split(body, {})
    where = "the metadata"
    return ModelMetadata(
        name=get_string(message, "name", where),
        versions=tuple(str(version) for version in find_list(message, "versions", where)),
        platform=find_string(message, "platform", where) or "",
        inputs=tuple(_read_spec(item) for item in find_list(message, "inputs", where)),
        outputs=tuple(_read_spec(item) for item in find_list(message, "outputs", where)),
    )


def json_length(body: bytes, headers: Mapping[str, str]) -> int:
    """Return how many bytes of a body are JSON, if what its headers say of it is true."""
    stated = headers.get(JSON_LENGTH_HEADER, "")
    return int(stated) if _LENGTH.fullmatch(stated) else len(body)


def _read_spec(item: object) -> TensorSpec:
    if not isinstance(item, dict):
        raise RequestInvalid(f"the metadata holds a JSON {json_type(item)}: an object for each tensor is expected")
    name = get_string(item, "name", "a tensor")
    shape = _read_shape(item, f"tensor {name!r}")
    return TensorSpec(name, get_string(item, "datatype", f"tensor {name!r}"), tuple(shape))


def _split(body: bytes | memoryview, headers: Mapping[str, str]) -> tuple[Object, memoryview]:
    """Part the JSON from the bytes behind it."""
    stated = headers.get(JSON_LENGTH_HEADER)
    length = len(body)
    if stated is not None:
        if not _LENGTH.fullmatch(stated) or int(stated) > len(body):
            raise RequestInvalid(
                f"Inference-Header-Content-Length is {stated:.40}: the JSON's length in bytes is expected, at most "
                f"the {len(body)} bytes of the body"
            )
        length = int(stated)
    view = memoryview(body)
    hint = "" if stated else "; a body with binary tensors needs the header Inference-Header-Content-Length"
    json = body if isinstance(body, bytes) and length == len(body) else bytes(view[:length])
    return read_message(json, hint=hint), view[length:]


def _read_tensors(items: list[Any], tail: memoryview, kind: str) -> tuple[Tensor, ...]:
    check_count(len(items), f"{kind}s")
    tensors: list[Tensor] = []
    position = 0
    for item in items:
        if not isinstance(item, dict):
            raise RequestInvalid(f"{kind}s holds a JSON {json_type(item)}: an object for each tensor is expected")
        name = get_string(item, "name", f"an {kind}")
        check_name(name, kind)
        where = f"{kind} {name!r}"
        datatype = get_string(item, "datatype", where)
        shape = _read_shape(item, where)
        size = _binary_size(item, where)
        if size is None:
            data = item.get("data")
            numbers = data if isinstance(data, NumberText) else get_list(item, "data", where)
            tensors.append(read_json_tensor(name, datatype, shape, numbers))
            continue
        if position + size > len(tail):
            raise TensorInvalid(
                f"{where} says it has {size} binary bytes; {len(tail) - position} follow the JSON", input=name
            )
        tensors.append(read_binary(name, datatype, shape, tail[position : position + size]))
        position += size
    if position != len(tail):
        raise RequestInvalid(f"{len(tail) - position} bytes follow the JSON that belong to no tensor")
    return tuple(tensors)


def _binary_size(item: Object, where: str) -> int | None:
    size = find_parameters(item, where).get("binary_data_size")
    if size is None:
        return None
    if "data" in item:
        raise RequestInvalid(f"{where} has both data and binary_data_size: give one")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise RequestInvalid(f"{where} has the binary_data_size {size!r}: a number of bytes is expected")
    return size


def _read_shape(item: Object, where: str) -> list[int]:
    shape = get_list(item, "shape", where)
    check_rank(len(shape), where)
    if any(isinstance(dimension, bool) or not isinstance(dimension, int) for dimension in shape):
        raise RequestInvalid(f"{where} has the shape {shape!r:.80}: a list of whole numbers is expected")
    return shape


def _read_requested(items: list[Any]) -> tuple[RequestedOutput, ...]:
    check_count(len(items), "outputs")
    return tuple(_read_requested_one(item) for item in items)


def _read_requested_one(item: object) -> RequestedOutput:
    if not isinstance(item, dict):
        raise RequestInvalid(f"outputs holds a JSON {json_type(item)}: an object for each output is expected")
    name = get_string(item, "name", "an output")
    where = f"output {name!r}"
    return RequestedOutput(name, find_boolean(find_parameters(item, where), "binary_data", where))


def _write(header: Object, key: str, tensors: Sequence[Tensor], is_binary: Callable[[str], bool]) -> Body:
    tails: list[bytes | memoryview] = []
    items: list[Object] = []
    for tensor in tensors:
        item: Object = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if is_binary(tensor.name):
            data = write_binary(tensor.array)
            item["parameters"] = {"binary_data_size": len(data)}
            tails.append(data)
        else:
            item["data"] = json_data(tensor)
        items.append(item)
    encoded = orjson.dumps({**header, key: items}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Body((encoded, *tails), json_length=len(encoded)) if tails else Body((encoded,))
