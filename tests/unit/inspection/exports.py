"""Small ONNX files with the names, shapes, last nodes and metadata of real exporters. They run: each output is a number
of the picture, spread over its shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ELEMENTS = {
    "FP32": TensorProto.FLOAT,
    "FP16": TensorProto.FLOAT16,
    "UINT8": TensorProto.UINT8,
    "INT64": TensorProto.INT64,
    "INT32": TensorProto.INT32,
}
Shape = Sequence[int | str | None]
COCO = [f"thing {number}" for number in range(80)]


@dataclass(frozen=True)
class Out:
    """An output. `after` are the operators that it comes from, the last one last."""

    name: str
    shape: Shape
    after: Sequence[str] = ()
    datatype: str = "FP32"


@dataclass(frozen=True)
class Export:
    """A file as an exporter writes it, and what lies beside it."""

    outputs: Sequence[Out]
    input: Shape = (1, 3, 640, 640)
    name: str = "images"
    datatype: str = "FP32"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Files beside the model: texts, or values that become JSON."""
    head: Sequence[tuple[str, Any]] = ()
    """Arithmetic on the picture, before anything else: operators, and their constants."""
    producer: str = "pytorch"
    opset: int = 17
    extra_inputs: Mapping[str, tuple[str, Shape]] = field(default_factory=dict)
    unread_inputs: Mapping[str, tuple[str, Shape]] = field(default_factory=dict)
    """Inputs that are declared, and that no node reads."""
    operators: Sequence[str] = ()
    """Unary operators somewhere inside."""

    def write(self, folder: Path, name: str = "exported.onnx") -> Path:
        """Write the model and its neighbours."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        onnx.save(self.model(), path)
        for file, content in self.beside.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
        return path

    def model(self) -> onnx.ModelProto:
        """Build the graph."""
        builder = _Builder(self.name)
        for operator, constant in self.head:
            builder.step(operator, constant)
        if self.datatype != "FP32":
            builder.add("Cast", to=TensorProto.FLOAT)
        builder.add("ReduceMean", axes=[1, 2, 3], keepdims=0)
        for operator in self.operators:
            builder.add(operator)
        mean = builder.value
        for out in self.outputs:
            builder.value = mean
            builder.spread(out)
        inputs = [helper.make_tensor_value_info(self.name, ELEMENTS[self.datatype], self.input)]
        inputs += [
            helper.make_tensor_value_info(name, ELEMENTS[datatype], shape)
            for name, (datatype, shape) in {**self.extra_inputs, **self.unread_inputs}.items()
        ]
        builder.nodes += [helper.make_node("Identity", [name], [f"{name}_read"]) for name in self.extra_inputs]
        outputs = [helper.make_tensor_value_info(o.name, ELEMENTS[o.datatype], o.shape) for o in self.outputs]
        graph = helper.make_graph(builder.nodes, "graph", inputs, outputs, builder.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        model.producer_name = self.producer
        helper.set_model_props(model, {key: str(value) for key, value in self.metadata.items()})
        return model


class _Builder:
    def __init__(self, value: str) -> None:
        self.value = value
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *others: str, output: str | None = None, **attributes: Any) -> None:
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, [self.value, *others], [name], **attributes))
        self.value = name

    def constant(self, array: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def step(self, operator: str, constant: Any) -> None:
        if operator == "Transpose":
            self.add("Transpose", perm=constant)
        elif operator == "Cast":
            self.add("Cast", to=ELEMENTS[constant])
        else:
            self.add(operator, self.constant(np.asarray(constant, np.float32)))

    def spread(self, out: Out) -> None:
        """Give the picture's mean, `[n]`, the shape of an output, with the batch in front where it has one."""
        rest = [size if isinstance(size, int) else 32 for size in out.shape[1:]]
        self.add("Reshape", self.constant(np.array([-1, *[1] * len(rest)], np.int64)))
        mean = self.value
        self.value = self.constant(np.array([1, *rest], np.float32))
        self.add("Floor")  # so that no shape can be inferred but what the file says
        self.add("Cast", to=TensorProto.INT64)
        shape, self.value = self.value, mean
        self.add("Expand", shape)
        for operator in out.after:
            if operator in ("Gemm", "MatMul"):
                self.add(operator, self.constant(np.eye(rest[-1], dtype=np.float32)))
            elif operator == "Concat":
                self.add("Concat", axis=0)
            elif operator == "ArgMax":
                self.add("Reshape", self.constant(np.array([0, 1, *rest], np.int64)))
                self.add("ArgMax", axis=1, keepdims=0)
            elif operator == "Transpose":
                self.add("Transpose", perm=list(range(len(out.shape))))
            elif operator == "Div":
                self.add("Div", self.constant(np.float32(2)))
            else:
                self.add(operator)
        if out.datatype != "FP32" and "ArgMax" not in out.after:
            self.add("Cast", to=ELEMENTS[out.datatype])
        self.add("Identity", output=out.name)


def ultralytics(task: str, names: Mapping[int, str], **more: Any) -> dict[str, Any]:
    """Return the metadata of Ultralytics' exporter."""
    return {
        "description": "Ultralytics YOLOv8n model trained on coco.yaml",
        "author": "Ultralytics",
        "date": "2025-05-01T12:00:00",
        "version": "8.3.100",
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "docs": "https://docs.ultralytics.com",
        "stride": 32,
        "task": task,
        "batch": 1,
        "imgsz": [640, 640],
        "names": dict(names),
        "args": {"batch": 1, "half": False, "dynamic": False, "simplify": True, "nms": False},
        "channels": 3,
        **more,
    }


def id2label(count: int) -> dict[str, str]:
    """Return Hugging Face's labels."""
    return {str(number): f"thing {number}" for number in range(count)}


COCO_NAMES = dict(enumerate(COCO))
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
