"""V2 over gRPC: protobuf messages to ours and back, in both directions.

Raw contents are read as views of the message's bytes. Typed contents are read for clients that send them, and answered
in kind; FP16 has no typed field, so an answer that holds one is raw.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet

from serving.errors import RequestInvalid, TensorInvalid
from serving.sdk import pb
from serving.v2.message import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    Parameters,
    RequestedOutput,
    TensorSpec,
    check_count,
    check_name,
)
from serving.v2.tensor import (
    MAX_ELEMENTS_ONE_BY_ONE,
    Array,
    Tensor,
    check_rank,
    check_shape,
    dtype_of,
    read_binary,
    write_binary,
)
from serving.v2.timing import from_parameters, to_parameters

CONTENTS_FIELD: Final = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of InferTensorContents that carries each datatype."""


WIRE_FIXED64: Final = 1
"""Protobuf's wire type of a double."""

WIRE_BYTES: Final = 2
"""Protobuf's wire type of bytes with their length before them."""


def decode_request(message: pb.ModelInferRequest) -> InferRequest:
    """Read a request; raw tensors are views of its bytes.

    Raises:
        RequestInvalid: tensors come both raw and typed, or in other numbers than the inputs.
        TensorInvalid: a tensor's datatype, shape and data do not agree.
    """
    if not message.inputs:
        raise RequestInvalid("inputs is empty: a request carries at least one tensor")
    return InferRequest(
        model_name=message.model_name,
        model_version=message.model_version or None,
        id=message.id or None,
        inputs=_read_tensors(message.inputs, message.raw_input_contents, "input"),
        outputs=_read_requested(message.outputs),
        parameters=_read_parameters(message.parameters),
        binary_output=bool(message.raw_input_contents),
    )


def serialize_response(response: InferResponse, request: InferRequest) -> bytes:
    """Write a response, as the bytes of its message: raw where the request's tensors were raw, else typed."""
    message = pb.ModelInferResponse(
        model_name=response.model_name, model_version=response.model_version, id=response.id or ""
    )
    _write_parameters(message.parameters, {**response.parameters, **to_parameters(response.timings)})
    raw = request.binary_output or any(tensor.datatype == "FP16" for tensor in response.outputs)
    for tensor in response.outputs:
        output = message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if not raw:
            getattr(output.contents, CONTENTS_FIELD[tensor.datatype]).extend(_typed_values(tensor))
    return _serialize(message, pb.ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER, response.outputs if raw else ())


def serialize_request(request: InferRequest) -> bytes:
    """Write a request with raw tensors, as the bytes of its message."""
    message = pb.ModelInferRequest(
        model_name=request.model_name, model_version=request.model_version or "", id=request.id or ""
    )
    _write_parameters(message.parameters, request.parameters)
    for tensor in request.inputs:
        message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    for output in request.outputs:
        message.outputs.add(name=output.name)
    return _serialize(message, pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER, request.inputs)


def decode_response(message: pb.ModelInferResponse) -> InferResponse:
    """Read a server's answer.

    Raises:
        RequestInvalid, TensorInvalid: its tensors do not agree with what it says of them.
    """
    parameters = _read_parameters(message.parameters)
    return InferResponse(
        model_name=message.model_name,
        model_version=message.model_version,
        id=message.id or None,
        outputs=_read_tensors(message.outputs, message.raw_output_contents, "output"),
        parameters=parameters,
        timings=from_parameters(parameters),
    )


def encode_metadata(metadata: ModelMetadata) -> pb.ModelMetadataResponse:
    """Write a model's metadata."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=metadata.name,
        versions=metadata.versions,
        platform=metadata.platform,
        inputs=[tensor(name=s.name, datatype=s.datatype, shape=s.shape) for s in metadata.inputs],
        outputs=[tensor(name=s.name, datatype=s.datatype, shape=s.shape) for s in metadata.outputs],
    )


def decode_metadata(message: pb.ModelMetadataResponse) -> ModelMetadata:
    """Read a server's metadata of a model."""
    return ModelMetadata(
        name=message.name,
        versions=tuple(message.versions),
        platform=message.platform,
        inputs=tuple(TensorSpec(t.name, t.datatype, tuple(t.shape)) for t in message.inputs),
        outputs=tuple(TensorSpec(t.name, t.datatype, tuple(t.shape)) for t in message.outputs),
    )


def _serialize(message: Any, field: int, tensors: Sequence[Tensor]) -> bytes:
    """Serialize a message with the raw contents of `tensors` in its `field` of bytes, which are copied once.

    Protobuf would copy them three times, each time into memory that is new: two milliseconds for a picture of 640
    pixels a side. That fields may stand in any order, and how bytes are written, is its encoding's specification.
    """
    parts: list[bytes | memoryview] = [message.SerializeToString()]
    tag = _varint(field << 3 | WIRE_BYTES)
    for tensor in tensors:
        data = write_binary(tensor.array)
        parts += (tag, _varint(len(data)), data)
    return b"".join(parts)


