from __future__ import annotations

from typing import Any

import pytest

from serving.contract import Contract
from serving.errors import ModelNotReady
from serving.v2 import ModelMetadata, TensorSpec
from tests.unit.serving.directories import contract_with
from transformer.client import PredictorInput

PIXELS = TensorSpec("pixels", "UINT8", (-1, 4, 6, 3))
PLANES = TensorSpec("images", "FP32", (-1, 3, 4, 6))


def found(*inputs: TensorSpec, **changes: Any) -> PredictorInput:
    dotted = {key.replace("__", "."): each for key, each in changes.items()}
    return PredictorInput.of(
        ModelMetadata("m", ("1",), "any", inputs, ()), Contract.model_validate(contract_with(dotted))
    )


@pytest.mark.parametrize("shape", [(-1, 4, 6, 3), (1, 4, 6, 3), (8, 4, 6, 3), (-1, -1, -1, 3), (-1, -1, -1, -1)])
def test_a_predictor_of_pixels_is_sent_pixels(shape: tuple[int, ...]) -> None:
    spec = TensorSpec("any name", "UINT8", shape)

    assert found(spec) == PredictorInput(spec, takes_numbers=False)


SHORTEST_EDGE = {
    "input__resize": {"rule": "shortest_edge", "shorter_side": 6, "longer_side": 12},
    "input__height": None,
    "input__width": None,
}
RECTANGLE = {"input__resize": {"rule": "letterbox", "multiple": 2}}


@pytest.mark.parametrize("rule", [SHORTEST_EDGE, RECTANGLE], ids=["shortest_edge", "letterbox"])
def test_a_predictor_of_any_size_is_sent_pictures_that_have_their_own(rule: dict[str, Any]) -> None:
    pixels, planes = TensorSpec("p", "UINT8", (-1, -1, -1, 3)), TensorSpec("n", "FP32", (-1, 3, -1, -1))

    assert found(pixels, **rule) == PredictorInput(pixels, takes_numbers=False)
    assert found(planes, **rule) == PredictorInput(planes, takes_numbers=True)
    assert found(input__tensor="n", **rule) == PredictorInput(planes, takes_numbers=True)


@pytest.mark.parametrize("spec", [PIXELS, PLANES, TensorSpec("x", "UINT8", (-1, -1, 6, 3))])
def test_a_predictor_of_one_size_is_not_sent_pictures_that_have_their_own(spec: TensorSpec) -> None:
    with pytest.raises(ModelNotReady, match=r"should take UINT8 \[-1, -1, -1, 3\] or FP32 \[-1, 3, -1, -1\]"):
        found(spec, **SHORTEST_EDGE)


@pytest.mark.parametrize("datatype", ["FP32", "FP16"])
@pytest.mark.parametrize(
    ("layout", "shape"),
    [("NCHW", (-1, 3, 4, 6)), ("NCHW", (-1, 3, -1, -1)), ("NHWC", (-1, 4, 6, 3)), ("NHWC", (2, -1, -1, 3))],
)
def test_a_predictor_of_numbers_is_sent_numbers(layout: str, shape: tuple[int, ...], datatype: str) -> None:
    spec = TensorSpec("images", datatype, shape)

    assert found(spec, input__layout=layout, input__datatype=datatype).takes_numbers


def test_planes_of_bytes_are_made_on_this_side() -> None:
    spec = TensorSpec("images", "UINT8", (-1, 3, 4, 6))

    assert found(spec, input__datatype="UINT8").takes_numbers


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("x", "UINT8", (-1, 4, 7, 3)),
        TensorSpec("x", "UINT8", (-1, 6, 4, 3)),
        TensorSpec("x", "UINT8", (-1, 4, 6, 1)),
        TensorSpec("x", "UINT8", (4, 6, 3)),
        TensorSpec("x", "FP16", (-1, 3, 4, 6)),
        TensorSpec("x", "FP32", (-1, 4, 6, 3)),
        TensorSpec("x", "INT8", (-1, 4, 6, 3)),
        TensorSpec("x", "BYTES", (-1,)),
    ],
)
def test_a_predictor_of_neither_is_told_with_what_it_should_take(spec: TensorSpec) -> None:
    with pytest.raises(ModelNotReady) as caught:
        found(spec)

    assert f"'x' {spec.datatype} {list(spec.shape)}" in caught.value.message
    assert "UINT8 [-1, 4, 6, 3] or FP32 [-1, 3, 4, 6]" in caught.value.message


def test_of_a_predictor_that_lists_no_inputs_the_contract_must_name_one() -> None:
    with pytest.raises(ModelNotReady, match=r"lists no inputs: name its tensor in the contract's input\.tensor"):
        found()
    assert found(input__tensor="images") == PredictorInput(PLANES, takes_numbers=True)


def test_of_several_inputs_the_contracts_is_taken() -> None:
    others = (TensorSpec("mask", "UINT8", PIXELS.shape), PLANES)

    assert found(*others, input__tensor="images") == PredictorInput(PLANES, takes_numbers=True)


def test_a_model_of_blue_green_red_bytes_that_is_not_fused_is_sent_blue_first() -> None:
    spec = TensorSpec("images", "UINT8", PIXELS.shape)
    changes = {"input__layout": "NHWC", "input__datatype": "UINT8", "input__color": "bgr"}

    assert found(spec, **changes).takes_numbers
    assert not found(PIXELS, **changes).takes_numbers
