"""What a real network says of photos, kept in a graph that knows them by their pixels.

The conventions differ in what follows a network, so it is run once for each photo, and not for each convention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from serving.decoders import Array

CELL: Final = 16
"""Pixels on each side of the squares whose mean colours a photo is known by."""
TOLERANCE: Final = 1e-3
"""How far each of these colours may be off, as a share of the largest number: a quarter of a byte's step."""


def with_known_photos(network: onnx.ModelProto, photos: Array) -> onnx.ModelProto:
    """A graph that gives what `network` gives for each of `photos` [n, 3, height, width], under the same names.

    For all other pixels, as of a wrong place, scale or order of colours, it gives zeros.
    """
    given, wanted = network.graph.input[0], network.graph.output[0]
    known = _run(network, photos)
    squares = helper.make_node("AveragePool", [given.name], ["squares"], kernel_shape=[CELL] * 2, strides=[CELL] * 2)
    axes = ["batch", 3, photos.shape[2] // CELL, photos.shape[3] // CELL]
    of_squares = _model(network, [squares], helper.make_tensor_value_info("squares", TensorProto.FLOAT, axes), {})
    constants = {
        "known_outputs": known,
        "known_colors": _run(of_squares, photos).reshape(1, len(photos), -1),
        "one_row": np.array([0, 1, -1]),
        "tolerance": np.array(TOLERANCE * np.abs(photos).max(), np.float32),
        "one_number": np.array([-1, *[1] * (known.ndim - 1)]),
    }
    nodes = [
        squares,
        helper.make_node("Reshape", ["squares", "one_row"], ["colors"]),
        helper.make_node("Sub", ["colors", "known_colors"], ["differences"]),
        helper.make_node("Abs", ["differences"], ["distances"]),
        helper.make_node("ReduceMax", ["distances"], ["farthest"], axes=[2], keepdims=0),
        helper.make_node("ArgMin", ["farthest"], ["photo"], axis=1, keepdims=0),
        helper.make_node("Gather", ["known_outputs", "photo"], ["outputs"], axis=0),
        helper.make_node("ReduceMin", ["farthest"], ["nearest"], axes=[1], keepdims=0),
        helper.make_node("Less", ["nearest", "tolerance"], ["is_known"]),
        helper.make_node("Cast", ["is_known"], ["known"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["known", "one_number"], ["factors"]),
        helper.make_node("Mul", ["outputs", "factors"], [wanted.name]),
    ]
    return _model(network, nodes, wanted, constants)


def _run(model: onnx.ModelProto, photos: Array) -> Array:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([np.asarray(session.run(None, {name: photo[None]})[0]) for photo in photos])


def _model(
    like: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], output: onnx.ValueInfoProto, constants: dict[str, Array]
) -> onnx.ModelProto:
    """A model of the input, the version and the operators of another."""
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "known_photos", [like.graph.input[0]], [output], initializers)
    return helper.make_model(graph, ir_version=like.ir_version, opset_imports=like.opset_import)
