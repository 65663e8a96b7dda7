"""The back side: the decoder's program as the last nodes of the model.

What a detector gives for one picture, 84 x 8400 numbers, is 2.8 MB; the thousand best boxes are 24 KB, and finding them
is cheapest where the numbers are. So the program of the contract's decoder is written behind the model's outputs, and
the graph then gives what the program gives. A graph that this cannot be done for is served as it is, and the
transformer runs the same program.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import onnx
from onnx import TensorProto, helper, shape_inference

from predictor.graph.ops import MIN_OPSET, OnnxOps, Value
from predictor.graph.reading import opset_of
from serving.decoders import FINITE, Decoder, NotCompilable, Shape

_FLOATS: Final = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_ELEMENT_TYPES: Final = {
    "BOOL": TensorProto.BOOL,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "INT32": TensorProto.INT32,
    "UINT8": TensorProto.UINT8,
}


def output_shapes(model: onnx.ModelProto) -> dict[str, Shape | None]:
    """Return the shapes of the graph's outputs, as far as they stand in the file; None where not even the rank does."""
    return {value.name: _shape(value) for value in model.graph.output}


def fuse_output(model: onnx.ModelProto, decoder: Decoder[Any]) -> onnx.ModelProto:
    """Return a copy of the model whose outputs are `decoder.reduced`, and `FINITE`.

    Raises:
        ContractInvalid: the graph's outputs are not those of the decoder.
        NotCompilable: the program cannot be written into this graph.
    """
    opset = opset_of(model)
    if opset < MIN_OPSET:
        raise NotCompilable(f"the graph has opset {opset}; {MIN_OPSET} or later is needed")
    fused = _with_shapes(model)
    known = {value.name: value for value in fused.graph.output}
    shapes = output_shapes(fused)
    names = decoder.bind(shapes)
    raw: dict[str, Value] = {}
    for part, name in names.items():
        shape = shapes[name]
        if shape is None:
            raise NotCompilable(f"the shape of {name!r} does not stand in the file")
        raw[part] = Value(name, shape)
    ops = OnnxOps(fused.graph, opset)
    reduced = decoder.read(ops, raw)
    if any(known[value.name].type.tensor_type.elem_type in _FLOATS for value in raw.values()):
        # Outputs that have no batch axis are those of one picture.
        rows = raw.values() if decoder.batched else [ops.reshape(value, 1, -1) for value in raw.values()]
        reduced[FINITE] = ops.finite(list(rows))
    _give(fused, reduced, {**decoder.reduced, FINITE: "BOOL"})
    return fused


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the model in which the shapes of outputs that the file leaves open are worked out."""
    if all(shape is not None and None not in shape[1:] for shape in output_shapes(model).values()):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    return shape_inference.infer_shapes(model)


def _give(model: onnx.ModelProto, outputs: Mapping[str, Value], datatypes: Mapping[str, str]) -> None:
    """Make `outputs` the graph's outputs, under their own names."""
    graph = model.graph
    del graph.output[:]
    for name, value in outputs.items():
        graph.node.append(helper.make_node("Identity", [value.name], [name]))
        sizes = [size if size is not None else f"{name}_{axis}" for axis, size in enumerate(value.shape)]
        graph.output.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[datatypes[name]], sizes))


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dimension.dim_value if dimension.HasField("dim_value") else None for dimension in tensor.shape.dim)
