"""The graph compiler: the contract's input rules as the first nodes of the model.

The fused graph takes pixels, UINT8 [n, height, width, 3] in RGB, and does what the contract says of them where the
model runs: channel order, layout, cast, scale, mean, std. The operations and their order are those of
`transformer.pictures.normalize`, in float32, so the numbers are equal to the last bit. The file on disk is not changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from serving.contract import PIXELS, ColorOrder, Contract, Datatype, InputRules, Layout
from serving.errors import ContractInvalid, ModelLoadFailed

ZIP: Final = b"PK\x03\x04"

MIN_OPSET: Final = 7
"""The first opset whose arithmetic broadcasts as NumPy does."""

_ELEMENT_TYPES: Final = {
    Datatype.FP32: TensorProto.FLOAT,
    Datatype.FP16: TensorProto.FLOAT16,
    Datatype.UINT8: TensorProto.UINT8,
}
_RANK: Final = 4


def read_graph(path: Path) -> onnx.ModelProto:
    """Read an ONNX file; weights that it keeps in files beside it stay there.

    Raises:
        ModelLoadFailed: the file is missing, or is no ONNX model.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError as error:
        raise ModelLoadFailed(f"{path} does not exist: model.file in model.yaml names the ONNX file") from error
    except (OSError, DecodeError, ValueError) as error:
        raise ModelLoadFailed(f"{path} is not an ONNX model, or is cut off{_hint(path)}: {error}") from error
    if not model.graph.node:
        raise ModelLoadFailed(f"{path} is not an ONNX model: it holds no graph{_hint(path)}")
    return model


def _hint(path: Path) -> str:
    """Say what a file is that is often taken for a model."""
    try:
        with path.open("rb") as file:
            is_zip = file.read(len(ZIP)) == ZIP
    except OSError:  # a folder, say
        is_zip = False
    return " (it is a zip, as torch.save writes; export the network with torch.onnx.export)" if is_zip else ""


def model_input(model: onnx.ModelProto, contract: Contract) -> onnx.ValueInfoProto:
    """Return the graph's input that the contract speaks of, once it is as the contract says.

    Raises:
        ContractInvalid: it is not there, or has another datatype or shape.
    """
    initializers = {initializer.name for initializer in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in initializers}
    wanted = contract.input.tensor
    if wanted is None and len(inputs) != 1:
        raise ContractInvalid(f"the graph has the inputs {_names(inputs)}: input.tensor must name one of them")
    if wanted is not None and wanted not in inputs:
        raise ContractInvalid(f"input.tensor is {wanted!r}; the graph has the inputs {_names(inputs)}")
    value = inputs[wanted] if wanted is not None else next(iter(inputs.values()))
    _check_input(value, contract.input)
    return value


def check_output(model: onnx.ModelProto, contract: Contract) -> None:
    """Hold the contract's output against the graph's.

    Raises:
        ContractInvalid: the graph has no output of that name, or several and the contract names none.
    """
    outputs = {value.name: value for value in model.graph.output}
    wanted = contract.output.tensor
    if wanted is None and len(outputs) != 1:
        raise ContractInvalid(f"the graph has the outputs {_names(outputs)}: output.tensor must name one of them")
    if wanted is not None and wanted not in outputs:
        raise ContractInvalid(f"output.tensor is {wanted!r}; the graph has the outputs {_names(outputs)}")


def fuse_input(model: onnx.ModelProto, contract: Contract) -> onnx.ModelProto:
    """Return a copy of the model whose input is pixels, UINT8 [n, height, width, 3].

    Raises:
        ContractInvalid: the graph's input is not as the contract says, or its opset is too old.
    """
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < MIN_OPSET:
        raise ContractInvalid(
            f"the graph has opset {opset}; fusing needs {MIN_OPSET} or later: export it again, or set FUSE_INPUT=false"
        )
    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    original = model_input(fused, contract)
    rules = contract.input
    names = _taken_names(fused.graph)
    pixels = _free_name(PIXELS, names)
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
            name = _free_name(f"contract_{operator.lower()}", self._names)
            self._graph.initializer.append(numpy_helper.from_array(constant, name))
            inputs.append(name)
        self._last = _free_name(f"{operator.lower()}_pixels", self._names)
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
            f"input.layout {rules.layout}, height {rules.height} and width {rules.width} make {_shape(wanted)}; "
            f"the graph's input {value.name!r} has {_shape(found)}"
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


def _taken_names(graph: onnx.GraphProto) -> set[str]:
    taken = {value.name for value in (*graph.input, *graph.output)}
    taken |= {initializer.name for initializer in graph.initializer}
    return taken | {name for node in graph.node for name in (*node.input, *node.output)}


def _free_name(wish: str, taken: set[str]) -> str:
    name = wish
    number = 1
    while name in taken:
        number += 1
        name = f"{wish}_{number}"
    taken.add(name)
    return name


def _names(values: dict[str, onnx.ValueInfoProto]) -> str:
    return ", ".join(map(repr, values)) or "(none)"


def _shape(dimensions: list[int | None]) -> str:
    return f"[{', '.join('n' if dimension is None else str(dimension) for dimension in dimensions)}]"
