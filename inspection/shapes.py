"""What the graph itself says of its outputs' shapes, where the file leaves them open, or says what cannot be.

Two pictures of different sizes are put in: what an output has with both does not depend on them. Exporters are wrong
more often than one would think: Optimum's SegFormer gives its maps the symbols of the input, though they are a quarter
of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Sizes = tuple[int | None, ...]
Numbers = NDArray[np.int64]

_PICTURES: Final = ((1, 256, 320), (2, 384, 448))
"""Batch, height and width of the two; what an input fixes stays as it is."""
_RANK: Final = 4
_CHANNELS: Final = 3
_ROUNDS: Final = 4
"""How often constants are folded: a shape that is computed from another one takes a round more."""
_MOST: Final = 64
"""Numbers of a constant that is folded: shapes and slices have a few."""
_MOST_FOLLOWED: Final = 1 << 16
"""Numbers up to which onnx may follow what a graph computes of shapes: it does so without a bound, and some forty nodes
that join a value with itself would fill all memory."""
_WHOLE: Final = (TensorProto.INT64, TensorProto.INT32)
_FOLLOWED: Final = frozenset(
    {"Add", "Cast", "Concat", "Div", "Gather", "Identity", "Mul", "Reshape", "Slice", "Squeeze", "Sub", "Unsqueeze"}
)
"""Operators whose numbers onnx follows."""


def both_shapes(model: onnx.ModelProto) -> dict[str, tuple[Sizes, Sizes]]:
    """Return the shape of each output with the one picture, and with the other; those whose rank is not found are left
    out.
    """
    first, second = (_shapes_with(model, *picture) for picture in _PICTURES)
    return {name: (sizes, second[name]) for name, sizes in first.items() if len(sizes) == len(second.get(name, ()))}


def _shapes_with(model: onnx.ModelProto, batch: int, height: int, width: int) -> dict[str, Sizes]:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.value_info[:]  # as little to be trusted as what is said of the outputs
    for value in probe.graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in probe.graph.input:
        _put_in(value.type.tensor_type.shape, batch, height, width)
    try:
        return _inferred(probe)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError):
        return {}  # a graph that onnx cannot follow is loaded, or refused, by ONNX Runtime


def _put_in(shape: onnx.TensorShapeProto, batch: int, height: int, width: int) -> None:
    """Give the open sizes of an input those of a picture."""
    is_open = [each.dim_value <= 0 for each in shape.dim]
    sides = iter((height, width))
    for axis, dimension in enumerate(shape.dim):
        if not is_open[axis]:
            continue
        if axis == 0:
            dimension.dim_value = batch
        elif len(shape.dim) == _RANK:
            is_channels = axis == 1 and shape.dim[-1].dim_value != _CHANNELS
            dimension.dim_value = _CHANNELS if is_channels else next(sides)


def _inferred(probe: onnx.ModelProto) -> dict[str, Sizes]:
    for _ in range(_ROUNDS):
        is_bounded = not probe.functions and _longest(probe.graph, {}) <= _MOST_FOLLOWED
        inferred = onnx.shape_inference.infer_shapes(probe, data_prop=is_bounded)
        found = dict(_shapes(inferred.graph.output))
        is_known = len(found) == len(probe.graph.output) and all(None not in sizes for sizes in found.values())
        known = dict(_shapes(inferred.graph.value_info)) | dict(_shapes(probe.graph.input))
        if is_known or not _fold(probe.graph, known):
            break
    return found


def _shapes(values: Any) -> Iterator[tuple[str, Sizes]]:
    for value in values:
        tensor = value.type.tensor_type
        if tensor.HasField("shape"):
            yield value.name, tuple(each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)


def _longest(graph: onnx.GraphProto, lengths: dict[str, int]) -> int:
    """Return how many numbers the longest of the values has at most that onnx follows; `lengths` are those outside."""
    whole = [each for each in graph.initializer if each.data_type in _WHOLE]
    lengths |= {each.name: int(min(np.prod(each.dims, dtype=float), _MOST_FOLLOWED)) for each in whole}
    longest = 0
    for node in graph.node:
        given = [lengths.get(name, 0) for name in node.input]
        length = _MOST if node.op_type in ("Shape", "Constant") else 0
        if node.op_type in _FOLLOWED:
            length = sum(given) if node.op_type == "Concat" else max(given, default=0)
        lengths.update(dict.fromkeys(node.output, length))
        inner = [each for attribute in node.attribute for each in (attribute.g, *attribute.graphs)]
        longest = max(longest, length, *(_longest(each, lengths) for each in inner))
        if longest > _MOST_FOLLOWED:
            break
    return longest


def _fold(graph: onnx.GraphProto, shapes: Mapping[str, Sizes]) -> bool:
    """Replace nodes that compute a shape by what they compute; onnx itself does not where a -1 is part of it. Return
    whether there were any.
    """
    constants = {each.name: numbers for each in graph.initializer if (numbers := _whole_numbers(each)) is not None}
    folded = False
    for node in graph.node:
        if node.op_type == "Constant":
            numbers = next((_whole_numbers(each.t) for each in node.attribute if each.name == "value"), None)
        else:
            numbers = _of_a_shape(node, shapes) if node.op_type == "Shape" else _computed(node, constants)
            if numbers is not None and numbers.size <= _MOST:
                value = numpy_helper.from_array(numbers)
                node.CopyFrom(helper.make_node("Constant", [], list(node.output), value=value))
                folded = True
        if numbers is not None and numbers.size <= _MOST:
            constants.update(dict.fromkeys(node.output, numbers))
    return folded


def _whole_numbers(tensor: onnx.TensorProto) -> Numbers | None:
    """Return a small tensor of whole numbers."""
    if tensor.data_type not in _WHOLE or np.prod(tensor.dims, dtype=float) > _MOST:
        return None
    try:
        return np.asarray(numpy_helper.to_array(tensor)).astype(np.int64)
    except (ValueError, TypeError, KeyError):  # its numbers were left out, or do not fit its shape
        return None


def _of_a_shape(node: onnx.NodeProto, shapes: Mapping[str, Sizes]) -> Numbers | None:
    """Return the shape that a node of the operator Shape gives, where it is known; not that of some axes only."""
    sizes = (None,) if node.attribute else next((shapes.get(name, (None,)) for name in node.input), (None,))
    return None if None in sizes else np.array(sizes, np.int64)


def _computed(node: onnx.NodeProto, constants: Mapping[str, Numbers]) -> Numbers | None:
    """Return what a node gives whose inputs are known; None where they are not, or it is none that computes shapes."""
    inputs = [constants[name] for name in node.input if name in constants]
    found: Numbers | None = None
    if not inputs or len(inputs) != len(node.input) or any(each.ndim > 1 for each in inputs):
        return None
    match node.op_type, inputs:
        case "Concat", _ if all(each.ndim == 1 for each in inputs):
            found = np.concatenate(inputs)
        case "Slice", [data, start, end] | [data, start, end, _] if data.ndim == start.size == end.size == 1:
            found = data[int(start.item()) : int(end.item())]
        case "Gather", [data, places] if data.ndim == 1 and (abs(places) < data.size).all():
            found = np.asarray(data[places])
        case "Unsqueeze", [data, *_] if data.ndim == 0:
            found = data.reshape(1)
        case "Mul", [left, right] if left.size == right.size:
            found = np.asarray(left * right)
    return found
