"""Requests over REST that are not the protocol's, or not the model's: refused with 4xx, in words, and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .answers import ModelMetadata
from .rest import RestServer, document
from .tensors import JsonObject, Tensor

pytestmark = pytest.mark.usefixtures("still_serves")

DEEP = 100_000
WRONG_INPUTS: dict[str, Any] = {
    "null": None,
    "an object": {},
    "a string": "x",
    "a number": 1,
    "an empty list": [],
    "a list of null": [None],
    "a list of strings": ["x"],
    "a list of lists": [[]],
    "a list of empty objects": [{}],
}
WRONG_VALUES: dict[str, list[Any]] = {
    "name": [None, 1, [], {}, True, ""],
    "datatype": [None, 1, [], {}, True, "", "COMPLEX64", "float32", "PICKLE"],
    "shape": [None, 1, "1", {}, True, [], [None], ["1"], [1.5], [[1]], [True]],
    "data": [None, 1, "x", {}, True, [], [None], [{}]],
    "parameters": [1, "x", [], True],
}
WRONG_FIELDS = [
    pytest.param(field, value, id=f"{field}={json.dumps(value)}")
    for field, values in WRONG_VALUES.items()
    for value in values
]
WRONG_OUTPUTS: dict[str, Any] = {
    "a string": "x",
    "an object": {},
    "a list of strings": ["x"],
    "without a name": [{}],
    "a name that is a number": [{"name": 1}],
    "an unknown name": [{"name": "no_such_output"}],
}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" ", id="blank"),
        pytest.param(b"not json", id="words"),
        pytest.param(b'{"inputs": [', id="cut short"),
        pytest.param(b"{'inputs': []}", id="single quotes"),
        pytest.param(b"\xff\xfe\x00\x01", id="not UTF-8"),
        pytest.param(b'{"inputs": []} trailing', id="more behind it"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b"7", id="a number"),
        pytest.param(b'"inputs"', id="a string"),
        pytest.param(b"null", id="null"),
        pytest.param(b"true", id="true"),
        pytest.param(b"{}", id="an empty object"),
    ],
)
def test_a_body_that_is_no_request_is_refused(rest: RestServer, content: bytes) -> None:
    rest.assert_refused(rest.post(content))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[" * DEEP, id="arrays left open"),
        pytest.param(b"[" * DEEP + b"]" * DEEP, id="arrays"),
        pytest.param(b'{"a":' * DEEP + b"1" + b"}" * DEEP, id="objects"),
        pytest.param(b'{"inputs":' + b"[" * DEEP + b"]" * DEEP + b"}", id="inputs"),
    ],
)
def test_json_that_is_nested_too_deep_is_refused(rest: RestServer, content: bytes) -> None:
    rest.assert_refused(rest.post(content))


def test_data_that_is_nested_too_deep_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    head = json.dumps({**inputs[0].document, "data": "HERE"}).encode()
    content = b'{"inputs": [' + head.replace(b'"HERE"', b"[" * DEEP + b"1" + b"]" * DEEP) + b"]}"
    rest.assert_refused(rest.post(content))


@pytest.mark.parametrize("value", WRONG_INPUTS.values(), ids=WRONG_INPUTS.keys())
def test_inputs_that_are_no_list_of_tensors_are_refused(rest: RestServer, value: object) -> None:
    rest.assert_refused(rest.infer({"inputs": value}))


def test_a_request_without_inputs_is_refused(rest: RestServer) -> None:
    rest.assert_refused(rest.infer({"id": "1"}))


@pytest.mark.parametrize("field", ["name", "shape", "datatype", "data"])
def test_an_input_without_a_field_is_refused(rest: RestServer, inputs: list[Tensor], field: str) -> None:
    body = document(inputs)
    del body["inputs"][0][field]
    rest.assert_refused(rest.infer(body))


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS)
def test_an_input_with_a_field_of_another_type_is_refused(
    rest: RestServer, inputs: list[Tensor], field: str, value: object
) -> None:
    body = document(inputs)
    body["inputs"][0][field] = value
    rest.assert_refused(rest.infer(body))


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}], ids=json.dumps)
def test_an_id_that_is_no_string_is_refused(rest: RestServer, inputs: list[Tensor], value: object) -> None:
    rest.assert_refused(rest.infer(document(inputs, id=value)))


@pytest.mark.parametrize("value", [1, "x", [], True], ids=json.dumps)
def test_parameters_that_are_no_object_are_refused(rest: RestServer, inputs: list[Tensor], value: object) -> None:
    rest.assert_refused(rest.infer(document(inputs, parameters=value)))


@pytest.mark.parametrize("value", WRONG_OUTPUTS.values(), ids=WRONG_OUTPUTS.keys())
def test_outputs_that_the_model_does_not_have_are_refused(
    rest: RestServer, inputs: list[Tensor], value: object
) -> None:
    rest.assert_refused(rest.infer(document(inputs, outputs=value)))


def test_an_output_that_is_asked_for_twice_is_no_fault_of_the_server(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    twice = [{"name": metadata.outputs[0].name}] * 2
    rest.assert_no_fault(rest.infer(document(inputs, outputs=twice)))


def test_an_empty_list_of_outputs_is_no_fault_of_the_server(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_no_fault(rest.infer(document(inputs, outputs=[])))


def renamed(body: JsonObject) -> None:
    body["inputs"][0]["name"] += "_unknown"


def doubled(body: JsonObject) -> None:
    body["inputs"].append(dict(body["inputs"][0]))


def joined_by_an_unknown(body: JsonObject) -> None:
    body["inputs"].append({**body["inputs"][0], "name": "no_such_input"})


def without_the_last(body: JsonObject) -> None:
    body["inputs"].pop()


def in_another_case(body: JsonObject) -> None:
    body["inputs"][0]["name"] = body["inputs"][0]["name"].swapcase()


def of_another_datatype(body: JsonObject) -> None:
    first = body["inputs"][0]
    first["datatype"] = "INT64" if first["datatype"] != "INT64" else "FP64"


@pytest.mark.parametrize(
    "spoil", [renamed, doubled, joined_by_an_unknown, without_the_last, in_another_case, of_another_datatype]
)
def test_inputs_that_are_not_those_of_the_model_are_refused(
    rest: RestServer, inputs: list[Tensor], spoil: Callable[[JsonObject], None]
) -> None:
    body = document(inputs)
    spoil(body)
    rest.assert_refused(rest.infer(body))
