"""The operations of decoders as nodes of an ONNX graph. See `serving.decoders.ops`, whose NumPy they must equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from typing_extensions import override

from predictor.graph.names import free_name, taken_names
from predictor.graph.reading import AXES_AS_INPUT
from serving.decoders import Array, NotCompilable, Ops, Shape
from serving.decoders.ops import Neighbors, Size, resized

MIN_OPSET: Final = 11
"""The first opset with every operator below: `TopK` that sorts, `Resize` with its ways of placing pixels."""


PRODUCTS_FROM: Final = 4
"""From how many times larger on each side an enlarged map is computed as two matrix products, and not by `Resize`.

Measured on one core with the choice of the class: 65 x 65 to 513 x 513, 21 classes, 6.4 ms instead of 10.7; 128 x 128
to 512 x 512, 150 classes, 89 instead of 175; but 256 x 256 to 512 x 512, 19 classes, 24 instead of 12.
"""

_ELEMENT_TYPES: Final = {
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the graph, and what is known of its shape."""

    name: str
    shape: Shape


class OnnxOps(Ops[Value]):
    """Adds the nodes of a decoder's program to the end of a graph."""

    def __init__(self, graph: onnx.GraphProto, opset: int) -> None:
        self._graph = graph
        self._opset = opset
        self._names = taken_names(graph)

    @override
    def shape(self, value: Value) -> Shape:
        return value.shape

    @override
    def size(self, value: Value, axis: int) -> Value:
        known = value.shape[axis]
        if known is not None:
            return self.constant(np.array(known, np.int64))
        sizes = self._node("Shape", [value], (len(value.shape),))
        return self._node("Gather", [sizes, self.constant(np.array(axis % len(value.shape), np.int64))], ())

    @override
    def constant(self, array: Array) -> Value:
        name = free_name("decoder_constant", self._names)
        self._graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
        return Value(name, np.shape(array))

    @override
    def cast(self, value: Value, dtype: str) -> Value:
        return self._node("Cast", [value], value.shape, to=_ELEMENT_TYPES[dtype])

    @override
    def slice(self, value: Value, axis: int, start: int, stop: int | None = None) -> Value:
        axis %= len(value.shape)
        size = value.shape[axis]
        if size is not None:
            size = len(range(size)[start:stop])
        elif start >= 0 and stop is not None and stop >= 0:
            size = None  # it may have less
        ends = np.iinfo(np.int64).max if stop is None else stop
        return self._node(
            "Slice", [value, *map(self._whole, ([start], [ends], [axis]))], _replaced(value.shape, axis, size)
        )

    @override
    def reshape(self, value: Value, *sizes: int) -> Value:
        shape = [value.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
        if -1 in shape:
            shape[shape.index(-1)] = _left_over(value.shape, sizes)
        return self._node("Reshape", [value, self._whole(list(sizes))], tuple(shape))

    @override
    def transpose(self, value: Value, *axes: int) -> Value:
        return self._node("Transpose", [value], tuple(value.shape[axis] for axis in axes), perm=list(axes))

    @override
    def concat(self, values: Sequence[Value], axis: int) -> Value:
        sizes = [value.shape[axis] for value in values]
        total = None if None in sizes else sum(size for size in sizes if size is not None)
        axis %= len(values[0].shape)
        return self._node("Concat", values, _replaced(values[0].shape, axis, total), axis=axis)

    @override
    def add(self, left: Value, right: Value) -> Value:
        return self._node("Add", [left, right], _broadcast(left.shape, right.shape))

    @override
    def subtract(self, left: Value, right: Value) -> Value:
        return self._node("Sub", [left, right], _broadcast(left.shape, right.shape))

    @override
    def multiply(self, left: Value, right: Value) -> Value:
        return self._node("Mul", [left, right], _broadcast(left.shape, right.shape))

    @override
    def divide(self, left: Value, right: Value) -> Value:
        return self._node("Div", [left, right], _broadcast(left.shape, right.shape))

    @override
    def clip(self, value: Value, low: float, high: float) -> Value:
        bounds = [self.constant(np.array(bound, np.float32)) for bound in (low, high)]
        return self._node("Clip", [value, *bounds], value.shape)

    @override
    def exp(self, value: Value) -> Value:
        return self._node("Exp", [value], value.shape)

    @override
    def sigmoid(self, value: Value) -> Value:
        return self._node("Sigmoid", [value], value.shape)

    @override
    def softmax(self, value: Value, axis: int) -> Value:
        # Before opset 13 all axes from `axis` on were taken together, which for the last one is the same.
        last = len(value.shape) - 1
        if axis % len(value.shape) == last:
            return self._node("Softmax", [value], value.shape, axis=last)
        order = [at for at in range(last + 1) if at != axis] + [axis]
        back = [order.index(at) for at in range(last + 1)]
        return self.transpose(self.softmax(self.transpose(value, *order), last), *back)

    @override
    def max(self, value: Value, axis: int) -> Value:
        return self._reduced("ReduceMax", value, axis)

    @override
    def mean(self, value: Value, axis: int) -> Value:
        return self._reduced("ReduceMean", value, axis)

    @override
    def norm(self, value: Value, axis: int) -> Value:
        return self._reduced("ReduceL2", value, axis)

    @override
    def argmax(self, value: Value, axis: int) -> Value:
        return self._node("ArgMax", [value], _without(value.shape, axis), axis=axis, keepdims=0)

    @override
    def top(self, value: Value, count: int) -> tuple[Value, Value]:
        rows, columns = value.shape
        if columns is None:
            # As many as there are, if they are fewer. `Min` takes integers only from opset 12 on; as floats they are
            # exact up to 16 million.
            there = self._node("Gather", [self._node("Shape", [value], (2,)), self._whole([1])], (1,))
            least = self._node("Min", [self.cast(there, "float32"), self.constant(np.array([count], np.float32))], (1,))
            wanted = self.cast(least, "int64")
        else:
            wanted = self._whole([min(count, columns)])
        shape = (rows, None if columns is None else min(count, columns))
        names = [free_name(f"decoder_top_{what}", self._names) for what in ("values", "places")]
        self._graph.node.append(helper.make_node("TopK", [value.name, wanted.name], names, axis=1))
        return Value(names[0], shape), Value(names[1], shape)

    @override
    def rows(self, value: Value, places: Value) -> Value:
        width = value.shape[2]
        if width is None:
            raise NotCompilable("the number of columns is not known")
        column = self.reshape(places, 0, -1, 1)
        wide = self._node("Expand", [column, self._whole([1, 1, width])], (*places.shape, width))
        return self._node("GatherElements", [value, wide], wide.shape, axis=1)

    @override
    def resize(self, value: Value, size: Size, *, align_corners: bool) -> Value:
        rows, channels, height, width = value.shape
        new_height, new_width = _resized(value.shape, size, align_corners=align_corners)
        if None not in (new_height, new_width) and (new_height, new_width) == (height, width):
            return value
        shape = self._node("Shape", [value], (4,))
        kept, sides = self.slice(shape, 0, 0, 2), self.slice(shape, 0, 2, 4)
        if isinstance(size, tuple):
            sides = self._whole(size)
        else:
            less = size - 1 if align_corners else 0
            sides = self.subtract(self.multiply(sides, self._whole([size])), self._whole([less]))
        nothing = self.constant(np.array([], np.float32))
        return self._node(
            "Resize",
            [value, nothing, nothing, self.concat([kept, sides], 0)],
            (rows, channels, new_height, new_width),
            mode="linear",
            coordinate_transformation_mode="align_corners" if align_corners else "half_pixel",
        )

    @override
    def resized_argmax(self, value: Value, size: Size | None, *, align_corners: bool) -> Value:
        rows, channels, height, width = value.shape
        if size is None:
            return self.cast(self.argmax(value, 1), "uint8")
        new_height, new_width = _resized(value.shape, size, align_corners=align_corners)
        if (
            channels is None
            or height is None
            or width is None
            or new_height is None
            or new_width is None
            or min(new_height / height, new_width / width) < PRODUCTS_FROM
        ):
            return self.cast(self.argmax(self.resize(value, size, align_corners=align_corners), 1), "uint8")
        # With the channels last, so that those of one point, which are compared, lie side by side.
        down = self.constant(Neighbors.of(height, new_height, align_corners=align_corners).weights(height))
        across = self.constant(Neighbors.of(width, new_width, align_corners=align_corners).weights(width))
        wide = self._matmul(across, self.transpose(value, 0, 2, 3, 1), (rows, height, new_width, channels))
        flat = (rows, new_height, new_width * channels)
        whole = self._matmul(down, self.reshape(wide, 0, 0, -1), flat)
        return self.cast(self.argmax(self.reshape(whole, 0, new_height, new_width, channels), 3), "uint8")

    @override
    def pad(self, value: Value, count: int, fill: float) -> Value:
        first, _, *rest = [-1 if size is None else size for size in value.shape]
        if -1 in (first, *rest):
            raise NotCompilable("how many are to be filled up is not known")
        filling = self.constant(np.full((first, count, *rest), fill, np.float32))
        cut = self.slice(self.concat([value, filling], 1), 1, 0, count)
        return Value(cut.name, (first, count, *rest))

    @override
    def finite(self, values: Sequence[Value]) -> Value:
        columns = []
        for value in values:
            # Times zero, what is finite is 0, and everything else NaN, which a mean keeps.
            flat = self.reshape(self.multiply(self.cast(value, "float32"), self._zero()), 0, -1)
            columns.append(self.reshape(self.mean(flat, 1), -1, 1))
        return self._node("Equal", [self.concat(columns, 1), self._zero()], (values[0].shape[0], len(values)))

    def _matmul(self, left: Value, right: Value, shape: Shape) -> Value:
        return self._node("MatMul", [left, right], shape)

    def _zero(self) -> Value:
        return self.constant(np.array(0, np.float32))

    def _whole(self, numbers: Sequence[int]) -> Value:
        return self.constant(np.array(numbers, np.int64))

    def _reduced(self, operator: str, value: Value, axis: int) -> Value:
        shape = _without(value.shape, axis)
        if self._opset >= AXES_AS_INPUT:
            return self._node(operator, [value, self._whole([axis])], shape, keepdims=0)
        return self._node(operator, [value], shape, axes=[axis], keepdims=0)

    def _node(self, operator: str, inputs: Sequence[Value], shape: Shape, **attributes: Any) -> Value:
        name = free_name(f"decoder_{operator.lower()}", self._names)
        self._graph.node.append(helper.make_node(operator, [each.name for each in inputs], [name], **attributes))
        return Value(name, shape)


def _resized(shape: Shape, size: Size, *, align_corners: bool) -> Shape:
    """Return the height and the width of `[n, C, h, w]` after a resize."""
    _, _, height, width = shape
    return (
        None if height is None else resized(height, 1, size, align_corners=align_corners)[0],
        None if width is None else resized(1, width, size, align_corners=align_corners)[1],
    )


def _replaced(shape: Shape, axis: int, size: int | None) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _without(shape: Shape, axis: int) -> Shape:
    axis %= len(shape)
    return (*shape[:axis], *shape[axis + 1 :])


def _left_over(shape: Shape, sizes: Sequence[int]) -> int | None:
    """Return the size that -1 stands for, if it is known without the axes that keep theirs."""
    total = 1
    for axis, size in enumerate(shape):
        if axis < len(sizes) and sizes[axis] == 0:
            continue
        if size is None:
            return None
        total *= size
    for size in sizes:
        if size > 0:
            total //= size
    return total


def _broadcast(left: Shape, right: Shape) -> Shape:
    rank = max(len(left), len(right))
    pairs = zip((1,) * (rank - len(left)) + left, (1,) * (rank - len(right)) + right, strict=True)
    return tuple(b if a == 1 else a for a, b in pairs)
