"""Tiny ONNX models, and the directories that they lie in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from predictor.settings import PredictorSettings
from serving.contract import Contract
from tests.photos import photo
from tests.unit.serving.directories import contract_with, write_directory

HEIGHT, WIDTH = 6, 8
ELEMENTS = {
    "FP32": TensorProto.FLOAT,
    "FP16": TensorProto.FLOAT16,
    "UINT8": TensorProto.UINT8,
    "INT64": TensorProto.INT64,
    "BYTES": TensorProto.STRING,
}
Dimension = int | str | None
OPSET, IR = 17, 8


def value(name: str, shape: Sequence[Dimension], datatype: str = "FP32") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, ELEMENTS[datatype], shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    opset: int = OPSET,
    **initializers: NDArray[Any],
) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(array, name) for name, array in initializers.items()]
    graph = helper.make_graph(list(nodes), "test", list(inputs), list(outputs), constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR)


def image_shape(layout: str, batch: Dimension = "n", height: int = HEIGHT, width: int = WIDTH) -> list[Dimension]:
    return [batch, 3, height, width] if layout == "NCHW" else [batch, height, width, 3]


def identity(layout: str = "NCHW", datatype: str = "FP32", batch: Dimension = "n", **options: Any) -> onnx.ModelProto:
    """Gives back the numbers it is given: what the graph before it makes of pixels can be seen bit by bit."""
    shape = image_shape(layout, batch)
    node = helper.make_node("Identity", ["images"], ["numbers"])
    return model([node], [value("images", shape, datatype)], [value("numbers", shape, datatype)], **options)


def classifier(classes: int = 5, batch: Dimension = "n", output_batch: Dimension = "n") -> onnx.ModelProto:
    """A convolution, the mean of each channel: logits [n, classes]."""
    weights = np.random.default_rng(7).normal(size=(classes, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "weights"], ["maps"]),
        helper.make_node("GlobalAveragePool", ["maps"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
    ]
    inputs, outputs = [value("images", image_shape("NCHW", batch))], [value("logits", [output_batch, classes])]
    return model(nodes, inputs, outputs, weights=weights)


def contract(**changes: Any) -> Contract:
    """A contract of the test's size; keys with `__` for dots."""
    return Contract.model_validate(contract_with(_changes(changes)))


def _changes(changes: dict[str, Any]) -> dict[str, Any]:
    """Values at dotted keys. The task is raw, which takes any output, unless the test says something of it."""
    dotted = {key.replace("__", "."): each for key, each in changes.items()}
    raw = {} if {"task", "output.decoder"} & dotted.keys() else {"task": "raw", "output.decoder": "tensors"}
    return {"input.height": HEIGHT, "input.width": WIDTH, **raw, **dotted}


def directory(folder: Path, graph: onnx.ModelProto | bytes | None, labels: str | None = None, **changes: Any) -> Path:
    """Write a model directory, of a classifier where there are labels; without a graph, there is no ONNX file."""
    if labels is not None:
        changes = {"task": "classification", "output__decoder": "logits", **changes}
    write_directory(folder, _changes(changes), labels=labels)
    if graph is not None:
        content = graph if isinstance(graph, bytes) else graph.SerializeToString()
        (folder / "model.onnx").write_bytes(content)
    return folder


def settings(folder: Path, **others: Any) -> PredictorSettings:
    return PredictorSettings(model_dir=folder, model_name="m", num_threads=1, **others)


def real_pixels(rows: int = 1) -> NDArray[np.uint8]:
    """Pixels of real photographs, [rows, HEIGHT, WIDTH, 3]."""
    names = ("chelsea", "coffee", "astronaut", "rocket")
    return np.stack([np.asarray(photo(names[row % 4], (WIDTH, HEIGHT))) for row in range(rows)])


def every_pixel() -> NDArray[np.uint8]:
    """All 256 values in every channel, [n, HEIGHT, WIDTH, 3]."""
    ramp = np.arange(256, dtype=np.uint8)
    planes = np.stack([ramp, ramp[::-1], np.roll(ramp, 97)], axis=-1)
    count = -(-256 // (HEIGHT * WIDTH))
    return np.resize(planes, (count, HEIGHT, WIDTH, 3))
