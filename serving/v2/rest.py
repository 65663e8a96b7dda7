"""V2 over REST: JSON, and the binary tensor data extension, in both directions.

A message is a JSON object; tensors whose `parameters.binary_data_size` is set stand after it, in order, as bytes. The
header `Inference-Header-Content-Length` says where the JSON ends. Requests and responses share that form, and so the
code. Sources: the Open Inference Protocol's REST specification and Triton's binary tensor data extension.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from serving.errors import RequestInvalid, TensorInvalid
from serving.v2.message import InferRequest, InferResponse, Parameter, Parameters, RequestedOutput
from serving.v2.tensor import Array, Tensor, check_shape, dtype_of, read_binary, write_binary

JSON_LENGTH_HEADER: Final = "inference-header-content-length"
JSON_CONTENT_TYPE: Final = "application/json"
BINARY_CONTENT_TYPE: Final = "application/octet-stream"

Object = dict[str, Any]


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
    parameters = _read_parameters(message, "the request")
    inputs = _list(message, "inputs", "the request")
    if not inputs:
        raise RequestInvalid("inputs is empty: a request carries at least one tensor")
    return InferRequest(
        model_name=model_name,
        model_version=version,
        id=_optional_string(message, "id"),
        inputs=_read_tensors(inputs, tail, "input"),
        outputs=tuple(_read_requested(output) for output in _optional_list(message, "outputs")),
        parameters=parameters,
        binary_output=_boolean(parameters, "binary_data_output", "the request") or False,
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


def decode_response(body: bytes, headers: Mapping[str, str]) -> InferResponse:
    """Read a server's answer.

    Raises:
        RequestInvalid, TensorInvalid: it is not a V2 response.
    """
    message, tail = _split(body, headers)
    return InferResponse(
        model_name=_string(message, "model_name", "the response"),
        model_version=_optional_string(message, "model_version") or "",
        id=_optional_string(message, "id"),
        outputs=_read_tensors(_list(message, "outputs", "the response"), tail, "output"),
        parameters=_read_parameters(message, "the response"),
    )


def read_json_tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> Tensor:
    """Read JSON data, flat or nested, without a silent change of any value.

    Raises:
        TensorInvalid: the datatype is unknown, or the values are not of it, or not as many as the shape holds.
    """
    dtype = dtype_of(datatype, name)
    count = check_shape(shape, name)
    where = f"tensor {name!r}"
    array = _strings(data, where) if datatype == "BYTES" else _numbers(data, datatype, dtype, where)
    if array.size != count:
        raise TensorInvalid(f"{where} has {array.size} values where the shape {shape} takes {count}", input=name)
    return Tensor(name, array.reshape(shape))


def _split(body: bytes, headers: Mapping[str, str]) -> tuple[Object, memoryview]:
    """Part the JSON from the bytes behind it."""
    stated = headers.get(JSON_LENGTH_HEADER)
    length = len(body)
    if stated is not None:
        if not (stated.isascii() and stated.isdigit()) or int(stated) > len(body):
            raise RequestInvalid(
                f"Inference-Header-Content-Length is {stated!r}: the length of the JSON in bytes is expected, at most "
                f"the {len(body)} bytes of the body"
            )
        length = int(stated)
    if length == 0:
        raise RequestInvalid("the body is empty: a JSON object is expected")
    view = memoryview(body)
    try:
        message = orjson.loads(view[:length])
    except orjson.JSONDecodeError as error:
        hint = "" if stated else "; a body with binary tensors needs the header Inference-Header-Content-Length"
        raise RequestInvalid(f"the body is not JSON: {error.msg} at character {error.pos}{hint}") from error
    if not isinstance(message, dict):
        raise RequestInvalid(f"the body is a JSON {_json_type(message)}: an object is expected")
    return message, view[length:]


def _read_tensors(items: list[Any], tail: memoryview, kind: str) -> tuple[Tensor, ...]:
    tensors: list[Tensor] = []
    position = 0
    for item in items:
        if not isinstance(item, dict):
            raise RequestInvalid(f"{kind}s holds a JSON {_json_type(item)}: an object for each tensor is expected")
        name = _string(item, "name", f"an {kind}")
        where = f"{kind} {name!r}"
        datatype = _string(item, "datatype", where)
        shape = _read_shape(item, where)
        size = _binary_size(item, where)
        if size is None:
            tensors.append(read_json_tensor(name, datatype, shape, _list(item, "data", where)))
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
    size = _read_parameters(item, where).get("binary_data_size")
    if size is None:
        return None
    if "data" in item:
        raise RequestInvalid(f"{where} has both data and binary_data_size: give one")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise RequestInvalid(f"{where} has the binary_data_size {size!r}: a number of bytes is expected")
    return size


def _read_shape(item: Object, where: str) -> list[int]:
    shape = _list(item, "shape", where)
    if any(isinstance(dimension, bool) or not isinstance(dimension, int) for dimension in shape):
        raise RequestInvalid(f"{where} has the shape {shape!r:.80}: a list of whole numbers is expected")
    return shape


def _strings(data: list[Any], where: str) -> Array:
    """Flatten nested lists of strings by hand: NumPy would pad every string to the longest one."""
    level = data
    while level and isinstance(level[0], list):
        if any(not isinstance(row, list) or len(row) != len(level[0]) for row in level):
            raise TensorInvalid(f"{where} holds rows of different lengths")
        level = [value for row in level for value in row]
    for value in level:
        if not isinstance(value, str):
            raise TensorInvalid(f"{where} holds a JSON {_json_type(value)}: BYTES are strings in JSON")
    array = np.empty(len(level), dtype=np.object_)
    array[:] = level
    return array


def _numbers(data: list[Any], datatype: str, dtype: np.dtype[Any], where: str) -> Array:
    """Read the values in NumPy's own type first, so that text, fractions and overflows show before they are cast."""
    try:
        array: Array = np.array(data)
    except (ValueError, OverflowError) as error:
        raise TensorInvalid(f"{where} holds rows of different lengths, or values that are no numbers") from error
    if array.size == 0:
        return array.astype(dtype)
    if array.dtype.kind not in "biuf":
        raise TensorInvalid(f"{where} holds values that are no {datatype}: only numbers or true and false are expected")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if array.dtype.kind in "bf" or array.min() < limits.min or array.max() > limits.max:
            raise TensorInvalid(
                f"{where} holds values that are no {datatype}: whole numbers {limits.min} to {limits.max} are expected"
            )
    if dtype.kind == "b" and (array.dtype.kind == "f" or array.min() < 0 or array.max() > 1):
        raise TensorInvalid(f"{where} holds values that are no BOOL: true and false are expected")
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)


