"""The structure of an ONNX file: what it takes, what it gives, and what its first and last nodes do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from inspection.errors import NotAModel
from inspection.files import kind_of
from inspection.shapes import Sizes, both_shapes
from inspection.wire import read_skeleton

Dimension = int | str | None
"""A size; or the name that the exporter gave a free one; or nothing known."""

_DATATYPES: Final[Mapping[int, str]] = {
    TensorProto.FLOAT: "FP32",
    TensorProto.FLOAT16: "FP16",
    TensorProto.DOUBLE: "FP64",
    TensorProto.BFLOAT16: "BF16",
    TensorProto.UINT8: "UINT8",
    TensorProto.INT8: "INT8",
    TensorProto.INT32: "INT32",
    TensorProto.INT64: "INT64",
    TensorProto.BOOL: "BOOL",
    TensorProto.STRING: "BYTES",
}
_STEPS: Final = 16
_MAX_INFERRED: Final = 20_000
"""Nodes up to which shapes that the file leaves out are inferred."""


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output. `shape` is None where not even the rank is known."""

    name: str
    datatype: str
    shape: tuple[Dimension, ...] | None

    @property
    def rank(self) -> int | None:
        """The number of axes."""
        return None if self.shape is None else len(self.shape)

    def size(self, axis: int) -> int | None:
        """Return the size of an axis where it is fixed."""
        found = None if self.shape is None or not -len(self.shape) <= axis < len(self.shape) else self.shape[axis]
        return found if isinstance(found, int) else None

    def __str__(self) -> str:
        shape = "?" if self.shape is None else ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name!r:.80} {self.datatype} [{shape}]"


@dataclass(frozen=True, slots=True)
class Step:
    """A node on the way of the picture, or of an output: its operator, and the constants it takes."""

    operator: str
    constants: tuple[NDArray[Any], ...] = ()
    constant_first: bool = False
    """Whether the constant stands before the picture, as in `1 - x`."""


@dataclass(frozen=True, slots=True)
class Graph:
    """What the file says, without its weights."""

    path: Path
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    opset: int
    domains: tuple[str, ...]
    """Of operators that are neither ONNX's, nor ONNX Runtime's, nor defined in the file."""
    producer: str
    metadata: Mapping[str, str]
    operators: frozenset[str]
    heads: Mapping[str, tuple[Step, ...]]
    """What is done first with each input, one after another, up to the first node that is no arithmetic."""
    tails: Mapping[str, tuple[str, ...]]
    """The operators that each output comes from, the last one first."""
    data_files: tuple[str, ...]
    """Files beside the model that hold its weights, as the model names them."""
    empty: tuple[str, ...] = ()
    """Outputs of which the file says that an axis has no elements."""

    def output(self, name: str) -> Value | None:
        """Return the output of a name."""
        return next((value for value in self.outputs if value.name == name), None)

    def tail(self, name: str) -> tuple[str, ...]:
        """Return the operators that an output comes from, the last one first, without those that only move numbers."""
        moves = {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "Dropout"}
        return tuple(operator for operator in self.tails.get(name, ()) if operator not in moves)


def read_graph(path: Path) -> Graph:
    """Read the structure of an ONNX file.

    Raises:
        NotAModel: it is none; the message says what it is, where that can be seen.
    """
    try:
        model = _parse(path)
    except OSError as error:
        raise NotAModel(f"{path} cannot be read: {error.strerror}") from error
    graph = model.graph
    inputs = tuple(_value(value) for value in _inputs(graph))
    outputs = _with_true_shapes(model, inputs, [_value(value) for value in graph.output])
    constants = _constants(graph)
    return Graph(
        path=path,
        inputs=inputs,
        outputs=tuple(outputs),
        opset=next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0),
        domains=tuple(sorted({_text(node.domain) for node in graph.node} - _known_domains(model))),
        producer=f"{_text(model.producer_name)} {_text(model.producer_version)}".strip(),
        metadata={_text(each.key): _text(each.value) for each in model.metadata_props},
        operators=frozenset(_text(node.op_type) for node in graph.node),
        heads={value.name: _head(graph, value.name, constants) for value in inputs},
        tails={value.name: _tail(graph, value.name, constants) for value in outputs},
        data_files=_data_files(graph),
        empty=tuple(_text(value.name) for value in graph.output if _is_empty(value)),
    )


