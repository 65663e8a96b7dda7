"""V2 over REST: JSON, and the binary tensor data extension, in both directions.

A message is a JSON object; tensors whose `parameters.binary_data_size` is set stand after it, in order, as bytes. The
header `Inference-Header-Content-Length` says where the JSON ends. Requests and responses share that form, and so the
code. Sources: the Open Inference Protocol's REST specification and Triton's binary tensor data extension.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import orjson

from serving.errors import RequestInvalid
from serving.v2.json_data import json_data
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
from serving.v2.json_numbers import read_message
from serving.v2.message import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    Parameters,
    RequestedOutput,
    TensorSpec,
    check_count,
)
from serving.v2.outline import Outline, fill, read_outlines, read_shape
from serving.v2.tensor import Tensor, write_binary
from serving.v2.timing import TIMING_HEADER, read_timings, write_timings

JSON_LENGTH_HEADER: Final = "inference-header-content-length"
JSON_CONTENT_TYPE: Final = "application/json"
BINARY_CONTENT_TYPE: Final = "application/octet-stream"
KNOWN_BYTES: Final = 2048
"""The longest JSON of a binary message that is remembered with what it says: it is the same from request to request,
unless the caller numbers them in it, and the tensors' bytes alone change."""
KNOWN: Final = 64
"""How many are remembered."""

_LENGTH: Final = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Body:
    """An encoded message: the parts to send in order, and the length of the JSON where bytes follow it."""

    parts: tuple[bytes | memoryview, ...]
    json_length: int | None = None
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """The one content type of the message, the JSON's length where it is needed, and the stages' times."""
        timing = {TIMING_HEADER: write_timings(self.timings)} if self.timings else {}
        if self.json_length is None:
            return {"content-type": JSON_CONTENT_TYPE, **timing}
        return {"content-type": BINARY_CONTENT_TYPE, JSON_LENGTH_HEADER: str(self.json_length), **timing}

    def __bytes__(self) -> bytes:
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], bytes) else b"".join(self.parts)


def decode_request(body: bytes, headers: Mapping[str, str], model_name: str, version: str | None) -> InferRequest:
    """Read a request's body; binary tensors are views of it.

    Raises:
        RequestInvalid: the JSON, or one of its fields, is not as the protocol wants it.
        TensorInvalid: a tensor's datatype, shape and data do not agree.
    """
    json, tail = _split(body, headers)
    head = _known_request(json) if _is_worth_knowing(json, tail) else _read_request(json, _hint(headers))
    return InferRequest(
        model_name=model_name,
        model_version=version,
        id=head.id,
        inputs=fill(head.inputs, tail, "input"),
        outputs=head.outputs,
        parameters=head.parameters,
        binary_output=find_boolean(head.parameters, "binary_data_output", "the request") or False,
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
    return replace(_write(header, "outputs", response.outputs, is_binary), timings=response.timings)


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
    json, tail = _split(body, headers)
    head = _known_response(json) if _is_worth_knowing(json, tail) else _read_response(json, _hint(headers))
    return InferResponse(
        model_name=head.model_name,
        model_version=head.model_version,
        id=head.id,
        outputs=fill(head.outputs, tail, "output"),
        parameters=head.parameters,
        timings=read_timings(headers.get(TIMING_HEADER, "")),
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
    message = read_message(bytes(body))
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


@dataclass(frozen=True, slots=True)
class _RequestHead:
    """What the JSON of a request says."""

    id: str | None
    inputs: tuple[Outline, ...]
    outputs: tuple[RequestedOutput, ...]
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class _ResponseHead:
    """What the JSON of a response says."""

    model_name: str
    model_version: str
    id: str | None
    outputs: tuple[Outline, ...]
    parameters: Parameters


def _read_request(json: bytes, hint: str = "") -> _RequestHead:
    message = read_message(json, hint=hint)
    parameters = find_parameters(message, "the request")
    inputs = get_list(message, "inputs", "the request")
    if not inputs:
        raise RequestInvalid("inputs is empty: a request carries at least one tensor")
    return _RequestHead(
        id=find_string(message, "id", "the message"),
        inputs=read_outlines(inputs, "input"),
        outputs=_read_requested(find_list(message, "outputs", "the request")),
        parameters=MappingProxyType(parameters),
    )


def _read_response(json: bytes, hint: str = "") -> _ResponseHead:
    message = read_message(json, hint=hint)
    return _ResponseHead(
        model_name=get_string(message, "model_name", "the response"),
        model_version=find_string(message, "model_version", "the message") or "",
        id=find_string(message, "id", "the message"),
        outputs=read_outlines(get_list(message, "outputs", "the response"), "output"),
        parameters=MappingProxyType(find_parameters(message, "the response")),
    )


_known_request: Final = lru_cache(KNOWN)(_read_request)
_known_response: Final = lru_cache(KNOWN)(_read_response)


def _is_worth_knowing(json: bytes, tail: memoryview) -> bool:
    """Whether a message is one whose JSON may well come again: all that changes stands behind it."""
    return len(tail) > 0 and len(json) <= KNOWN_BYTES


def _read_spec(item: object) -> TensorSpec:
    if not isinstance(item, dict):
        raise RequestInvalid(f"the metadata holds a JSON {json_type(item)}: an object for each tensor is expected")
    name = get_string(item, "name", "a tensor")
    shape = read_shape(item, f"tensor {name!r}")
    return TensorSpec(name, get_string(item, "datatype", f"tensor {name!r}"), tuple(shape))


def _split(body: bytes | memoryview, headers: Mapping[str, str]) -> tuple[bytes, memoryview]:
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
    return body if isinstance(body, bytes) and length == len(body) else bytes(view[:length]), view[length:]


def _hint(headers: Mapping[str, str]) -> str:
    if headers.get(JSON_LENGTH_HEADER):
        return ""
    return "; a body with binary tensors needs the header Inference-Header-Content-Length"


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
