from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from serving.errors import ClientError, RequestInvalid, TensorInvalid
from serving.sdk import pb
from serving.v2 import DATATYPES, InferRequest, InferResponse, ModelMetadata, RequestedOutput, Tensor, TensorSpec
from serving.v2 import grpc as codec

from .arrays import NUMERIC, elements_to_array, same, tensors

ASKED_TYPED = InferRequest("m", ())
ASKED_RAW = InferRequest("m", (), binary_output=True)


def typed(datatype: str, shape: list[int], **contents: Any) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=shape)
    for field, values in contents.items():
        getattr(tensor.contents, field).extend(values)
    return pb.ModelInferRequest(model_name="m", inputs=[tensor])


def raw(datatype: str, shape: list[int], *contents: bytes) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype=datatype, shape=shape)
    return pb.ModelInferRequest(model_name="m", inputs=[tensor], raw_input_contents=contents)


def answered(response: InferResponse, request: InferRequest) -> pb.ModelInferResponse:
    return pb.ModelInferResponse.FromString(codec.serialize_response(response, request))


@settings(max_examples=50)
@given(tensors())
def test_a_request_comes_back_to_the_last_bit(inputs: tuple[Tensor, ...]) -> None:
    request = InferRequest(
        "m",
        inputs,
        model_version="2",
        id="7",
        outputs=(RequestedOutput("y"),),
        parameters={"a": True, "b": 3, "c": "d"},
    )
    wire = pb.ModelInferRequest.FromString(codec.serialize_request(request))

    back = codec.decode_request(wire)

    assert same(back.inputs, inputs)
    assert (back.model_name, back.model_version, back.id) == ("m", "2", "7")
    assert back.outputs == (RequestedOutput("y"),)
    assert back.parameters == {"a": True, "b": 3, "c": "d"}
    assert back.binary_output


@settings(max_examples=50)
@given(tensors())
@pytest.mark.parametrize("asked", [ASKED_TYPED, ASKED_RAW], ids=["typed", "raw"])
def test_a_response_comes_back_to_the_last_bit(asked: InferRequest, outputs: tuple[Tensor, ...]) -> None:
    response = InferResponse("m", "1", outputs, id="7", parameters={"contract": "abc"})
    back = codec.decode_response(answered(response, asked))

    assert same(back.outputs, outputs)
    assert (back.model_name, back.model_version, back.id) == ("m", "1", "7")
    assert back.parameters == {"contract": "abc"}


@pytest.mark.parametrize("datatype", NUMERIC)
def test_a_raw_tensor_is_a_view_of_the_messages_bytes(datatype: str) -> None:
    body = bytes(6 * DATATYPES[datatype].itemsize)
    message = raw(datatype, [2, 3], body)

    array = codec.decode_request(message).inputs[0].array

    assert not array.flags.owndata
    assert not array.flags.writeable
    assert array.base is not None


def test_an_answer_is_in_the_form_of_its_question() -> None:
    outputs = (Tensor("y", np.ones(2, dtype=np.float32)),)

    in_kind = answered(InferResponse("m", "1", outputs), ASKED_TYPED)
    in_bytes = answered(InferResponse("m", "1", outputs), ASKED_RAW)

    assert list(in_kind.outputs[0].contents.fp32_contents) == [1, 1]
    assert not in_kind.raw_output_contents
    assert len(in_bytes.raw_output_contents) == 1
    assert not in_bytes.outputs[0].HasField("contents")


def test_an_answer_with_half_precision_is_raw_since_no_field_carries_it() -> None:
    outputs = (Tensor("y", np.ones(2, dtype=np.float16)), Tensor("z", np.ones(2, dtype=np.float32)))

    message = answered(InferResponse("m", "1", outputs), ASKED_TYPED)

    assert len(message.raw_output_contents) == 2


