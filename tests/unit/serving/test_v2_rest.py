from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ClientError, RequestInvalid, TensorInvalid
from serving.v2 import DATATYPES, InferRequest, InferResponse, RequestedOutput, Tensor
from serving.v2.rest import Body, decode_request, decode_response, encode_request, encode_response

from .arrays import NUMERIC, elements_to_array, same, tensors

LENGTH = "inference-header-content-length"
ASKED_IN_JSON = InferRequest("m", ())
ASKED_IN_BYTES = InferRequest("m", (), binary_output=True)


def read(message: Any, tail: bytes = b"", *, length: str | None = None) -> InferRequest:
    encoded = message if isinstance(message, bytes) else json.dumps(message).encode()
    if tail and length is None:
        length = str(len(encoded))
    headers = {} if length is None else {LENGTH: length}
    return decode_request(encoded + tail, headers, "m", None)


def one_input(**fields: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2], **fields}]}


def one_binary(size: object, datatype: str = "FP32", shape: list[int] | None = None) -> dict[str, Any]:
    parameters = {"binary_data_size": size}
    tensor = {"name": "x", "datatype": datatype, "shape": [2] if shape is None else shape, "parameters": parameters}
    return {"inputs": [tensor]}


@given(tensors())
def test_a_request_comes_back_to_the_last_bit(inputs: tuple[Tensor, ...]) -> None:
    body = encode_request(InferRequest("m", inputs, id="7", outputs=(RequestedOutput("y"),), parameters={"top_k": 3}))

    request = decode_request(bytes(body), body.headers, "m", "2")

    assert same(request.inputs, inputs)
    assert (request.model_name, request.model_version, request.id) == ("m", "2", "7")
    assert request.outputs == (RequestedOutput("y"),)
    assert request.parameters == {"top_k": 3, "binary_data_output": True}
    assert request.binary_output


@given(tensors())
def test_a_response_in_bytes_comes_back_to_the_last_bit(outputs: tuple[Tensor, ...]) -> None:
    response = InferResponse("m", "1", outputs, id="7", parameters={"contract": "abc"})
    body = encode_response(response, ASKED_IN_BYTES)

    back = decode_response(bytes(body), body.headers)

    assert same(back.outputs, outputs)
    assert (back.model_name, back.model_version, back.id) == ("m", "1", "7")
    assert back.parameters == {"contract": "abc"}


@given(tensors(finite=True, text=True))
def test_a_response_in_json_comes_back_to_the_last_bit(outputs: tuple[Tensor, ...]) -> None:
    body = encode_response(InferResponse("m", "1", outputs), ASKED_IN_JSON)

    assert body.headers == {"content-type": "application/json"}
    assert same(decode_response(bytes(body), body.headers).outputs, outputs)


def test_a_message_has_one_content_type_and_says_where_its_json_ends() -> None:
    body = encode_request(InferRequest("m", (Tensor("x", np.arange(3, dtype=np.uint8)),)))

    assert body.headers == {"content-type": "application/octet-stream", LENGTH: str(body.json_length)}
    assert bytes(body)[body.json_length :] == b"\0\1\2"


def test_each_output_comes_as_it_was_asked_for() -> None:
    outputs = tuple(Tensor(name, np.ones(2, dtype=np.float32)) for name in ("a", "b", "c"))
    asked = (RequestedOutput("a", binary=True), RequestedOutput("b", binary=False), RequestedOutput("c"))

    body = encode_response(InferResponse("m", "1", outputs), InferRequest("m", (), outputs=asked))

    written = orjson.loads(body.parts[0])["outputs"]
    assert ["data" in output for output in written] == [False, True, True]
    assert len(body.parts) == 2


@pytest.mark.parametrize("datatype", NUMERIC)
def test_a_binary_tensor_is_a_view_of_the_body(datatype: str) -> None:
    values = np.zeros((2, 3), dtype=DATATYPES[datatype])
    encoded = encode_request(InferRequest("m", (Tensor("first", np.zeros(8)), Tensor("x", values))))
    body = bytes(encoded)

    array = decode_request(body, encoded.headers, "m", None).inputs[1].array

    assert np.shares_memory(array, np.frombuffer(body, np.uint8))
    assert not array.flags.writeable


