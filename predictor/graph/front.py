"""The front side: the contract's input rules as the first nodes of the model.

The fused graph takes pixels, UINT8 [n, height, width, 3] in RGB, and does what the contract says of them where the
model runs: channel order, layout, cast, scale, mean, std. The operations and their order are those of
`transformer.pictures.normalize`, in float32, so the numbers are equal to the last bit. The file on disk is not changed.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from predictor.graph.names import free_name, quoted, shape_text, taken_names
from predictor.graph.reading import AXES_AS_INPUT, opset_of, size_of
from serving.contract import (
    LARGEST,
    PIXELS,
    SMALLEST_DIVISOR,
    ColorOrder,
    Contract,
    Datatype,
    InputRules,
    Layout,
    LetterboxResize,
    SizeOrder,
)
from serving.errors import ContractInvalid

MIN_OPSET: Final = 7
"""The first opset whose arithmetic broadcasts as NumPy does."""
MIN_OPSET_OF_EXPAND: Final = 8
"""The first opset whose Max broadcasts, and that has Expand."""

_ELEMENT_TYPES: Final = {
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.UINT8: TensorProto.UINT8,
}
_SIZE_TYPES: Final = (TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT)
_RANK: Final = 4


def model_input(model: onnx.ModelProto, contract: Contract) -> onnx.ValueInfoProto:
    """Return the graph's input that the contract speaks of, once it is as the contract says.

    Raises:
        ContractInvalid: it is not there, or has another datatype or shape.
    """
    initializers = {initializer.name for initializer in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in initializers}
    if contract.input.size_tensor is not None:
        _check_size_tensor(inputs.pop(contract.input.size_tensor, None), contract.input.size_tensor, quoted(inputs))
    wanted = contract.input.tensor
    if wanted is None and len(inputs) != 1:
        raise ContractInvalid(f"the graph has the inputs {quoted(inputs)}: input.tensor must name one of them")
    if wanted is not None and wanted not in inputs:
        raise ContractInvalid(f"input.tensor is {wanted!r}; the graph has the inputs {quoted(inputs)}")
    value = inputs[wanted] if wanted is not None else next(iter(inputs.values()))
    _check_input(value, contract.input)
    others = [name for name in inputs if name != value.name]
    if others and contract.task != "raw":  # whose clients can ask the predictor, and give it all of them
        raise ContractInvalid(
            f"the graph takes {', '.join(map(repr, others))} beside the picture {value.name!r}, and nothing would be "
            "given for it: export the model without"
        )
    return value


def fuse_input(model: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    """Return a copy of the model whose input is pixels, UINT8 [n, height, width, 3]; height and width are free where
    they follow the picture.

    Raises:
        ContractInvalid: the graph's input is not as the contract says, or its opset is too old.
    """
    opset = opset_of(model)
    _check_opset(opset, contract.input)
    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    original = model_input(fused, contract)
    rules = contract.input
    names = taken_names(fused.graph)
    pixels = free_name(PIXELS, names)
    head = _Head(fused.graph, pixels, names)
    if rules.color is ColorOrder.BGR:
        head.add("Gather", np.array([2, 1, 0], dtype=np.int64), axis=3)
    if rules.layout is Layout.NCHW:
        head.add("Transpose", perm=[0, 3, 1, 2])
    if rules.datatype is not Datatype.UINT8:
        head.add("Cast", to=TensorProto.FLOAT)
        _add_normalize(head, rules, opset)
    if rules.datatype is Datatype.FP16:
        head.add("Cast", to=TensorProto.FLOAT16)
    head.finish(original.name)
    fused.graph.input.remove(original)
    if rules.size_tensor is not None:
        size = next(value for value in fused.graph.input if value.name == rules.size_tensor)
        head.feed_size(size, rules.size_order)
        fused.graph.input.remove(size)
    fused.graph.input.insert(0, _pixels_value(pixels, original, rules))
    return fused


def _check_opset(opset: int, rules: InputRules) -> None:
    largest = rules.normalize.scale == LARGEST and rules.datatype is not Datatype.UINT8
    needed = MIN_OPSET_OF_EXPAND if largest or rules.size_tensor is not None else MIN_OPSET
    if opset < needed:
        raise ContractInvalid(
            f"the graph has opset {opset}; fusing needs {needed} or later: export it again, or set FUSE_INPUT=false"
        )


def _add_normalize(head: _Head, rules: InputRules, opset: int) -> None:
    normalize = rules.normalize
    if normalize.scale == LARGEST:
        head.add_division_by_largest(opset)
    else:
        _add_unless_neutral(head, "Mul", (float(normalize.scale),), rules.layout)
    _add_unless_neutral(head, "Sub", normalize.mean, rules.layout)
    _add_unless_neutral(head, "Div", normalize.std, rules.layout)


def _add_unless_neutral(head: _Head, operator: str, values: tuple[float, ...], layout: Layout) -> None:
    neutral = 0.0 if operator == "Sub" else 1.0
    if any(value != neutral for value in values):
        head.add(operator, _per_channel(values, layout))


class _Head:
    """Nodes put before a graph, each fed by the one before it."""

    def __init__(self, graph: onnx.GraphProto, source: str, names: set[str]) -> None:
        self._graph = graph
        self._nodes: list[onnx.NodeProto] = []
        self._source = source
        self._last = source
        self._names = names

    def add(self, operator: str, constant: npt.NDArray[np.generic] | None = None, **attributes: Any) -> None:
        others = [] if constant is None else [self._constant(operator, constant)]
        self._last = self._node(operator, [self._last, *others], **attributes)

    def add_division_by_largest(self, opset: int) -> None:
        """Divide each picture by its largest value."""
        axes = np.array([1, 2, 3], dtype=np.int64)
        if opset < AXES_AS_INPUT:
            largest = self._node("ReduceMax", [self._last], axes=axes.tolist(), keepdims=1)
        else:
            largest = self._node("ReduceMax", [self._last, self._constant("ReduceMax", axes)], keepdims=1)
        smallest = self._constant("Max", np.array(SMALLEST_DIVISOR, dtype=np.float32))
        divisor = self._node("Max", [largest, smallest])
        self._last = self._node("Div", [self._last, divisor])

    def _constant(self, operator: str, value: npt.NDArray[np.generic]) -> str:
        name = free_name(f"contract_{operator.lower()}", self._names)
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        output = free_name(f"{operator.lower()}_pixels", self._names)
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def finish(self, target: str) -> None:
        """Feed the graph's former input."""
        self._nodes.append(helper.make_node("Identity", [self._last], [target]))
        self._put_first()

    def feed_size(self, target: onnx.ValueInfoProto, order: SizeOrder) -> None:
        """Feed a former input `[n, 2]` the size of the pixels."""
        axes = [2, 1] if order is SizeOrder.WIDTH_HEIGHT else [1, 2]
        shape = self._node("Shape", [self._source])
        sides = self._node("Gather", [shape, self._constant("Gather", np.array(axes, dtype=np.int64))], axis=0)
        numbers = self._node("Cast", [sides], to=target.type.tensor_type.elem_type)
        rows = self._node("Gather", [shape, self._constant("Gather", np.array([0], dtype=np.int64))], axis=0)
        wanted = self._node("Concat", [rows, self._constant("Concat", np.array([2], dtype=np.int64))], axis=0)
        self._nodes.append(helper.make_node("Expand", [numbers, wanted], [target.name]))
        self._put_first()

    def _put_first(self) -> None:
        """Put the nodes that were added before those of the graph."""
        nodes = [*self._nodes, *self._graph.node]
        self._nodes = []
        del self._graph.node[:]
        self._graph.node.extend(nodes)


