"""Requests over gRPC that are not the model's: INVALID_ARGUMENT or NOT_FOUND, never a fault of the server."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from .answers import ModelMetadata
from .messages import pb
from .rpc import TYPED_FIELDS, RpcServer
from .tensors import DTYPES, Tensor

pytestmark = [pytest.mark.needs("grpc"), pytest.mark.usefixtures("still_infers")]

Spoil = Callable[[pb.ModelInferRequest], Any]
UNKNOWN_VERSION = "987654321"
needs_raw = pytest.mark.needs("grpc-raw")
needs_typed = pytest.mark.needs("grpc-typed")


@pytest.fixture
def still_infers(rpc: RpcServer, inputs: list[Tensor]) -> Iterator[None]:
    """Once the test is over, the server answers a valid request as if nothing had happened."""
    yield
    assert rpc.answer(rpc.any(inputs)).outputs


@pytest.mark.parametrize("name", ["no-such-model", ""])
def test_an_unknown_model_is_not_found(rpc: RpcServer, inputs: list[Tensor], name: str) -> None:
    request = rpc.any(inputs)
    request.model_name = name
    lawful = {grpc.StatusCode.NOT_FOUND} if name else {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}
    assert rpc.refusal("ModelInfer", request) in lawful


@pytest.mark.needs("versions")
def test_an_unknown_version_is_not_found(rpc: RpcServer, inputs: list[Tensor]) -> None:
    request = rpc.any(inputs)
    request.model_version = UNKNOWN_VERSION
    assert rpc.refusal("ModelInfer", request) in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}


def without_inputs(request: pb.ModelInferRequest) -> None:
    del request.inputs[:]


def without_anything(request: pb.ModelInferRequest) -> None:
    del request.inputs[:]
    del request.raw_input_contents[:]


def without_contents(request: pb.ModelInferRequest) -> None:
    del request.raw_input_contents[:]
    for tensor in request.inputs:
        tensor.ClearField("contents")


def renamed(request: pb.ModelInferRequest) -> None:
    request.inputs[0].name += "_unknown"


def without_a_name(request: pb.ModelInferRequest) -> None:
    request.inputs[0].name = ""


def in_another_case(request: pb.ModelInferRequest) -> None:
    request.inputs[0].name = request.inputs[0].name.swapcase()


def doubled(request: pb.ModelInferRequest) -> None:
    request.inputs.append(request.inputs[0])
    request.raw_input_contents.extend(request.raw_input_contents[:1])


def joined_by_an_unknown(request: pb.ModelInferRequest) -> None:
    doubled(request)
    request.inputs[-1].name = "no_such_input"


def of_another_datatype(request: pb.ModelInferRequest) -> None:
    request.inputs[0].datatype = "INT64" if request.inputs[0].datatype != "INT64" else "FP64"


def of_an_unknown_datatype(request: pb.ModelInferRequest) -> None:
    request.inputs[0].datatype = "COMPLEX64"


def without_a_datatype(request: pb.ModelInferRequest) -> None:
    request.inputs[0].datatype = ""


@pytest.mark.parametrize(
    "spoil",
    [
        without_inputs,
        without_anything,
        without_contents,
        renamed,
        without_a_name,
        in_another_case,
        doubled,
        joined_by_an_unknown,
        of_another_datatype,
        of_an_unknown_datatype,
        without_a_datatype,
    ],
)
def test_inputs_that_are_not_those_of_the_model_are_invalid(rpc: RpcServer, inputs: list[Tensor], spoil: Spoil) -> None:
    request = rpc.any(inputs)
    spoil(request)
    rpc.assert_invalid(request)


@pytest.mark.needs("grpc-outputs")
def test_an_unknown_output_is_invalid(rpc: RpcServer, inputs: list[Tensor]) -> None:
    request = rpc.any(inputs)
    request.outputs.add(name="no_such_output")
    refused = rpc.refusal("ModelInfer", request)
    lawful = {grpc.StatusCode.INVALID_ARGUMENT}
    assert refused in (lawful if rpc.target.offers("strict") else lawful | {grpc.StatusCode.NOT_FOUND})


@pytest.mark.parametrize(
    "reshape",
    [
        pytest.param(lambda _: [], id="none"),
        pytest.param(lambda shape: [*shape, 1], id="a dimension too many"),
        pytest.param(lambda shape: [shape[0] + 1, *shape[1:]], id="a row too many"),
        pytest.param(lambda shape: [0, *shape[1:]], id="no rows with data"),
        pytest.param(lambda shape: [-1, *shape[1:]], id="minus one"),
        pytest.param(lambda shape: [-(2**63), *shape[1:]], id="the least int64"),
        pytest.param(lambda shape: [2**31, *shape[1:]], id="more than int32"),
        pytest.param(lambda shape: [2**63 - 1, *shape[1:]], id="the greatest int64"),
        pytest.param(lambda shape: [2**32] * len(shape), id="a product that overflows"),
        pytest.param(lambda shape: [2**62] * len(shape), id="sizes that overflow"),
        pytest.param(lambda _: [1] * 1000, id="a thousand dimensions"),
    ],
)
def test_a_shape_that_is_not_the_datas_is_invalid(
    rpc: RpcServer, inputs: list[Tensor], reshape: Callable[[list[int]], list[int]]
) -> None:
    request = rpc.any(inputs)
    request.inputs[0].shape[:] = reshape(list(inputs[0].shape))
    rpc.assert_invalid(request)


@needs_raw
@pytest.mark.parametrize("size", [2**31, 2**32, 2**40, 2**62])
def test_dimensions_that_overflow_are_invalid_without_bytes_too(
    rpc: RpcServer, inputs: list[Tensor], size: int
) -> None:
    request = rpc.raw(inputs)
    request.inputs[0].shape[:] = [size] * len(inputs[0].shape)
    request.raw_input_contents[0] = b""
    rpc.assert_invalid(request)


def test_a_fixed_dimension_of_another_size_is_invalid(
    rpc: RpcServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    fixed = [axis for axis, size in enumerate(metadata.inputs[0].shape) if size > 1]
    if not fixed or inputs[0].datatype == "BYTES":
        pytest.skip("no dimension of the first input is fixed")
    shape = list(inputs[0].shape)
    shape[fixed[-1]] -= 1
    elements = np.zeros(int(np.prod(shape)), dtype=DTYPES[inputs[0].datatype])
    rpc.assert_invalid(rpc.any([Tensor(inputs[0].name, inputs[0].datatype, tuple(shape), elements), *inputs[1:]]))


@needs_raw
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda raw: raw[:-1], id="a byte too few"),
        pytest.param(lambda raw: raw + b"\0", id="a byte too many"),
        pytest.param(lambda raw: raw * 2, id="twice the bytes"),
        pytest.param(lambda raw: raw[:0], id="no bytes"),
    ],
)
def test_raw_contents_of_another_size_are_invalid(
    rpc: RpcServer, inputs: list[Tensor], spoil: Callable[[bytes], bytes]
) -> None:
    request = rpc.raw(inputs)
    request.raw_input_contents[0] = spoil(request.raw_input_contents[0])
    rpc.assert_invalid(request)


@needs_raw
def test_more_raw_contents_than_inputs_are_invalid(rpc: RpcServer, inputs: list[Tensor]) -> None:
    request = rpc.raw(inputs)
    request.raw_input_contents.append(inputs[0].raw)
    rpc.assert_invalid(request)


@needs_raw
def test_fewer_raw_contents_than_inputs_are_invalid(rpc: RpcServer, inputs: list[Tensor]) -> None:
    if len(inputs) == 1:
        pytest.skip("the model has one input")
    request = rpc.raw(inputs)
    del request.raw_input_contents[-1]
    rpc.assert_invalid(request)


@needs_raw
@needs_typed
def test_raw_and_typed_contents_at_once_are_invalid(rpc: RpcServer, inputs: list[Tensor]) -> None:
    request = rpc.typed(inputs)
    request.raw_input_contents.extend(tensor.raw for tensor in inputs)
    rpc.assert_invalid(request)


@needs_typed
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda values: values[:-1], id="one too few"),
        pytest.param(lambda values: [*values, values[0]], id="one too many"),
        pytest.param(lambda _: [], id="none"),
    ],
)
def test_typed_contents_of_another_count_are_invalid(
    rpc: RpcServer, inputs: list[Tensor], spoil: Callable[[list[Any]], list[Any]]
) -> None:
    request = rpc.typed(inputs)
    set_typed(request, TYPED_FIELDS[inputs[0].datatype], spoil(inputs[0].elements.tolist()))
    rpc.assert_invalid(request)


@needs_typed
@pytest.mark.parametrize("field", sorted(set(TYPED_FIELDS.values())))
def test_typed_contents_in_the_field_of_another_datatype_are_invalid(
    rpc: RpcServer, inputs: list[Tensor], field: str
) -> None:
    request = rpc.typed(inputs)
    if TYPED_FIELDS[inputs[0].datatype] == field:
        pytest.skip(f"{field} is the field of the first input")
    element = {"bytes_contents": b"1", "bool_contents": True}.get(field, 1)
    set_typed(request, field, [element] * inputs[0].elements.size)
    rpc.assert_invalid(request)


@needs_typed
def test_typed_contents_in_two_fields_are_invalid(rpc: RpcServer, inputs: list[Tensor]) -> None:
    request = rpc.typed(inputs)
    other = "fp64_contents" if inputs[0].datatype != "FP64" else "fp32_contents"
    getattr(request.inputs[0].contents, other).extend([1.0] * inputs[0].elements.size)
    rpc.assert_invalid(request)


@needs_typed
def test_a_typed_integer_that_the_datatype_cannot_hold_is_invalid(rpc: RpcServer, inputs: list[Tensor]) -> None:
    if inputs[0].datatype not in {"INT8", "INT16", "UINT8", "UINT16"}:
        pytest.skip("every integer of its typed field fits the first input")
    request = rpc.typed(inputs)
    above = int(np.iinfo(DTYPES[inputs[0].datatype]).max) + 1
    set_typed(request, TYPED_FIELDS[inputs[0].datatype], [above, *inputs[0].elements.tolist()[1:]])
    rpc.assert_invalid(request)


@needs_raw
@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(struct.pack("<I", 5) + b"four", id="a length beyond the end"),
        pytest.param(struct.pack("<I", 2**32 - 1) + b"four", id="the greatest length"),
        pytest.param(b"\x04\x00\x00", id="a length cut short"),
        pytest.param(struct.pack("<I", 3) + b"four", id="a length before the end"),
        pytest.param((struct.pack("<I", 4) + b"four") * 2, id="more elements than the shape says"),
    ],
)
def test_elements_of_bytes_with_lying_lengths_are_invalid(rpc: RpcServer, inputs: list[Tensor], raw: bytes) -> None:
    if inputs[0].datatype != "BYTES":
        pytest.skip("the first input is not of BYTES")
    request = rpc.raw(inputs)
    request.raw_input_contents[0] = raw
    rpc.assert_invalid(request)


def set_typed(request: pb.ModelInferRequest, field: str, values: list[Any]) -> None:
    """Let the first input hold `values` in `field`, and nothing in the others."""
    request.inputs[0].ClearField("contents")
    getattr(request.inputs[0].contents, field).extend(values)