def test_an_output_in_bytes_is_a_view_of_the_array() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)

    body = encode_response(InferResponse("m", "1", (Tensor("y", array),)), ASKED_IN_BYTES)

    assert np.shares_memory(np.frombuffer(body.parts[1], np.uint8), array)


@pytest.mark.parametrize("array", [np.arange(6, dtype=np.int16).reshape(2, 3).T, np.arange(9, dtype=np.int16)[::2]])
def test_an_array_that_does_not_lie_in_order_is_written_in_order(array: Any) -> None:
    body = encode_response(InferResponse("m", "1", (Tensor("y", array),)), ASKED_IN_BYTES)

    assert np.array_equal(decode_response(bytes(body), body.headers).outputs[0].array, array)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_json_has_no_number_for_becomes_null(dtype: Any) -> None:
    array = np.array([np.nan, np.inf, -np.inf, 0.5], dtype=dtype)

    body = encode_response(InferResponse("m", "1", (Tensor("y", array),)), ASKED_IN_JSON)

    assert json.loads(bytes(body))["outputs"][0]["data"] == [None, None, None, 0.5]


def test_half_precision_is_read_and_written_in_json() -> None:
    request = read(one_input(datatype="FP16", data=[0.1, 65504]))
    assert request.inputs[0].array.dtype == np.float16

    body = encode_response(InferResponse("m", "1", request.inputs), ASKED_IN_JSON)

    written = json.loads(bytes(body))["outputs"][0]["data"]
    assert np.array(written, dtype=np.float16).tolist() == request.inputs[0].array.tolist()


def test_bytes_that_are_no_text_cannot_be_answered_in_json_and_the_error_says_how() -> None:
    response = InferResponse("m", "1", (Tensor("y", elements_to_array([b"\xff\xd8"])),))

    with pytest.raises(RequestInvalid, match="ask for it with binary_data"):
        encode_response(response, ASKED_IN_JSON)


@pytest.mark.parametrize(
    ("data", "shape"),
    [([1, 2, 3, 4], [2, 2]), ([[1, 2], [3, 4]], [2, 2]), ([[[1], [2]]], [1, 2, 1]), ([], [0]), ([[], []], [2, 0])],
)
def test_data_may_be_flat_or_nested(data: list[Any], shape: list[int]) -> None:
    array = read(one_input(data=data, shape=shape)).inputs[0].array

    assert array.shape == tuple(shape)
    assert array.dtype == np.float32


@pytest.mark.parametrize("data", [["a", "bé"], [["a"], ["bé"]]])
def test_strings_are_read_without_padding(data: list[Any]) -> None:
    array = read(one_input(datatype="BYTES", data=data)).inputs[0].array

    assert array.tolist() == ["a", "bé"]
    assert array.dtype == np.object_


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("UINT64", [2**64 - 1, 2**63]),
        ("UINT64", [2**64 - 1, 0]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT8", [0, 255]),
        ("INT8", [-128, 127]),
        ("BOOL", [True, False]),
        ("FP64", [0.1, -1e300]),
        ("FP32", [1, 2.5]),
    ],
)
def test_the_last_values_of_a_datatype_are_read_as_they_are(datatype: str, values: list[Any]) -> None:
    assert read(one_input(datatype=datatype, data=values)).inputs[0].array.tolist() == values


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("UINT8", [256, 0]),
        ("UINT8", [-1, 0]),
        ("INT8", [128, 0]),
        ("UINT64", [-1, 0]),
        ("UINT64", [2**64 - 1, 0.5]),
        ("UINT64", [2**64 - 1, -1]),
        ("FP16", [1e6, 0]),
        ("FP32", [1e300, 0]),
        ("INT64", [2**63, 0]),
        ("INT32", [1.5, 0]),
        ("INT32", [1.0, 0]),
        ("INT32", [True, False]),
        ("BOOL", [1, 0]),
        ("FP32", [True, 2]),
        ("BOOL", [0.5, 0]),
        ("FP32", ["1", "2"]),
        ("FP32", [None, 1]),
        ("FP32", [{}, 1]),
        ("FP32", [[1], 2]),
        ("FP32", [[1, 2], [3]]),
        ("BYTES", [1, 2]),
        ("BYTES", [None, "a"]),
        ("BYTES", [["a", "b"], ["c"]]),
        ("BYTES", [["a"], "b"]),
        ("COMPLEX64", [1, 2]),
        ("fp32", [1, 2]),
        ("BF16", [1, 2]),
    ],
)
def test_a_value_that_is_none_of_its_datatype_is_refused_and_not_changed(datatype: str, values: list[Any]) -> None:
    with pytest.raises(TensorInvalid):
        read(one_input(datatype=datatype, data=values))


