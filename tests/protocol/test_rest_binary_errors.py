"""Requests in the binary extension of which the parts disagree: refused with 4xx, in words, and forgotten."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable

import pytest

from .answers import ModelMetadata
from .binary import BinaryRequest, binary_request, first_binary_request
from .rest import RestServer
from .tensors import DTYPES, Tensor

pytestmark = [pytest.mark.needs("binary"), pytest.mark.usefixtures("still_serves")]

NO_SIZES = [-1, -(2**63), 2**63, 10**30, "8", 1.5, True, [], {}]


@pytest.fixture
def request_in_bytes(inputs: list[Tensor]) -> BinaryRequest:
    """A valid request whose first input is bytes, and the others JSON."""
    return first_binary_request(inputs)


@pytest.mark.parametrize("length", ["many", "1.5", "-1", "0x10", "1e2", "99999999999999999999", "4 4", "+-3", ","])
def test_a_header_that_is_no_length_is_refused(rest: RestServer, request_in_bytes: BinaryRequest, length: str) -> None:
    request_in_bytes.header_length = length
    rest.assert_refused(request_in_bytes.send(rest))


@pytest.mark.parametrize("difference", [-1, 1, 1000])
def test_a_header_that_lies_is_refused(rest: RestServer, request_in_bytes: BinaryRequest, difference: int) -> None:
    length = len(request_in_bytes.head) + difference + (len(request_in_bytes.tail) if difference == 1000 else 0)
    request_in_bytes.header_length = str(length)
    rest.assert_refused(request_in_bytes.send(rest))


def test_a_header_of_nothing_is_no_fault_of_the_server(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.header_length = "0"  # Triton reads the whole body as the one tensor
    rest.assert_no_fault(request_in_bytes.send(rest))


def test_bytes_without_the_header_are_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.header_length = None
    rest.assert_refused(request_in_bytes.send(rest), promised=(400, 415))


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_size_that_lies_about_the_body_is_refused(
    rest: RestServer, request_in_bytes: BinaryRequest, difference: int
) -> None:
    request_in_bytes.first["parameters"]["binary_data_size"] += difference
    rest.assert_refused(request_in_bytes.send(rest))


@pytest.mark.parametrize("size", NO_SIZES, ids=json.dumps)
def test_a_size_that_is_no_size_is_refused(rest: RestServer, request_in_bytes: BinaryRequest, size: object) -> None:
    request_in_bytes.first["parameters"]["binary_data_size"] = size
    rest.assert_refused(request_in_bytes.send(rest))


def test_a_size_of_nothing_is_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.resize(request_in_bytes.first["shape"], b"")
    rest.assert_refused(request_in_bytes.send(rest))


def test_an_input_with_neither_data_nor_size_is_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    del request_in_bytes.first["parameters"]
    rest.assert_refused(request_in_bytes.send(rest))


def test_an_input_with_both_data_and_size_is_refused(
    rest: RestServer, request_in_bytes: BinaryRequest, inputs: list[Tensor]
) -> None:
    request_in_bytes.first["data"] = inputs[0].flat
    rest.assert_refused(request_in_bytes.send(rest))


def test_bytes_that_belong_to_no_input_are_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.tail += b"left over"
    rest.assert_refused(request_in_bytes.send(rest))


def test_a_body_that_ends_too_early_is_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.tail = request_in_bytes.tail[:-1]
    rest.assert_refused(request_in_bytes.send(rest))


def test_a_body_without_its_bytes_is_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.tail = b""
    rest.assert_refused(request_in_bytes.send(rest))


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda raw: raw * 2])
def test_bytes_that_the_shape_does_not_need_are_refused(
    rest: RestServer, request_in_bytes: BinaryRequest, spoil: Callable[[bytes], bytes]
) -> None:
    request_in_bytes.resize(request_in_bytes.first["shape"], spoil(request_in_bytes.tail))
    rest.assert_refused(request_in_bytes.send(rest))


def test_a_shape_that_needs_more_bytes_is_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    first, *others = request_in_bytes.first["shape"]
    request_in_bytes.first["shape"] = [first + 1, *others]
    rest.assert_refused(request_in_bytes.send(rest))


def test_a_datatype_that_is_not_the_models_is_refused_though_the_bytes_fit(
    rest: RestServer, request_in_bytes: BinaryRequest
) -> None:
    datatype = request_in_bytes.first["datatype"]
    request_in_bytes.first["datatype"] = other = "INT64" if datatype != "INT64" else "FP64"
    shape = request_in_bytes.first["shape"]
    request_in_bytes.resize(shape, bytes(math.prod(shape) * DTYPES[other].itemsize))
    rest.assert_refused(request_in_bytes.send(rest))


@pytest.mark.parametrize("size", [2**31, 2**32, 2**40, 2**62, 2**63, 2**64])
@pytest.mark.parametrize("bytes_follow", [True, False], ids=["with bytes", "without bytes"])
def test_dimensions_that_overflow_are_refused(
    rest: RestServer, request_in_bytes: BinaryRequest, size: int, *, bytes_follow: bool
) -> None:
    shape = [size] * len(request_in_bytes.first["shape"])
    request_in_bytes.resize(shape, request_in_bytes.tail if bytes_follow else b"")
    rest.assert_refused(request_in_bytes.send(rest), promised=(400, 413))


def test_a_negative_dimension_is_refused(rest: RestServer, request_in_bytes: BinaryRequest) -> None:
    request_in_bytes.first["shape"][0] *= -1
    rest.assert_refused(request_in_bytes.send(rest))


@pytest.mark.parametrize("document", [b"[]", b"7", b"null", b"{}", b'{"inputs": 1}', b"\xff", b"[" * 100_000])
def test_json_that_is_no_request_is_refused_before_bytes_too(rest: RestServer, document: bytes) -> None:
    headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(len(document))}
    rest.assert_refused(rest.post(document + b"\0" * 8, headers))


@pytest.mark.parametrize("value", ["yes", 1, [], None], ids=json.dumps)
def test_a_wish_for_bytes_that_is_no_boolean_is_no_fault_of_the_server(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor], value: object
) -> None:
    assert_no_fault_or_bytes(rest, binary_request(inputs, parameters={"binary_data_output": value}))
    wanted = [{"name": metadata.outputs[0].name, "parameters": {"binary_data": value}}]
    assert_no_fault_or_bytes(rest, binary_request(inputs, outputs=wanted))


@pytest.mark.parametrize(
    ("raw", "elements"),
    [
        pytest.param(struct.pack("<I", 5) + b"four", 1, id="a length beyond the end"),
        pytest.param(struct.pack("<I", 2**32 - 1) + b"four", 1, id="the greatest length"),
        pytest.param(struct.pack("<I", 2**31) + b"four", 1, id="a length that is negative when signed"),
        pytest.param(b"\x04\x00\x00", 1, id="a length cut short"),
        pytest.param(struct.pack("<I", 3) + b"four", 1, id="a length before the end"),
        pytest.param(struct.pack("<I", 4) + b"four", 2, id="fewer elements than the shape says"),
        pytest.param((struct.pack("<I", 4) + b"four") * 2, 1, id="more elements than the shape says"),
        pytest.param(struct.pack(">I", 4) + b"four", 1, id="a length in big-endian"),
        pytest.param(b"", 1, id="no length"),
    ],
)
def test_elements_of_bytes_with_lying_lengths_are_refused(
    rest: RestServer, request_in_bytes: BinaryRequest, raw: bytes, elements: int
) -> None:
    if request_in_bytes.first["datatype"] != "BYTES":
        pytest.skip("the first input is not of BYTES")
    shape = request_in_bytes.first["shape"]
    request_in_bytes.resize([elements, *shape[1:]], raw)
    rest.assert_refused(request_in_bytes.send(rest))


def assert_no_fault_or_bytes(rest: RestServer, request: BinaryRequest) -> None:
    response = request.send(rest)
    rest.assert_no_fault(response)
    if rest.target.offers("strict"):
        rest.assert_refused(response)