def missing_files(graph: Graph) -> tuple[str, ...]:
    """Return the files of weights that are not beside the model, or lie outside its folder, where none is opened."""
    return tuple(name for name in graph.data_files if not is_beside(name) or not _is_file(graph.path.parent / name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for any file
        return False


def is_beside(name: str) -> bool:
    """Whether a file that a model names lies in the model's own folder."""
    path = PurePosixPath(name)
    return bool(name) and not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _parse(path: Path) -> onnx.ModelProto:
    kind = kind_of(path)
    if kind:
        raise NotAModel(f"{path} is {kind}")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_skeleton(path))
    except DecodeError as error:
        raise NotAModel(f"{path} is not an ONNX model, or is cut off: {error}") from error
    if not model.graph.node or not model.graph.output:
        raise NotAModel(f"{path} is not an ONNX model: it holds no graph")
    return model


def _known_domains(model: onnx.ModelProto) -> set[str]:
    return {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"} | {_text(function.domain) for function in model.functions}


def _value(value: onnx.ValueInfoProto) -> Value:
    tensor = value.type.tensor_type
    datatype = _DATATYPES.get(tensor.elem_type, "unknown")
    if not tensor.HasField("shape"):
        return Value(_text(value.name), datatype, None)
    return Value(_text(value.name), datatype, tuple(_dimension(each) for each in tensor.shape.dim))


def _text(value: str | bytes) -> str:
    """Return a text of the file; protobuf gives the bytes of one that is no UTF-8."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _dimension(dimension: onnx.TensorShapeProto.Dimension) -> Dimension:
    if dimension.HasField("dim_value"):
        return int(dimension.dim_value) if dimension.dim_value > 0 else None
    return _text(dimension.dim_param) or None


def _is_empty(value: onnx.ValueInfoProto) -> bool:
    return any(each.HasField("dim_value") and each.dim_value == 0 for each in value.type.tensor_type.shape.dim)


def _inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """Return what the graph is fed: neither weights, nor what no node reads (Keras' export leaves such)."""
    weights = {tensor.name for tensor in graph.initializer}
    read = set(_names_read(graph))
    fed = [value for value in graph.input if value.name not in weights]
    return [value for value in fed if value.name in read] or fed


def _names_read(graph: onnx.GraphProto) -> Iterator[str]:
    """Tell what a graph reads, and the graphs inside it."""
    yield from (value.name for value in graph.output)
    for node in graph.node:
        yield from node.input
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _names_read(inner)


def _with_true_shapes(model: onnx.ModelProto, inputs: Sequence[Value], outputs: list[Value]) -> list[Value]:
    """Return the outputs with the shapes that follow from the graph, where the file leaves them open, or cannot know
    them, since the input's are open.
    """
    is_open = any(size is None for value in inputs for size in map(value.size, range(1, value.rank or 0)))
    is_known = all(
        value.shape is not None and None not in map(value.size, range(1, len(value.shape))) for value in outputs
    )
    if (is_known and not is_open) or len(model.graph.node) > _MAX_INFERRED:
        return outputs
    found = both_shapes(model)
    return [_merged(value, *found[value.name]) if value.name in found else value for value in outputs]


def _merged(said: Value, first: Sizes, second: Sizes) -> Value:
    """Return what is said of an output, with the sizes that it has with two pictures, and without those that differ."""
    shape = said.shape if said.shape is not None else (None,) * len(first)
    if len(shape) != len(first):
        return said
    sizes = zip(shape, first, second, strict=True)
    return Value(said.name, said.datatype, tuple(_size(*each) for each in sizes))


def _size(said: Dimension, first: int | None, second: int | None) -> Dimension:
    if None in (first, second):
        return said
    if first != second:
        return None if isinstance(said, int) else said
    return said if isinstance(said, int) else first


def _constants(graph: onnx.GraphProto) -> dict[str, NDArray[Any] | None]:
    """Return what is constant, by name; None for what is too large to have been kept."""
    found: dict[str, NDArray[Any] | None] = {tensor.name: _array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            tensors = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            found[node.output[0]] = _array(tensors[0]) if tensors else None
    return found


def _array(tensor: onnx.TensorProto) -> NDArray[Any] | None:
    if tensor.data_location == TensorProto.EXTERNAL:
        return None
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, MemoryError):  # its numbers were left out, or do not fit its shape
        return None


_ARITHMETIC: Final = frozenset({"Cast", "Identity", "Transpose", "Mul", "Div", "Sub", "Add", "Pad"})


def _head(graph: onnx.GraphProto, name: str, constants: Mapping[str, NDArray[Any] | None]) -> tuple[Step, ...]:
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for each in node.input:
            users.setdefault(each, []).append(node)
    steps: list[Step] = []
    while len(steps) < _STEPS:
        nodes = [node for node in users.get(name, ()) if node.op_type != "Shape"]
        if len(nodes) != 1 or not nodes[0].output:
            break
        node = nodes[0]
        others = [constants.get(each) for each in node.input if each != name and each]
        steps.append(
            Step(_text(node.op_type), tuple(each for each in others if each is not None), node.input[0] != name)
        )
        if node.op_type not in _ARITHMETIC:
            break
        name = node.output[0]
    return tuple(steps)


def _tail(graph: onnx.GraphProto, name: str, constants: Mapping[str, NDArray[Any] | None]) -> tuple[str, ...]:
    makers = {output: node for node in graph.node for output in node.output}
    operators: list[str] = []
    while name in makers and len(operators) < _STEPS:
        node = makers[name]
        operators.append(_text(node.op_type))
        inputs: Sequence[str] = [each for each in node.input if each and each not in constants]
        if not inputs:
            break
        name = inputs[0]
    return tuple(operators)


def _data_files(graph: onnx.GraphProto) -> tuple[str, ...]:
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    return tuple(sorted({_text(entry.value) for entry in entries if entry.key == "location"}))
