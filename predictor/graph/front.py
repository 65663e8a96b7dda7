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
from predictor.graph.reading import opset_of
from serving.contract import PIXELS, ColorOrder, Contract, Datatype, InputRules, Layout
from serving.errors import ContractInvalid

MIN_OPSET: Final = 7
"""The first opset whose arithmetic broadcasts as NumPy does."""

_ELEMENT_TYPES: Final = {
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.UINT8: TensorProto.UINT8,
}
_RANK: Final = 4


def model_input(model: onnx.ModelProto, contract: Contract) -> onnx.ValueInfoProto:
    """Return the graph's input that the contract speaks of, once it is as the contract says.

    Raises:
        ContractInvalid: it is not there, or has another datatype or shape.
    """
    initializers = {initializer.name for initializer in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in initializers}
    wanted = contract.input.tensor
    if wanted is None and len(inputs) != 1:
        raise ContractInvalid(f"the graph has the inputs {quoted(inputs)}: input.tensor must name one of them")
    if wanted is not None and wanted not in inputs:
        raise ContractInvalid(f"input.tensor is {wanted!r}; the graph has the inputs {quoted(inputs)}")
    value = inputs[wanted] if wanted is not None else next(iter(inputs.values()))
    _check_input(value, contract.input)
    return value


def fuse_input(model: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    """Return a copy of the model whose input is pixels, UINT8 [n, height, width, 3].

    Raises:
        ContractInvalid: the graph's input is not as the contract says, or its opset is too old.
    """
    opset = opset_of(model)
    if opset < MIN_OPSET:
        raise ContractInvalid(
            f"the graph has opset {opset}; fusing needs {MIN_OPSET} or later: export it again, or set FUSE_INPUT=false"
        )
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
        for operator, values, neutral in (
            ("Mul", (rules.normalize.scale,), 1.0),
            ("Sub", rules.normalize.mean, 0.0),
            ("Div", rules.normalize.std, 1.0),
        ):
            if any(value != neutral for value in values):
                head.add(operator, _per_channel(values, rules.layout))
    if rules.datatype is Datatype.FP16:
        head.add("Cast", to=TensorProto.FLOAT16)
    head.finish(original.name)
    batch = original.type.tensor_type.shape.dim[0]
    fused.graph.input.remove(original)
    fused.graph.input.insert(0, _pixels_value(pixels, batch, rules))
    return fused


class _Head:
    """Nodes put before a graph, each fed by the one before it."""

    def __init__(self, graph: onnx.GraphProto, source: str, names: set[str]) -> None:
        self._graph = graph
        self._nodes: list[onnx.NodeProto] = []
        self._last = source
        self._names = names

    def add(self, operator: str, constant: npt.NDArray[np.generic] | None = None, **attributes: Any) -> None:
        inputs = [self._last]
        if constant is not None:
            name = free_name(f"contract_{operator.lower()}", self._names)
            self._graph.initializer.append(numpy_helper.from_array(constant, name))
            inputs.append(name)
        self._last = free_name(f"{operator.lower()}_pixels", self._names)
        self._nodes.append(helper.make_node(operator, inputs, [self._last], **attributes))

    def finish(self, target: str) -> None:
        """Feed the graph's former input."""
        self._nodes.append(helper.make_node("Identity", [self._last], [target]))
        nodes = [*self._nodes, *self._graph.node]
        del self._graph.node[:]
        self._graph.node.extend(nodes)


def _check_input(value: onnx.ValueInfoProto, rules: InputRules) -> None:
    tensor = value.type.tensor_type
    if tensor.elem_type != _ELEMENT_TYPES[rules.datatype]:
        datatype = _datatype_name(tensor.elem_type)
        raise ContractInvalid(f"input.datatype is {rules.datatype}; the graph's input {value.name!r} is {datatype}")
    channels_at = 1 if rules.layout is Layout.NCHW else 3
    wanted: list[int | None] = [None, rules.height, rules.width]
    wanted.insert(channels_at, 3)
    found = [dimension.dim_value or None for dimension in tensor.shape.dim]
    if len(found) != _RANK or any(w is not None and f not in (None, w) for w, f in zip(wanted, found, strict=True)):
        raise ContractInvalid(
            f"input.layout {rules.layout}, height {rules.height} and width {rules.width} make {shape_text(wanted)}; "
            f"the graph's input {value.name!r} has {shape_text(found)}"
        )


def _datatype_name(number: int) -> str:
    known = TensorProto.DataType.values()
    return TensorProto.DataType.Name(number) if number in known else f"of the unknown datatype {number}"


def _pixels_value(name: str, batch: onnx.TensorShapeProto.Dimension, rules: InputRules) -> onnx.ValueInfoProto:
    rows = batch.dim_value or batch.dim_param or "batch"
    return helper.make_tensor_value_info(name, TensorProto.UINT8, [rows, rules.height, rules.width, 3])


def _per_channel(values: tuple[float, ...], layout: Layout) -> npt.NDArray[np.float32]:
    shape = (1, -1, 1, 1) if layout is Layout.NCHW else (1, 1, 1, -1)
    return np.asarray(values, dtype=np.float32).reshape(shape)