def _read_requested(item: object) -> RequestedOutput:
    if not isinstance(item, dict):
        raise RequestInvalid(f"outputs holds a JSON {_json_type(item)}: an object for each output is expected")
    name = _string(item, "name", "an output")
    where = f"output {name!r}"
    return RequestedOutput(name, _boolean(_read_parameters(item, where), "binary_data", where))


def _boolean(parameters: Parameters, key: str, where: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise RequestInvalid(f"{where} has the {key} {value!r:.40}: true or false is expected")
    return value


def _read_parameters(item: Object, where: str) -> Parameters:
    parameters = item.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestInvalid(f"{where} has parameters of the type {_json_type(parameters)}: an object is expected")
    for key, value in parameters.items():
        if not isinstance(value, Parameter):
            raise RequestInvalid(
                f"{where} has the parameter {key!r} of the type {_json_type(value)}: a string, a number or a boolean "
                "is expected"
            )
    return parameters


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
            item["data"] = _json_data(tensor)
        items.append(item)
    encoded = orjson.dumps({**header, key: items}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Body((encoded, *tails), json_length=len(encoded)) if tails else Body((encoded,))


def _json_data(tensor: Tensor) -> Array | list[str]:
    """The flat values. A NaN or an infinity becomes null, since JSON has neither."""
    if tensor.array.dtype.kind in "SUO":
        return [_text(element, tensor.name) for element in tensor.array.flat]
    flat = np.ascontiguousarray(tensor.array).reshape(-1)
    return flat.astype(np.float32) if flat.dtype == np.float16 else flat


def _text(element: object, name: str) -> str:
    if not isinstance(element, bytes):
        return str(element)
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise RequestInvalid(f"output {name!r} holds bytes that are no text: ask for it with binary_data") from error


def _string(item: Object, key: str, where: str) -> str:
    value = _present(item, key, where)
    if not isinstance(value, str):
        raise RequestInvalid(f"{where} has a {key} of the type {_json_type(value)}: a string is expected")
    return value


def _optional_string(item: Object, key: str) -> str | None:
    return None if item.get(key) is None else _string(item, key, "the message")


def _list(item: Object, key: str, where: str) -> list[Any]:
    value = _present(item, key, where)
    if not isinstance(value, list):
        raise RequestInvalid(f"{where} has {key} of the type {_json_type(value)}: a list is expected")
    return value


def _optional_list(item: Object, key: str) -> list[Any]:
    return [] if item.get(key) is None else _list(item, key, "the request")


def _present(item: Object, key: str, where: str) -> object:
    if item.get(key) is None:
        raise RequestInvalid(f"{where} has no {key}")
    return item[key]


def _json_type(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