@pytest.mark.parametrize(
    "shape",
    [[3], [2, 2], [-1], [-2, -1], [0], [2**31], [2**62, 2**62], [0, 2**62, 2**62], [0, 2**70], [1] * 33],
    ids=str,
)
@pytest.mark.parametrize("form", ["json", "FP32", "BYTES"])
def test_a_shape_that_is_not_the_datas_is_refused(shape: list[int], form: str) -> None:
    tail = b"" if 0 in shape and len(shape) > 1 else struct.pack("<If", 4, 1.0)
    message = (
        one_input(shape=shape, data=[1, 2] if tail else []) if form == "json" else one_binary(len(tail), form, shape)
    )

    with pytest.raises(ClientError):
        read(message, b"" if form == "json" else tail)


@pytest.mark.parametrize(
    ("size", "tail"),
    [(8, b"\0" * 7), (8, b"\0" * 9), (7, b"\0" * 8), (9, b"\0" * 8), (2**63, b"\0" * 8), (0, b"\0" * 8), (8, b"")],
)
def test_a_size_that_lies_is_refused(size: int, tail: bytes) -> None:
    with pytest.raises(ClientError):
        read(one_binary(size), tail)


@pytest.mark.parametrize("size", [-1, 8.0, "8", True, [8], {}])
def test_a_size_that_is_no_number_of_bytes_is_refused(size: object) -> None:
    with pytest.raises(RequestInvalid):
        read(one_binary(size), b"\0" * 8)


