"""Inference over gRPC, with raw and with typed contents."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .answers import ModelMetadata, assert_fits
from .messages import pb
from .rest import RestServer
from .rpc import RpcServer
from .tensors import Tensor, assert_same

pytestmark = pytest.mark.needs("grpc")

Inputs = Callable[..., list[Tensor]]
Build = Callable[[RpcServer, list[Tensor]], pb.ModelInferRequest]
SPELLINGS = [
    pytest.param(RpcServer.raw, id="raw", marks=pytest.mark.needs("grpc-raw")),
    pytest.param(RpcServer.typed, id="typed", marks=pytest.mark.needs("grpc-typed")),
]
in_both_spellings = pytest.mark.parametrize("build", SPELLINGS)


@in_both_spellings
def test_a_request_is_answered_with_every_output(
    rpc: RpcServer, metadata: ModelMetadata, inputs: list[Tensor], build: Build
) -> None:
    answer = rpc.answer(build(rpc, inputs))
    assert answer.names == [spec.name for spec in metadata.outputs]
    assert_fits(answer, metadata)


@in_both_spellings
def test_the_answer_is_that_of_rest(rpc: RpcServer, rest: RestServer, inputs: list[Tensor], build: Build) -> None:
    assert_same(rpc.answer(build(rpc, inputs)).outputs, rest.answer(inputs).outputs)


@in_both_spellings
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_a_batch_has_the_answer_of_rest(
    rpc: RpcServer, rest: RestServer, make_inputs: Inputs, build: Build, rows: int
) -> None:
    inputs = make_inputs(rows)
    assert_same(rpc.answer(build(rpc, inputs)).outputs, rest.answer(inputs).outputs)


@pytest.mark.needs("grpc-raw", "grpc-typed")
def test_raw_and_typed_contents_have_one_answer(rpc: RpcServer, make_inputs: Inputs) -> None:
    inputs = make_inputs(seed=3)
    assert_same(rpc.answer(rpc.raw(inputs)).outputs, rpc.answer(rpc.typed(inputs)).outputs)


@pytest.mark.needs("row-wise")
def test_a_batch_has_the_answers_of_its_rows(rpc: RpcServer, make_inputs: Inputs) -> None:
    inputs = make_inputs(3)
    batch = [output.rows() for output in rpc.answer(rpc.any(inputs)).outputs]
    for index, alone in enumerate(zip(*[tensor.rows() for tensor in inputs], strict=True)):
        assert_same([rows[index] for rows in batch], rpc.answer(rpc.any(list(alone))).outputs)


@in_both_spellings
@pytest.mark.parametrize("given", ["42", "ünï-✓", ""])
def test_the_id_comes_back(rpc: RpcServer, inputs: list[Tensor], build: Build, given: str) -> None:
    request = build(rpc, inputs)
    request.id = given
    assert not given or rpc.answer(request).id == given
    assert rpc.answer(request).outputs


def test_the_answer_names_the_model(rpc: RpcServer, inputs: list[Tensor]) -> None:
    assert rpc.answer(rpc.any(inputs)).model_name == rpc.target.model


@pytest.mark.needs("versions")
def test_a_version_that_is_asked_for_answers_and_is_named(rpc: RpcServer, inputs: list[Tensor], version: str) -> None:
    request = rpc.any(inputs)
    request.model_version = version
    assert rpc.answer(request).model_version == version


@pytest.mark.needs("grpc-raw", "grpc-raw-outputs")
def test_a_raw_request_has_a_raw_answer(rpc: RpcServer, inputs: list[Tensor]) -> None:
    response = rpc.call("ModelInfer", rpc.raw(inputs))
    assert len(response.raw_output_contents) == len(response.outputs)


@pytest.mark.needs("grpc-outputs")
def test_only_the_requested_output_comes_back(rpc: RpcServer, metadata: ModelMetadata, inputs: list[Tensor]) -> None:
    everything = rpc.answer(rpc.any(inputs)).outputs
    for spec in metadata.outputs:
        request = rpc.any(inputs)
        request.outputs.add(name=spec.name)
        assert_same(rpc.answer(request).outputs, [output for output in everything if output.name == spec.name])


@pytest.mark.needs("grpc-outputs")
def test_requested_outputs_come_in_the_order_of_the_request(
    rpc: RpcServer, metadata: ModelMetadata, inputs: list[Tensor]
) -> None:
    request = rpc.any(inputs)
    names = [spec.name for spec in reversed(metadata.outputs)]
    for name in names:
        request.outputs.add(name=name)
    answered = rpc.answer(request).names
    assert answered == names if rpc.target.offers("strict") else sorted(answered) == sorted(names)


@pytest.mark.parametrize(
    "value",
    [{"bool_param": True}, {"int64_param": -7}, {"string_param": "a"}, {}],
    ids=["bool", "int64", "string", "unset"],
)
def test_unknown_parameters_do_no_harm(rpc: RpcServer, inputs: list[Tensor], value: dict[str, object]) -> None:
    request = rpc.any(inputs)
    request.parameters["oip_suite"].CopyFrom(pb.InferParameter(**value))
    request.inputs[0].parameters["oip_suite"].CopyFrom(pb.InferParameter(**value))
    assert rpc.answer(request).outputs


def test_the_order_of_the_inputs_does_not_matter(rpc: RpcServer, inputs: list[Tensor]) -> None:
    if len(inputs) == 1:
        pytest.skip("the model has one input")
    assert_same(rpc.answer(rpc.any(inputs[::-1])).outputs, rpc.answer(rpc.any(inputs)).outputs)


@pytest.mark.needs("deterministic")
def test_the_same_input_has_the_same_answer(rpc: RpcServer, inputs: list[Tensor]) -> None:
    assert_same(rpc.answer(rpc.any(inputs)).outputs, rpc.answer(rpc.any(inputs)).outputs)
