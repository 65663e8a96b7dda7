"""The shapes of a graph's outputs, when its input is as large as the contract says."""

from __future__ import annotations

import onnx
from onnx import shape_inference

from predictor.graph.front import model_input, sides_of
from predictor.graph.reading import Graph, size_of
from serving.contract import Contract
from serving.decoders import Shape


def output_shapes(model: Graph) -> dict[str, Shape | None]:
    """Return the shapes of the graph's outputs, as far as they stand in the file; None where not even the rank does."""
    return {value.name: _shape(value) for value in model.graph.output}


def with_shapes(model: Graph, contract: Contract) -> Graph:
    """Return the model, or a copy of it, that states what can be known of its outputs' shapes.

    What the file says is believed where its picture has one size only. Where the size is free, exporters write down
    what came out of the one picture that they tried, or the names of the input's axes for an output of a quarter of
    them: there the shapes are worked out anew, from the contract's size.
    """
    said = output_shapes(model)
    is_free = any(size_of(side) is None for side in sides_of(model_input(model, contract), contract.input))
    if not is_free and all(shape is not None and None not in shape[1:] for shape in said.values()):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if is_free:
        _forget(copy.graph)
    if not contract.input.follows_picture:
        sides = sides_of(model_input(copy, contract), contract.input)
        for side, size in zip(sides, contract.input.largest_size, strict=True):
            side.dim_value = size
    try:
        copy = shape_inference.infer_shapes(copy, data_prop=True)
    except (ValueError, RuntimeError):  # operators that contradict what stands beside them
        copy.CopyFrom(model)
    _restore_ranks(copy.graph, said)
    return copy


def _forget(graph: onnx.GraphProto) -> None:
    """Take out what the file says of the shapes of all values but the inputs."""
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _restore_ranks(graph: onnx.GraphProto, said: dict[str, Shape | None]) -> None:
    """Believe the file in how many axes an output has, where nothing else could be found out."""
    for value in graph.output:
        shape = said[value.name]
        if _shape(value) is None and shape is not None:
            for _ in shape:
                value.type.tensor_type.shape.dim.add()


def _shape(value: onnx.ValueInfoProto) -> Shape | None:
    tensor = value.type.tensor_type
    return tuple(map(size_of, tensor.shape.dim)) if tensor.HasField("shape") else None
