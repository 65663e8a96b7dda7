"""The binary tensor data extension: tensors as bytes behind the JSON, in requests and in answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .answers import ModelMetadata, assert_fits
from .binary import binary_request, first_binary_request
from .rest import HEADER_LENGTH, JSON, RestServer, document, read_answer, read_binary_answer
from .tensors import Tensor, assert_same

pytestmark = pytest.mark.needs("binary")

Inputs = Callable[..., list[Tensor]]
ALL_BINARY = {"parameters": {"binary_data_output": True}}


def test_bytes_are_answered_as_json_is(rest: RestServer, inputs: list[Tensor]) -> None:
    answer = read_answer(binary_request(inputs).send(rest))
    assert_same(answer.outputs, rest.answer(inputs).outputs)


def test_outputs_come_as_json_unless_bytes_are_asked_for(rest: RestServer, inputs: list[Tensor]) -> None:
    response = binary_request(inputs).send(rest)
    assert response.headers["content-type"].split(";")[0] == "application/json"
    assert HEADER_LENGTH not in response.headers


def test_all_outputs_come_as_bytes_where_the_request_says_so(rest: RestServer, inputs: list[Tensor]) -> None:
    _, body = read_binary_answer(binary_request(inputs, **ALL_BINARY).send(rest))
    assert all("binary_data_size" in output["parameters"] for output in body["outputs"])


def test_outputs_in_bytes_hold_what_they_hold_in_json(rest: RestServer, inputs: list[Tensor]) -> None:
    answer, _ = read_binary_answer(binary_request(inputs, **ALL_BINARY).send(rest))
    assert_same(answer.outputs, rest.answer(inputs).outputs)


def test_outputs_in_bytes_are_what_the_metadata_says(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    answer, _ = read_binary_answer(binary_request(inputs, **ALL_BINARY).send(rest))
    assert_fits(answer, metadata)


def test_the_sizes_of_an_answer_in_bytes_add_up(rest: RestServer, inputs: list[Tensor]) -> None:
    response = binary_request(inputs, **ALL_BINARY).send(rest)
    _, body = read_binary_answer(response)
    sizes = [output["parameters"]["binary_data_size"] for output in body["outputs"]]
    assert int(response.headers[HEADER_LENGTH]) + sum(sizes) == len(response.content)


def test_an_answer_in_bytes_is_of_the_content_type_octet_stream(rest: RestServer, inputs: list[Tensor]) -> None:
    response = binary_request(inputs, **ALL_BINARY).send(rest)
    assert response.headers["content-type"] == "application/octet-stream"


def test_a_request_in_json_may_ask_for_bytes(rest: RestServer, inputs: list[Tensor]) -> None:
    answer, _ = read_binary_answer(rest.infer(document(inputs, **ALL_BINARY)))
    assert_same(answer.outputs, rest.answer(inputs).outputs)


def test_one_output_may_come_as_bytes(rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]) -> None:
    first, *others = [spec.name for spec in metadata.outputs]
    wanted = [{"name": first, "parameters": {"binary_data": True}}, *[{"name": name} for name in others]]
    answer, body = read_binary_answer(binary_request(inputs, outputs=wanted).send(rest))
    assert {out["name"]: "data" in out for out in body["outputs"]} == {first: False, **dict.fromkeys(others, True)}
    assert_same(answer.outputs, rest.answer(inputs).outputs)


def test_one_output_may_come_as_json_though_all_are_to_be_bytes(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    first, *others = [spec.name for spec in metadata.outputs]
    wanted = [{"name": first, "parameters": {"binary_data": False}}, *[{"name": name} for name in others]]
    response = binary_request(inputs, outputs=wanted, **ALL_BINARY).send(rest)
    answer = read_binary_answer(response)[0] if others else read_answer(response)
    assert_same(answer.outputs, rest.answer(inputs).outputs)


def test_named_outputs_come_as_bytes_where_the_request_says_so_of_all(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    wanted = [{"name": metadata.outputs[-1].name}]
    _, body = read_binary_answer(binary_request(inputs, outputs=wanted, **ALL_BINARY).send(rest))
    assert [output["name"] for output in body["outputs"]] == [metadata.outputs[-1].name]
    assert "data" not in body["outputs"][0]


def test_an_answer_without_bytes_has_no_header_for_them(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    wanted = [{"name": spec.name, "parameters": {"binary_data": False}} for spec in metadata.outputs]
    assert read_answer(binary_request(inputs, outputs=wanted).send(rest)).outputs


def test_inputs_may_mix_bytes_and_json(rest: RestServer, inputs: list[Tensor]) -> None:
    if len(inputs) == 1:
        pytest.skip("the model has one input")
    assert_same(read_answer(first_binary_request(inputs).send(rest)).outputs, rest.answer(inputs).outputs)


def test_the_id_and_the_model_come_back(rest: RestServer, inputs: list[Tensor]) -> None:
    answer, _ = read_binary_answer(binary_request(inputs, id="42", **ALL_BINARY).send(rest))
    assert (answer.id, answer.model_name) == ("42", rest.target.model)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_batch_in_bytes_is_answered_as_in_json(rest: RestServer, make_inputs: Inputs, rows: int) -> None:
    inputs = make_inputs(rows)
    answer, _ = read_binary_answer(binary_request(inputs, **ALL_BINARY).send(rest))
    assert_same(answer.outputs, rest.answer(inputs).outputs)


def test_the_header_may_cover_a_body_that_is_all_json(rest: RestServer, valid_body: bytes) -> None:
    assert read_answer(rest.post(valid_body, {**JSON, HEADER_LENGTH: str(len(valid_body))})).outputs


def test_the_case_of_the_header_does_not_matter(rest: RestServer, inputs: list[Tensor]) -> None:
    request = binary_request(inputs)
    request.headers[HEADER_LENGTH.lower()] = str(len(request.head))
    request.header_length = None
    assert read_answer(request.send(rest)).outputs


@pytest.mark.parametrize("content_type", ["application/json", None])
def test_the_header_alone_says_that_there_are_bytes(
    rest: RestServer, inputs: list[Tensor], content_type: str | None
) -> None:
    request = binary_request(inputs)
    request.headers = {"content-type": content_type} if content_type else {}
    response = request.send(rest)
    rest.assert_no_fault(response)  # the extension names no content type, its example does
    if rest.target.offers("strict"):
        assert_same(read_answer(response).outputs, rest.answer(inputs).outputs)


def test_bytes_in_chunks_are_read_whole(rest: RestServer, inputs: list[Tensor]) -> None:
    request = binary_request(inputs)
    headers = {**request.headers, HEADER_LENGTH: str(len(request.head))}
    assert read_answer(rest.post(iter([request.head, request.tail[:5], request.tail[5:]]), headers)).outputs


def test_json_of_any_spelling_may_stand_before_the_bytes(rest: RestServer, inputs: list[Tensor]) -> None:
    request = binary_request(inputs)
    head = b" " * 3 + request.head + b"\n"
    assert read_answer(rest.post(head + request.tail, {**request.headers, HEADER_LENGTH: str(len(head))})).outputs
