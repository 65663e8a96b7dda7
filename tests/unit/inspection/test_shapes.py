"""What is told of a graph's outputs where the file leaves their shapes open, or says what cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from inspection.graph import read_graph

Shape = Sequence[int | str | None]
OPEN: Shape = ("batch", 3, "height", "width")


def read(
    folder: Path, nodes: Sequence[onnx.NodeProto], said: Shape | None, given: Shape = OPEN, **constants: object
) -> str:
    """Write a graph from the input `x` to the output `y`, of which the file says a shape, and return what is told."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, said)]
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    (found,) = read_graph(folder / "model.onnx").outputs
    return str(found)


def conv(strides: int) -> onnx.NodeProto:
    return helper.make_node("Conv", ["x", "weight"], ["y"], strides=[strides, strides])


WEIGHT = np.zeros((6, 3, 1, 1), np.float32)


def test_sizes_that_do_not_follow_the_picture_are_told(tmp_path: Path) -> None:
    assert read(tmp_path, [conv(4)], None, weight=WEIGHT) == "'y' FP32 [?, 6, ?, ?]"


def test_a_fixed_size_that_follows_the_picture_is_not_believed(tmp_path: Path) -> None:
    assert read(tmp_path, [conv(4)], ("batch", 6, 16, 16), weight=WEIGHT) == "'y' FP32 [batch, 6, ?, ?]"


def test_symbols_stay_where_nothing_fixed_is_known(tmp_path: Path) -> None:
    assert read(tmp_path, [conv(4)], ("b", "c", "height", "width"), weight=WEIGHT) == "'y' FP32 [b, 6, height, width]"


def test_what_a_file_says_of_an_input_of_one_size_is_believed(tmp_path: Path) -> None:
    given = ("batch", 3, 32, 32)
    assert read(tmp_path, [conv(4)], ("batch", 6, 8, 8), given, weight=WEIGHT) == "'y' FP32 [batch, 6, 8, 8]"


def test_a_shape_that_the_graph_computes_is_followed(tmp_path: Path) -> None:
    """As YOLOX --dynamic ends: the batch and the channels are read from a shape, and the rest is -1."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Slice", ["shape", "zero", "two", "zero"], ["front"]),
        helper.make_node("Concat", ["front", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["y"], perm=[0, 2, 1]),
    ]
    constants = {"zero": np.array([0]), "two": np.array([2]), "rest": np.array([-1])}
    assert read(tmp_path, nodes, ("b", "n", "c"), ("b", 3, 8, 16), **constants) == "'y' FP32 [b, 128, 3]"


@pytest.mark.parametrize("operator", ["Gather", "Mul", "Unsqueeze", "Concat"])
def test_numbers_that_do_not_fit_each_other_are_no_shape(tmp_path: Path, operator: str) -> None:
    nodes = [
        helper.make_node(operator, ["some", "others"], ["wanted"]),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
    ]
    nodes[0].attribute.extend([helper.make_attribute("axis", 0)] if operator in ("Gather", "Concat") else [])
    said = read(tmp_path, nodes, ("b", "n"), some=np.array([2, 3]), others=np.array([9, 9, 9]))
    assert said == "'y' FP32 [b, n]"


def test_inputs_that_no_node_reads_are_left_out_and_those_that_an_inner_graph_reads_are_not(tmp_path: Path) -> None:
    names = {"x": (1, 3, 8, 8), "unread": (1, 1, 1, 3), "inner": (1,)}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in names.items()]
    branches = {
        name: helper.make_graph(
            [helper.make_node("Identity", ["inner"], [f"{name}_out"])], name, [],
            [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, (1,))],
        )
        for name in ("then_branch", "else_branch")
    }  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Cast", ["mean"], ["condition"], to=TensorProto.BOOL),
        helper.make_node("If", ["condition"], ["y"]),
    ]
    nodes[-1].attribute.extend(helper.make_attribute(name, branch) for name, branch in branches.items())
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1,))]
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    assert [value.name for value in read_graph(tmp_path / "model.onnx").inputs] == ["x", "inner"]


def test_a_shape_that_is_joined_with_itself_without_end_is_not_followed(tmp_path: Path) -> None:
    nodes = [helper.make_node("Shape", ["x"], ["joined0"])]
    nodes += [
        helper.make_node("Concat", [f"joined{at}", f"joined{at}"], [f"joined{at + 1}"], axis=0) for at in range(40)
    ]
    nodes += [helper.make_node("Reshape", ["x", "joined40"], ["y"])]
    assert read(tmp_path, nodes, ("b", "n")) == "'y' FP32 [b, n]"
