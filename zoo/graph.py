"""Writing an ONNX graph node by node, with `onnx.helper` and NumPy. Only this module of the zoo imports `onnx`.

Everything that goes into the file is said here or by the recipe: the opset, the IR version, the producer, the order of
nodes and weights. So a graph has the same bytes whenever and wherever it is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from zoo.errors import WeightsInvalid
from zoo.layers import Array, Float32

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
        self,
        name: str,
        x: str,
        weight: Float32,
        bias: Float32,
        *,
        stride: int = 1,
        pads: tuple[int, int] = (0, 0),
        groups: int = 1,
        dilation: int = 1,
    ) -> str:
        """Convolve `x` with `weight` `[out, in / groups, k, k]`; `pads` are zeros before and after, on both axes."""
        before, after = pads
        # Said only where it is not ONNX's default.
        dilated = {"dilations": [dilation, dilation]} if dilation != 1 else {}
        return self._add(
            "Conv",
            name,
            [x, self._weight(f"{name}.weight", weight), self._weight(f"{name}.bias", bias)],
            kernel_shape=list(weight.shape[2:]),
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=groups,
            **dilated,
        )

    def relu(self, name: str, x: str) -> str:
        """Replace what is below 0 by 0."""
        return self._add("Relu", name, [x])

    def relu6(self, name: str, x: str) -> str:
        """Clip to 0..6."""
        low = self._weight("zero", np.array(0, np.float32))
        high = self._weight("six", np.array(6, np.float32))
        return self._add("Clip", name, [x, low, high])

    def leaky_relu(self, name: str, x: str, slope: float) -> str:
        """Multiply what is below 0 with `slope`."""
        return self._add("LeakyRelu", name, [x], alpha=slope)

    def sigmoid(self, name: str, x: str) -> str:
        """Map each element to 0..1."""
        return self._add("Sigmoid", name, [x])

    def exp(self, name: str, x: str) -> str:
        """Raise e to each element."""
        return self._add("Exp", name, [x])

    def add(self, name: str, x: str, y: str) -> str:
        """Add two values of the same shape."""
        return self._add("Add", name, [x, y])

    def add_constant(self, name: str, x: str, constant: Float32) -> str:
        """Add a constant that broadcasts to `x`."""
        return self._add("Add", name, [x, self._weight(f"{name}.constant", constant)])

    def multiply_constant(self, name: str, x: str, constant: Float32) -> str:
        """Multiply with a constant that broadcasts to `x`."""
        return self._add("Mul", name, [x, self._weight(f"{name}.constant", constant)])

    def concat(self, name: str, values: Sequence[str], axis: int) -> str:
        """Join values along an axis."""
        return self._add("Concat", name, list(values), axis=axis)

    def cut(self, name: str, x: str, *, axis: int, start: int, end: int) -> str:
        """Take the elements `start` to `end` (exclusive) of an axis."""
        bounds = (("start", start), ("end", end), ("axis", axis))
        return self._add("Slice", name, [x, *(self._integers(f"{name}.{key}", [value]) for key, value in bounds)])

    def reshape(self, name: str, x: str, shape: Sequence[int]) -> str:
        """Give `x` another shape; 0 keeps an axis as it is, as the batch's."""
        return self._add("Reshape", name, [x, self._integers(f"{name}.shape", shape)])

    def transpose(self, name: str, x: str, axes: Sequence[int]) -> str:
        """Order the axes anew."""
        return self._add("Transpose", name, [x], perm=list(axes))

    def expand(self, name: str, x: str, shape: Sequence[int]) -> str:
        """Repeat `x` along its axes of size 1; 1 in `shape` keeps an axis as it is."""
        return self._add("Expand", name, [x, self._integers(f"{name}.shape", shape)])

    def max_pool(self, name: str, x: str, *, size: int, stride: int, pads: tuple[int, int]) -> str:
        """Take the largest of each `size` x `size` window; padding never is the largest."""
        before, after = pads
        return self._add(
            "MaxPool",
            name,
            [x],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, after, after],
        )

    def repeat_pixels(self, name: str, x: str, factor: int) -> str:
        """Enlarge height and width by a whole factor, each pixel `factor` x `factor` times."""
        scales = self._weight(f"{name}.scales", np.array([1, 1, factor, factor], np.float32))
        how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._add("Resize", name, [x, "", scales], **how)

    def average_pixels(self, name: str, x: str) -> str:
        """Average `[n, c, h, w]` over height and width to `[n, c, 1, 1]`."""
        return self._add("GlobalAveragePool", name, [x])

    def global_average(self, name: str, x: str) -> str:
        """Average `[n, c, h, w]` over height and width to `[n, c]`."""
        return self._add("Flatten", f"{name}.flat", [self.average_pixels(name, x)], axis=1)

    def linear(self, name: str, x: str, weight: Float32, bias: Float32) -> str:
        """Multiply `[n, in]` with `weight` `[out, in]`, and add `bias` `[out]`."""
        inputs = [x, self._weight(f"{name}.weight", weight), self._weight(f"{name}.bias", bias)]
        return self._add("Gemm", name, inputs, transB=1)

    def to_bytes(self, *, shape_in: tuple[int | str, ...], shape_out: tuple[int | str, ...]) -> bytes:
        """Return the checked model: a float32 input called `input`, a float32 output: the last node's.

        Raises:
            WeightsInvalid: the shapes of the weights do not fit each other, or give another output than `shape_out`.
        """
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
        try:
            onnx.checker.check_model(model, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            raise WeightsInvalid(f"the weights do not fit {self._name}: {error}") from error
        return model.SerializeToString(deterministic=True)

    def _integers(self, name: str, values: Sequence[int]) -> str:
        return self._weight(name, np.array(values, np.int64))

    def _weight(self, name: str, value: Array) -> str:
        if name not in self._weights:
            self._weights[name] = numpy_helper.from_array(value, name)
        return name

    def _add(self, op: str, name: str, inputs: list[str], **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def read_ends(model: bytes) -> tuple[list[str], list[str]]:
    """Return the names of the inputs and of the outputs of an ONNX file.

    Raises:
        WeightsInvalid: it is not ONNX.
    """
    try:
        graph = onnx.load_model_from_string(model).graph
    except DecodeError as error:
        raise WeightsInvalid(f"the model is not an ONNX file: {error}") from error
    return [value.name for value in graph.input], [value.name for value in graph.output]