def _check_input(value: onnx.ValueInfoProto, rules: InputRules) -> None:
    tensor = value.type.tensor_type
    if tensor.elem_type != _ELEMENT_TYPES[rules.datatype]:
        datatype = _datatype_name(tensor.elem_type)
        raise ContractInvalid(f"input.datatype is {rules.datatype}; the graph's input {value.name!r} is {datatype}")
    height, width = (None, None) if rules.follows_picture else rules.largest_size
    wanted: list[int | None] = [None, height, width]
    wanted.insert(1 if rules.layout is Layout.NCHW else _RANK - 1, 3)
    found = list(map(size_of, tensor.shape.dim))
    fits = len(found) == _RANK and all(w is None or f in (None, w) for w, f in zip(wanted, found, strict=True))
    # Where all sides are free, the 3 alone tells the layouts apart.
    if not fits or (rules.follows_picture and 3 in found and found[wanted.index(3)] is None):  # noqa: PLR2004
        said = f", height {height} and width {width} make" if height else " makes"
        raise ContractInvalid(
            f"input.layout {rules.layout}{said} {shape_text(wanted)}; the graph's input {value.name!r} has "
            f"{shape_text(found)}"
        )
    if rules.follows_picture:
        _check_free(value, rules)


def _check_size_tensor(value: onnx.ValueInfoProto | None, name: str, others: str) -> None:
    """Raise `ContractInvalid` unless the graph's input that is fed the picture's size is there, and [n, 2]."""
    if value is None:
        raise ContractInvalid(f"input.size_tensor is {name!r}; the graph has the inputs {others}")
    tensor = value.type.tensor_type
    found = list(map(size_of, tensor.shape.dim))
    if tensor.elem_type not in _SIZE_TYPES or len(found) != 2 or found[1] not in (None, 2):  # noqa: PLR2004  # [n, 2]
        raise ContractInvalid(
            f"input.size_tensor {name!r} is fed [n, 2] whole numbers, or FP32; the graph's has {shape_text(found)} of "
            f"{_datatype_name(tensor.elem_type)}"
        )


