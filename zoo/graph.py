"""Writing an ONNX graph node by node, with `onnx.helper` and NumPy.

Everything that goes into the file is said here or by the recipe: the opset, the IR version, the producer, the order of
nodes and weights. So a graph has the same bytes whenever and wherever it is built.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zoo.layers import Float32

OPSET = 17
IR_VERSION = 8
"""The IR of ONNX 1.12, which brought opset 17: every ONNX Runtime since 1.12 reads it."""


class Graph:
    """A graph with one input and one output. Each operation takes and returns the name of a value."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}

    def conv(  # noqa: PLR0913 - a convolution's own parameters
        self, name: str, x: str, weight: Float32, bias: Float32, *, stride: int, pads: tuple[int, int], groups: int = 1
    ) -> str:
        """Convolve `x` with `weight` `[out, in / groups, k, k]`; `pads` are zeros before and after, on both axes."""
        before, after = pads
        return self._add(
            "Conv",
            name,
            [x, self._weight(f"{name}.weight", weight), self._weight(f"{name}.bias", bias)],
            kernel_shape=list(weight.shape[2:]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
        )

    def relu6(self, name: str, x: str) -> str:
        """Clip to 0..6."""
        low = self._weight("zero", np.array(0, np.float32))
        high = self._weight("six", np.array(6, np.float32))
        return self._add("Clip", name, [x, low, high])

    def add(self, name: str, x: str, y: str) -> str:
        """Add two values of the same shape."""
        return self._add("Add", name, [x, y])

    def global_average(self, name: str, x: str) -> str:
        """Average `[n, c, h, w]` over height and width to `[n, c]`."""
        return self._add("Flatten", f"{name}.flat", [self._add("GlobalAveragePool", name, [x])], axis=1)

    def linear(self, name: str, x: str, weight: Float32, bias: Float32) -> str:
        """Multiply `[n, in]` with `weight` `[out, in]`, and add `bias` `[out]`."""
        inputs = [x, self._weight(f"{name}.weight", weight), self._weight(f"{name}.bias", bias)]
        return self._add("Gemm", name, inputs, transB=1)

    def to_bytes(self, *, shape_in: tuple[int | str, ...], shape_out: tuple[int | str, ...]) -> bytes:
        """Return the checked model: a float32 input called `input`, a float32 output: the last node's."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape_in)],
            [helper.make_tensor_value_info(self._nodes[-1].output[0], TensorProto.FLOAT, shape_out)],
            initializer=list(self._weights.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="kserve-vision zoo",
        )
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    def _weight(self, name: str, value: Float32) -> str:
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(value, name)
        return name

    def _add(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name
