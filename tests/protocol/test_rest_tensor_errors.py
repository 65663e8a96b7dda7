"""Tensors over REST whose shape, data and model do not agree: refused with 4xx, in words, and forgotten."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from .answers import ModelMetadata
from .rest import RestServer, document
from .tensors import DTYPES, Tensor

pytestmark = pytest.mark.usefixtures("still_serves")

Inputs = Callable[..., list[Tensor]]
MORE_THAN_INT64 = 2**63
MORE_THAN_UINT64 = 2**64


def test_a_negative_dimension_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    for size in (-1, -2, -(2**63)):
        shape = [size, *inputs[0].shape[1:]]
        rest.assert_refused(rest.infer(with_first(inputs, shape=shape)))


def test_two_negative_dimensions_are_refused_though_their_product_fits(rest: RestServer, inputs: list[Tensor]) -> None:
    shape = list(inputs[0].shape)
    if len(shape) < 2:
        pytest.skip("the first input has one dimension")
    rest.assert_refused(rest.infer(with_first(inputs, shape=[-shape[0], -shape[1], *shape[2:]])))


def test_no_rows_and_no_data_are_no_fault_of_the_server(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_no_fault(rest.infer(with_first(inputs, shape=[0, *inputs[0].shape[1:]], data=[])))


def test_no_rows_with_data_are_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_refused(rest.infer(with_first(inputs, shape=[0, *inputs[0].shape[1:]])))


@pytest.mark.parametrize("where", ["behind", "before"])
def test_a_dimension_too_many_is_refused(rest: RestServer, inputs: list[Tensor], where: str) -> None:
    shape = list(inputs[0].shape)
    rest.assert_refused(rest.infer(with_first(inputs, shape=[*shape, 1] if where == "behind" else [1, *shape])))


def test_a_dimension_too_few_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    count = math.prod(inputs[0].shape)
    if len(inputs[0].shape) < 2:
        pytest.skip("the first input has one dimension")
    rest.assert_refused(rest.infer(with_first(inputs, shape=[count])))


@pytest.mark.parametrize("change", [1, -1])
def test_a_fixed_dimension_of_another_size_is_refused(
    rest: RestServer, metadata: ModelMetadata, inputs: list[Tensor], change: int
) -> None:
    fixed = [axis for axis, size in enumerate(metadata.inputs[0].shape) if size > 1]
    if not fixed:
        pytest.skip("no dimension of the first input is fixed")
    shape = list(inputs[0].shape)
    shape[fixed[-1]] += change
    data = (inputs[0].flat * 2)[: math.prod(shape)]
    rest.assert_refused(rest.infer(with_first(inputs, shape=shape, data=data)))


@pytest.mark.parametrize("size", [2**31, 2**40, MORE_THAN_INT64 - 1, MORE_THAN_INT64, MORE_THAN_UINT64, 10**30])
def test_a_huge_dimension_is_refused_before_it_is_allocated(rest: RestServer, inputs: list[Tensor], size: int) -> None:
    response = rest.infer(with_first(inputs, shape=[size, *inputs[0].shape[1:]]))
    rest.assert_refused(response, promised=(400, 413))


def test_dimensions_whose_product_overflows_are_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    rank = len(inputs[0].shape)
    for size in (2**32, 2**62):
        response = rest.infer(with_first(inputs, shape=[size] * rank, data=[]))
        rest.assert_refused(response, promised=(400, 413))


def test_a_shape_of_a_thousand_dimensions_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_refused(rest.infer(with_first(inputs, shape=[1] * 1000)))


def test_data_with_too_few_elements_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_refused(rest.infer(with_first(inputs, data=inputs[0].flat[:-1])))


def test_data_with_too_many_elements_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_refused(rest.infer(with_first(inputs, data=[*inputs[0].flat, inputs[0].flat[0]])))


def test_data_of_one_row_for_a_shape_of_two_is_refused(rest: RestServer, inputs: list[Tensor]) -> None:
    rest.assert_refused(rest.infer(with_first(inputs, shape=[2, *inputs[0].shape[1:]])))


def test_nested_data_with_an_element_missing_is_refused(rest: RestServer, make_inputs: Inputs) -> None:
    inputs = make_inputs(2)
    data = inputs[0].nested
    innermost(data).pop()
    rest.assert_refused(rest.infer(with_first(inputs, data=data)))


def test_nested_data_with_a_stray_array_is_no_fault_of_the_server(rest: RestServer, make_inputs: Inputs) -> None:
    inputs = make_inputs(2)
    row = innermost(inputs[0].nested)
    data = [[row[0]], *inputs[0].flat[1:]]
    response = rest.infer(with_first(inputs, data=data))
    rest.assert_no_fault(response)
    if rest.target.offers("strict"):
        rest.assert_refused(response)


@pytest.mark.parametrize("element", [None, {}, "no number"], ids=json.dumps)
def test_an_element_that_is_no_number_is_refused(rest: RestServer, inputs: list[Tensor], element: object) -> None:
    if inputs[0].datatype in {"BYTES", "BOOL"}:
        pytest.skip("the first input is not of numbers")
    rest.assert_refused(rest.infer(with_first(inputs, data=[element, *inputs[0].flat[1:]])))


@pytest.mark.parametrize("element", [None, {}], ids=json.dumps)
def test_an_element_that_is_no_scalar_is_refused(rest: RestServer, inputs: list[Tensor], element: object) -> None:
    rest.assert_refused(rest.infer(with_first(inputs, data=[*inputs[0].flat[:-1], element])))


@pytest.mark.parametrize("element", [7, 0.5, True], ids=json.dumps)
def test_an_element_of_another_kind_is_coerced_or_refused(
    rest: RestServer, inputs: list[Tensor], element: object
) -> None:
    response = rest.infer(with_first(inputs, data=[element, *inputs[0].flat[1:]]))
    rest.assert_no_fault(response)
    strange = {"BYTES": True, "BOOL": not isinstance(element, bool)}.get(inputs[0].datatype, isinstance(element, bool))
    if rest.target.offers("strict") and (strange or (element == 0.5 and not inputs[0].datatype.startswith("FP"))):
        rest.assert_refused(response)


@pytest.mark.parametrize("beyond", ["above", "below"])
def test_an_integer_that_the_datatype_cannot_hold_is_refused(
    rest: RestServer, inputs: list[Tensor], beyond: str
) -> None:
    if not inputs[0].datatype.startswith(("INT", "UINT")):
        pytest.skip("the first input is not of integers")
    limits = np.iinfo(DTYPES[inputs[0].datatype])
    element = int(limits.max) + 1 if beyond == "above" else int(limits.min) - 1
    rest.assert_refused(rest.infer(with_first(inputs, data=[element, *inputs[0].flat[1:]])))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_is_refused(rest: RestServer, inputs: list[Tensor], literal: str) -> None:
    body = json.dumps(with_first(inputs, data=["HERE", *inputs[0].flat[1:]])).replace('"HERE"', literal)
    response = rest.post(body.encode())
    lenient = literal == "1e999" or not rest.target.offers("strict")
    if inputs[0].datatype.startswith("FP") and lenient:
        rest.assert_no_fault(
            response
        )  # RFC 8259 6, 9: limits of numbers are the parser's, and it may accept more than JSON
    else:
        rest.assert_refused(response)


def with_first(inputs: list[Tensor], **fields: Any) -> dict[str, Any]:
    """Return a request in which the first input has other `fields`."""
    body = document(inputs)
    body["inputs"][0].update(fields)
    return body


def innermost(nested: list[Any]) -> list[Any]:
    while isinstance(nested[0], list):
        nested = nested[0]
    return nested