def _check_free(value: onnx.ValueInfoProto, rules: InputRules) -> None:
    """Refuse fixed sides where each picture has a size of its own."""
    sides = sides_of(value, rules)
    sizes = list(map(size_of, sides))
    if not any(sizes):
        return
    name, shape = value.name, shape_text(sizes)
    size = " and ".join(f"{key} {side}" for key, side in zip(("height", "width"), sizes, strict=True) if side)
    if isinstance(rules.resize, LetterboxResize):
        raise ContractInvalid(
            f"resize.multiple lets each picture have its own size; the height and width of the graph's input {name!r} "
            f"are {shape}: leave multiple out, and give {size}"
        )
    raise ContractInvalid(
        f"resize.rule {rules.resize.rule} gives each picture its own size; the height and width of the graph's input "
        f"{name!r} are {shape}: take letterbox, crop or stretch, with {size}"
    )


def sides_of(value: onnx.ValueInfoProto, rules: InputRules) -> list[onnx.TensorShapeProto.Dimension]:
    """Return the dimensions of the graph's height and width."""
    dimensions = value.type.tensor_type.shape.dim
    return list(dimensions[2:4] if rules.layout is Layout.NCHW else dimensions[1:3])


def _datatype_name(number: int) -> str:
    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(number) if number in known else f"of the unknown datatype {number}"


def _pixels_value(name: str, original: onnx.ValueInfoProto, rules: InputRules) -> onnx.ValueInfoProto:
    batch = original.type.tensor_type.shape.dim[0]
    sides: list[int | str | None] = list(rules.largest_size)
    if rules.follows_picture:
        sides = [side.dim_param or None for side in sides_of(original, rules)]
    rows = size_of(batch) or batch.dim_param or "batch"
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [rows, *sides, 3])


def _per_channel(values: tuple[float, ...], layout: Layout) -> npt.NDArray[np.float32]:
    shape = (1, -1, 1, 1) if layout is Layout.NCHW else (1, 1, 1, -1)
    return np.asarray(values, dtype=np.float32).reshape(shape)