def _varint(number: int) -> bytes:
    """Write a number as protobuf does: seven bits a byte, the lowest first, and the highest bit where more follow."""
    written = bytearray()
    while rest := number >> 7:
        written.append(number & 0x7F | 0x80)
        number = rest
    written.append(number)
    return bytes(written)


def _read_tensors(items: Sequence[Any], raw: Sequence[bytes], kind: str) -> tuple[Tensor, ...]:
    check_count(len(items), f"{kind}s")
    for item in items:
        check_name(item.name, kind)
        check_rank(len(item.shape), f"{kind} {item.name!r}")
    if not raw:
        return tuple(_read_typed(item, kind) for item in items)
    if len(raw) != len(items):
        raise RequestInvalid(f"{len(raw)} raw contents came for {len(items)} {kind}s: one for each is expected")
    for item in items:
        if item.HasField("contents"):
            raise RequestInvalid(f"{kind} {item.name!r} has contents though raw contents were sent: give one of both")
    return tuple(
        read_binary(item.name, item.datatype, tuple(item.shape), data) for item, data in zip(items, raw, strict=True)
    )


def _read_requested(outputs: Sequence[Any]) -> tuple[RequestedOutput, ...]:
    check_count(len(outputs), "outputs")
    for output in outputs:
        check_name(output.name, "output")
    return tuple(RequestedOutput(output.name) for output in outputs)


def _read_typed(item: Any, kind: str) -> Tensor:
    dtype = dtype_of(item.datatype, item.name)
    count = check_shape(item.shape, item.name)
    expected = CONTENTS_FIELD.get(item.datatype)
    if expected is None:
        raise TensorInvalid(f"{kind} {item.name!r} is {item.datatype}, which only raw contents can carry")
    for field, _ in item.contents.ListFields():
        if field.name != expected:
            raise TensorInvalid(
                f"{kind} {item.name!r} is {item.datatype}, which {expected} carries: {field.name} is filled"
            )
    values = getattr(item.contents, expected)
    if len(values) > MAX_ELEMENTS_ONE_BY_ONE:
        raise TensorInvalid(f"{kind} {item.name!r} has {len(values)} typed values: send so many as raw contents")
    if len(values) != count:
        raise TensorInvalid(
            f"{kind} {item.name!r} has {len(values)} values where the shape {list(item.shape)} takes {count}"
        )
    return Tensor(item.name, _typed_array(values, dtype, item).reshape(tuple(item.shape)))


def _typed_array(values: Sequence[Any], dtype: np.dtype[Any], item: Any) -> Array:
    if dtype.kind == "O":
        array = np.empty(len(values), dtype=np.object_)
        array[:] = list(values)
        return array
    try:
        return np.fromiter(values, dtype=dtype, count=len(values))
    except OverflowError as error:
        raise TensorInvalid(f"input {item.name!r} holds values that are no {item.datatype}: {error}") from error


def _typed_values(tensor: Tensor) -> Sequence[Any]:
    if tensor.datatype == "BYTES":
        return [e if isinstance(e, bytes) else str(e).encode() for e in tensor.array.flat]
    return np.ascontiguousarray(tensor.array).reshape(-1)  # type: ignore[return-value]  # protobuf takes any iterable


def _read_parameters(parameters: Mapping[str, pb.InferParameter]) -> Parameters:
    check_count(len(parameters), "parameters")
    read: dict[str, bool | int | float | str] = {}
    for key, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        value = getattr(parameter, choice) if choice is not None else _triton_value(parameter)
        if value is not None:
            read[key] = value
    return read


def _triton_value(parameter: pb.InferParameter) -> float | int | None:
    """Read the kinds of value that Triton's protocol has beside this one's: its clients send every float so."""
    unknown: Any
    for unknown in UnknownFieldSet(parameter):  # type: ignore[attr-defined]  # its stub forgets that it can be iterated
        match unknown.field_number, unknown.data:
            case 4, int(bits) if unknown.wire_type == WIRE_FIXED64:
                (number,) = struct.unpack("<d", struct.pack("<Q", bits))
                return float(number)
            case 5, int(whole):
                return whole
    return None


def _write_parameters(target: Any, parameters: Parameters) -> None:
    for key, value in parameters.items():
        if isinstance(value, bool):
            target[key].bool_param = value
        elif isinstance(value, int):
            target[key].int64_param = value
        else:
            target[key].string_param = str(value)