def test_text_is_written_as_utf8() -> None:
    outputs = (Tensor("y", elements_to_array(["Kätzchen"])),)

    message = answered(InferResponse("m", "1", outputs), ASKED_TYPED)

    assert list(message.outputs[0].contents.bytes_contents) == ["Kätzchen".encode()]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (pb.ModelInferRequest(model_name="m"), "inputs is empty"),
        (raw("FP32", [1], b"\0" * 4, b"\0" * 4), "2 raw contents came for 1 inputs"),
        (raw("FP32", [2], b"\0" * 7), "has 7 bytes where FP32 [2] takes 8"),
        (raw("FP32", [2], b"\0" * 9), "has 9 bytes"),
        (raw("FP32", [-2], b"\0" * 8), "no dimension may be negative"),
        (raw("FP32", [0, 2**62, 2**62], b""), "no memory holds"),
        (raw("FP32", [1] * 40, b"\0" * 4), "at most 32 are read"),
        (raw("FP33", [1], b"\0" * 4), "has the datatype 'FP33'"),
        (raw("", [1], b"\0" * 4), "has the datatype ''"),
        (raw("BYTES", [1], b"\5\0\0\0four"), "says it has 5 bytes; 4 are left"),
        (raw("BYTES", [2**40], b"\0" * 8), "too few"),
        (typed("FP32", [2], fp32_contents=[1.0]), "has 1 values"),
        (typed("FP32", [2]), "has 0 values"),
        (typed("FP32", [0, 2**62, 2**62]), "no memory holds"),
        (typed("FP32", [1], fp64_contents=[1.0]), "fp64_contents is filled"),
        (typed("FP32", [1], fp32_contents=[1.0], int_contents=[1]), "int_contents is filled"),
        (typed("FP16", [1], fp32_contents=[1.0]), "only raw contents can carry"),
        (typed("UINT8", [1], uint_contents=[256]), "no UINT8"),
        (typed("INT8", [1], int_contents=[-129]), "no INT8"),
        (typed("UINT16", [1], uint_contents=[2**16]), "no UINT16"),
    ],
)
def test_a_request_that_does_not_agree_with_itself_is_refused(message: pb.ModelInferRequest, expected: str) -> None:
    with pytest.raises(ClientError) as caught:
        codec.decode_request(message)

    assert expected in caught.value.message


def test_a_tensor_both_raw_and_typed_is_refused() -> None:
    message = typed("FP32", [1], fp32_contents=[1.0])
    message.raw_input_contents.append(b"\0" * 4)

    with pytest.raises(RequestInvalid, match="give one of both"):
        codec.decode_request(message)


def test_a_servers_answer_that_lies_is_refused_too() -> None:
    message = pb.ModelInferResponse(model_name="m", raw_output_contents=[b"\0" * 3])
    message.outputs.add(name="y", datatype="FP32", shape=[1])

    with pytest.raises(TensorInvalid):
        codec.decode_response(message)


def test_an_empty_id_and_version_are_none() -> None:
    request = codec.decode_request(typed("FP32", [1], fp32_contents=[1.0]))

    assert (request.id, request.model_version) == (None, None)


def test_a_parameter_without_a_value_is_left_out() -> None:
    message = typed("FP32", [1], fp32_contents=[1.0])
    message.parameters["empty"].SetInParent()
    message.parameters["k"].int64_param = 3

    assert codec.decode_request(message).parameters == {"k": 3}


def test_metadata_comes_back_as_it_was() -> None:
    metadata = ModelMetadata(
        "m", ("1", "2"), "onnx", (TensorSpec("x", "FP32", (-1, 3)),), (TensorSpec("y", "BYTES", (-1,)),)
    )

    assert codec.decode_metadata(codec.encode_metadata(metadata)) == metadata


def test_the_kinds_of_parameters_that_only_tritons_protocol_has_are_read() -> None:
    message = typed("FP32", [1], fp32_contents=[1.0])
    message.parameters["share"].ParseFromString(b"\x21" + struct.pack("<d", 0.25))  # double_param = 4
    message.parameters["count"].ParseFromString(b"\x28\x07")  # uint64_param = 5
    message.parameters["other"].ParseFromString(b"\x30\x07")  # nobody's

    sent = type(message).FromString(message.SerializeToString())

    assert codec.decode_request(sent).parameters == {"share": 0.25, "count": 7}


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2**21])
def test_raw_contents_of_any_length_are_what_protobuf_reads(size: int) -> None:
    tensors = (Tensor("x", np.arange(size).astype(np.uint8)), Tensor("y", np.ones((1, 2), np.float32)))

    request = pb.ModelInferRequest.FromString(codec.serialize_request(InferRequest("m", tensors)))
    response = pb.ModelInferResponse.FromString(codec.serialize_response(InferResponse("m", "1", tensors), ASKED_RAW))

    for raw in (request.raw_input_contents, response.raw_output_contents):
        assert list(raw) == [tensor.array.tobytes() for tensor in tensors]
    assert [tuple(item.shape) for item in request.inputs] == [(size,), (1, 2)]
