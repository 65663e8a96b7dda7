"""The back side: the decoder's program as the last nodes of the model.

What a detector gives for one picture, 84 x 8400 numbers, is 2.8 MB; the thousand best boxes are 24 KB, and finding them
is cheapest where the numbers are. So the program of the contract's decoder is written behind the model's outputs, and
the graph then gives what the program gives. A graph that this cannot be done for is served as it is, and the
transformer runs the same program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import onnx
from onnx import TensorProto, helper

from predictor.graph.names import free_name, rename, taken_names
from predictor.graph.ops import MIN_OPSET, OnnxOps, Value
from predictor.graph.reading import opset_of
from predictor.graph.shapes import output_shapes
from serving.decoders import FINITE, Decoder, NotCompilable

_ELEMENT_TYPES: Final = {
    "BOOL": TensorProto.BOOL,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "INT32": TensorProto.INT32,
    "UINT8": TensorProto.UINT8,
}


def fuse_output(model: onnx.ModelProto, decoder: Decoder[Any]) -> onnx.ModelProto:
    """Return a copy of the model whose outputs are `decoder.reduced`, and `FINITE`.

    Raises:
        ContractInvalid: the graph's outputs are not those of the decoder.
        NotCompilable: the program cannot be written into this graph.
    """
    opset = opset_of(model)
    if opset < MIN_OPSET:
        raise NotCompilable(f"the graph has opset {opset}; {MIN_OPSET} or later is needed")
    fused = onnx.ModelProto()
    fused.CopyFrom(model)
    shapes = output_shapes(fused)
    names = decoder.bind(shapes)
    moved = _make_room(fused.graph, (*decoder.reduced, FINITE))
    raw: dict[str, Value] = {}
    for part, name in names.items():
        shape = shapes[name]
        if shape is None:
            raise NotCompilable(f"the shape of {name!r} does not stand in the file")
        raw[part] = Value(moved.get(name, name), shape)
    ops = OnnxOps(fused.graph, opset)
    reduced = decoder.read(ops, raw)
    # Outputs that have no batch axis are those of one picture.
    rows = raw.values() if decoder.batched else [ops.reshape(value, 1, -1) for value in raw.values()]
    reduced[FINITE] = ops.finite(list(rows))
    _give(fused, reduced, {name: each.datatype for name, each in decoder.reduced.items()} | {FINITE: "BOOL"})
    return fused


def _make_room(graph: onnx.GraphProto, names: Sequence[str]) -> dict[str, str]:
    """Rename what has one of `names` in the graph, such as a model's own output; return the new names by the old.

    Raises:
        NotCompilable: an input has it, by which it is fed.
    """
    taken = taken_names(graph)
    moved = {}
    for name in names:
        if name in taken:
            if any(value.name == name for value in graph.input):
                raise NotCompilable(f"the graph has an input that is called {name!r}, as an output of the decoder")
            moved[name] = free_name(name, taken)
            rename(graph, name, moved[name])
    return moved


def _give(model: onnx.ModelProto, outputs: Mapping[str, Value], datatypes: Mapping[str, str]) -> None:
    """Make `outputs` the graph's outputs, under their own names."""
    graph = model.graph
    del graph.output[:]
    for name, value in outputs.items():
        graph.node.append(helper.make_node("Identity", [value.name], [name]))
        sizes = [size if size is not None else f"{name}_{axis}" for axis, size in enumerate(value.shape)]
        graph.output.append(helper.make_tensor_value_info(name, _ELEMENT_TYPES[datatypes[name]], sizes))
