"""Inference over REST with JSON from end to end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from .answers import ModelMetadata, assert_fits
from .rest import RestServer, document, read_answer, read_object
from .tensors import Tensor, assert_same

Inputs = Callable[..., list[Tensor]]
BATCHES = [1, 2, 5]
PARAMETERS = {
    "string": "a",
    "empty string": "",
    "integer": 7,
    "negative": -1,
    "float": 0.5,
    "true": True,
    "false": False,
}


def test_flat_data_is_answered(rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]) -> None:
    answer = rest.answer(inputs)
    assert answer.names == [spec.name for spec in metadata.outputs]


def test_nested_data_is_answered_as_flat_data_is(rest: RestServer, inputs: list[Tensor]) -> None:
    body = document(inputs)
    for entry, tensor in zip(body["inputs"], inputs, strict=True):
        entry["data"] = tensor.nested
    assert_same(read_answer(rest.infer(body)).outputs, rest.answer(inputs).outputs)


def test_outputs_are_what_the_metadata_says(rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]) -> None:
    assert_fits(rest.answer(inputs), metadata)


def test_every_output_has_as_many_elements_as_its_shape_says(rest: RestServer, inputs: list[Tensor]) -> None:
    for output in read_object(rest.infer(document(inputs)))["outputs"]:
        assert count(output["data"]) == math.prod(output["shape"])


def test_every_output_has_a_name_a_datatype_a_shape_and_data(rest: RestServer, inputs: list[Tensor]) -> None:
    for output in read_object(rest.infer(document(inputs)))["outputs"]:
        assert {"name", "datatype", "shape", "data"} <= output.keys()


def test_the_response_is_of_the_content_type_json(rest: RestServer, valid_body: bytes) -> None:
    assert rest.post(valid_body).headers["content-type"].split(";")[0] == "application/json"


def test_the_answer_names_the_model(rest: RestServer, inputs: list[Tensor]) -> None:
    assert rest.answer(inputs).model_name == rest.target.model


def test_the_answer_names_a_version_only_as_a_string(rest: RestServer, valid_body: bytes) -> None:
    body = read_object(rest.post(valid_body))
    assert body.get("model_version") is None or isinstance(body["model_version"], str)


@pytest.mark.needs("versions")
def test_a_version_that_is_asked_for_answers_and_is_named(rest: RestServer, inputs: list[Tensor], version: str) -> None:
    answer = read_answer(rest.infer(document(inputs), version=version))
    assert answer.model_version == version


@pytest.mark.parametrize("given", ["42", "a b", "ünï-✓", "x" * 200])
def test_the_id_comes_back(rest: RestServer, inputs: list[Tensor], given: str) -> None:
    assert rest.answer(inputs, id=given).id == given


def test_a_request_without_an_id_is_answered(rest: RestServer, inputs: list[Tensor]) -> None:
    assert isinstance(rest.answer(inputs).id, str)


@pytest.mark.parametrize("value", PARAMETERS.values(), ids=PARAMETERS.keys())
def test_an_unknown_parameter_of_the_request_does_no_harm(
    rest: RestServer, inputs: list[Tensor], value: object
) -> None:
    assert rest.answer(inputs, parameters={"oip_suite": value}).outputs


@pytest.mark.parametrize("value", PARAMETERS.values(), ids=PARAMETERS.keys())
def test_an_unknown_parameter_of_an_input_does_no_harm(rest: RestServer, inputs: list[Tensor], value: object) -> None:
    body = document(inputs)
    body["inputs"][0]["parameters"] = {"oip_suite": value}
    assert read_answer(rest.infer(body)).outputs


def test_an_unknown_parameter_of_an_output_does_no_harm(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    wanted = [{"name": metadata.outputs[0].name, "parameters": {"oip_suite": "a"}}]
    assert rest.answer(inputs, outputs=wanted).outputs


def test_empty_parameters_do_no_harm(rest: RestServer, inputs: list[Tensor]) -> None:
    assert rest.answer(inputs, parameters={}).outputs


def test_a_parameter_that_is_null_is_no_fault_of_the_server(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_no_fault(rest.infer(document(inputs, parameters={"oip_suite": None})))


def test_only_the_requested_output_comes_back(rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]) -> None:
    for spec in metadata.outputs:
        assert rest.answer(inputs, outputs=[{"name": spec.name}]).names == [spec.name]


def test_requested_outputs_come_in_the_order_of_the_request(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    names = [spec.name for spec in reversed(metadata.outputs)]
    answer = rest.answer(inputs, outputs=[{"name": name} for name in names])
    if rest.target.offers("strict"):
        assert answer.names == names
    else:
        assert sorted(answer.names) == sorted(names)


def test_a_requested_output_is_the_one_that_would_have_come_anyway(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    name = metadata.outputs[-1].name
    everything = rest.answer(inputs).outputs
    assert_same(rest.answer(inputs, outputs=[{"name": name}]).outputs, [out for out in everything if out.name == name])


@pytest.mark.parametrize("rows", BATCHES)
def test_a_batch_is_answered(rest: RestServer, metadata: ModelMetadata, make_inputs: Inputs, rows: int) -> None:
    assert_fits(rest.answer(make_inputs(rows)), metadata)


@pytest.mark.needs("row-wise")
@pytest.mark.parametrize("rows", BATCHES)
def test_a_batch_has_the_answers_of_its_rows(rest: RestServer, make_inputs: Inputs, rows: int) -> None:
    inputs = make_inputs(rows)
    batch = [output.rows() for output in rest.answer(inputs).outputs]
    rows_of_inputs = [tensor.rows() for tensor in inputs] if rows > 1 else [[tensor] for tensor in inputs]
    for index in range(rows):
        alone = rest.answer([tensor_rows[index] for tensor_rows in rows_of_inputs])
        assert_same([output_rows[index] for output_rows in batch], alone.outputs)


@pytest.mark.needs("deterministic")
def test_the_same_input_has_the_same_answer(rest: RestServer, inputs: list[Tensor]) -> None:
    assert_same(rest.answer(inputs).outputs, rest.answer(inputs).outputs)


def test_other_values_are_answered_too(rest: RestServer, metadata: ModelMetadata, make_inputs: Inputs) -> None:
    for seed in range(1, 4):
        assert_fits(rest.answer(make_inputs(seed=seed)), metadata)


def test_the_order_of_the_fields_does_not_matter(rest: RestServer, inputs: list[Tensor]) -> None:
    body = {"inputs": [dict(reversed(entry.items())) for entry in document(inputs)["inputs"]], "id": "last"}
    assert read_answer(rest.infer(body)).id == "last"


def test_the_order_of_the_inputs_does_not_matter(rest: RestServer, inputs: list[Tensor]) -> None:
    if len(inputs) == 1:
        pytest.skip("the model has one input")
    assert_same(rest.answer(inputs[::-1]).outputs, rest.answer(inputs).outputs)


def test_white_space_in_the_json_does_not_matter(rest: RestServer, inputs: list[Tensor]) -> None:
    body = json.dumps(document(inputs), separators=(" ,\r\n", "\t: ")).encode()
    assert_same(read_answer(rest.post(b"\n " + body + b"\n")).outputs, rest.answer(inputs).outputs)


def count(data: list[Any]) -> int:
    return sum(count(element) if isinstance(element, list) else 1 for element in data)
