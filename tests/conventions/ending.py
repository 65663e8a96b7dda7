"""New ends, and beginnings, for a real detector's graph, so that its detections come out in another convention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from serving.decoders import Array

Axes = Sequence[int | str]

ELEMENTS: Final = {
    "FP32": TensorProto.FLOAT,
    "FP16": TensorProto.FLOAT16,
    "UINT8": TensorProto.UINT8,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
}


class Ending:
    """A copy of a model to whose end nodes are added, each by its operator and the names of its inputs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.output = model.graph.output[0].name
        self._count = 0
        del self.model.graph.output[:]

    def __call__(self, operator: str, *inputs: str | Array | float, **attributes: Any) -> str:
        """Add a node, and return the name of its output; arrays become constants, numbers FP32."""
        self._count += 1
        name = f"wrapped_{self._count}"
        names = [each if isinstance(each, str) else self._constant(np.asarray(each)) for each in inputs]
        self.model.graph.node.append(helper.make_node(operator, names, [name], **attributes))
        return name

    def columns(self, value: str, start: int, stop: int, axis: int = 2) -> str:
        return self("Slice", value, *(np.array([each]) for each in (start, stop, axis)))

    def reshape(self, value: str, *shape: int) -> str:
        return self("Reshape", value, np.array(shape))

    def give(self, name: str, value: str, shape: Axes, datatype: str = "FP32") -> None:
        """Make a value an output."""
        cast = self("Cast", value, to=ELEMENTS[datatype])
        self.model.graph.node.append(helper.make_node("Identity", [cast], [name]))
        self.model.graph.output.append(helper.make_tensor_value_info(name, ELEMENTS[datatype], shape))

    def fix_batch(self) -> None:
        """Make the graph one of a single picture."""
        for value in self.model.graph.input:
            value.type.tensor_type.shape.dim[0].dim_value = 1

    def take_size(self, name: str) -> str:
        """Add the input that RT-DETR's export has: [n, 2] INT64, width and height that boxes are to be given in."""
        self.model.graph.input.append(helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", 2]))
        return self("Cast", name, to=TensorProto.FLOAT)

    def take_bytes(self) -> None:
        """Make the input UINT8 [n, height, width, 3], 0..255."""
        graph = self.model.graph
        old = graph.input[0]
        size = old.type.tensor_type.shape.dim[2].dim_value
        number = self._constant(np.array(1 / 255, np.float32))
        nodes = [
            helper.make_node("Cast", ["bytes"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["numbers", number], ["shares"]),
            helper.make_node("Transpose", ["shares"], [old.name], perm=[0, 3, 1, 2]),
            *graph.node,
        ]
        del graph.node[:]
        graph.node.extend(nodes)
        old.CopyFrom(helper.make_tensor_value_info("bytes", TensorProto.UINT8, ["batch", size, size, 3]))

    def _constant(self, array: Array) -> str:
        name = f"constant_{len(self.model.graph.initializer)}"
        kept = array.astype(np.float32) if array.dtype == np.float64 else array
        self.model.graph.initializer.append(numpy_helper.from_array(kept, name))
        return name


class Detector(Ending):
    """YOLOv4-tiny's parts: what other conventions are made of."""

    SIZE: Final = 416
    BOXES: Final = 2535
    CLASSES: Final = 80

    @property
    def centers(self) -> str:
        """[n, N, 4], centre and size in pixels."""
        return self.columns(self.output, 0, 4)

    @property
    def objectness(self) -> str:
        """[n, N, 1]."""
        return self.columns(self.output, 4, 5)

    @property
    def classes(self) -> str:
        """[n, N, C], without the objectness."""
        return self.columns(self.output, 5, 85)

    @property
    def scores(self) -> str:
        """[n, N, C], with the objectness."""
        return self("Mul", self.objectness, self.classes)

    @property
    def best_scores(self) -> str:
        """[n, N, C], 0 but for each box's best class."""
        scores = self.scores
        best = self("Equal", scores, self("ReduceMax", scores, axes=[2], keepdims=1))
        return self("Mul", scores, self("Cast", best, to=TensorProto.FLOAT))

    @property
    def corners(self) -> str:
        """[n, N, 4], left, top, right, bottom in pixels."""
        boxes = self.centers
        middle, half = self.columns(boxes, 0, 2), self("Mul", self.columns(boxes, 2, 4), 0.5)
        return self("Concat", self("Sub", middle, half), self("Add", middle, half), axis=2)

    def share(self, boxes: str) -> str:
        return self("Div", boxes, float(self.SIZE))

    def yx(self, corners: str) -> str:
        """Top, left, bottom, right."""
        return self("Gather", corners, np.array([1, 0, 3, 2]), axis=2)

    def logits(self, scores: str) -> str:
        """The inverse of the sigmoid."""
        kept = self("Clip", scores, 1e-12, 1 - 1e-6)
        return self("Sub", self("Log", kept), self("Log", self("Sub", 1.0, kept)))

    def logarithms(self, scores: str, *, first: bool) -> str:
        """The inverse of the softmax, of scores that are 0 but for one class; the background takes the rest of 1."""
        rest = self("Sub", 1.0, self("ReduceSum", scores, np.array([2]), keepdims=1))
        columns = (rest, scores) if first else (scores, rest)
        return self("Log", self("Clip", self("Concat", *columns, axis=2), 1e-12, 1.0))

    def selected(self, corners: str, scores: str, threshold: float, iou: float) -> str:
        """[M, 3] INT64 of ONNX's own suppression, from corners [n, N, 4] and scores [n, C, N]."""
        thresholds = np.array([iou], np.float32), np.array([threshold], np.float32)
        return self("NonMaxSuppression", corners, scores, np.array([1000]), *thresholds)

    def chosen(self, threshold: float, iou: float) -> tuple[str, str, str]:
        """Boxes [M, 4], scores [M] and classes [M] that a suppression inside the graph leaves, of each class."""
        corners, scores = self.corners, self("Transpose", self.scores, perm=[0, 2, 1])
        places = self.selected(corners, scores, threshold, iou)
        pictures, classes, boxes = (self.columns(places, at, at + 1, axis=1) for at in range(3))
        return (
            self("GatherND", corners, self("Concat", pictures, boxes, axis=1)),
            self("GatherND", scores, places),
            self.reshape(classes, -1),
        )
