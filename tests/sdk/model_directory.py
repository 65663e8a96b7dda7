"""A model directory for both sides: an identity over [n, 3, 64, 64], as slow as the numbers it is given are large."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

SIDE: Final = 64
INPUT: Final = "x"
ROW_SHAPE: Final = (3, SIDE, SIDE)

_MATRIX: Final = 512
_OPSET: Final = 17
_IR_VERSION: Final = 8


def write_model_directory(path: Path) -> Path:
    """Write `model.yaml` and `model.onnx`."""
    path.mkdir()
    contract = {
        "apiVersion": "kserve-vision/v1",
        "task": "raw",
        "input": {"height": SIDE, "width": SIDE, "resize": {"rule": "stretch"}},
        "output": {"decoder": "tensors"},
        "batching": {"max_batch_size": 256},
    }
    (path / "model.yaml").write_text(yaml.safe_dump(contract), encoding="utf-8")
    onnx.save(identity_that_takes_its_time(), path / "model.onnx")
    return path


def identity_that_takes_its_time() -> onnx.ModelProto:
    """Return a model whose output is its input, after one product of two matrices for each 1.0 of the largest number
    in it: milliseconds each, none for numbers under 1.
    """
    rows: list[str | int | None] = ["n", *ROW_SHAPE]
    nodes = [
        helper.make_node("ReduceMax", [INPUT], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["products"], to=TensorProto.INT64),
        helper.make_node("Loop", ["products", "", "one"], ["product"], body=_multiply()),
        helper.make_node("ReduceSum", ["product"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "nothing"], ["added"]),
        helper.make_node("Add", [INPUT, "added"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "identity",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, rows)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, rows)],
        [
            numpy_helper.from_array(np.eye(_MATRIX, dtype=np.float32), "one"),
            numpy_helper.from_array(np.zeros((), dtype=np.float32), "nothing"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    return model


def _multiply() -> onnx.GraphProto:
    matrix = [_MATRIX, _MATRIX]
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "one"], ["after"]),
            helper.make_node("Identity", ["go_on"], ["go_on_still"]),
        ],
        "multiply",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, matrix),
        ],
        [
            helper.make_tensor_value_info("go_on_still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, matrix),
        ],
    )
