"""A graph's second input, for the size of the first: compiled in, or sent by the transformer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from predictor.engines import SessionOptions, open_session, store
from predictor.engines.device import Device
from predictor.graph import fuse_input
from serving.contract import Contract
from serving.decoders import Array
from serving.errors import ContractInvalid, ModelNotReady
from serving.v2 import DATATYPES, ModelMetadata, Tensor, TensorSpec
from transformer.client import PredictorInput
from transformer.pictures import to_model_input

from .graphs import HEIGHT, WIDTH, Dimension, contract, image_shape, model, real_pixels, value

ORDERS = {"width_height": [WIDTH, HEIGHT], "height_width": [HEIGHT, WIDTH]}
ANY_SIZE = {"input__resize": {"rule": "letterbox", "multiple": 2}, "input__height": 64, "input__width": 64}


def rules(**changes: Any) -> Contract:
    return contract(input__tensor="images", input__size_tensor="sizes", **changes)


def graph(datatype: str = "INT64", batch: Dimension = "n", images: list[Dimension] | None = None) -> onnx.ModelProto:
    """Gives back both of its inputs."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_again"]) for name in ("sizes", "images")]
    shape = images or image_shape("NCHW", batch)
    sizes = helper.make_tensor_value_info("sizes", helper.np_dtype_to_tensor_dtype(DATATYPES[datatype]), [batch, 2])
    inputs = [sizes, value("images", shape)]
    outputs = [helper.make_empty_tensor_value_info(f"{name}_again") for name in ("sizes", "images")]
    for output, given in zip(outputs, inputs, strict=True):
        output.type.CopyFrom(given.type)
    return model(nodes, inputs, outputs)


def run(compiled: onnx.ModelProto, *inputs: Tensor) -> list[Array]:
    with store(compiled, Path("model.onnx")) as stored:
        session = open_session(stored, SessionOptions(Device.CPU, lambda _: 1))
    return [tensor.array for tensor in session.open_lane().run(inputs, [output.name for output in session.outputs])]


def sent(contract: Contract, pixels: Array, *specs: TensorSpec) -> tuple[Tensor, ...]:
    """What the transformer sends for pictures to a predictor that takes `specs`."""
    known = PredictorInput.of(ModelMetadata("m", ("1",), "", specs, ()), contract)
    return known.tensors(to_model_input(pixels, contract.input) if known.takes_numbers else pixels, contract)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("datatype", ["INT64", "INT32", "FP32"])
def test_each_picture_brings_the_size_of_the_models_input(datatype: str, order: str) -> None:
    asked = rules(input__size_order=order)
    pixels = real_pixels(3)
    specs = (TensorSpec("sizes", datatype, (-1, 2)), TensorSpec("images", "FP32", (-1, 3, HEIGHT, WIDTH)))

    compiled = fuse_input(graph(datatype), asked)
    inside = run(compiled, Tensor(compiled.graph.input[0].name, pixels))
    outside = run(graph(datatype), *sent(asked, pixels, *specs))

    assert [value.name for value in compiled.graph.input] == ["pixels"]
    for sizes, images in (inside, outside):
        assert sizes.tolist() == [ORDERS[order]] * 3
        np.testing.assert_array_equal(images, to_model_input(pixels, asked.input))
    assert inside[0].dtype == outside[0].dtype


def test_a_size_that_follows_the_picture_is_the_pictures() -> None:
    asked = rules(**ANY_SIZE)
    pixels = np.zeros((2, 10, 64, 3), np.uint8)
    specs = (TensorSpec("images", "FP32", (-1, 3, -1, -1)), TensorSpec("sizes", "INT64", (-1, 2)))
    free = graph(images=["n", 3, "h", "w"])

    compiled = fuse_input(free, asked)

    assert run(compiled, Tensor("pixels", pixels))[0].tolist() == [[64, 10]] * 2
    assert run(free, *sent(asked, pixels, *specs))[0].tolist() == [[64, 10]] * 2


def test_the_picture_need_not_be_named_where_only_the_size_stands_beside_it() -> None:
    asked = contract(input__size_tensor="sizes")

    compiled = fuse_input(graph(batch=1), asked)

    assert run(compiled, Tensor("pixels", real_pixels()))[0].tolist() == [[WIDTH, HEIGHT]]
    specs = (TensorSpec("sizes", "INT64", (-1, 2)), TensorSpec("images", "FP32", (-1, 3, HEIGHT, WIDTH)))
    assert [tensor.name for tensor in sent(asked, real_pixels(), *specs)] == ["images", "sizes"]


def test_a_predictor_that_has_it_compiled_in_is_sent_pixels_alone() -> None:
    (only,) = sent(rules(), real_pixels(), TensorSpec("pixels", "UINT8", (-1, HEIGHT, WIDTH, 3)))

    assert only.name == "pixels"


def test_a_predictor_that_lists_nothing_is_sent_whole_numbers() -> None:
    picture, size = sent(rules(), real_pixels())

    assert (picture.name, size.name, size.datatype) == ("images", "sizes", "INT64")


@pytest.mark.parametrize("spec", [TensorSpec("sizes", "BYTES", (-1, 2)), TensorSpec("sizes", "INT64", (-1, 4))])
def test_a_predictor_whose_second_input_is_no_size_is_not_served(spec: TensorSpec) -> None:
    with pytest.raises(ModelNotReady, match=r"'sizes' is \w+ \[-1, \d\]; .* INT64, INT32, FP32 \[-1, 2\]"):
        sent(rules(), real_pixels(), spec, TensorSpec("images", "FP32", (-1, 3, HEIGHT, WIDTH)))


@pytest.mark.parametrize(
    ("shape", "datatype", "said"),
    [
        (["n", 3], "INT64", r"'sizes' is fed \[n, 2\] whole numbers, or FP32; the graph's has \[n, 3\] of INT64"),
        (["n"], "INT64", r"the graph's has \[n\] of INT64"),
        (["n", 2], "FP16", r"the graph's has \[n, 2\] of FLOAT16"),
    ],
)
def test_a_second_input_that_is_no_size_is_refused(shape: list[Dimension], datatype: str, said: str) -> None:
    wrong = graph()
    wrong.graph.input[0].CopyFrom(value("sizes", shape, datatype))

    with pytest.raises(ContractInvalid, match=said):
        fuse_input(wrong, rules())


def test_a_second_input_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ContractInvalid, match=r"input\.size_tensor is 'size'; the graph has the inputs 'sizes', 'images'"
    ):
        fuse_input(graph(), contract(input__tensor="images", input__size_tensor="size"))
