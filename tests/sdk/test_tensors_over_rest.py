"""Tensors over REST: the binary extension without Python lists, with any bytes, and with errors that name the fault."""

from __future__ import annotations

import json
from http import HTTPStatus

import numpy as np

from serving.v2 import rest
from serving.v2.tensor import Array
from tests.sdk.asking import PICTURE_INPUT, binary_request, jpeg, post, tensor_bytes
from tests.sdk.plain_codec import InferRequest, InferResponse
from tests.sdk.sides import Server
from tests.sdk.trap import Side, trap
from tests.servers import MODEL

INFER = f"/v2/models/{MODEL}/infer"
SHAPE = [1, 3, 640, 640]


@trap("the SDK unpacks a binary input into a list of Python floats, one by one: 258 ms for 640x640")
def test_a_binary_input_is_a_view_of_the_requests_bytes(side: Side) -> None:
    body, json_length = message("inputs", "parameters")
    assert np.shares_memory(read_input(side, body, json_length), np.frombuffer(body, np.uint8))


@trap("the SDK's client unpacks a predictor's binary answer into a list of Python floats: 152 ms for 640x640")
def test_a_binary_output_is_a_view_of_the_answers_bytes(side: Side) -> None:
    body, json_length = message("outputs", "model_name")
    assert np.shares_memory(read_output(side, body, json_length), np.frombuffer(body, np.uint8))


@trap("the SDK decodes binary BYTES as UTF-8 text, which no JPEG is, and answers 500")
def test_a_picture_travels_as_binary_bytes(transformer: Server) -> None:
    picture = jpeg()
    answer = post(transformer, INFER, *binary_request(PICTURE_INPUT, len(picture).to_bytes(4, "little") + picture))
    assert answer.status_code == HTTPStatus.OK


@trap("the SDK lets NumPy's complaint about the missing bytes become a 500, which blames the server")
def test_a_truncated_binary_tensor_is_the_clients_fault(predictor: Server) -> None:
    body, headers = tensor_bytes()
    assert post(predictor, INFER, body[:-2], headers).status_code == HTTPStatus.BAD_REQUEST


@trap("the SDK answers 500 to a header that is no number")
def test_a_json_length_that_is_no_number_is_the_clients_fault(predictor: Server) -> None:
    body, headers = tensor_bytes()
    answer = post(predictor, INFER, body, {**headers, "inference-header-content-length": "long"})
    assert answer.status_code == HTTPStatus.BAD_REQUEST


@trap("the SDK sends binary answers without a content type")
def test_a_binary_answer_names_its_content_type(predictor: Server) -> None:
    answer = post(predictor, INFER, *tensor_bytes())
    assert answer.headers.get("content-type") == "application/octet-stream"


@trap("the SDK knows the routes of a version and answers all of them with 501")
def test_a_version_can_be_asked_for(predictor: Server) -> None:
    answer = post(predictor, f"/v2/models/{MODEL}/versions/1/infer", *tensor_bytes())
    assert answer.status_code == HTTPStatus.OK


def message(tensors: str, beside: str) -> tuple[bytes, int]:
    """Return a request or an answer with one binary tensor, and the length of its JSON."""
    raw = np.zeros(SHAPE, dtype=np.float32).tobytes()
    tensor = {"name": "x", "datatype": "FP32", "shape": SHAPE, "parameters": {"binary_data_size": len(raw)}}
    header = json.dumps({tensors: [tensor], beside: {} if beside == "parameters" else MODEL}).encode()
    return header + raw, len(header)


def read_input(side: Side, body: bytes, json_length: int) -> Array:
    if side == "ours":
        headers = {rest.JSON_LENGTH_HEADER: str(json_length)}
        return rest.decode_request(body, headers, MODEL, None).inputs[0].array
    array: Array = InferRequest.from_bytes(body, json_length, MODEL).inputs[0].as_numpy()
    return array


def read_output(side: Side, body: bytes, json_length: int) -> Array:
    if side == "ours":
        headers = {rest.JSON_LENGTH_HEADER: str(json_length)}
        return rest.decode_response(body, headers).outputs[0].array
    array: Array = InferResponse.from_bytes(body, json_length).outputs[0].as_numpy()
    return array