@pytest.mark.parametrize("stated", ["-1", "abc", "", "1.5", "99", "9" * 5000, "²"])
def test_a_length_of_the_json_that_lies_is_refused(stated: str) -> None:
    with pytest.raises(RequestInvalid, match="Inference-Header-Content-Length") as caught:
        read(b"{}", length=stated)

    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param(struct.pack("<I", 5) + b"four", id="a length beyond the end"),
        pytest.param(struct.pack("<I", 2**32 - 1) + b"four", id="the greatest length"),
        pytest.param(b"\4\0\0", id="a length cut short"),
        pytest.param(struct.pack("<I", 3) + b"four", id="a length before the end"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_elements_with_lying_lengths_are_refused(tail: bytes) -> None:
    with pytest.raises(TensorInvalid):
        read(one_binary(len(tail), "BYTES", [1]), tail or b"")


def test_a_shape_that_asks_for_more_elements_than_were_sent_takes_no_memory() -> None:
    with pytest.raises(TensorInvalid, match="too few for 281474976710656 BYTES elements"):
        read(one_binary(4, "BYTES", [2**48]), b"\0" * 4)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", "the body is empty"),
        (b"{", "is not JSON"),
        (b"\xff\xd8\xff\xe0 a JPEG", "is not JSON"),
        (b'{"inputs": NaN}', "is not JSON"),
        (b"[]", "is a JSON array"),
        (b"null", "is a JSON null"),
        ({}, "the request has no inputs"),
        ({"inputs": {}}, "inputs of the type object"),
        ({"inputs": []}, "inputs is empty"),
        ({"inputs": ["x"]}, "an object for each tensor is expected"),
        ({"inputs": [{}]}, "an input has no name"),
        (one_input(name=7), "a name of the type number"),
        (one_input(datatype=None), "has no datatype"),
        (one_input(shape="2"), "shape of the type string"),
        (one_input(shape=[2.0]), "a list of whole numbers"),
        (one_input(shape=[True]), "a list of whole numbers"),
        (one_input(data={"a": 1}), "data of the type object"),
        (one_input(data=None), "has no data"),
        (one_input(parameters=[]), "parameters of the type array"),
        (one_input(parameters={"a": []}), "the parameter 'a' of the type array"),
        (one_input(parameters={"binary_data_size": 8}), "both data and binary_data_size"),
        (one_input() | {"id": 7}, "a id of the type number"),
        (one_input() | {"parameters": 7}, "parameters of the type number"),
        (one_input() | {"parameters": {"binary_data_output": 1}}, "true or false is expected"),
        (one_input() | {"outputs": {}}, "outputs of the type object"),
        (one_input() | {"outputs": ["y"]}, "an object for each output"),
        (one_input() | {"outputs": [{"name": "y", "parameters": {"binary_data": "yes"}}]}, "true or false"),
    ],
)
def test_a_message_that_is_not_the_protocols_is_refused_with_what_is_expected(message: Any, expected: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        read(message)

    assert expected in caught.value.message


def test_bytes_without_the_header_are_told_which_header() -> None:
    message = json.dumps(one_binary(8)).encode()

    with pytest.raises(RequestInvalid, match="needs the header Inference-Header-Content-Length"):
        decode_request(message + b"\0" * 8, {}, "m", None)


def test_bytes_that_belong_to_no_tensor_are_refused() -> None:
    with pytest.raises(RequestInvalid, match="3 bytes follow the JSON that belong to no tensor"):
        read(one_input(), b"abc")


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["inputs", "name", "datatype", "shape", "data", "parameters", "outputs", "id"]), inner
            )
        ),
        max_leaves=12,
    ),
    st.binary(max_size=8),
)
def test_no_json_at_all_makes_more_than_a_client_error(message: Any, tail: bytes) -> None:
    encoded = orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS, default=str) if _is_json(message) else b"{}"
    for decode in (
        lambda: decode_request(encoded + tail, {LENGTH: str(len(encoded))}, "m", None),
        lambda: decode_response(encoded + tail, {LENGTH: str(len(encoded))}),
    ):
        try:
            decode()
        except ClientError:
            continue


def test_a_body_of_one_part_is_not_copied() -> None:
    part = b"{}"

    assert bytes(Body((part,))) is part


def _is_json(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return False
    return True


def test_the_same_json_is_read_anew_for_other_bytes() -> None:
    """What a message's JSON says is remembered; its tensors are those of the bytes that came with it."""
    bodies = [encode_request(InferRequest("m", (Tensor("x", np.full(4, value, np.uint8)),))) for value in (1, 2)]
    assert bodies[0].parts[0] == bodies[1].parts[0]

    read = [decode_request(bytes(body), body.headers, "m", None).inputs[0].array.tolist() for body in bodies]

    assert read == [[1] * 4, [2] * 4]


def test_json_that_was_read_is_held_against_each_body() -> None:
    body = encode_request(InferRequest("m", (Tensor("x", np.zeros(4, np.uint8)),)))
    decode_request(bytes(body), body.headers, "m", None)

    with pytest.raises(TensorInvalid, match="says it has 4 binary bytes; 3 follow the JSON"):
        decode_request(bytes(body)[:-1], body.headers, "m", None)
    with pytest.raises(RequestInvalid, match="2 bytes follow the JSON that belong to no tensor"):
        decode_request(bytes(body) + b"..", body.headers, "m", None)


def test_json_is_refused_in_the_same_words_each_time() -> None:
    json = b'{"inputs": [{"name": "x", "datatype": "UINT8", "shape": ["a"], "parameters": {"binary_data_size": 1}}]}'
    said = set()
    for _ in range(3):
        with pytest.raises(RequestInvalid) as caught:
            decode_request(json + b".", {LENGTH: str(len(json))}, "m", None)
        said.add(caught.value.message)

    assert said == {"input 'x' has the shape ['a']: a list of whole numbers is expected"}
